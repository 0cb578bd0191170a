package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// rows are a tenant's trail as "action detail", oldest first.
func rows(t *testing.T, c *core.Core, id tenant.ID, action string) (out []map[string]any) {
	t.Helper()
	list, err := c.Audit.List(t.Context(), id, "", 500)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	for _, e := range list {
		if e.Action != action {
			continue
		}
		d := map[string]any{}
		if err := json.Unmarshal(e.Detail, &d); err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

func TestNotesAreFolded(t *testing.T) {
	t.Parallel()
	clk := newClock()
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.Now = clk.now })
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	ana := access.Actor{Kind: access.KindOperator, ID: "1", Name: "ana@soc.example"}
	note := func(by access.Actor, what string, ids ...tenant.ID) {
		t.Helper()
		if err := c.Audit.Note(ctx, core.Note{By: by, Tenants: ids, Action: core.ReadAction, What: what, Address: "192.0.2.1"}); err != nil {
			t.Fatal(err)
		}
	}
	note(ana, "searchEvents", acme)
	if got := rows(t, c, acme, core.ReadAction); len(got) != 1 || got[0]["what"] != "searchEvents" {
		t.Fatalf("the first read has to be written before it is answered: %v", got)
	}
	for range 10 {
		note(ana, "getFacets", acme)
	}
	note(ana, "listAlerts", acme, beta)
	note(access.Actor{Kind: access.KindOperator, ID: "2", Name: "rea@soc.example"}, "searchEvents", acme)
	if got := rows(t, c, acme, core.ReadAction); len(got) != 2 { // one of each person
		t.Fatalf("within the minute: %v", got)
	}
	if got := rows(t, c, beta, core.ReadAction); len(got) != 1 {
		t.Fatalf("the other tenant has a trail of its own: %v", got)
	}
	if err := c.Audit.FlushNotes(ctx, false); err != nil || len(rows(t, c, acme, core.ReadAction)) != 2 {
		t.Fatalf("the minute is not over: %v", err)
	}
	clk.advance(2 * time.Minute)
	if err := c.Audit.FlushNotes(ctx, false); err != nil {
		t.Fatal(err)
	}
	got := rows(t, c, acme, core.ReadAction)
	if len(got) != 3 || got[2]["count"] != 11.0 || got[2]["what"] != "getFacets ×10, listAlerts ×1" {
		t.Fatalf("after the minute: %v", got)
	}
	note(ana, "searchEvents", acme)
	if got := rows(t, c, acme, core.ReadAction); len(got) != 4 {
		t.Fatalf("a new minute begins with a row: %v", got)
	}
	// Refusals are kept apart by what was refused.
	for _, what := range []string{"createKey", "deleteKey", "createKey"} {
		if err := c.Audit.Note(ctx, core.Note{By: ana, Tenants: []tenant.ID{acme}, Action: "access.deny", What: what}); err != nil {
			t.Fatal(err)
		}
	}
	if got := rows(t, c, acme, "access.deny"); len(got) != 2 {
		t.Fatalf("refusals: %v", got)
	}
}

// TestRelay: each row is handed on until somebody took it, by several relays at
// once, and never by both when both succeed.
func TestRelay(t *testing.T) {
	t.Parallel()
	c, db := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	other := openOn(t, db)
	ctx := t.Context()
	const each = 60
	for n := range each {
		for _, id := range []tenant.ID{acme, beta} {
			if err := c.Audit.Record(ctx, id, tests, "test.row", fmt.Sprint(n), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	broken := errors.New("the log is away")
	if n, err := c.Audit.Relay(ctx, 10, func(context.Context, []core.AuditEntry) error { return broken }); n != 0 || !errors.Is(err, broken) {
		t.Fatalf("a failed relay: %d, %v", n, err)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	take := func(_ context.Context, list []core.AuditEntry) error {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range list {
			if e.Tenant != acme && e.Tenant != beta {
				t.Errorf("row of %q", e.Tenant)
			}
			seen[e.Tenant.String()+e.ID]++
		}
		return nil
	}
	var wg sync.WaitGroup
	for _, c := range []*core.Core{c, other} {
		wg.Go(func() {
			for {
				n, err := c.Audit.Relay(ctx, 7, take)
				if err != nil {
					t.Error(err)
				}
				if n == 0 || err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for {
		n, err := c.Audit.Relay(ctx, 500, take) // what a relay skipped while the other held it
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if want := 2*each + 2; len(seen) != want { // and two tenant.create
		t.Errorf("%d rows were relayed, want %d", len(seen), want)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was relayed %d times", id, n)
		}
	}
	// The operator's own trail is apart.
	n, err := c.Audit.RelayOperator(ctx, 100, func(_ context.Context, list []core.AuditEntry) error {
		for _, e := range list {
			if !e.Tenant.IsZero() {
				t.Errorf("an operator's row of %s", e.Tenant)
			}
		}
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("operator's rows: %d, %v", n, err)
	}
}

// TestGrantsAreInTheTenantsTrail: who may see a tenant is the tenant's to know.
func TestGrantsAreInTheTenantsTrail(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	p, err := c.Identity.CreateOperator(t.Context(), tests, core.NewPerson{Email: "ana@soc.example", Password: password, Role: access.SOCAnalyst, Tenants: []tenant.ID{acme}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Identity.Ungrant(t.Context(), tests, p.ID, acme, beta); err != nil {
		t.Fatal(err)
	}
	if g, u := rows(t, c, acme, "operator.grant"), rows(t, c, acme, "operator.ungrant"); len(g) != 1 || len(u) != 1 {
		t.Errorf("acme's trail: %v, %v", g, u)
	}
	if g, u := rows(t, c, beta, "operator.grant"), rows(t, c, beta, "operator.ungrant"); len(g)+len(u) != 0 {
		t.Errorf("beta had nothing to do with it: %v, %v", g, u)
	}
}
