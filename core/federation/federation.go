// Package federation lets people sign in with an OpenID Connect provider and
// machines show a JSON Web Token.
//
// Invariant: nobody is anybody before a signature of a pinned algorithm by a
// key of the configured issuer, the audience, the times and (for people) the
// nonce have been checked; which tenant and role that makes is the
// configuration's to say, never the token's alone. Discovery and keys are
// fetched when they are first needed, and keys again when a token names one
// that is not known. The package knows neither sessions nor databases.
package federation

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// What goes wrong; test with errors.Is.
var (
	// ErrRefused: the token or the provider's answer is not acceptable.
	ErrRefused = errors.New("federation: refused")
	// ErrUnmapped: it is genuine, but the configuration gives it no tenant or
	// no role.
	ErrUnmapped = errors.New("federation: no tenant or role for these claims")
	// ErrUnavailable: the provider does not answer.
	ErrUnavailable = errors.New("federation: the provider does not answer")
	// ErrUnknown: there is no such provider.
	ErrUnknown = errors.New("federation: no such provider")
)

// Mapping turns claims into a tenant and a role.
type Mapping struct {
	// Tenant is the one tenant of this issuer. Otherwise TenantClaim names the
	// claim that says it; its value is a slug, or a key of Tenants when that is
	// not empty: then no other value is accepted.
	Tenant      string            `yaml:"tenant"`
	TenantClaim string            `yaml:"tenant_claim"`
	Tenants     map[string]string `yaml:"tenants"`
	// Operator makes the operator's people of them; for people only.
	Operator bool `yaml:"operator"`
	// RoleClaim names a claim with a text or a list of texts; Roles says what
	// each stands for. Of several the strongest counts. DefaultRole is for
	// those with none; empty refuses them.
	RoleClaim   string                 `yaml:"role_claim"`
	Roles       map[string]access.Role `yaml:"roles"`
	DefaultRole access.Role            `yaml:"default_role"`
}

func (m Mapping) validate() error {
	var errs []error
	ways := 0
	for _, set := range []bool{m.Tenant != "", m.TenantClaim != "", m.Operator} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		errs = append(errs, errors.New("give one of tenant, tenant_claim and operator"))
	}
	slugs := []string{}
	if m.Tenant != "" {
		slugs = append(slugs, m.Tenant)
	}
	for _, s := range m.Tenants {
		slugs = append(slugs, s)
	}
	for _, s := range slugs {
		if _, err := tenant.Parse(s); err != nil {
			errs = append(errs, err)
		}
	}
	if m.RoleClaim == "" && m.DefaultRole == "" {
		errs = append(errs, errors.New("give role_claim with roles, or default_role"))
	}
	roles := []access.Role{}
	for _, r := range m.Roles {
		roles = append(roles, r)
	}
	if m.DefaultRole != "" {
		roles = append(roles, m.DefaultRole)
	}
	for _, r := range roles {
		if !r.Valid() || r == access.Ingest || r.Operator() != m.Operator {
			errs = append(errs, fmt.Errorf("role %q does not fit: operator is %t", r, m.Operator))
		}
	}
	return errors.Join(errs...)
}

// resolve says which tenant (zero for the operator's people) and role claims
// stand for; ErrUnmapped when none.
func (m Mapping) resolve(claims map[string]any) (id tenant.ID, role access.Role, err error) {
	if !m.Operator {
		slug := m.Tenant
		if m.TenantClaim != "" {
			values := texts(claim(claims, m.TenantClaim))
			if len(values) != 1 {
				return id, "", fmt.Errorf("%w: claim %s has %d values", ErrUnmapped, m.TenantClaim, len(values))
			}
			slug = values[0]
			if len(m.Tenants) > 0 {
				slug = m.Tenants[slug] // empty for one that is not listed
			}
		}
		if id, err = tenant.Parse(slug); err != nil {
			return tenant.ID{}, "", fmt.Errorf("%w: %w", ErrUnmapped, err)
		}
	}
	role = m.DefaultRole
	var found []access.Role
	for _, v := range texts(claim(claims, m.RoleClaim)) {
		if r, ok := m.Roles[v]; ok {
			found = append(found, r)
		}
	}
	for _, row := range access.Table() { // the strongest come first
		if slices.Contains(found, row.Role) {
			role = row.Role
			break
		}
	}
	if role == "" {
		return tenant.ID{}, "", fmt.Errorf("%w: claim %s holds none of the roles", ErrUnmapped, m.RoleClaim)
	}
	return id, role, nil
}

// claim finds a claim by its name, or goes into objects by its dots.
func claim(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok || name == "" {
		return v
	}
	var v any = claims
	for part := range strings.SplitSeq(name, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

func texts(v any) (out []string) {
	switch v := v.(type) {
	case string:
		out = append(out, v)
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}
