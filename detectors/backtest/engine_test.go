package backtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/backtest"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/detectors/simulate"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// stored is a store in memory that keeps the order of the real one.
type stored []event.Event

func (s stored) Each(ctx context.Context, id tenant.ID, from, to time.Time, after *backtest.Position, fn func(*event.Event) error) error {
	for i := range s {
		e := s[i]
		switch {
		case e.Tenant != id, e.Time < from.UnixNano(), e.Time >= to.UnixNano():
			continue
		case after != nil && (e.Time < after.Time || e.Time == after.Time && e.ID <= after.ID):
			continue
		}
		if err := errors.Join(ctx.Err(), fn(&e)); err != nil {
			return err
		}
	}
	return nil
}

func (s stored) Count(_ context.Context, id tenant.ID, from, to time.Time) (n uint64, _ error) {
	for _, e := range s {
		if e.Tenant == id && e.Time >= from.UnixNano() && e.Time < to.UnixNano() {
			n++
		}
	}
	return n, nil
}

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func world(t *testing.T) (stored, tenant.ID) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var s stored
	err := simulate.Run(simulate.Options{Seed: seed, Start: start, Tenants: 2, Users: 25, Duration: 8 * 24 * time.Hour, AttacksPerWeek: 14},
		func(e *event.Event) error { s = append(s, *e); return nil }, func(simulate.Truth) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(s, func(a, b event.Event) int {
		if a.Time != b.Time {
			return int(max(-1, min(1, a.Time-b.Time)))
		}
		return strings.Compare(a.ID, b.ID)
	})
	return s, s[0].Tenant
}

func engine(t *testing.T, s backtest.Source) *backtest.Engine {
	t.Helper()
	e, err := backtest.New(backtest.Options{Source: s, WarmUp: 2 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Several policies in one pass give what each gives alone, the lists add up,
// and a run that died and was resumed at any place ends in the same bytes.
func TestOnePassResumedIsUndisturbed(t *testing.T) {
	s, id := world(t)
	e := engine(t, s)
	from, to := start.Add(2*24*time.Hour), start.Add(8*24*time.Hour)
	hideAll := policy.Policy{Budget: 5, Suppressions: []policy.Suppression{
		{ID: "v4", EntityType: "address", From: start, Until: to}, {ID: "users", EntityType: "user", From: start, Until: to},
	}}
	policies := []policy.Policy{{Budget: 5}, {Budget: 1}, hideAll}
	calls := 0
	res, err := e.Run(t.Context(), id, from, to, policies, func(done, total uint64) {
		if done > total {
			t.Fatalf("%d of %d", done, total)
		}
		calls++
	})
	if err != nil {
		t.Fatal(err)
	}
	if res[0].Alerts == 0 || calls < 2 {
		t.Fatalf("nothing was raised: %s", text(t, res[0]))
	}
	if res[1].Alerts > res[0].Alerts {
		t.Errorf("a budget of 1 raises %d, one of 5 %d", res[1].Alerts, res[0].Alerts)
	}
	if res[2].Hidden == 0 || res[2].Missing == 0 {
		t.Errorf("the suppressions hid %d of %d", res[2].Hidden, res[0].Alerts)
	}
	for i, r := range res {
		if f := r.Findings; f.Findings != f.Alerted+f.Folded+f.Suppressed+f.BelowBudget {
			t.Errorf("policy %d: %+v does not add up", i, f)
		}
		alone, err := e.Run(t.Context(), id, from, to, policies[i:i+1], nil)
		if err != nil {
			t.Fatal(err)
		}
		if alone[0].Alerts != r.Alerts || alone[0].Hidden != r.Hidden || alone[0].Findings != r.Findings {
			t.Errorf("policy %d: alone %d alerts and %d hidden, in company %d and %d", i, alone[0].Alerts, alone[0].Hidden, r.Alerts, r.Hidden)
		}
	}
	// Broken off twice: the source fails, the run goes on from the last state.
	q := backtest.Request{Tenant: id, From: from, To: to, Policies: policies}
	var state []byte
	cut := errors.New("the machine died")
	for _, at := range []int{len(s) / 5, len(s) / 2} {
		died := engine(t, dying{s, at, cut})
		_, err := died.Resume(t.Context(), q, backtest.Hooks{SaveEvery: 1500, Save: func(b []byte) error { state = b; return nil }}, state)
		if !errors.Is(err, cut) || state == nil {
			t.Fatalf("the run did not die: %v", err)
		}
	}
	again, err := e.Resume(t.Context(), q, backtest.Hooks{}, state)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := text(t, res), text(t, again); a != b {
		t.Fatalf("resumed, it ends differently:\n%.400s\n%.400s", a, b)
	}
	// A state of another request is of no use, and harmless.
	q.Policies = policies[:2]
	other, err := e.Resume(t.Context(), q, backtest.Hooks{}, state)
	if err != nil || other[1].Alerts != res[1].Alerts {
		t.Fatalf("with a state of another request: %v", err)
	}
}

// dying is a source that fails at its n-th event.
type dying struct {
	stored
	n   int
	err error
}

func (d dying) Each(ctx context.Context, id tenant.ID, from, to time.Time, after *backtest.Position, fn func(*event.Event) error) error {
	limit := d.stored[d.n].Time
	return d.stored.Each(ctx, id, from, to, after, func(e *event.Event) error {
		if e.Time >= limit {
			return d.err
		}
		return fn(e)
	})
}

func TestRequestsAreChecked(t *testing.T) {
	s, id := world(t)
	e := engine(t, s)
	one := []policy.Policy{{Budget: 5}}
	for i, q := range []backtest.Request{
		{From: start, To: start.Add(time.Hour), Policies: one},
		{Tenant: id, From: start, To: start, Policies: one},
		{Tenant: id, From: start, To: start.Add(91 * 24 * time.Hour), Policies: one},
		{Tenant: id, From: start, To: start.Add(time.Hour)},
		{Tenant: id, From: start, To: start.Add(time.Hour), Policies: []policy.Policy{{TimeZone: "Nowhere"}}},
	} {
		if _, err := e.Resume(t.Context(), q, backtest.Hooks{}, nil); !errors.Is(err, backtest.ErrInvalid) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Run(ctx, id, start, start.Add(24*time.Hour), one, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := e.Run(t.Context(), tenant.MustParse("nobody"), start, start.Add(24*time.Hour), one, nil); err != nil {
		t.Errorf("a tenant without events: %v", fmt.Sprint(err))
	}
}
