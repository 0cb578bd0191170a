package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
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
}

// row holds a value of every type a table of log events needs.
type row struct {
	Str   string
	LC    string
	U8    uint8
	U16   uint16
	U32   uint32
	U64   uint64
	I64   int64
	F64   float64
	T     time.Time
	D     time.Time
	M     map[string]string
	MLC   map[string]string
	Arr   []string
	ArrLC []string
	NS    *string
	NU    *uint64
	NLC   *string
	ID    uuid.UUID
	IP    net.IP
	E8    string
	B     bool
	FS    string
}

const rowColumns = `s String, lc LowCardinality(String), u8 UInt8, u16 UInt16, u32 UInt32, u64 UInt64, i64 Int64, f64 Float64,
	t DateTime64(9, 'UTC'), d Date, m Map(String, String), mlc Map(LowCardinality(String), String), arr Array(String),
	arrlc Array(LowCardinality(String)), ns Nullable(String), nu Nullable(UInt64), nlc LowCardinality(Nullable(String)),
	id UUID, ip IPv6, e8 Enum8('unknown' = 0, 'success' = 1, 'fail''ure, (2)' = 2), b Bool, fs FixedString(3)`

func (r *row) pointers() []any {
	return []any{&r.Str, &r.LC, &r.U8, &r.U16, &r.U32, &r.U64, &r.I64, &r.F64, &r.T, &r.D, &r.M, &r.MLC, &r.Arr, &r.ArrLC, &r.NS, &r.NU, &r.NLC, &r.ID, &r.IP, &r.E8, &r.B, &r.FS}
}

func (r *row) values() []any {
	var out []any
	for _, p := range r.pointers() {
		out = append(out, reflect.ValueOf(p).Elem().Interface())
	}
	return out
}

func sampleRows(n int) []row {
	rows := make([]row, n)
	enums := []string{"unknown", "success", "fail'ure, (2)"}
	for i := range rows {
		s, u, l := fmt.Sprintf("v%d\x00\n\"'\\ü__exception__\r\nCode: 1. ", i), uint64(math.MaxUint64)-uint64(i), fmt.Sprint("n", i%7)
		r := row{
			Str: s, LC: fmt.Sprint("k", i%300), U8: uint8(i), U16: uint16(i * 3), U32: uint32(i) * 70001, U64: u, I64: -int64(i), F64: float64(i) / 3,
			T: time.Date(2026, 3, 1, 9, 15, 2, i*1001, time.UTC), D: time.Date(2026, 3, 1+i%28, 0, 0, 0, 0, time.UTC),
			M: map[string]string{}, MLC: map[string]string{}, Arr: []string{}, ArrLC: []string{},
			ID: uuid.NewSHA1(uuid.Nil, []byte(s)), IP: net.ParseIP(fmt.Sprintf("2001:db8::%x", i%0xffff)), E8: enums[i%3], B: i%2 == 0, FS: "abc",
		}
		for j := range i % 4 {
			k := fmt.Sprintf("k%d", j)
			r.M[k], r.MLC[k] = s, fmt.Sprint(j)
			r.Arr, r.ArrLC = append(r.Arr, s), append(r.ArrLC, k)
		}
		if i%2 == 0 {
			r.NS, r.NU = &s, &u
		}
		if i%3 == 0 {
			r.NLC = &l
		}
		rows[i] = r
	}
	return rows
}

func testTypes(t *testing.T, c driver.Conn, table string) {
	ctx := t.Context()
	mustExec(t, c, "CREATE TABLE "+table+" (n UInt32, "+rowColumns+") ENGINE = MergeTree ORDER BY n")
	want := sampleRows(1000)
	b, err := c.PrepareBatch(ctx, "INSERT INTO "+table)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if err := b.Append(append([]any{uint32(i)}, want[i].values()...)...); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query(ctx, "SELECT * EXCEPT n FROM "+table+" ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var got row
		if err := rows.Scan(got.pointers()...); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want[n]) {
			t.Fatalf("row %d:\n got %+v\nwant %+v", n, got, want[n])
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n != len(want) {
		t.Fatalf("%d rows, want %d", n, len(want))
	}
	// No row at all must be an end, not an error.
	empty, err := c.Query(ctx, "SELECT * FROM "+table+" WHERE n > 1000000")
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if empty.Next() || empty.Err() != nil {
		t.Fatal("row in an empty result, or", empty.Err())
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
	if err := c.AsyncInsert(t.Context(), "INSERT INTO tw.st (a) VALUES (99)", true); err != nil {
		t.Error(err)
	}
	if n := one[uint64](t, c, "SELECT count() FROM tw.st WHERE a = 99"); n != 1 {
		t.Errorf("%d rows after an asynchronous insert", n)
	}
}
