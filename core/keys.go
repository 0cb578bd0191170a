package core

import (
	"context"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// KeyKind says what a key opens.
type KeyKind string

// The kinds: pushing events, or the API in a tenant's name.
const (
	IngestKind KeyKind = "ingest"
	APIKind    KeyKind = "api"
)

// A key in clear is "tw_ingest_", "tw_api_" or "tw_op_", its id of 16
// characters, "_", and 52 characters that carry 256 random bits. Only the
// SHA-256 of the whole is stored.
const (
	ingestPrefix   = "tw_ingest_"
	apiPrefix      = "tw_api_"
	operatorPrefix = "tw_op_"
	keyIDLen       = 16
	keySecretLen   = 52
)

// Key is a key without its secret.
type Key struct {
	ID         string
	Tenant     tenant.ID
	Kind       KeyKind
	Role       access.Role
	Name       string
	Scopes     []access.Permission
	CreatedBy  string
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time // zero: never; up to 10 s late
	RevokedAt  time.Time // zero: stands
	ReplacedBy string    // its successor's id
}

// NewKey describes a key to create. Role is implied for an ingest key; Scopes
// narrow the role of an API token, none of them leaves it whole.
type NewKey struct {
	Kind      KeyKind
	Name      string
	Role      access.Role
	Scopes    []access.Permission
	ExpiresAt time.Time
}

// IngestKey is what an ingest key resolves to.
type IngestKey struct {
	Tenant   tenant.ID
	ID, Name string
}

// Keys makes, revokes and resolves ingest keys and API tokens.
type Keys struct {
	c        *Core
	resolved *cache[[32]byte, resolvedKey]

	mu   sync.Mutex
	used map[string]time.Time // since the last flush, by id
}

type resolvedKey struct {
	id        string
	principal access.Principal
	expires   time.Time
}

const maxUsed = 20_000 // ids remembered between flushes

func newKeys(c *Core) *Keys {
	return &Keys{c: c, resolved: newCache[[32]byte, resolvedKey](10_000, credentialTTL, c.now), used: make(map[string]time.Time)}
}

// Create makes a key and gives its secret, for the only time.
func (k *Keys) Create(ctx context.Context, by access.Actor, id tenant.ID, n NewKey) (Key, Secret, error) {
	name, err := checkName(n.Name)
	if err != nil {
		return Key{}, "", err
	}
	prefix := apiPrefix
	switch n.Kind {
	case IngestKind:
		prefix, n.Role = ingestPrefix, access.Ingest
	case APIKind:
		if n.Role.Scope() != access.OwnTenant || n.Role == access.Ingest {
			return Key{}, "", invalid("role %q: an API token has tenant_admin or tenant_auditor", n.Role)
		}
	default:
		return Key{}, "", invalid("kind %q: want ingest or api", n.Kind)
	}
	scopes := make([]string, len(n.Scopes))
	for i, s := range n.Scopes {
		if !n.Role.Can(s) {
			return Key{}, "", invalid("scope %q is not within role %s", s, n.Role)
		}
		scopes[i] = string(s)
	}
	if !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(k.c.now()) {
		return Key{}, "", invalid("expires_at %s has passed", n.ExpiresAt.Format(time.RFC3339))
	}
	out := Key{ID: randomText(10), Tenant: id, Kind: n.Kind, Role: n.Role, Name: name, Scopes: n.Scopes, CreatedBy: by.Name, ExpiresAt: n.ExpiresAt}
	secret := prefix + out.ID + "_" + randomText(32)
	err = k.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `insert into api_keys (id, kind, role, name, secret_hash, scopes, created_by, expires_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8) returning created_at`,
			out.ID, string(out.Kind), string(out.Role), name, hashToken(secret), scopes, clean(by.Name), orNull(n.ExpiresAt)).Scan(&out.CreatedAt)
		if err != nil {
			return err
		}
		return audit(ctx, tx, by, "key.create", out.ID, map[string]any{"kind": out.Kind, "key_role": out.Role, "name": name})
	})
	if err != nil {
		return Key{}, "", wrap(err, "create key of %s", id)
	}
	return out, Secret(secret), nil
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// List reads the keys of the given tenants, newest first, revoked ones too.
func (k *Keys) List(ctx context.Context, scope []tenant.ID) (out []Key, err error) {
	if len(scope) == 0 {
		return nil, nil
	}
	whose, err := k.c.owners(ctx, scope)
	if err != nil {
		return nil, err
	}
	err = k.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, id, kind, role, name, scopes, created_by, created_at, expires_at, last_used_at, revoked_at, coalesce(replaced_by, '')
			from api_keys order by created_at desc, id limit 5000`)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Key, error) {
			var key Key
			var tid string
			var expires, used, revoked *time.Time
			if err := row.Scan(&tid, &key.ID, &key.Kind, &key.Role, &key.Name, &key.Scopes, &key.CreatedBy, &key.CreatedAt, &expires, &used, &revoked, &key.ReplacedBy); err != nil {
				return key, err
			}
			key.ExpiresAt, key.LastUsedAt, key.RevokedAt = orZero(expires), orZero(used), orZero(revoked)
			key.Tenant, err = whose.of(tid)
			return key, err
		})
		return err
	})
	return out, wrap(err, "list keys")
}

// Revoke ends a key: at once in this process, within 5 s in others. ErrNotFound
// when the tenant has no such key that stands.
func (k *Keys) Revoke(ctx context.Context, by access.Actor, id tenant.ID, keyID string) error {
	err := k.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var name string
		if err := tx.QueryRow(ctx, `update api_keys set revoked_at = $2 where id = $1 and revoked_at is null returning name`,
			clean(keyID), k.c.now()).Scan(&name); err != nil {
			return err
		}
		return audit(ctx, tx, by, "key.revoke", keyID, map[string]any{"name": name})
	})
	k.resolved.dropIf(func(r resolvedKey) bool { return r.id == keyID })
	return wrap(err, "revoke key %s of %s", cut(keyID, 64), id)
}

// MaxOverlap is how long a key may go on beside its successor.
const MaxOverlap = 30 * 24 * time.Hour

// Rotate gives a standing key a successor of the same kind, role, scopes and
// name, and ends the old one after overlap (or when it would have expired
// anyway): at once with 0. A key has one successor; ErrExists when it has been
// rotated before, ErrNotFound when the tenant has no such key that stands.
func (k *Keys) Rotate(ctx context.Context, by access.Actor, id tenant.ID, keyID string, overlap time.Duration, expires time.Time) (Key, Secret, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return Key{}, "", invalid("overlap of %s: want 0 to %s", overlap, MaxOverlap)
	}
	now := k.c.now()
	if !expires.IsZero() && !expires.After(now) {
		return Key{}, "", invalid("expires_at %s has passed", expires.Format(time.RFC3339))
	}
	out := Key{ID: randomText(10), Tenant: id, CreatedBy: by.Name, ExpiresAt: expires}
	var secret string
	err := k.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var next *string
		var scopes []string
		err := tx.QueryRow(ctx, `select kind, role, name, scopes, replaced_by from api_keys
			where id = $1 and revoked_at is null and (expires_at is null or expires_at > $2) for update`, clean(keyID), now).
			Scan(&out.Kind, &out.Role, &out.Name, &scopes, &next)
		if err != nil {
			return err
		}
		if next != nil {
			return fmt.Errorf("%w: the key has a successor", ErrExists)
		}
		for _, s := range scopes {
			out.Scopes = append(out.Scopes, access.Permission(s))
		}
		prefix := apiPrefix
		if out.Kind == IngestKind {
			prefix = ingestPrefix
		}
		secret = prefix + out.ID + "_" + randomText(32)
		if err := tx.QueryRow(ctx, `insert into api_keys (id, kind, role, name, secret_hash, scopes, created_by, expires_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8) returning created_at`,
			out.ID, string(out.Kind), string(out.Role), out.Name, hashToken(secret), scopes, clean(by.Name), orNull(expires)).Scan(&out.CreatedAt); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update api_keys set replaced_by = $2, expires_at = least(expires_at, $3) where id = $1`, clean(keyID), out.ID, now.Add(overlap)); err != nil {
			return err
		}
		return audit(ctx, tx, by, "key.rotate", keyID, map[string]any{"successor": out.ID, "name": out.Name, "overlap_seconds": int64(overlap.Seconds())})
	})
	k.resolved.dropIf(func(r resolvedKey) bool { return r.id == keyID })
	if err != nil {
		return Key{}, "", wrap(err, "rotate key %s of %s", cut(keyID, 64), id)
	}
	return out, Secret(secret), nil
}

// CreateOperatorToken makes an API token that acts as one of the operator's
// people, with that person's role and grants.
func (k *Keys) CreateOperatorToken(ctx context.Context, by access.Actor, operatorID, name string, expires time.Time) (string, Secret, error) {
	name, err := checkName(name)
	if err != nil {
		return "", "", err
	}
	if _, err := uuid.Parse(operatorID); err != nil {
		return "", "", wrap(ErrNotFound, "operator")
	}
	id := randomText(10)
	secret := operatorPrefix + id + "_" + randomText(32)
	err = k.c.InPlatform(ctx, OpOperators, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into operator_tokens (id, operator_id, name, secret_hash, expires_at) values ($1, $2, $3, $4, $5)`,
			id, operatorID, name, hashToken(secret), orNull(expires)); err != nil {
			return err
		}
		return operatorAudit(ctx, tx, by, "token.create", id, map[string]any{"name": name, "operator_id": operatorID})
	})
	if err != nil {
		return "", "", wrap(err, "create operator token")
	}
	return id, Secret(secret), nil
}

// RevokeOperatorToken ends an operator's token.
func (k *Keys) RevokeOperatorToken(ctx context.Context, by access.Actor, tokenID string) error {
	err := k.c.InPlatform(ctx, OpOperators, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update operator_tokens set revoked_at = $2 where id = $1 and revoked_at is null`, clean(tokenID), k.c.now())
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		return operatorAudit(ctx, tx, by, "token.revoke", tokenID, nil)
	})
	k.resolved.dropIf(func(r resolvedKey) bool { return r.id == tokenID })
	return wrap(err, "revoke operator token %s", cut(tokenID, 64))
}

// ResolveIngestKey says which tenant a bearer may push for. ErrUnauthorized for
// anything but a standing ingest key, ErrSuspended for one of a tenant that is.
func (k *Keys) ResolveIngestKey(ctx context.Context, bearer string) (IngestKey, error) {
	r, err := k.resolve(ctx, bearer, ingestPrefix)
	if err != nil {
		return IngestKey{}, fmt.Errorf("ingest key: %w", err)
	}
	return IngestKey{Tenant: r.principal.Tenant, ID: r.id, Name: r.principal.Name}, nil
}

// ResolveToken says who stands behind an API token, a tenant's or an
// operator's. ErrUnauthorized for anything else.
func (k *Keys) ResolveToken(ctx context.Context, bearer string) (access.Principal, error) {
	prefix := apiPrefix
	if strings.HasPrefix(bearer, operatorPrefix) {
		prefix = operatorPrefix
	}
	r, err := k.resolve(ctx, bearer, prefix)
	if err != nil {
		return access.Principal{}, fmt.Errorf("token: %w", err)
	}
	r.principal.Tenants = slices.Clone(r.principal.Tenants)
	return r.principal, nil
}

func (k *Keys) resolve(ctx context.Context, bearer, prefix string) (resolvedKey, error) {
	rest, ok := strings.CutPrefix(bearer, prefix)
	if !ok || len(rest) != keyIDLen+1+keySecretLen || rest[keyIDLen] != '_' || clean(rest) != rest {
		return resolvedKey{}, ErrUnauthorized
	}
	hash := hashToken(bearer)
	now := k.c.now()
	if r, ok := k.resolved.get([32]byte(hash)); ok && (r.expires.IsZero() || now.Before(r.expires)) {
		k.touch(r.id, now)
		return r, nil
	}
	r, err := k.look(ctx, rest[:keyIDLen], prefix, hash, now)
	if err != nil {
		return resolvedKey{}, err
	}
	k.resolved.put([32]byte(hash), r, now)
	k.touch(r.id, now)
	return r, nil
}

func (k *Keys) look(ctx context.Context, id, prefix string, hash []byte, now time.Time) (resolvedKey, error) {
	r := resolvedKey{id: id}
	p := &r.principal
	p.ID = id
	err := k.c.InPlatform(ctx, OpResolveKey, func(tx pgx.Tx) error {
		var stored []byte
		var expires *time.Time
		var suspended bool
		if prefix == operatorPrefix {
			var operatorID string
			p.Kind = access.KindOperatorToken
			err := tx.QueryRow(ctx, `select k.secret_hash, k.expires_at, k.name, o.id::text, o.email, o.role from operator_tokens k
				join operators o on o.id = k.operator_id
				where k.id = $1 and k.revoked_at is null and o.status = 'active'`, id).
				Scan(&stored, &expires, &p.Name, &operatorID, &p.Email, &p.Role)
			if err == nil {
				p.Tenants, err = k.c.Identity.tenantsOf(ctx, tx, operatorID, p.Role)
			}
			if err != nil {
				return err
			}
		} else {
			kind, want := access.KindToken, APIKind
			if prefix == ingestPrefix {
				kind, want = access.KindIngestKey, IngestKind
			}
			p.Kind = kind
			var slug string
			err := tx.QueryRow(ctx, `select k.secret_hash, k.expires_at, k.name, k.role, k.scopes, t.slug, t.status <> 'active' from api_keys k
				join tenants t on t.id = k.tenant_id
				where k.id = $1 and k.kind = $2 and k.revoked_at is null`, id, string(want)).
				Scan(&stored, &expires, &p.Name, &p.Role, &p.Scopes, &slug, &suspended)
			if err == nil {
				p.Tenant, err = tenant.Parse(slug)
			}
			if err != nil {
				return err
			}
			p.Tenants = []tenant.ID{p.Tenant}
		}
		r.expires = orZero(expires)
		if subtle.ConstantTimeCompare(stored, hash) != 1 || expires != nil && !now.Before(*expires) {
			return ErrUnauthorized
		}
		if suspended { // said to the one who holds the secret, and to nobody else
			return fmt.Errorf("tenant %s: %w", p.Tenant, ErrSuspended)
		}
		return nil
	})
	if ok, err := notFoundOK(err); err != nil {
		return resolvedKey{}, err
	} else if !ok {
		return resolvedKey{}, ErrUnauthorized
	}
	return r, nil
}

func (k *Keys) touch(id string, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.used[id]; ok || len(k.used) < maxUsed {
		k.used[id] = at
	}
}

func (k *Keys) flushLoop(ctx context.Context) error {
	t := time.NewTicker(10 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := k.flush(ctx); err != nil && ctx.Err() == nil {
				k.c.log.Warn("write last-used times of keys", "error", err)
			}
		}
	}
}

// flush writes when keys were last used; what fails is kept for the next time.
func (k *Keys) flush(ctx context.Context) error {
	k.mu.Lock()
	used := k.used
	k.used = make(map[string]time.Time)
	k.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	ids := make([]string, 0, len(used))
	for id := range used {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	at := make([]time.Time, len(ids))
	for i, id := range ids {
		at[i] = used[id]
	}
	err := k.c.InPlatform(ctx, OpTouchKeys, func(tx pgx.Tx) error {
		for _, table := range []string{"api_keys", "operator_tokens"} {
			if _, err := tx.Exec(ctx, `update `+table+` k set last_used_at = v.at from unnest($1::text[], $2::timestamptz[]) v (id, at)
				where k.id = v.id and (k.last_used_at is null or k.last_used_at < v.at)`, ids, at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		for id, t := range used {
			if _, ok := k.used[id]; !ok && len(k.used) < maxUsed {
				k.used[id] = t
			}
		}
		return fmt.Errorf("last-used times: %w", err)
	}
	return nil
}
