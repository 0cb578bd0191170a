package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world keeps everything in memory and implements every store of the api: the
// logic of handlers is under test here; the real stores have suites of their
// own.
type world struct {
	mu        sync.Mutex
	now       time.Time
	alerts    []StoredAlert // one entry a revision
	events    map[tenant.ID][]event.Event
	lines     map[tenant.ID][]event.Quarantined
	tenants   map[tenant.ID]TenantInfo
	keys      []KeyInfo
	hooks     []WebhookInfo
	searches  []SavedSearch
	backtests []BacktestInfo
	jobs      []ExportJob
	logs      []LogStream
	tokens    map[string]access.Principal
	sessions  map[string]access.Principal
	subs      map[chan Growth]context.Context
	noted     []noted
	trailErr  error
	users     []UserInfo
	counted   map[string]int
	quota     map[tenant.ID]float64
	calls     int   // of anything that creates
	broken    error // answered by Events.Search when set
	brokenAt  int   // and by how many searches later
}

// noted is one line of the world's trail.
type noted struct {
	by string
	of tenant.ID
	Noted
}

var (
	alpha = tenant.MustParse("alpha")
	beta  = tenant.MustParse("beta")
	day   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

const (
	alphaID = "0195f3a0-0000-7000-8000-00000000000a"
	betaID  = "0195f3a0-0000-7000-8000-00000000000b"
	noID    = "0195f3a0-0000-7000-8000-00000000000c"
)

func newWorld() *world {
	w := &world{now: day, events: map[tenant.ID][]event.Event{}, lines: map[tenant.ID][]event.Quarantined{}, tenants: map[tenant.ID]TenantInfo{},
		tokens: map[string]access.Principal{}, sessions: map[string]access.Principal{}, subs: map[chan Growth]context.Context{}}
	for i, object := range []string{alphaID, betaID} {
		id := []tenant.ID{alpha, beta}[i]
		canary := "CANARY-" + id.String()
		w.tenants[id] = TenantInfo{ID: id, Name: canary, State: "active", Placement: "pooled", Settings: tenant.DefaultSettings(), Version: 1, CreatedAt: day}
		for i := range 3 {
			w.events[id] = append(w.events[id], event.Event{Tenant: id, ID: fmt.Sprintf("%s-%d", canary, i), Time: day.Add(time.Duration(i) * time.Second).UnixNano(),
				IngestedAt: day.UnixNano(), Action: "login", Actor: canary, Outcome: event.OutcomeFailure, Count: 1, Source: canary, Raw: "=" + canary,
				Labels: []event.Label{{Key: "team", Value: canary}}})
		}
		w.lines[id] = []event.Quarantined{{Tenant: id, ID: canary, Source: canary, Reason: "no parser took it", Line: 1, ReceivedAt: day.UnixNano(), Raw: []byte(canary + "\xff")}}
		w.alerts = append(w.alerts, StoredAlert{Alert: alert.Alert{ID: object, Tenant: id, Entity: alert.Entity{Type: alert.User, ID: canary}, FirstSeen: day, LastSeen: day,
			RaisedAt: day, Score: 87125, Severity: alert.High, PValue: 1e-9, Detectors: []alert.Contribution{{Name: "rate", Version: "1", Contribution: 87125, Observed: 9, Expected: 1, PValue: 1e-9}},
			Technique: []string{"T1110.001"}, Count: 3, EventIDs: []string{canary + "-1", canary + "-0"}, Title: canary, Reason: canary, State: alert.Raised, Revision: 1, Seq: 1,
			Plots: []alert.Plot{{Detector: "rate", Title: canary, Unit: "events", StepSec: 60, Points: []alert.PlotPoint{{Time: day, Observed: 9, Expected: 1, Lower: 0, Upper: 3}}}}},
			Triage: TriageState{Status: "new", Version: 1}})
		w.keys = append(w.keys, KeyInfo{ID: object, Tenant: id, Kind: "ingest", Name: canary, Role: access.Ingest, CreatedAt: day})
		w.users = append(w.users, UserInfo{ID: object, Tenant: id, Email: canary + "@x.example", Name: canary, Role: access.TenantAdmin, Tenants: []tenant.ID{id}, CreatedAt: day})
		w.hooks = append(w.hooks, WebhookInfo{ID: object, Tenant: id, Name: canary, URL: "https://siem.example/" + canary, Status: "active", CreatedAt: day})
		w.logs = append(w.logs, LogStream{ID: object, Tenant: id, Name: canary, Kind: "http", Config: json.RawMessage(`{"url":"https://` + canary + `.example"}`), Format: "ndjson", Status: "active", CreatedAt: day})
		w.jobs = append(w.jobs, ExportJob{ID: object, Tenant: id, Format: "csv", Query: canary, State: "cancelled", Owner: access.Actor{Name: canary}, CreatedAt: day})
		w.backtests = append(w.backtests, BacktestInfo{ID: object, Tenant: id, Name: canary, From: day, To: day.Add(time.Hour), Labels: []string{canary}, Status: "queued", CreatedBy: canary, CreatedAt: day})
		w.searches = append(w.searches, SavedSearch{ID: object, Tenant: id, Name: canary, Query: "actor:" + canary, Shared: true, Owner: access.Actor{Kind: access.KindUser, ID: "admin", Name: canary}, CreatedAt: day, UpdatedAt: day})
	}
	who := func(name string, role access.Role, of tenant.ID, set ...tenant.ID) {
		p := access.Principal{ID: name, Name: name, Role: role, Tenant: of, Tenants: set, Email: name + "@example.org", Kind: access.KindUser}
		if of.IsZero() {
			p.Kind = access.KindOperator
		}
		w.sessions["cookie-"+name] = p
		p.Email = ""
		w.tokens["token-"+name] = p
	}
	w.users = append(w.users, UserInfo{ID: "op1", Email: "op@x.example", Name: "op", Role: access.SOCAnalyst, CreatedAt: day})
	who("factor", access.TenantAdmin, alpha, alpha)
	who("platform", access.PlatformAdmin, tenant.ID{}, alpha, beta)
	who("analyst", access.SOCAnalyst, tenant.ID{}, alpha)
	who("both", access.SOCAnalyst, tenant.ID{}, alpha, beta)
	who("reader", access.SOCReader, tenant.ID{}, alpha)
	who("idle", access.SOCAnalyst, tenant.ID{})
	who("admin", access.TenantAdmin, alpha, alpha)
	who("auditor", access.TenantAuditor, alpha, alpha)
	who("ingest", access.Ingest, alpha, alpha)
	return w
}

// server is an api over the world.
func (w *world) server(t testing.TB, change ...func(*Options)) *Server {
	t.Helper()
	o := Options{Auth: (*worldAuth)(w), Alerts: (*worldAlerts)(w), Events: (*worldEvents)(w), Lines: worldLines{w}, Findings: (*worldFindings)(w), Tenants: (*worldTenants)(w),
		Keys: (*worldKeys)(w), Webhooks: (*worldWebhooks)(w), Trail: (*worldTrail)(w),
		Insight: (*worldInsight)(w), Searches: (*worldSearches)(w), Backtests: (*worldBacktests)(w), Exports: (*worldExports)(w), Streams: (*worldStreams)(w),
		Triage: (*worldTriage)(w), Suppressions: (*worldSuppressions)(w),
		ExportDir: "/nowhere", // no job runs without Run
		Account:   (*worldAccount)(w), Users: (*worldUsers)(w), Usage: (*worldUsage)(w),
		CursorKey: bytes.Repeat([]byte{7}, 32), AlertBudget: 5,
		Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }, Limits: Limits{RequestsPerSec: 1e6, SignInsPerMinute: 1e6}}
	for _, c := range change {
		c(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask makes a request; who is a name of the world (its token is sent), or
// "cookie:name", or empty.
type ask struct {
	who, method, path, body string
	header                  map[string]string
}

func (a ask) request() *http.Request {
	r := httptest.NewRequest(cmp.Or(a.method, http.MethodGet), a.path, strings.NewReader(a.body))
	if a.body == "" {
		r = httptest.NewRequest(cmp.Or(a.method, http.MethodGet), a.path, nil)
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if name, ok := strings.CutPrefix(a.who, "cookie:"); ok {
		r.AddCookie(&http.Cookie{Name: "tw_session", Value: "cookie-" + name})
		r.Header.Set("X-CSRF-Token", "csrf-cookie-"+name)
	} else if a.who != "" {
		r.Header.Set("Authorization", "Bearer token-"+a.who)
	}
	for k, v := range a.header {
		r.Header.Set(k, v)
	}
	return r
}

// do answers a request and holds request and answer against the contract.
func (a ask) do(t testing.TB, s *Server) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, a.request())
	contract(t, a.request(), rec)
	return rec
}

func (a ask) want(t testing.TB, s *Server, status int) *httptest.ResponseRecorder {
	t.Helper()
	rec := a.do(t, s)
	if rec.Code != status {
		t.Fatalf("%s %s as %s: %d, want %d: %s", cmp.Or(a.method, "GET"), a.path, a.who, rec.Code, status, rec.Body)
	}
	return rec
}

// into decodes an answer.
func into[T any](t testing.TB, rec *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, rec.Body)
	}
	return v
}

// wantProblem asks and holds the answer against a type of problem.
func (a ask) wantProblem(t testing.TB, s *Server, slug string) (detail string) {
	t.Helper()
	rec := a.do(t, s)
	p := into[struct{ Type, Detail string }](t, rec)
	if p.Type != "/problems/"+slug {
		t.Fatalf("%s %s as %s: %d %s, want %s", cmp.Or(a.method, "GET"), a.path, a.who, rec.Code, rec.Body, slug)
	}
	return p.Detail
}
