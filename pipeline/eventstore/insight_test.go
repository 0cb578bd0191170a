package eventstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// TestInsight holds every aggregate against a count by hand over the same
// events.
func TestInsight(t *testing.T) {
	s := open(t)
	var events []event.Event
	hourly := map[int64]float64{}
	perActor := map[string]uint64{}
	var week [168]uint64
	for i := range 500 {
		e := full(acme, i)
		e.Time = noon.Add(time.Duration(i*i) * time.Second).UnixNano()
		e.Actor, e.ActorType = fmt.Sprintf("u%d", i%7), []string{"user", "service"}[i%7/6]
		e.BytesOut = uint64(i)
		e.Labels = []event.Label{{Key: "team name", Value: []string{"red", "blue"}[i%2]}}
		if i >= 250 {
			e.Country = "FR"
		}
		at := e.At()
		hourly[at.Unix()/3600]++
		perActor[e.Actor]++
		week[(int(at.Weekday())+6)%7*24+at.Hour()]++
		events = append(events, e)
	}
	store(t, s, 1, events...)
	ctx := t.Context()

	n, err := s.Totals(ctx, acme, eventstore.Scope{})
	must(t, err)
	if n.Events != 500 || n.First != events[0].At() || n.Last != events[499].At() || n.Days != 4 || n.BytesOut != 499*500/2 || n.Actors != 7 {
		t.Errorf("totals: %+v", n)
	}
	b, err := s.Breakdown(ctx, acme, eventstore.Scope{}, []string{"actor", "country", "label.team name", "status"}, 3)
	must(t, err)
	if len(b) != 4 || len(b["actor"]) != 3 || b["actor"][0].Count != perActor["u0"] || len(b["country"]) != 2 || b["country"][1].First != events[250].At() ||
		b["label.team name"][0].Value != "blue" || b["status"][0].Value != "200" || b["status"][0].Failures != 166 {
		t.Errorf("breakdown: %+v", b)
	}
	if _, err := s.Breakdown(ctx, acme, eventstore.Scope{}, []string{"time"}, 3); !errors.Is(err, eventstore.ErrField) {
		t.Errorf("time was counted: %v", err)
	}
	w, err := s.Week(ctx, acme, eventstore.Scope{})
	must(t, err)
	if w.Events != week {
		t.Errorf("week: %v, want %v", w.Events, week)
	}
	norms, err := s.Norms(ctx, acme, eventstore.Scope{})
	must(t, err)
	largest := 0.0
	for _, v := range hourly {
		largest = max(largest, v)
	}
	if norms.ActiveHours != uint64(len(hourly)) || norms.PerHour[4] != largest || norms.BytesEvent[4] != 499 || norms.Gap[4] != 499*499-498*498 {
		t.Errorf("norms: %+v; %d hours, largest %v", norms, len(hourly), largest)
	}
	if norms, err = s.Norms(ctx, globex, eventstore.Scope{}); err != nil || norms.ActiveHours != 0 {
		t.Errorf("norms of nothing: %+v, %v", norms, err)
	}

	middle := events[250].At()
	totals, d, err := s.Diff(ctx, acme, eventstore.Scope{From: noon, To: middle}, eventstore.Scope{From: middle, To: middle.Add(1000 * time.Hour)}, []string{"country", "actor"}, 10)
	must(t, err)
	if totals[0].Events != 250 || totals[1].Events != 250 || len(d["country"]) != 2 || d["country"][0].Before+d["country"][0].After != 250 || len(d["actor"]) != 7 {
		t.Errorf("diff: %+v %+v", totals, d)
	}

	v, err := s.Values(ctx, acme, eventstore.Scope{}, "actor", "U", 3)
	must(t, err)
	if len(v) != 3 || v[0].Value != "u0" || v[0].Count != perActor["u0"] {
		t.Errorf("values: %+v", v)
	}
	if v, err = s.Values(ctx, acme, eventstore.Scope{}, "label.team name", "lu", 3); err != nil || len(v) != 1 || v[0].Value != "blue" {
		t.Errorf("values of a label: %+v, %v", v, err)
	}
	if v, err = s.LabelKeys(ctx, acme, eventstore.Scope{}, "na", 3); err != nil || len(v) != 1 || v[0].Value != "team name" {
		t.Errorf("keys of labels: %+v, %v", v, err)
	}
}

func TestEntities(t *testing.T) {
	s := open(t)
	var events []event.Event
	for i := range 60 {
		e := full(acme, i)
		e.Actor = fmt.Sprintf("u%02d", i%20)
		if i%20 == 3 {
			e.ActorType = "service"
		}
		events = append(events, e)
	}
	store(t, s, 1, events...)
	for _, recent := range []bool{false, true} {
		seen := map[string]bool{}
		req := eventstore.EntitiesRequest{Type: alert.User, Limit: 7, Recent: recent}
		for pages := 0; ; pages++ {
			page, next, err := s.Entities(t.Context(), acme, req)
			must(t, err)
			for _, e := range page {
				if seen[e.ID] || e.Events != 3 {
					t.Errorf("%+v comes twice or counts wrong", e)
				}
				seen[e.ID] = true
			}
			if next == nil {
				break
			}
			if req.After = next; pages > 5 {
				t.Fatal("the pages do not end")
			}
		}
		if len(seen) != 19 || seen["u03"] {
			t.Errorf("%d users, recent %t: %v", len(seen), recent, seen)
		}
	}
	for typ, want := range map[alert.EntityType]string{alert.Service: "u03", alert.Address: "203.0.113.7", alert.Device: "laptop", alert.Session: "s1", alert.Resource: "file/123", alert.Source: "web", alert.Tenant: "acme"} {
		page, _, err := s.Entities(t.Context(), acme, eventstore.EntitiesRequest{Type: typ, What: want[1:]})
		must(t, err)
		if len(page) != 1 || page[0].ID != want {
			t.Errorf("%s: %+v", typ, page)
			continue
		}
		q, err := eventstore.EntityQuery(typ, want)
		must(t, err)
		if n, err := s.Totals(t.Context(), acme, eventstore.Scope{Query: q}); err != nil || n.Events != page[0].Events {
			t.Errorf("%s: %d events by its query, %d in the list, %v", typ, n.Events, page[0].Events, err)
		}
	}
	if _, _, err := s.Entities(t.Context(), acme, eventstore.EntitiesRequest{Type: "planet"}); !errors.Is(err, eventstore.ErrField) {
		t.Errorf("planets: %v", err)
	}
	if _, err := eventstore.EntityQuery("planet", "x"); !errors.Is(err, eventstore.ErrField) {
		t.Errorf("planets: %v", err)
	}
}

// FuzzQueryNeverLeavesItsTenant runs whatever parses against a store of two
// tenants: no row of the other one comes out, the engine takes every statement
// and no parameter is left unbound.
func FuzzQueryNeverLeavesItsTenant(f *testing.F) {
	for _, field := range query.Fields() {
		f.Add(field.Example)
	}
	for _, q := range []string{`a OR -a`, `actor:* OR tenant_id:globex`, `"' OR 1=1 --"`, `label."x'y":z*`, `src_ip:::/0 OR src_ip:0.0.0.0/0`, `raw:*\*\%\_\\*`, `{tenant:String}`, `a) OR (1`, "-(-(-x))"} {
		f.Add(q)
	}
	s := open(f)
	store(f, s, 1, some(acme, 7)...)
	store(f, s, 2, some(globex, 11)...)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := query.ParseAt(text, noon)
		if err != nil {
			return
		}
		page, err := s.Search(t.Context(), acme, eventstore.SearchRequest{Query: q, Limit: 100})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		not, err := s.Search(t.Context(), acme, eventstore.SearchRequest{Query: &query.Query{Root: query.Not{Node: query.Or{orAll(q), query.Text{Pattern: query.Pattern{Parts: []string{"never there"}}}}}}, Limit: 100})
		if err != nil {
			t.Fatalf("not %q: %v", text, err)
		}
		if n := len(page.Events) + len(not.Events); n != 7 {
			t.Fatalf("%q and its opposite find %d events, the tenant has 7", text, n)
		}
		for _, e := range append(page.Events, not.Events...) {
			if e.Tenant != acme {
				t.Fatalf("%q found an event of %s", text, e.Tenant)
			}
		}
	})
}

func orAll(q *query.Query) query.Node {
	if q.IsEmpty() {
		return query.Text{Pattern: query.Pattern{Parts: []string{"", ""}}}
	}
	return q.Root
}
