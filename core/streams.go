package core

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

const maxStreams = 20 // of one tenant

// LogStream sends a tenant's own events on as they come in, at least once.
type LogStream struct {
	ID     string
	Tenant tenant.ID
	Name   string
	Kind   string          // http, splunk, s3 or kafka
	Config json.RawMessage // where to, without secrets: the kind's own object
	Query  string          // in the audit language, no relative times; empty: everything
	Format string          // ndjson or ocsf
	Status string          // active or paused

	Sent, Batches uint64
	Behind        uint64        // events not yet sent, when last looked at
	Lag           time.Duration // age of the oldest of them
	Failures      int           // in a row
	LastError     string
	LastSentAt    time.Time // zero: never
	FailingSince  time.Time // zero while it works
	CheckedAt     time.Time // zero: not yet
	CreatedBy     string
	CreatedAt     time.Time
}

// StreamWork is what a sender needs of a stream.
type StreamWork struct {
	LogStream
	Secret   Secret          // of the destination; may be empty
	Position json.RawMessage // as it was last written
}

// StreamResult is what a turn of sending came to.
type StreamResult struct {
	Position      json.RawMessage
	Sent, Batches uint64 // more than before
	Behind        uint64
	Lag           time.Duration
	Err           string    // empty: it worked
	Next          time.Time // when to look again
}

// Streams registers log streams and keeps how far each has got.
type Streams struct{ c *Core }

func streamPurpose(id tenant.ID, streamID string) string {
	return "log stream secret " + id.String() + " " + streamID
}

const streamColumns = `id::text, tenant_id::text, name, kind, config, query, format, status, sent, batches, behind, lag_ms, failures, last_error,
	last_sent_at, failing_since, checked_at, created_by, created_at`

func scanStream(whose owners) func(pgx.CollectableRow) (LogStream, error) {
	return func(row pgx.CollectableRow) (s LogStream, err error) {
		var tid string
		var config []byte
		var sent, batches, behind, lag int64
		var last, since, checked *time.Time
		if err := row.Scan(&s.ID, &tid, &s.Name, &s.Kind, &config, &s.Query, &s.Format, &s.Status, &sent, &batches, &behind, &lag, &s.Failures, &s.LastError,
			&last, &since, &checked, &s.CreatedBy, &s.CreatedAt); err != nil {
			return s, err
		}
		s.Config, s.Sent, s.Batches, s.Behind, s.Lag = config, uint64(sent), uint64(batches), uint64(behind), time.Duration(lag)*time.Millisecond
		s.LastSentAt, s.FailingSince, s.CheckedAt = orZero(last), orZero(since), orZero(checked)
		s.Tenant, err = whose.of(tid)
		return s, err
	}
}

// List reads the streams of the tenants in scope, newest first; Get one of
// them.
func (s *Streams) List(ctx context.Context, scope []tenant.ID) ([]LogStream, error) {
	return s.read(ctx, scope, "", 5000)
}

// Get reads one.
func (s *Streams) Get(ctx context.Context, scope []tenant.ID, id string) (LogStream, error) {
	if _, err := uuid.Parse(id); err != nil {
		return LogStream{}, wrap(ErrNotFound, "log stream")
	}
	found, err := s.read(ctx, scope, id, 1)
	if err == nil && len(found) == 0 {
		err = wrap(ErrNotFound, "log stream %s", id)
	}
	if err != nil {
		return LogStream{}, err
	}
	return found[0], nil
}

func (s *Streams) read(ctx context.Context, scope []tenant.ID, id string, limit int) (out []LogStream, err error) {
	if len(scope) == 0 {
		return nil, nil
	}
	whose, err := s.c.owners(ctx, scope)
	if err != nil {
		return nil, err
	}
	err = s.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select `+streamColumns+` from log_streams where $1 = '' or id = nullif($1, '')::uuid order by created_at desc, id limit $2`, id, limit)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, scanStream(whose))
		return err
	})
	return out, wrap(err, "read log streams")
}

// Create registers a stream: name, kind, config, query, format are taken,
// secret is sealed, position is where it begins.
func (s *Streams) Create(ctx context.Context, by access.Actor, id tenant.ID, n LogStream, secret Secret, position json.RawMessage) (LogStream, error) {
	name, err := checkName(n.Name)
	if err != nil {
		return LogStream{}, err
	}
	uid, err := uuid.NewV7()
	if err != nil {
		return LogStream{}, err
	}
	n.ID, n.Tenant, n.Name, n.Status, n.CreatedBy = uid.String(), id, name, "active", by.Name
	var sealed []byte
	if secret != "" {
		if sealed, err = s.c.sealer.Seal(ctx, streamPurpose(id, n.ID), []byte(secret)); err != nil {
			return LogStream{}, wrap(err, "seal the secret of log stream %s", name)
		}
	}
	err = s.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var kept int
		if err := tx.QueryRow(ctx, `select count(*) from log_streams`).Scan(&kept); err != nil {
			return err
		}
		if kept >= maxStreams {
			return invalid("the tenant has %d log streams, the most there may be: delete one", kept)
		}
		if err := tx.QueryRow(ctx, `insert into log_streams (id, name, kind, config, secret_sealed, query, format, position, created_by)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning created_at`, n.ID, name, n.Kind, string(n.Config), sealed, n.Query, n.Format, string(position), clean(by.Name)).
			Scan(&n.CreatedAt); err != nil {
			return err
		}
		return audit(ctx, tx, by, "stream.create", n.ID, map[string]any{"name": name, "kind": n.Kind})
	})
	if err != nil {
		return LogStream{}, wrap(err, "create a log stream of %s", id)
	}
	return n, nil
}

// SetStatus pauses a stream or lets it go on, from where it was.
func (s *Streams) SetStatus(ctx context.Context, by access.Actor, id tenant.ID, streamID, status string) error {
	if status != "active" && status != "paused" {
		return invalid("status %q: want active or paused", cut(status, 20))
	}
	return s.change(ctx, by, id, streamID, "stream."+status, `update log_streams set status = $2, next_at = '-infinity', failures = 0, failing_since = null where id = $1 returning name`, status)
}

// Delete ends a stream.
func (s *Streams) Delete(ctx context.Context, by access.Actor, id tenant.ID, streamID string) error {
	return s.change(ctx, by, id, streamID, "stream.delete", `delete from log_streams where id = $1 returning name`)
}

func (s *Streams) change(ctx context.Context, by access.Actor, id tenant.ID, streamID, action, sql string, args ...any) error {
	if _, err := uuid.Parse(streamID); err != nil {
		return wrap(ErrNotFound, "log stream")
	}
	err := s.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var name string
		if err := tx.QueryRow(ctx, sql, append([]any{streamID}, args...)...).Scan(&name); err != nil {
			return err
		}
		return audit(ctx, tx, by, action, streamID, map[string]any{"name": name})
	})
	return wrap(err, "%s %s", action, streamID)
}

// Claim leases up to limit streams that are due to owner.
func (s *Streams) Claim(ctx context.Context, owner string, lease time.Duration, limit int) (out []StreamWork, err error) {
	type due struct {
		t  tenant.ID
		id string
	}
	var all []due
	err = s.c.InPlatform(ctx, OpRunStreams, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			with due as (
				select l.tenant_id, l.id, t.slug from log_streams l join tenants t on t.id = l.tenant_id
				where l.status = 'active' and t.status = 'active' and l.next_at <= now() and (l.lease_until is null or l.lease_until <= now())
				order by l.next_at limit $3 for update of l skip locked)
			update log_streams l set lease_owner = $1, lease_until = now() + $2::interval from due
			where l.tenant_id = due.tenant_id and l.id = due.id returning due.slug, l.id::text`, owner, lease.String(), limit)
		if err != nil {
			return err
		}
		var slug, id string
		_, err = pgx.ForEachRow(rows, []any{&slug, &id}, func() error {
			t, err := tenant.Parse(slug)
			all = append(all, due{t, id})
			return err
		})
		return err
	})
	if err != nil {
		return nil, wrap(err, "claim log streams")
	}
	for _, d := range all {
		w, err := s.work(ctx, d.t, d.id, owner)
		if ok, err := notFoundOK(err); err != nil {
			return out, err
		} else if ok {
			out = append(out, w)
		}
	}
	return out, nil
}

func (s *Streams) work(ctx context.Context, id tenant.ID, streamID, owner string) (w StreamWork, err error) {
	whose, err := s.c.owners(ctx, []tenant.ID{id})
	if err != nil {
		return w, err
	}
	var sealed, position []byte
	err = s.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select `+streamColumns+` from log_streams where id = $1 and lease_owner = $2 and status = 'active'`, streamID, owner)
		if err != nil {
			return err
		}
		if w.LogStream, err = pgx.CollectExactlyOneRow(rows, scanStream(whose)); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `select secret_sealed, position from log_streams where id = $1`, streamID).Scan(&sealed, &position)
	})
	if err != nil {
		return w, wrap(err, "log stream %s", streamID)
	}
	w.Position = position
	if len(sealed) > 0 {
		plain, err := s.c.sealer.Open(ctx, streamPurpose(id, streamID), sealed)
		if err != nil {
			return w, wrap(err, "secret of log stream %s", streamID)
		}
		w.Secret = Secret(plain)
	}
	return w, nil
}

// Done writes what a turn came to and holds the lease until hold, or lets it
// go when hold is zero. ErrConflict when the stream is not owner's any more.
func (s *Streams) Done(ctx context.Context, owner string, w StreamWork, r StreamResult, hold time.Duration) error {
	failed := r.Err != ""
	var until *string
	if hold > 0 {
		h := hold.String()
		until = &h
	}
	err := s.c.InTenant(ctx, w.Tenant, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update log_streams set position = $3, sent = sent + $4, batches = batches + $5, behind = $6, lag_ms = $7, last_error = $8,
			failures = case when $9 then failures + 1 else 0 end, failing_since = case when $9 then coalesce(failing_since, now()) end,
			last_sent_at = case when $4 > 0 then now() else last_sent_at end, checked_at = now(), next_at = $10,
			lease_until = now() + $11::interval, lease_owner = case when $11::text is null then null else lease_owner end
			where id = $1 and lease_owner = $2`, w.ID, owner, string(r.Position), int64(r.Sent), int64(r.Batches), int64(r.Behind), r.Lag.Milliseconds(), cut(r.Err, 500),
			failed, r.Next, until)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrConflict
		}
		return err
	})
	return wrap(err, "write the state of log stream %s", w.ID)
}
