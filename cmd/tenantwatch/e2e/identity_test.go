//go:build integration

package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/pquerna/otp/totp"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

// browser is somebody at a browser: it keeps cookies and sends the CSRF token.
type browser struct {
	*instance
	http *http.Client
	csrf string
}

func (i *instance) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		i.t.Fatal(err)
	}
	i.browsers++ // each has an address of its own, since sign-ins are limited by it
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 2, byte(i.browsers/250), byte(1+i.browsers%250))}}
	t := &http.Transport{DialContext: d.DialContext}
	i.t.Cleanup(t.CloseIdleConnections)
	return &browser{instance: i, http: &http.Client{Jar: jar, Timeout: time.Minute, Transport: t}}
}

func (b *browser) do(method, path string, body any) (int, map[string]any) {
	b.t.Helper()
	var r io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		r = bytes.NewReader(raw)
	}
	q, err := http.NewRequest(method, b.api+path, r)
	if err != nil {
		b.t.Fatal(err)
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	q.Header.Set("X-CSRF-Token", b.csrf)
	resp, err := b.http.Do(q)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]any{}
	raw, _ := io.ReadAll(resp.Body)
	_ = json.Unmarshal(raw, &out) // 204 has none
	if c, ok := out["csrf"].(string); ok {
		b.csrf = c
	}
	return resp.StatusCode, out
}

// must does a request that has to be answered so.
func (b *browser) must(status int, method, path string, body any) map[string]any {
	b.t.Helper()
	code, out := b.do(method, path, body)
	if code != status {
		b.t.Fatalf("%s %s: %d, want %d: %v", method, path, code, status, out)
	}
	return out
}

// TestIntegrationIdentity: somebody is added by the command line, changes the
// one-time password, sets up a second factor, is looked after by an
// administrator; an analyst steps into the tenant; a key changes over.
func TestIntegrationIdentity(t *testing.T) {
	i := up(t, dataDir(t))
	i.tenant("acme")
	cli := func(args ...string) []map[string]any {
		t.Helper()
		out, stderr, code := run(t, nil, append(args, "--data-dir", i.dir, "-o", "json")...)
		var rows []map[string]any
		if err := json.Unmarshal([]byte(out), &rows); code != 0 || err != nil {
			t.Fatalf("%v: %d %s%s", args, code, out, stderr)
		}
		return rows
	}
	once := func(rows []map[string]any) string { s, _ := rows[0]["once_password"].(string); return s }
	first := once(cli("user", "create", "ada@acme.example", "--tenant", "acme", "--role", "tenant_admin"))
	soc := once(cli("user", "create", "ana@soc.example", "--role", "soc_analyst"))
	cli("user", "grant", "ana@soc.example", "acme")
	if rows := cli("user", "list", "--tenant", "acme"); len(rows) != 1 || rows[0]["must_change_password"] != true {
		t.Errorf("user list: %v", rows)
	}

	ada := i.browser()
	in := map[string]any{"email": "ada@acme.example", "password": first}
	if s := ada.must(200, "POST", "/api/v1/session", in); s["must_change_password"] != true {
		t.Errorf("the one-time password has to be changed: %v", s)
	}
	ada.must(403, "GET", "/api/v1/audit/events", nil)
	const fresh = "a long enough one"
	ada.must(204, "POST", "/api/v1/session/password", map[string]any{"current_password": first, "new_password": fresh})
	ada.must(200, "GET", "/api/v1/audit/events", nil)
	e := ada.must(200, "POST", "/api/v1/session/totp", map[string]any{"password": fresh})
	secret := fmt.Sprint(e["secret"])
	code := func(off time.Duration) string {
		c, err := totp.GenerateCode(secret, time.Now().Add(off))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	confirmed := code(0)
	codes := ada.must(200, "POST", "/api/v1/session/totp/confirm", map[string]any{"code": confirmed})["recovery_codes"].([]any)
	in["password"] = fresh
	again := i.browser()
	if p := again.must(401, "POST", "/api/v1/session", in); p["type"] != "/problems/totp-required" {
		t.Errorf("the second step is not told: %v", p)
	}
	in["code"] = confirmed
	if p := again.must(401, "POST", "/api/v1/session", in); p["type"] != "/problems/unauthenticated" {
		t.Errorf("a code twice: %v", p)
	}
	in["code"] = code(30 * time.Second) // the next one, within the window
	again.must(200, "POST", "/api/v1/session", in)
	in["code"] = codes[0]
	i.browser().must(200, "POST", "/api/v1/session", in)
	if list := again.must(200, "GET", "/api/v1/sessions", nil)["items"].([]any); len(list) != 3 {
		t.Errorf("%d sessions", len(list))
	}
	again.must(204, "DELETE", "/api/v1/sessions", nil)
	ada.must(401, "GET", "/api/v1/session", nil)

	// Five failures lock; an administrator's reset opens.
	in["code"] = codes[1]
	in["password"] = "not the password"
	for range 5 {
		i.browser().must(401, "POST", "/api/v1/session", in)
	}
	in["password"] = fresh
	i.browser().must(401, "POST", "/api/v1/session", in)
	delete(in, "code")
	in["password"] = once(cli("user", "reset", "ada@acme.example", "--tenant", "acme", "--second-factor"))
	i.browser().must(200, "POST", "/api/v1/session", in)

	// The analyst steps in, and acme can read why.
	ana := i.browser()
	ana.must(200, "POST", "/api/v1/session", map[string]any{"email": "ana@soc.example", "password": soc})
	ana.must(204, "POST", "/api/v1/session/password", map[string]any{"current_password": soc, "new_password": fresh})
	ana.must(200, "POST", "/api/v1/session/view-as", map[string]any{"tenant_id": "acme", "reason": "ticket 4711"})
	if s := ana.must(200, "GET", "/api/v1/session", nil); s["view_as"].(map[string]any)["reason"] != "ticket 4711" || s["multi_tenant"] != false {
		t.Errorf("the session in the view: %v", s)
	}
	ana.must(200, "GET", "/api/v1/audit/events", nil)
	ana.must(200, "DELETE", "/api/v1/session/view-as", nil)
	auditor := i.key("acme", map[string]any{"kind": "api", "role": "tenant_auditor", "name": "auditor"})
	for _, q := range []string{"action:view_as.start label.reason:\"ticket 4711\" actor:ana@soc.example", "action:view_as.end", "action:operator.read actor:ana@soc.example",
		"action:session.start actor:ada@acme.example class_uid:3002 outcome:success", "action:session.refuse outcome:failure", "action:user.lock", "action:mfa.enable", "action:user.reset", "action:operator.grant"} {
		eventually(t, 60*time.Second, q+" in acme's own log", func() bool { return len(i.trail(auditor, q)) > 0 })
	}

	// A key changes over: both open the door, then one.
	old := i.key("acme", map[string]any{"kind": "ingest", "name": "push"})
	id := strings.Split(old, "_")[2]
	next := fmt.Sprint(cli("key", "rotate", id, "--tenant", "acme", "--overlap", "1h")[0]["secret"])
	line := `{"time":"2026-03-01T09:00:00Z","actor":"a","action":"login"}`
	for _, k := range []string{old, next} {
		if _, err := i.push(k, "", strings.NewReader(line)); err != nil {
			t.Errorf("during the overlap: %v", err)
		}
	}
	if _, stderr, code := run(t, nil, "key", "revoke", id, "--tenant", "acme", "--data-dir", i.dir); code != 0 {
		t.Fatalf("revoke: %s", stderr)
	}
	eventually(t, 60*time.Second, "the old key is refused", func() bool { _, err := i.push(old, "", strings.NewReader(line)); return err != nil })
	if _, err := i.push(next, "", strings.NewReader(line)); err != nil {
		t.Errorf("the successor: %v", err)
	}
	// What was used is counted, also across a restart.
	if err := i.stop(); err != nil {
		t.Fatal(err)
	}
	i.start()
	var used struct {
		Total struct{ Events, Bytes, Queries int }
	}
	i.get(i.token, "/api/v1/usage?tenant_id=acme", &used)
	if used.Total.Events < 3 || used.Total.Bytes < 3*len(line) || used.Total.Queries < 3 {
		t.Errorf("usage: %+v", used)
	}
	if _, stderr, code := run(t, nil, "user", "delete", "nobody@x.example", "--data-dir", i.dir); code != 5 {
		t.Errorf("nobody: exit code %d %s", code, stderr)
	}
}

// TestIntegrationSingleSignOn: a browser signs in with a real OpenID Connect
// provider.
func TestIntegrationSingleSignOn(t *testing.T) {
	was := slog.Default() // the provider takes it over
	t.Cleanup(func() { slog.SetDefault(was) })
	var op http.Handler
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { op.ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	issuer := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	}))
	t.Cleanup(keys.Close)
	file := filepath.Join(t.TempDir(), "auth.yaml")
	if err := os.WriteFile(file, []byte(`providers:
  - id: acme
    name: Acme single sign-on
    issuer: `+issuer+`
    client_id: web
    client_secret: the client's secret
    tenant: acme
    role_claim: email
    roles: { test-user@zitadel.ch: tenant_auditor }
machines:
  - id: ci
    issuer: https://ci.example
    audience: tenantwatch
    jwks_url: `+keys.URL+`
    tenant_claim: org
    tenants: { Acme Inc.: acme }
    default_role: tenant_auditor
`), 0o600); err != nil {
		t.Fatal(err)
	}
	i := up(t, dataDir(t), "--auth-file", file)
	i.tenant("acme")
	op = exampleop.SetupServer(issuer, storage.NewStorageWithClients(storage.NewUserStore(issuer), map[string]*storage.Client{
		"web": storage.WebClient("web", "the client's secret", i.api+"/api/v1/session/oidc/acme/callback")}), slog.New(slog.DiscardHandler), false)

	signIn := func(user string) (b *browser, landed *url.URL) {
		b = i.browser()
		resp, err := b.http.Get(i.api + "/api/v1/session/oidc/acme?return_to=/alerts")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		id := resp.Request.URL.Query().Get("authRequestID")
		if id == "" {
			t.Fatalf("no login page of the provider: %s %d", resp.Request.URL, resp.StatusCode)
		}
		resp, err = b.http.PostForm(issuer+"/login/username", url.Values{"username": {user}, "password": {"verysecure"}, "id": {id}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return b, resp.Request.URL
	}
	ways := i.browser().must(200, "GET", "/api/v1/session/providers", nil)
	if p := ways["providers"].([]any); len(p) != 1 || p[0].(map[string]any)["name"] != "Acme single sign-on" {
		t.Errorf("ways to sign in: %v", ways)
	}
	b, landed := signIn("test-user@localhost")
	if landed.Path != "/alerts" {
		t.Errorf("landed at %s", landed)
	}
	if s := b.must(200, "GET", "/api/v1/session", nil); s["user"].(map[string]any)["email"] != "test-user@zitadel.ch" || s["user"].(map[string]any)["role"] != "tenant_auditor" {
		t.Errorf("signed in as %v", s)
	}
	b.must(200, "GET", "/api/v1/audit/events", nil)
	stranger, landed := signIn("test-user2") // genuine, but without a role here
	if landed.Path != "/signin" || landed.Query().Get("error") != "unknown" {
		t.Errorf("a stranger landed at %s", landed)
	}
	stranger.must(401, "GET", "/api/v1/session", nil)

	// A machine shows a token of its own issuer.
	bearer := func(audience, org string) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
		if err != nil {
			t.Fatal(err)
		}
		claims, _ := json.Marshal(map[string]any{"iss": "https://ci.example", "aud": audience, "sub": "deploy", "org": org, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()})
		o, err := s.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		text, err := o.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if code, b := i.call(bearer("tenantwatch", "Acme Inc."), "GET", "/api/v1/audit/events", nil); code != 200 {
		t.Errorf("a machine: %d %s", code, b)
	}
	if code, _ := i.call(bearer("tenantwatch", "Acme Inc."), "POST", "/api/v1/keys", map[string]any{"name": "x", "kind": "ingest"}); code != 403 {
		t.Errorf("a machine beyond its role: %d", code)
	}
	for _, bad := range []string{bearer("another", "Acme Inc."), bearer("tenantwatch", "acme")} {
		if code, _ := i.call(bad, "GET", "/api/v1/audit/events", nil); code != 401 {
			t.Errorf("a machine that is not known: %d", code)
		}
	}
}
