package core

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// ViewAs lets an operator's person step into a tenant in one of its roles, for
// a reason that the tenant reads in its own trail. The session then sees that
// tenant alone, and may do what both roles allow: stepping in adds nothing.
func (i *Identity) ViewAs(ctx context.Context, p access.Principal, token string, id tenant.ID, role access.Role, reason string) error {
	reason = strings.TrimSpace(reason)
	switch {
	case p.Kind != access.KindOperator || p.View != nil:
		return invalid("only a signed-in person of the operator steps into a tenant, one at a time")
	case role != access.TenantAdmin && role != access.TenantAuditor:
		return invalid("role %q: want tenant_admin or tenant_auditor", role)
	case utf8.RuneCountInString(reason) < 5 || len(reason) > 1000:
		return invalid("reason: say in 5 to 1000 characters why; the tenant reads it")
	case !p.Sees(id):
		return wrap(ErrNotFound, "tenant")
	}
	err := i.c.InPlatform(ctx, OpSession, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update sessions set view_tenant = t.id, view_role = $2, view_reason = $3, view_since = $4
			from tenants t where token_hash = $1 and t.slug = $5 and operator_id is not null`, hashToken(token), string(role), clean(reason), i.c.now(), id.String())
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		return auditOf(ctx, tx, id, p.Actor(), "view_as.start", id.String(), map[string]any{"role": role, "reason": reason})
	})
	return wrap(err, "view %s as %s", id, role)
}

// EndView steps back out; a session that had not stepped in is no error.
func (i *Identity) EndView(ctx context.Context, p access.Principal, token string) error {
	if p.View == nil {
		return nil
	}
	return wrap(i.c.InPlatform(ctx, OpSession, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update sessions set view_tenant = null, view_role = null, view_reason = null, view_since = null where token_hash = $1`,
			hashToken(token)); err != nil {
			return err
		}
		return auditOf(ctx, tx, p.Tenant, p.Actor(), "view_as.end", p.Tenant.String(), nil)
	}), "end the view of %s", p.Tenant)
}

// within narrows an operator's principal to what it views. It reports false
// when the person may no longer see that tenant.
func within(p access.Principal, id tenant.ID, v access.View, as access.Role) (access.Principal, bool) {
	if !slices.Contains(p.Tenants, id) || !p.Role.Can(access.TenantsViewAs) {
		return p, false
	}
	v.Role = p.Role
	for _, perm := range as.Permissions() {
		if p.Role.Can(perm) {
			p.Scopes = append(p.Scopes, perm)
		}
	}
	p.Role, p.Tenant, p.Tenants, p.View = as, id, []tenant.ID{id}, &v
	return p, true
}
