package core

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// PersonChange sets what is not nil.
type PersonChange struct {
	Name     *string
	Role     *access.Role
	Disabled *bool
	// Tenants replaces an operator's grants.
	Tenants *[]tenant.ID
}

// Person reads one person: of a tenant, or of the operator when id is zero.
// ErrNotFound for one of somebody else.
func (i *Identity) Person(ctx context.Context, id tenant.ID, personID string) (p Person, err error) {
	if _, err := uuid.Parse(personID); err != nil {
		return Person{}, wrap(ErrNotFound, "person")
	}
	err = i.inPerson(ctx, personRef{id, personID}, func(tx pgx.Tx, table string, _ trailFunc) error {
		p, err = i.lockPerson(ctx, tx, id, personID, table)
		return err
	})
	return p, wrap(err, "person %s", personID)
}

// lockPerson reads a person's row and keeps it from changing until the end of
// the transaction.
func (i *Identity) lockPerson(ctx context.Context, tx pgx.Tx, id tenant.ID, personID, table string) (Person, error) {
	owner, whose := "''", owners{"": tenant.ID{}}
	if !id.IsZero() {
		var err error
		if whose, err = i.c.owners(ctx, []tenant.ID{id}); err != nil {
			return Person{}, err
		}
		owner = "tenant_id::text"
	}
	rows, err := tx.Query(ctx, `select `+owner+`, `+personColumns+` from `+table+` where id = $1 for update`, personID)
	if err != nil {
		return Person{}, err
	}
	p, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (Person, error) { return scanPerson(row, whose) })
	if err == nil && id.IsZero() {
		p.Tenants, err = operatorGrants(ctx, tx, personID)
	}
	return p, err
}

// operatorGrants are the tenants granted by name; a platform_admin sees every
// tenant without.
func operatorGrants(ctx context.Context, tx pgx.Tx, operatorID string) ([]tenant.ID, error) {
	rows, err := tx.Query(ctx, `select t.slug from operator_grants g join tenants t on t.id = g.tenant_id where g.operator_id = $1 order by t.slug`, operatorID)
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

// UpdatePerson changes somebody of a tenant, or of the operator when id is
// zero. Disabling ends the sessions. The last active administrator can be
// neither disabled nor given another role.
func (i *Identity) UpdatePerson(ctx context.Context, by access.Actor, id tenant.ID, personID string, ch PersonChange) (Person, error) {
	if _, err := uuid.Parse(personID); err != nil {
		return Person{}, wrap(ErrNotFound, "person")
	}
	if ch.Tenants != nil && !id.IsZero() {
		return Person{}, invalid("grants are of the operator's people: a member sees its own tenant")
	}
	var out Person
	err := i.inPerson(ctx, personRef{id, personID}, func(tx pgx.Tx, table string, trail trailFunc) error {
		p, err := i.lockPerson(ctx, tx, id, personID, table)
		if err != nil {
			return err
		}
		was := p
		if ch.Name != nil {
			if p.Name, err = checkName(*ch.Name); err != nil {
				return err
			}
		}
		if ch.Role != nil && *ch.Role != p.Role {
			if err := checkRole(*ch.Role, id.IsZero()); err != nil {
				return err
			}
			p.Role = *ch.Role
			if err := trail(ctx, tx, by, "user.role", p.Email, map[string]any{"from": was.Role, "to": p.Role}); err != nil {
				return err
			}
		}
		if ch.Disabled != nil && *ch.Disabled != p.Disabled {
			p.Disabled = *ch.Disabled
			action := "user.enable"
			if p.Disabled {
				action = "user.disable"
			}
			if err := trail(ctx, tx, by, action, p.Email, nil); err != nil {
				return err
			}
		}
		if err := stillGoverned(ctx, tx, table, was, p.Role, p.Disabled); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update `+table+` set name = $2, role = $3, status = case when $4 then 'disabled' else 'active' end where id = $1`,
			personID, p.Name, string(p.Role), p.Disabled); err != nil {
			return err
		}
		if ch.Tenants != nil {
			if p.Tenants, err = i.replaceGrants(ctx, tx, by, p, *ch.Tenants); err != nil {
				return err
			}
		}
		out = p
		return nil
	})
	if err != nil {
		return Person{}, wrap(err, "change person %s", personID)
	}
	i.forgetOperators(id)
	if out.Disabled {
		return out, i.endSessions(ctx, `coalesce(operator_id, user_id) = $1`, personID)
	}
	return out, nil
}

// replaceGrants brings an operator's grants to the set wanted.
func (i *Identity) replaceGrants(ctx context.Context, tx pgx.Tx, by access.Actor, p Person, want []tenant.ID) ([]tenant.ID, error) {
	var fresh []tenant.ID
	for _, id := range want {
		if !slices.Contains(p.Tenants, id) {
			fresh = append(fresh, id)
		}
	}
	if err := grant(ctx, tx, by, p.ID, p.Email, fresh); err != nil {
		return nil, err
	}
	for _, id := range p.Tenants {
		if !slices.Contains(want, id) {
			if err := ungrant(ctx, tx, by, p.ID, p.Email, id); err != nil {
				return nil, err
			}
		}
	}
	return operatorGrants(ctx, tx, p.ID)
}

func checkRole(r access.Role, operator bool) error {
	if !r.Valid() || r == access.Ingest || r.Operator() != operator {
		want := "tenant_admin or tenant_auditor"
		if operator {
			want = "platform_admin, soc_analyst or soc_reader"
		}
		return invalid("role %q: want %s", r, want)
	}
	return nil
}

// stillGoverned refuses a change that would leave nobody who can administer.
// It locks the other administrators, so that two changes at once cannot each
// rely on the other.
func stillGoverned(ctx context.Context, tx pgx.Tx, table string, was Person, role access.Role, gone bool) error {
	admin := access.TenantAdmin
	if was.Tenant.IsZero() {
		admin = access.PlatformAdmin
	}
	if was.Role != admin || was.Disabled || role == admin && !gone {
		return nil
	}
	rows, err := tx.Query(ctx, `select id::text from `+table+` where role = $1 and status = 'active' order by id for update`, string(admin))
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(ids, func(id string) bool { return id != was.ID }) {
		return invalid("%s is the last %s: make another one first", was.Email, admin)
	}
	return nil
}

// DeletePerson removes somebody with their sessions and tokens. What they did
// stays in the trail.
func (i *Identity) DeletePerson(ctx context.Context, by access.Actor, id tenant.ID, personID string) error {
	if _, err := uuid.Parse(personID); err != nil {
		return wrap(ErrNotFound, "person")
	}
	err := i.inPerson(ctx, personRef{id, personID}, func(tx pgx.Tx, table string, trail trailFunc) error {
		p, err := i.lockPerson(ctx, tx, id, personID, table)
		if err != nil {
			return err
		}
		if err := stillGoverned(ctx, tx, table, p, "", true); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from `+table+` where id = $1`, personID); err != nil {
			return err
		}
		return trail(ctx, tx, by, "user.delete", p.Email, map[string]any{"role": p.Role})
	})
	i.forgetOperators(id)
	return wrap(err, "delete person %s", personID)
}

// ResetPerson gives somebody a one-time password, which must be changed at the
// next sign-in, unlocks the account and ends its sessions. With factor the
// second factor goes too: for somebody who lost it and the recovery codes.
func (i *Identity) ResetPerson(ctx context.Context, by access.Actor, id tenant.ID, personID string, factor bool) (Person, Secret, error) {
	if _, err := uuid.Parse(personID); err != nil {
		return Person{}, "", wrap(ErrNotFound, "person")
	}
	once := Secret(randomText(15))
	hash, err := i.hash.hash(ctx, once)
	if err != nil {
		return Person{}, "", err
	}
	var p Person
	err = i.inPerson(ctx, personRef{id, personID}, func(tx pgx.Tx, table string, trail trailFunc) error {
		if p, err = i.lockPerson(ctx, tx, id, personID, table); err != nil {
			return err
		}
		if p.Issuer != "" {
			return invalid("%s signs in with %s: passwords are reset there", p.Email, p.Issuer)
		}
		set := ""
		if factor && p.TOTP {
			set = `, totp_secret = null, totp_since = null, totp_step = 0, recovery_codes = '{}'`
			p.TOTP = false
		}
		p.MustChange = true
		if _, err := tx.Exec(ctx, `update `+table+` set password_hash = $2, must_change = true, failures = 0, locked_until = null`+set+` where id = $1`, personID, hash); err != nil {
			return err
		}
		return trail(ctx, tx, by, "user.reset", p.Email, map[string]any{"second_factor": factor})
	})
	if err != nil {
		return Person{}, "", wrap(err, "reset person %s", personID)
	}
	return p, once, i.endSessions(ctx, `coalesce(operator_id, user_id) = $1`, personID)
}

// forgetOperators drops what is remembered of the operator's people; a
// tenant's people are asked for anew each time.
func (i *Identity) forgetOperators(id tenant.ID) {
	if !id.IsZero() {
		return
	}
	i.sets.dropIf(func([]tenant.ID) bool { return true })
	i.c.Keys.resolved.dropIf(func(r resolvedKey) bool { return r.principal.Kind == access.KindOperatorToken })
}
