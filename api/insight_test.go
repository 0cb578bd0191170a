package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

func TestSuggest(t *testing.T) {
	s := newWorld().server(t)
	f := func(params, want string, texts ...string) {
		t.Helper()
		got := into[struct {
			Want       string
			Start, End int
			Items      []struct{ Text, Kind string }
		}](t, ask{who: "admin", path: "/api/v1/audit/suggest?" + params}.want(t, s, 200))
		if got.Want != want {
			t.Errorf("%s: wants %s, not %s", params, got.Want, want)
		}
		var all []string
		for _, it := range got.Items {
			all = append(all, it.Text)
		}
		for i, text := range texts {
			if i >= len(all) || all[i] != text {
				t.Errorf("%s: %q, want %q", params, all, texts)
				break
			}
		}
	}
	f("q=act", "field", "activity:", "action:", "actor:", "actor_type:")
	f("q=x%20o", "field", "outcome:", "resource:", "OR")
	f("q=user", "operator", "actor:", "actor=", "actor!=")
	f("q=label.", "label", `"team name":`)
	f("q=actor:a", "value", `"CANARY-alpha actor a "`)
	f("q=actor:a%20action:x&at=7", "value", `"CANARY-alpha actor a action:x"`)
	f("q=label.team:b", "value", `"CANARY-alpha label.team b "`)
	f("q=outcome:f", "value", `"CANARY-alpha outcome f "`)
	f("q=severity:h", "value", "high")
	f("q=time:y", "value", "yesterday")
	f("q=bytes%3E", "value", "1MB")
	f("q=act&limit=1", "field", "activity:")
}

func TestExplain(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	got := into[struct {
		Query, Explain string
		Terms          int
	}](t, ask{who: "auditor", path: "/api/v1/audit/explain?q=" + "time:-24h%20(a%20OR%20-country:de)"}.want(t, s, 200))
	if got.Query != `time:"2026-02-28T12:00:00.000000000Z..2026-03-01T12:00:00.000000000Z" (a OR -country:DE)` || got.Terms != 3 || !strings.Contains(got.Explain, `country is not "DE"`) {
		t.Errorf("%+v", got)
	}
	ask{who: "auditor", path: "/api/v1/audit/explain?q=actr:x"}.wantProblem(t, s, "invalid-query")
	// all that takes q reads times from now
	ask{who: "auditor", path: "/api/v1/audit/events?q=time:today"}.want(t, s, 200)
}

func TestEventAround(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	id := w.events[alpha][1].ID
	type around struct {
		Items []struct{ ID string }
		Index int
	}
	got := into[around](t, ask{who: "admin", path: "/api/v1/audit/events/" + id + "/around"}.want(t, s, 200))
	if len(got.Items) != 3 || got.Index != 1 || got.Items[1].ID != id || got.Items[0].ID != w.events[alpha][0].ID {
		t.Errorf("around: %+v", got)
	}
	got = into[around](t, ask{who: "admin", path: "/api/v1/audit/events/" + id + "/around?same=actor&before=0&after_count=1"}.want(t, s, 200))
	if len(got.Items) != 2 || got.Index != 0 {
		t.Errorf("around: %+v", got)
	}
	ask{who: "admin", path: "/api/v1/audit/events/" + id + "/around?same=session"}.wantProblem(t, s, "bad-request")
	ask{who: "admin", path: "/api/v1/audit/events/" + id + "/around?same=raw"}.wantProblem(t, s, "bad-request")
	ask{who: "admin", path: "/api/v1/audit/events/" + id}.want(t, s, 200)
	// an id with what a path cannot hold
	odd := `a/b%20+?ü`
	w.events[alpha][1].ID = odd
	if e := into[struct{ ID string }](t, ask{who: "admin", path: "/api/v1/audit/events/a%2Fb%2520+%3F%C3%BC"}.want(t, s, 200)); e.ID != odd {
		t.Errorf("%q was found for %q", e.ID, odd)
	}
	ask{who: "admin", path: "/api/v1/audit/events/a/b"}.wantProblem(t, s, "not-found")
}

func TestDiffAndDay(t *testing.T) {
	s := newWorld().server(t)
	type diff struct {
		Fields []struct {
			Field  string
			Values []struct {
				Value, Kind string
				Change      float64
			}
		}
	}
	base := "/api/v1/audit/diff?before_from=2026-03-01T00:00:00Z&before_to=2026-03-02T00:00:00Z&after_from=2026-03-02T00:00:00Z&after_to="
	got := into[diff](t, ask{who: "admin", path: base + "2026-03-03T00:00:00Z&fields=actor"}.want(t, s, 200))
	if len(got.Fields) != 1 || got.Fields[0].Field != "actor" {
		t.Fatalf("%+v", got)
	}
	var kinds []string
	for _, v := range got.Fields[0].Values {
		kinds = append(kinds, v.Kind)
	}
	if fmt.Sprint(kinds) != "[new gone more less same]" || got.Fields[0].Values[0].Change != 1 {
		t.Errorf("%+v", got.Fields)
	}
	ask{who: "admin", path: base + "2026-03-01T00:00:00Z"}.wantProblem(t, s, "bad-request")

	d := into[struct {
		Date        string
		Hours       []struct{ Usual float64 }
		Fields      []struct{ Values []struct{ New *bool } }
		UsualEvents float64 `json:"usual_events"`
	}](t, ask{who: "admin", path: "/api/v1/audit/day?actor=x"}.want(t, s, 200))
	if d.Date != "2026-03-01" || len(d.Hours) != 24 || d.Hours[12].Usual != 3 || d.UsualEvents != 3 || d.Fields[0].Values[0].New == nil || *d.Fields[0].Values[0].New {
		t.Errorf("%+v", d)
	}
	ask{who: "admin", path: "/api/v1/audit/day?actor=x&date=2026-02-31"}.wantProblem(t, s, "bad-request")
}

func TestSavedSearches(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	post := func(body string) ask {
		return ask{who: "auditor", method: "POST", path: "/api/v1/searches", body: body}
	}
	made := into[struct {
		ID, Query string
		Own       bool
	}](t, post(`{"name":"mine","query":"actor:a time:-7d","range":"7d"}`).want(t, s, 201))
	if !made.Own || made.Query != "actor:a time:-7d" {
		t.Errorf("%+v", made)
	}
	post(`{"name":"x","query":"actr:a"}`).wantProblem(t, s, "invalid-query")
	for _, r := range []string{"soon", "7", "d", "0d", "2026-03-01T00:00:00Z..2026-02-01T00:00:00Z"} {
		post(`{"name":"x","query":"","range":"`+r+`"}`).wantProblem(t, s, "bad-request")
	}
	post(`{"name":"y","query":"","range":"2026-03-01T00:00:00Z..2026-04-01T00:00:00Z","shared":true}`).want(t, s, 201)
	n := len(into[struct{ Items []any }](t, ask{who: "auditor", path: "/api/v1/searches"}.want(t, s, 200)).Items)
	others := len(into[struct{ Items []any }](t, ask{who: "admin", path: "/api/v1/searches"}.want(t, s, 200)).Items)
	if n != 3 || others != 2 {
		t.Errorf("the owner sees %d, others %d", n, others)
	}
	ask{who: "auditor", method: "PATCH", path: "/api/v1/searches/" + made.ID, body: `{"range":"","name":"better"}`}.want(t, s, 200)
	ask{who: "auditor", method: "DELETE", path: "/api/v1/searches/" + made.ID}.want(t, s, 204)
	ask{who: "auditor", path: "/api/v1/searches/" + made.ID}.wantProblem(t, s, "not-found")
}

func TestRisk(t *testing.T) {
	a := StoredAlert{Alert: alert.Alert{Score: 80_000, LastSeen: day}, Triage: TriageState{Status: "new"}}
	closed, gone := a, a
	closed.Triage.Status, gone.State = "closed", alert.Retracted
	if r := risk([]StoredAlert{a, closed, gone}, day.Add(riskHalfLife)); r != 40 {
		t.Errorf("risk %v, want 40", r)
	}
	if r := risk([]StoredAlert{a}, day.Add(-time.Hour)); r != 80 {
		t.Errorf("risk %v of what is yet to come", r)
	}
	many := make([]StoredAlert, 100)
	for i := range many {
		many[i] = a
	}
	if r := risk(many, day); r != riskLimit {
		t.Errorf("risk %v, want %v", r, riskLimit)
	}
}

func TestDetectorsAndActivity(t *testing.T) {
	w := newWorld()
	w.alerts[0].Triage = TriageState{Status: "closed", Verdict: "true_positive"}
	s := w.server(t, func(o *Options) {
		o.Detectors = []DetectorEntry{{Name: "rate", Version: "1", Models: "how many", LooksAt: []string{"actor"}}}
	})
	got := into[struct {
		Items []struct {
			Name      string
			Alerts    int
			Precision *float64
			Days      []struct{ Findings int }
			Counts    struct{ Findings int }
		}
	}](t, ask{who: "admin", path: "/api/v1/detectors?days=2"}.want(t, s, 200))
	d := got.Items[0]
	if len(got.Items) != 2 || d.Name != "rate" || d.Alerts != 1 || d.Precision == nil || *d.Precision != 1 || len(d.Days) != 2 || d.Days[1].Findings != 6 || d.Counts.Findings != 6 {
		t.Errorf("%+v", got)
	}
	grid := into[struct {
		Tenants []struct {
			TenantID string `json:"tenant_id"`
			Risk     float64
			Events   []int
		}
	}](t, ask{who: "both", path: "/api/v1/activity?hours=3"}.want(t, s, 200))
	if len(grid.Tenants) != 2 || grid.Tenants[0].TenantID != "beta" || grid.Tenants[0].Risk == 0 || grid.Tenants[1].Risk != 0 || len(grid.Tenants[0].Events) != 3 {
		t.Errorf("%+v", grid)
	}
}
