package collectortest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Env is what a configured source is told in a test.
func Env(t *testing.T, dir string, sink collector.Sink) source.Env {
	t.Helper()
	m, err := source.NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	return source.Env{Name: "test", Tenant: Tenant, Sink: sink, StateDir: dir, Logger: slog.New(slog.DiscardHandler), Meter: m.Of("test", "test"), Now: time.Now}
}

// Start runs a source until stop is called or the test ends.
func Start(t *testing.T, s source.Source) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("source: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// Eventually waits until ok holds.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// Feed is a source that fetches: something writes what it reads.
type Feed struct {
	// Write adds lines, each with its newline, to what the source reads.
	Write func(t *testing.T, lines string)
	// New makes the source anew over the same state, as a restart does.
	New func(t *testing.T, dir string, sink collector.Sink) source.Source
}

// RunFeed holds a fetching source to the delivery contract: whatever the sink
// does, and however often the source is stopped and started on its state, in
// the end all that was written has arrived, garbage in quarantine. With
// lostState the source forgets its last steps, as after kill -9; what it reads
// again must have the same ids.
func RunFeed(t *testing.T, f Feed) {
	s := NewSink(1)
	dir := t.TempDir()
	s.Chaos(true)
	var ids, bad []string
	stop := func() {}
	for round := range 6 {
		text, i, b := body(0, round, 200)
		ids, bad = append(ids, i...), append(bad, b...)
		f.Write(t, text)
		stop = Start(t, f.New(t, dir, s))
		if round%2 == 0 {
			Eventually(t, "a delivery is begun", func() bool { _, calls, _, _ := s.count(); return calls > 0 })
			stop() // at any point: also while a delivery fails
		}
		s.Chaos(round%3 != 2)
		if round%2 == 1 {
			Eventually(t, "all that was written arrives", func() bool { return s.hasAll(ids, bad) })
			stop()
		}
	}
	stop()
	if !s.hasAll(ids, bad) {
		t.Fatal("something is lost")
	}
	// kill -9 right after the sink acknowledged: the state is as it was before.
	events, _, _, largest := s.count()
	again := Start(t, f.New(t, t.TempDir(), s))
	_, calls, _, _ := s.count()
	Eventually(t, "without its state the source reads again", func() bool { _, now, _, _ := s.count(); return now > calls })
	again()
	if now, _, _, _ := s.count(); now != events {
		t.Fatalf("what was read again has other ids: %d events were %d", now, events)
	}
	if largest > collector.DefaultBatchEvents {
		t.Fatalf("a delivery held %d records", largest)
	}
}

func (s *Sink) hasAll(ids, bad []string) (ok bool) {
	s.set(func() {
		ok = true
		for _, id := range ids {
			ok = ok && s.events[id] > 0
		}
		for _, raw := range bad {
			ok = ok && s.bad[raw] > 0
		}
	})
	return ok
}

// Events is the number of different events that were kept.
func (s *Sink) Events() int { n, _, _, _ := s.count(); return n }

// Has says whether an event with this id was kept.
func (s *Sink) Has(id string) bool { return s.has(id) }

// Bad is the number of different lines that were quarantined.
func (s *Sink) Bad() (n int) { s.set(func() { n = len(s.bad) }); return n }

// ByTenant says whether events of a tenant were kept.
func (s *Sink) ByTenant() map[string]bool {
	m := map[string]bool{}
	s.set(func() {
		for id := range s.tenants {
			m[id.String()] = true
		}
	})
	return m
}
