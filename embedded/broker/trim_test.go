package broker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/segmentio/kafka-go"
)

func logStart(t *testing.T, b *Broker, partition int32) int64 {
	t.Helper()
	return b.cluster.PartitionInfo(topic, partition).LogStartOffset
}

func TestTrimWaitsForTheSlowestGroup(t *testing.T) {
	dir := t.TempDir()
	opt := options(dir)
	opt.SegmentBytes = 4 << 10
	b := start(t, opt)
	if err := b.CreateTopic(t.Context(), topic, 2); err != nil {
		t.Fatal(err)
	}
	c := client(t, b)
	for range 50 {
		mustProduce(t, c, 0, strings.Repeat("x", 500), "y")
	}
	segments := func() int {
		m, err := filepath.Glob(filepath.Join(dir, "log", "partitions", topic+"-0", "*.dat"))
		if err != nil {
			t.Fatal(err)
		}
		return len(m)
	}
	before := segments()
	trim := func(want int64) {
		t.Helper()
		if err := b.Trim(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := logStart(t, b, 0); got != want {
			t.Fatalf("log start %d, want %d", got, want)
		}
	}
	trim(0) // no group has committed
	commit(t, c, "ingest", 0, 100, "")
	trim(0) // detect has never committed
	commit(t, c, "detect", 0, 31, "")
	trim(31)
	// A group that nobody configured holds the log back as well.
	commit(t, c, "stranger", 0, 40, "")
	commit(t, c, "detect", 0, 90, "")
	trim(40)
	if _, err := c.OffsetDelete(t.Context(), &kafka.OffsetDeleteRequest{GroupID: "stranger", Topics: map[string][]int{topic: {0}}}); err == nil {
		t.Error("a request that is not served was answered")
	}
	commit(t, c, "stranger", 0, 100, "")
	trim(90)
	commit(t, c, "detect", 0, 100, "")
	trim(99) // everything is committed: the last record stays
	if after := segments(); after >= before || after < 1 {
		t.Errorf("segments: %d before, %d after", before, after)
	}
	if got := testutil.ToFloat64(b.metrics.trimmed); got != 99 {
		t.Errorf("trimmed records counted: %v", got)
	}
	if got := testutil.ToFloat64(b.metrics.retained); got != 1 {
		t.Errorf("retained records: %v", got)
	}
	if got := testutil.ToFloat64(b.metrics.diskBytes); got <= 0 {
		t.Errorf("disk bytes: %v", got)
	}
	// Nothing was trimmed where nothing was produced.
	if got := logStart(t, b, 1); got != 0 {
		t.Errorf("log start of the empty partition: %d", got)
	}

	// The log end survives an ordered stop, and a stop that is none.
	stop(t, b)
	for _, crash := range []bool{false, true} {
		if crash {
			if err := os.Remove(filepath.Join(dir, "log", "partitions", topic+"-0", "snapshot.json")); err != nil {
				t.Fatal(err)
			}
		}
		b = start(t, opt)
		if info := b.cluster.PartitionInfo(topic, 0); info.HighWatermark != 100 {
			t.Fatalf("after restart (crash %v) the log end is %d", crash, info.HighWatermark)
		}
		_, end, values := readAll(t, b, 0)
		if end != 100 || values[99] != "y" {
			t.Fatalf("after restart (crash %v): end %d, last %q", crash, end, values[99])
		}
		stop(t, b)
	}
	b = start(t, opt)
	if off := mustProduce(t, client(t, b), 0, "next"); off != 100 {
		t.Fatalf("the next offset is %d", off)
	}
}

func TestTornGroupLogIsRepaired(t *testing.T) {
	dir := t.TempDir()
	b := start(t, options(dir))
	if err := b.CreateTopic(t.Context(), topic, 1); err != nil {
		t.Fatal(err)
	}
	c := client(t, b)
	mustProduce(t, c, 0, "a", "b", "c")
	commit(t, c, "ingest", 0, 1, "first")
	stop(t, b)
	// What a kill in the middle of a write leaves.
	path := filepath.Join(dir, "log", "groups.log")
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) == 0 {
		t.Fatal(err, len(raw))
	}
	if err := os.WriteFile(path, append(raw, raw[:len(raw)/3]...), 0o600); err != nil {
		t.Fatal(err)
	}
	b = start(t, options(dir))
	c = client(t, b)
	if off, meta := committed(t, c, "ingest", 0); off != 1 || meta != "first" {
		t.Fatalf("offset %d %q", off, meta)
	}
	commit(t, c, "ingest", 0, 2, "second")
	// As after a kill: the log as it is now, without the rewrite of a stop.
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if validPrefix(now) != len(now) {
		t.Fatal("the commit was written behind the torn entry, where it would be lost")
	}
	stop(t, b)
	if err := os.WriteFile(path, now, 0o600); err != nil {
		t.Fatal(err)
	}
	b = start(t, options(dir))
	if off, meta := committed(t, client(t, b), "ingest", 0); off != 2 || meta != "second" {
		t.Fatalf("offset %d %q", off, meta)
	}
}

func TestPartitionsWithoutTheirTopic(t *testing.T) {
	dir := t.TempDir()
	b := start(t, options(dir))
	if err := b.CreateTopic(t.Context(), topic, 1); err != nil {
		t.Fatal(err)
	}
	mustProduce(t, client(t, b), 0, "kept")
	stop(t, b)
	log := filepath.Join(dir, "log")
	orphan := filepath.Join(log, "partitions", "gone-0")
	if err := os.Mkdir(orphan, 0o700); err != nil {
		t.Fatal(err)
	}
	b = start(t, options(dir))
	if _, err := os.Stat(orphan); err == nil {
		t.Error("the orphan is in kfake's way")
	}
	if m, _ := filepath.Glob(filepath.Join(log, "orphaned", "gone-0.*")); len(m) != 1 {
		t.Errorf("the orphan was not put aside: %v", m)
	}
	if _, _, values := readAll(t, b, 0); values[0] != "kept" {
		t.Error("the other partition suffered")
	}
	stop(t, b)
	for _, name := range []string{"topics.json", "meta.json"} {
		path := filepath.Join(log, name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Start(t.Context(), options(dir)); err == nil || !strings.Contains(err.Error(), "restore") {
			t.Fatalf("without %s: %v", name, err)
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b = start(t, options(dir))
	if _, _, values := readAll(t, b, 0); values[0] != "kept" {
		t.Error("lost after the list of topics was restored")
	}
}
