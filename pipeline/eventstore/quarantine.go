package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// ErrNoLine says that a tenant has no such quarantined line.
var ErrNoLine = errors.New("there is no such quarantined line")

// LineState narrows quarantined lines by whether they were replayed.
type LineState string

// The states.
const (
	LinesAll      LineState = ""
	LinesOpen     LineState = "open"
	LinesReplayed LineState = "replayed"
)

// pattern is a reason without what differs from line to line: numbers and
// what stands in quotes.
const pattern = `replaceRegexpAll(replaceRegexpAll(reason, '"[^"]*"', '"…"'), '[0-9]+', 'N')`

// QuarantineScope says which of a tenant's quarantined lines are meant.
type QuarantineScope struct {
	From, To time.Time // of arrival; zero: open
	Source   string    // empty: all
	Pattern  string    // of a QuarantineGroup; empty: all
	State    LineState
	IDs      []string // empty: all
}

// where is the condition of a scope, its values bound.
func (r *tenantRead) scope(q QuarantineScope) string {
	w := r.cond
	if !q.From.IsZero() {
		r.bind("from", strconv.FormatInt(clampNano(q.From), 10))
		w += " AND received_at >= fromUnixTimestamp64Nano({from:Int64})"
	}
	if !q.To.IsZero() {
		r.bind("to", strconv.FormatInt(clampNano(q.To), 10))
		w += " AND received_at < fromUnixTimestamp64Nano({to:Int64})"
	}
	if q.Source != "" {
		r.bind("source", q.Source)
		w += " AND source = {source:String}"
	}
	if q.Pattern != "" {
		r.bind("pattern", q.Pattern)
		w += " AND " + pattern + " = {pattern:String}"
	}
	if len(q.IDs) > 0 {
		w += " AND id IN (" + hexList(q.IDs) + ")"
	}
	replayed := "id IN (SELECT id FROM quarantine_outcomes WHERE " + r.cond + ")"
	switch q.State {
	case LinesOpen:
		w += " AND NOT " + replayed
	case LinesReplayed:
		w += " AND " + replayed
	}
	return w
}

// QuarantineGroup is the lines of one source that were set aside for one
// reason.
type QuarantineGroup struct {
	Pattern     string // the reason with N for numbers and "…" for quoted text
	Source      string
	Format      string // that was tried, "" for none
	Lines       uint64
	First, Last time.Time // of arrival
	Example     string    // id of the newest line
	Reason      string    // its reason
}

// QuarantineGroups groups a tenant's quarantined lines, the largest group
// first, at most 1,000.
func (s *Store) QuarantineGroups(ctx context.Context, t tenant.ID, q QuarantineScope) ([]QuarantineGroup, error) {
	r, err := s.reading(ctx, t, "quarantine")
	if err != nil {
		return nil, err
	}
	defer r.end()
	var out []QuarantineGroup
	if err := r.each(`SELECT `+pattern+` AS p, toString(source) AS src, toString(format) AS f, count() AS n, toUnixTimestamp64Nano(min(received_at)), toUnixTimestamp64Nano(max(received_at)),
		argMax(id, (received_at, id)), argMax(reason, (received_at, id)) FROM quarantine WHERE `+r.scope(q)+` GROUP BY p, src, f ORDER BY n DESC, p, src, f LIMIT 1000`, func(rs driver.Rows) error {
		var g QuarantineGroup
		var first, last int64
		if err := rs.Scan(&g.Pattern, &g.Source, &g.Format, &g.Lines, &first, &last, &g.Example, &g.Reason); err != nil {
			return err
		}
		g.First, g.Last = time.Unix(0, first).UTC(), time.Unix(0, last).UTC()
		out = append(out, g)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("group quarantine: %w", err)
	}
	return out, nil
}

// Line is a quarantined line and what became of it.
type Line struct {
	event.Quarantined
	ReplayedAt time.Time // zero: not replayed
	Events     uint64    // it came out at
}

// QuarantineLines reads the lines of a scope, oldest first, at most limit (1 to
// MaxLimit) of them and about 64 MiB.
func (s *Store) QuarantineLines(ctx context.Context, t tenant.ID, q QuarantineScope, limit int) ([]Line, error) {
	r, err := s.reading(ctx, t, "quarantine")
	if err != nil {
		return nil, err
	}
	defer r.end()
	limit = min(max(limit, 1), MaxLimit)
	var out []Line
	size := 0
	err = r.each(`SELECT tenant_id, id, toUnixTimestamp64Nano(received_at), source, format, reason, line, byte_offset, raw, toUnixTimestamp64Nano(o.at), o.events FROM
		(SELECT tenant_id, id, received_at, toString(source) AS source, toString(format) AS format, reason, line, byte_offset, raw FROM quarantine WHERE `+r.scope(q)+` ORDER BY received_at, id LIMIT `+strconv.Itoa(limit)+`) AS l
		LEFT JOIN (SELECT id, at, events FROM quarantine_outcomes FINAL WHERE `+r.cond+`) AS o ON l.id = o.id ORDER BY received_at, id`, func(rs driver.Rows) error {
		var l Line
		var slug, raw string
		var at int64
		if err := rs.Scan(&slug, &l.ID, &l.ReceivedAt, &l.Source, &l.Format, &l.Reason, &l.Line, &l.Offset, &raw, &at, &l.Events); err != nil {
			return err
		}
		if slug != t.String() {
			return fmt.Errorf("%w: the answer holds a line of another tenant", errForeignRow)
		}
		if size += len(raw); size > 64<<20 {
			return nil
		}
		if at > 0 {
			l.ReplayedAt = time.Unix(0, at).UTC()
		}
		l.Tenant, l.Raw = t, []byte(raw)
		out = append(out, l)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read quarantined lines: %w", err)
	}
	return out, nil
}

// Replayed says that a line came out at so many events.
type Replayed struct {
	ID     string
	At     time.Time
	Events uint64
}

// RecordReplayed notes what became of a tenant's lines. Noting one again
// replaces what was noted.
func (s *Store) RecordReplayed(ctx context.Context, t tenant.ID, lines []Replayed) error {
	if t.IsZero() {
		return fmt.Errorf("note replayed lines: %w", tenant.ErrZero)
	}
	if len(lines) == 0 {
		return nil
	}
	var slugs, ids []string
	var ats []time.Time
	var ns []uint64
	for _, l := range lines {
		slugs, ids, ats, ns = append(slugs, t.String()), append(ids, l.ID), append(ats, l.At.UTC()), append(ns, l.Events)
	}
	return s.insert(ctx, "quarantine_outcomes", []column{
		col("tenant_id", "String", slugs), col("id", "String", ids), col("at", "DateTime64(9, 'UTC')", ats), col("events", "UInt64", ns),
	}, nil)
}

// Refusals are lines that a collector process refused in one hour, counted
// since it started.
type Refusals struct {
	Tenant   tenant.ID
	Source   string
	Hour     time.Time
	Requests uint64 // that were refused, whole or in part
	Lines    uint64 // read and not made durable
}

// RecordRefusals notes the counts of a process, which replace its earlier
// ones; version must grow from call to call.
func (s *Store) RecordRefusals(ctx context.Context, process string, version uint64, all []Refusals) error {
	if len(all) == 0 {
		return nil
	}
	var slugs, sources, procs []string
	var hours []time.Time
	var requests, ns, versions []uint64
	for _, x := range all {
		slugs, sources, procs, hours = append(slugs, x.Tenant.String()), append(sources, x.Source), append(procs, process), append(hours, x.Hour.UTC())
		requests, ns, versions = append(requests, x.Requests), append(ns, x.Lines), append(versions, version)
	}
	return s.insert(ctx, "refusals", []column{
		col("tenant_id", "String", slugs), col("hour", "DateTime('UTC')", hours), col("source", "String", sources), col("process", "String", procs),
		col("requests", "UInt64", requests), col("n", "UInt64", ns), col("version", "UInt64", versions),
	}, nil)
}

// Seal notes how many events each past hour of arrival since from holds of
// each source, so that what expires or is erased later can be told. The hour
// that is running is left out.
func (s *Store) Seal(ctx context.Context, from, now time.Time) error {
	ctx, cancel := s.work(ctx, nil)
	defer cancel()
	// Constants only: no sender's text is part of the statement.
	err := s.conn.Exec(ctx, fmt.Sprintf(`INSERT INTO sealed SELECT tenant_id, toStartOfHour(toDateTime(ingested_at)) AS hour, source, count() AS n FROM events
		WHERE ingested_at >= fromUnixTimestamp64Nano(toInt64(%d)) AND ingested_at < fromUnixTimestamp64Nano(toInt64(%d)) GROUP BY tenant_id, hour, source`,
		max(clampNano(from), 0), now.UTC().Truncate(time.Hour).UnixNano()))
	if err != nil {
		return fmt.Errorf("note the hours' counts: %w", err)
	}
	return nil
}
