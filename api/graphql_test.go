package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/api/graph"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func graphAsk(who string, body map[string]any) ask {
	b, _ := json.Marshal(body) // texts marshal
	return ask{who: who, method: "POST", path: "/graphql", body: string(b)}
}

func (a ask) graph(t testing.TB, s *Server) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, a.request())
	return rec
}

// graphFields are all fields of a query with what they need; %s is where the
// arguments that name a tenant go. ID stands for an object's id.
var graphFields = map[string]string{
	"tenants":   `tenants { edges { node { id name alerts { edges { node { title } } } } } }`,
	"alerts":    `alerts(first: 5%s) { totalCount edges { node { id title entity { id } events { id raw } tenant { name } triage { status } detectors { contribution } } } pageInfo { endCursor } }`,
	"alert":     `alert(id: "ID"%s) { id title events { id } }`,
	"events":    `events(first: 5%s) { explain edges { cursor node { id actor labels flags time } } }`,
	"event":     `event(id: "ID"%s) { id actor }`,
	"entities":  `entities(type: user%s) { edges { node { id risk openAlerts } } }`,
	"entity":    `entity(type: user, id: "ID"%s) { id totals { events } related { id } baseline { norms { max } } alerts { title } }`,
	"baseline":  `baseline(type: user, id: "ID"%s) { id known { values { value } } evidence { alertId } }`,
	"findings":  `findings%s { tenantId total { findings } hours { detectors { detector } } }`,
	"detectors": `detectors%s { name counts { findings } days { day } }`,
	"webhooks":  `webhooks(first: 5%s) { edges { node { id name url } } }`,
	"me":        `me { user { name role } tenants { id } multiTenant }`,
	"explain":   `explain(q: "actor:a") { explain terms }`,
}

func graphQuery(field, id, tenant string) string {
	text := strings.ReplaceAll(graphFields[field], "ID", id)
	if !strings.Contains(text, "%s") {
		return "{ " + text + " }"
	}
	arg := ""
	if tenant != "" {
		arg = fmt.Sprintf(`tenant: %q`, tenant)
		if strings.Contains(text, "(") && strings.Index(text, "(") < strings.Index(text, "%s") {
			arg = ", " + arg
		} else {
			arg = "(" + arg + ")"
		}
	}
	return "{ " + strings.Replace(text, "%s", arg, 1) + " }"
}

// TestGraphQL: every field answers its own tenant's administrator without an
// error and with its canary.
func TestGraphQL(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	for field := range graphFields {
		rec := graphAsk("admin", map[string]any{"query": graphQuery(field, alphaID, "")}).graph(t, s)
		if rec.Code != 200 || strings.Contains(rec.Body.String(), `"errors"`) || !strings.Contains(rec.Body.String(), "alpha") && field != "explain" && field != "detectors" {
			t.Errorf("%s: %d %s", field, rec.Code, rec.Body)
		}
		rec = graphAsk("both", map[string]any{"query": graphQuery(field, alphaID, "alpha")}).graph(t, s)
		if rec.Code != 200 || strings.Contains(rec.Body.String(), `"errors"`) && field != "webhooks" {
			t.Errorf("%s as an analyst: %d %s", field, rec.Code, rec.Body)
		}
	}
	got := into[struct {
		Data struct {
			Alerts struct {
				TotalCount int
				Edges      []struct {
					Node struct {
						ID     string
						Events []struct{ ID string }
						Tenant struct{ Name string }
					}
				}
			}
		}
	}](t, graphAsk("admin", map[string]any{"query": graphQuery("alerts", "", "")}).graph(t, s))
	a := got.Data.Alerts
	if a.TotalCount != 1 || len(a.Edges) != 1 || len(a.Edges[0].Node.Events) != 2 || a.Edges[0].Node.Tenant.Name != "CANARY-alpha" {
		t.Errorf("%+v", a)
	}
	// a missing object is null, a refused one an error of the same words as REST's
	if rec := graphAsk("admin", map[string]any{"query": `{ alert(id: "` + noID + `") { id } }`}).graph(t, s); !strings.Contains(rec.Body.String(), `"data":{"alert":null}`) || strings.Contains(rec.Body.String(), "errors") {
		t.Errorf("missing: %s", rec.Body)
	}
	rec := graphAsk("admin", map[string]any{"query": `{ events(q: "actr:x") { edges { node { id } } } }`}).graph(t, s)
	if !strings.Contains(rec.Body.String(), "/problems/invalid-query") || !strings.Contains(rec.Body.String(), `"suggestion":"actor"`) {
		t.Errorf("a bad query: %s", rec.Body)
	}
	if rec = graphAsk("reader", map[string]any{"query": `{ webhooks { edges { node { id } } } }`}).graph(t, s); !strings.Contains(rec.Body.String(), "/problems/forbidden") {
		t.Errorf("without the permission: %s", rec.Body)
	}
	// a change
	change := `mutation { triageAlert(id: "` + alphaID + `", version: %d, revision: 1, status: closed, verdict: benign) { triage { status verdict version } } }`
	if rec = graphAsk("admin", map[string]any{"query": fmt.Sprintf(change, 9)}).graph(t, s); !strings.Contains(rec.Body.String(), "/problems/precondition-failed") {
		t.Errorf("an old version: %s", rec.Body)
	}
	if rec = graphAsk("admin", map[string]any{"query": fmt.Sprintf(change, 1)}).graph(t, s); !strings.Contains(rec.Body.String(), `{"status":"closed","verdict":"benign","version":2}`) {
		t.Errorf("triage: %s", rec.Body)
	}
}

var instance = regexp.MustCompile(`urn:request:[0-9a-f-]+`)

// TestGraphQLIsolation: whatever an argument names, nothing of another tenant
// comes out, and it is not told from what does not exist; without the tenancy
// check it does come out.
func TestGraphQLIsolation(t *testing.T) {
	for field := range graphFields {
		for _, who := range []string{"analyst", "admin", "auditor", "idle", "cookie:admin"} {
			fire := func(id, of string) string {
				rec := graphAsk(who, map[string]any{"query": graphQuery(field, id, of)}).graph(t, newWorld().server(t))
				text := rec.Body.String()
				if shows(text) || rec.Code != 200 && rec.Code != 422 {
					t.Errorf("%s as %s with id %s, tenant %q: %d %s", field, who, id, of, rec.Code, text)
				}
				return instance.ReplaceAllString(text, "REQUEST")
			}
			own := "alpha"
			if who != "analyst" && who != "idle" {
				own = ""
			}
			if a, b := fire(betaID, own), fire(noID, own); a != b {
				t.Errorf("%s as %s: a foreign object is told from a missing one:\n%s\n%s", field, who, a, b)
			}
			if a, b := fire(betaID, "beta"), fire(betaID, "nobody"); a != b {
				t.Errorf("%s as %s: a foreign tenant is told from a missing one:\n%s\n%s", field, who, a, b)
			}
		}
		w := newWorld()
		s := w.server(t)
		s.unguarded, s.unverified = []tenant.ID{alpha, beta}, true
		text := graphAsk("both", map[string]any{"query": graphQuery(field, betaID, "beta")}).graph(t, s).Body.String()
		if !shows(text) && field != "me" && field != "explain" && field != "webhooks" && field != "findings" {
			t.Errorf("%s: a leak would not be seen: %s", field, text)
		}
	}
	for _, who := range []string{"", "ingest"} {
		if rec := graphAsk(who, map[string]any{"query": "{ me { multiTenant } }"}).graph(t, newWorld().server(t)); rec.Code != 401 {
			t.Errorf("as %q: %d", who, rec.Code)
		}
	}
	forged := graphAsk("cookie:admin", map[string]any{"query": "{ me { multiTenant } }"})
	forged.header = map[string]string{"X-CSRF-Token": "no"}
	if rec := forged.graph(t, newWorld().server(t)); rec.Code != 403 {
		t.Errorf("forged: %d", rec.Code)
	}
}

func TestGraphQLLimits(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	refused := func(what, query, want string) {
		t.Helper()
		rec := graphAsk("admin", map[string]any{"query": query}).graph(t, s)
		if !strings.Contains(rec.Body.String(), want) || strings.Contains(rec.Body.String(), `"data":{`) {
			t.Errorf("%s: %d %.300s", what, rec.Code, rec.Body)
		}
	}
	var aliases, roots strings.Builder
	for i := range graph.MaxAliases + 1 {
		fmt.Fprintf(&aliases, "a%d: terms ", i)
	}
	for range graph.MaxRoots + 1 {
		roots.WriteString("explain(q: \"\") { terms } ")
	}
	refused("aliases", "{ explain(q: \"\") { "+aliases.String()+"} }", "aliases")
	refused("roots", "{ "+roots.String()+"}", "at its root")
	refused("depth", "{ tenants { edges { node { alerts { edges { node { tenant { alerts { edges { node { tenant { name } } } } } } } } } } } }", "levels deep")
	refused("tokens", "{ "+strings.Repeat("explain(q: \"\") { terms } ", graph.MaxTokens)+"}", "token")
	refused("complexity", "{ alerts(first: 500) { edges { node { events { id raw actor labels flags action country city session device } title reason } } } }", "complexity")
	refused("introspection", "{ __schema { types { name } } }", "introspection disabled")
	refused("a list beyond the contract", "{ alerts(first: 501) { totalCount } }", "want at most 500")
	if rec := graphAsk("admin", map[string]any{"query": "{ alrts { totalCount } }"}).graph(t, s); strings.Contains(rec.Body.String(), "Did you mean") {
		t.Errorf("the schema is told by suggestions: %s", rec.Body)
	}
	for _, body := range []string{`[{"query":"{ me { multiTenant } }"}]`, `{`, ``, strings.Repeat("x", graph.MaxBody+1)} {
		rec := ask{who: "admin", method: "POST", path: "/graphql", body: body, header: map[string]string{"Content-Type": "application/json"}}.graph(t, s)
		if rec.Code == 200 && !strings.Contains(rec.Body.String(), "errors") || rec.Code >= 500 {
			t.Errorf("body %.20q: %d %s", body, rec.Code, rec.Body)
		}
	}
	ask{who: "admin", method: "POST", path: "/graphql", body: strings.Repeat("x", graph.MaxBody+1), header: map[string]string{"Content-Type": "application/json"}}.want(t, s, 413)
	// a fragment that multiplies itself
	bomb := "query { me { ...a0 } } "
	for i := range 100 {
		bomb += fmt.Sprintf("fragment a%d on Me { ...a%d ...a%d } ", i, i+1, i+1)
	}
	refused("fragments", bomb+"fragment a100 on Me { multiTenant }", "fields")
	open := w.server(t, func(o *Options) { o.Introspection = true })
	if rec := graphAsk("admin", map[string]any{"query": "{ __schema { queryType { name } } }"}).graph(t, open); !strings.Contains(rec.Body.String(), `"Query"`) {
		t.Errorf("introspection that is on: %s", rec.Body)
	}
}

// TestGraphQLPersisted: a query is asked again by its hash alone, by whoever
// sent it first and nobody else; with GET, too.
func TestGraphQLPersisted(t *testing.T) {
	s := newWorld().server(t)
	query := "{ me { multiTenant } }"
	sum := sha256.Sum256([]byte(query))
	extension := map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hex.EncodeToString(sum[:])}}
	again := func(who string) string {
		return graphAsk(who, map[string]any{"extensions": extension}).graph(t, s).Body.String()
	}
	if got := again("admin"); !strings.Contains(got, "PersistedQueryNotFound") {
		t.Errorf("before it was sent: %s", got)
	}
	graphAsk("admin", map[string]any{"query": query, "extensions": extension}).graph(t, s)
	if got := again("admin"); !strings.Contains(got, `"multiTenant":false`) {
		t.Errorf("again: %s", got)
	}
	if got := again("auditor"); !strings.Contains(got, "PersistedQueryNotFound") {
		t.Errorf("somebody else: %s", got)
	}
	get := httptest.NewRequest(http.MethodGet, "/graphql?query=%7Bme%7BmultiTenant%7D%7D", nil)
	get.Header.Set("Authorization", "Bearer token-admin")
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, get)
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), `"multiTenant":false`) {
		t.Errorf("GET: %d %s", rec.Code, rec.Body)
	}
}
