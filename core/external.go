package core

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// External is somebody whom a provider vouches for.
type External struct {
	Issuer, Subject    string
	Email, Name        string
	Tenant             tenant.ID // zero: one of the operator's people
	Role               access.Role
	Address, UserAgent string
}

// LoginExternal starts a session for somebody whom a provider vouches for, and
// makes the account at the first time. Issuer and subject are the identity, an
// address alone is not: an account of the same address with a password, or of
// another provider, is not taken over (ErrUnauthorized). The role follows the
// claims; an operator's grants are given here.
func (i *Identity) LoginExternal(ctx context.Context, e External) (Session, error) {
	s, err := i.loginExternal(ctx, e)
	switch {
	case err == nil:
		i.c.metrics.signIns.WithLabelValues("accepted").Inc()
	case errors.Is(err, ErrUnauthorized):
		i.c.metrics.signIns.WithLabelValues("refused").Inc()
	}
	if err != nil {
		return Session{}, fmt.Errorf("sign in with a provider: %w", err)
	}
	return s, nil
}

func (i *Identity) loginExternal(ctx context.Context, e External) (Session, error) {
	email, err := cleanEmail(e.Email)
	if err != nil {
		return Session{}, err
	}
	if e.Issuer == "" || e.Subject == "" || len(e.Subject) > 255 || len(e.Issuer) > 500 || clean(e.Subject) != e.Subject {
		return Session{}, invalid("the provider names nobody")
	}
	if err := checkRole(e.Role, e.Tenant.IsZero()); err != nil {
		return Session{}, err
	}
	name, err := checkName(e.Name)
	if err != nil {
		name = email
	}
	uid, err := uuid.NewV7()
	if err != nil {
		return Session{}, err
	}
	ref := personRef{tenant: e.Tenant}
	by := access.Actor{Kind: personKind(e.Tenant), Name: email}
	refused := false
	err = i.inPerson(ctx, ref, func(tx pgx.Tx, table string, trail trailFunc) error {
		var role access.Role
		var active bool
		err := tx.QueryRow(ctx, `select id::text, role, status = 'active' from `+table+` where oidc_issuer = $1 and oidc_subject = $2 for update`, e.Issuer, e.Subject).
			Scan(&ref.id, &role, &active)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			// No password opens this account: the hash is of one nobody knows.
			tag, err := tx.Exec(ctx, `insert into `+table+` (id, email, name, role, password_hash, oidc_issuer, oidc_subject) values ($1, $2, $3, $4, $5, $6, $7)
				on conflict do nothing`, uid.String(), email, name, string(e.Role), i.hash.dummy, e.Issuer, e.Subject)
			if err != nil {
				return err
			}
			ref.id = uid.String()
			if tag.RowsAffected() == 0 { // the address has an account of another kind, or somebody was faster
				err := tx.QueryRow(ctx, `select id::text, status = 'active' from `+table+` where oidc_issuer = $1 and oidc_subject = $2`, e.Issuer, e.Subject).Scan(&ref.id, &active)
				if ok, err := notFoundOK(err); err != nil || ok && active {
					return err
				}
				refused = true
				return trail(ctx, tx, by, "session.refuse", email, map[string]any{"address": cut(e.Address, 64), "issuer": e.Issuer, "why": "the address belongs to another account"})
			}
			by.ID = ref.id
			return trail(ctx, tx, by, "user.create", email, map[string]any{"role": e.Role, "issuer": e.Issuer})
		case err != nil:
			return err
		case !active:
			refused = true
			by.ID = ref.id
			return trail(ctx, tx, by, "session.refuse", email, map[string]any{"address": cut(e.Address, 64), "issuer": e.Issuer, "why": "disabled"})
		}
		by.ID = ref.id
		if _, err := tx.Exec(ctx, `update `+table+` set role = $2, name = $3 where id = $1`, ref.id, string(e.Role), name); err != nil {
			return err
		}
		if role != e.Role {
			return trail(ctx, tx, by, "user.role", email, map[string]any{"from": role, "to": e.Role, "issuer": e.Issuer})
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrSuspended) {
		return Session{}, ErrUnauthorized
	}
	if err != nil {
		return Session{}, err
	}
	if refused {
		return Session{}, ErrUnauthorized
	}
	return i.start(ctx, LoginRequest{Address: e.Address, UserAgent: e.UserAgent}, email, account{id: ref.id, tenant: e.Tenant, active: true}, "oidc")
}

// Machine is the principal of a machine whose token has been checked:
// ErrUnauthorized when the tenant is not there or suspended.
func (i *Identity) Machine(ctx context.Context, id string, of tenant.ID, role access.Role) (access.Principal, error) {
	if err := checkRole(role, false); err != nil {
		return access.Principal{}, err
	}
	row, err := i.c.resolve(ctx, of)
	if errors.Is(err, ErrNotFound) || errors.Is(err, tenant.ErrZero) || err == nil && row.suspended {
		return access.Principal{}, fmt.Errorf("machine %s: %w", cut(id, 64), ErrUnauthorized)
	}
	if err != nil {
		return access.Principal{}, err
	}
	id = cut(id, 200)
	return access.Principal{Kind: access.KindToken, ID: "jwt:" + id, Name: id, Role: role, Tenant: of, Tenants: []tenant.ID{of}}, nil
}
