package tail

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/collectortest"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func make1(t *testing.T, state string, sink collector.Sink, o Options) source.Source {
	t.Helper()
	o.Poll = 2 * time.Millisecond
	s, err := New(collectortest.Env(t, state, sink), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	dir := t.TempDir()
	collectortest.RunFeed(t, collectortest.Feed{
		Write: func(t *testing.T, lines string) { write(t, filepath.Join(dir, "app.log"), lines) },
		New: func(t *testing.T, state string, sink collector.Sink) source.Source {
			return make1(t, state, sink, Options{Paths: []string{filepath.Join(dir, "*.log")}})
		},
	})
}

// same is a line without an id of its own: two of them are two events.
func same(n int) string {
	return strings.Repeat(`{"time":1772356502,"actor":"a","action":"login"}`+"\n", n)
}

func line(n int) string {
	return fmt.Sprintf(`{"time":1772356502,"actor":"a","action":"login","n":%d}`+"\n", n)
}

func TestIdenticalLinesInPiecesAreDistinct(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "a.log")
	s := collectortest.NewSink(1)
	write(t, log, same(2))
	collectortest.Start(t, make1(t, t.TempDir(), s, Options{Paths: []string{log}}))
	collectortest.Eventually(t, "two", func() bool { return s.Events() == 2 })
	write(t, log, same(3))
	collectortest.Eventually(t, "five", func() bool { return s.Events() == 5 })
	// A line is a record once its end is there.
	write(t, log, strings.TrimSuffix(line(1), "\n"))
	write(t, log, "\n"+line(2))
	collectortest.Eventually(t, "seven", func() bool { return s.Events() == 7 })
	if s.Bad() != 0 {
		t.Fatal("a half line was read")
	}
}

func pack(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	if err := os.WriteFile(to, z.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(from); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestRotation(t *testing.T) {
	for _, pattern := range []string{"app.log", "app.log*"} {
		t.Run(pattern, func(t *testing.T) {
			dir, state := t.TempDir(), t.TempDir()
			log := filepath.Join(dir, "app.log")
			o := Options{Paths: []string{filepath.Join(dir, pattern)}}
			s := collectortest.NewSink(1)
			write(t, log, line(1)+line(2))
			stop := collectortest.Start(t, make1(t, state, s, o))
			collectortest.Eventually(t, "the first file", func() bool { return s.Events() == 2 })
			// By rename; the writer goes on in the old file for a while, and its
			// last line has no end.
			rename(t, log, log+".1")
			write(t, log, line(3))
			write(t, log+".1", line(4)+strings.TrimSuffix(line(5), "\n"))
			collectortest.Eventually(t, "both files", func() bool { return s.Events() == 5 })
			// By truncation, shorter and then longer than before.
			if err := os.Truncate(log, 0); err != nil {
				t.Fatal(err)
			}
			write(t, log, line(33)+line(34)+line(35))
			collectortest.Eventually(t, "after the truncation", func() bool { return s.Events() == 8 })
			stop()
			// While it was down: more lines, a rename, and the file compressed.
			write(t, log, line(36))
			rename(t, log+".1", log+".2")
			pack(t, log+".2", log+".2.gz")
			rename(t, log, log+".1")
			pack(t, log+".1", log+".1.gz")
			write(t, log, line(37))
			stop = collectortest.Start(t, make1(t, state, s, o))
			collectortest.Eventually(t, "what was written while it was down", func() bool { return s.Events() == 10 })
			stop()
			// Nothing of it is read a second time under other ids.
			stop = collectortest.Start(t, make1(t, state, s, o))
			write(t, log, line(38))
			collectortest.Eventually(t, "the next line", func() bool { return s.Events() >= 11 })
			stop()
			if s.Events() != 11 || s.Bad() != 0 {
				t.Fatalf("%d events, %d bad", s.Events(), s.Bad())
			}
		})
	}
}

func TestManyFilesArchivesAndStart(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	const n = 2000
	for i := range n {
		write(t, filepath.Join(dir, fmt.Sprintf("h%04d.log", i)), line(i))
	}
	write(t, filepath.Join(dir, "old"), line(n)+line(n+1))
	pack(t, filepath.Join(dir, "old"), filepath.Join(dir, "old.log.gz"))
	o := Options{Paths: []string{filepath.Join(dir, "*.log"), filepath.Join(dir, "*.gz")}}
	s := collectortest.NewSink(1)
	stop := collectortest.Start(t, make1(t, state, s, o))
	collectortest.Eventually(t, "all files", func() bool { return s.Events() == n+2 })
	stop()
	s2 := collectortest.NewSink(1)
	stop = collectortest.Start(t, make1(t, state, s2, o))
	write(t, filepath.Join(dir, "h0000.log"), line(5000))
	collectortest.Eventually(t, "the new line", func() bool { return s2.Events() == 1 })
	stop()
	if s2.Events() != 1 {
		t.Fatalf("%d events were read again", s2.Events()-1)
	}
	// From the end: what is there stays unread.
	s3 := collectortest.NewSink(1)
	o.Start = "end"
	src := make1(t, t.TempDir(), s3, o).(*Source)
	src.first = true
	if _, err := src.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "h0001.log"), line(6000))
	if _, err := src.pass(t.Context()); err != nil || s3.Events() != 1 {
		t.Fatalf("%d events, %v", s3.Events(), err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {Paths: []string{"relative"}}, {Paths: []string{"/a["}}, {Paths: []string{"/a"}, Start: "middle"}, {Paths: []string{"/a"}, Poll: -1}} {
		if check(&o) == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
