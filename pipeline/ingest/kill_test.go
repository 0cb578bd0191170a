package ingest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/ingest"
)

// kills runs instances that die at random operations while events are sent,
// some of them twice, then one that lives.
func kills(t *testing.T, n int, seed uint64, breakIt func(*ingest.Options)) *rig {
	r := newRig(t, 2)
	rng := rand.New(rand.NewPCG(seed, 7))
	tenants := []tenant.ID{acme, globex, tenant.MustParse("initech")}
	next := map[tenant.ID]int{}
	feed := func() {
		for _, id := range tenants {
			k := 200 + rng.IntN(400)
			b := batch(id, next[id], k)
			r.send(id, b)
			if rng.IntN(2) == 0 {
				r.send(id, b[:k/3]) // a retry after a lost answer
			}
			next[id] += k
		}
	}
	for range n {
		feed()
		c := newCrashing(r.store, 1+rng.IntN(8), "", rng.IntN(2) == 0)
		opt := r.options(c)
		opt.MaxRows = 50 + rng.IntN(300)
		breakIt(&opt)
		stop := r.start(opt)
		select {
		case <-c.dead:
		case <-time.After(20 * time.Second):
			t.Fatal("it did not come to the crash")
		}
		stop()
	}
	feed()
	opt := r.options(r.store)
	breakIt(&opt)
	stop := r.start(opt)
	r.drained(tenants...)
	stop()
	return r
}

func TestRandomKills(t *testing.T) {
	r := kills(t, 10, 42, func(*ingest.Options) {})
	r.exactly()
}

// The negative controls: each lacks a part of the recipe, and the same checker
// must see the damage.
func TestControlWithoutIDCheck(t *testing.T) {
	r := kills(t, 3, 42, func(o *ingest.Options) { o.Break(true, false, false) })
	if c := r.tally(); c.rows == c.ids || c.missing != 0 {
		t.Errorf("without the id check: %+v; repeated ids should have been stored", c)
	}
	if c := r.tally(); c.rows != c.places {
		t.Errorf("without the id check the recipe alone still stores every place of the log once: %+v", c)
	}
}

func TestControlWithVaryingBoundaries(t *testing.T) {
	r := kills(t, 10, 42, func(o *ingest.Options) { o.Break(true, true, false) })
	if c := r.tally(); c.rows == c.places {
		t.Errorf("without intents: %+v; the same places of the log should have been stored twice", c)
	}
}

// A token that differs each time stands for a window of none: a lost answer
// then doubles the block, were it not for the counting of rows.
func TestControlWithoutToken(t *testing.T) {
	r := newRig(t, 1)
	b := eventstore.NewBlock(eventstore.Events, eventstore.Month(noon.UnixNano()))
	e := batch(acme, 0, 1)
	b.AddEvent(&e[0], eventstore.Origin{TopicID: "t"})
	must(t, r.store.Insert(t.Context(), b, "a"))
	must(t, r.store.Insert(t.Context(), b, "a"))
	must(t, r.store.Insert(t.Context(), b, "b"))
	if c := r.tally(); c.rows != 2 || c.places != 1 {
		t.Errorf("%+v: the checker should see one row twice", c)
	}
}

// A writer that has lost its partition without noticing cannot do harm: its
// insert carries the token of the block its successor has finished, and its
// commit is refused.
func TestZombie(t *testing.T) {
	r := newRig(t, 1)
	r.send(acme, batch(acme, 0, 400))
	z := &stalling{Store: r.store, reached: make(chan struct{}), release: make(chan struct{}), done: make(chan error, 1)}
	stopZombie := r.start(r.options(z))
	<-z.reached
	r.start(r.options(r.store))
	r.drained(acme) // the successor has everything
	r.exactly()
	close(z.release)
	must(t, <-z.done) // the insert itself succeeds, and stores nothing
	r.exactly()
	r.drained(acme)
	r.exactly()
	stopZombie()
}

// stalling blocks the first insert, deaf to its context, until released.
type stalling struct {
	ingest.Store
	once             sync.Once
	reached, release chan struct{}
	done             chan error
}

func (s *stalling) Insert(ctx context.Context, b *eventstore.Block, token string) error {
	first := false
	s.once.Do(func() { first = true })
	if !first {
		return s.Store.Insert(ctx, b, token)
	}
	close(s.reached)
	<-s.release
	err := s.Store.Insert(context.WithoutCancel(ctx), b, token)
	s.done <- err
	return err
}

// The store is away for a while: nothing is lost, and it goes on by itself.
func TestStoreAway(t *testing.T) {
	r := newRig(t, 2)
	o := &outage{Store: r.store}
	o.away.Lock()
	o.down = true
	o.away.Unlock()
	r.start(r.options(o))
	r.send(acme, batch(acme, 0, 500))
	r.send(globex, batch(globex, 0, 500))
	r.until("tries", func() bool { o.away.Lock(); defer o.away.Unlock(); return o.tries >= 4 })
	o.away.Lock()
	o.down = false
	o.away.Unlock()
	r.drained(acme, globex)
	r.exactly()
}

type outage struct {
	ingest.Store
	away  sync.Mutex
	down  bool
	tries int
}

func (o *outage) IDHashes(ctx context.Context, t tenant.ID, most uint64, fn func(uint64)) (uint64, error) {
	o.away.Lock()
	down := o.down
	o.tries++
	o.away.Unlock()
	if down {
		return 0, errors.New("connection refused")
	}
	return o.Store.IDHashes(ctx, t, most, fn)
}

// A tenant too large for the filters is asked about in the store: slower, and
// just as exact.
func TestWithoutFilterMemory(t *testing.T) {
	r := newRig(t, 1)
	opt := r.options(r.store)
	opt.FilterBytes = 1
	r.start(opt)
	r.send(acme, batch(acme, 0, 300))
	r.send(acme, batch(acme, 200, 300))
	r.drained(acme)
	r.exactly()
}
