package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// TenantSettings are what a tenant can be set to.
type TenantSettings struct {
	AlertBudget   int    // alerts per UTC day, 0..10000; default 5
	TimeZone      string // IANA name; default UTC
	RetentionDays int    // 1..2557; default 365
}

// Tenant is one tenant as it stands.
type Tenant struct {
	ID        tenant.ID
	Name      string
	Suspended bool
	Placement string // pooled or dedicated
	Settings  TenantSettings
	Version   int // counts changes, for If-Match
	CreatedAt time.Time
}

// Tenants is the list of tenants.
type Tenants struct{ c *Core }

const tenantColumns = `slug, name, status = 'suspended', placement, alert_budget, time_zone, retention_days, version, created_at`

func scanTenant(row pgx.CollectableRow) (Tenant, error) {
	var t Tenant
	var slug string
	err := row.Scan(&slug, &t.Name, &t.Suspended, &t.Placement, &t.Settings.AlertBudget, &t.Settings.TimeZone,
		&t.Settings.RetentionDays, &t.Version, &t.CreatedAt)
	if err != nil {
		return Tenant{}, err
	}
	t.ID, err = tenant.Parse(slug)
	return t, err
}

func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == utf8.RuneError }) {
		return "", invalid("a name has 1 to 200 characters and no control characters")
	}
	return name, nil
}

// checkSettings validates what a caller asks for.
func checkSettings(s TenantSettings) error {
	if s.AlertBudget < 0 || s.AlertBudget > 10_000 {
		return invalid("alert budget %d: want 0 to 10000 a day", s.AlertBudget)
	}
	if s.RetentionDays < 1 || s.RetentionDays > 2557 {
		return invalid("retention of %d days: want 1 to 2557", s.RetentionDays)
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "" || s.TimeZone == "Local" {
		return invalid("time zone %q: want an IANA name such as Europe/Berlin", s.TimeZone)
	}
	return nil
}

// Create adds a tenant; an empty name is its slug. ErrExists when the slug is
// taken.
func (t *Tenants) Create(ctx context.Context, by access.Actor, id tenant.ID, name string) (Tenant, error) {
	if id.IsZero() {
		return Tenant{}, tenant.ErrZero
	}
	if _, err := tenant.Parse(id.String()); err != nil { // an offline id may be anything
		return Tenant{}, invalid("%s", err)
	}
	if name == "" {
		name = id.String()
	}
	name, err := checkName(name)
	if err != nil {
		return Tenant{}, err
	}
	uid, err := uuid.NewV7()
	if err != nil {
		return Tenant{}, err
	}
	var out Tenant
	err = t.c.InPlatform(ctx, OpTenants, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `insert into tenants (id, slug, name) values ($1, $2, $3) returning `+tenantColumns, uid.String(), id.String(), name)
		if err != nil {
			return err
		}
		if out, err = pgx.CollectExactlyOneRow(rows, scanTenant); err != nil {
			return err
		}
		if err := auditOf(ctx, tx, id, by, "tenant.create", id.String(), nil); err != nil {
			return err
		}
		return operatorAudit(ctx, tx, by, "tenant.create", id.String(), nil)
	})
	t.c.forget(id)
	return out, wrap(err, "create tenant %s", id)
}

// Ensure is Create that takes an existing tenant as it is; created tells which.
func (t *Tenants) Ensure(ctx context.Context, by access.Actor, id tenant.ID, name string) (out Tenant, created bool, err error) {
	// Asked first, because a refused insert is an error in the database's log.
	if out, err = t.Get(ctx, id); !errors.Is(err, ErrNotFound) {
		return out, false, err
	}
	out, err = t.Create(ctx, by, id, name)
	if !errors.Is(err, ErrExists) {
		return out, err == nil, err
	}
	out, err = t.Get(ctx, id) // somebody was quicker
	return out, false, err
}

// Get reads one tenant.
func (t *Tenants) Get(ctx context.Context, id tenant.ID) (Tenant, error) {
	if id.IsZero() {
		return Tenant{}, tenant.ErrZero
	}
	list, err := t.List(ctx, []tenant.ID{id})
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Tenant{}, fmt.Errorf("tenant %s: %w", id, err)
	}
	return list[0], nil
}

// List reads those of the given tenants that exist, by slug.
func (t *Tenants) List(ctx context.Context, ids []tenant.ID) ([]Tenant, error) {
	slugs := make([]string, len(ids))
	for i, id := range ids {
		if id.IsZero() {
			return nil, tenant.ErrZero
		}
		slugs[i] = id.String()
	}
	return t.query(ctx, `select `+tenantColumns+` from tenants where slug = any($1) order by slug`, slugs)
}

// All reads every tenant by slug: for the program's own loops, not for a
// request (there the principal's set decides).
func (t *Tenants) All(ctx context.Context) ([]Tenant, error) {
	return t.query(ctx, `select `+tenantColumns+` from tenants order by slug`)
}

func (t *Tenants) query(ctx context.Context, sql string, args ...any) (out []Tenant, err error) {
	err = t.c.InPlatform(ctx, OpTenants, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, scanTenant)
		return err
	})
	return out, wrap(err, "list tenants")
}

// Rename changes the display name; the slug never changes. version is the one
// that was read, 0 to change whatever there is.
func (t *Tenants) Rename(ctx context.Context, by access.Actor, id tenant.ID, name string, version int) (Tenant, error) {
	name, err := checkName(name)
	if err != nil {
		return Tenant{}, err
	}
	return t.update(ctx, by, id, version, "tenant.rename", `name = $3`, name)
}

// SetSettings replaces the settings.
func (t *Tenants) SetSettings(ctx context.Context, by access.Actor, id tenant.ID, s TenantSettings, version int) (Tenant, error) {
	if err := checkSettings(s); err != nil {
		return Tenant{}, err
	}
	return t.update(ctx, by, id, version, "tenant.settings", `alert_budget = $3, time_zone = $4, retention_days = $5`,
		s.AlertBudget, s.TimeZone, s.RetentionDays)
}

// Suspend lets nothing in any more: no writes, no keys, no sign-ins.
func (t *Tenants) Suspend(ctx context.Context, by access.Actor, id tenant.ID) (Tenant, error) {
	return t.update(ctx, by, id, 0, "tenant.suspend", `status = 'suspended'`)
}

// Resume undoes Suspend.
func (t *Tenants) Resume(ctx context.Context, by access.Actor, id tenant.ID) (Tenant, error) {
	return t.update(ctx, by, id, 0, "tenant.resume", `status = 'active'`)
}

func (t *Tenants) update(ctx context.Context, by access.Actor, id tenant.ID, version int, action, set string, args ...any) (Tenant, error) {
	if id.IsZero() {
		return Tenant{}, tenant.ErrZero
	}
	var out Tenant
	err := t.c.InPlatform(ctx, OpTenants, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `update tenants set `+set+`, version = version + 1, updated_at = now()
			where slug = $1 and ($2 = 0 or version = $2) returning `+tenantColumns, append([]any{id.String(), version}, args...)...)
		if err != nil {
			return err
		}
		out, err = pgx.CollectExactlyOneRow(rows, scanTenant)
		if errors.Is(err, pgx.ErrNoRows) && version != 0 {
			var there bool
			if err := tx.QueryRow(ctx, `select exists (select from tenants where slug = $1)`, id.String()).Scan(&there); err != nil {
				return err
			}
			if there {
				return ErrConflict
			}
		}
		if err != nil {
			return err
		}
		if err := auditOf(ctx, tx, id, by, action, id.String(), nil); err != nil {
			return err
		}
		return operatorAudit(ctx, tx, by, action, id.String(), nil)
	})
	t.c.forget(id)
	return out, wrap(err, "%s %s", action, id)
}

// forget drops what is remembered of a tenant that has changed: its row, its
// keys, and the sets of tenants that operators see.
func (c *Core) forget(id tenant.ID) {
	c.tenants.drop(id.String())
	c.Keys.resolved.dropIf(func(r resolvedKey) bool {
		return r.principal.Tenant == id || r.principal.Kind == access.KindOperatorToken
	})
	c.Identity.sets.dropIf(func([]tenant.ID) bool { return true })
}
