package core_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// A job passes from queue to worker to result; who died leaves state and lease
// to the next; another tenant sees none of it.
func TestBacktests(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx, b := t.Context(), c.Backtests()
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	job, err := b.Create(ctx, tests, acme, core.Backtest{Name: "half the budget", From: from, To: from.AddDate(0, 0, 30), Policies: json.RawMessage(`[{"label":"current"}]`)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	w, ok, err := b.Claim(ctx, "one", now, now.Add(time.Minute))
	if err != nil || !ok || w.ID != job.ID || w.Tenant != acme || w.State != nil || !w.From.Equal(from) || string(w.Policies) != `[{"label":"current"}]` {
		t.Fatalf("claimed %+v %v %v", w, ok, err)
	}
	if _, ok, err := b.Claim(ctx, "two", now, now.Add(time.Minute)); ok || err != nil {
		t.Fatalf("a second worker got it too: %v", err)
	}
	if err := b.Step(ctx, w, "one", now.Add(time.Minute), 500, 1000, []byte("half")); err != nil {
		t.Fatal(err)
	}
	if err := b.Step(ctx, w, "two", now.Add(time.Hour), 900, 1000, nil); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("who has no lease went on: %v", err)
	}
	later := now.Add(2 * time.Minute) // the first worker died
	w, ok, err = b.Claim(ctx, "two", later, later.Add(time.Minute))
	if err != nil || !ok || string(w.State) != "half" || w.Done != 500 {
		t.Fatalf("the next worker has %+v %v %v", w, ok, err)
	}
	if err := b.Finish(ctx, w, "one", later, json.RawMessage(`[]`), ""); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("the dead one finished it: %v", err)
	}
	if err := b.Finish(ctx, w, "two", later, json.RawMessage(`[{"alerts":3}]`), ""); err != nil {
		t.Fatal(err)
	}
	got, err := b.Get(ctx, []tenant.ID{acme}, job.ID)
	if err != nil || got.Status != core.BacktestDone || string(got.Results) != `[{"alerts":3}]` || got.FinishedAt.IsZero() || got.Done != 500 {
		t.Fatalf("%+v %v", got, err)
	}
	// Foreign eyes and hands.
	if _, err := b.Get(ctx, []tenant.ID{beta}, job.ID); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("another tenant reads it: %v", err)
	}
	if list, err := b.List(ctx, []tenant.ID{beta}); err != nil || len(list) != 0 {
		t.Errorf("another tenant lists %d: %v", len(list), err)
	}
	if err := b.Delete(ctx, tests, beta, job.ID); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("another tenant deletes it: %v", err)
	}
	if list, err := b.List(ctx, []tenant.ID{acme, beta}); err != nil || len(list) != 1 || list[0].Results != nil {
		t.Errorf("listed %+v: %v", list, err)
	}
	if err := b.Delete(ctx, tests, acme, job.ID); err != nil {
		t.Error(err)
	}
	if _, err := b.Get(ctx, []tenant.ID{acme}, "no id"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("an id of another form: %v", err)
	}
}

// A job that kills its workers does not do so forever, and nobody queues
// without end.
func TestBacktestsAreBounded(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme)
	ctx, b := t.Context(), c.Backtests()
	n := core.Backtest{From: time.Unix(0, 0), To: time.Unix(3600, 0), Policies: json.RawMessage(`[]`)}
	var first core.Backtest
	for i := range 6 {
		x, err := b.Create(ctx, tests, acme, n)
		if i == 0 {
			first = x
		}
		if i < 5 && err != nil || i == 5 && !errors.Is(err, core.ErrInvalid) {
			t.Fatalf("job %d: %v", i, err)
		}
	}
	now := time.Now()
	for i := range 6 {
		now = now.Add(time.Hour)
		w, ok, err := b.Claim(ctx, "w", now, now.Add(time.Minute))
		if err != nil || ok != (i < 5) || ok && w.ID != first.ID {
			t.Fatalf("claim %d: %v %v %v", i, w.ID, ok, err)
		}
	}
	if got, err := b.Get(ctx, []tenant.ID{acme}, first.ID); err != nil || got.Status != core.BacktestFailed || got.Error == "" {
		t.Fatalf("%+v %v", got, err)
	}
}
