package core

import (
	"context"
	"encoding/json"
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

// Settings are what a tenant can be set to.
type Settings = tenant.Settings

// SettingsPatch changes those settings that are not nil.
type SettingsPatch = tenant.SettingsPatch

// TenantState is where a tenant stands in its life.
type TenantState string

// The states.
const (
	TenantActive    TenantState = "active"
	TenantSuspended TenantState = "suspended" // nothing in, read by the platform's administrators only
	TenantDeleting  TenantState = "deleting"  // as suspended, and purged at DeleteAfter
)

// Tenant is one tenant as it stands.
type Tenant struct {
	ID          tenant.ID
	Name        string
	State       TenantState
	Reason      string    // of the state, for people; may be empty
	DeleteAfter time.Time // when it is purged; zero unless deleting
	Placement   string    // pooled or dedicated
	Settings    Settings
	Version     int // counts changes, for If-Match
	CreatedAt   time.Time
}

// Suspended reports whether the tenant takes nothing in.
func (t Tenant) Suspended() bool { return t.State != TenantActive }

// Tenants is the list of tenants.
type Tenants struct{ c *Core }

const tenantColumns = `slug, name, status, state_reason, delete_after, placement, alert_budget, time_zone, retention_days, settings, version, created_at`

// storedSettings are the settings without a column of their own.
type storedSettings struct {
	Calendar tenant.Calendar    `json:"calendar"`
	Quotas   tenant.Quotas      `json:"quotas"`
	Region   string             `json:"region"`
	Hold     bool               `json:"legal_hold"`
	Holds    []tenant.LegalHold `json:"legal_holds"`
	Networks []tenant.Network   `json:"networks"`
}

func scanTenant(row pgx.CollectableRow) (Tenant, error) {
	t := Tenant{Settings: tenant.DefaultSettings()}
	var slug string
	var until *time.Time
	var doc []byte
	err := row.Scan(&slug, &t.Name, &t.State, &t.Reason, &until, &t.Placement, &t.Settings.AlertBudget, &t.Settings.TimeZone,
		&t.Settings.RetentionDays, &doc, &t.Version, &t.CreatedAt)
	if err != nil {
		return Tenant{}, err
	}
	if until != nil {
		t.DeleteAfter = *until
	}
	rest := storedSettings{t.Settings.Calendar, t.Settings.Quotas, t.Settings.Region, t.Settings.LegalHold, t.Settings.LegalHolds, t.Settings.Networks}
	if err := json.Unmarshal(doc, &rest); err != nil {
		return Tenant{}, fmt.Errorf("settings of %s: %w", slug, err)
	}
	t.Settings.Calendar, t.Settings.Quotas, t.Settings.Region = rest.Calendar, rest.Quotas, rest.Region
	t.Settings.LegalHold, t.Settings.LegalHolds, t.Settings.Networks = rest.Hold, rest.Holds, rest.Networks
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
		var gone bool // a slug is for ever: what is old and bears it must not become somebody else's
		if err := tx.QueryRow(ctx, `select exists (select from purged_tenants where slug = $1)`, id.String()).Scan(&gone); err != nil {
			return err
		}
		if gone {
			return fmt.Errorf("%w: it belonged to a tenant that was deleted, and ids are never given twice", ErrExists)
		}
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
	return t.update(ctx, by, id, version, change{action: "tenant.rename", set: `name = $3`, args: []any{name}, detail: map[string]any{"name": name}})
}

// change is one change of a tenant's row.
type change struct {
	action string         // as the trail says it
	set    string         // of the update; its parameters begin at $3
	args   []any          // their values
	when   string         // condition on the row besides; empty: none
	detail map[string]any // for the trail
}

func (t *Tenants) update(ctx context.Context, by access.Actor, id tenant.ID, version int, ch change) (out Tenant, err error) {
	if id.IsZero() {
		return Tenant{}, tenant.ErrZero
	}
	if ch.when == "" {
		ch.when = "true"
	}
	err = t.c.InPlatform(ctx, OpTenants, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `update tenants set `+ch.set+`, version = version + 1, updated_at = clock_timestamp()
			where slug = $1 and ($2 = 0 or version = $2) and (`+ch.when+`) returning `+tenantColumns, append([]any{id.String(), version}, ch.args...)...)
		if err != nil {
			return err
		}
		out, err = pgx.CollectExactlyOneRow(rows, scanTenant)
		if errors.Is(err, pgx.ErrNoRows) && (version != 0 || ch.when != "true") {
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
		if err := auditOf(ctx, tx, id, by, ch.action, id.String(), ch.detail); err != nil {
			return err
		}
		return operatorAudit(ctx, tx, by, ch.action, id.String(), ch.detail)
	})
	t.c.forget(id)
	if err == nil {
		t.c.changes.announce(id, out.Version)
	}
	return out, wrap(err, "%s %s", ch.action, id)
}

// forget drops what is remembered of a tenant that has changed: its row, its
// keys, and the sets of tenants that operators see.
func (c *Core) forget(id tenant.ID) {
	c.Usage.allowed.drop(id)
	c.tenants.drop(id.String())
	c.Keys.resolved.dropIf(func(r resolvedKey) bool {
		return r.principal.Tenant == id || r.principal.Kind == access.KindOperatorToken
	})
	c.Identity.sets.dropIf(func([]tenant.ID) bool { return true })
}
