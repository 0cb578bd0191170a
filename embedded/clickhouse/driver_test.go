package clickhouse

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// One engine serves all the tests that only read and write through it.
func TestDriver(t *testing.T) {
	e := startEngine(t, nil)
	for _, m := range []clickhouse.CompressionMethod{
		clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD,
		clickhouse.CompressionGZIP, clickhouse.CompressionDeflate, clickhouse.CompressionBrotli,
	} {
		t.Run("types/"+m.String(), func(t *testing.T) {
			settings := clickhouse.Settings{}
			if m == clickhouse.CompressionGZIP || m == clickhouse.CompressionDeflate || m == clickhouse.CompressionBrotli {
				settings["enable_http_compression"] = 1
			}
			c := connect(t, e, func(o *clickhouse.Options) {
				o.Compression = &clickhouse.Compression{Method: m}
				o.Settings = settings
			})
			testTypes(t, c, "types_"+m.String())
		})
	}
	c := connect(t, e, nil)
	mustExec(t, c, "CREATE DATABASE tw")
	t.Run("errors", func(t *testing.T) { testErrors(t, e, c) })
	t.Run("parameters", func(t *testing.T) { testParameters(t, c) })
	t.Run("settings", func(t *testing.T) { testSettings(t, c) })
	t.Run("filters", func(t *testing.T) { testTableFilters(t, c) })
	t.Run("deduplication", func(t *testing.T) { testDeduplication(t, c) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, c) })
	t.Run("cancelled insert", func(t *testing.T) { testCancelledInsert(t, e, c) })
	t.Run("database", func(t *testing.T) { testDatabase(t, e, c) })
	t.Run("statements", func(t *testing.T) { testStatements(t, c) })
	t.Run("front", func(t *testing.T) { testFront(t, e) })
	// Statements that asked for more than there is were refused in time; what
	// they freed stays for a moment beside what the next one takes.
	if peak := peakBytes(t, e.PID()); peak > DefaultMemoryLimit*3/2 {
		t.Errorf("the child held %d MiB", peak>>20)
	} else {
		t.Logf("peak %d MiB", peak>>20)
	}
}

func codeOf(t *testing.T, err error) int32 {
	t.Helper()
	var ex *clickhouse.Exception
	if !errors.As(err, &ex) {
		t.Fatalf("error is no *clickhouse.Exception: %v", err)
	}
	return ex.Code
}

func testErrors(t *testing.T, e *Engine, c driver.Conn) {
	ctx := t.Context()
	for sql, want := range map[string]int32{
		"SELEC 1":                                62,
		"SELECT * FROM nowhere":                  60,
		"SELECT nothing":                         47,
		"SELECT throwIf(1, 'broken by purpose')": 395,
		"DROP TABLE nowhere":                     60,
		"SELECT * FROM nodb.t":                   81,
	} {
		if err := c.Exec(ctx, sql); codeOf(t, err) != want {
			t.Errorf("%s: %v, want code %d", sql, err, want)
		}
		var x any
		if err := c.QueryRow(ctx, sql).Scan(&x); codeOf(t, err) != want {
			t.Errorf("%s: %v, want code %d", sql, err, want)
		}
	}
	// The tag in front of the statement must not shift what the error names.
	var ex *clickhouse.Exception
	if errors.As(c.Exec(ctx, "SELEC 1"), &ex); !strings.Contains(ex.Message, "failed at position 7 ") || strings.Contains(ex.Message, "tw:") {
		t.Errorf("message %q", ex.Message)
	}
	// In the middle of a result, for every way the result may travel.
	for _, m := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD, clickhouse.CompressionGZIP} {
		c := connect(t, e, func(o *clickhouse.Options) {
			o.Compression = &clickhouse.Compression{Method: m}
			o.Settings = clickhouse.Settings{"enable_http_compression": 1}
		})
		rows, err := c.Query(ctx, "SELECT number, toString(number) FROM numbers(3000000) WHERE throwIf(number = 2000000, 'late') = 0 SETTINGS max_threads = 1")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rows.Next() {
			n++
		}
		if n == 0 || codeOf(t, rows.Err()) != 395 {
			t.Errorf("%s: %d rows, then %v", m, n, rows.Err())
		}
		rows.Close()
	}
}

func testParameters(t *testing.T, c driver.Conn) {
	ctx := clickhouse.Context(t.Context(), clickhouse.WithParameters(clickhouse.Parameters{
		"n": "42", "s": "it's \\t a 'tab' {x}", "a": "['x','y']",
	}))
	var n uint64
	var s string
	var a []string
	if err := c.QueryRow(ctx, "SELECT {n:UInt64}, {s:String}, {a:Array(String)}").Scan(&n, &s, &a); err != nil {
		t.Fatal(err)
	}
	if n != 42 || s != "it's \t a 'tab' {x}" || !reflect.DeepEqual(a, []string{"x", "y"}) {
		t.Fatalf("%d %q %q", n, s, a)
	}
	nasty := "'; DROP TABLE x; -- \\ \n\t\x00 ü"
	for _, sql := range []string{"SELECT ?", "SELECT $1", "SELECT @v"} {
		var arg any = nasty
		if sql == "SELECT @v" {
			arg = clickhouse.Named("v", nasty)
		}
		if got := one[string](t, c, sql, arg); got != nasty {
			t.Errorf("%s: %q", sql, got)
		}
	}
	if got := one[string](t, c, "SELECT {v:String}", clickhouse.Named("v", "a'b\\c")); got != "a'b\\c" {
		t.Errorf("bound on the engine's side: %q", got)
	}
	ts := time.Date(2026, 3, 1, 9, 15, 2, 123456789, time.UTC)
	if got := one[time.Time](t, c, "SELECT {v:DateTime64(9, 'UTC')}", clickhouse.DateNamed("v", ts, clickhouse.NanoSeconds)); !got.Equal(ts) {
		t.Errorf("%s", got)
	}
	if err := c.QueryRow(t.Context(), "SELECT {missing:UInt8}").Err(); codeOf(t, err) != 456 {
		t.Error(err)
	}
}

func testSettings(t *testing.T, c driver.Conn) {
	with := func(s clickhouse.Settings) context.Context {
		return clickhouse.Context(t.Context(), clickhouse.WithSettings(s))
	}
	drain := func(ctx context.Context, sql string) error {
		rows, err := c.Query(ctx, sql)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		return rows.Err()
	}
	if got := codeOf(t, drain(with(clickhouse.Settings{"max_result_rows": 10}), "SELECT number FROM numbers(1000)")); got != 396 {
		t.Error("max_result_rows:", got)
	}
	if got := codeOf(t, drain(with(clickhouse.Settings{"max_execution_time": 1}), "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)")); got != 159 {
		t.Error("max_execution_time:", got)
	}
	if got := codeOf(t, drain(with(clickhouse.Settings{"max_memory_usage": 20 << 20}), "SELECT groupArray(number) FROM numbers(100000000)")); got != 241 {
		t.Error("max_memory_usage:", got)
	}
	// The engine as a whole stays below its limit too.
	if got := codeOf(t, drain(with(clickhouse.Settings{"max_memory_usage": 0}), "SELECT length(groupArray(number)) FROM numbers(1000000000)")); got != 241 {
		t.Error("max_server_memory_usage:", got)
	}
	if got := codeOf(t, drain(with(clickhouse.Settings{"max_memory_usage": 0}), "SELECT uniqExact(number) FROM numbers(100000000)")); got != 241 {
		t.Error("max_server_memory_usage, many small pieces:", got)
	}
	if got := codeOf(t, drain(with(clickhouse.Settings{"no_such_setting": 1}), "SELECT 1")); got != 115 {
		t.Error("unknown setting:", got)
	}
	if got := codeOf(t, drain(with(clickhouse.Settings{"x = 1, readonly": 1}), "SELECT 1")); got != 115 {
		t.Error("setting whose name is SQL:", got)
	}
	// A setting holds for its own statement only, whoever sets it.
	mustExec(t, c, "SET max_result_rows = 1")
	if err := drain(t.Context(), "SELECT number FROM numbers(1000)"); err != nil {
		t.Error("a setting of another statement is in force:", err)
	}
}

func testTableFilters(t *testing.T, c driver.Conn) {
	mustExec(t, c, "CREATE TABLE tw.f (tenant String, n UInt32) ENGINE = MergeTree ORDER BY n")
	mustExec(t, c, "INSERT INTO tw.f SELECT if(number % 3 = 0, 'acme', 'it''s \\\\'), number FROM numbers(300)")
	mustExec(t, c, "CREATE VIEW tw.fv AS SELECT * FROM tw.f")
	filter := func(cond string) context.Context {
		return clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{
			"additional_table_filters": "{'tw.f': " + quoteString(cond) + "}",
		}))
	}
	for _, sql := range []string{"SELECT count() FROM tw.f", "SELECT count() FROM tw.fv", "WITH x AS (SELECT * FROM tw.f) SELECT count() FROM x"} {
		for cond, want := range map[string]uint64{"tenant = 'acme'": 100, `tenant = 'it\'s \\'`: 200, "tenant = 'none'": 0} {
			var n uint64
			if err := c.QueryRow(filter(cond), sql).Scan(&n); err != nil || n != want {
				t.Errorf("%s with %s: %d, %v; want %d", sql, cond, n, err, want)
			}
		}
		if n := one[uint64](t, c, sql); n != 300 {
			t.Errorf("%s without a filter: %d", sql, n)
		}
	}
}

func testDeduplication(t *testing.T, c driver.Conn) {
	insert := func(table, token string, n int) {
		t.Helper()
		ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": token, "async_insert": 0}))
		b, err := c.PrepareBatch(ctx, "INSERT INTO "+table)
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]uint64, n)
		for i := range ids {
			ids[i] = uint64(i)
		}
		if err := b.Column(0).Append(ids); err != nil {
			t.Fatal(err)
		}
		if err := b.Send(); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, c, "CREATE TABLE tw.dd (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000")
	mustExec(t, c, "CREATE TABLE tw.nd (id UInt64) ENGINE = MergeTree ORDER BY id")
	for _, table := range []string{"tw.dd", "tw.nd"} {
		insert(table, "a", 200_000)
		insert(table, "a", 200_000)
		insert(table, "b", 200_000)
	}
	if n := one[uint64](t, c, "SELECT count() FROM tw.dd"); n != 400_000 {
		t.Errorf("%d rows with a window, want 400000", n)
	}
	if n := one[uint64](t, c, "SELECT count() FROM tw.nd"); n != 600_000 {
		t.Errorf("%d rows without a window, want 600000: the token is not what deduplicates", n)
	}
	// One insert is one block: one part each.
	if n := one[uint64](t, c, "SELECT countDistinct(name) FROM system.parts WHERE table = 'dd' AND level = 0"); n != 2 {
		t.Errorf("%d parts for two inserts", n)
	}
}

func testCancel(t *testing.T, c driver.Conn) {
	running := func() uint64 {
		return one[uint64](t, c, "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%system.processes%'")
	}
	for _, sql := range []string{
		"SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", // no row before its end
		"SELECT sipHash64(number) FROM numbers(1000000000000)",      // rows all the time
		"INSERT INTO FUNCTION null('n UInt64') SELECT sipHash64(number) FROM numbers(1000000000000)",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			rows, err := c.Query(ctx, sql)
			if err == nil {
				rows.Next()
				<-ctx.Done()
				err = ctx.Err()
				rows.Close()
			}
			ended <- err
		}()
		eventually(t, "the statement runs", func() bool { return running() > 0 })
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", sql, err)
		}
		eventually(t, "the statement is gone from the engine", func() bool { return running() == 0 })
	}
}

func testDatabase(t *testing.T, e *Engine, c driver.Conn) {
	mustExec(t, c, "CREATE DATABASE IF NOT EXISTS `odd ``name`")
	d := connect(t, e, func(o *clickhouse.Options) { o.Auth.Database = "odd `name" })
	mustExec(t, d, "CREATE TABLE here (a UInt8) ENGINE = MergeTree ORDER BY a")
	if got := one[string](t, d, "SELECT currentDatabase()"); got != "odd `name" {
		t.Error(got)
	}
	if got := one[uint64](t, c, "SELECT count() FROM system.tables WHERE database = 'odd `name' AND name = 'here'"); got != 1 {
		t.Error("table is not in the database of the connection")
	}
	// The connection is made by the first statement.
	missing := connect(t, e, func(o *clickhouse.Options) { o.Auth.Database = "missing" })
	if err := missing.Ping(t.Context()); codeOf(t, err) != 81 {
		t.Error(err)
	}
}

func testStatements(t *testing.T, c driver.Conn) {
	mustExec(t, c, "CREATE TABLE tw.st (a UInt32, b String DEFAULT 'd') ENGINE = MergeTree ORDER BY a")
	mustExec(t, c, "INSERT INTO tw.st (a) VALUES (1), (2)")
	mustExec(t, c, "INSERT INTO tw.st FORMAT JSONEachRow {\"a\": 3, \"b\": \"x\"}\n{\"a\": 4}")
	mustExec(t, c, "INSERT INTO tw.st SELECT number + 10, 'sel' FROM numbers(5)")
	mustExec(t, c, "ALTER TABLE tw.st ADD COLUMN c UInt8")
	mustExec(t, c, "ALTER TABLE tw.st DELETE WHERE a = 10 SETTINGS mutations_sync = 2")
	mustExec(t, c, "OPTIMIZE TABLE tw.st FINAL")
	if n := one[uint64](t, c, "SELECT count() FROM tw.st"); n != 8 {
		t.Errorf("%d rows", n)
	}
	for _, sql := range []string{"SHOW TABLES FROM tw", "DESCRIBE TABLE tw.st", "EXPLAIN SELECT 1", "EXISTS TABLE tw.st", "SHOW CREATE TABLE tw.st",
		"(SELECT 1) UNION ALL (SELECT 2)", "WITH 1 AS x SELECT x", "-- comment\nSELECT 1 /* FORMAT CSV */ ;", "SELECT 1 FORMAT Native"} {
		rows, err := c.Query(t.Context(), sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if !rows.Next() || rows.Err() != nil {
			t.Errorf("%s: no row, %v", sql, rows.Err())
		}
		rows.Close()
	}
	mustExec(t, c, "TRUNCATE TABLE tw.st")
	// Row-wise with a list of columns, and structs.
	b, err := c.PrepareBatch(t.Context(), "INSERT INTO tw.st (b, a)")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.AppendStruct(&struct {
		A uint32 `ch:"a"`
		B string `ch:"b"`
	}{7, "seven"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	if got := one[string](t, c, "SELECT b FROM tw.st WHERE a = 7"); got != "seven" {
		t.Error(got)
	}
	if err := c.Exec(clickhouse.Context(t.Context(), clickhouse.WithAsync(true)), "INSERT INTO tw.st (a) VALUES (99)"); err != nil {
		t.Error(err)
	}
	if n := one[uint64](t, c, "SELECT count() FROM tw.st WHERE a = 99"); n != 1 {
		t.Errorf("%d rows after an asynchronous insert", n)
	}
}
