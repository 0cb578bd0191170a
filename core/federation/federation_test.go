package federation_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/federation"
)

// issuer signs tokens and publishes its keys, which it can change.
type issuer struct {
	*httptest.Server
	mu   sync.Mutex
	keys []jose.JSONWebKey
	asks int
}

func newIssuer(t *testing.T, keys ...jose.JSONWebKey) *issuer {
	i := &issuer{keys: keys}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asks++
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: i.keys})
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(keys ...jose.JSONWebKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

func public(kid, alg string, key crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: kid, Algorithm: alg, Use: "sig"}
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := o.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMachines(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key, other := rsaKey(t), rsaKey(t)
	keys := newIssuer(t, public("k1", "RS256", key))
	set, err := federation.New(federation.Config{Now: func() time.Time { return now }, Machines: []federation.MachineConfig{{
		ID: "ci", Issuer: "https://issuer.example", Audience: "tenantwatch", JWKS: keys.URL,
		Mapping: federation.Mapping{TenantClaim: "org", Tenants: map[string]string{"Acme Inc": "acme"}, RoleClaim: "groups",
			Roles: map[string]access.Role{"admins": access.TenantAdmin, "readers": access.TenantAuditor}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	claims := func(change map[string]any) map[string]any {
		c := map[string]any{"iss": "https://issuer.example", "aud": "tenantwatch", "sub": "deploy", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
			"org": "Acme Inc", "groups": []string{"readers", "admins", "other"}}
		for k, v := range change {
			if v == nil {
				delete(c, k)
			} else {
				c[k] = v
			}
		}
		return c
	}
	// The control: a good one.
	m, err := set.Machine(t.Context(), sign(t, jose.RS256, key, "k1", claims(nil)))
	if err != nil || m.Tenant.String() != "acme" || m.Role != access.TenantAdmin || m.ID != "ci:deploy" {
		t.Fatalf("a good token: %+v, %v", m, err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	asSecret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	body, _ := json.Marshal(claims(nil))
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body) + "."
	good := sign(t, jose.RS256, key, "k1", claims(nil))
	for what, bearer := range map[string]string{
		"alg none":                  none,
		"HS256 with the public key": sign(t, jose.HS256, asSecret, "k1", claims(nil)),
		"an algorithm not pinned":   sign(t, jose.RS512, key, "k1", claims(nil)),
		"another key":               sign(t, jose.RS256, other, "k1", claims(nil)),
		"a key nobody publishes":    sign(t, jose.RS256, other, "k9", claims(nil)),
		"wrong audience":            sign(t, jose.RS256, key, "k1", claims(map[string]any{"aud": "another"})),
		"wrong issuer":              sign(t, jose.RS256, key, "k1", claims(map[string]any{"iss": "https://evil.example"})),
		"expired":                   sign(t, jose.RS256, key, "k1", claims(map[string]any{"exp": now.Add(-time.Minute).Unix()})),
		"without expiry":            sign(t, jose.RS256, key, "k1", claims(map[string]any{"exp": nil})),
		"not yet valid":             sign(t, jose.RS256, key, "k1", claims(map[string]any{"nbf": now.Add(time.Hour).Unix()})),
		"issued in the future":      sign(t, jose.RS256, key, "k1", claims(map[string]any{"iat": now.Add(30 * time.Minute).Unix()})),
		"without a time of issue":   sign(t, jose.RS256, key, "k1", claims(map[string]any{"iat": nil})),
		"living for a year":         sign(t, jose.RS256, key, "k1", claims(map[string]any{"exp": now.AddDate(1, 0, 0).Unix()})),
		"without a subject":         sign(t, jose.RS256, key, "k1", claims(map[string]any{"sub": nil})),
		"a changed payload":         strings.Replace(good, strings.Split(good, ".")[1], base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(body), "deploy", "root", 1))), 1),
		"no token":                  "eyJ..",
		"another's key":             "tw_api_x",
	} {
		if m, err := set.Machine(t.Context(), bearer); !errors.Is(err, federation.ErrRefused) {
			t.Errorf("%s: %+v, %v", what, m, err)
		}
	}
	for what, change := range map[string]map[string]any{
		"a tenant that is not listed": {"org": "acme"}, // the slug itself is no key of the table
		"two tenants":                 {"org": []string{"Acme Inc", "Beta"}},
		"no tenant":                   {"org": nil},
		"no role":                     {"groups": []string{"other"}},
	} {
		if m, err := set.Machine(t.Context(), sign(t, jose.RS256, key, "k1", claims(change))); !errors.Is(err, federation.ErrUnmapped) {
			t.Errorf("%s: %+v, %v", what, m, err)
		}
	}
	// The issuer changes its key: the new one counts at once, the old one no
	// longer once the set has been read again.
	next, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys.publish(public("k2", "ES256", next))
	if _, err := set.Machine(t.Context(), sign(t, jose.ES256, next, "k2", claims(nil))); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
	// The library hands out the new set a moment before it keeps it.
	for deadline := time.Now().Add(30 * time.Second); ; {
		_, err := set.Machine(t.Context(), sign(t, jose.RS256, key, "k1", claims(nil)))
		if errors.Is(err, federation.ErrRefused) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("with the old key after the rotation: %v", err)
		}
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	good := federation.ProviderConfig{ID: "a", Issuer: "https://idp.example", ClientID: "x", Mapping: federation.Mapping{Tenant: "acme", DefaultRole: access.TenantAuditor}}
	if _, err := federation.New(federation.Config{Providers: []federation.ProviderConfig{good}}); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*federation.ProviderConfig){
		"id":                       func(c *federation.ProviderConfig) { c.ID = "A b" },
		"plain http":               func(c *federation.ProviderConfig) { c.Issuer = "http://idp.example" },
		"no client":                func(c *federation.ProviderConfig) { c.ClientID = "" },
		"no openid":                func(c *federation.ProviderConfig) { c.Scopes = []string{"email"} },
		"HS256":                    func(c *federation.ProviderConfig) { c.Algorithms = []string{"HS256"} },
		"none":                     func(c *federation.ProviderConfig) { c.Algorithms = []string{"none"} },
		"two ways to a tenant":     func(c *federation.ProviderConfig) { c.TenantClaim = "org" },
		"no way to a tenant":       func(c *federation.ProviderConfig) { c.Tenant = "" },
		"bad slug":                 func(c *federation.ProviderConfig) { c.Tenant = "No Slug" },
		"no role":                  func(c *federation.ProviderConfig) { c.DefaultRole = "" },
		"an operator's role":       func(c *federation.ProviderConfig) { c.DefaultRole = access.PlatformAdmin },
		"a member of the operator": func(c *federation.ProviderConfig) { c.Tenant, c.Operator = "", true },
	} {
		c := good
		change(&c)
		if _, err := federation.New(federation.Config{Providers: []federation.ProviderConfig{c}}); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	if _, err := federation.New(federation.Config{Providers: []federation.ProviderConfig{good, good}}); err == nil {
		t.Error("one provider twice")
	}
	if _, err := federation.New(federation.Config{Machines: []federation.MachineConfig{{ID: "m", Issuer: "https://i.example", Audience: "a",
		Mapping: federation.Mapping{Operator: true, DefaultRole: access.PlatformAdmin}}}}); err == nil {
		t.Error("a machine as platform_admin")
	}
}

// FuzzMachine: whatever a bearer says, it is refused unless it is signed.
func FuzzMachine(f *testing.F) {
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2kuZXhhbXBsZSIsImF1ZCI6ImEifQ.")
	f.Add("eyJ.e30.x")
	f.Add("eyJ." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://i.example","aud":["a",1,{}]}`)) + ".AAAA")
	client := &http.Client{Transport: refuse{}}
	set, err := federation.New(federation.Config{Client: client, Machines: []federation.MachineConfig{{ID: "m", Issuer: "https://i.example", Audience: "a", JWKS: "https://i.example/keys",
		Mapping: federation.Mapping{Tenant: "acme", DefaultRole: access.TenantAuditor}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, bearer string) {
		if m, err := set.Machine(context.Background(), bearer); err == nil {
			t.Fatalf("%q is %+v", bearer, m)
		}
	})
}

type refuse struct{}

func (refuse) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("nobody is there")
}
