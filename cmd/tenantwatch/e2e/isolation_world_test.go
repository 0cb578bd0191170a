//go:build integration

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	coretenant "github.com/tenantwatch/tenantwatch/core/tenant"
)

const provenTenants = 5

// owner is one tenant of the proof and everything by which it can be known.
type owner struct {
	slug, canary string
	events       int // a number of its own, which counts would show

	ingest, admin, auditor string // secrets
	keyID, hookID          string
	suppressionID          string
	searchID, exportID     string
	logStreamID            string
	lineID                 string
	userID                 string
	backtestID             string
	alertID, otherID       string
	etag                   string
	cursors                map[string]string // by operation, of the tenant's own lists
	pulled                 map[string]string // the same of the operator's, narrowed to it
	streamID               string            // where the operator's stream stood, over all tenants
}

// caller is one credential of the matrix.
type caller struct {
	name         string
	role         access.Role // "" without a credential
	single       bool
	sees         []*owner
	bearer       string
	cookie, csrf string
}

func (c caller) can(p access.Permission) bool { return p == "" || c.role.Can(p) }

// world is a running instance, full of canaries.
type world struct {
	*instance
	t       testing.TB
	owners  []*owner
	callers []caller
	missing string // a slug that no tenant has
	hooks   *endpoints
	http    *http.Client
	asked   int // requests so far; also spreads them over source addresses
}

// endpoints is where the tenants' webhooks go; each has a path of its own.
type endpoints struct {
	*httptest.Server
	mu     sync.Mutex
	bodies map[string][]string
}

func newEndpoints(t testing.TB) *endpoints {
	r := &endpoints{bodies: map[string][]string{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies[q.URL.Path] = append(r.bodies[q.URL.Path], fmt.Sprint(q.Header)+string(b))
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *endpoints) got(path string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.bodies[path], "\n")
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// newWorld starts the binary and fills it: five tenants with events, an alert,
// webhooks, keys and quarantined lines, and people with every role.
func newWorld(t testing.TB) *world {
	w := &world{t: t, missing: "t-" + random(6), hooks: newEndpoints(t)}
	w.instance = up(t, dataDir(t), "--log-level", "debug", "--webhooks-allow-private", "--detectors-checkpoint-every", "1s")
	w.http = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: w.dial}}
	for range provenTenants {
		o := &owner{slug: "t-" + random(6), canary: "CANARY-" + random(8)}
		if code, b := w.call(w.token, "POST", "/api/v1/tenants", map[string]any{"id": o.slug, "name": o.canary + " Inc."}); code != 201 {
			t.Fatalf("tenant: %d %s", code, b)
		}
		o.ingest = w.key(o.slug, map[string]any{"kind": "ingest", "name": o.canary + "-push"})
		o.admin = w.key(o.slug, map[string]any{"kind": "api", "role": "tenant_admin", "name": o.canary + "-admin"})
		o.auditor = w.key(o.slug, map[string]any{"kind": "api", "role": "tenant_auditor", "name": o.canary + "-auditor"})
		o.hookID = w.webhook(o, w.hooks.URL+"/"+o.canary)
		o.userID = w.member(o)
		w.member(o)                                  // a list of one has no second page
		w.webhook(o, "http://127.0.0.1:1/"+o.canary) // nobody listens: its failures must not tell either
		for range 2 {                                // a list of one has no cursor
			o.suppressionID = w.suppression(o)
			o.backtestID = w.made(o, "/api/v1/backtests", map[string]any{"name": o.canary + " backtest", "from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"})
			o.searchID = w.made(o, "/api/v1/searches", map[string]any{"name": o.canary + " search", "query": "actor:" + o.canary + "*", "shared": true})
			o.logStreamID = w.made(o, "/api/v1/streams", map[string]any{"name": o.canary + " stream", "kind": "http", "config": map[string]any{"url": w.hooks.URL + "/" + o.canary + "-stream"}})
			o.exportID = w.made(o, "/api/v1/exports", map[string]any{"format": "csv", "query": "actor:" + o.canary + "*"})
		}
		w.owners = append(w.owners, o)
	}
	eventually(t, 10*time.Second, "the operator sees every tenant", func() bool {
		var page struct{ Items []any }
		w.get(w.token, "/api/v1/tenants", &page)
		return len(page.Items) == provenTenants
	})
	position := w.follow()
	for n, o := range w.owners {
		w.fill(o, n)
	}
	for _, o := range w.owners {
		w.settle(o)
	}
	at := position()
	for _, o := range w.owners {
		o.streamID = at
	}
	w.people()
	return w
}

// follow reads the stream of the operator, who sees every tenant, until the
// function it returns is called, which gives the id of the last message.
func (w *world) follow() (position func() string) {
	ctx, cancel := context.WithCancel(w.t.Context())
	q, err := http.NewRequestWithContext(ctx, "GET", w.api+"/api/v1/stream", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := http.DefaultClient.Do(q)
	if err != nil || resp.StatusCode != 200 {
		w.t.Fatalf("the operator's stream: %v", err)
	}
	last := make(chan string, 1)
	go func() { // ends with ctx
		defer resp.Body.Close()
		id := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if v, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = v
			}
		}
		last <- id
	}()
	return func() string {
		cancel()
		id := <-last
		if len(id) < 20 {
			w.t.Fatalf("the operator's stream gave no position: %q", id)
		}
		return id
	}
}

// dial spreads requests over the loopback network, so that the limits on
// sign-ins and refused credentials, which are of an address, do not slow the
// matrix down.
func (w *world) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(w.asked/8/250), byte(1+w.asked/8%250))}}
	return d.DialContext(ctx, network, addr)
}

func (w *world) webhook(o *owner, to string) string {
	code, b := w.call(w.token, "POST", "/api/v1/webhooks", map[string]any{"tenant_id": o.slug, "url": to, "name": o.canary + " siem"})
	var out struct{ Webhook struct{ ID string } }
	if err := json.Unmarshal(b, &out); code != 201 || err != nil {
		w.t.Fatalf("webhook: %d %s", code, b)
	}
	return out.Webhook.ID
}

// made creates something of an owner's and gives its id.
func (w *world) made(o *owner, path string, body map[string]any) string {
	code, b := w.call(o.admin, "POST", path, body)
	var out struct{ ID string }
	if err := json.Unmarshal(b, &out); code != 201 || err != nil {
		w.t.Fatalf("%s: %d %s", path, code, b)
	}
	return out.ID
}

// suppression adds one that hides nobody there is.
func (w *world) suppression(o *owner) string {
	code, b := w.call(o.admin, "POST", "/api/v1/suppressions", map[string]any{"scope": map[string]any{"entity_type": "user", "entity_id": o.canary + " nobody"},
		"until": time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339), "owner": o.canary, "reason": "for the proof"})
	var out struct{ Suppression struct{ ID string } }
	if err := json.Unmarshal(b, &out); code != 201 || err != nil {
		w.t.Fatalf("suppression: %d %s", code, b)
	}
	return out.Suppression.ID
}

// member adds somebody to a tenant.
func (w *world) member(o *owner) string {
	code, b := w.call(w.token, "POST", "/api/v1/users", map[string]any{"tenant_id": o.slug, "email": random(6) + "@" + o.slug + ".example", "name": o.canary + " member", "role": "tenant_auditor"})
	var out struct{ User struct{ ID string } }
	if err := json.Unmarshal(b, &out); code != 201 || err != nil {
		w.t.Fatalf("user: %d %s", code, b)
	}
	return out.User.ID
}

// fill pushes two weeks of quiet, guesses at two accounts, and lines that no
// parser takes; their numbers differ from tenant to tenant.
func (w *world) fill(o *owner, n int) {
	var b bytes.Buffer
	monday := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	add := func(at time.Time, actor, addr, outcome string) {
		o.events++
		fmt.Fprintf(&b, `{"id":"%s-%d","time":%q,"actor":"%s-%s","class_uid":3002,"action":"login","outcome":%q,"src_ip":%q,"resource":"%s-app","user_agent":"%s-ua","session":"%s-s","team":"%s-team"}`+"\n",
			o.canary, o.events, at.Format(time.RFC3339), o.canary, actor, outcome, addr, o.canary, o.canary, o.canary, o.canary)
	}
	for day := range 11 + n {
		for k := range 28 {
			at := monday.AddDate(0, 0, day).Add(8*time.Hour + time.Duration(k)*20*time.Minute)
			add(at, fmt.Sprintf("u%d", (day*28+k)%10), fmt.Sprintf("198.51.100.%d", (day*28+k)%10), "success")
		}
	}
	for b, actor := range []string{"u3", "u5"} { // two alerts: a list of one has no cursor
		burst := monday.AddDate(0, 0, 11+n+b).Add(3 * time.Hour)
		for k := range 120 + n {
			add(burst.Add(time.Duration(k)*20*time.Second), actor, fmt.Sprintf("203.0.113.%d", k%60), "failure")
		}
	}
	for k := range 2 + n {
		fmt.Fprintf(&b, "%s no parser takes this line %d\n", o.canary, k)
	}
	got, err := w.push(o.ingest, "?source="+o.canary+"-source", &b)
	if err != nil || int(got.Accepted) != o.events || int(got.Quarantined) != 2+n {
		w.t.Fatalf("push: %+v, %v", got, err)
	}
}

// settle waits until a tenant's things are there and notes their ids.
func (w *world) settle(o *owner) {
	eventually(w.t, 30*time.Second, "rows of "+o.slug, func() bool { return int(w.account(o.slug).Stored) == o.events })
	eventually(w.t, 60*time.Second, "two alerts of "+o.slug, func() bool {
		var page struct{ Items []struct{ ID string } }
		w.get(o.admin, "/api/v1/alerts", &page)
		if len(page.Items) > 1 {
			o.alertID, o.otherID = page.Items[0].ID, page.Items[1].ID
		}
		return len(page.Items) > 1
	})
	eventually(w.t, 60*time.Second, "quarantined lines of "+o.slug, func() bool {
		var page struct{ Items []struct{ ID string } }
		w.get(o.admin, "/api/v1/quarantine", &page)
		if len(page.Items) > 0 {
			o.lineID = page.Items[0].ID
		}
		return len(page.Items) > 0
	})
	var keys struct{ Items []struct{ ID, Name string } }
	w.get(o.admin, "/api/v1/keys", &keys)
	for _, k := range keys.Items {
		if k.Name == o.canary+"-push" {
			o.keyID = k.ID
		}
	}
	eventually(w.t, 30*time.Second, "a delivery for "+o.slug, func() bool { return w.hooks.got("/"+o.canary) != "" })
	_, h, _ := w.send(request{method: "GET", path: "/api/v1/alerts/" + o.alertID, as: caller{bearer: o.admin}})
	if o.etag = h.Get("ETag"); o.etag == "" || o.keyID == "" {
		w.t.Fatalf("%s: no ETag or key", o.slug)
	}
}

// people makes an analyst and a reader who may see the first two tenants, and
// an administrator of the first, and signs them in as a browser does.
func (w *world) people() {
	ctx := w.t.Context()
	c := w.openCore()
	a, b := w.owners[0], w.owners[1]
	set := []coretenant.ID{coretenant.MustParse(a.slug), coretenant.MustParse(b.slug)}
	by := access.System("proof of isolation")
	const password = "correct horse battery staple"
	operator := func(role access.Role) caller {
		email := strings.ReplaceAll(string(role), "_", ".") + "@soc.example"
		if _, err := c.Identity.CreateOperator(ctx, by, core.NewPerson{Email: email, Password: password, Role: role, Tenants: set}); err != nil {
			w.t.Fatal(err)
		}
		return w.signIn(caller{name: string(role) + " of A, B (session)", role: role, sees: []*owner{a, b}}, email, password)
	}
	if _, err := c.Identity.CreateUser(ctx, by, set[0], core.NewPerson{Email: "boss@a.example", Password: password, Role: access.TenantAdmin}); err != nil {
		w.t.Fatal(err)
	}
	own := []*owner{a}
	w.callers = []caller{
		{name: "tenant_admin of A (token)", role: access.TenantAdmin, single: true, sees: own, bearer: a.admin},
		{name: "tenant_auditor of A (token)", role: access.TenantAuditor, single: true, sees: own, bearer: a.auditor},
		w.signIn(caller{name: "tenant_admin of A (session)", role: access.TenantAdmin, single: true, sees: own}, "boss@a.example", password),
		operator(access.SOCAnalyst),
		operator(access.SOCReader),
		{name: "ingest key of A", role: access.Ingest, single: true, bearer: a.ingest},
		{name: "no credential"},
	}
}

func (w *world) signIn(c caller, email, password string) caller {
	status, h, body := w.send(request{method: "POST", path: "/api/v1/session", body: map[string]any{"email": email, "password": password}})
	var s struct{ CSRF string }
	if err := json.Unmarshal(body, &s); status != 200 || err != nil {
		w.t.Fatalf("sign in as %s: %d %s", email, status, body)
	}
	for _, ck := range (&http.Response{Header: h}).Cookies() {
		if ck.Name == "tw_session" {
			c.cookie = ck.Value
		}
	}
	c.csrf = s.CSRF
	return c
}

// openCore is the core on the instance's own PostgreSQL, for what no route
// does: making people.
func (w *world) openCore() *core.Core {
	dir := filepath.Join(w.dir, "postgres")
	secret, err := os.ReadFile(filepath.Join(dir, "superuser.password"))
	if err != nil {
		w.t.Fatal(err)
	}
	m := hmac.New(sha256.New, bytes.TrimSpace(secret))
	m.Write([]byte("tenantwatch role password\x00tenantwatch_service"))
	socket := filepath.Join(dir, "run")
	if b, err := os.ReadFile(filepath.Join(dir, "socketdir")); err == nil {
		socket = strings.TrimSpace(string(b))
	}
	dsn := url.URL{Scheme: "postgres", User: url.UserPassword("tenantwatch_service", hex.EncodeToString(m.Sum(nil))), Path: "/tenantwatch",
		RawQuery: url.Values{"host": {socket}, "port": {"5432"}, "sslmode": {"disable"}}.Encode()}
	c, err := core.Open(w.t.Context(), core.Config{DSN: dsn.String(), MaxConns: 2, KeyFile: filepath.Join(w.dir, "keys", "seal.key")})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c
}
