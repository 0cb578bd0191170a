package eventstore_test

import (
	"slices"
	"testing"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// TestQueriesOnEngine asks the real engine every kind of term, hostile texts
// included, and looks at which of three events each finds.
func TestQueriesOnEngine(t *testing.T) {
	s := open(t)
	a, b, c := full(acme, 1), full(acme, 2), full(acme, 3)
	a.ID, b.ID, c.ID = "a", "b", "c"
	a.Actor, b.Actor, c.Actor = "alice@acme.example", `we%ird_'"\`+"\t\n"+`{q0:String}`, ""
	a.Outcome, b.Outcome, c.Outcome = event.OutcomeFailure, event.OutcomeSuccess, event.OutcomeUnknown
	a.Country, b.Country, c.Country = "DE", "FR", ""
	a.SrcIP, b.SrcIP, c.SrcIP = "10.1.2.3", "2001:db8::1", ""
	a.BytesOut, b.BytesOut, c.BytesOut = 1_000_000, 1_000_001, 0
	a.Duration, b.Duration, c.Duration = 1.5, 2000, 0
	a.Status, b.Status, c.Status = 404, 200, 0
	a.Raw, b.Raw, c.Raw = "GET /Straße HTTP/1.1", "100% *sure*", "x"
	a.Resource, b.Resource, c.Resource = "file/1", "file/2", "Größe"
	a.Labels, b.Labels, c.Labels = []event.Label{{Key: "k", Value: "v"}}, []event.Label{{Key: "a b'", Value: `"`}}, nil
	a.Latitude, b.Latitude, c.Latitude = 52.5, -33.9, 0
	c.HasPosition = false
	c.Time = -1 // in 1969
	store(t, s, 1, a, b, c)

	f := func(in, want string) {
		t.Helper()
		q, err := query.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		page, err := s.Search(t.Context(), acme, eventstore.SearchRequest{Query: q})
		if err != nil {
			t.Errorf("%s: %v", in, err)
			return
		}
		var got []string
		for _, e := range page.Events {
			got = append(got, e.ID)
		}
		slices.Sort(got)
		if s := join(got); s != want {
			t.Errorf("%s: found %q, want %q", in, s, want)
		}
	}
	f("", "abc")
	f("*", "abc")
	f("actor:alice@*", "a")
	f("-actor:alice@*", "bc")
	f("actor:*", "ab")
	f(`actor:"we%ird_'\"\\`+"\t\n"+`{q0:String}"`, "b")
	f(`actor:we%ird_*`, "b")
	f(`actor:we_ird*`, "") // % and _ are no wildcards
	f(`actor:*\\*`, "b")
	f("outcome:failure OR outcome:unknown", "ac")
	f("country:de", "a")
	f("-country:DE country:*", "b")
	f("src_ip:10.0.0.0/8", "a")
	f("src_ip:0.0.0.0/0", "a")
	f("src_ip:::/0", "b")
	f("src_ip:2001:db8::/32", "b")
	f("src_ip:10.1.2.3", "a")
	f("src_ip:10.1.*", "a")
	f("-src_ip:10.0.0.0/8", "bc")
	f("bytes>1MB", "b")
	f("bytes>=1MB", "ab")
	f("bytes:0", "c")
	f("duration>1.25 duration<2s", "a")
	f("status:400..499", "a")
	f("status>=-1", "abc")
	f("latitude<10", "b") // c has no position
	f("latitude:*", "ab")
	f("strasse OR STRASSE", "")
	f("STRAßE", "a")
	f("größe", "c")
	f("GRÖßE", "c")
	f(`"100% *"`, "b")
	f("100*sure", "b")
	f("FILE/", "ab")
	f("label.k:v", "a")
	f(`label."a b'":"\""`, "b")
	f("label.k:*", "a")
	f("-label.k:*", "bc")
	f("time<1970-01-01", "c")
	f("time:2026-03-01", "ab")
	f("time>2026-03-01", "")
	f("class:authentication severity:low asn:3320 count:3", "abc")
	f(`"') OR 1=1 --"`, "")
	for _, field := range query.Fields() {
		q, err := query.Parse(field.Example)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Search(t.Context(), acme, eventstore.SearchRequest{Query: q}); err != nil {
			t.Errorf("%s: %v", field.Example, err)
		}
	}
}

func join(ids []string) (s string) {
	for _, id := range ids {
		s += id
	}
	return s
}
