package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/ingest"
)

var (
	acme   = tenant.MustParse("acme")
	globex = tenant.MustParse("globex")
)

func TestEndToEnd(t *testing.T) {
	r := newRig(t, 3)
	r.start(r.options(r.store))
	r.send(acme, batch(acme, 0, 1000))
	r.send(globex, batch(globex, 0, 700))
	line := event.Quarantined{Tenant: acme, ID: "q1", Source: "web", Reason: "no time", ReceivedAt: noon.UnixNano(), Raw: []byte{0xff}}
	must(t, r.producer.Produce(t.Context(), acme, "test", nil, []event.Quarantined{line, line}))
	must(t, r.producer.Produce(t.Context(), acme, "test", nil, []event.Quarantined{line}))
	r.drained(acme, globex)
	r.exactly()
	r.until("the quarantined line", func() bool { return r.count("SELECT count() FROM quarantine") > 0 })
	// Sent again: nothing is added, everything is counted.
	r.send(acme, batch(acme, 0, 1000))
	r.send(acme, append(batch(acme, 990, 20), batch(acme, 990, 20)...)) // 10 old, 10 new, then the 20 again
	r.drained(acme, globex)
	r.exactly()
	var dup, stored, quarantined, again uint64
	sum := func() bool {
		acc, err := r.store.Accounting(t.Context(), acme, eventstore.AccountingRequest{})
		must(t, err)
		dup, stored, quarantined, again = 0, 0, 0, 0
		for _, a := range acc {
			dup, stored, quarantined, again = dup+a.Duplicates, stored+a.Stored, quarantined+a.Quarantined, again+a.QuarantinedAgain
		}
		return again == 2
	}
	r.until("the accounts", sum)
	if dup != 1030 || stored != 1012 || quarantined != 1 {
		t.Errorf("stored %d, duplicates %d, quarantined %d (%d again)", stored, dup, quarantined, again)
	}
}

// Rows are readable well within two seconds of the acknowledged push, with the
// batching of production.
func TestFreshness(t *testing.T) {
	r := newRig(t, 4)
	opt := r.options(r.store)
	opt.Linger, opt.MaxRows = 0, 0 // the defaults
	r.start(opt)
	r.drained(acme)
	for i := range 5 {
		began := time.Now()
		r.send(acme, batch(acme, i*10, 10))
		r.until("the rows", func() bool {
			return r.count("SELECT count() FROM events WHERE id NOT LIKE '%sentinel%'") == uint64(10*(i+1))
		})
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("readable after %v", d)
		}
	}
}

// A crash at every step of the recipe, before and after it took effect: the
// next instance ends with every event once.
func TestCrashAtEveryStep(t *testing.T) {
	for _, step := range []struct {
		kind string
		at   int
	}{{"insert", 1}, {"insert", 2}, {"insert", 3}, {"duplicates", 1}, {"duplicates", 2}, {"known", 1}} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s-%d-after=%v", step.kind, step.at, after), func(t *testing.T) {
				r := newRig(t, 1)
				events := batch(acme, 0, 1200)
				r.send(acme, events[:900])
				r.send(acme, events[:100]) // again, so that ids are looked up
				r.send(acme, events[900:])
				c := newCrashing(r.store, step.at, step.kind, after)
				stop := r.start(r.options(c))
				select {
				case <-c.dead:
				case <-time.After(20 * time.Second):
					t.Fatal("the step was never reached")
				}
				stop()
				// The next one cuts its batches elsewhere, unless an intent says where.
				opt := r.options(r.store)
				opt.MaxRows = 130
				r.start(opt)
				r.drained(acme)
				r.exactly()
			})
		}
	}
}

// Errors instead of crashes: the same instance settles the doubt.
func TestInsertErrors(t *testing.T) {
	r := newRig(t, 1)
	f := &failing{Store: r.store}
	stop := r.start(r.options(f))
	for i := range 10 {
		r.send(acme, batch(acme, i*200, 200))
	}
	for range 4 {
		r.drained(acme)
	}
	stop()
	r.exactly()
	if f.before == 0 || f.after == 0 {
		t.Errorf("faults before %d, after %d: nothing was shown", f.before, f.after)
	}
}

// failing is the real store with every second insert going wrong: by turns it
// does not arrive, or its answer is lost.
type failing struct {
	ingest.Store
	n, before, after int // of one partition's writer only
}

func (f *failing) Insert(ctx context.Context, b *eventstore.Block, token string) error {
	f.n++
	if f.n%4 == 1 {
		f.before++
		return errors.New("connection refused")
	}
	err := f.Store.Insert(ctx, b, token)
	if err == nil && f.n%4 == 3 {
		f.after++
		return errors.New("answer lost")
	}
	return err
}

// A store that knows the token but lost the part: a new token brings the rows.
func TestLostPart(t *testing.T) {
	r := newRig(t, 1)
	r.start(r.options(&losing{Store: r.store, lose: 2}))
	r.send(acme, batch(acme, 0, 300))
	r.drained(acme)
	r.exactly()
}

// losing takes the first tokens for known without storing anything, after an
// error, as an engine does that wrote the token before the part.
type losing struct {
	ingest.Store
	mu   sync.Mutex
	lose int
	lost map[string]bool
}

func (l *losing) Insert(ctx context.Context, b *eventstore.Block, token string) error {
	l.mu.Lock()
	if l.lost == nil {
		l.lost = map[string]bool{}
	}
	known := l.lost[token]
	first := !known && len(l.lost) < l.lose
	if first {
		l.lost[token] = true
	}
	l.mu.Unlock()
	switch {
	case first:
		return errors.New("power cut")
	case known:
		return nil
	}
	return l.Store.Insert(ctx, b, token)
}

// Rows that do not add up stop the partition: nothing is committed past them
// and nothing is made worse.
func TestMismatchStops(t *testing.T) {
	r := newRig(t, 1)
	h := &halving{Store: r.store, hit: make(chan struct{}), r: r}
	r.start(r.options(h))
	r.send(acme, batch(acme, 0, 30))
	<-h.hit
	r.until("the stop", func() bool { return h.finds() >= 1 })
	r.send(acme, batch(acme, 30, 30))
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	<-tick.C // long enough for several batches, were the partition alive
	if n := r.count("SELECT count() FROM events WHERE id LIKE 'acme-3_' OR id LIKE 'acme-4_' OR id LIKE 'acme-5_'"); n != 0 {
		t.Errorf("%d rows after the stop", n)
	}
}

// halving damages the first block behind the writer's back and loses the answer.
type halving struct {
	ingest.Store
	r    *rig
	once sync.Once
	hit  chan struct{}
	mu   sync.Mutex
	n    int
}

func (h *halving) finds() int { h.mu.Lock(); defer h.mu.Unlock(); return h.n }

func (h *halving) Find(ctx context.Context, t eventstore.Table, month int, r eventstore.Range) (eventstore.Found, error) {
	h.mu.Lock()
	h.n++
	h.mu.Unlock()
	return h.Store.Find(ctx, t, month, r)
}

func (h *halving) Insert(ctx context.Context, b *eventstore.Block, token string) error {
	err := h.Store.Insert(ctx, b, token)
	h.once.Do(func() {
		if derr := h.r.raw.Exec(context.Background(), "ALTER TABLE events DELETE WHERE kafka_index % 2 = 0 SETTINGS mutations_sync = 1"); derr != nil {
			h.r.t.Error(derr)
		}
		err = errors.New("answer lost")
		close(h.hit)
	})
	return err
}
