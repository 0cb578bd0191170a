package eventstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// Hold keeps what it matches from expiring: a legal hold. A query looks at
// events only; quarantined lines, which have no fields, are then all held.
type Hold struct {
	Query    *query.Query // nil: everything
	From, To time.Time    // of event time, To not included; zero: open
}

// sweep is one removal of one tenant's rows that came in before a cutoff.
type sweep struct {
	s      *Store
	t      tenant.ID
	cutoff int64 // Unix nanoseconds
	spare  string
	lines  string // of quarantined lines
	args   []any
	hash   string // of the holds
}

// Expire removes a tenant's events and quarantined lines that came in before
// the cutoff and that no hold matches, and counts them by hour and source
// before they go. After a crash in between, the next call finishes what was
// begun, so that nothing is counted twice. Rows that the log still holds and
// that are older than the cutoff go with the next call.
func (s *Store) Expire(ctx context.Context, t tenant.ID, before time.Time, holds ...Hold) (Removed, error) {
	if t.IsZero() {
		return Removed{}, fmt.Errorf("expire: %w", tenant.ErrZero)
	}
	if _, err := tenant.Parse(t.String()); err != nil {
		return Removed{}, fmt.Errorf("expire: %w", err)
	}
	if before.IsZero() || before.After(time.Now()) {
		return Removed{}, fmt.Errorf("expire events of %s: the limit %s is no time in the past", t, before)
	}
	w := sweep{s: s, t: t, cutoff: clampNano(before)}
	if err := w.sparing(holds); err != nil {
		return Removed{}, fmt.Errorf("expire events of %s: %w", t, err)
	}
	if err := w.finish(ctx); err != nil {
		return Removed{}, fmt.Errorf("finish the removal begun for %s: %w", t, err)
	}
	out, err := w.run(ctx)
	if err != nil {
		return Removed{}, fmt.Errorf("expire events of %s: %w", t, err)
	}
	return out, nil
}

// sparing compiles the holds to the condition of what may go.
func (w *sweep) sparing(holds []Hold) error {
	w.spare, w.lines = "1", "1"
	var c compiler
	var events, lines []string
	for _, h := range holds {
		cond := "1"
		if !h.Query.IsEmpty() {
			var err error
			if cond, err = c.node(h.Query.Root); err != nil {
				return fmt.Errorf("the query of a hold: %w", err)
			}
		}
		within := func(column string) (s string) {
			if !h.From.IsZero() {
				s += " AND " + column + " >= fromUnixTimestamp64Nano(" + c.bind("Int64", strconv.FormatInt(clampNano(h.From), 10)) + ")"
			}
			if !h.To.IsZero() {
				s += " AND " + column + " < fromUnixTimestamp64Nano(" + c.bind("Int64", strconv.FormatInt(clampNano(h.To), 10)) + ")"
			}
			return s
		}
		events = append(events, "("+cond+within("time")+")")
		lines = append(lines, "(1"+within("received_at")+")")
	}
	if len(events) > 0 {
		w.spare, w.lines = "NOT ("+strings.Join(events, " OR ")+")", "NOT ("+strings.Join(lines, " OR ")+")"
	}
	w.args = c.args
	sum := sha256.Sum256([]byte(w.spare + w.lines + fmt.Sprint(c.args)))
	w.hash = hex.EncodeToString(sum[:8])
	return nil
}

// each names the two tables with the column of arrival, what may go, and how
// often a row happened.
func (w *sweep) each(fn func(kind Table, when, may, times string) error) error {
	if err := fn(Events, "ingested_at", w.spare, "sum(count)"); err != nil {
		return err
	}
	return fn(Quarantine, "received_at", w.lines, "count()")
}

func (w *sweep) bound(more ...any) []any {
	return append(append(append([]any{}, w.args...), clickhouse.Named("tenant", w.t.String()), clickhouse.Named("cutoff", strconv.FormatInt(w.cutoff, 10))), more...)
}

func where(when, may string) string {
	return " WHERE tenant_id = {tenant:String} AND " + when + " < fromUnixTimestamp64Nano({cutoff:Int64}) AND " + may
}

func (w *sweep) run(ctx context.Context) (out Removed, err error) {
	err = w.each(func(kind Table, when, may, times string) error {
		ctx, cancel := w.s.work(ctx, nil)
		defer cancel()
		var n uint64
		if err := w.s.conn.QueryRow(ctx, "SELECT count() FROM "+string(kind)+where(when, may), w.bound()...).Scan(&n); err != nil || n == 0 {
			return err
		}
		if kind == Events {
			out.Events = n
		} else {
			out.Quarantined = n
		}
		// One statement, one block: the counts are there whole or not at all.
		return w.s.conn.Exec(ctx, `INSERT INTO removals (tenant_id, hour, source, kind, cause, cutoff, holds, done, n, occurrences)
			SELECT tenant_id, toStartOfHour(`+when+`), source, {kind:String}, 'expired', {cutoff:Int64}, {holds:String}, 0, count(), `+times+`
			FROM `+string(kind)+where(when, may)+` GROUP BY 1, 2, 3`, w.bound(clickhouse.Named("kind", string(kind)), clickhouse.Named("holds", w.hash))...)
	})
	if err != nil || out == (Removed{}) {
		return out, err
	}
	return out, w.remove(ctx)
}

// remove takes out what was counted and notes that it is gone.
func (w *sweep) remove(ctx context.Context) error {
	err := w.each(func(kind Table, when, may, _ string) error {
		return w.s.mutate(ctx, "ALTER TABLE "+string(kind)+" DELETE"+where(when, may), w.bound()...)
	})
	if err != nil {
		return err
	}
	ctx, cancel := w.s.work(ctx, nil)
	defer cancel()
	return w.s.conn.Exec(ctx, `INSERT INTO removals (tenant_id, hour, source, kind, cause, cutoff, holds, done, n, occurrences)
		SELECT tenant_id, hour, source, kind, cause, cutoff, holds, 1, n, occurrences FROM removals FINAL
		WHERE tenant_id = {tenant:String} AND cutoff = {cutoff:Int64} AND done = 0`, w.bound()...)
}

// finish ends sweeps that were counted and not seen to their end.
func (w *sweep) finish(ctx context.Context) error {
	rows, err := w.s.conn.Query(ctx, `SELECT cutoff, any(holds) FROM removals FINAL WHERE tenant_id = {tenant:String} AND done = 0 GROUP BY cutoff ORDER BY cutoff`,
		clickhouse.Named("tenant", w.t.String()))
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err is checked
	var open []sweep
	for rows.Next() {
		old := *w
		var hash string
		if err := rows.Scan(&old.cutoff, &hash); err != nil {
			return err
		}
		if hash != w.hash { // what is held now stays, whatever was counted: the sum may then be too high
			w.s.log.Warn("the holds changed during a removal that broke off; what they hold is kept", "cutoff", time.Unix(0, old.cutoff).UTC())
		}
		open = append(open, old)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i := range open {
		if err := open[i].remove(ctx); err != nil {
			return err
		}
	}
	return nil
}

// mutate runs a removal and waits until it is done.
func (s *Store) mutate(ctx context.Context, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	return s.conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"mutations_sync": 1, "max_execution_time": 3600})), sql, args...)
}
