package core

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Session is a signed-in person.
type Session struct {
	// Token is the cookie's value, 256 random bits; only Login sets it.
	Token     Secret
	CSRF      string // must come back with each change; bound to the token
	Principal access.Principal
	TOTP      bool   // the person has a second factor
	Method    string // how the session began: password, totp, recovery or oidc
	CreatedAt time.Time
	ExpiresAt time.Time // at the latest; sooner when idle
}

// LoginRequest is what somebody signs in with. Tenant is optional: it chooses
// among the tenants in which the same address has an account.
type LoginRequest struct {
	Email     string
	Password  Secret
	Code      string // of the second factor, or a recovery code
	Tenant    tenant.ID
	Address   string // of the client, for the trail
	UserAgent string
}

const (
	lockAfter     = 5                // failures in a row
	lockFor       = 15 * time.Minute // from the last of them
	maxCandidates = 4                // accounts with one address that are tried
)

// account is one row that an address leads to.
type account struct {
	id, hash string
	tenant   tenant.ID // zero for an operator
	active   bool
	locked   bool
	failures int
	totp     bool
}

// Login checks a password and starts a session. Every refusal is
// ErrUnauthorized, and takes the same work whether the address is unknown, the
// password is wrong or the account is locked, disabled or of a suspended
// tenant. Five failures in a row lock an account for 15 minutes. Somebody with
// a second factor who gave the right password and no code gets
// ErrTOTPRequired; a wrong code is a failure like a wrong password.
func (i *Identity) Login(ctx context.Context, req LoginRequest) (Session, error) {
	s, err := i.login(ctx, req)
	switch {
	case err == nil:
		i.c.metrics.signIns.WithLabelValues("accepted").Inc()
	case ctx.Err() == nil:
		i.c.metrics.signIns.WithLabelValues("refused").Inc()
	}
	if err != nil {
		return Session{}, fmt.Errorf("sign in: %w", err)
	}
	return s, nil
}

func (i *Identity) login(ctx context.Context, req LoginRequest) (Session, error) {
	email, err := cleanEmail(req.Email)
	if err != nil {
		email = "nobody@invalid" // as unknown as any other
	}
	if len(req.Password) > maxPassword {
		req.Password = ""
	}
	accounts, err := i.accounts(ctx, email, req.Tenant)
	if err != nil {
		return Session{}, err
	}
	var match *account
	for n := range accounts {
		a := &accounts[n]
		ok, err := i.hash.matches(ctx, req.Password, a.hash)
		if err != nil {
			return Session{}, err
		}
		if ok && match == nil && a.active && !a.locked {
			match = a
		}
	}
	if len(accounts) == 0 {
		if _, err := i.hash.matches(ctx, req.Password, i.hash.dummy); err != nil {
			return Session{}, err
		}
	}
	if match == nil {
		if err := i.refused(ctx, req, email, accounts); err != nil {
			return Session{}, err
		}
		return Session{}, ErrUnauthorized
	}
	method := "password"
	if match.totp {
		if req.Code == "" {
			return Session{}, ErrTOTPRequired
		}
		if method, err = i.useCode(ctx, personRef{match.tenant, match.id}, req.Code); errors.Is(err, ErrUnauthorized) {
			if err := i.refused(ctx, req, email, []account{*match}); err != nil {
				return Session{}, err
			}
			return Session{}, ErrUnauthorized
		} else if err != nil {
			return Session{}, err
		}
	}
	return i.start(ctx, req, email, *match, method)
}

func (i *Identity) accounts(ctx context.Context, email string, only tenant.ID) (out []account, err error) {
	err = i.c.InPlatform(ctx, OpSignIn, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select id::text, password_hash, '' as slug, status = 'active', coalesce(locked_until > $2, false), failures, totp_since is not null, created_at
			  from operators where email = $1 and $3 = ''
			union all
			select u.id::text, u.password_hash, t.slug, u.status = 'active' and t.status = 'active', coalesce(u.locked_until > $2, false), u.failures, u.totp_since is not null, u.created_at
			  from users u join tenants t on t.id = u.tenant_id where u.email = $1 and ($3 = '' or t.slug = $3)
			order by created_at limit $4`, email, i.c.now(), only.String(), maxCandidates)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (account, error) {
			var a account
			var slug string
			var created time.Time
			err := row.Scan(&a.id, &a.hash, &slug, &a.active, &a.locked, &a.failures, &a.totp, &created)
			if err == nil && slug != "" {
				a.tenant, err = tenant.Parse(slug)
			}
			return a, err
		})
		return err
	})
	return out, err
}

// refused counts the failure. The same number of transactions runs for an
// unknown address, none of them waiting for the disk, so that time tells
// nothing.
func (i *Identity) refused(ctx context.Context, req LoginRequest, email string, accounts []account) error {
	if len(accounts) == 0 {
		accounts = []account{{id: uuid.Nil.String(), active: true, locked: true}}
		// Somebody who guesses at addresses fills the operator's trail with a
		// count a minute, not with a row a guess.
		if err := i.c.Audit.Note(ctx, Note{By: access.Actor{Kind: access.KindUser, Name: email}, Action: "session.refuse", Target: email,
			What: "unknown address", Address: req.Address, Lazy: true}); err != nil {
			return err
		}
	}
	for _, a := range accounts {
		if err := i.count(ctx, req, email, a); err != nil {
			return err
		}
	}
	return nil
}

func (i *Identity) count(ctx context.Context, req LoginRequest, email string, a account) error {
	work := func(table, trail string) func(tx pgx.Tx) error {
		return func(tx pgx.Tx) error {
			now := i.c.now()
			var b pgx.Batch
			b.Queue(`set local synchronous_commit = off`)
			b.Queue(`update `+table+` set failures = case when failures + 1 >= $2 then 0 else failures + 1 end,
				locked_until = case when failures + 1 >= $2 then $3 else locked_until end where id = $1 and not $4`,
				a.id, lockAfter, now.Add(lockFor), a.locked)
			if !a.locked { // a locked account does not fill the trail
				args, err := auditArgs(access.Actor{Kind: personKind(a.tenant), ID: a.id, Name: email}, "session.refuse", email,
					map[string]any{"address": cut(req.Address, 64), "locks": a.failures+1 >= lockAfter})
				if err != nil {
					return err
				}
				b.Queue(`insert into `+trail+auditInsert, args...)
				if a.failures+1 >= lockAfter {
					if args, err = auditArgs(access.System("lockout"), "user.lock", email, map[string]any{"address": cut(req.Address, 64), "until": now.Add(lockFor).UTC()}); err != nil {
						return err
					}
					b.Queue(`insert into `+trail+auditInsert, args...)
				}
			} else {
				b.Queue(`select 1`)
			}
			return tx.SendBatch(ctx, &b).Close()
		}
	}
	if a.tenant.IsZero() {
		return i.c.InPlatform(ctx, OpOperators, work("operators", "operator_audit"))
	}
	if !a.active {
		// Of a suspended tenant, perhaps: nothing can be written there.
		return i.c.InTenantRead(ctx, a.tenant, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, `select 1`); return err })
	}
	return i.c.InTenant(ctx, a.tenant, work("users", "audit_log"))
}

func personKind(id tenant.ID) access.Kind {
	if id.IsZero() {
		return access.KindOperator
	}
	return access.KindUser
}

func (i *Identity) start(ctx context.Context, req LoginRequest, email string, a account, method string) (Session, error) {
	now := i.c.now()
	token := randomText(32)
	by := access.Actor{Kind: personKind(a.tenant), ID: a.id, Name: email}
	detail := map[string]any{"address": cut(req.Address, 64), "user_agent": cut(req.UserAgent, 256), "method": method}
	if !a.tenant.IsZero() {
		err := i.c.InTenant(ctx, a.tenant, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `update users set failures = 0, locked_until = null, last_sign_in_at = $2 where id = $1`, a.id, now); err != nil {
				return err
			}
			return audit(ctx, tx, by, "session.start", email, detail)
		})
		if err != nil {
			return Session{}, err
		}
	}
	err := i.c.InPlatform(ctx, OpSession, func(tx pgx.Tx) error {
		if a.tenant.IsZero() {
			if _, err := tx.Exec(ctx, `update operators set failures = 0, locked_until = null, last_sign_in_at = $2 where id = $1`, a.id, now); err != nil {
				return err
			}
			if err := operatorAudit(ctx, tx, by, "session.start", email, detail); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `insert into sessions (token_hash, operator_id, tenant_id, user_id, address, user_agent, created_at, seen_at, idle_until, expires_at, method)
			values ($1, case when $2 = '' then $3::uuid end, (select id from tenants where slug = $2), case when $2 <> '' then $3::uuid end,
			$4, $5, $6, $6, $7, $8, $9)`,
			hashToken(token), a.tenant.String(), a.id, cut(req.Address, 64), cut(req.UserAgent, 256), now,
			now.Add(i.c.cfg.SessionIdle), now.Add(i.c.cfg.SessionLife), method)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	s, err := i.SessionByToken(ctx, token)
	s.Token = Secret(token)
	return s, err
}

// SessionByToken finds the session of a cookie and keeps it from going idle.
// ErrUnauthorized when there is none, it has ended, or its person may no
// longer sign in.
func (i *Identity) SessionByToken(ctx context.Context, token string) (Session, error) {
	if token == "" || len(token) > 128 {
		return Session{}, fmt.Errorf("session: %w", ErrUnauthorized)
	}
	now := i.c.now()
	var s Session
	err := i.c.InPlatform(ctx, OpSession, func(tx pgx.Tx) error {
		var slug, viewed, viewRole string
		var view access.View
		var seen time.Time
		p := &s.Principal
		err := tx.QueryRow(ctx, `select coalesce(o.id, u.id)::text, coalesce(o.name, u.name), coalesce(o.email, u.email), coalesce(o.role, u.role),
				coalesce(t.slug, ''), s.created_at, s.seen_at, s.expires_at, s.method, coalesce(o.totp_since, u.totp_since) is not null,
				coalesce(o.must_change, u.must_change) and s.method <> 'oidc',
				coalesce(v.slug, ''), coalesce(s.view_role, ''), coalesce(s.view_reason, ''), coalesce(s.view_since, '0001-01-01Z')
			from sessions s left join operators o on o.id = s.operator_id
			left join users u on u.tenant_id = s.tenant_id and u.id = s.user_id
			left join tenants t on t.id = s.tenant_id
			left join tenants v on v.id = s.view_tenant
			where s.token_hash = $1 and s.idle_until > $2 and s.expires_at > $2
			and coalesce(o.status, u.status) = 'active' and coalesce(t.status, 'active') = 'active'`, hashToken(token), now).
			Scan(&p.ID, &p.Name, &p.Email, &p.Role, &slug, &s.CreatedAt, &seen, &s.ExpiresAt, &s.Method, &s.TOTP, &p.MustChange, &viewed, &viewRole, &view.Reason, &view.Since)
		if err != nil {
			return err
		}
		if now.Sub(seen) > time.Minute { // not a write for each request
			if _, err := tx.Exec(ctx, `update sessions set seen_at = $2, idle_until = $3 where token_hash = $1`,
				hashToken(token), now, now.Add(i.c.cfg.SessionIdle)); err != nil {
				return err
			}
		}
		if slug != "" {
			p.Kind = access.KindUser
			p.Tenant, err = tenant.Parse(slug)
			p.Tenants = []tenant.ID{p.Tenant}
			return err
		}
		p.Kind = access.KindOperator
		if p.Tenants, err = i.tenantsOf(ctx, tx, p.ID, p.Role); err != nil || viewed == "" {
			return err
		}
		id, err := tenant.Parse(viewed)
		if err != nil {
			return err
		}
		var ok bool
		if *p, ok = within(*p, id, view, access.Role(viewRole)); !ok { // granted no longer: the view is over
			_, err = tx.Exec(ctx, `update sessions set view_tenant = null, view_role = null, view_reason = null, view_since = null where token_hash = $1`, hashToken(token))
		}
		return err
	})
	if ok, err := notFoundOK(err); err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	} else if !ok {
		return Session{}, fmt.Errorf("session: %w", ErrUnauthorized)
	}
	s.CSRF = csrfOf(token)
	return s, nil
}

// csrfOf derives the token that a form must send beside the cookie: who cannot
// read the cookie cannot make it, and there is nothing to store.
func csrfOf(token string) string {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte("tenantwatch csrf v1"))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// ValidCSRF reports whether got is the session's, in constant time.
func (s Session) ValidCSRF(got string) bool {
	return s.CSRF != "" && hmac.Equal([]byte(s.CSRF), []byte(got))
}

// Logout ends one session; one that has ended already is no error.
func (i *Identity) Logout(ctx context.Context, token string) error {
	s, err := i.SessionByToken(ctx, token)
	if err := i.endSessions(ctx, `token_hash = $1`, hashToken(token)); err != nil {
		return err
	}
	if err != nil {
		return nil // it had ended: nobody to name in the trail
	}
	p := s.Principal
	if p.Kind == access.KindUser {
		return i.c.Audit.Record(ctx, p.Tenant, p.Actor(), "session.end", p.Email, nil)
	}
	return wrap(i.c.InPlatform(ctx, OpOperators, func(tx pgx.Tx) error {
		return operatorAudit(ctx, tx, p.Actor(), "session.end", p.Email, nil)
	}), "sign out")
}

// LogoutEverywhere ends every session of a signed-in person.
func (i *Identity) LogoutEverywhere(ctx context.Context, p access.Principal) error {
	ref, err := refOf(p)
	if err != nil {
		return err
	}
	return wrap(i.c.InPlatform(ctx, OpSession, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `delete from sessions where coalesce(operator_id, user_id) = $1`, ref.id); err != nil {
			return err
		}
		return i.sessionTrail(ctx, tx, p, "session.end_all")
	}), "sign out everywhere")
}
