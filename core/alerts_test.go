package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

var day = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// makeAlerts gives n alerts, an hour apart, at one revision.
func makeAlerts(id tenant.ID, n int, revision uint32) []alert.Alert {
	out := make([]alert.Alert, n)
	for i := range out {
		at := day.Add(time.Duration(i) * time.Hour)
		out[i] = alert.Alert{
			ID: fmt.Sprintf("0195a000-0000-7000-8000-%012d", i), Tenant: id,
			Entity: alert.Entity{Type: alert.User, ID: fmt.Sprintf("user%d@%s.example", i, id)}, Related: []alert.Entity{{Type: alert.Address, ID: "203.0.113.7"}},
			FirstSeen: at.Add(-time.Hour), LastSeen: at, RaisedAt: at, Score: 87_125, Severity: alert.High, PValue: 1e-320,
			Detectors: []alert.Contribution{{Name: "rate", Version: "1", Contribution: 80_000, Observed: 40, Expected: 2.5, PValue: 1e-9},
				{Name: "novelty", Version: "1", Contribution: 7_125, Observed: 1, Expected: 0.01, PValue: 1e-3}},
			Technique: []string{"T1110.001"}, Count: 40, EventIDs: []string{"e1", "e2"}, Title: "Many failed sign-ins",
			Reason: "40 against 2.5 expected", Counterfactual: "at most 6 would not have fired", BaselineHash: "abc",
			State: alert.Raised, Revision: revision, Plots: []alert.Plot{{Detector: "rate", Points: []alert.PlotPoint{{Time: at, Observed: 40}}}},
		}
		if revision > 1 {
			out[i].State = alert.Amended
		}
	}
	return out
}

func TestUpsertIsIdempotent(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme)
	ctx := t.Context()
	upsert := func(in []alert.Alert, want ...uint64) []alert.Alert {
		t.Helper()
		got, err := c.Alerts.Upsert(ctx, acme, in)
		if err != nil {
			t.Fatal(err)
		}
		var seqs []uint64
		for _, a := range got {
			seqs = append(seqs, a.Seq)
		}
		if !cmp.Equal(seqs, want) {
			t.Fatalf("stored as %v, want %v", seqs, want)
		}
		return got
	}
	first := makeAlerts(acme, 3, 1)
	stored := upsert(first, 1, 2, 3)
	upsert(first)                                              // a repeat
	second := makeAlerts(acme, 2, 2)                           // of the first two
	upsert(append(makeAlerts(acme, 4, 1), second...), 4, 5, 6) // the fourth alert is new, three are repeats, two new revisions
	upsert(first)                                              // an older revision
	upsert([]alert.Alert{second[0], second[0]})                // twice in one call
	third := makeAlerts(acme, 1, 3)
	upsert([]alert.Alert{third[0], third[0], second[0]}, 7) // newest first

	got, err := c.Alerts.Get(ctx, []tenant.ID{acme}, first[2].ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stored[2], got.Alert, cmp.AllowUnexported(tenant.ID{})); diff != "" {
		t.Errorf("the alert came back changed:\n%s", diff)
	}
	if got, err = c.Alerts.Get(ctx, []tenant.ID{acme}, first[0].ID); err != nil || got.Revision != 3 || got.Seq != 7 || got.State != alert.Amended {
		t.Errorf("latest revision: %+v, %v", got.Alert, err)
	}
}

func TestFeedIsGapFreeAndChained(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.MaxConns = 8 })
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	const writers, each = 8, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for i := range each {
				id := []tenant.ID{acme, beta}[i%2]
				a := makeAlerts(id, 2, 1)
				for n := range a {
					a[n].ID = fmt.Sprintf("w%d-%d-%d", w, i, n)
				}
				wctx, cancel := context.WithCancel(ctx)
				if r.IntN(4) == 0 {
					go cancel() // at some point of the transaction
				}
				_, err := c.Alerts.Upsert(wctx, id, a)
				if err != nil && wctx.Err() == nil {
					t.Error(err)
				}
				cancel()
				if _, err := c.Alerts.Upsert(ctx, id, a); err != nil { // again, as after a crash
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, id := range []tenant.ID{acme, beta} {
		prev := make([]byte, 32)
		var seq uint64
		seen := make(map[string]bool)
		for {
			page, err := c.Alerts.After(ctx, id, seq, 37)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				a, err := r.Alert()
				if err != nil {
					t.Fatal(err)
				}
				if r.Seq != seq+1 || a.Seq != r.Seq || a.Tenant != id || seen[a.ID] || len(a.Plots) != 0 {
					t.Fatalf("after %d: seq %d, in the alert %d of %s, seen before %v", seq, r.Seq, a.Seq, a.Tenant, seen[a.ID])
				}
				if !bytes.Equal(r.PrevHash, prev) || !bytes.Equal(r.Hash, core.ChainHash(prev, r.Document)) {
					t.Fatalf("seq %d does not follow the one before", r.Seq)
				}
				seen[a.ID], prev, seq = true, r.Hash, r.Seq
			}
		}
		if seq != writers*each {
			t.Errorf("%s: %d revisions, want %d", id, seq, writers*each)
		}
	}
}

func TestUpsertRefuses(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	f := func(what string, change func(*alert.Alert), want error) {
		t.Helper()
		a := makeAlerts(acme, 2, 1)
		change(&a[1])
		if got, err := c.Alerts.Upsert(t.Context(), acme, a); !errors.Is(err, want) || got != nil {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	f("another tenant's", func(a *alert.Alert) { a.Tenant = beta }, core.ErrInvalid)
	f("parts that do not add up", func(a *alert.Alert) { a.Score++ }, core.ErrInvalid)
	f("no id", func(a *alert.Alert) { a.ID = "" }, core.ErrInvalid)
	f("an id with U+0000", func(a *alert.Alert) { a.ID = "a\x00" }, core.ErrInvalid)
	if _, err := c.Alerts.Upsert(t.Context(), tenant.ID{}, makeAlerts(acme, 1, 1)); !errors.Is(err, tenant.ErrZero) {
		t.Errorf("no tenant: %v", err)
	}
	if p, err := c.Alerts.List(t.Context(), []tenant.ID{acme}, core.AlertFilter{}, nil, 0); err != nil || p.Total != 0 {
		t.Errorf("something was stored all the same: %d, %v", p.Total, err)
	}
}

// TestHostileText: what an event holds verbatim must neither be lost nor stop
// the feed.
func TestHostileText(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme)
	a := makeAlerts(acme, 1, 1)
	a[0].Entity.ID = "nul\x00'; drop table alerts; -- \u202e<script>"
	a[0].Title = "bad \xff byte"
	if _, err := c.Alerts.Upsert(t.Context(), acme, a); err != nil {
		t.Fatal(err)
	}
	got, err := c.Alerts.Get(t.Context(), []tenant.ID{acme}, a[0].ID)
	if err != nil || got.Entity.ID != a[0].Entity.ID {
		t.Fatalf("entity %q came back as %q, %v", a[0].Entity.ID, got.Entity.ID, err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	gamma := tenant.MustParse("gamma")
	makeTenants(t, c, acme, beta, gamma)
	ctx := t.Context()
	for _, id := range []tenant.ID{acme, beta, gamma} {
		a := makeAlerts(id, 10, 1)
		a[3].Severity, a[4].Severity, a[5].Title = alert.Critical, alert.Critical, "Impossible TRAVEL of 100%"
		a[9].State = alert.Retracted
		if _, err := c.Alerts.Upsert(ctx, id, a); err != nil {
			t.Fatal(err)
		}
	}
	closed := core.Closed
	if _, err := c.Alerts.SetTriage(ctx, acme, tests, makeAlerts(acme, 10, 1)[3].ID, core.TriageChange{Status: &closed}); err != nil {
		t.Fatal(err)
	}
	both := []tenant.ID{acme, beta}
	// Paging gives each alert once, newest first, and nothing of gamma.
	var got []string
	var after *core.AlertPosition
	last := day.Add(1000 * time.Hour)
	for {
		p, err := c.Alerts.List(ctx, both, core.AlertFilter{}, after, 4)
		if err != nil {
			t.Fatal(err)
		}
		if p.Total != 18 {
			t.Fatalf("total %d, want 18", p.Total)
		}
		for _, a := range p.Items {
			if a.RaisedAt.After(last) || a.Tenant == gamma {
				t.Fatalf("%s of %s out of place", a.ID, a.Tenant)
			}
			last = a.RaisedAt
			got = append(got, a.Tenant.String()+a.ID)
		}
		if after = p.Next; after == nil {
			break
		}
	}
	unique := make(map[string]bool)
	for _, g := range got {
		unique[g] = true
	}
	if len(got) != 18 || len(unique) != 18 {
		t.Fatalf("%d alerts over the pages, %d different, want 18", len(got), len(unique))
	}
	f := func(what string, scope []tenant.ID, filter core.AlertFilter, want int64) {
		t.Helper()
		p, err := c.Alerts.List(ctx, scope, filter, nil, 0)
		if err != nil || p.Total != want || int64(len(p.Items)) != want {
			t.Errorf("%s: %d alerts (total %d), want %d; %v", what, len(p.Items), p.Total, want, err)
		}
	}
	f("no tenant", nil, core.AlertFilter{}, 0)
	f("one tenant", both[:1], core.AlertFilter{}, 9)
	f("with retracted", both, core.AlertFilter{Retracted: true}, 20)
	f("severity", both, core.AlertFilter{Severity: []alert.Severity{alert.Critical, alert.Low}}, 4)
	f("status", both, core.AlertFilter{Status: []core.Status{core.Closed}}, 1)
	f("text, any case", both, core.AlertFilter{Text: "impossible travel"}, 2)
	f("text is no pattern", both, core.AlertFilter{Text: "100%"}, 2)
	f("text is no pattern 2", both, core.AlertFilter{Text: "1_0"}, 0)
	f("entity", both, core.AlertFilter{EntityType: alert.User, EntityID: "user2@beta.example"}, 1)
	f("time", both, core.AlertFilter{From: day.Add(time.Hour), To: day.Add(3 * time.Hour)}, 4)

	if _, err := c.Alerts.Get(ctx, both[1:], "nothing"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("a missing alert: %v", err)
	}
	if heads, err := c.Alerts.Heads(ctx, []tenant.ID{beta}); err != nil || len(heads) != 1 || heads[beta] != 10 {
		t.Errorf("heads %v, %v", heads, err)
	}
	n, err := c.Alerts.Counts(ctx, both)
	want := core.AlertCounts{Open: map[alert.Severity]int64{alert.High: 14, alert.Critical: 3}, ByStatus: map[core.Status]int64{core.New: 17, core.Closed: 1}}
	if err != nil || !cmp.Equal(n, want) {
		t.Errorf("counts %+v, want %+v; %v", n, want, err)
	}
	raised, err := c.Alerts.RaisedIn(ctx, both, day, day.Add(24*time.Hour))
	if err != nil || raised[acme] != 9 || raised[beta] != 9 || len(raised) != 2 {
		t.Errorf("raised %v, %v", raised, err)
	}
}
