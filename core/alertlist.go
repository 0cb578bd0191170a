package core

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// StoredAlert is the latest revision of an alert with its triage.
type StoredAlert struct {
	alert.Alert
	Triage   Triage
	StoredAt time.Time
	raised   time.Time // as the database rounds it, for the cursor
}

// AlertFilter narrows a list; empty fields narrow nothing.
type AlertFilter struct {
	Severity   []alert.Severity
	Status     []Status
	EntityType alert.EntityType
	EntityID   string
	Text       string    // in title, reason or entity, any case
	From, To   time.Time // raised in [From, To), event time
	Retracted  bool      // include retracted ones
}

// AlertPosition is where a page ended; the next begins after it.
type AlertPosition struct {
	RaisedAt time.Time
	ID       string
	Tenant   tenant.ID
}

// AlertPage is a page of alerts, newest raised first.
type AlertPage struct {
	Items []StoredAlert
	Next  *AlertPosition // nil on the last page
	Total int64          // of all pages; counts no further than 100,000
}

// List reads alerts of the tenants in scope.
func (a *Alerts) List(ctx context.Context, scope []tenant.ID, f AlertFilter, after *AlertPosition, limit int) (AlertPage, error) {
	var page AlertPage
	if len(scope) == 0 {
		return page, nil
	}
	limit = clampLimit(limit)
	where, args := f.where()
	sql := `select ` + alertColumns + ` from alerts where ` + where
	pageArgs := args
	if after != nil {
		row, err := a.c.resolve(ctx, after.Tenant)
		if err != nil {
			return page, fmt.Errorf("list alerts: cursor: %w", err)
		}
		n := len(args)
		sql += fmt.Sprintf(` and (raised_at, id, tenant_id) < ($%d, $%d, $%d::uuid)`, n+1, n+2, n+3)
		pageArgs = append(args[:n:n], after.RaisedAt, clean(after.ID), row.id)
	}
	sql += fmt.Sprintf(` order by raised_at desc, id desc, tenant_id desc limit %d`, limit+1)
	err := a.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, pageArgs...)
		if err != nil {
			return err
		}
		if page.Items, err = pgx.CollectRows(rows, scanAlert); err != nil {
			return err
		}
		for _, it := range page.Items {
			if !slices.Contains(scope, it.Tenant) {
				return errForeignRow
			}
		}
		return tx.QueryRow(ctx, `select count(*) from (select from alerts where `+where+` limit 100000) n`, args...).Scan(&page.Total)
	})
	if err != nil {
		return AlertPage{}, wrap(err, "list alerts")
	}
	if len(page.Items) > limit {
		page.Items = page.Items[:limit]
		last := page.Items[limit-1]
		page.Next = &AlertPosition{RaisedAt: last.raised, ID: last.ID, Tenant: last.Tenant}
	}
	return page, nil
}

// where writes the filter as a condition over bound parameters.
func (f AlertFilter) where() (string, []any) {
	var cond []string
	var args []any
	add := func(c string, v any) {
		args = append(args, v)
		cond = append(cond, strings.ReplaceAll(c, "$", fmt.Sprintf("$%d", len(args))))
	}
	if !f.Retracted {
		cond = append(cond, `state <> 'retracted'`)
	}
	if len(f.Severity) > 0 {
		add(`coalesce(severity_override, severity) = any($)`, texts(f.Severity))
	}
	if len(f.Status) > 0 {
		add(`status = any($)`, texts(f.Status))
	}
	if f.EntityType != "" {
		add(`entity_type = $`, clean(string(f.EntityType)))
	}
	if f.EntityID != "" {
		add(`entity_id = $`, cut(f.EntityID, 2048))
	}
	if f.Text != "" {
		add(`position(lower($) in lower(title || E'\n' || entity_id || E'\n' || reason)) > 0`, cut(f.Text, 1024))
	}
	if !f.From.IsZero() {
		add(`raised_at >= $`, f.From)
	}
	if !f.To.IsZero() {
		add(`raised_at < $`, f.To)
	}
	if len(cond) == 0 {
		return "true", nil
	}
	return strings.Join(cond, " and "), args
}

func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = clean(string(v))
	}
	return out
}

const alertColumns = `document, stored_at, raised_at, ` + triageColumns

func scanAlert(row pgx.CollectableRow) (StoredAlert, error) {
	var s StoredAlert
	var doc []byte
	into, done := scanTriage(&s.Triage)
	if err := row.Scan(append([]any{&doc, &s.StoredAt, &s.raised}, into...)...); err != nil {
		return s, err
	}
	if err := json.Unmarshal(doc, &s.Alert); err != nil {
		return s, fmt.Errorf("stored alert: %w", err)
	}
	return s, done()
}

// Get reads one alert of the tenants in scope; ErrNotFound when none of them
// has it.
func (a *Alerts) Get(ctx context.Context, scope []tenant.ID, alertID string) (s StoredAlert, err error) {
	if len(scope) == 0 {
		return s, fmt.Errorf("alert %s: %w", cut(alertID, 128), ErrNotFound)
	}
	err = a.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select `+alertColumns+` from alerts where id = $1 order by tenant_id limit 1`, cut(alertID, 256))
		if err != nil {
			return err
		}
		s, err = pgx.CollectExactlyOneRow(rows, scanAlert)
		if err == nil && !slices.Contains(scope, s.Tenant) {
			s, err = StoredAlert{}, errForeignRow
		}
		return err
	})
	return s, wrap(err, "alert %s", cut(alertID, 128))
}

// AlertCounts sums up the alerts that stand (not retracted).
type AlertCounts struct {
	Open     map[alert.Severity]int64 // status new or in_progress
	ByStatus map[Status]int64
}

// Counts sums up the alerts of the tenants in scope.
func (a *Alerts) Counts(ctx context.Context, scope []tenant.ID) (AlertCounts, error) {
	n := AlertCounts{Open: make(map[alert.Severity]int64), ByStatus: make(map[Status]int64)}
	if len(scope) == 0 {
		return n, nil
	}
	whose, err := a.c.owners(ctx, scope)
	if err != nil {
		return n, err
	}
	err = a.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, coalesce(severity_override, severity), status, count(*) from alerts where state <> 'retracted' group by 1, 2, 3`)
		if err != nil {
			return err
		}
		var tid string
		var sev alert.Severity
		var st Status
		var c int64
		_, err = pgx.ForEachRow(rows, []any{&tid, &sev, &st, &c}, func() error {
			if _, err := whose.of(tid); err != nil {
				return err
			}
			n.ByStatus[st] += c
			if st != Closed {
				n.Open[sev] += c
			}
			return nil
		})
		return err
	})
	if err != nil {
		return AlertCounts{}, wrap(err, "count alerts")
	}
	return n, nil
}

// RaisedIn counts, by tenant, the alerts that stand and were raised in
// [from, to) of event time: what was used of the budget.
func (a *Alerts) RaisedIn(ctx context.Context, scope []tenant.ID, from, to time.Time) (map[tenant.ID]int64, error) {
	out := make(map[tenant.ID]int64, len(scope))
	if len(scope) == 0 {
		return out, nil
	}
	whose, err := a.c.owners(ctx, scope)
	if err != nil {
		return nil, err
	}
	err = a.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, count(*) from alerts
			where state <> 'retracted' and raised_at >= $1 and raised_at < $2 group by 1`, from, to)
		if err != nil {
			return err
		}
		var tid string
		var c int64
		_, err = pgx.ForEachRow(rows, []any{&tid, &c}, func() error {
			id, err := whose.of(tid)
			out[id] = c
			return err
		})
		return err
	})
	if err != nil {
		return nil, wrap(err, "count raised alerts")
	}
	return out, nil
}

// Heads are the greatest seqs of the feeds of the tenants in scope; a tenant
// without any alert is missing.
func (a *Alerts) Heads(ctx context.Context, scope []tenant.ID) (map[tenant.ID]uint64, error) {
	out := make(map[tenant.ID]uint64, len(scope))
	if len(scope) == 0 {
		return out, nil
	}
	whose, err := a.c.owners(ctx, scope)
	if err != nil {
		return nil, err
	}
	err = a.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, seq from alert_counters`)
		if err != nil {
			return err
		}
		var tid string
		var seq int64
		_, err = pgx.ForEachRow(rows, []any{&tid, &seq}, func() error {
			id, err := whose.of(tid)
			out[id] = uint64(seq)
			return err
		})
		return err
	})
	if err != nil {
		return nil, wrap(err, "heads of feeds")
	}
	return out, nil
}
