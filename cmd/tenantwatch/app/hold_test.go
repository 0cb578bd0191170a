package app

import (
	"context"
	"errors"
	"testing"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

type countSink map[string]int

func (c countSink) Deliver(_ context.Context, d collector.Delivery) error {
	c[d.Tenant.String()]++
	return nil
}

// A source of a suspended tenant is held back, others are not, and what was
// known last holds while nobody can say.
func TestSourcesOfASuspendedTenantAreHeldBack(t *testing.T) {
	shut, open := tenant.MustParse("shut"), tenant.MustParse("open")
	state := map[tenant.ID]error{}
	got := countSink{}
	s := newHoldSink(got, func(_ context.Context, id tenant.ID) error { return state[id] })
	away := errors.New("the database is away")
	for i, step := range []struct {
		state error
		held  bool
	}{
		{nil, false}, {away, false}, {core.ErrSuspended, true}, {away, true}, {core.ErrNotFound, true}, {nil, false}, {core.ErrNotFound, false},
	} {
		state[shut] = step.state
		before := got["shut"]
		err := s.Deliver(t.Context(), collector.Delivery{Tenant: shut})
		if held := errors.Is(err, collector.ErrUnavailable); held != step.held || errors.Is(err, collector.ErrRefused) || !held && err != nil {
			t.Fatalf("step %d, %v: %v", i, step.state, err)
		}
		if took := got["shut"] > before; took == step.held {
			t.Fatalf("step %d, %v: events were taken in: %v", i, step.state, took)
		}
		if err := s.Deliver(t.Context(), collector.Delivery{Tenant: open}); err != nil {
			t.Fatal(err)
		}
	}
	if got["open"] != 7 {
		t.Errorf("the other tenant's deliveries: %d of 7", got["open"])
	}
}
