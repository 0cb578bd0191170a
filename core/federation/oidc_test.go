package federation_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/federation"
)

// idp is a real OpenID Connect provider with its own people.
type idp struct {
	*httptest.Server
	redirect string
}

func newIDP(t *testing.T, redirect string) *idp {
	t.Helper()
	was := slog.Default() // the provider takes it over
	t.Cleanup(func() { slog.SetDefault(was) })
	var h http.Handler
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	issuer := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	s.URL = issuer
	store := storage.NewStorageWithClients(storage.NewUserStore(issuer), map[string]*storage.Client{"web": storage.WebClient("web", "the client's secret", redirect)})
	h = exampleop.SetupServer(issuer, store, slog.New(slog.DiscardHandler), false)
	return &idp{s, redirect}
}

// authorize goes through the provider's pages as a browser does and returns
// the query that comes back.
func (i *idp) authorize(t *testing.T, start, user string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), i.redirect) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := c.Get(start)
	if err != nil {
		t.Fatal(err)
	}
	page, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	id := resp.Request.URL.Query().Get("authRequestID")
	if id == "" {
		t.Fatalf("no login page at %s: %s", resp.Request.URL, page)
	}
	resp, err = c.PostForm(i.URL+"/login/username", url.Values{"username": {user}, "password": {"verysecure"}, "id": {id}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("the provider does not send the browser back: %d", resp.StatusCode)
	}
	return to.Query()
}

func TestSignInWithARealProvider(t *testing.T) {
	const redirect = "http://localhost:9999/api/v1/session/oidc/acme/callback"
	op := newIDP(t, redirect)
	config := federation.ProviderConfig{ID: "acme", Issuer: op.URL, ClientID: "web", ClientSecret: "the client's secret",
		Mapping: federation.Mapping{Tenant: "acme", RoleClaim: "email", Roles: map[string]access.Role{"test-user@zitadel.ch": access.TenantAdmin}}}
	set, err := federation.New(federation.Config{Providers: []federation.ProviderConfig{config}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Provider("acme")
	if err != nil {
		t.Fatal(err)
	}
	verifier := strings.Repeat("v", 43)
	begin := func(user string) url.Values {
		start, err := p.Begin(t.Context(), redirect, "the state", "the nonce", verifier)
		if err != nil {
			t.Fatal(err)
		}
		if q := must(url.Parse(start)).Query(); q.Get("code_challenge_method") != "S256" || q.Get("nonce") != "the nonce" || q.Get("response_type") != "code" || strings.Contains(start, verifier) {
			t.Fatalf("the way to the provider: %s", start)
		}
		return op.authorize(t, start, user)
	}
	back := begin("test-user@localhost")
	if back.Get("state") != "the state" {
		t.Fatalf("came back with %v", back)
	}
	who, err := p.Finish(t.Context(), redirect, back.Get("code"), "the nonce", verifier)
	if err != nil || who.Email != "test-user@zitadel.ch" || who.Tenant.String() != "acme" || who.Role != access.TenantAdmin || who.Subject != "id1" || who.Issuer != op.URL {
		t.Fatalf("signed in as %+v, %v", who, err)
	}
	if _, err := p.Finish(t.Context(), redirect, back.Get("code"), "the nonce", verifier); !errors.Is(err, federation.ErrRefused) {
		t.Errorf("a code twice: %v", err)
	}
	if _, err := p.Finish(t.Context(), redirect, "made up", "the nonce", verifier); !errors.Is(err, federation.ErrRefused) {
		t.Errorf("a made-up code: %v", err)
	}
	if _, err := p.Finish(t.Context(), redirect, begin("test-user@localhost").Get("code"), "another nonce", verifier); !errors.Is(err, federation.ErrRefused) {
		t.Errorf("the nonce of another sign-in: %v", err)
	}
	if _, err := p.Finish(t.Context(), redirect, begin("test-user@localhost").Get("code"), "", verifier); !errors.Is(err, federation.ErrRefused) {
		t.Errorf("no nonce: %v", err)
	}
	if _, err := p.Finish(t.Context(), redirect, begin("test-user@localhost").Get("code"), "the nonce", strings.Repeat("w", 43)); !errors.Is(err, federation.ErrRefused) {
		t.Errorf("a code that somebody else began (PKCE): %v", err)
	}
	if _, err := p.Finish(t.Context(), redirect, begin("test-user2").Get("code"), "the nonce", verifier); !errors.Is(err, federation.ErrUnmapped) {
		t.Errorf("somebody without a role: %v", err)
	}
	// A provider that is away is told from one that refuses.
	op.Close()
	gone, err := federation.New(federation.Config{Providers: []federation.ProviderConfig{config}})
	if err != nil {
		t.Fatal(err)
	}
	away, err := gone.Provider("acme")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := away.Begin(t.Context(), redirect, "s", "n", verifier); !errors.Is(err, federation.ErrUnavailable) {
		t.Errorf("nobody answers: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
