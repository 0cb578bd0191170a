package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func TestTriage(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	a := makeAlerts(acme, 1, 1)
	if _, err := c.Alerts.Upsert(ctx, acme, a); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Alerts.Get(ctx, []tenant.ID{acme}, a[0].ID); err != nil || !cmp.Equal(s.Triage, core.Triage{Status: core.New, Version: 1}) {
		t.Fatalf("untouched: %+v, %v", s.Triage, err)
	}
	progress, closed, tp, none, who := core.InProgress, core.Closed, core.TruePositive, core.Verdict(""), "ana@soc.example"
	set := func(ch core.TriageChange) (core.Triage, error) {
		return c.Alerts.SetTriage(ctx, acme, tests, a[0].ID, ch)
	}
	got, err := set(core.TriageChange{Status: &progress, Assignee: &who, Version: 1})
	if err != nil || got.Status != progress || got.Assignee != who || got.Version != 2 {
		t.Fatalf("first change: %+v, %v", got, err)
	}
	if _, err := set(core.TriageChange{Status: &closed, Version: 1}); !errors.Is(err, core.ErrConflict) {
		t.Fatalf("a change of an old version: %v", err)
	}
	if got, err = set(core.TriageChange{Status: &progress, Version: 2}); err != nil || got.Version != 2 {
		t.Fatalf("a change that changes nothing: %+v, %v", got, err)
	}
	if got, err = set(core.TriageChange{Status: &closed, Verdict: &tp}); err != nil || got.Verdict != tp || got.Version != 3 {
		t.Fatalf("closing: %+v, %v", got, err)
	}
	if got, err = set(core.TriageChange{Verdict: &none}); err != nil || got.Verdict != "" || got.Version != 4 {
		t.Fatalf("taking the verdict back: %+v, %v", got, err)
	}
	bad := core.Status("done")
	if _, err := set(core.TriageChange{Status: &bad}); !errors.Is(err, core.ErrInvalid) {
		t.Fatalf("an unknown status: %v", err)
	}
	if _, err := c.Alerts.SetTriage(ctx, beta, tests, a[0].ID, core.TriageChange{Status: &closed}); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("through another tenant: %v", err)
	}
	h, err := c.Alerts.History(ctx, acme, a[0].ID)
	if err != nil || len(h) != 3 || h[1].From.Status != progress || h[1].To.Verdict != tp || h[2].From.Verdict != tp || h[0].Actor != tests {
		t.Fatalf("history: %+v, %v", h, err)
	}
	// A new revision keeps the triage.
	if _, err := c.Alerts.Upsert(ctx, acme, makeAlerts(acme, 1, 2)); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Alerts.Get(ctx, []tenant.ID{acme}, a[0].ID); err != nil || s.Triage.Status != closed || s.Triage.Version != 4 || s.Revision != 2 {
		t.Fatalf("after an amendment: %+v, %v", s.Triage, err)
	}
	// Two people at once: one of them wins.
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			name := fmt.Sprintf("p%d", i)
			_, errs[i] = set(core.TriageChange{Assignee: &name, Version: 4})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, core.ErrConflict) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of 8 changes of the same version won", won)
	}
	trail, err := c.Audit.List(ctx, acme, "", 0)
	if err != nil || len(trail) != 5 || trail[0].Action != "alert.triage" || trail[0].Target != a[0].ID {
		t.Errorf("trail: %+v, %v", trail, err)
	}
}

func TestFindingsLedger(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	put := func(position, findings, alerted int64, partition int) error {
		return c.Findings.Put(ctx, acme, []core.FindingCount{{Detector: "rate", Hour: day.Add(17 * time.Minute), Partition: partition, Position: position,
			Findings: findings, Alerted: alerted, BelowBudget: findings - alerted}})
	}
	for _, err := range []error{put(10, 5, 1, 0), put(20, 8, 2, 0), put(10, 5, 1, 0), put(20, 8, 2, 0), put(7, 3, 0, 1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Findings.List(ctx, []tenant.ID{acme, beta}, day, day.Add(time.Hour))
	want := []core.FindingCount{{Tenant: acme, Detector: "rate", Hour: day, Position: 20, Findings: 11, Alerted: 2, BelowBudget: 9}}
	if err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(tenant.ID{})) {
		t.Fatalf("after a replay: %+v, %v", got, err)
	}
	if err := c.Findings.Put(ctx, acme, []core.FindingCount{{Detector: "rate", Hour: day, Findings: 3, Alerted: 1}}); !errors.Is(err, core.ErrInvalid) {
		t.Fatalf("counts that do not add up: %v", err)
	}
	if got, err := c.Findings.List(ctx, []tenant.ID{acme}, time.Time{}, time.Time{}); err != nil || len(got) != 1 {
		t.Fatalf("without bounds: %v, %v", got, err)
	}
	if got, err := c.Findings.List(ctx, []tenant.ID{beta}, day, day.Add(time.Hour)); err != nil || len(got) != 0 {
		t.Fatalf("another tenant's: %v, %v", got, err)
	}
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	c, db := server.Open(t, func(cfg *core.Config) { cfg.Poll = 10 * time.Millisecond })
	makeTenants(t, c, acme, beta)
	ctx, cancel := context.WithCancel(t.Context())
	ch := c.Subscribe(ctx)
	if _, err := c.Alerts.Upsert(ctx, acme, makeAlerts(acme, 3, 1)); err != nil {
		t.Fatal(err)
	}
	if n := <-ch; n != (core.Notification{Tenant: acme, Seq: 3}) {
		t.Fatalf("notified of %+v", n)
	}
	// Another process stores; Run finds out.
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	other := openOn(t, db)
	if _, err := other.Alerts.Upsert(ctx, beta, makeAlerts(beta, 2, 1)); err != nil {
		t.Fatal(err)
	}
	if n := <-ch; n != (core.Notification{Tenant: beta, Seq: 2}) {
		t.Fatalf("notified of %+v", n)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	for range ch { // closed
	}
}
