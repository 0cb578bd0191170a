package eventstore

import (
	"context"
	"errors"
	"sync"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// ErrBusy is wrapped when a tenant has more reads waiting than may wait.
var ErrBusy = errors.New("too many reads of this tenant are waiting")

const (
	readsPerTenant  = 4  // at once
	maxWaitingReads = 64 // of one tenant
)

// gate lets reads through: so many at once over all tenants, so many of one.
// Who waits is served in turns, one read a tenant: a tenant that asks for
// thousands takes its own turns and nobody else's.
type gate struct {
	mu      sync.Mutex
	total   int // at once, over all tenants
	each    int // at once, of one tenant
	own     map[tenant.ID]int
	running map[tenant.ID]int
	busy    int
	waiting map[tenant.ID][]chan struct{}
	turns   []tenant.ID // tenants with somebody waiting; the next one first
}

func newGate(total, each int) *gate {
	return &gate{total: max(1, total), each: max(1, min(each, total)), own: map[tenant.ID]int{},
		running: map[tenant.ID]int{}, waiting: map[tenant.ID][]chan struct{}{}}
}

func (g *gate) limit(t tenant.ID) int {
	if n, ok := g.own[t]; ok {
		return n
	}
	return g.each
}

// LimitReads sets how many reads of a tenant may run at once; 0 is the
// installation's own number.
func (s *Store) LimitReads(t tenant.ID, n int) {
	g := s.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if n <= 0 {
		delete(g.own, t)
	} else {
		g.own[t] = min(n, g.total)
	}
	g.next()
}

// enter waits for a turn; leave must then be called once.
func (g *gate) enter(ctx context.Context, t tenant.ID) error {
	g.mu.Lock()
	if len(g.waiting[t]) == 0 && g.busy < g.total && g.running[t] < g.limit(t) {
		g.take(t)
		g.mu.Unlock()
		return nil
	}
	if len(g.waiting[t]) >= maxWaitingReads {
		g.mu.Unlock()
		return ErrBusy
	}
	turn := make(chan struct{})
	if len(g.waiting[t]) == 0 {
		g.turns = append(g.turns, t)
	}
	g.waiting[t] = append(g.waiting[t], turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-turn: // given and refused at the same moment
		g.free(t)
	default:
		g.drop(t, turn)
	}
	return ctx.Err()
}

func (g *gate) leave(t tenant.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free(t)
}

func (g *gate) take(t tenant.ID) {
	g.busy++
	g.running[t]++
}

func (g *gate) free(t tenant.ID) {
	g.busy--
	if g.running[t]--; g.running[t] == 0 {
		delete(g.running, t)
	}
	g.next()
}

// next gives free places away, one turn a tenant.
func (g *gate) next() {
	for i := 0; i < len(g.turns) && g.busy < g.total; {
		t := g.turns[i]
		if g.running[t] >= g.limit(t) {
			i++
			continue
		}
		turn := g.waiting[t][0]
		g.waiting[t] = g.waiting[t][1:]
		g.turns = append(g.turns[:i], g.turns[i+1:]...)
		if len(g.waiting[t]) == 0 {
			delete(g.waiting, t)
		} else {
			g.turns = append(g.turns, t)
		}
		g.take(t)
		close(turn)
		i = 0
	}
}

// drop forgets somebody who no longer waits.
func (g *gate) drop(t tenant.ID, turn chan struct{}) {
	list := g.waiting[t]
	for i, c := range list {
		if c == turn {
			g.waiting[t] = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(g.waiting[t]) > 0 {
		return
	}
	delete(g.waiting, t)
	for i, id := range g.turns {
		if id == t {
			g.turns = append(g.turns[:i], g.turns[i+1:]...)
			break
		}
	}
}
