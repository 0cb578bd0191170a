// Package collectortest is the delivery contract of package collector as a
// suite: every source is started against a sink that fails, stalls and
// recovers, and must not lose what it acknowledged.
//
// A source's own tests call Run. The package must not know any source.
package collectortest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Tenant owns everything the suite sends; the source's credential must be its.
var Tenant = tenant.MustParse("acme")

// Source is one running source.
type Source struct {
	// Send pushes a body of lines, each a short-form event with an id of its
	// own or garbage, as one sender would. It returns true when the source
	// acknowledged all of it. It may be called by many goroutines.
	Send func(ctx context.Context, body string) (acknowledged bool)
	// Stop shuts the source down as the program would at its end, and returns
	// when it is done.
	Stop func()
}

// Options set up the suite.
type Options struct {
	// Start starts the source with this sink. Cleanup is the source's.
	Start func(t *testing.T, sink collector.Sink) Source
	// Seed varies the failures; 0 is 1.
	Seed uint64
	// MaxHeap is how much the heap may grow while the sink stalls and senders
	// push, in bytes; 0 is 128 MiB.
	MaxHeap uint64
}

// Run runs the suite.
func Run(t *testing.T, o Options) {
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.MaxHeap == 0 {
		o.MaxHeap = 256 << 20
	}
	t.Run("acknowledged is durable while the sink fails at random", o.random)
	t.Run("a sink that is away refuses, and nothing is lost when it is back", o.away)
	t.Run("a sink that stalls holds senders back within bounded memory", o.stall)
	t.Run("a shutdown under load loses nothing acknowledged", o.shutdown)
}

// body makes n events of a sender's batch, every seventh line garbage, and
// returns their ids and the garbage.
func body(sender, batch, n int) (text string, ids, bad []string) {
	var b strings.Builder
	for i := range n {
		id := fmt.Sprintf("s%d-b%d-%d", sender, batch, i)
		ids = append(ids, id)
		fmt.Fprintf(&b, `{"time":"2026-03-01T09:15:02Z","actor":"a%d","action":"login","outcome":"success","id":%q,"note":%q}`+"\n", i%50, id, strings.Repeat("x", 200))
		if i%7 == 6 {
			g := "garbage " + id
			bad = append(bad, g)
			b.WriteString(g + "\n")
		}
	}
	return b.String(), ids, bad
}

// check holds one acknowledged body to the promise, at the very moment.
func check(t *testing.T, s *Sink, ids, bad []string) {
	t.Helper()
	for _, id := range ids {
		if !s.has(id) {
			t.Errorf("event %s was acknowledged and is not durable", id)
			return
		}
	}
	for _, raw := range bad {
		if !s.hasBad(raw) {
			t.Errorf("line %q was acknowledged and is not durable", raw)
			return
		}
	}
}

func (o Options) random(t *testing.T) {
	s := NewSink(o.Seed)
	src := o.Start(t, s)
	s.Chaos(true)
	const senders, batches, size = 8, 10, 500
	var wg sync.WaitGroup
	refused := make([]int, senders)
	for sender := range senders {
		wg.Go(func() {
			for batch := range batches {
				text, ids, bad := body(sender, batch, size)
				for !src.Send(t.Context(), text) {
					if refused[sender]++; refused[sender] > 1000 {
						t.Errorf("sender %d: no acknowledgement after 1,000 attempts", sender)
						return
					}
				}
				check(t, s, ids, bad)
			}
		})
	}
	wg.Wait()
	src.Stop()
	events, _, _, largest := s.count()
	if events != senders*batches*size {
		t.Errorf("%d events arrived, %d were sent", events, senders*batches*size)
	}
	total := 0
	for _, n := range refused {
		total += n
	}
	if total == 0 {
		t.Error("the sink failed at random and no sender was told")
	}
	if len(s.tenants) != 1 || !s.tenants[Tenant] {
		t.Errorf("events of tenants %v arrived, all were sent as %s", s.tenants, Tenant)
	}
	if largest > collector.DefaultBatchEvents {
		t.Errorf("a delivery held %d records", largest)
	}
}

func (o Options) away(t *testing.T) {
	s := NewSink(o.Seed)
	src := o.Start(t, s)
	defer src.Stop()
	s.Down(true)
	text, ids, bad := body(0, 0, 3000)
	for range 3 {
		if src.Send(t.Context(), text) {
			t.Fatal("acknowledged while the sink was away")
		}
	}
	s.Down(false)
	if !src.Send(t.Context(), text) {
		t.Fatal("refused when the sink was back")
	}
	check(t, s, ids, bad)
}

func (o Options) stall(t *testing.T) {
	s := NewSink(o.Seed)
	src := o.Start(t, s)
	defer src.Stop()
	release := s.Stall()
	defer release()
	text, ids, bad := body(0, 0, 20_000) // about 6 MiB: many deliveries
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)

	const senders = 8
	acked := make(chan bool, senders)
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() { acked <- src.Send(t.Context(), text) })
	}
	<-s.arrived
	// Every sender is either held back or refused by now; give the source the
	// time to take in more than it should.
	settle(t, s)
	runtime.GC()
	runtime.ReadMemStats(&after)
	select {
	case ok := <-acked:
		if ok {
			t.Error("acknowledged while the sink stalled")
		}
	default:
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > int64(o.MaxHeap) {
		t.Errorf("the heap grew by %d MiB while the sink stalled", grown>>20)
	}
	if _, calls, _, _ := s.count(); calls > 2*senders {
		t.Errorf("%d deliveries were begun for %d senders while none was finished", calls, senders)
	}
	release()
	wg.Wait()
	close(acked)
	some := false
	for ok := range acked {
		some = some || ok
	}
	if !some {
		t.Error("no sender was acknowledged after the sink came back")
	} else {
		check(t, s, ids, bad)
	}
}

// settle returns when no further delivery has begun for a while.
func settle(t *testing.T, s *Sink) {
	t.Helper()
	quiet := time.NewTimer(200 * time.Millisecond)
	defer quiet.Stop()
	for {
		select {
		case <-s.arrived:
			quiet.Reset(200 * time.Millisecond)
		case <-quiet.C:
			return
		case <-t.Context().Done():
			return
		}
	}
}

func (o Options) shutdown(t *testing.T) {
	s := NewSink(o.Seed)
	src := o.Start(t, s)
	const senders = 6
	var wg sync.WaitGroup
	begun := make(chan struct{}, senders)
	for sender := range senders {
		wg.Go(func() {
			for batch := 0; ; batch++ {
				text, ids, bad := body(sender, batch, 300)
				if !src.Send(t.Context(), text) {
					return // the source is going down
				}
				check(t, s, ids, bad)
				if batch == 0 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range senders {
		<-begun
	}
	src.Stop()
	_, calls, _, _ := s.count()
	wg.Wait()
	if _, later, _, _ := s.count(); later != calls {
		t.Errorf("%d deliveries were begun after the shutdown", later-calls)
	}
}
