package core

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// ExportState says where an export job stands.
type ExportState string

// The states. Expired: its file is gone.
const (
	ExportQueued    ExportState = "queued"
	ExportRunning   ExportState = "running"
	ExportDone      ExportState = "done"
	ExportFailed    ExportState = "failed"
	ExportCancelled ExportState = "cancelled"
	ExportExpired   ExportState = "expired"
)

const (
	maxExportsActive   = 100 // of one tenant: queued or running
	maxExportsKept     = 200
	maxExportsAttempts = 5 // a job that takes its process down five times is given up
)

// ExportJob is one large export of a tenant's events.
type ExportJob struct {
	ID       string
	Tenant   tenant.ID
	Format   string // csv, ndjson, ocsf or parquet
	Query    string // in the audit language, with no time relative to now
	From, To time.Time
	State    ExportState
	Rows     uint64 // written so far
	Expected uint64 // when it began; 0: not counted yet
	Bytes    uint64
	SHA256   string // of the file, in hex, once done
	Error    string // for people, once failed
	Node     string // the process that holds the file
	Owner    access.Actor

	CreatedAt, StartedAt, FinishedAt, ExpiresAt time.Time // zero: not yet
}

// Exports keeps the jobs; whoever runs them writes the files.
type Exports struct{ c *Core }

const exportColumns = `id::text, tenant_id::text, format, query, from_time, to_time, state, rows, expected, bytes, sha256, error, node,
	owner_kind, owner_id, owner_name, created_at, started_at, finished_at, expires_at`

func scanExport(whose owners) func(pgx.CollectableRow) (ExportJob, error) {
	return func(row pgx.CollectableRow) (j ExportJob, err error) {
		var tid string
		var from, to, started, finished, expires *time.Time
		var n, expected, bytes int64
		if err := row.Scan(&j.ID, &tid, &j.Format, &j.Query, &from, &to, &j.State, &n, &expected, &bytes, &j.SHA256, &j.Error, &j.Node,
			&j.Owner.Kind, &j.Owner.ID, &j.Owner.Name, &j.CreatedAt, &started, &finished, &expires); err != nil {
			return j, err
		}
		j.Rows, j.Expected, j.Bytes = uint64(n), uint64(expected), uint64(bytes)
		j.From, j.To, j.StartedAt, j.FinishedAt, j.ExpiresAt = orZero(from), orZero(to), orZero(started), orZero(finished), orZero(expires)
		j.Tenant, err = whose.of(tid)
		return j, err
	}
}

// List reads the jobs of the tenants in scope, newest first.
func (e *Exports) List(ctx context.Context, scope []tenant.ID) ([]ExportJob, error) {
	return e.read(ctx, scope, "", 5000)
}

// Get reads one.
func (e *Exports) Get(ctx context.Context, scope []tenant.ID, id string) (ExportJob, error) {
	if _, err := uuid.Parse(id); err != nil {
		return ExportJob{}, wrap(ErrNotFound, "export")
	}
	found, err := e.read(ctx, scope, id, 1)
	if err == nil && len(found) == 0 {
		err = wrap(ErrNotFound, "export %s", id)
	}
	if err != nil {
		return ExportJob{}, err
	}
	return found[0], nil
}

func (e *Exports) read(ctx context.Context, scope []tenant.ID, id string, limit int) (out []ExportJob, err error) {
	if len(scope) == 0 {
		return nil, nil
	}
	whose, err := e.c.owners(ctx, scope)
	if err != nil {
		return nil, err
	}
	err = e.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select `+exportColumns+` from export_jobs where $1 = '' or id = nullif($1, '')::uuid order by created_at desc, id limit $2`, id, limit)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, scanExport(whose))
		return err
	})
	return out, wrap(err, "read exports")
}

// Create queues a job; format, query and range are taken.
func (e *Exports) Create(ctx context.Context, by access.Actor, id tenant.ID, j ExportJob) (ExportJob, error) {
	uid, err := uuid.NewV7()
	if err != nil {
		return ExportJob{}, err
	}
	j.ID, j.Tenant, j.Owner, j.State = uid.String(), id, by, ExportQueued
	err = e.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var active, kept int
		if err := tx.QueryRow(ctx, `select count(*) filter (where state in ('queued', 'running')), count(*) from export_jobs`).Scan(&active, &kept); err != nil {
			return err
		}
		if active >= maxExportsActive {
			return invalid("%d exports of this tenant are under way, the most there may be: wait for one, or cancel it", active)
		}
		if kept >= maxExportsKept {
			if _, err := tx.Exec(ctx, `delete from export_jobs where id in (select id from export_jobs where state in ('expired', 'failed', 'cancelled', 'done')
				order by created_at limit $1)`, kept-maxExportsKept+1); err != nil {
				return err
			}
		}
		if err := tx.QueryRow(ctx, `insert into export_jobs (id, format, query, from_time, to_time, owner_kind, owner_id, owner_name)
			values ($1, $2, $3, $4, $5, $6, $7, $8) returning created_at`, j.ID, j.Format, j.Query, nilTime(j.From), nilTime(j.To), string(by.Kind), clean(by.ID), clean(by.Name)).
			Scan(&j.CreatedAt); err != nil {
			return err
		}
		return audit(ctx, tx, by, "export.create", j.ID, map[string]any{"format": j.Format})
	})
	if err != nil {
		return ExportJob{}, wrap(err, "queue an export of %s", id)
	}
	return j, nil
}

func nilTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Cancel ends a job that is under way, and takes the file of one that is done
// out of reach; its runner removes the file.
func (e *Exports) Cancel(ctx context.Context, by access.Actor, id tenant.ID, jobID string) error {
	if _, err := uuid.Parse(jobID); err != nil {
		return wrap(ErrNotFound, "export")
	}
	err := e.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var state string
		if err := tx.QueryRow(ctx, `update export_jobs set state = 'cancelled', finished_at = coalesce(finished_at, now()), lease_until = null
			where id = $1 and state in ('queued', 'running', 'done') returning state`, jobID).Scan(&state); err != nil {
			return err
		}
		return audit(ctx, tx, by, "export.cancel", jobID, nil)
	})
	return wrap(err, "cancel export %s", jobID)
}

// Claim gives node the oldest job that nobody runs, until the lease ends; nil
// when there is none.
func (e *Exports) Claim(ctx context.Context, node string, lease time.Duration) (*ExportJob, error) {
	var slug, id string
	err := e.c.InPlatform(ctx, OpRunExports, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			with due as (
				select j.tenant_id, j.id, t.slug from export_jobs j join tenants t on t.id = j.tenant_id
				where t.status = 'active' and (j.state = 'queued' or j.state = 'running' and j.lease_until < now()) and j.attempts < $3
				order by j.created_at limit 1 for update of j skip locked)
			update export_jobs j set state = 'running', node = $1, lease_until = now() + $2::interval, attempts = j.attempts + 1, started_at = now() from due
			where j.tenant_id = due.tenant_id and j.id = due.id returning due.slug, j.id::text`, node, lease.String(), maxExportsAttempts).Scan(&slug, &id)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(err, "claim an export")
	}
	t, err := tenant.Parse(slug)
	if err != nil {
		return nil, err
	}
	j, err := e.Get(ctx, []tenant.ID{t}, id)
	return &j, err
}

// Progress writes how far node got and holds the lease; ErrConflict when the
// job was cancelled or is another's by now.
func (e *Exports) Progress(ctx context.Context, node string, j ExportJob, lease time.Duration) error {
	return e.set(ctx, j, `update export_jobs set rows = $3, expected = $4, bytes = $5, lease_until = now() + $6::interval
		where id = $1 and node = $2 and state = 'running'`, j.ID, node, int64(j.Rows), int64(j.Expected), int64(j.Bytes), lease.String())
}

// Finish ends a job as done or failed; ErrConflict as Progress.
func (e *Exports) Finish(ctx context.Context, node string, j ExportJob) error {
	return e.set(ctx, j, `update export_jobs set rows = $3, expected = $4, bytes = $5, error = $6, sha256 = $7, state = $8, expires_at = $9, finished_at = now(), lease_until = null
		where id = $1 and node = $2 and state = 'running'`, j.ID, node, int64(j.Rows), int64(j.Expected), int64(j.Bytes), cut(j.Error, 1000), j.SHA256, string(j.State), nilTime(j.ExpiresAt))
}

func (e *Exports) set(ctx context.Context, j ExportJob, sql string, args ...any) error {
	err := e.c.InTenant(ctx, j.Tenant, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, args...)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrConflict
		}
		return err
	})
	return wrap(err, "write the state of export %s", j.ID)
}

// Stale are the jobs of node whose files are of no use any more: expired ones,
// which become so, and those cancelled, failed or unknown among ids.
func (e *Exports) Stale(ctx context.Context, node string, held map[string]tenant.ID) (ids []string, err error) {
	for id, t := range held {
		err := e.c.InTenant(ctx, t, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `update export_jobs set state = 'expired' where id = $1 and state = 'done' and expires_at < now()`, id); err != nil {
				return err
			}
			var keep bool
			err := tx.QueryRow(ctx, `select state in ('running', 'done') and node = $2 from export_jobs where id = $1`, id, node).Scan(&keep)
			if errors.Is(err, pgx.ErrNoRows) {
				err = nil
			}
			if !keep {
				ids = append(ids, id)
			}
			return err
		})
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrSuspended) { // the tenant is gone, or may not be touched
			if errors.Is(err, ErrNotFound) {
				ids = append(ids, id)
			}
			err = nil
		}
		if err != nil {
			return ids, wrap(err, "look for stale exports")
		}
	}
	return ids, nil
}
