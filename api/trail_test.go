package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/core/access"
)

// unseen are the operations over a set that show no tenant's own data.
var unseen = []string{"getOverview", "listTenants", "streamAlerts", "listDetectors", "getActivity"}

// TestOperatorsReadsAreNoted: whatever shows an operator a tenant's data is in
// that tenant's trail, and in nobody else's; a tenant's own people leave none.
func TestOperatorsReadsAreNoted(t *testing.T) {
	for _, r := range Routes() {
		if r.Method != http.MethodGet || !slices.Contains(shown, r.Permission) || r.Operation == "streamAlerts" {
			continue
		}
		reads := func(who, inQuery string) (of []string) {
			w := newWorld()
			rec := shot(r, who, alphaID, inQuery, "").once(t, w.server(t))
			if rec.Code >= 300 {
				return []string{"refused"}
			}
			for _, n := range w.noted {
				if n.Action != NoteDeny && n.Operation == r.Operation && n.by == strings.TrimPrefix(who, "cookie:") {
					of = append(of, n.of.String())
				}
			}
			return of
		}
		p := newWorld().tokens["token-analyst"]
		if !p.Can(r.Permission) {
			p = newWorld().tokens["token-platform"]
		}
		who := p.ID
		if got := reads(who, "alpha"); !slices.Equal(got, []string{"alpha"}) && !slices.Contains(unseen, r.Operation) && !slices.Equal(got, []string{"refused"}) {
			t.Errorf("%s of alpha as %s: noted %v", r.Operation, who, got)
		}
		if r.Tenancy == TenancySet && !slices.Contains(unseen, r.Operation) {
			if got := reads(who, ""); !slices.Contains(got, "alpha") && !slices.Equal(got, []string{"refused"}) {
				t.Errorf("%s of a set as %s: noted %v: its handler has to call saw with the tenants in its answer, or the operation shows none (unseen)", r.Operation, who, got)
			}
		}
		if got := reads("auditor", ""); len(got) > 0 && got[0] != "refused" && r.Permission != access.EventsExport {
			t.Errorf("%s as its own auditor: noted %v", r.Operation, got)
		}
	}
}

// TestReadWaitsForTheTrail: what cannot be written down is not shown.
func TestReadWaitsForTheTrail(t *testing.T) {
	w := newWorld()
	w.trailErr = errBroken
	s := w.server(t)
	for _, path := range []string{"/api/v1/audit/events?tenant_id=alpha", "/api/v1/alerts/" + alphaID, "/api/v1/alerts", "/api/v1/audit/export?format=csv&tenant_id=alpha"} {
		if rec := (ask{who: "analyst", path: path}).do(t, s); rec.Code != 500 || strings.Contains(rec.Body.String(), "CANARY") {
			t.Errorf("%s without a trail: %d %s", path, rec.Code, rec.Body)
		}
	}
	// The control: who needs no note is served.
	ask{who: "auditor", path: "/api/v1/audit/events"}.want(t, s, 200)
}

func TestRefusalsAreNoted(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	ask{who: "auditor", method: "POST", path: "/api/v1/keys", body: `{"name":"k","kind":"ingest"}`}.want(t, s, 403)
	ask{who: "reader", path: "/api/v1/audit/export?format=csv&tenant_id=alpha"}.want(t, s, 403)
	ask{who: "reader", path: "/api/v1/audit/export?format=csv&tenant_id=beta"}.want(t, s, 403)
	ask{who: "cookie:admin", method: "POST", path: "/api/v1/keys", body: `{"name":"k","kind":"ingest"}`, header: map[string]string{"X-CSRF-Token": "no"}}.want(t, s, 403)
	ask{who: "auditor", path: "/api/v1/audit/events"}.want(t, s, 200)
	var got []string
	for _, n := range w.noted {
		got = append(got, n.by+" "+n.of.String()+" "+n.Action+" "+n.Operation)
	}
	want := []string{"auditor alpha access.deny createKey", "reader alpha access.deny exportEvents",
		"reader  access.deny exportEvents", // beta is not told that somebody asked: he does not see it
		"admin alpha access.deny createKey"}
	if !slices.Equal(got, want) {
		t.Errorf("noted:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
