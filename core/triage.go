package core

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Status says where the work on an alert stands.
type Status string

// The statuses.
const (
	New        Status = "new"
	InProgress Status = "in_progress"
	Closed     Status = "closed"
)

// Verdict says what an alert turned out to be; empty while nobody knows.
type Verdict string

// The verdicts.
const (
	TruePositive  Verdict = "true_positive"
	Benign        Verdict = "benign"
	FalsePositive Verdict = "false_positive"
	Duplicate     Verdict = "duplicate"
)

// Triage is people's work on an alert.
type Triage struct {
	Status    Status
	Verdict   Verdict   // empty: none
	Assignee  string    // empty: nobody
	Version   int       // counts changes from 1, for If-Match
	UpdatedAt time.Time // zero while nobody has touched it
}

// TriageChange sets the fields that are not nil.
type TriageChange struct {
	Status   *Status
	Verdict  *Verdict // "" takes the verdict back
	Assignee *string  // "" takes the assignee away
	// Version is the one that was read; 0 changes whatever there is.
	Version int
}

// TriageEntry is one change of the past.
type TriageEntry struct {
	Version  int
	At       time.Time
	Actor    access.Actor
	From, To Triage // Status, Verdict and Assignee alone are set
}

func (c TriageChange) check() error {
	if c.Status != nil && !slices.Contains([]Status{New, InProgress, Closed}, *c.Status) {
		return invalid("status %q: want new, in_progress or closed", *c.Status)
	}
	if c.Verdict != nil && !slices.Contains([]Verdict{"", TruePositive, Benign, FalsePositive, Duplicate}, *c.Verdict) {
		return invalid("verdict %q: want true_positive, benign, false_positive or duplicate", *c.Verdict)
	}
	if c.Assignee != nil && (len(*c.Assignee) > 254 || clean(*c.Assignee) != *c.Assignee) {
		return invalid("assignee: want at most 254 bytes of text")
	}
	return nil
}

// SetTriage changes the triage of one alert and keeps what it was. ErrConflict
// when Version is no longer the current one, ErrNotFound when the tenant has
// no such alert. A change that changes nothing is none.
func (a *Alerts) SetTriage(ctx context.Context, id tenant.ID, by access.Actor, alertID string, ch TriageChange) (Triage, error) {
	if err := ch.check(); err != nil {
		return Triage{}, err
	}
	var to Triage
	err := a.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var from Triage
		var touched *time.Time
		if err := tx.QueryRow(ctx, `select status, coalesce(verdict, ''), coalesce(assignee, ''), triage_version, triaged_at
			from alerts where id = $1 for update`, cut(alertID, 256)).
			Scan(&from.Status, &from.Verdict, &from.Assignee, &from.Version, &touched); err != nil {
			return err
		}
		from.UpdatedAt = orZero(touched)
		to = from
		if ch.Version != 0 && ch.Version != from.Version {
			return ErrConflict
		}
		if ch.Status != nil {
			to.Status = *ch.Status
		}
		if ch.Verdict != nil {
			to.Verdict = *ch.Verdict
		}
		if ch.Assignee != nil {
			to.Assignee = *ch.Assignee
		}
		if to == from {
			return nil
		}
		to.Version++
		if err := tx.QueryRow(ctx, `update alerts set status = $2, verdict = nullif($3, ''), assignee = nullif($4, ''),
			triage_version = $5, triaged_at = now() where id = $1 returning triaged_at`,
			alertID, string(to.Status), string(to.Verdict), to.Assignee, to.Version).Scan(&to.UpdatedAt); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into alert_history (alert_id, version, actor_kind, actor_id, actor_name,
			from_status, to_status, from_verdict, to_verdict, from_assignee, to_assignee)
			values ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''), nullif($9, ''), nullif($10, ''), nullif($11, ''))`,
			alertID, to.Version, string(by.Kind), clean(by.ID), clean(by.Name), string(from.Status), string(to.Status),
			string(from.Verdict), string(to.Verdict), from.Assignee, to.Assignee); err != nil {
			return err
		}
		return audit(ctx, tx, by, "alert.triage", alertID,
			map[string]any{"status": to.Status, "verdict": to.Verdict, "assignee": to.Assignee})
	})
	return to, wrap(err, "triage of alert %s", cut(alertID, 128))
}

// History reads the changes of one alert's triage, oldest first.
func (a *Alerts) History(ctx context.Context, id tenant.ID, alertID string) (out []TriageEntry, err error) {
	whose, err := a.c.owners(ctx, []tenant.ID{id})
	if err != nil {
		return nil, wrap(err, "history of alert %s", cut(alertID, 128))
	}
	err = a.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, version, at, actor_kind, actor_id, actor_name, from_status, to_status,
			coalesce(from_verdict, ''), coalesce(to_verdict, ''), coalesce(from_assignee, ''), coalesce(to_assignee, '')
			from alert_history where alert_id = $1 order by version`, cut(alertID, 256))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (TriageEntry, error) {
			var e TriageEntry
			var owner string
			err := row.Scan(&owner, &e.Version, &e.At, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.From.Status, &e.To.Status,
				&e.From.Verdict, &e.To.Verdict, &e.From.Assignee, &e.To.Assignee)
			if err == nil {
				_, err = whose.of(owner)
			}
			return e, err
		})
		return err
	})
	if err != nil {
		out = nil
	}
	return out, wrap(err, "history of alert %s", cut(alertID, 128))
}
