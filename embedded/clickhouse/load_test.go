package clickhouse

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// peakBytes is the most memory that a process ever had resident.
func peakBytes(t testing.TB, pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatal("no VmHWM")
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n << 10
}

// A result of 5 million rows, some 700 MB of text, flows through a child that
// may not hold it; the start and the idle child are measured on the way.
func TestStreaming(t *testing.T) {
	began := time.Now()
	e := startEngine(t, nil)
	started := time.Since(began)
	idle := residentBytes(e.PID())
	c := connect(t, e, func(o *clickhouse.Options) { o.Compression = nil })
	const want = 5_000_000
	began = time.Now()
	rows, err := c.Query(t.Context(), "SELECT number, concat('actor', toString(number % 1000), '@acme.example'), repeat('x', 100) FROM numbers(5000000)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n, sum := 0, uint64(0)
	for rows.Next() {
		var id uint64
		var actor, raw string
		if err := rows.Scan(&id, &actor, &raw); err != nil {
			t.Fatal(err)
		}
		n++
		sum += id
	}
	if err := rows.Err(); err != nil || n != want || sum != want*(want-1)/2 {
		t.Fatalf("%d rows, sum %d, %v", n, sum, err)
	}
	took := time.Since(began)
	peak := peakBytes(t, e.PID())
	t.Logf("started in %s, idle at %d MiB; %.2f M rows/s, peak %d MiB", started.Round(time.Millisecond), idle>>20, want/took.Seconds()/1e6, peak>>20)
	if idle > 400<<20 {
		t.Errorf("idle child holds %d MiB", idle>>20)
	}
	if peak > 600<<20 {
		t.Errorf("child held %d MiB for a result of 700 MB", peak>>20)
	}
}

// Sixteen at once, readers and writers, each with settings of its own: every
// one must see its own filter and all of its rows.
func TestConcurrentUse(t *testing.T) {
	e := startEngine(t, func(o *Options) { o.MaxQueries = 16 })
	c := connect(t, e, nil)
	mustExec(t, c, "CREATE DATABASE tw")
	mustExec(t, c, "CREATE TABLE tw.c (tenant UInt32, n UInt64) ENGINE = MergeTree ORDER BY (tenant, n)")
	mustExec(t, c, "INSERT INTO tw.c SELECT number % 16, number FROM numbers(160000)")
	const rounds, batch = 20, 500
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{
				"additional_table_filters": fmt.Sprintf("{'tw.c': 'tenant = %d'}", w),
			}))
			for i := range rounds {
				b, err := c.PrepareBatch(t.Context(), "INSERT INTO tw.c")
				if err != nil {
					t.Error(err)
					return
				}
				for j := range batch {
					if err := b.Append(uint32(w), uint64(1_000_000+i*batch+j)); err != nil {
						t.Error(err)
						return
					}
				}
				if err := b.Send(); err != nil {
					t.Error(err)
					return
				}
				var n, foreign uint64
				if err := c.QueryRow(ctx, "SELECT count(), countIf(tenant != ?) FROM tw.c", w).Scan(&n, &foreign); err != nil {
					t.Error(err)
					return
				}
				if want := uint64(10_000 + (i+1)*batch); n != want || foreign != 0 {
					t.Errorf("writer %d sees %d rows, %d of them foreign; want %d and none", w, n, foreign, want)
					return
				}
				if i%5 == w%5 { // and one that goes away
					gone, cancel := context.WithTimeout(ctx, time.Millisecond)
					_ = c.Exec(gone, "SELECT sum(sipHash64(n)) FROM tw.c, numbers(1000)")
					cancel()
				}
			}
		}()
	}
	wg.Wait()
	if n := one[uint64](t, c, "SELECT uniqExact(tenant, n) FROM tw.c"); n != 160_000+16*rounds*batch {
		t.Errorf("%d distinct rows", n)
	}
	if n := one[uint64](t, c, "SELECT count() FROM tw.c"); n != 160_000+16*rounds*batch {
		t.Errorf("%d rows", n)
	}
}

// BenchmarkInsert writes batches as wide as an event, column by column.
func BenchmarkInsert(b *testing.B) {
	e := startEngine(b, nil)
	c := connect(b, e, func(o *clickhouse.Options) { o.Compression = nil })
	if err := c.Exec(b.Context(), `CREATE TABLE default_events (tenant LowCardinality(String), id String, t DateTime64(9, 'UTC'), it DateTime64(9, 'UTC'), class UInt32,
		action LowCardinality(String), outcome Enum8('unknown' = 0, 'success' = 1, 'failure' = 2), severity UInt8, actor String, session String, ip String,
		country LowCardinality(String), asn UInt32, agent LowCardinality(String), resource String, method LowCardinality(String), status UInt16,
		bytes UInt64, cnt UInt64, raw String) ENGINE = MergeTree ORDER BY (tenant, t)`); err != nil {
		b.Fatal(err)
	}
	const n = 50_000
	strs := func(f func(i int) string) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = f(i)
		}
		return out
	}
	nums := func() []uint64 { return make([]uint64, n) }
	times := make([]time.Time, n)
	for i := range times {
		times[i] = time.Date(2026, 3, 1, 0, 0, 0, i*1000, time.UTC)
	}
	u32, u16, u8 := make([]uint32, n), make([]uint16, n), make([]uint8, n)
	cols := []any{
		strs(func(int) string { return "acme" }), strs(func(i int) string { return fmt.Sprintf("%032x", i*7919) }), times, times, u32,
		strs(func(i int) string { return fmt.Sprint("action.", i%20) }), strs(func(i int) string { return "success" }), u8,
		strs(func(i int) string { return fmt.Sprintf("user%d@acme.example", i%3000) }), strs(func(i int) string { return fmt.Sprint("s", i%5000) }),
		strs(func(i int) string { return fmt.Sprintf("203.0.%d.%d", i%100, i%250) }), strs(func(i int) string { return "DE" }), u32,
		strs(func(i int) string { return fmt.Sprint("Mozilla/5.0 ", i%50) }), strs(func(i int) string { return fmt.Sprint("file/", i) }),
		strs(func(i int) string { return "GET" }), u16, nums(), nums(), strs(func(i int) string { return fmt.Sprintf(`{"n":%d,"actor":"user","action":"file.download"}`, i) }),
	}
	began := time.Now()
	for b.Loop() {
		batch, err := c.PrepareBatch(b.Context(), "INSERT INTO default_events")
		if err != nil {
			b.Fatal(err)
		}
		for i, col := range cols {
			if err := batch.Column(i).Append(col); err != nil {
				b.Fatal(i, err)
			}
		}
		if err := batch.Send(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*b.N)/time.Since(began).Seconds(), "rows/s")
	b.ReportMetric(float64(peakBytes(b, e.PID())>>20), "peak-MiB")
	rows, err := c.Query(b.Context(), "SELECT * FROM default_events LIMIT 1000000")
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	began = time.Now()
	read := 0
	for rows.Next() {
		read++
	}
	b.ReportMetric(float64(read)/time.Since(began).Seconds(), "read-rows/s")
}
