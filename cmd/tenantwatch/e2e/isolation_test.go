//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/api"
)

// TestProveIsolation is the black-box half of the proof: the binary, five
// tenants full of canaries, and every route of the router's table for every
// credential with a foreign id wherever one can stand. The guards one by one
// are in the tests of the same name of core, pipeline/eventstore and api.
func TestProveIsolation(t *testing.T) {
	for _, r := range api.Routes() {
		if _, ok := shapes[r.Operation]; !ok {
			t.Fatalf("%s %s (%s) is not in the matrix: describe it in shapes", r.Method, r.Path, r.Operation)
		}
	}
	began := time.Now()
	w := newWorld(t)
	w.prepare()
	before := w.snapshot()
	fmt.Printf("\nBlack box: the binary, %d tenants, %d events, %d credentials, ready after %.1f s\n\n", len(w.owners), w.total(), len(w.callers), time.Since(began).Seconds())

	var sum tally
	fmt.Printf("  %-6s %-34s %5s %5s %5s %5s %5s %5s %5s | %8s %6s %6s %7s | %s\n", "", "route × "+fmt.Sprint(len(w.callers))+" credentials",
		"path", "query", "body", "head", "cursr", "q", "pairs", "requests", "leaks", "differ", "refused", "control: the owner's own answer shows it")
	for _, r := range api.Routes() {
		n := w.prove(r)
		control := fmt.Sprintf("%d of %d", n.control, provenTenants)
		if !shapes[r.Operation].canary {
			control = "holds no canary"
		}
		if n.own > 0 {
			control += fmt.Sprintf(", %d callers served", n.own)
		}
		if n.exact > 0 {
			control = fmt.Sprintf("%s, figure exact %d×", control, n.exact)
		}
		fmt.Printf("  %-6s %-34s %5d %5d %5d %5d %5d %5d %5d | %8d %6d %6d %7d | %s\n", r.Method, strings.TrimPrefix(r.Path, "/api/v1"),
			n.path, n.query, n.body, n.header, n.cursor, n.search, n.pairs, n.requests, n.leaks, n.differs, n.refused, control)
		sum.requests, sum.pairs, sum.leaks, sum.differs = sum.requests+n.requests, sum.pairs+n.pairs, sum.leaks+n.leaks, sum.differs+n.differs
	}
	fmt.Printf("  %d routes, %d requests, %d foreign/missing pairs: %d foreign canaries, %d told apart\n\n", len(api.Routes()), sum.requests, sum.pairs, sum.leaks, sum.differs)

	w.comparisonCanFail()
	if after := w.snapshot(); after != before {
		t.Errorf("the foreign tenants' things have changed:\n%s\n---\n%s", before, after)
	}
	w.graph()
	w.live()
	w.storm()
	w.door()
	w.pages()
	w.outside()
	w.timing()
	fmt.Printf("  %d requests in %.0f s altogether\n", w.asked, time.Since(began).Seconds())
}

func (w *world) total() (n int) {
	for _, o := range w.owners {
		n += o.events
	}
	return n
}

// prepare takes what a foreign tenant would hold: cursors of its lists, a
// position in a stream, an idempotency key that was used.
func (w *world) prepare() {
	operator := caller{name: "platform_admin", bearer: w.token, role: "platform_admin"}
	for _, o := range w.owners {
		o.cursors, o.pulled = map[string]string{}, map[string]string{}
		admin := caller{name: "the owner", bearer: o.admin, single: true}
		for _, r := range api.Routes() {
			s := shapes[r.Operation]
			q := request{method: r.Method, path: r.Path}
			q.query, _ = url.ParseQuery(s.query + "&limit=1")
			if s.id != nil {
				q.path = strings.ReplaceAll(q.path, "{id}", s.id(o))
			}
			if s.list {
				q.as = admin
				o.cursors[r.Operation] = w.cursor(q)
				q.as = operator
				q.query.Set("tenant_id", o.slug)
				if r.Operation == "listTenants" { // one tenant has no second page: the operator's own list has
					q.query.Del("tenant_id")
				}
				o.pulled[r.Operation] = w.cursor(q)
				if o.cursors[r.Operation] == "" { // nor has what an owner sees of it
					o.cursors[r.Operation] = o.pulled[r.Operation]
				}
			}
			if s.body != nil && s.id == nil && !r.Public && !s.session && r.Operation != "createTenant" {
				q.query, q.body, q.as = nil, maps.Clone(s.body), admin
				if s.fresh != "" {
					q.body[s.fresh] = random(6) + "@made.example"
				}
				if !slices.Contains([]string{"createExport", "bulkTriage", "setSLA", "createSuppression", "previewSuppression", "replayQuarantine"}, r.Operation) { // which take no name
					q.body["name"] = o.canary + " by its owner"
				}
				q.header = map[string]string{"Idempotency-Key": o.canary + r.Operation}
				if status, _, body := w.send(q); status != http.StatusCreated && status != http.StatusOK {
					w.t.Fatalf("%v: %d %s", q, status, body)
				}
			}
		}
	}
}

func (w *world) cursor(q request) string {
	status, _, body := w.send(q)
	var page struct{ Next string }
	if err := json.Unmarshal(body, &page); status != 200 || err != nil {
		w.t.Fatalf("%v: %d %s", q, status, body)
	}
	return page.Next
}

// prove runs a route's cells for every caller, and its control: the same
// scanner, looking at the answer that each foreign owner gets, finds it.
func (w *world) prove(r api.Route) *tally {
	n := &tally{route: r}
	s := shapes[r.Operation]
	for _, c := range w.callers {
		prover{w, r, s, c, n}.run()
	}
	if !s.canary {
		return n
	}
	for _, o := range w.owners {
		p := prover{w: w, r: r, s: s, c: caller{name: "the owner", bearer: o.admin, single: true}, n: n}
		q := p.base()
		if s.id != nil {
			q.path = strings.ReplaceAll(q.path, "{id}", s.id(o))
		}
		if q.stream {
			q.header["Last-Event-ID"] = "0"
		}
		status, h, body := w.send(q)
		if found := w.leaks(caller{}, h, body, ""); status == 200 && len(found) > 0 {
			n.control++
		} else {
			w.t.Errorf("control: %v answers %d without its owner's canary: a leak of it would not be seen\n%s", q, status, body)
		}
	}
	return n
}

// comparisonCanFail: the comparison of answers tells an object that is the
// caller's own from one that is missing.
func (w *world) comparisonCanFail() {
	a, told := w.owners[0], 0
	for _, path := range []string{"/api/v1/alerts/" + a.alertID, "/api/v1/alerts/" + a.alertID + "/events", "/api/v1/webhooks/" + a.hookID + "/deliveries"} {
		id := strings.Split(path, "/")[4]
		st, h, b := w.send(request{method: "GET", path: path, as: w.callers[0]})
		own := same(st, h, b, id)
		st, h, b = w.send(request{method: "GET", path: strings.ReplaceAll(path, id, like(id)), as: w.callers[0]})
		if own != same(st, h, b, like(id)) {
			told++
		}
	}
	fmt.Printf("  control: the comparison tells an own object from a missing one in %d of 3 routes\n", told)
	if told != 3 {
		w.t.Error("the comparison of answers cannot fail")
	}
}

// snapshot is what the foreign tenants have, as the operator sees it. Nothing
// that was asked for in their name may have changed it.
func (w *world) snapshot() string {
	var out strings.Builder
	for _, o := range w.owners[1:] {
		for _, path := range []string{"keys", "webhooks", "alerts", "tenants", "accounting/ingest"} {
			status, h, body := w.send(request{method: "GET", path: "/api/v1/" + path, query: map[string][]string{"tenant_id": {o.slug}}, as: caller{bearer: w.token}})
			h = http.Header{"Content-Type": h["Content-Type"]}
			body = trailFigure.ReplaceAll(body, []byte(`"trail":0`)) // what was asked here is in it
			out.WriteString(o.slug + " " + path + " " + same(status, h, body, "") + "\n")
		}
	}
	return out.String()
}
