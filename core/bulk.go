package core

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// MaxBulk is how many alerts one bulk action touches at most.
const MaxBulk = 500

// UndoWindow is how long a change can be taken back.
const UndoWindow = 24 * time.Hour

// BulkResult is what became of one alert of a bulk action.
type BulkResult struct {
	ID      string
	Version int   // after it; 0 when there is no such alert
	Changed bool  // false: it was so already, or Err
	Err     error // ErrNotFound or ErrConflict
}

// Bulk is one bulk action.
type Bulk struct {
	Batch   string // what Undo takes back; empty when nothing changed
	Results []BulkResult
}

// SetTriageBulk applies one change to alerts of one tenant: those named, or,
// when ids is nil, those of the filter, oldest first. The alerts that can be
// changed are changed together in one transaction; what could not is in its
// result. ErrInvalid when there are more than MaxBulk.
func (a *Alerts) SetTriageBulk(ctx context.Context, id tenant.ID, by access.Actor, ids []string, f AlertFilter, ch TriageChange) (out Bulk, err error) {
	if err := ch.check(); err != nil {
		return Bulk{}, err
	}
	if len(ids) > MaxBulk {
		return Bulk{}, invalid("%d alerts: at most %d at a time", len(ids), MaxBulk)
	}
	batch, err := uuid.NewV7()
	if err != nil {
		return Bulk{}, err
	}
	ch.batch, ch.Version = batch.String(), 0
	err = a.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		out = Bulk{}
		if ids == nil {
			where, args := f.where()
			rows, err := tx.Query(ctx, `select id from alerts where `+where+` order by id limit 501`, args...)
			if err != nil {
				return err
			}
			if ids, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
				return err
			}
			if len(ids) > MaxBulk {
				return invalid("more than %d alerts match: narrow the filter", MaxBulk)
			}
		}
		// One order for all, so that two bulk actions never wait for each other.
		todo := slices.Compact(slices.Sorted(slices.Values(ids)))
		for _, alertID := range todo {
			r := BulkResult{ID: alertID}
			from, err := a.lockTriage(ctx, tx, alertID)
			switch {
			case errors.Is(err, pgx.ErrNoRows):
				r.Err = ErrNotFound
			case err != nil:
				return err
			default:
				to, err := a.setTriage(ctx, tx, by, alertID, from, ch)
				if err != nil {
					return err
				}
				r.Version, r.Changed = to.Version, to.Version != from.Version
				if r.Changed {
					out.Batch = ch.batch
				}
			}
			out.Results = append(out.Results, r)
		}
		return nil
	})
	if err != nil {
		return Bulk{}, wrap(err, "change %d alerts of %s", len(ids), id)
	}
	return out, nil
}

// takeBack is the change that undoes a history entry, or ErrConflict when what
// it set has been changed since.
func takeBack(now Triage, e TriageEntry) (TriageChange, error) {
	ch := TriageChange{undoes: e.Version}
	moved := false
	if e.From.Status != e.To.Status {
		moved = moved || now.Status != e.To.Status
		ch.Status = &e.From.Status
	}
	if e.From.Verdict != e.To.Verdict {
		moved = moved || now.Verdict != e.To.Verdict
		ch.Verdict = &e.From.Verdict
	}
	if e.From.Assignee != e.To.Assignee {
		moved = moved || now.Assignee != e.To.Assignee
		ch.Assignee = &e.From.Assignee
	}
	if e.From.Severity != e.To.Severity {
		moved = moved || now.Severity != e.To.Severity
		ch.Severity = &e.From.Severity
	}
	if !slices.Equal(e.From.Tags, e.To.Tags) {
		moved = moved || !slices.Equal(now.Tags, e.To.Tags)
		ch.Tags = &e.From.Tags
	}
	if !slices.Equal(e.From.Links, e.To.Links) {
		moved = moved || !slices.Equal(now.Links, e.To.Links)
		ch.Links = &e.From.Links
	}
	if moved {
		return ch, ErrConflict
	}
	return ch, nil
}

// Undo takes one change back: that of the version given, or the latest one
// when it is 0. What else was changed since stays. ErrConflict when what the
// change set has been changed since, or when it is older than UndoWindow.
func (a *Alerts) Undo(ctx context.Context, id tenant.ID, by access.Actor, alertID string, version int) (Triage, error) {
	h, err := a.History(ctx, id, alertID)
	if err != nil {
		return Triage{}, err
	}
	i := len(h) - 1
	if version != 0 {
		i = slices.IndexFunc(h, func(e TriageEntry) bool { return e.Version == version })
	}
	if i < 0 {
		if _, err := a.Get(ctx, []tenant.ID{id}, alertID); err != nil {
			return Triage{}, err
		}
		return Triage{}, invalid("there is no such change to take back")
	}
	var to Triage
	err = a.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		to, err = a.undo(ctx, tx, by, alertID, h[i], "")
		return err
	})
	return to, wrap(err, "undo at alert %s", cut(alertID, 128))
}

func (a *Alerts) undo(ctx context.Context, tx pgx.Tx, by access.Actor, alertID string, e TriageEntry, batch string) (Triage, error) {
	now, err := a.lockTriage(ctx, tx, alertID)
	if err != nil {
		return now, err
	}
	if a.c.now().Sub(e.At) > UndoWindow {
		return now, ErrConflict
	}
	ch, err := takeBack(now, e)
	if err != nil {
		return now, err
	}
	ch.batch = batch
	return a.setTriage(ctx, tx, by, alertID, now, ch)
}

// UndoBulk takes a bulk action back, alert by alert; one that has been changed
// since keeps its change and says ErrConflict. ErrNotFound when the tenant has
// no such action.
func (a *Alerts) UndoBulk(ctx context.Context, id tenant.ID, by access.Actor, batch string) (out Bulk, err error) {
	if _, err := uuid.Parse(batch); err != nil {
		return Bulk{}, wrap(ErrNotFound, "bulk action")
	}
	var ids []string
	err = a.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select alert_id from alert_history where batch = $1 order by alert_id`, batch)
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err == nil && len(ids) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Bulk{}, wrap(err, "bulk action %s of %s", batch, id)
	}
	fresh, err := uuid.NewV7()
	if err != nil {
		return Bulk{}, err
	}
	entries := make([]TriageEntry, len(ids))
	for n, alertID := range ids {
		h, err := a.History(ctx, id, alertID)
		if err != nil {
			return Bulk{}, err
		}
		entries[n] = h[slices.IndexFunc(h, func(e TriageEntry) bool { return e.Batch == batch })]
	}
	err = a.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		out = Bulk{}
		for n, alertID := range ids {
			r := BulkResult{ID: alertID}
			to, err := a.undo(ctx, tx, by, alertID, entries[n], fresh.String())
			switch {
			case errors.Is(err, ErrConflict):
				r.Err = ErrConflict
			case err != nil:
				return err
			default:
				r.Changed, out.Batch = true, fresh.String()
			}
			r.Version = to.Version
			out.Results = append(out.Results, r)
		}
		return nil
	})
	if err != nil {
		return Bulk{}, wrap(err, "undo bulk action %s of %s", batch, id)
	}
	return out, nil
}
