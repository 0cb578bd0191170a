package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/federation"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// accountStore is api.Account on the core.
type accountStore struct{ i *core.Identity }

func (s accountStore) ChangePassword(ctx context.Context, p access.Principal, token, old, fresh string) error {
	return s.i.ChangePassword(ctx, p, token, core.Secret(old), core.Secret(fresh))
}

func (s accountStore) BeginTOTP(ctx context.Context, p access.Principal, password string) (api.Enrolment, error) {
	e, err := s.i.BeginTOTP(ctx, p, core.Secret(password))
	return api.Enrolment{Secret: e.Secret.Reveal(), URI: e.URI.Reveal(), QR: e.QR.Reveal()}, err
}

func (s accountStore) ConfirmTOTP(ctx context.Context, p access.Principal, token, code string) ([]string, error) {
	codes, err := s.i.ConfirmTOTP(ctx, p, token, code)
	out := make([]string, len(codes))
	for n, c := range codes {
		out[n] = c.Reveal()
	}
	return out, err
}

func (s accountStore) RemoveTOTP(ctx context.Context, p access.Principal, password, code string) error {
	return s.i.RemoveTOTP(ctx, p, core.Secret(password), code)
}

func (s accountStore) Sessions(ctx context.Context, p access.Principal, token string) ([]api.SessionInfo, error) {
	list, err := s.i.Sessions(ctx, p, token)
	out := make([]api.SessionInfo, 0, len(list))
	for _, i := range list {
		ends := i.IdleUntil
		if i.ExpiresAt.Before(ends) {
			ends = i.ExpiresAt
		}
		out = append(out, api.SessionInfo{ID: i.ID, Method: i.Method, Address: i.Address, UserAgent: i.UserAgent, CreatedAt: i.CreatedAt, SeenAt: i.SeenAt, ExpiresAt: ends, Current: i.Current})
	}
	return out, err
}

func (s accountStore) EndSession(ctx context.Context, p access.Principal, id string) error {
	return s.i.EndSession(ctx, p, id)
}

func (s accountStore) EndSessions(ctx context.Context, p access.Principal) error {
	return s.i.LogoutEverywhere(ctx, p)
}

func (s accountStore) ViewAs(ctx context.Context, p access.Principal, token string, id tenant.ID, role access.Role, reason string) error {
	return s.i.ViewAs(ctx, p, token, id, role, reason)
}

func (s accountStore) EndView(ctx context.Context, p access.Principal, token string) error {
	return s.i.EndView(ctx, p, token)
}

// userStore is api.Users on the core.
type userStore struct{ i *core.Identity }

func userInfo(p core.Person) api.UserInfo {
	return api.UserInfo{ID: p.ID, Tenant: p.Tenant, Email: p.Email, Name: p.Name, Role: p.Role, Tenants: p.Tenants, Disabled: p.Disabled, SecondFactor: p.TOTP,
		MustChange: p.MustChange, Provider: p.Issuer, LockedUntil: p.LockedUntil, LastSignInAt: p.LastSignInAt, CreatedAt: p.CreatedAt}
}

func (s userStore) List(ctx context.Context, id tenant.ID) ([]api.UserInfo, error) {
	var list []core.Person
	var err error
	if id.IsZero() {
		list, err = s.i.Operators(ctx)
	} else {
		list, err = s.i.Users(ctx, id)
	}
	out := make([]api.UserInfo, 0, len(list))
	for _, p := range list {
		out = append(out, userInfo(p))
	}
	return out, err
}

func (s userStore) Create(ctx context.Context, by access.Actor, id tenant.ID, n api.NewUser) (api.UserInfo, string, error) {
	p := core.NewPerson{Email: n.Email, Name: n.Name, Password: core.Secret(n.Password), Role: n.Role, Tenants: n.Tenants}
	once := core.Secret("")
	if n.Password == "" {
		once = core.OncePassword()
		p.Password, p.MustChange = once, true
	}
	create := func() (core.Person, error) { return s.i.CreateUser(ctx, by, id, p) }
	if id.IsZero() {
		create = func() (core.Person, error) { return s.i.CreateOperator(ctx, by, p) }
	}
	made, err := create()
	if err != nil {
		return api.UserInfo{}, "", err
	}
	return userInfo(made), once.Reveal(), nil
}

func (s userStore) Update(ctx context.Context, by access.Actor, id tenant.ID, userID string, ch api.UserChange) (api.UserInfo, error) {
	p, err := s.i.UpdatePerson(ctx, by, id, userID, core.PersonChange(ch))
	return userInfo(p), err
}

func (s userStore) Reset(ctx context.Context, by access.Actor, id tenant.ID, userID string, factor bool) (api.UserInfo, string, error) {
	p, once, err := s.i.ResetPerson(ctx, by, id, userID, factor)
	return userInfo(p), once.Reveal(), err
}

func (s userStore) Delete(ctx context.Context, by access.Actor, id tenant.ID, userID string) error {
	return s.i.DeletePerson(ctx, by, id, userID)
}

// usageStore is api.Usage: counts of the core, stored days of the event store.
type usageStore struct {
	u     *core.Usage
	store *eventstore.Store
}

func (s usageStore) Query(id tenant.ID, refused bool) {
	n := core.UsageCounts{Queries: 1}
	if refused {
		n = core.UsageCounts{Refused: 1}
	}
	s.u.Add(id, n)
}

func (s usageStore) RequestsPerSecond(ctx context.Context, id tenant.ID) (float64, error) {
	a, err := s.u.Allowance(ctx, id)
	return float64(a.RequestsPerSecond), err
}

func (s usageStore) Report(ctx context.Context, id tenant.ID, from, to time.Time) (api.UsageReport, error) {
	days, err := s.u.List(ctx, id, from, to)
	if err != nil {
		return api.UsageReport{}, err
	}
	var out api.UsageReport
	for _, d := range days {
		out.Days = append(out.Days, api.UsageDay{Day: d.Day, UsageCounts: api.UsageCounts(d.UsageCounts)})
	}
	rows, err := s.store.Accounting(ctx, id, eventstore.AccountingRequest{})
	stored := map[string]bool{}
	for _, r := range rows {
		if r.Stored > 0 {
			stored[r.Hour.UTC().Format(time.DateOnly)] = true
		}
	}
	out.StoredDays = len(stored)
	return out, err
}

// trusted reads who is trusted to vouch for people and machines.
func trusted(path string) (*federation.Set, error) {
	var c federation.Config
	if path != "" {
		b, err := os.ReadFile(path) //nolint:gosec // the operator's own setting
		if err != nil {
			return nil, fmt.Errorf("auth.file: %w", err)
		}
		dec := yaml.NewDecoder(bytes.NewReader(b))
		dec.KnownFields(true)
		if err := dec.Decode(&c); err != nil {
			return nil, fmt.Errorf("auth.file %s: %w", path, err)
		}
	}
	s, err := federation.New(c)
	if err != nil {
		return nil, fmt.Errorf("auth.file %s: %w", path, err)
	}
	return s, nil
}

// providerStore is api.SignInProviders.
type providerStore struct {
	c   *core.Core
	set *federation.Set
}

func (s providerStore) List() []api.ProviderInfo {
	var out []api.ProviderInfo
	for _, p := range s.set.Providers() {
		out = append(out, api.ProviderInfo{ID: p.ID(), Name: p.Name()})
	}
	return out
}

func (s providerStore) Begin(ctx context.Context, provider, redirect, state, nonce, verifier string) (string, error) {
	p, err := s.set.Provider(provider)
	if err != nil {
		return "", err
	}
	return p.Begin(ctx, redirect, state, nonce, verifier)
}

func (s providerStore) Finish(ctx context.Context, provider, redirect, code, nonce, verifier, issuer string, c api.Credentials) (string, api.SignedIn, error) {
	p, err := s.set.Provider(provider)
	if err != nil {
		return "", api.SignedIn{}, err
	}
	who, err := p.Finish(ctx, redirect, code, nonce, verifier)
	if err != nil {
		return "", api.SignedIn{}, err
	}
	if issuer != "" && issuer != who.Issuer { // RFC 9207: the answer is another provider's
		return "", api.SignedIn{}, fmt.Errorf("%w: the answer is of issuer %.200q", federation.ErrRefused, issuer)
	}
	sess, err := s.c.Identity.LoginExternal(ctx, core.External{Issuer: who.Issuer, Subject: who.Subject, Email: who.Email, Name: who.Name,
		Tenant: who.Tenant, Role: who.Role, Address: c.Address, UserAgent: c.UserAgent})
	if err != nil {
		return "", api.SignedIn{}, err
	}
	return sess.Token.Reveal(), signedIn(sess), nil
}

// machine says who a JSON Web Token stands for.
func (s authStore) machine(ctx context.Context, bearer string) (access.Principal, error) {
	m, err := s.trust.Machine(ctx, bearer)
	if err != nil {
		return access.Principal{}, err
	}
	return s.c.Identity.Machine(ctx, m.ID, m.Tenant, m.Role)
}

// classifyTrust turns federation's errors into the API's.
func classifyTrust(err error) error {
	switch {
	case errors.Is(err, federation.ErrRefused), errors.Is(err, federation.ErrUnmapped):
		return api.ErrUnauthorized
	case errors.Is(err, federation.ErrUnknown):
		return api.ErrNotFound
	case errors.Is(err, federation.ErrUnavailable):
		return api.ErrUnavailable
	}
	return nil
}
