package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// The isolation matrix: every operation, for every role, with a foreign tenant
// named in the path, in the query and in the body. What a request needs beyond
// that, by operation:
var (
	needsQuery = map[string]string{"exportEvents": "format=ndjson", "getFacets": "field=actor", "downloadExport": "token=none", "getActorDay": "actor=someone", "suggestQuery": "q=actor:",
		"diffPeriods":  "before_from=2026-03-01T00:00:00Z&before_to=2026-03-02T00:00:00Z&after_from=2026-03-02T00:00:00Z&after_to=2026-03-03T00:00:00Z",
		"listAttempts": "seq=1", "listEntities": "type=user", "getBaseline": "type=user&id=someone"}
	needsBody = map[string]string{
		"bulkTriage":         `{"ids":["x"],"status":"closed"%s}`,
		"setSLA":             `{"targets":[]%s}`,
		"commentAlert":       `{"comment":"c"%s}`,
		"undoTriage":         `{"version":2%s}`,
		"createSuppression":  `{"scope":{"action":"login"},"until":"2027-01-01T00:00:00Z","owner":"o","reason":"r"%s}`,
		"previewSuppression": `{"scope":{"action":"login"}%s}`,
		"endSuppression":     `{%s}`,
		"updateWebhook":      `{"min_severity":"low"%s}`,
		"redeliverWebhook":   `{"seqs":[1]%s}`,
		"testWebhook":        `{%s}`,
		"rotateWebhook":      `{"overlap_hours":1%s}`,

		"changePassword": `{"current_password":"right","new_password":"0123456789"}`,
		"beginTotp":      `{"password":"right"}`,
		"confirmTotp":    `{"code":"123456"}`,
		"removeTotp":     `{"password":"right","code":"123456"}`,
		"viewAs":         `{"reason":"because of a ticket"%s}`,
		"createUser":     `{"email":"n@x.example","role":"tenant_auditor"%s}`,
		"updateUser":     `{"name":"n"%s}`,
		"deleteUser":     `{%s}`,
		"resetUser":      `{%s}`,
		"rotateKey":      `{%s}`,
		"createTenant":   `{"id":"fresh","name":"Fresh"%s}`,
		"renameTenant":   `{"name":"Renamed"}`,
		"suspendTenant":  `{}`, "resumeTenant": `{}`, "restoreTenant": `{}`,
		"updateTenantSettings": `{"alert_budget":5}`,
		"createKey":            `{"name":"k","kind":"ingest"%s}`,
		"createWebhook":        `{"url":"https://siem.example/x"%s}`,
		"triageAlert":          `{"status":"in_progress"%s}`,
		"deleteKey":            `{%s}`,
		"deleteWebhook":        `{%s}`,
		"createSearch":         `{"name":"s","query":"action:login"%s}`,
		"updateSearch":         `{"shared":true%s}`,
		"createBacktest":       `{"from":"2026-03-01T00:00:00Z","to":"2026-03-02T00:00:00Z","variants":[{"budget":1}]%s}`,
		"deleteBacktest":       `{%s}`,
		"deleteSearch":         `{%s}`,
		"createStream":         `{"name":"s","kind":"http","config":{"url":"https://siem.example"}%s}`,
		"updateStream":         `{"status":"paused"%s}`,
		"deleteStream":         `{%s}`,
		"replayQuarantine":     `{"source":"web"%s}`,
		"createExport":         `{"format":"csv"%s}`,
		"deleteExport":         `{%s}`,
		"createSession":        `{"email":"auditor@x","password":"right"}`,
	}
)

// shot builds a request for an operation: object in the path, tenant in the
// query and in the body where they are given.
func shot(r Route, who, object, inQuery, inBody string) ask {
	q := needsQuery[r.Operation]
	if r.Tenancy == TenancyPath { // the object is the tenant itself
		object = map[string]string{alphaID: "alpha", betaID: "beta", noID: "nobody"}[object]
	}
	if inQuery != "" {
		q = strings.Trim(q+"&tenant_id="+inQuery, "&")
	}
	a := ask{who: who, method: r.Method, path: strings.ReplaceAll(r.Path, "{id}", object), header: map[string]string{}}
	if q != "" {
		a.path += "?" + q
	}
	if body := needsBody[r.Operation]; strings.Contains(body, "%s") {
		member := ""
		if inBody != "" {
			member = fmt.Sprintf(`,"tenant_id":%q`, inBody)
		}
		if a.body = fmt.Sprintf(body, member); strings.HasPrefix(a.body, "{,") {
			a.body = "{" + a.body[2:]
		}
	} else {
		a.body = body
	}
	if r.Operation == "triageAlert" {
		a.header["If-Match"] = "*"
	}
	return a
}

func (a ask) once(t testing.TB, s *Server) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	r := a.request()
	if strings.HasPrefix(a.path, "/api/v1/stream") {
		streamOnce(t, s, r, rec)
		return rec
	}
	s.ServeHTTP(rec, r)
	contract(t, a.request(), rec)
	return rec
}

var volatile = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

// normal is an answer without what is different each time.
func normal(rec *httptest.ResponseRecorder) string {
	h := rec.Header().Clone()
	h.Del("Date")
	return volatile.ReplaceAllString(fmt.Sprintf("%d %v %s", rec.Code, h, rec.Body), "ID")
}

// TestIsolation goes through the whole matrix.
func TestIsolation(t *testing.T) {
	cells := 0
	for _, r := range Routes() {
		for _, who := range []string{"", "analyst", "reader", "idle", "admin", "auditor", "ingest", "cookie:analyst", "cookie:admin"} {
			fire := func(object, inQuery, inBody string) *httptest.ResponseRecorder {
				cells++
				w := newWorld()
				rec := shot(r, who, object, inQuery, inBody).once(t, w.server(t))
				if text := rec.Body.String() + fmt.Sprint(rec.Header()); shows(text) {
					t.Errorf("%s as %s with path %s, query %q, body %q: the answer shows the other tenant: %s", r.Operation, who, object, inQuery, inBody, text)
				}
				if w.tenants[beta].Name != "CANARY-beta" || len(w.keys) < 1 || !has(w, betaID) {
					t.Errorf("%s as %s with path %s, query %q, body %q: changed the other tenant", r.Operation, who, object, inQuery, inBody)
				}
				return rec
			}
			want := func(rec *httptest.ResponseRecorder, status int, what string) {
				t.Helper()
				if rec.Code != status {
					t.Errorf("%s as %q, %s: %d, want %d: %s", r.Operation, who, what, rec.Code, status, rec.Body)
				}
			}
			plain := fire(alphaID, "", "")
			if r.Public {
				continue
			}
			if who == "" || who == "ingest" {
				want(plain, http.StatusUnauthorized, "without a credential")
				want(fire(betaID, "beta", "beta"), http.StatusUnauthorized, "without a credential")
				continue
			}
			p := newWorld().tokens["token-"+strings.TrimPrefix(who, "cookie:")]
			takesID, takesBody := strings.Contains(r.Path, "{id}"), strings.Contains(needsBody[r.Operation], "%s")
			if r.Permission != "" && !p.Can(r.Permission) {
				for _, id := range []string{alphaID, betaID, noID} {
					want(fire(id, "", ""), http.StatusForbidden, "without the permission")
				}
				want(fire(betaID, "beta", ""), http.StatusForbidden, "without the permission")
				continue
			}
			if takesID {
				inBody := ""
				if r.Tenancy == TenancyWrite && !p.Single() {
					inBody = "alpha"
				}
				inQuery := ""
				if r.Tenancy == TenancyOne && !p.Single() { // with its own tenant beside the foreign object
					inQuery = "alpha"
				}
				foreign, missing := fire(betaID, inQuery, inBody), fire(noID, inQuery, inBody)
				want(foreign, http.StatusNotFound, "a foreign object")
				if a, b := normal(foreign), normal(missing); a != b {
					t.Errorf("%s as %s: a foreign object is told from a missing one:\n%s\n%s", r.Operation, who, a, b)
				}
			}
			for _, id := range []string{"alpha", "beta", "nobody"} {
				named := fire(betaID, id, "")
				switch {
				case p.Single(), r.Tenancy == TenancyNone, r.Tenancy == TenancyPlatform, r.Tenancy == TenancyPath, r.Tenancy == TenancyWrite && r.Method != http.MethodDelete:
					want(named, http.StatusBadRequest, "tenant_id="+id+" in the query")
				case id != "alpha":
					want(named, http.StatusNotFound, "tenant_id="+id+" in the query")
				}
				if !takesBody || r.Tenancy != TenancyWrite {
					continue
				}
				switch named := fire(betaID, "", id); {
				case p.Single():
					want(named, http.StatusBadRequest, "tenant_id "+id+" in the body")
				case id != "alpha" || takesID:
					want(named, http.StatusNotFound, "tenant_id "+id+" in the body")
				}
			}
			if !p.Single() && r.Tenancy != TenancyNone && r.Tenancy != TenancyPlatform {
				if a, b := normal(fire(alphaID, "beta", "")), normal(fire(alphaID, "nobody", "")); a != b {
					t.Errorf("%s as %s: a foreign tenant is told from a missing one:\n%s\n%s", r.Operation, who, a, b)
				}
			}
		}
	}
	t.Logf("%d requests", cells)
}

// shows finds what only the other tenant has: its canaries, its id as the owner
// of something, and the odd count of its histogram.
func shows(text string) bool {
	text = volatile.ReplaceAllString(text, "ID") // request ids are random
	return strings.Contains(text, "CANARY-beta") || strings.Contains(text, `"tenant_id":"beta"`) || strings.Contains(text, "7777777")
}

// has reports whether everything of the other tenant is still there.
func has(w *world, id string) bool {
	n := 0
	for _, k := range w.keys {
		if k.ID == id && k.Tenant == beta {
			n++
		}
	}
	for _, h := range w.hooks {
		if h.ID == id && h.Tenant == beta {
			n++
		}
	}
	for _, a := range w.alerts {
		if a.ID == id && a.Triage.Status == "new" {
			n++
		}
	}
	for _, s := range w.searches {
		if s.ID == id && s.Tenant == beta {
			n++
		}
	}
	return n == 4 && len(w.hooks) >= 1
}

// TestIsolationWouldBeSeen is the negative control: with the tenancy check
// away, the same requests do show the other tenant.
func TestIsolationWouldBeSeen(t *testing.T) {
	for _, r := range Routes() {
		if r.Tenancy == TenancyNone || r.Tenancy == TenancyPlatform || r.Method != http.MethodGet {
			continue
		}
		seen := false
		for _, who := range []string{"analyst", "admin"} {
			p := newWorld().tokens["token-"+who]
			if !p.Can(r.Permission) {
				continue
			}
			w := newWorld()
			s := w.server(t)
			s.unguarded, s.unverified = []tenant.ID{alpha, beta}, true
			inQuery := "beta"
			if r.Tenancy == TenancyPath {
				inQuery = ""
			}
			rec := shot(r, who, betaID, inQuery, "").once(t, s)
			seen = seen || shows(rec.Body.String())
		}
		if !seen && r.Operation != "streamAlerts" { // its messages name ids alone; see TestStream
			t.Errorf("%s: the matrix would not notice a leak", r.Operation)
		}
	}
	for _, r := range Routes() {
		if r.Tenancy != TenancyWrite {
			continue
		}
		w := newWorld()
		s := w.server(t)
		s.unguarded, s.unverified = []tenant.ID{alpha, beta}, true
		who := "admin"
		if r.Operation == "viewAs" { // not of a tenant's own people
			who = "cookie:analyst"
		}
		rec := shot(r, who, betaID, "", "beta").once(t, s)
		if rec.Code >= 300 {
			t.Errorf("%s: without the check the write still fails: %d %s", r.Operation, rec.Code, rec.Body)
		}
	}
}

// TestTenantIsRequired: a role with several tenants has to say which one where
// an operation is about one.
func TestTenantIsRequired(t *testing.T) {
	s := newWorld().server(t)
	for _, r := range Routes() {
		p := newWorld().tokens["token-both"]
		if !p.Can(r.Permission) || r.Tenancy != TenancyOne && r.Tenancy != TenancyWrite {
			continue
		}
		shot(r, "both", alphaID, "", "").wantProblem(t, s, "tenant-required")
	}
	// after_seq is of one tenant, too
	ask{who: "both", path: "/api/v1/alerts?after_seq=0"}.wantProblem(t, s, "tenant-required")
	ask{who: "both", path: "/api/v1/alerts?after_seq=0&tenant_id=beta"}.want(t, s, 200)
}

// TestSetIsTheCredentials: without narrowing, a role with several tenants reads
// all of them and no others.
func TestSetIsTheCredentials(t *testing.T) {
	s := newWorld().server(t)
	for who, want := range map[string]string{"both": "alpha beta", "platform": "alpha beta", "analyst": "alpha", "admin": "alpha", "idle": ""} {
		type page struct {
			Items []struct {
				TenantID string `json:"tenant_id"`
				ID       string
			}
		}
		var got []string
		for _, it := range into[page](t, ask{who: who, path: "/api/v1/tenants"}.want(t, s, 200)).Items {
			got = append(got, it.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s sees the tenants %v, want %s", who, got, want)
		}
		n := len(into[page](t, ask{who: who, path: "/api/v1/alerts"}.want(t, s, 200)).Items)
		if n != len(strings.Fields(want)) {
			t.Errorf("%s sees %d alerts", who, n)
		}
	}
	if n := len(into[struct{ Items []any }](t, ask{who: "both", path: "/api/v1/alerts?tenant_id=beta"}.want(t, s, 200)).Items); n != 1 {
		t.Errorf("narrowed to one tenant: %d alerts", n)
	}
}

// TestMisbuiltPrincipal: a credential whose role and tenants do not fit is
// refused, whatever it asks.
func TestMisbuiltPrincipal(t *testing.T) {
	for _, p := range []access.Principal{
		{ID: "x", Role: access.SOCAnalyst, Tenant: alpha, Tenants: []tenant.ID{alpha}},
		{ID: "x", Role: access.TenantAdmin, Tenants: []tenant.ID{alpha, beta}},
		{ID: "x", Role: access.TenantAdmin, Tenant: alpha, Tenants: []tenant.ID{alpha, beta}},
		{ID: "x", Role: access.TenantAdmin, Tenant: alpha, Tenants: []tenant.ID{beta}},
		{ID: "x", Role: "root", Tenants: []tenant.ID{alpha}},
		{Role: access.SOCAnalyst, Tenants: []tenant.ID{alpha}},
	} {
		w := newWorld()
		w.tokens["token-odd"] = p
		ask{who: "odd", path: "/api/v1/alerts"}.wantProblem(t, w.server(t), "internal")
	}
}
