package federation

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// ProviderConfig is one OpenID Connect provider.
type ProviderConfig struct {
	ID           string   `yaml:"id"`   // in addresses: [a-z0-9-]
	Name         string   `yaml:"name"` // on the sign-in page; default: ID
	Issuer       string   `yaml:"issuer"`
	ClientID     string   `yaml:"client_id"`
	ClientSecret string   `yaml:"client_secret"` // empty: a public client, PKCE alone
	Scopes       []string `yaml:"scopes"`        // default openid, email, profile
	Algorithms   []string `yaml:"algorithms"`    // of ID tokens; default RS256, ES256
	// AllowUnverified takes an e-mail address that the provider does not call
	// verified.
	AllowUnverified bool `yaml:"allow_unverified_email"`
	Mapping         `yaml:",inline"`
}

// asymmetric are the algorithms that may be pinned: whoever can check one of
// these signatures cannot make it.
var asymmetric = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

func checkAlgorithms(list []string) error {
	for _, a := range list {
		if !slices.Contains(asymmetric, a) {
			return fmt.Errorf("algorithm %q: want one of %s", a, strings.Join(asymmetric, ", "))
		}
	}
	return nil
}

// checkURL: a provider is asked over TLS, unless it is on this machine.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Fragment != "" {
		return fmt.Errorf("%q is no address", s)
	}
	host := u.Hostname()
	if u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1" || host == "::1") {
		return nil
	}
	return fmt.Errorf("%q: want https", s)
}

func (c *ProviderConfig) validate() error {
	var errs []error
	if c.ID == "" || strings.Trim(c.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(c.ID) > 64 {
		errs = append(errs, fmt.Errorf("id %q: want small letters, digits and -", c.ID))
	}
	if c.Name == "" {
		c.Name = c.ID
	}
	if c.ClientID == "" {
		errs = append(errs, errors.New("client_id is missing"))
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{oidc.ScopeOpenID, "email", "profile"}
	} else if !slices.Contains(c.Scopes, oidc.ScopeOpenID) {
		errs = append(errs, errors.New("scopes do not hold openid"))
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{oidc.RS256, oidc.ES256}
	}
	errs = append(errs, checkAlgorithms(c.Algorithms), checkURL(c.Issuer), c.Mapping.validate())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("provider %s: %w", c.ID, err)
	}
	return nil
}

// Identity is a person as a provider vouches for it.
type Identity struct {
	Issuer, Subject string
	Email, Name     string
	Tenant          tenant.ID // zero: one of the operator's people
	Role            access.Role
}

// Provider is one provider. It is safe for concurrent use.
type Provider struct {
	c   ProviderConfig
	cl  *http.Client
	now func() time.Time

	mu    sync.Mutex
	found *oidc.Provider
}

// ID and Name are the configuration's.
func (p *Provider) ID() string   { return p.c.ID }
func (p *Provider) Name() string { return p.c.Name }

// discover reads the provider's own description, once it answers.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	// The key set keeps the context of its provider for later: it must not be
	// one that ends. The client's own timeout bounds the request.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.cl), p.c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnavailable, p.c.ID, err)
	}
	p.found = found
	return found, nil
}

func (p *Provider) oauth(found *oidc.Provider, redirect string) *oauth2.Config {
	return &oauth2.Config{ClientID: p.c.ClientID, ClientSecret: p.c.ClientSecret, Endpoint: found.Endpoint(), RedirectURL: redirect, Scopes: p.c.Scopes}
}

// Begin is where the browser goes: with state, nonce and the challenge of the
// PKCE verifier, which the caller keeps for Finish.
func (p *Provider) Begin(ctx context.Context, redirect, state, nonce, verifier string) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return p.oauth(found, redirect).AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// Finish turns the code of the provider's answer into a person.
func (p *Provider) Finish(ctx context.Context, redirect, code, nonce, verifier string) (Identity, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.cl), 20*time.Second)
	defer cancel()
	token, err := p.oauth(found, redirect).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	var answered *oauth2.RetrieveError
	switch {
	case errors.As(err, &answered) && answered.Response != nil && answered.Response.StatusCode < 500:
		return Identity{}, fmt.Errorf("%w: %s does not take the code: %s", ErrRefused, p.c.ID, answered.ErrorCode)
	case err != nil:
		return Identity{}, fmt.Errorf("%w: %s: %w", ErrUnavailable, p.c.ID, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Identity{}, fmt.Errorf("%w: %s gave no ID token", ErrRefused, p.c.ID)
	}
	id, err := found.Verifier(&oidc.Config{ClientID: p.c.ClientID, SupportedSigningAlgs: p.c.Algorithms, Now: p.now}).Verify(ctx, raw)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: ID token of %s: %w", ErrRefused, p.c.ID, err)
	}
	if nonce == "" || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1 {
		return Identity{}, fmt.Errorf("%w: the ID token of %s is for another sign-in", ErrRefused, p.c.ID)
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return Identity{}, fmt.Errorf("%w: claims of %s: %w", ErrRefused, p.c.ID, err)
	}
	if _, ok := claims["email"]; !ok { // many providers put it into the user info alone
		info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil {
			return Identity{}, fmt.Errorf("%w: user info of %s: %w", ErrUnavailable, p.c.ID, err)
		}
		more := map[string]any{}
		if err := info.Claims(&more); err != nil || info.Subject != id.Subject {
			return Identity{}, fmt.Errorf("%w: user info of %s is of somebody else", ErrRefused, p.c.ID)
		}
		for k, v := range more {
			if _, ok := claims[k]; !ok {
				claims[k] = v
			}
		}
	}
	out := Identity{Issuer: id.Issuer, Subject: id.Subject}
	out.Email, _ = claims["email"].(string)
	out.Name, _ = claims["name"].(string)
	if verified, _ := claims["email_verified"].(bool); out.Email == "" || !verified && !p.c.AllowUnverified {
		return Identity{}, fmt.Errorf("%w: %s gives no verified e-mail address", ErrUnmapped, p.c.ID)
	}
	if out.Tenant, out.Role, err = p.c.resolve(claims); err != nil {
		return Identity{}, fmt.Errorf("%s: %w", p.c.ID, err)
	}
	return out, nil
}
