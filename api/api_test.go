package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestAllReadsKeepTheContract asks every reading operation for a full and for
// an empty answer; contract looks at each.
func TestAllReadsKeepTheContract(t *testing.T) {
	full, empty := newWorld(), newWorld()
	empty.alerts, empty.keys, empty.hooks, empty.searches, empty.jobs, empty.backtests, empty.logs = nil, nil, nil, nil, nil, nil, nil
	clear(empty.events)
	clear(empty.lines)
	for _, r := range Routes() {
		if r.Method != http.MethodGet || r.Operation == "streamAlerts" || r.Public {
			continue
		}
		who := "admin"
		if r.Operation == "listSessions" { // a token has none
			who = "cookie:admin"
		}
		shot(r, who, alphaID, "", "").want(t, full.server(t), 200)
		status := 200
		if strings.Contains(r.Path, "{id}") && r.Tenancy != TenancyPath || r.Operation == "getBaseline" {
			status = 404
		}
		if strings.HasPrefix(r.Path, "/api/v1/suppressions/") { // they are there; what they hid is not
			status = 200
		}
		shot(r, who, alphaID, "", "").want(t, empty.server(t), status)
	}
}

func TestSignInAndOut(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	in := ask{method: "POST", path: "/api/v1/session", body: `{"email":"admin@x","password":"right"}`}.want(t, s, 200)
	cookie := in.Result().Cookies()[0]
	if cookie.Name != "tw_session" || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.Path != "/" || cookie.MaxAge != 3600 {
		t.Errorf("cookie: %v", cookie)
	}
	session := into[struct {
		CSRF        string
		MultiTenant bool `json:"multi_tenant"`
		Permissions []string
		User        struct{ Role string }
		Tenants     []struct{ ID, Name string }
	}](t, in)
	if session.CSRF == "" || session.User.Role != "tenant_admin" || session.MultiTenant || len(session.Tenants) != 1 || session.Tenants[0].Name != "CANARY-alpha" || len(session.Permissions) < 5 {
		t.Errorf("session: %+v", session)
	}
	wrong := ask{method: "POST", path: "/api/v1/session", body: `{"email":"admin@x","password":"wrong"}`}
	unknown := ask{method: "POST", path: "/api/v1/session", body: `{"email":"nobody@x","password":"wrong"}`}
	if a, b := normal(wrong.want(t, s, 401)), normal(unknown.want(t, s, 401)); a != b {
		t.Errorf("a wrong password is told from an unknown address:\n%s\n%s", a, b)
	}
	ask{who: "cookie:admin", path: "/api/v1/session"}.want(t, s, 200)

	// over TLS, or behind a proxy that ends it, the cookie is Secure
	secure := ask{method: "POST", path: "/api/v1/session", body: `{"email":"admin@x","password":"right"}`}.want(t, w.server(t, func(o *Options) { o.SecureCookies = true }), 200)
	if !secure.Result().Cookies()[0].Secure || secure.Header().Get("Strict-Transport-Security") == "" {
		t.Error("the cookie is not Secure")
	}

	// another site may not sign somebody in
	ask{method: "POST", path: "/api/v1/session", body: `{"email":"admin@x","password":"right"}`, header: map[string]string{"Sec-Fetch-Site": "cross-site"}}.wantProblem(t, s, "csrf")
	ask{method: "POST", path: "/api/v1/session", body: `{"email":"admin@x","password":"right"}`, header: map[string]string{"Origin": "https://evil.example"}}.wantProblem(t, s, "csrf")
	ask{method: "POST", path: "/api/v1/session", body: `{"email":"admin@x","password":"right"}`, header: map[string]string{"Origin": "http://example.com"}}.want(t, s, 200)

	out := ask{who: "cookie:admin", method: "DELETE", path: "/api/v1/session"}.want(t, s, 204)
	if c := out.Result().Cookies()[0]; c.MaxAge >= 0 || c.Value != "" {
		t.Errorf("the cookie stays: %v", c)
	}
	ask{who: "cookie:admin", path: "/api/v1/session"}.wantProblem(t, s, "unauthenticated")
	ask{who: "admin", method: "DELETE", path: "/api/v1/session"}.wantProblem(t, s, "bad-request")
}

// TestForgery: a cookie alone changes nothing.
func TestForgery(t *testing.T) {
	for _, h := range []map[string]string{{"X-CSRF-Token": ""}, {"X-CSRF-Token": "csrf-cookie-both"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}} {
		w := newWorld()
		ask{who: "cookie:admin", method: "POST", path: "/api/v1/keys", body: `{"name":"k","kind":"ingest"}`, header: h}.wantProblem(t, w.server(t), "csrf")
		if w.calls != 0 {
			t.Errorf("%v: a key was made", h)
		}
	}
	s := newWorld().server(t)
	ask{who: "cookie:admin", method: "POST", path: "/api/v1/keys", body: `{"name":"k","kind":"ingest"}`}.want(t, s, 201)
	// a bad token is not passed over in favour of a good cookie
	ask{who: "cookie:admin", path: "/api/v1/alerts", header: map[string]string{"Authorization": "Bearer nonsense"}}.wantProblem(t, s, "unauthenticated")
	ask{who: "cookie:admin", path: "/api/v1/alerts", header: map[string]string{"Authorization": "Basic eDp5"}}.wantProblem(t, s, "unauthenticated")
}

func TestTriage(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	patch := func(who, body, match string) ask {
		a := ask{who: who, method: "PATCH", path: "/api/v1/alerts/" + alphaID + "/triage", body: body, header: map[string]string{}}
		if match != "" {
			a.header["If-Match"] = match
		}
		return a
	}
	tag := ask{who: "admin", path: "/api/v1/alerts/" + alphaID}.want(t, s, 200).Header().Get("ETag")
	if tag != `"1-1"` {
		t.Fatalf("ETag %s", tag)
	}
	patch("admin", `{"status":"closed"}`, "").wantProblem(t, s, "precondition-required")
	patch("admin", `{"status":"closed"}`, `"1-9"`).wantProblem(t, s, "precondition-failed")
	patch("admin", `{"status":"closed"}`, `W/"1-1"`).wantProblem(t, s, "precondition-failed") // If-Match compares strongly
	patch("auditor", `{"status":"closed"}`, tag).wantProblem(t, s, "forbidden")

	type view struct {
		Triage struct {
			Status            string
			Verdict, Assignee *string
			Version           int
		}
		Plots []any
	}
	rec := patch("admin", `{"status":"closed","verdict":"benign","assignee":"ann"}`, tag).want(t, s, 200)
	got := into[view](t, rec).Triage
	if got.Status != "closed" || *got.Verdict != "benign" || *got.Assignee != "ann" || got.Version != 2 {
		t.Errorf("triage %+v", got)
	}
	patch("admin", `{"status":"new"}`, tag).wantProblem(t, s, "precondition-failed")
	// what is left out stays, null clears
	rec = patch("admin", `{"verdict":null}`, rec.Header().Get("ETag")).want(t, s, 200)
	if got = into[view](t, rec).Triage; got.Verdict != nil || got.Assignee == nil || got.Status != "closed" {
		t.Errorf("after clearing the verdict: %+v", got)
	}
	// a role with several tenants names the tenant
	patch("both", `{"status":"new"}`, "*").wantProblem(t, s, "tenant-required")
	patch("both", `{"status":"new","tenant_id":"beta"}`, "*").wantProblem(t, s, "not-found")
	patch("both", `{"status":"new","tenant_id":"alpha"}`, "*").want(t, s, 200)
	// not modified
	tag = ask{who: "admin", path: "/api/v1/alerts/" + alphaID}.want(t, s, 200).Header().Get("ETag")
	ask{who: "admin", path: "/api/v1/alerts/" + alphaID, header: map[string]string{"If-None-Match": tag}}.want(t, s, 304)
}

// TestBadRequests shows that each kind of bad input is named.
func TestBadRequests(t *testing.T) {
	s := newWorld().server(t)
	f := func(a ask, slug, detail string) {
		t.Helper()
		a.who = "admin"
		if got := a.wantProblem(t, s, slug); !strings.Contains(got, detail) {
			t.Errorf("%s %s: %q does not say %q", a.path, a.body, got, detail)
		}
	}
	get := func(path, detail string) { t.Helper(); f(ask{path: path}, "bad-request", detail) }
	get("/api/v1/alerts?limit=501", "limit is 501: want at most 500")
	get("/api/v1/alerts?limit=0", "limit is 0: want at least 1")
	get("/api/v1/alerts?limit=1e1", "whole number")
	get("/api/v1/alerts?limit=x", "limit has to be a number")
	get("/api/v1/alerts?limit=", "limit has to be a number")
	get("/api/v1/alerts?limit=1&limit=2", "limit is given more than once")
	get("/api/v1/alerts?severty=high", "severty is not known here")
	get("/api/v1/alerts?severity=high,grave", "severity is none of informational, low")
	get("/api/v1/alerts?retracted=yes", "retracted has to be true or false")
	get("/api/v1/alerts?after_seq=-1", "after_seq is -1: want at least 0")
	get("/api/v1/alerts?after_seq=1&severity=high", "takes no filter")
	get("/api/v1/alerts?q=a;b", "%3B")
	get("/api/v1/alerts?q=%ff", "q is no valid text")
	get("/api/v1/audit/events?from=yesterday", "from is no time")
	get("/api/v1/audit/events?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "later than from")
	get("/api/v1/audit/events?from=9999-03-02T00:00:00Z", "from is no time")
	get("/api/v1/audit/facets", "field is missing")
	get("/api/v1/audit/facets?field=raw", "cannot be counted")
	get("/api/v1/audit/facets?field=label", "cannot be counted")
	get("/api/v1/audit/export?format=xml", "format is none of csv, ndjson, ocsf, parquet")
	f(ask{path: "/api/v1/audit/events?q=" + url.QueryEscape("a actr:alice")}, "invalid-query", `column 3: there is no field "actr"; did you mean actor?`)
	f(ask{path: "/api/v1/audit/events?q=" + url.QueryEscape("tenant_id:beta")}, "invalid-query", `no field "tenant_id"`)
	f(ask{path: "/api/v1/alerts", body: `{}`}, "bad-request", "takes no body")

	post := func(body, slug, detail string) {
		t.Helper()
		f(ask{method: "POST", path: "/api/v1/keys", body: body}, slug, detail)
	}
	post(`{"kind":"ingest"}`, "bad-request", "name is missing")
	post(`{"kind":"ingest","name":""}`, "bad-request", "name must not be empty")
	post(`{"kind":"ingest","name":"`+strings.Repeat("n", 201)+`"}`, "bad-request", "want at most 200")
	post(`{"kind":"root","name":"k"}`, "bad-request", "kind is none of ingest, api")
	post(`{"kind":"api","name":"k","role":"platform_admin"}`, "bad-request", "role is none of")
	post(`{"kind":"ingest","name":"k","role":"tenant_admin"}`, "bad-request", "no other role")
	post(`{"kind":"ingest","name":"k","expires_at":"2020-01-01T00:00:00Z"}`, "bad-request", "future")
	post(`{"kind":"ingest","name":"k","Tenant_ID":"beta"}`, "bad-request", "Tenant_ID is not known here")
	post(`{"kind":"ingest","name":"k","tenant_id":"alpha","tenant_id":"beta"}`, "bad-request", "twice")
	post(`{"kind":"ingest","name":7}`, "bad-request", "name has to be string")
	post(`["kind"]`, "bad-request", "has to be object")
	post(`{"kind":`, "bad-request", "no valid JSON")
	post(`{"kind":"ingest","name":"k"} x`, "bad-request", "no valid JSON")
	post(strings.Repeat("[", 100)+strings.Repeat("]", 100), "bad-request", "nested too deeply")
	post(`{"kind":"ingest","name":"`+strings.Repeat("n", maxBody)+`"}`, "too-large", "1048576")
	f(ask{method: "POST", path: "/api/v1/keys"}, "bad-request", "the body is missing")
	f(ask{method: "POST", path: "/api/v1/keys", body: `{}`, header: map[string]string{"Content-Type": "text/plain"}}, "unsupported-media-type", "application/json")
	f(ask{method: "POST", path: "/api/v1/webhooks", body: `{"url":"file:///etc/passwd"}`}, "bad-request", "http or https")
	f(ask{method: "POST", path: "/api/v1/webhooks", body: `{"url":"http://localhost/"}`}, "bad-request", "the address is private")
	f(ask{method: "PUT", path: "/api/v1/keys", body: `{}`}, "method-not-allowed", "PUT")
	f(ask{path: "/api/v1/rules"}, "not-found", "")
}

// TestCursors: a cursor continues its own list and no other.
func TestCursors(t *testing.T) {
	w := newWorld()
	for i := range 7 {
		a := w.alerts[0]
		a.ID, a.RaisedAt = fmt.Sprintf("%s%d", a.ID[:35], i), day.Add(time.Duration(i/2)*time.Minute)
		w.alerts = append(w.alerts, a)
	}
	s := w.server(t)
	type page struct {
		Items []struct{ ID string }
		Next  *string
		Total int
	}
	var ids []string
	path := "/api/v1/alerts?limit=3&severity=high"
	first := ""
	for pages := 0; path != ""; pages++ {
		p := into[page](t, ask{who: "analyst", path: path}.want(t, s, 200))
		for _, it := range p.Items {
			ids = append(ids, it.ID)
		}
		path = ""
		if p.Next != nil {
			path = "/api/v1/alerts?limit=3&severity=high&after=" + *p.Next
			if first == "" {
				first = *p.Next
			}
		}
		if p.Total == 0 || pages > 9 {
			t.Fatalf("page %d: %+v", pages, p)
		}
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			t.Errorf("%s came twice", id)
		}
		seen[id] = true
	}
	if len(seen) != len(w.alerts)-1 { // all but beta's
		t.Errorf("%d alerts came, want %d", len(seen), len(w.alerts)-1)
	}
	for _, other := range []ask{
		{who: "analyst", path: "/api/v1/alerts?after=" + first},                                 // other filters
		{who: "analyst", path: "/api/v1/alerts?severity=low&after=" + first},                    //
		{who: "analyst", path: "/api/v1/alerts?severity=high&tenant_id=alpha&after=" + first},   // narrowed
		{who: "both", path: "/api/v1/alerts?severity=high&after=" + first},                      // another credential
		{who: "admin", path: "/api/v1/alerts?severity=high&after=" + first},                     //
		{who: "analyst", path: "/api/v1/tenants?after=" + first},                                // another list
		{who: "analyst", path: "/api/v1/alerts?severity=high&after=" + first[:len(first)-1]},    // cut
		{who: "analyst", path: "/api/v1/alerts?severity=high&after=" + first + "AA"},            // longer
		{who: "analyst", path: "/api/v1/alerts?severity=high&after=" + swapLast(first)},         // another position
		{who: "analyst", path: "/api/v1/alerts?severity=high&after=x"},                          // none at all
		{who: "analyst", path: "/api/v1/alerts?severity=high&after="},                           //
		{who: "analyst", path: "/api/v1/alerts?severity=high&after=%C3%BC" + first[:10] + "=="}, //
	} {
		other.wantProblem(t, s, "invalid-cursor")
	}
	// the lists that are read whole and the ones of one tenant page as well
	for range 5 {
		ask{who: "admin", method: "POST", path: "/api/v1/keys", body: `{"name":"k","kind":"api"}`}.want(t, s, 201)
	}
	for path, want := range map[string]int{"/api/v1/keys?limit=4": 6, "/api/v1/audit/events?limit=2": 3, "/api/v1/webhooks/" + alphaID + "/deliveries?limit=2": 3} {
		n := 0
		for next := path; next != ""; {
			p := into[page](t, ask{who: "admin", path: next}.want(t, s, 200))
			n += len(p.Items)
			next = ""
			if p.Next != nil {
				next = path + "&after=" + *p.Next
			}
		}
		if n != want {
			t.Errorf("%s: %d items, want %d", path, n, want)
		}
	}
}

func swapLast(s string) string {
	if strings.HasSuffix(s, "A") {
		return s[:len(s)-1] + "Q"
	}
	return s[:len(s)-1] + "A"
}
