package collectortest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Sink is a collector.Sink that keeps what it was given, and fails, stalls and
// recovers at random or on command. It is safe for concurrent use.
type Sink struct {
	mu       sync.Mutex
	rng      *rand.Rand
	chaos    bool
	down     bool
	gate     chan struct{} // not nil: deliveries wait until it is closed
	events   map[string]int
	bad      map[string]int
	tenants  map[tenant.ID]bool
	inFlight int
	most     int // the most deliveries at once
	largest  int // the most records in one delivery
	calls    int
	arrived  chan struct{} // a token for every delivery that begins
}

// NewSink returns a sink that works until told otherwise.
func NewSink(seed uint64) *Sink {
	return &Sink{
		rng: rand.New(rand.NewPCG(seed, 1)), events: map[string]int{}, bad: map[string]int{},
		tenants: map[tenant.ID]bool{}, arrived: make(chan struct{}, 1),
	}
}

// errLost stands for an acknowledgement that was lost on its way.
var errLost = errors.New("collectortest: the acknowledgement was lost")

// Deliver keeps d, or fails in one of the ways a real sink does: refusing it,
// keeping it and losing the acknowledgement, or keeping a part of it.
func (s *Sink) Deliver(ctx context.Context, d collector.Delivery) error {
	s.mu.Lock()
	s.calls++
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	s.largest = max(s.largest, len(d.Events)+len(d.Quarantined))
	gate := s.gate
	mode := 0
	if s.chaos {
		mode = s.rng.IntN(10)
	}
	if s.down {
		mode = 1
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.inFlight--
		s.mu.Unlock()
	}()
	select {
	case s.arrived <- struct{}{}:
	default:
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch mode {
	case 1:
		return fmt.Errorf("collectortest: %w", collector.ErrUnavailable)
	case 2: // kept in part
		d.Events = d.Events[:len(d.Events)/2]
		d.Quarantined = nil
		s.keep(d)
		return fmt.Errorf("collectortest: %w", collector.ErrUnavailable)
	case 3:
		s.keep(d)
		return errLost
	}
	s.keep(d)
	return nil
}

func (s *Sink) keep(d collector.Delivery) {
	s.tenants[d.Tenant] = true
	for i := range d.Events {
		s.events[d.Events[i].ID]++
	}
	for i := range d.Quarantined {
		raw := string(d.Quarantined[i].Raw)
		if m := marker.FindString(raw); m != "" {
			raw = m // a source may have put the line into an envelope
		}
		s.bad[raw]++
	}
}

// marker finds a garbage line of the suite in what was quarantined.
var marker = regexp.MustCompile(`garbage s\d+-b\d+-\d+`)

// Chaos switches random failures on or off.
func (s *Sink) Chaos(on bool) { s.set(func() { s.chaos = on }) }

// Down makes every delivery fail, or work again.
func (s *Sink) Down(on bool) { s.set(func() { s.down = on }) }

// Stall makes deliveries wait until the function it returns is called.
func (s *Sink) Stall() (release func()) {
	gate := make(chan struct{})
	s.set(func() { s.gate = gate })
	return sync.OnceFunc(func() {
		s.set(func() { s.gate = nil })
		close(gate)
	})
}

func (s *Sink) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// has says whether an event with this id was kept.
func (s *Sink) has(id string) (ok bool) {
	s.set(func() { ok = s.events[id] > 0 })
	return ok
}

func (s *Sink) hasBad(raw string) (ok bool) {
	s.set(func() { ok = s.bad[raw] > 0 })
	return ok
}

func (s *Sink) count() (events, calls, most, largest int) {
	s.set(func() { events, calls, most, largest = len(s.events), s.calls, s.most, s.largest })
	return events, calls, most, largest
}
