package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// Grace is how long a deleted tenant can be restored unless the caller says
// otherwise.
const (
	DefaultGrace = 30 * 24 * time.Hour
	MaxGrace     = 365 * 24 * time.Hour
)

// Settings reads a tenant's settings and their version.
func (t *Tenants) Settings(ctx context.Context, id tenant.ID) (s Settings, version int, err error) {
	row, err := t.Get(ctx, id)
	return row.Settings, row.Version, err
}

// UpdateSettings applies a patch to the settings as they stand. version is the
// one that was read, 0 to change whatever there is; ErrConflict when it is no
// longer, ErrInvalid with what to do when the result would not be valid.
// Whoever listens to Changes hears of it, in other processes within
// Config.Poll.
func (t *Tenants) UpdateSettings(ctx context.Context, by access.Actor, id tenant.ID, patch SettingsPatch, version int) (Tenant, error) {
	for try := 0; ; try++ {
		row, err := t.Get(ctx, id)
		if err != nil {
			return Tenant{}, err
		}
		if version != 0 && row.Version != version {
			return Tenant{}, fmt.Errorf("settings of %s: %w", id, ErrConflict)
		}
		s, err := row.Settings.Apply(patch)
		if err != nil {
			return Tenant{}, invalid("%s", err)
		}
		for _, h := range s.LegalHolds {
			if _, err := query.Parse(h.Query); err != nil {
				return Tenant{}, invalid("legal_holds: the query of %s: %s", h.Name, err)
			}
		}
		doc, err := json.Marshal(storedSettings{s.Calendar, s.Quotas, s.Region, s.LegalHold, s.LegalHolds, s.Networks})
		if err != nil {
			return Tenant{}, err
		}
		asked, err := json.Marshal(patch)
		if err != nil {
			return Tenant{}, err
		}
		// The patch was applied to what was read: it is written over that alone.
		out, err := t.update(ctx, by, id, row.Version, change{action: "tenant.settings",
			set:    `alert_budget = $3, time_zone = $4, retention_days = $5, settings = $6`,
			args:   []any{s.AlertBudget, s.TimeZone, s.RetentionDays, string(doc)},
			detail: map[string]any{"patch": json.RawMessage(asked)}})
		if errors.Is(err, ErrConflict) && version == 0 && try < 10 {
			continue
		}
		return out, err
	}
}

func checkReason(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	if utf8.RuneCountInString(reason) > 500 || !utf8.ValidString(reason) || strings.ContainsRune(reason, 0) {
		return "", invalid("a reason has at most 500 characters")
	}
	return reason, nil
}

// Suspend lets nothing in any more: no events, no writes, no keys, no
// sign-ins; the platform's administrators can still read. It is felt at once
// in this process and within 5 s in others.
func (t *Tenants) Suspend(ctx context.Context, by access.Actor, id tenant.ID, reason string) (Tenant, error) {
	reason, err := checkReason(reason)
	if err != nil {
		return Tenant{}, err
	}
	return t.leave(ctx, by, id, change{action: "tenant.suspend", set: `status = 'suspended', state_reason = $3`, args: []any{reason},
		when: `status <> 'deleting'`, detail: map[string]any{"reason": reason}})
}

// Resume undoes Suspend.
func (t *Tenants) Resume(ctx context.Context, by access.Actor, id tenant.ID) (Tenant, error) {
	return t.leave(ctx, by, id, change{action: "tenant.resume", set: `status = 'active', state_reason = ''`, when: `status <> 'deleting'`})
}

// Delete suspends a tenant and sets the time from which it may be purged.
// Until then Restore brings it back whole.
func (t *Tenants) Delete(ctx context.Context, by access.Actor, id tenant.ID, grace time.Duration, reason string) (Tenant, error) {
	reason, err := checkReason(reason)
	if err != nil {
		return Tenant{}, err
	}
	if grace < 0 || grace > MaxGrace {
		return Tenant{}, invalid("a grace period of %s: want 0 to 365 days", grace)
	}
	after := t.c.now().Add(grace).UTC().Truncate(time.Microsecond)
	return t.leave(ctx, by, id, change{action: "tenant.delete", set: `status = 'deleting', state_reason = $3, delete_after = $4`, args: []any{reason, after},
		when: `status <> 'deleting'`, detail: map[string]any{"reason": reason, "delete_after": after}})
}

// Restore brings a tenant back that was deleted and not yet purged.
func (t *Tenants) Restore(ctx context.Context, by access.Actor, id tenant.ID) (Tenant, error) {
	return t.leave(ctx, by, id, change{action: "tenant.restore", set: `status = 'active', state_reason = '', delete_after = null`,
		when: `status = 'deleting' and not exists (select from purged_tenants p where p.slug = tenants.slug)`})
}

// leave changes a state. A state from which this change is not possible is
// said as bad input, not as a conflict: reading again would not help.
func (t *Tenants) leave(ctx context.Context, by access.Actor, id tenant.ID, ch change) (Tenant, error) {
	out, err := t.update(ctx, by, id, 0, ch)
	if !errors.Is(err, ErrConflict) {
		return out, err
	}
	if ch.action == "tenant.restore" {
		return out, invalid("tenant %s is not waiting to be deleted, or is being purged already", id)
	}
	return out, invalid("tenant %s is waiting to be deleted: restore it first", id)
}

// TenantChange says that a tenant's row (name, state, settings, placement) has
// reached Version, or is gone when that is 0.
type TenantChange struct {
	Tenant  tenant.ID
	Version int
}

// Changes announces changes of any tenant until ctx is done, when the channel
// is closed: a hint to go and read, since of several changes of one tenant
// only the last may be seen. Those of other processes are seen while Run runs,
// within Config.Poll.
func (t *Tenants) Changes(ctx context.Context) <-chan TenantChange {
	out := make(chan TenantChange)
	s := t.c.changes.join()
	go func() { // owned by ctx; ends with it and closes out
		defer close(out)
		defer t.c.changes.leave(s)
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			}
			for _, ch := range t.c.changes.take(s) {
				select {
				case <-ctx.Done():
					return
				case out <- ch:
				}
			}
		}
	}()
	return out
}

// watchTenants looks for changes made by other processes. since is of the
// server's clock.
func (c *Core) watchTenants(ctx context.Context, since time.Time) (at time.Time, err error) {
	var seen []TenantChange
	err = c.InPlatform(ctx, OpTenants, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `select clock_timestamp()`).Scan(&at); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select slug, version from tenants where updated_at >= $1`, since)
		if err != nil {
			return err
		}
		var slug string
		var version int
		_, err = pgx.ForEachRow(rows, []any{&slug, &version}, func() error {
			id, err := tenant.Parse(slug)
			seen = append(seen, TenantChange{id, version})
			return err
		})
		return err
	})
	if err != nil {
		return at, err
	}
	for _, ch := range seen {
		if c.changes.announce(ch.Tenant, ch.Version) {
			c.forget(ch.Tenant)
		}
	}
	return at, nil
}
