package core

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"image/png"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Time-based one-time passwords after RFC 6238: SHA-1, six digits, 30 seconds,
// one step of tolerance to either side. A step counts once.
const (
	totpPeriod    = 30 // seconds
	totpWindow    = 1  // steps
	recoveryCodes = 10
)

// ErrTOTPRequired: the password is right and a code of the second factor is
// still to be given. It is an ErrUnauthorized.
var ErrTOTPRequired = fmt.Errorf("%w: a code of the second factor is needed", ErrUnauthorized)

// Enrolment is what an authenticator app is set up with; shown once.
type Enrolment struct {
	Secret Secret // base 32
	URI    Secret // otpauth://totp/…
	QR     Secret // the URI as a PNG, in a data: URI
}

// person says where somebody's row is.
type personRef struct {
	tenant tenant.ID // zero: an operator
	id     string
}

func refOf(p access.Principal) (personRef, error) {
	switch {
	case p.View != nil:
		return personRef{id: p.ID}, nil
	case p.Kind == access.KindUser:
		return personRef{p.Tenant, p.ID}, nil
	case p.Kind == access.KindOperator:
		return personRef{id: p.ID}, nil
	}
	return personRef{}, invalid("a %s has no password and no second factor", p.Kind)
}

// inPerson runs fn in a transaction that sees the person's row; table is the
// one it is in, and trail writes what was done where it belongs.
func (i *Identity) inPerson(ctx context.Context, p personRef, fn func(tx pgx.Tx, table string, trail trailFunc) error) error {
	if p.tenant.IsZero() {
		return i.c.InPlatform(ctx, OpOperators, func(tx pgx.Tx) error { return fn(tx, "operators", operatorAudit) })
	}
	return i.c.InTenant(ctx, p.tenant, func(tx pgx.Tx) error { return fn(tx, "users", audit) })
}

type trailFunc = func(ctx context.Context, tx pgx.Tx, by access.Actor, action, target string, detail map[string]any) error

func totpPurpose(p personRef) string { return "totp " + p.tenant.String() + " " + p.id }

// BeginTOTP makes a secret for an authenticator app. It counts for nothing
// until ConfirmTOTP has seen a code of it. The password is asked for again.
func (i *Identity) BeginTOTP(ctx context.Context, p access.Principal, password Secret) (Enrolment, error) {
	ref, err := refOf(p)
	if err != nil {
		return Enrolment{}, err
	}
	if err := i.checkPassword(ctx, ref, password); err != nil {
		return Enrolment{}, err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "tenantwatch", AccountName: p.Email, Period: totpPeriod, SecretSize: 20})
	if err != nil {
		return Enrolment{}, fmt.Errorf("second factor: %w", err)
	}
	sealed, err := i.c.sealer.Seal(ctx, totpPurpose(ref), []byte(key.Secret()))
	if err != nil {
		return Enrolment{}, fmt.Errorf("second factor: %w", err)
	}
	err = i.inPerson(ctx, ref, func(tx pgx.Tx, table string, _ trailFunc) error {
		tag, err := tx.Exec(ctx, `update `+table+` set totp_secret = $2, totp_step = 0 where id = $1 and totp_since is null`, ref.id, sealed)
		if err == nil && tag.RowsAffected() == 0 {
			return fmt.Errorf("%w: there is a second factor: remove it first", ErrExists)
		}
		return err
	})
	if err != nil {
		return Enrolment{}, wrap(err, "second factor of %s", p.Email)
	}
	img, err := key.Image(240, 240)
	if err != nil {
		return Enrolment{}, fmt.Errorf("second factor: QR code: %w", err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return Enrolment{}, fmt.Errorf("second factor: QR code: %w", err)
	}
	return Enrolment{Secret: Secret(key.Secret()), URI: Secret(key.String()),
		QR: Secret("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))}, nil
}

// ConfirmTOTP turns the second factor on and gives the recovery codes, each of
// which takes a code's place once. Every other session of the person ends.
func (i *Identity) ConfirmTOTP(ctx context.Context, p access.Principal, token, code string) ([]Secret, error) {
	ref, err := refOf(p)
	if err != nil {
		return nil, err
	}
	codes := make([]Secret, recoveryCodes)
	hashes := make([][]byte, recoveryCodes)
	for n := range codes {
		text := randomText(10)
		codes[n] = Secret(text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:])
		hashes[n] = hashRecovery(ref, codes[n].Reveal())
	}
	err = i.inPerson(ctx, ref, func(tx pgx.Tx, table string, trail trailFunc) error {
		var sealed []byte
		if err := tx.QueryRow(ctx, `select totp_secret from `+table+` where id = $1 and totp_secret is not null and totp_since is null for update`, ref.id).Scan(&sealed); err != nil {
			return err
		}
		step, err := i.totpStep(ctx, ref, sealed, code, 0)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update `+table+` set totp_since = $2, totp_step = $3, recovery_codes = $4 where id = $1`, ref.id, i.c.now(), step, hashes); err != nil {
			return err
		}
		return trail(ctx, tx, ownActor(p), "mfa.enable", p.Email, nil)
	})
	if err != nil {
		return nil, wrap(err, "confirm the second factor of %s", p.Email)
	}
	return codes, i.endOthers(ctx, ref, token)
}

// RemoveTOTP turns the second factor off; password and a code are asked for.
func (i *Identity) RemoveTOTP(ctx context.Context, p access.Principal, password Secret, code string) error {
	ref, err := refOf(p)
	if err != nil {
		return err
	}
	if err := i.checkPassword(ctx, ref, password); err != nil {
		return err
	}
	if _, err := i.useCode(ctx, ref, code); err != nil {
		return wrap(err, "remove the second factor of %s", p.Email)
	}
	return wrap(i.clearTOTP(ctx, ref, ownActor(p), p.Email), "remove the second factor of %s", p.Email)
}

func (i *Identity) clearTOTP(ctx context.Context, ref personRef, by access.Actor, email string) error {
	return i.inPerson(ctx, ref, func(tx pgx.Tx, table string, trail trailFunc) error {
		tag, err := tx.Exec(ctx, `update `+table+` set totp_secret = null, totp_since = null, totp_step = 0, recovery_codes = '{}' where id = $1 and totp_since is not null`, ref.id)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return trail(ctx, tx, by, "mfa.disable", email, nil)
	})
}

// totpStep is the step a code belongs to; ErrUnauthorized for a code of no
// step within the window, or of one that is not after last.
func (i *Identity) totpStep(ctx context.Context, ref personRef, sealed []byte, code string, last int64) (int64, error) {
	secret, err := i.c.sealer.Open(ctx, totpPurpose(ref), sealed)
	if err != nil {
		return 0, fmt.Errorf("second factor: %w", err)
	}
	now := i.c.now().Unix() / totpPeriod
	found := int64(0)
	for step := now - totpWindow; step <= now+totpWindow; step++ {
		want, err := hotp.GenerateCodeCustom(string(secret), uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, fmt.Errorf("second factor: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && step > last {
			found = step
		}
	}
	if found == 0 {
		return 0, ErrUnauthorized
	}
	return found, nil
}

// useCode spends a code of the app or a recovery code; it says which. Two
// requests with one code: the row's lock lets one of them have it.
func (i *Identity) useCode(ctx context.Context, ref personRef, code string) (method string, err error) {
	code = strings.ToLower(strings.Map(func(r rune) rune {
		if r == ' ' {
			return -1
		}
		return r
	}, strings.TrimSpace(code)))
	err = i.inPerson(ctx, ref, func(tx pgx.Tx, table string, trail trailFunc) error {
		var sealed []byte
		var last int64
		var codes [][]byte
		var email string
		if err := tx.QueryRow(ctx, `select totp_secret, totp_step, recovery_codes, email from `+table+` where id = $1 and totp_since is not null for update`, ref.id).
			Scan(&sealed, &last, &codes, &email); err != nil {
			return err
		}
		if len(code) == 6 {
			step, err := i.totpStep(ctx, ref, sealed, code, last)
			if err != nil {
				return err
			}
			method = "totp"
			_, err = tx.Exec(ctx, `update `+table+` set totp_step = $2 where id = $1`, ref.id, step)
			return err
		}
		given := hashRecovery(ref, code)
		for _, h := range codes {
			if subtle.ConstantTimeCompare(h, given) != 1 {
				continue
			}
			method = "recovery"
			if _, err := tx.Exec(ctx, `update `+table+` set recovery_codes = array_remove(recovery_codes, $2) where id = $1`, ref.id, given); err != nil {
				return err
			}
			return trail(ctx, tx, access.Actor{Kind: personKind(ref.tenant), ID: ref.id, Name: email}, "mfa.recovery", email, map[string]any{"left": len(codes) - 1})
		}
		return ErrUnauthorized
	})
	if ok, err := notFoundOK(err); err != nil || !ok {
		if err == nil {
			err = ErrUnauthorized
		}
		return "", err
	}
	return method, nil
}

// hashRecovery: the codes have 80 random bits, so a fast hash will do; it is
// bound to the person.
func hashRecovery(ref personRef, code string) []byte {
	m := hmac.New(sha256.New, []byte("tenantwatch recovery code "+ref.id))
	m.Write([]byte(strings.ReplaceAll(strings.ToLower(code), "-", "")))
	return m.Sum(nil)
}

// ownActor is who did something to their own account.
func ownActor(p access.Principal) access.Actor { return p.Actor() }

// endOthers ends a person's sessions but the one with this token.
func (i *Identity) endOthers(ctx context.Context, ref personRef, token string) error {
	return wrap(i.c.InPlatform(ctx, OpSession, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `delete from sessions where coalesce(operator_id, user_id) = $1 and token_hash <> $2`, ref.id, hashToken(token))
		return err
	}), "end sessions")
}

// checkPassword asks a signed-in person for the password again. Failures count
// towards the lock as those of signing in do.
func (i *Identity) checkPassword(ctx context.Context, ref personRef, password Secret) error {
	var hash, email string
	var locked bool
	var failures int
	err := i.inPerson(ctx, ref, func(tx pgx.Tx, table string, _ trailFunc) error {
		return tx.QueryRow(ctx, `select password_hash, email, coalesce(locked_until > $2, false), failures from `+table+` where id = $1`, ref.id, i.c.now()).
			Scan(&hash, &email, &locked, &failures)
	})
	if err != nil {
		return wrap(err, "check the password")
	}
	if len(password) > maxPassword {
		password = ""
	}
	ok, err := i.hash.matches(ctx, password, hash)
	if err != nil {
		return err
	}
	if ok && !locked {
		return nil
	}
	a := account{id: ref.id, tenant: ref.tenant, active: true, locked: locked, failures: failures}
	if err := i.count(ctx, LoginRequest{}, email, a); err != nil {
		return err
	}
	return fmt.Errorf("password: %w", ErrUnauthorized)
}

// ChangePassword replaces the password of a signed-in person, who gives the
// old one, and ends the other sessions.
func (i *Identity) ChangePassword(ctx context.Context, p access.Principal, token string, old, fresh Secret) error {
	ref, err := refOf(p)
	if err != nil {
		return err
	}
	if err := i.checkPassword(ctx, ref, old); err != nil {
		return err
	}
	if old == fresh {
		return invalid("the new password is the old one")
	}
	hash, err := i.hash.hash(ctx, fresh)
	if err != nil {
		return err
	}
	err = i.inPerson(ctx, ref, func(tx pgx.Tx, table string, trail trailFunc) error {
		if _, err := tx.Exec(ctx, `update `+table+` set password_hash = $2, must_change = false, failures = 0, locked_until = null where id = $1`, ref.id, hash); err != nil {
			return err
		}
		return trail(ctx, tx, ownActor(p), "user.password", p.Email, nil)
	})
	if err != nil {
		return wrap(err, "change the password of %s", p.Email)
	}
	return i.endOthers(ctx, ref, token)
}

// SessionInfo is one session of somebody.
type SessionInfo struct {
	ID                         string
	Address, UserAgent, Method string
	CreatedAt, SeenAt          time.Time
	IdleUntil, ExpiresAt       time.Time
	Current                    bool
}

// Sessions lists the sessions of a signed-in person, newest first.
func (i *Identity) Sessions(ctx context.Context, p access.Principal, token string) (out []SessionInfo, err error) {
	ref, err := refOf(p)
	if err != nil {
		return nil, err
	}
	err = i.c.InPlatform(ctx, OpSession, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select id::text, address, user_agent, method, created_at, seen_at, idle_until, expires_at, token_hash = $3 from sessions
			where coalesce(operator_id, user_id) = $1 and idle_until > $2 and expires_at > $2 order by created_at desc, id limit 500`, ref.id, i.c.now(), hashToken(token))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s SessionInfo, err error) {
			err = row.Scan(&s.ID, &s.Address, &s.UserAgent, &s.Method, &s.CreatedAt, &s.SeenAt, &s.IdleUntil, &s.ExpiresAt, &s.Current)
			return s, err
		})
		return err
	})
	return out, wrap(err, "sessions of %s", p.Email)
}

// EndSession ends one session of a signed-in person.
func (i *Identity) EndSession(ctx context.Context, p access.Principal, id string) error {
	ref, err := refOf(p)
	if err != nil {
		return err
	}
	err = i.c.InPlatform(ctx, OpSession, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `delete from sessions where coalesce(operator_id, user_id) = $1 and id::text = $2`, ref.id, clean(id))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		return i.sessionTrail(ctx, tx, p, "session.end")
	})
	return wrap(err, "end session %s", cut(id, 64))
}

// sessionTrail writes into the trail of whoever the person belongs to; tx is a
// platform transaction of OpSession.
func (i *Identity) sessionTrail(ctx context.Context, tx pgx.Tx, p access.Principal, action string) error {
	if p.Kind == access.KindUser {
		return auditOf(ctx, tx, p.Tenant, p.Actor(), action, p.Email, nil)
	}
	return operatorAudit(ctx, tx, p.Actor(), action, p.Email, nil)
}
