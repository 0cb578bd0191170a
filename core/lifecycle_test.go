package core_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
)

func TestAlertLife(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.Now = func() time.Time { return now } })
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	a := makeAlerts(acme, 5, 1)
	if _, err := c.Alerts.Upsert(ctx, acme, a); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Alerts.Upsert(ctx, beta, makeAlerts(beta, 5, 1)); err != nil {
		t.Fatal(err)
	}
	progress, closed, tp, low := core.InProgress, core.Closed, core.TruePositive, alert.Low
	links := []core.Link{{URL: "https://tickets.example/7", Title: "ticket"}}
	got, err := c.Alerts.SetTriage(ctx, acme, tests, a[0].ID, core.TriageChange{Status: &progress, Severity: &low, AddTags: []string{"vpn", "case-7", "vpn"}, Links: &links, Comment: "looking"})
	if err != nil || !slices.Equal(got.Tags, []string{"case-7", "vpn"}) || got.Severity != low || len(got.Links) != 1 || got.AcknowledgedAt.IsZero() || !got.ClosedAt.IsZero() {
		t.Fatalf("first change: %+v, %v", got, err)
	}
	page, err := c.Alerts.List(ctx, []tenant.ID{acme}, core.AlertFilter{Severity: []alert.Severity{low}}, nil, 10)
	if err != nil || page.Total != 1 {
		t.Fatalf("by the severity that was set: %d, %v", page.Total, err)
	}
	if got, err = c.Alerts.SetTriage(ctx, acme, tests, a[0].ID, core.TriageChange{Status: &closed, Verdict: &tp}); err != nil || got.ClosedAt.IsZero() {
		t.Fatalf("closing: %+v, %v", got, err)
	}
	// The first change's tags and severity are taken back, the closing stays.
	if _, err = c.Alerts.Undo(ctx, acme, tests, a[0].ID, 2); !errors.Is(err, core.ErrConflict) { // its status has moved on
		t.Fatalf("undo of what has been changed since: %v", err)
	}
	if got, err = c.Alerts.Undo(ctx, acme, tests, a[0].ID, 0); err != nil || got.Status != progress || got.Verdict != "" || !got.ClosedAt.IsZero() {
		t.Fatalf("undo of the latest: %+v, %v", got, err)
	}
	if got, err = c.Alerts.Undo(ctx, acme, tests, a[0].ID, 2); err != nil || got.Status != core.New || len(got.Tags) != 0 || got.Severity != "" {
		t.Fatalf("undo of the first: %+v, %v", got, err)
	}
	h, err := c.Alerts.History(ctx, acme, a[0].ID)
	if err != nil || len(h) != 4 || h[0].Comment != "looking" || !slices.Equal(h[0].To.Tags, []string{"case-7", "vpn"}) || h[3].Undoes != 2 || h[0].To.Severity != low {
		t.Fatalf("history: %+v, %v", h, err)
	}
	for name, ch := range map[string]core.TriageChange{
		"a tag":  {AddTags: []string{""}},
		"a link": {Links: &[]core.Link{{URL: "javascript:alert(1)"}}},
		"text":   {Comment: "a\x00b"},
	} {
		if _, err := c.Alerts.SetTriage(ctx, acme, tests, a[0].ID, ch); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Bulk: per-item results; another tenant's ids are not found.
	b, err := c.Alerts.SetTriageBulk(ctx, acme, tests, []string{a[1].ID, a[2].ID, "nowhere", a[1].ID}, core.AlertFilter{}, core.TriageChange{Status: &closed})
	if err != nil || b.Batch == "" || len(b.Results) != 3 || !b.Results[0].Changed || !errors.Is(b.Results[2].Err, core.ErrNotFound) {
		t.Fatalf("bulk: %+v, %v", b, err)
	}
	f := core.AlertFilter{Status: []core.Status{core.New}}
	if rest, err := c.Alerts.SetTriageBulk(ctx, acme, tests, nil, f, core.TriageChange{AddTags: []string{"x"}}); err != nil || len(rest.Results) != 3 {
		t.Fatalf("bulk by filter: %+v, %v", rest, err)
	}
	if page, err := c.Alerts.List(ctx, []tenant.ID{beta}, f, nil, 10); err != nil || page.Total != 5 || len(page.Items[0].Triage.Tags) != 0 {
		t.Fatalf("a bulk action reached another tenant: %+v, %v", page, err)
	}
	if _, err := c.Alerts.SetTriage(ctx, acme, tests, a[2].ID, core.TriageChange{Status: &progress}); err != nil {
		t.Fatal(err)
	}
	u, err := c.Alerts.UndoBulk(ctx, acme, tests, b.Batch)
	if err != nil || len(u.Results) != 2 || !u.Results[0].Changed || !errors.Is(u.Results[1].Err, core.ErrConflict) {
		t.Fatalf("undo of a bulk action: %+v, %v", u, err)
	}
	if _, err := c.Alerts.UndoBulk(ctx, beta, tests, b.Batch); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("undo through another tenant: %v", err)
	}
	now = now.Add(core.UndoWindow + time.Minute)
	if _, err := c.Alerts.Undo(ctx, acme, tests, a[1].ID, 0); !errors.Is(err, core.ErrConflict) {
		t.Fatalf("undo after the window: %v", err)
	}
}

func TestSLA(t *testing.T) {
	t.Parallel()
	now := time.Now().Add(30 * time.Minute) // of the server: half an hour after the alerts are stored
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.Now = func() time.Time { return now } })
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	a := makeAlerts(acme, 4, 1)
	if _, err := c.Alerts.Upsert(ctx, acme, a); err != nil {
		t.Fatal(err)
	}
	closed, progress := core.Closed, core.InProgress
	for i, ch := range []core.TriageChange{{Status: &closed}, {Status: &progress}} {
		if _, err := c.Alerts.SetTriage(ctx, acme, tests, a[i].ID, ch); err != nil {
			t.Fatal(err)
		}
	}
	sum := func(scope ...tenant.ID) (s core.SLAFigures) {
		t.Helper()
		figures, err := c.Alerts.SLA(ctx, scope, now.Add(-48*time.Hour), now.Add(48*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range figures { // of one or, around midnight, two days
			s.Raised += f.Raised
			s.AckWithin += f.AckWithin
			s.AckLate += f.AckLate
			s.CloseWithin += f.CloseWithin
			s.CloseLate += f.CloseLate
		}
		return s
	}
	if got := sum(acme, beta); got != (core.SLAFigures{Raised: 4, AckWithin: 2, CloseWithin: 1}) {
		t.Fatalf("within an hour: %+v", got)
	}
	if err := c.Alerts.SetSLATargets(ctx, acme, tests, []core.SLATarget{{Severity: alert.High, AckMinutes: 5, CloseMinutes: 10}}); err != nil {
		t.Fatal(err)
	}
	if got := sum(acme); got != (core.SLAFigures{Raised: 4, AckWithin: 2, AckLate: 2, CloseWithin: 1, CloseLate: 3}) {
		t.Fatalf("against five minutes: %+v", got)
	}
	if got := sum(beta); got != (core.SLAFigures{}) {
		t.Fatalf("another tenant's: %+v", got)
	}
	if targets, err := c.Alerts.SLATargets(ctx, acme); err != nil || targets[1] != (core.SLATarget{Severity: alert.High, AckMinutes: 5, CloseMinutes: 10}) || targets[0].AckMinutes != 15 {
		t.Fatalf("targets: %+v, %v", targets, err)
	}
	if err := c.Alerts.SetSLATargets(ctx, acme, tests, []core.SLATarget{{Severity: alert.High, AckMinutes: 10, CloseMinutes: 5}}); !errors.Is(err, core.ErrInvalid) {
		t.Fatalf("closing before acknowledging: %v", err)
	}
}

func TestSuppressions(t *testing.T) {
	t.Parallel()
	c, db := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	checkCatalogueOf(t, db.AdminDSN)
	ctx := t.Context()
	a := makeAlerts(acme, 4, 1)
	for i := range a {
		a[i].Entity.ID = "backup@acme.example"
	}
	for _, x := range [][]alert.Alert{a, makeAlerts(beta, 4, 1)} {
		if _, err := c.Alerts.Upsert(ctx, x[0].Tenant, x); err != nil {
			t.Fatal(err)
		}
	}
	office := netip.MustParsePrefix("203.0.113.0/24")
	match := func(_ context.Context, id tenant.ID, ids []string, s policy.Suppression) (bool, error) {
		return id == acme && s.Network == office && slices.Contains(ids, "e1"), nil
	}
	n := core.Suppression{Suppression: policy.Suppression{Detector: "rate", EntityType: "user", EntityID: "backup@acme.example", Until: time.Now().Add(24 * time.Hour)},
		Owner: "ana@soc.example", Reason: "nightly backup"}
	for name, change := range map[string]func(*core.Suppression){
		"no owner":             func(s *core.Suppression) { s.Owner = " " },
		"no reason":            func(s *core.Suppression) { s.Reason = "" },
		"no expiry":            func(s *core.Suppression) { s.Until = time.Time{} },
		"expired":              func(s *core.Suppression) { s.Until = time.Now().Add(-time.Hour) },
		"for ever":             func(s *core.Suppression) { s.Until = time.Now().Add(1000 * 24 * time.Hour) },
		"a detector alone":     func(s *core.Suppression) { s.EntityID, s.EntityType = "", "" },
		"half an entity":       func(s *core.Suppression) { s.EntityType = "" },
		"all actions":          func(s *core.Suppression) { s.Action = "*" },
		"a star in the middle": func(s *core.Suppression) { s.Action = "file.*.read" },
		"the whole internet":   func(s *core.Suppression) { s.Network = netip.MustParsePrefix("0.0.0.0/0") },
	} {
		bad := n
		change(&bad)
		if _, _, err := c.Suppressions.Create(ctx, tests, acme, bad, match); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s is accepted: %v", name, err)
		}
	}
	preview, err := c.Suppressions.Preview(ctx, acme, n.Suppression, core.PreviewPeriod, match)
	if err != nil || preview.Hidden != 4 || preview.Scanned != 4 || len(preview.Confirmed) != 0 {
		t.Fatalf("preview: %+v, %v", preview, err)
	}
	other := n.Suppression
	other.Detector = "novelty" // contributed, but not most
	if p, err := c.Suppressions.Preview(ctx, acme, other, core.PreviewPeriod, match); err != nil || p.Hidden != 0 {
		t.Fatalf("another detector: %+v, %v", p, err)
	}
	for network, want := range map[string]int{"203.0.113.0/24": 4, "198.51.100.0/24": 0} {
		s := policy.Suppression{Network: netip.MustParsePrefix(network)}
		if p, err := c.Suppressions.Preview(ctx, acme, s, core.PreviewPeriod, match); err != nil || p.Hidden != want {
			t.Errorf("network %s: %+v, %v", network, p, err)
		}
	}
	tp, closed := core.TruePositive, core.Closed
	if _, err := c.Alerts.SetTriage(ctx, acme, tests, a[2].ID, core.TriageChange{Status: &closed, Verdict: &tp}); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.Suppressions.Create(ctx, tests, acme, n, match); !errors.Is(err, core.ErrConfirmed) || len(p.Confirmed) != 1 || p.Confirmed[0] != a[2].ID {
		t.Fatalf("it would hide a confirmed one: %+v, %v", p.Confirmed, err)
	}
	n.Override = "that was the drill of March"
	s, _, err := c.Suppressions.Create(ctx, tests, acme, n, match)
	if err != nil || s.Override == "" {
		t.Fatal(err)
	}
	force, err := c.Suppressions.InForce(ctx)
	if err != nil || len(force) != 1 || len(force[acme]) != 1 || force[acme][0].ID != s.ID || force[acme][0].EntityID != n.EntityID {
		t.Fatalf("in force: %+v, %v", force, err)
	}

	// What it hides is counted once, searchable, and nobody else's.
	hidden := []core.HiddenAlert{{Alert: a[0], Suppression: s.ID}, {Alert: a[1], Suppression: s.ID}}
	for range 2 {
		if err := c.Suppressions.Hide(ctx, acme, hidden); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Suppressions.Hide(ctx, beta, hidden); !errors.Is(err, core.ErrInvalid) {
		t.Fatalf("another tenant's alerts: %v", err)
	}
	stray := makeAlerts(beta, 1, 1)
	if err := c.Suppressions.Hide(ctx, beta, []core.HiddenAlert{{Alert: stray[0], Suppression: s.ID}}); err != nil {
		t.Fatal(err)
	}
	list, err := c.Suppressions.List(ctx, []tenant.ID{acme, beta})
	if err != nil || len(list) != 1 || list[0].Hits != 2 || !list[0].LastHit.Equal(a[1].RaisedAt) || list[0].Tenant != acme {
		t.Fatalf("list: %+v, %v", list, err)
	}
	if got, err := c.Suppressions.Hidden(ctx, []tenant.ID{acme}, s.ID, "BACKUP", 10); err != nil || len(got) != 2 || got[0].Alert.ID != a[1].ID {
		t.Fatalf("hidden: %+v, %v", got, err)
	}
	if _, err := c.Suppressions.Hidden(ctx, []tenant.ID{beta}, s.ID, "", 10); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("another tenant's suppression: %v", err)
	}
	if got, err := c.Suppressions.Hidden(ctx, []tenant.ID{beta}, "", "", 10); err != nil || len(got) != 0 {
		t.Fatalf("what is hidden of another tenant: %+v, %v", got, err)
	}
	if err := c.Suppressions.End(ctx, tests, beta, s.ID); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("ended by another tenant: %v", err)
	}
	if err := c.Suppressions.End(ctx, tests, acme, s.ID); err != nil {
		t.Fatal(err)
	}
	if force, err := c.Suppressions.InForce(ctx); err != nil || len(force) != 0 {
		t.Fatalf("after its end: %+v, %v", force, err)
	}
}

// checkCatalogueOf holds the new tables against their classification.
func checkCatalogueOf(t *testing.T, dsn string) {
	t.Helper()
	problems, err := core.CheckCatalogueDSN(context.Background(), dsn)
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
}
