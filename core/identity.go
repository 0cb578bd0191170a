package core

import (
	"context"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Person is somebody who can sign in: of one tenant (Tenant set) or of the
// operator (Tenant zero, Tenants the granted ones).
type Person struct {
	ID           string
	Tenant       tenant.ID
	Email        string
	Name         string
	Role         access.Role
	Tenants      []tenant.ID
	Disabled     bool
	TOTP         bool      // has a second factor
	MustChange   bool      // the password is one that an administrator set
	Issuer       string    // of the provider the person signs in with; empty: a password
	LockedUntil  time.Time // zero when not locked
	LastSignInAt time.Time // zero when never
	CreatedAt    time.Time
}

// NewPerson describes somebody to create. Tenants are an operator's grants; a
// platform_admin needs none.
type NewPerson struct {
	Email    string
	Name     string
	Password Secret // 10 to 256 bytes
	Role     access.Role
	Tenants  []tenant.ID
	// MustChange makes Password good for one sign-in, at which it is changed.
	MustChange bool
}

// OncePassword is a password to hand to somebody who will change it.
func OncePassword() Secret { return Secret(randomText(15)) }

// Identity is people, their passwords and their sessions.
type Identity struct {
	c    *Core
	hash *hasher
	sets *cache[string, []tenant.ID] // an operator's tenants
}

func newIdentity(c *Core) (*Identity, error) {
	h, err := newHasher(c.cfg.Password)
	if err != nil {
		return nil, err
	}
	return &Identity{c: c, hash: h, sets: newCache[string, []tenant.ID](1000, credentialTTL, c.now)}, nil
}

func cleanEmail(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 || clean(s) != s {
		return "", invalid("%q is no e-mail address", cut(s, 80))
	}
	return s, nil
}

func (i *Identity) prepare(ctx context.Context, p NewPerson, operator bool) (NewPerson, string, string, error) {
	var err error
	if p.Email, err = cleanEmail(p.Email); err != nil {
		return p, "", "", err
	}
	if p.Name == "" {
		p.Name = p.Email
	}
	if p.Name, err = checkName(p.Name); err != nil {
		return p, "", "", err
	}
	if err := checkRole(p.Role, operator); err != nil {
		return p, "", "", err
	}
	hash, err := i.hash.hash(ctx, p.Password)
	if err != nil {
		return p, "", "", err
	}
	id, err := uuid.NewV7()
	return p, id.String(), hash, err
}

// CreateUser adds a person of one tenant. ErrExists when the tenant has that
// address; another tenant's people play no part.
func (i *Identity) CreateUser(ctx context.Context, by access.Actor, id tenant.ID, n NewPerson) (Person, error) {
	n, uid, hash, err := i.prepare(ctx, n, false)
	if err != nil {
		return Person{}, err
	}
	p := Person{ID: uid, Tenant: id, Email: n.Email, Name: n.Name, Role: n.Role, Tenants: []tenant.ID{id}, MustChange: n.MustChange}
	err = i.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `insert into users (id, email, name, role, password_hash, must_change) values ($1, $2, $3, $4, $5, $6) returning created_at`,
			uid, n.Email, n.Name, string(n.Role), hash, n.MustChange).Scan(&p.CreatedAt)
		if err != nil {
			return err
		}
		return audit(ctx, tx, by, "user.create", n.Email, map[string]any{"role": n.Role})
	})
	return p, wrap(err, "create user %s of %s", n.Email, id)
}

// CreateOperator adds a person of the operator.
func (i *Identity) CreateOperator(ctx context.Context, by access.Actor, n NewPerson) (Person, error) {
	n, uid, hash, err := i.prepare(ctx, n, true)
	if err != nil {
		return Person{}, err
	}
	p := Person{ID: uid, Email: n.Email, Name: n.Name, Role: n.Role, Tenants: n.Tenants, MustChange: n.MustChange}
	err = i.c.InPlatform(ctx, OpOperators, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `insert into operators (id, email, name, role, password_hash, must_change) values ($1, $2, $3, $4, $5, $6) returning created_at`,
			uid, n.Email, n.Name, string(n.Role), hash, n.MustChange).Scan(&p.CreatedAt)
		if err != nil {
			return err
		}
		if err := operatorAudit(ctx, tx, by, "operator.create", n.Email, map[string]any{"role": n.Role}); err != nil {
			return err
		}
		return grant(ctx, tx, by, uid, n.Email, n.Tenants)
	})
	return p, wrap(err, "create operator %s", n.Email)
}

func grant(ctx context.Context, tx pgx.Tx, by access.Actor, operatorID, email string, ids []tenant.ID) error {
	for _, id := range ids {
		if id.IsZero() {
			return tenant.ErrZero
		}
		tag, err := tx.Exec(ctx, `insert into operator_grants (operator_id, tenant_id)
			select $1::uuid, t.id from tenants t where t.slug = $2 on conflict do nothing`, operatorID, id.String())
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			var there bool
			if err := tx.QueryRow(ctx, `select exists (select from tenants where slug = $1)`, id.String()).Scan(&there); err != nil {
				return err
			}
			if !there {
				return ErrNotFound
			}
			continue
		}
		if err := operatorAudit(ctx, tx, by, "operator.grant", email, map[string]any{"tenant_id": id}); err != nil {
			return err
		}
		if err := auditOf(ctx, tx, id, by, "operator.grant", email, nil); err != nil {
			return err
		}
	}
	return nil
}

// Grant lets an operator's person see more tenants; felt within 5 s.
func (i *Identity) Grant(ctx context.Context, by access.Actor, operatorID string, ids ...tenant.ID) error {
	if _, err := uuid.Parse(operatorID); err != nil {
		return wrap(ErrNotFound, "operator")
	}
	err := i.c.InPlatform(ctx, OpOperators, func(tx pgx.Tx) error {
		var email string
		if err := tx.QueryRow(ctx, `select email from operators where id = $1`, operatorID).Scan(&email); err != nil {
			return err
		}
		return grant(ctx, tx, by, operatorID, email, ids)
	})
	i.sets.drop(operatorID)
	return wrap(err, "grant to operator %s", operatorID)
}

// Ungrant takes tenants away; felt within 5 s.
func (i *Identity) Ungrant(ctx context.Context, by access.Actor, operatorID string, ids ...tenant.ID) error {
	if _, err := uuid.Parse(operatorID); err != nil {
		return wrap(ErrNotFound, "operator")
	}
	err := i.c.InPlatform(ctx, OpOperators, func(tx pgx.Tx) error {
		var email string
		if err := tx.QueryRow(ctx, `select email from operators where id = $1`, operatorID).Scan(&email); err != nil {
			return err
		}
		for _, id := range ids {
			if err := ungrant(ctx, tx, by, operatorID, email, id); err != nil {
				return err
			}
		}
		return nil
	})
	i.sets.drop(operatorID)
	return wrap(err, "ungrant from operator %s", operatorID)
}

func ungrant(ctx context.Context, tx pgx.Tx, by access.Actor, operatorID, email string, id tenant.ID) error {
	tag, err := tx.Exec(ctx, `delete from operator_grants g using tenants t
		where g.operator_id = $1 and g.tenant_id = t.id and t.slug = $2`, operatorID, id.String())
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	if err := operatorAudit(ctx, tx, by, "operator.ungrant", email, map[string]any{"tenant_id": id}); err != nil {
		return err
	}
	return auditOf(ctx, tx, id, by, "operator.ungrant", email, nil)
}

// Users lists the people of one tenant by address.
func (i *Identity) Users(ctx context.Context, id tenant.ID) (out []Person, err error) {
	whose, err := i.c.owners(ctx, []tenant.ID{id})
	if err != nil {
		return nil, wrap(err, "users of %s", id)
	}
	err = i.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, `+personColumns+` from users order by email`)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Person, error) { return scanPerson(row, whose) })
		return err
	})
	if err != nil {
		out = nil
	}
	return out, wrap(err, "users of %s", id)
}

// Operators lists the operator's people by address, with their grants.
func (i *Identity) Operators(ctx context.Context) (out []Person, err error) {
	err = i.c.InPlatform(ctx, OpOperators, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select '', `+personColumns+` from operators order by email`)
		if err != nil {
			return err
		}
		if out, err = pgx.CollectRows(rows, scanOperator); err != nil {
			return err
		}
		for n := range out {
			if out[n].Tenants, err = operatorTenants(ctx, tx, out[n].ID, out[n].Role); err != nil {
				return err
			}
		}
		return nil
	})
	return out, wrap(err, "operators")
}

const personColumns = `id::text, email, name, role, status = 'disabled', totp_since is not null, must_change, coalesce(oidc_issuer, ''),
	coalesce(locked_until, '0001-01-01Z'), coalesce(last_sign_in_at, '0001-01-01Z'), created_at`

// scanPerson reads an owner and personColumns; a person of none of whose is
// errForeignRow.
func scanPerson(row pgx.CollectableRow, whose owners) (Person, error) {
	var p Person
	var owner string
	err := row.Scan(&owner, &p.ID, &p.Email, &p.Name, &p.Role, &p.Disabled, &p.TOTP, &p.MustChange, &p.Issuer, &p.LockedUntil, &p.LastSignInAt, &p.CreatedAt)
	if err != nil {
		return Person{}, err
	}
	if p.Tenant, err = whose.of(owner); err != nil {
		return Person{}, err
	}
	if !p.Tenant.IsZero() {
		p.Tenants = []tenant.ID{p.Tenant}
	}
	return p, nil
}

func scanOperator(row pgx.CollectableRow) (Person, error) {
	return scanPerson(row, owners{"": tenant.ID{}})
}

// operatorTenants is the set an operator's person sees: every tenant for a
// platform_admin, else the granted ones that are not suspended.
func operatorTenants(ctx context.Context, tx pgx.Tx, operatorID string, role access.Role) ([]tenant.ID, error) {
	rows, err := tx.Query(ctx, `select t.slug from tenants t where $2 or (t.status = 'active' and exists
		(select from operator_grants g where g.tenant_id = t.id and g.operator_id = $1)) order by t.slug`,
		operatorID, role == access.PlatformAdmin)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (tenant.ID, error) {
		var slug string
		if err := row.Scan(&slug); err != nil {
			return tenant.ID{}, err
		}
		return tenant.Parse(slug)
	})
}

func (i *Identity) tenantsOf(ctx context.Context, tx pgx.Tx, operatorID string, role access.Role) ([]tenant.ID, error) {
	if ids, ok := i.sets.get(operatorID); ok {
		return slices.Clone(ids), nil
	}
	read := i.c.now()
	ids, err := operatorTenants(ctx, tx, operatorID, role)
	if err == nil {
		i.sets.put(operatorID, ids, read)
	}
	return slices.Clone(ids), err
}

// SetUserPassword replaces a password, unlocks the account and ends its
// sessions.
func (i *Identity) SetUserPassword(ctx context.Context, by access.Actor, id tenant.ID, userID string, password Secret) error {
	if _, err := uuid.Parse(userID); err != nil {
		return wrap(ErrNotFound, "user")
	}
	hash, err := i.hash.hash(ctx, password)
	if err != nil {
		return err
	}
	err = i.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var email string
		if err := tx.QueryRow(ctx, `update users set password_hash = $2, failures = 0, locked_until = null where id = $1 returning email`,
			userID, hash).Scan(&email); err != nil {
			return err
		}
		return audit(ctx, tx, by, "user.password", email, nil)
	})
	if err != nil {
		return wrap(err, "password of user %s of %s", userID, id)
	}
	return i.endSessions(ctx, `user_id = $1`, userID)
}

// SetOperatorPassword is SetUserPassword for the operator's people.
func (i *Identity) SetOperatorPassword(ctx context.Context, by access.Actor, operatorID string, password Secret) error {
	if _, err := uuid.Parse(operatorID); err != nil {
		return wrap(ErrNotFound, "operator")
	}
	hash, err := i.hash.hash(ctx, password)
	if err != nil {
		return err
	}
	err = i.c.InPlatform(ctx, OpOperators, func(tx pgx.Tx) error {
		var email string
		if err := tx.QueryRow(ctx, `update operators set password_hash = $2, failures = 0, locked_until = null where id = $1 returning email`,
			operatorID, hash).Scan(&email); err != nil {
			return err
		}
		return operatorAudit(ctx, tx, by, "operator.password", email, nil)
	})
	if err != nil {
		return wrap(err, "password of operator %s", operatorID)
	}
	return i.endSessions(ctx, `operator_id = $1`, operatorID)
}

// SetUserDisabled bars a person of a tenant, ending the sessions, or lets them
// in again.
func (i *Identity) SetUserDisabled(ctx context.Context, by access.Actor, id tenant.ID, userID string, disabled bool) error {
	if _, err := uuid.Parse(userID); err != nil {
		return wrap(ErrNotFound, "user")
	}
	err := i.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var email string
		if err := tx.QueryRow(ctx, `update users set status = case when $2 then 'disabled' else 'active' end where id = $1 returning email`,
			userID, disabled).Scan(&email); err != nil {
			return err
		}
		return audit(ctx, tx, by, "user.disable", email, map[string]any{"disabled": disabled})
	})
	if err != nil || !disabled {
		return wrap(err, "disable user %s of %s", userID, id)
	}
	return i.endSessions(ctx, `user_id = $1`, userID)
}

func (i *Identity) endSessions(ctx context.Context, where string, arg any) error {
	return wrap(i.c.InPlatform(ctx, OpSession, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `delete from sessions where `+where, arg)
		return err
	}), "end sessions")
}
