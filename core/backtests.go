package core

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// BacktestStatus is how far a backtest is.
type BacktestStatus string

// The statuses.
const (
	BacktestQueued  BacktestStatus = "queued"
	BacktestRunning BacktestStatus = "running"
	BacktestDone    BacktestStatus = "done"
	BacktestFailed  BacktestStatus = "failed"
)

const (
	// maxBacktests bounds what a tenant keeps; the oldest finished one goes.
	maxBacktests = 100
	// maxActiveBacktests bounds what a tenant has waiting.
	maxActiveBacktests = 5
	// backtestAttempts is how often one that was broken off is begun again.
	backtestAttempts = 5
)

// Backtest is one job. Policies and Results are documents of the detectors,
// which the core keeps as they are.
type Backtest struct {
	ID                    string
	Tenant                tenant.ID
	Name                  string
	From, To              time.Time
	Policies              json.RawMessage
	Status                BacktestStatus
	Done, Total           int64 // events
	Results               json.RawMessage
	Error                 string // of a failed one, for people
	CreatedBy             string
	CreatedAt             time.Time
	StartedAt, FinishedAt time.Time // zero: not yet
}

// Backtests keeps the jobs and hands them to workers.
type Backtests struct{ c *Core }

// Backtests are the jobs that try policies on stored events.
func (c *Core) Backtests() *Backtests { return &Backtests{c} }

const backtestColumns = `tenant_id::text, id::text, name, period_from, period_to, policies, status, done, total, error, created_by, created_at, started_at, finished_at`

// Create queues a backtest.
func (b *Backtests) Create(ctx context.Context, by access.Actor, id tenant.ID, n Backtest) (Backtest, error) {
	uid, err := uuid.NewV7()
	if err != nil {
		return Backtest{}, err
	}
	if !n.To.After(n.From) || len(n.Policies) == 0 {
		return Backtest{}, invalid("a backtest has a period and policies")
	}
	n.ID, n.Tenant, n.Status, n.CreatedBy, n.Name = uid.String(), id, BacktestQueued, by.Name, cut(n.Name, 200)
	err = b.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var active int
		if err := tx.QueryRow(ctx, `select count(*) from backtests where status in ('queued', 'running')`).Scan(&active); err != nil {
			return err
		}
		if active >= maxActiveBacktests {
			return invalid("%d backtests of the tenant are waiting or running: let one finish, or delete it", active)
		}
		if _, err := tx.Exec(ctx, `delete from backtests where id in (select id from backtests where status in ('done', 'failed')
			order by created_at desc offset $1)`, maxBacktests-1); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `insert into backtests (id, name, period_from, period_to, policies, created_by) values ($1, $2, $3, $4, $5, $6) returning created_at`,
			n.ID, n.Name, n.From, n.To, string(n.Policies), clean(by.Name)).Scan(&n.CreatedAt); err != nil {
			return err
		}
		return audit(ctx, tx, by, "backtest.create", n.ID, map[string]any{"from": n.From.UTC(), "to": n.To.UTC()})
	})
	return n, wrap(err, "create backtest of %s", id)
}

// List reads the backtests of the tenants in scope, newest first, without
// their results; at most 500.
func (b *Backtests) List(ctx context.Context, scope []tenant.ID) ([]Backtest, error) {
	return b.read(ctx, scope, `select `+backtestColumns+`, null from backtests order by created_at desc, id desc limit 500`)
}

// Get reads one with its results; ErrNotFound when no tenant in scope has it.
func (b *Backtests) Get(ctx context.Context, scope []tenant.ID, id string) (Backtest, error) {
	if _, err := uuid.Parse(id); err != nil {
		return Backtest{}, wrap(ErrNotFound, "backtest")
	}
	list, err := b.read(ctx, scope, `select `+backtestColumns+`, results from backtests where id = $1`, id)
	if err == nil && len(list) == 0 {
		err = wrap(ErrNotFound, "backtest")
	}
	if err != nil {
		return Backtest{}, err
	}
	return list[0], nil
}

func (b *Backtests) read(ctx context.Context, scope []tenant.ID, sql string, args ...any) (out []Backtest, err error) {
	if len(scope) == 0 {
		return nil, nil
	}
	whose, err := b.c.owners(ctx, scope)
	if err != nil {
		return nil, err
	}
	err = b.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Backtest, error) {
			var x Backtest
			var tid string
			var policies, results []byte
			var started, finished *time.Time
			if err := row.Scan(&tid, &x.ID, &x.Name, &x.From, &x.To, &policies, &x.Status, &x.Done, &x.Total, &x.Error, &x.CreatedBy, &x.CreatedAt,
				&started, &finished, &results); err != nil {
				return x, err
			}
			x.Policies, x.Results, x.StartedAt, x.FinishedAt = policies, results, orZero(started), orZero(finished)
			x.Tenant, err = whose.of(tid)
			return x, err
		})
		return err
	})
	return out, wrap(err, "read backtests")
}

// Delete removes a backtest; one that runs is stopped at its next step.
func (b *Backtests) Delete(ctx context.Context, by access.Actor, id tenant.ID, backtestID string) error {
	if _, err := uuid.Parse(backtestID); err != nil {
		return wrap(ErrNotFound, "backtest")
	}
	err := b.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var name string
		if err := tx.QueryRow(ctx, `delete from backtests where id = $1 returning name`, backtestID).Scan(&name); err != nil {
			return err
		}
		return audit(ctx, tx, by, "backtest.delete", backtestID, map[string]any{"name": name})
	})
	return wrap(err, "delete backtest %s of %s", backtestID, id)
}

// BacktestWork is a job a worker has the lease of, with the state to go on
// from; nil is the beginning.
type BacktestWork struct {
	Backtest
	State []byte
}

// Claim leases the oldest backtest that waits, or whose worker is gone, for
// owner; ok is false when there is none. One that was begun too often is
// marked failed, and the next call gives another.
func (b *Backtests) Claim(ctx context.Context, owner string, now, until time.Time) (w BacktestWork, ok bool, err error) {
	var slug, id string
	err = b.c.InPlatform(ctx, OpClaimBacktests, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			with due as (
				select b.tenant_id, b.id, t.slug from backtests b join tenants t on t.id = b.tenant_id
				where b.status in ('queued', 'running') and t.status = 'active' and (b.lease_until is null or b.lease_until <= $2)
				order by b.created_at limit 1 for update of b skip locked)
			update backtests b set lease_owner = $1, lease_until = $3 from due
			where b.tenant_id = due.tenant_id and b.id = due.id returning due.slug, b.id::text`, owner, now, until).Scan(&slug, &id)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return w, false, nil
	}
	if err != nil {
		return w, false, wrap(err, "claim a backtest")
	}
	if w.Tenant, err = tenant.Parse(slug); err != nil {
		return w, false, wrap(err, "claim a backtest")
	}
	attempts := 0
	err = b.c.InTenant(ctx, w.Tenant, func(tx pgx.Tx) error {
		var policies []byte
		err := tx.QueryRow(ctx, `update backtests set status = 'running', attempts = attempts + 1, started_at = coalesce(started_at, $3)
			where id = $1 and lease_owner = $2 returning id::text, name, period_from, period_to, policies, done, total, state, attempts`, id, owner, now).
			Scan(&w.ID, &w.Name, &w.From, &w.To, &policies, &w.Done, &w.Total, &w.State, &attempts)
		w.Policies = policies
		return err
	})
	if gone, err := notFoundOK(err); err != nil || !gone {
		return w, false, wrap(err, "claim backtest %s", id)
	}
	if attempts > backtestAttempts {
		return w, false, b.Finish(ctx, w, owner, now, nil, "it was begun five times and never came to an end")
	}
	return w, true, nil
}

// Step says how far a worker is and holds its lease; state, when not nil,
// replaces what a next worker goes on from. ErrNotFound: deleted, or another
// worker has it.
func (b *Backtests) Step(ctx context.Context, w BacktestWork, owner string, until time.Time, done, total uint64, state []byte) error {
	err := b.c.InTenant(ctx, w.Tenant, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update backtests set done = $3, total = $4, lease_until = $5, state = coalesce($6, state),
			attempts = case when $6::bytea is null then attempts else 1 end where id = $1 and lease_owner = $2 and status = 'running'`,
			w.ID, owner, int64(done), int64(total), until, state) //nolint:gosec // counts of events
		if err == nil && tag.RowsAffected() == 0 {
			err = pgx.ErrNoRows
		}
		return err
	})
	return wrap(err, "backtest %s of %s", w.ID, w.Tenant)
}

// Finish stores the results, or why there are none, and ends the lease.
func (b *Backtests) Finish(ctx context.Context, w BacktestWork, owner string, now time.Time, results json.RawMessage, failure string) error {
	status := BacktestDone
	var doc *string
	if failure != "" {
		status = BacktestFailed
	} else {
		s := string(results)
		doc = &s
	}
	err := b.c.InTenant(ctx, w.Tenant, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update backtests set status = $3, results = $4, error = $5, finished_at = $6, state = null, lease_owner = null, lease_until = null
			where id = $1 and lease_owner = $2`, w.ID, owner, string(status), doc, cut(failure, 1000), now)
		if err == nil && tag.RowsAffected() == 0 {
			err = pgx.ErrNoRows
		}
		return err
	})
	return wrap(err, "finish backtest %s of %s", w.ID, w.Tenant)
}
