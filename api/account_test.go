package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

type worldAccount world

func (w *worldAccount) ChangePassword(_ context.Context, _ access.Principal, _, old, _ string) error {
	if old != "right" {
		return fmt.Errorf("change: %w", ErrUnauthorized)
	}
	return nil
}

func (w *worldAccount) BeginTOTP(_ context.Context, p access.Principal, password string) (Enrolment, error) {
	if password != "right" {
		return Enrolment{}, ErrUnauthorized
	}
	return Enrolment{"SECRET", "otpauth://totp/x:" + p.Email, "data:image/png;base64,"}, nil
}

func (w *worldAccount) ConfirmTOTP(_ context.Context, _ access.Principal, _, code string) ([]string, error) {
	if code != "123456" {
		return nil, ErrUnauthorized
	}
	return []string{"aaaa-bbbb"}, nil
}

func (w *worldAccount) RemoveTOTP(_ context.Context, _ access.Principal, _, code string) error {
	if code != "123456" {
		return ErrUnauthorized
	}
	return nil
}

func (w *worldAccount) Sessions(_ context.Context, p access.Principal, _ string) ([]SessionInfo, error) {
	return []SessionInfo{{ID: p.ID, Method: "password", CreatedAt: day, SeenAt: day, ExpiresAt: day, Current: true}}, nil
}

func (w *worldAccount) EndSession(_ context.Context, p access.Principal, id string) error {
	if id != p.ID {
		return ErrNotFound
	}
	return nil
}

func (w *worldAccount) EndSessions(_ context.Context, p access.Principal) error {
	delete(w.sessions, "cookie-"+p.ID)
	return nil
}

func (w *worldAccount) ViewAs(_ context.Context, p access.Principal, token string, id tenant.ID, role access.Role, reason string) error {
	own := p.Role
	p.Role, p.Tenant, p.Tenants, p.View = role, id, []tenant.ID{id}, &access.View{Role: own, Reason: reason, Since: day}
	w.sessions[token] = p
	return nil
}

func (w *worldAccount) EndView(_ context.Context, p access.Principal, token string) error {
	if p.View != nil {
		w.sessions[token] = w.tokens["token-"+p.ID]
	}
	return nil
}

type worldUsers world

func (w *worldUsers) find(id tenant.ID, userID string) (int, error) {
	i := slices.IndexFunc(w.users, func(u UserInfo) bool { return u.Tenant == id && u.ID == userID })
	if i < 0 {
		return 0, ErrNotFound
	}
	return i, nil
}

func (w *worldUsers) List(_ context.Context, id tenant.ID) ([]UserInfo, error) {
	return slices.DeleteFunc(slices.Clone(w.users), func(u UserInfo) bool { return u.Tenant != id }), nil
}

func (w *worldUsers) Create(_ context.Context, _ access.Actor, id tenant.ID, n NewUser) (UserInfo, string, error) {
	w.calls++
	u := UserInfo{ID: fmt.Sprintf("user%d", w.calls), Tenant: id, Email: n.Email, Name: n.Name, Role: n.Role, Tenants: n.Tenants, CreatedAt: w.now}
	w.users = append(w.users, u)
	return u, "once", nil
}

func (w *worldUsers) Update(_ context.Context, _ access.Actor, id tenant.ID, userID string, ch UserChange) (UserInfo, error) {
	i, err := w.find(id, userID)
	if err != nil {
		return UserInfo{}, err
	}
	if ch.Name != nil {
		w.users[i].Name = *ch.Name
	}
	if ch.Tenants != nil {
		w.users[i].Tenants = *ch.Tenants
	}
	return w.users[i], nil
}

func (w *worldUsers) Reset(_ context.Context, _ access.Actor, id tenant.ID, userID string, _ bool) (UserInfo, string, error) {
	i, err := w.find(id, userID)
	if err != nil {
		return UserInfo{}, "", err
	}
	return w.users[i], "once", nil
}

func (w *worldUsers) Delete(_ context.Context, _ access.Actor, id tenant.ID, userID string) error {
	i, err := w.find(id, userID)
	if err == nil {
		w.users = slices.Delete(w.users, i, i+1)
	}
	return err
}

type worldUsage world

func (w *worldUsage) Report(_ context.Context, id tenant.ID, _, _ time.Time) (UsageReport, error) {
	n := map[tenant.ID]int64{alpha: 3, beta: 7777777}[id]
	return UsageReport{Days: []UsageDay{{day, UsageCounts{n, n, n, 0}}}, StoredDays: 1}, nil
}

func (w *worldUsage) Query(id tenant.ID, refused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counted == nil {
		w.counted = map[string]int{}
	}
	w.counted[fmt.Sprintf("%s %t", id, refused)]++
}

func (w *worldUsage) RequestsPerSecond(_ context.Context, id tenant.ID) (float64, error) {
	return w.quota[id], nil
}

// TestTenantQuota: one tenant at its quota leaves the other alone, and the
// operator's people do not use it up.
func TestTenantQuota(t *testing.T) {
	w := newWorld()
	w.quota = map[tenant.ID]float64{alpha: 2}
	w.tokens["token-other"] = access.Principal{Kind: access.KindToken, ID: "other", Role: access.TenantAuditor, Tenant: beta, Tenants: []tenant.ID{beta}}
	s := w.server(t)
	read := func(who string) *httptest.ResponseRecorder { return ask{who: who, path: "/api/v1/alerts"}.do(t, s) }
	for n := range 9 { // four seconds' worth and one
		rec := read([]string{"admin", "auditor"}[n%2])
		if want := fmt.Sprintf(`"tenant";r=%d;`, 8-n); rec.Code != 200 || !strings.Contains(rec.Header().Get("RateLimit"), want) {
			t.Fatalf("request %d: %d, RateLimit %s, want %s", n, rec.Code, rec.Header().Get("RateLimit"), want)
		}
	}
	rec := read("admin")
	if rec.Code != 429 || rec.Header().Get("Retry-After") != "1" || !strings.Contains(rec.Header().Get("RateLimit-Policy"), `"tenant";q=9;w=5`) {
		t.Errorf("over the quota: %d %v", rec.Code, rec.Header())
	}
	if rec := read("other"); rec.Code != 200 {
		t.Errorf("the other tenant: %d", rec.Code)
	}
	if rec := (ask{who: "analyst", path: "/api/v1/audit/events?tenant_id=alpha"}).do(t, s); rec.Code != 200 {
		t.Errorf("the operator's analyst: %d", rec.Code)
	}
	if w.counted["alpha true"] != 1 || w.counted["alpha false"] != 10 || w.counted["beta false"] != 1 {
		t.Errorf("metered: %v", w.counted)
	}
	w.mu.Lock()
	w.now = w.now.Add(2 * time.Second)
	w.mu.Unlock()
	if rec := read("admin"); rec.Code != 200 {
		t.Errorf("two seconds later: %d", rec.Code)
	}
	// Memory is bounded: the oldest is forgotten.
	l := newLimiter(1, 1, s.now)
	for n := range 3 * limiterKeys {
		l.take(fmt.Sprint(n))
	}
	if n := len(l.keys.byKey); n > limiterKeys {
		t.Errorf("%d keys are remembered", n)
	}
}

func TestAddressLimit(t *testing.T) {
	s := newWorld().server(t, func(o *Options) { o.Limits.RequestsPerSec, o.Limits.AddressPerSec = 1e6, 1 })
	for range 5 {
		ask{who: "admin", path: "/api/v1/alerts"}.want(t, s, 200)
	}
	if rec := (ask{who: "both", path: "/api/v1/alerts"}).do(t, s); rec.Code != 429 || rec.Header().Get("Retry-After") == "" {
		t.Errorf("another credential from the same address: %d", rec.Code)
	}
	r := ask{who: "both", path: "/api/v1/alerts"}.request()
	r.RemoteAddr = "203.0.113.9:1"
	rec := httptest.NewRecorder()
	if s.ServeHTTP(rec, r); rec.Code != 200 {
		t.Errorf("from another address: %d", rec.Code)
	}
}

func TestSecondStep(t *testing.T) {
	s := newWorld().server(t)
	in := func(body string) ask { return ask{method: "POST", path: "/api/v1/session", body: body} }
	in(`{"email":"factor@x","password":"right"}`).wantProblem(t, s, "totp-required")
	in(`{"email":"factor@x","password":"wrong"}`).wantProblem(t, s, "unauthenticated")
	in(`{"email":"factor@x","password":"right","code":"000000"}`).wantProblem(t, s, "unauthenticated")
	in(`{"email":"factor@x","password":"right","code":"123456"}`).want(t, s, 200)
}

func TestAccount(t *testing.T) {
	s := newWorld().server(t)
	post := func(path, body string) ask {
		return ask{who: "cookie:admin", method: "POST", path: "/api/v1/session" + path, body: body}
	}
	post("/password", `{"current_password":"wrong","new_password":"0123456789"}`).wantProblem(t, s, "bad-request")
	post("/password", `{"current_password":"right","new_password":"short"}`).wantProblem(t, s, "bad-request")
	post("/password", `{"current_password":"right","new_password":"0123456789"}`).want(t, s, 204)
	post("/totp", `{"password":"wrong"}`).wantProblem(t, s, "bad-request")
	post("/totp", `{"password":"right"}`).want(t, s, 200)
	post("/totp/confirm", `{"code":"12345x"}`).wantProblem(t, s, "bad-request")
	post("/totp/confirm", `{"code":"123456"}`).want(t, s, 200)
	ask{who: "cookie:admin", method: "DELETE", path: "/api/v1/session/totp", body: `{"password":"right","code":"123456"}`}.want(t, s, 204)
	ask{who: "cookie:admin", path: "/api/v1/sessions"}.want(t, s, 200)
	ask{who: "cookie:admin", method: "DELETE", path: "/api/v1/sessions/admin"}.want(t, s, 204)
	ask{who: "cookie:admin", method: "DELETE", path: "/api/v1/sessions/analyst"}.want(t, s, 404)
	ask{who: "admin", path: "/api/v1/sessions"}.wantProblem(t, s, "bad-request") // a token has none
	ask{who: "cookie:admin", method: "DELETE", path: "/api/v1/sessions", header: map[string]string{"X-CSRF-Token": "x"}}.wantProblem(t, s, "csrf")
	ask{who: "cookie:admin", method: "DELETE", path: "/api/v1/sessions"}.want(t, s, 204)
	ask{who: "cookie:admin", path: "/api/v1/session"}.want(t, s, 401)
}

func TestMustChangePassword(t *testing.T) {
	w := newWorld()
	p := w.sessions["cookie-admin"]
	p.MustChange = true
	w.sessions["cookie-admin"] = p
	s := w.server(t)
	for _, r := range Routes() {
		if r.Public || mine[r.Operation] {
			continue
		}
		a := shot(r, "cookie:admin", alphaID, "", "")
		if rec := a.once(t, s); rec.Code != 403 {
			t.Errorf("%s before the password was changed: %d", r.Operation, rec.Code)
		}
	}
	if !strings.Contains((ask{who: "cookie:admin", path: "/api/v1/session"}).want(t, s, 200).Body.String(), `"must_change_password":true`) {
		t.Error("the session does not say so")
	}
	ask{who: "cookie:admin", method: "POST", path: "/api/v1/session/password", body: `{"current_password":"right","new_password":"0123456789"}`}.want(t, s, 204)
}

func TestViewAs(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	step := func(who, body string) ask {
		return ask{who: who, method: "POST", path: "/api/v1/session/view-as", body: body}
	}
	step("cookie:analyst", `{"tenant_id":"beta","reason":"ticket 4711"}`).wantProblem(t, s, "not-found")
	step("cookie:analyst", `{"tenant_id":"alpha","reason":"x"}`).wantProblem(t, s, "bad-request")
	step("cookie:reader", `{"tenant_id":"alpha","reason":"ticket 4711"}`).wantProblem(t, s, "forbidden")
	step("analyst", `{"tenant_id":"alpha","reason":"ticket 4711"}`).wantProblem(t, s, "bad-request") // a token has no session
	body := step("cookie:analyst", `{"tenant_id":"alpha","reason":"ticket 4711"}`).want(t, s, 200).Body.String()
	for _, want := range []string{`"reason":"ticket 4711"`, `"tenant_id":"alpha"`, `"own_role":"soc_analyst"`, `"role":"tenant_auditor"`, `"multi_tenant":false`} {
		if !strings.Contains(body, want) {
			t.Errorf("the session lacks %s: %s", want, body)
		}
	}
	// What is seen in the view is written down, as the operator's.
	n := len(w.noted)
	ask{who: "cookie:analyst", path: "/api/v1/audit/events"}.want(t, s, 200)
	if len(w.noted) != n+1 || w.noted[n].Action != NoteRead || w.noted[n].of != alpha || w.noted[n].by != "analyst" {
		t.Errorf("noted: %v", w.noted[n:])
	}
	ask{who: "cookie:analyst", path: "/api/v1/audit/events?tenant_id=alpha"}.wantProblem(t, s, "tenant-not-allowed")
	if body := (ask{who: "cookie:analyst", method: "DELETE", path: "/api/v1/session/view-as"}).want(t, s, 200).Body.String(); strings.Contains(body, `"view_as":`) {
		t.Errorf("after stepping out: %s", body)
	}
}

func TestUsers(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	type page struct {
		Items []struct {
			ID       string
			TenantID *string `json:"tenant_id"`
		}
	}
	if got := into[page](t, ask{who: "platform", path: "/api/v1/users"}.want(t, s, 200)).Items; len(got) != 1 || got[0].TenantID != nil {
		t.Errorf("the operator's people: %+v", got)
	}
	if got := into[page](t, ask{who: "platform", path: "/api/v1/users?tenant_id=beta"}.want(t, s, 200)).Items; len(got) != 1 || *got[0].TenantID != "beta" {
		t.Errorf("beta's people: %+v", got)
	}
	if got := into[page](t, ask{who: "admin", path: "/api/v1/users"}.want(t, s, 200)).Items; len(got) != 1 || *got[0].TenantID != "alpha" {
		t.Errorf("one's own people: %+v", got)
	}
	ask{who: "analyst", path: "/api/v1/users"}.want(t, s, 403)
	ask{who: "auditor", path: "/api/v1/users"}.want(t, s, 403)
	make := func(who, body string) ask { return ask{who: who, method: "POST", path: "/api/v1/users", body: body} }
	made := make("admin", `{"email":"n@x.example","role":"tenant_auditor"}`).want(t, s, 201).Body.String()
	if !strings.Contains(made, `"once_password":"once"`) {
		t.Errorf("made: %s", made)
	}
	make("admin", `{"email":"n@x.example","role":"platform_admin"}`).wantProblem(t, s, "forbidden") // holds more than the one who asks
	make("admin", `{"email":"n@x.example","role":"tenant_auditor","tenants":["alpha"]}`).wantProblem(t, s, "bad-request")
	make("platform", `{"email":"n@x.example","role":"soc_analyst","tenants":["alpha","beta"]}`).want(t, s, 201)
	make("platform", `{"email":"n@x.example","role":"soc_analyst","tenants":["nobody"]}`).wantProblem(t, s, "bad-request")
	ask{who: "platform", method: "PATCH", path: "/api/v1/users/op1", body: `{"tenants":["beta"]}`}.want(t, s, 200)
	ask{who: "platform", method: "PATCH", path: "/api/v1/users/" + alphaID, body: `{"name":"x"}`}.want(t, s, 404) // no operator
	ask{who: "platform", method: "POST", path: "/api/v1/users/" + alphaID + "/reset", body: `{"tenant_id":"alpha"}`}.want(t, s, 200)
	ask{who: "platform", method: "DELETE", path: "/api/v1/users/" + alphaID + "?tenant_id=alpha"}.want(t, s, 204)
}

// TestNarrowCredentials: a credential cannot make, change or take over one that
// may do more than itself.
func TestNarrowCredentials(t *testing.T) {
	w := newWorld()
	p := w.tokens["token-admin"]
	p.Scopes = []access.Permission{access.KeysRead, access.KeysManage, access.UsersRead, access.UsersManage}
	w.tokens["token-admin"] = p
	w.keys = append(w.keys, KeyInfo{ID: "wide", Tenant: alpha, Kind: "api", Role: access.TenantAdmin, CreatedAt: day})
	s := w.server(t)
	for _, a := range []ask{
		{method: "POST", path: "/api/v1/keys", body: `{"name":"k","kind":"api","role":"tenant_admin"}`},
		{method: "POST", path: "/api/v1/keys", body: `{"name":"k","kind":"api","role":"tenant_auditor","scopes":["events:read"]}`},
		{method: "POST", path: "/api/v1/keys/wide/rotate"},
		{method: "POST", path: "/api/v1/users", body: `{"email":"n@x.example","role":"tenant_admin"}`},
		{method: "POST", path: "/api/v1/users/" + alphaID + "/reset"},
		{method: "PATCH", path: "/api/v1/users/" + alphaID, body: `{"role":"tenant_auditor"}`},
	} {
		a.who = "admin"
		a.wantProblem(t, s, "forbidden")
	}
	ask{who: "admin", method: "POST", path: "/api/v1/keys", body: `{"name":"k","kind":"api","role":"tenant_admin","scopes":["keys:read"]}`}.want(t, s, 201)
	ask{who: "admin", method: "POST", path: "/api/v1/keys", body: `{"name":"k","kind":"ingest"}`}.want(t, s, 201)
	ask{who: "admin", method: "POST", path: "/api/v1/keys/" + alphaID + "/rotate", body: `{"overlap_seconds":60}`}.want(t, s, 201)
}

// worldSignIn is a provider that answers what Finish should be told.
type worldSignIn struct {
	w     *world
	begun url.Values
}

func (*worldSignIn) List() []ProviderInfo { return []ProviderInfo{{"acme", "Acme"}} }

func (p *worldSignIn) Begin(_ context.Context, provider, redirect, state, nonce, verifier string) (string, error) {
	if provider != "acme" {
		return "", ErrNotFound
	}
	p.begun = url.Values{"redirect": {redirect}, "state": {state}, "nonce": {nonce}, "verifier": {verifier}}
	return "https://idp.example/authorize", nil
}

func (p *worldSignIn) Finish(_ context.Context, _, redirect, code, nonce, verifier, _ string, _ Credentials) (string, SignedIn, error) {
	if code != "good" || redirect != p.begun.Get("redirect") || nonce != p.begun.Get("nonce") || verifier != p.begun.Get("verifier") {
		return "", SignedIn{}, ErrUnauthorized
	}
	return "cookie-admin", SignedIn{Principal: p.w.sessions["cookie-admin"], ExpiresAt: p.w.now.Add(time.Hour)}, nil
}

func TestSignInWithAProvider(t *testing.T) {
	w := newWorld()
	idp := &worldSignIn{w: w}
	s := w.server(t, func(o *Options) { o.SignIn = idp })
	s.signIns = newLimiter(1e6, 1e6, s.now)
	ask{path: "/api/v1/session/providers"}.want(t, s, 200)
	ask{path: "/api/v1/session/oidc/other"}.want(t, s, 404)
	for _, bad := range []string{"//evil.example/", "https://evil.example", "/\\evil.example"} {
		ask{path: "/api/v1/session/oidc/acme?return_to=" + url.QueryEscape(bad)}.wantProblem(t, s, "bad-request")
	}
	begin := func() *http.Cookie {
		rec := ask{path: "/api/v1/session/oidc/acme?return_to=%2Falerts"}.want(t, s, 302)
		for _, c := range rec.Result().Cookies() {
			if c.Name == oidcCookie && c.HttpOnly && c.SameSite == http.SameSiteLaxMode {
				return c
			}
		}
		t.Fatal("the browser was given nothing to come back with")
		return nil
	}
	back := func(c *http.Cookie, query string) (to, session string) {
		r := httptest.NewRequest("GET", "/api/v1/session/oidc/acme/callback?"+query, nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if c != nil {
			r.AddCookie(c)
		}
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		if rec.Code != 302 {
			t.Fatalf("callback: %d %s", rec.Code, rec.Body)
		}
		for _, c := range rec.Result().Cookies() {
			if c.Name == sessionCookie {
				session = c.Value
			}
		}
		return rec.Header().Get("Location"), session
	}
	c := begin()
	state := idp.begun.Get("state")
	if len(state) < 40 || len(idp.begun.Get("nonce")) < 40 || len(idp.begun.Get("verifier")) < 43 {
		t.Errorf("guessable: %v", idp.begun)
	}
	forged := *c
	forged.Value = "AAAA" + c.Value[4:]
	for what, at := range map[string]struct {
		c     *http.Cookie
		query string
		to    string
	}{
		"another browser":      {nil, "code=good&state=" + state, "/signin?error=expired"},
		"a forged attempt":     {&forged, "code=good&state=" + state, "/signin?error=expired"},
		"another state":        {c, "code=good&state=x", "/signin?error=expired"},
		"no state":             {c, "code=good", "/signin?error=expired"},
		"refused by the user":  {c, "error=access_denied&state=" + state, "/signin?error=denied"},
		"a code of no account": {c, "code=bad&state=" + state, "/signin?error=unknown"},
	} {
		if to, session := back(at.c, at.query); to != at.to || session != "" {
			t.Errorf("%s: leads to %s with session %q", what, to, session)
		}
	}
	// The control: the same, unchanged, with what providers add.
	if to, session := back(c, "code=good&session_state=1&iss=https%3A%2F%2Fidp.example&state="+state); to != "/alerts" || session != "cookie-admin" {
		t.Errorf("leads to %s with session %q", to, session)
	}
	w.mu.Lock()
	w.now = w.now.Add(11 * time.Minute)
	w.mu.Unlock()
	if to, session := back(c, "code=good&state="+state); to != "/signin?error=expired" || session != "" {
		t.Errorf("after eleven minutes: %s, %q", to, session)
	}
}
