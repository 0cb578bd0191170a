package federation

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// MachineConfig is one issuer of tokens for machines.
type MachineConfig struct {
	ID         string   `yaml:"id"` // in trails
	Issuer     string   `yaml:"issuer"`
	Audience   string   `yaml:"audience"`
	JWKS       string   `yaml:"jwks_url"`   // default: from the issuer's discovery document
	Algorithms []string `yaml:"algorithms"` // default RS256, ES256
	// MaxAge bounds the time from issue to expiry; default 24 h. A token cannot
	// be revoked, so it must not live long.
	MaxAge  time.Duration `yaml:"max_age"`
	Mapping `yaml:",inline"`
}

func (c *MachineConfig) validate() error {
	var errs []error
	if c.ID == "" || c.Audience == "" || c.Issuer == "" {
		errs = append(errs, errors.New("id, issuer and audience are needed"))
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{oidc.RS256, oidc.ES256}
	}
	if c.MaxAge == 0 {
		c.MaxAge = 24 * time.Hour
	}
	if c.Operator {
		errs = append(errs, errors.New("a machine's token belongs to one tenant: use an operator's token instead"))
	}
	where := c.JWKS
	if where == "" {
		where = c.Issuer
	}
	errs = append(errs, checkAlgorithms(c.Algorithms), checkURL(where), c.Mapping.validate())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("machine issuer %s: %w", c.ID, err)
	}
	return nil
}

// Machine is what a token stands for.
type Machine struct {
	ID     string // the issuer's id and the subject
	Tenant tenant.ID
	Role   access.Role
}

// machines is one issuer with its keys.
type machines struct {
	c   MachineConfig
	cl  *http.Client
	now func() time.Time

	mu   sync.Mutex
	keys oidc.KeySet
}

func (m *machines) keySet(ctx context.Context) (oidc.KeySet, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys != nil {
		return m.keys, nil
	}
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), m.cl) // the key set keeps it
	where := m.c.JWKS
	if where == "" {
		found, err := oidc.NewProvider(ctx, m.c.Issuer)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrUnavailable, m.c.ID, err)
		}
		var doc struct {
			JWKS string `json:"jwks_uri"`
		}
		if err := found.Claims(&doc); err != nil || doc.JWKS == "" {
			return nil, fmt.Errorf("%w: %s: its description names no keys", ErrUnavailable, m.c.ID)
		}
		where = doc.JWKS
	}
	m.keys = oidc.NewRemoteKeySet(ctx, where)
	return m.keys, nil
}

// LooksLikeToken tells a JSON Web Token from this product's own keys.
func LooksLikeToken(bearer string) bool {
	return len(bearer) <= maxToken && strings.HasPrefix(bearer, "eyJ") && strings.Count(bearer, ".") == 2
}

const maxToken = 16 << 10 // bytes

// claimed reads what decides which issuer is asked; nothing of it is believed.
type claimed struct {
	Issuer   string          `json:"iss"`
	Audience json.RawMessage `json:"aud"`
}

func peek(bearer string) (claimed, error) {
	var c claimed
	parts := strings.Split(bearer, ".")
	if !LooksLikeToken(bearer) {
		return c, ErrRefused
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, fmt.Errorf("%w: not base64", ErrRefused)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("%w: no claims", ErrRefused)
	}
	return c, nil
}

func (c claimed) audiences() []string {
	var v any
	_ = json.Unmarshal(c.Audience, &v) // then there is none
	return texts(v)
}

func (m *machines) verify(ctx context.Context, bearer string) (Machine, error) {
	keys, err := m.keySet(ctx)
	if err != nil {
		return Machine{}, err
	}
	token, err := oidc.NewVerifier(m.c.Issuer, keys, &oidc.Config{ClientID: m.c.Audience, SupportedSigningAlgs: m.c.Algorithms, Now: m.now}).Verify(ctx, bearer)
	if err != nil {
		return Machine{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if token.Subject == "" {
		return Machine{}, fmt.Errorf("%w: no subject", ErrRefused)
	}
	if token.IssuedAt.IsZero() || token.Expiry.Sub(token.IssuedAt) > m.c.MaxAge || token.IssuedAt.After(m.now().Add(time.Minute)) {
		return Machine{}, fmt.Errorf("%w: it lives longer than %s, or does not say since when", ErrRefused, m.c.MaxAge)
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return Machine{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	out := Machine{ID: m.c.ID + ":" + token.Subject}
	out.Tenant, out.Role, err = m.c.resolve(claims)
	return out, err
}

// Config is everything that can be trusted.
type Config struct {
	Providers []ProviderConfig `yaml:"providers"`
	Machines  []MachineConfig  `yaml:"machines"`

	Client *http.Client     `yaml:"-"` // default: 10 s a request, 1 MiB an answer is the libraries' own
	Now    func() time.Time `yaml:"-"` // default time.Now
}

// Set is what is trusted, ready for use. It holds no goroutine.
type Set struct {
	providers []*Provider
	machines  []*machines
}

// New checks the configuration; it asks nobody.
func New(c Config) (*Set, error) {
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Set{}
	var errs []error
	seen := map[string]bool{}
	for _, p := range c.Providers {
		errs = append(errs, p.validate())
		if seen[p.ID] {
			errs = append(errs, fmt.Errorf("provider %s is there twice", p.ID))
		}
		seen[p.ID] = true
		s.providers = append(s.providers, &Provider{c: p, cl: c.Client, now: c.Now})
	}
	for _, m := range c.Machines {
		errs = append(errs, m.validate())
		s.machines = append(s.machines, &machines{c: m, cl: c.Client, now: c.Now})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("federation: %w", err)
	}
	return s, nil
}

// Providers are those of the configuration, in its order.
func (s *Set) Providers() []*Provider { return slices.Clone(s.providers) }

// Provider finds one by its id; ErrUnknown.
func (s *Set) Provider(id string) (*Provider, error) {
	for _, p := range s.providers {
		if p.c.ID == id {
			return p, nil
		}
	}
	return nil, ErrUnknown
}

// Machine says who a bearer stands for: the entry whose issuer and audience it
// names checks it.
func (s *Set) Machine(ctx context.Context, bearer string) (Machine, error) {
	c, err := peek(bearer)
	if err != nil {
		return Machine{}, err
	}
	audiences := c.audiences()
	for _, m := range s.machines {
		if m.c.Issuer == c.Issuer && slices.Contains(audiences, m.c.Audience) {
			return m.verify(ctx, bearer)
		}
	}
	return Machine{}, fmt.Errorf("%w: no issuer and audience of the configuration", ErrRefused)
}
