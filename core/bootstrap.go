package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// BootstrapResult is what Bootstrap made; secrets are shown once.
type BootstrapResult struct {
	Admin    Person
	Password Secret // empty when an administrator was there already
	TokenID  string
	Token    Secret // acts as the administrator
}

// Bootstrap makes the first platform_admin when there is none (with a random
// password unless one is given) and an operator token that acts as one. The
// caller keeps the token, mode 0600, and calls again only when it is lost.
func (c *Core) Bootstrap(ctx context.Context, email string, password Secret, tokenName string) (BootstrapResult, error) {
	var r BootstrapResult
	by := access.System("bootstrap")
	admin, err := c.Identity.firstAdmin(ctx)
	if errors.Is(err, ErrNotFound) {
		if password == "" {
			password = Secret(randomText(15))
		}
		admin, err = c.Identity.CreateOperator(ctx, by, NewPerson{Email: email, Name: "Platform administrator", Password: password, Role: access.PlatformAdmin})
		r.Password = password
		if errors.Is(err, ErrExists) { // somebody else was faster
			r.Password = ""
			admin, err = c.Identity.firstAdmin(ctx)
		}
	}
	if err != nil {
		return BootstrapResult{}, fmt.Errorf("bootstrap: %w", err)
	}
	r.Admin = admin
	if r.TokenID, r.Token, err = c.Keys.CreateOperatorToken(ctx, by, admin.ID, tokenName, time.Time{}); err != nil {
		return BootstrapResult{}, fmt.Errorf("bootstrap: %w", err)
	}
	return r, nil
}

func (i *Identity) firstAdmin(ctx context.Context) (p Person, err error) {
	err = i.c.InPlatform(ctx, OpOperators, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select '', `+personColumns+` from operators
			where role = 'platform_admin' and status = 'active' order by created_at limit 1`)
		if err != nil {
			return err
		}
		p, err = pgx.CollectExactlyOneRow(rows, scanOperator)
		return err
	})
	return p, wrap(err, "first platform_admin")
}

// DemoLogin is one account of the demo.
type DemoLogin struct {
	Email    string
	Password Secret
	Role     access.Role
	Tenant   tenant.ID // zero for the operator's people
}

// SeedDemo makes sure that the tenants exist, with one person of each role: an
// administrator, an analyst and a reader of the operator who see all of them,
// and an administrator and an auditor in each. All have the password given.
// People who exist keep theirs.
func (c *Core) SeedDemo(ctx context.Context, tenants []tenant.ID, password Secret) ([]DemoLogin, error) {
	by := access.System("demo")
	var out []DemoLogin
	for _, id := range tenants {
		if _, _, err := c.Tenants.Ensure(ctx, by, id, ""); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	}
	// Who is there already is asked first: an insert that fails is an error in
	// the database's log, and an operator would wonder.
	known := map[string]bool{}
	operators, err := c.Identity.Operators(ctx)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	for _, p := range operators {
		known[p.Email] = true
	}
	for _, p := range []NewPerson{
		{Email: "admin@tenantwatch.example", Name: "Ada Admin", Role: access.PlatformAdmin},
		{Email: "analyst@tenantwatch.example", Name: "Ana Lyst", Role: access.SOCAnalyst, Tenants: tenants},
		{Email: "reader@tenantwatch.example", Name: "Rea Der", Role: access.SOCReader, Tenants: tenants},
	} {
		p.Password = password
		if !known[p.Email] {
			if _, err := c.Identity.CreateOperator(ctx, by, p); err != nil && !errors.Is(err, ErrExists) {
				return nil, fmt.Errorf("demo: %w", err)
			}
		}
		out = append(out, DemoLogin{Email: p.Email, Password: password, Role: p.Role})
	}
	for _, id := range tenants {
		users, err := c.Identity.Users(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
		for _, p := range users {
			known[id.String()+"/"+p.Email] = true
		}
		for _, p := range []NewPerson{
			{Email: "admin@" + id.String() + ".example", Name: "Administrator of " + id.String(), Role: access.TenantAdmin},
			{Email: "auditor@" + id.String() + ".example", Name: "Auditor of " + id.String(), Role: access.TenantAuditor},
		} {
			p.Password = password
			if !known[id.String()+"/"+p.Email] {
				if _, err := c.Identity.CreateUser(ctx, by, id, p); err != nil && !errors.Is(err, ErrExists) {
					return nil, fmt.Errorf("demo: %w", err)
				}
			}
			out = append(out, DemoLogin{Email: p.Email, Password: password, Role: p.Role, Tenant: id})
		}
	}
	return out, nil
}
