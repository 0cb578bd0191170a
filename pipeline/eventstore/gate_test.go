package eventstore

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

var loud, calm = tenant.MustParse("loud"), tenant.MustParse("calm")

// waits until so many of a tenant are queued.
func (g *gate) queued(t tenant.ID) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting[t])
}

// behind counts how many of a loud tenant's reads end before a calm tenant that
// asks last has its turn, when the loud one has filled every place it may have
// and fifty reads wait. The gate gives places away under its lock, so the count
// is the gate's own and not the scheduler's.
func behind(t *testing.T, g *gate) int {
	t.Helper()
	var asked sync.WaitGroup
	defer asked.Wait()
	defer func() { // everybody has a turn and leaves
		for {
			g.mu.Lock()
			l, c := g.running[loud], g.running[calm]
			g.mu.Unlock()
			switch {
			case l > 0:
				g.leave(loud)
			case c > 0:
				g.leave(calm)
			default:
				return
			}
		}
	}()
	for range g.total {
		if g.enterNow(loud) != nil {
			break
		}
	}
	ask := func(id tenant.ID) {
		n := g.queued(id)
		asked.Go(func() {
			if err := g.enter(context.Background(), id); err != nil {
				t.Error(err)
			}
		})
		for g.queued(id) == n {
			runtime.Gosched()
		}
	}
	for range 50 {
		ask(loud)
	}
	if g.enterNow(calm) == nil {
		return 0
	}
	ask(calm)
	ended := 0
	for ; g.queued(calm) > 0; ended++ {
		g.leave(loud)
	}
	return ended
}

// enterNow takes a place if one is free.
func (g *gate) enterNow(t tenant.ID) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return g.enter(ctx, t)
}

func TestGateIsFair(t *testing.T) {
	if n := behind(t, newGate(12, 4)); n > 0 {
		t.Errorf("a calm tenant waited for %d reads of a loud one that has its own places", n)
	}
	if n := behind(t, newGate(4, 4)); n > 2 {
		t.Errorf("a calm tenant waited for %d reads of a loud one that held every place: want turns", n)
	}
}

func TestGateBounds(t *testing.T) {
	g := newGate(3, 2)
	for range 2 {
		if g.enterNow(loud) != nil {
			t.Fatal("free places are refused")
		}
	}
	if err := g.enterNow(loud); !errors.Is(err, context.Canceled) {
		t.Fatalf("a third read of one tenant: %v", err)
	}
	if g.enterNow(calm) != nil {
		t.Fatal("another tenant finds no place beside one at its bound")
	}
	if g.enterNow(calm) == nil {
		t.Fatal("more reads than places")
	}
	g.leave(loud)
	if g.enterNow(calm) != nil {
		t.Fatal("a place that was left stays taken")
	}
	g.leave(calm)
	g.leave(calm)
	g.leave(loud)
	if g.busy != 0 || len(g.running) != 0 || len(g.waiting) != 0 || len(g.turns) != 0 {
		t.Fatalf("left behind: %+v", g)
	}
	ctx, cancel := context.WithCancel(t.Context())
	full := newGate(1, 1)
	if full.enterNow(loud) != nil {
		t.Fatal("no place")
	}
	done := make(chan error, maxWaitingReads)
	for range maxWaitingReads {
		go func() { done <- full.enter(ctx, loud) }()
	}
	for full.queued(loud) < maxWaitingReads {
	}
	if err := full.enter(t.Context(), loud); !errors.Is(err, ErrBusy) {
		t.Errorf("one more than may wait: %v", err)
	}
	cancel()
	for range maxWaitingReads {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if full.queued(loud) != 0 || len(full.turns) != 0 {
		t.Error("those who gave up still wait")
	}
}
