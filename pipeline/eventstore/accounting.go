package eventstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Duplicates are events or lines of one source and hour (of arrival) that were
// dropped because their id was stored before, within one range of offsets.
type Duplicates struct {
	Tenant tenant.ID
	Source string
	Table  Table
	Hour   time.Time // start of the hour of arrival, UTC
	N      uint64
}

// RecordDuplicates notes what was dropped of a range. Noting the same range
// again, with the same content, counts once.
func (s *Store) RecordDuplicates(ctx context.Context, r Range, dups []Duplicates) error {
	if len(dups) == 0 {
		return nil
	}
	var (
		slugs, sources, kinds, topics []string
		hours                         []time.Time
		partitions                    []uint32
		firsts                        []int64
		ns                            []uint64
	)
	for _, d := range dups {
		slugs, sources, kinds = append(slugs, d.Tenant.String()), append(sources, d.Source), append(kinds, string(d.Table))
		topics, partitions, firsts = append(topics, r.TopicID), append(partitions, r.Partition), append(firsts, r.First)
		hours, ns = append(hours, d.Hour), append(ns, d.N)
	}
	return s.insert(ctx, "duplicates", []column{
		col("tenant_id", "String", slugs), col("hour", "DateTime('UTC')", hours), col("source", "String", sources), col("kind", "String", kinds),
		col("kafka_topic_id", "String", topics), col("kafka_partition", "UInt32", partitions), col("first_offset", "Int64", firsts), col("n", "UInt64", ns),
	}, nil)
}

// AccountingRequest narrows the accounts by time of arrival.
type AccountingRequest struct {
	From, To time.Time // From included, To not; zero: open
}

// Account is one hour of one source. What was received of it through the log
// is Stored + Duplicates + Quarantined + QuarantinedAgain; what was refused
// never reached the log. Stored is Live + Expired + Erased.
type Account struct {
	Hour             time.Time // start of the hour of arrival, UTC
	Source           string
	Stored           uint64 // events that were ever stored
	Live             uint64 // events that are still there
	Occurrences      uint64 // of them, by their counts: a line that says it was repeated N times counts N
	Duplicates       uint64 // events dropped by their id
	Quarantined      uint64 // lines, replayed ones too
	QuarantinedAgain uint64 // lines dropped by their id
	// Of Stored, events that are no longer there: Stored = live + Expired +
	// Erased. Occurrences and Quarantined count what is gone as well.
	Expired, Erased uint64
	// Missing are events that were there at the end of an hour, are not, and
	// whose removal nobody noted.
	Missing         uint64
	Replayed        uint64 // of the quarantined lines: read again since, their events count as received anew
	Refused         uint64 // lines a collector read and refused
	RefusedRequests uint64
}

// Accounting adds up what the store took from a tenant's sources, by hour of
// arrival, oldest first, at most 100,000 rows.
func (s *Store) Accounting(ctx context.Context, t tenant.ID, req AccountingRequest) ([]Account, error) {
	r, err := s.reading(ctx, t, "accounting")
	if err != nil {
		return nil, err
	}
	defer r.end()
	within := func(column string) string {
		w := r.cond
		if !req.From.IsZero() {
			w += " AND " + column + " >= fromUnixTimestamp64Nano({from:Int64})"
		}
		if !req.To.IsZero() {
			w += " AND " + column + " < fromUnixTimestamp64Nano({to:Int64})"
		}
		return w
	}
	if !req.From.IsZero() {
		r.bind("from", strconv.FormatInt(clampNano(req.From), 10))
	}
	if !req.To.IsZero() {
		r.bind("to", strconv.FormatInt(clampNano(req.To), 10))
	}
	sql := `SELECT h, src, sum(live), sum(seal), sum(occurrences), sum(dup), sum(quar), sum(again), sum(expired), sum(erased), sum(rep), sum(ref), sum(reqs) FROM (
		SELECT toUnixTimestamp(toStartOfHour(ingested_at)) AS h, toString(source) AS src, count() AS live, toUInt64(0) AS seal, sum(count) AS occurrences, toUInt64(0) AS dup, toUInt64(0) AS quar,
			toUInt64(0) AS again, toUInt64(0) AS expired, toUInt64(0) AS erased, toUInt64(0) AS rep, toUInt64(0) AS ref, toUInt64(0) AS reqs FROM events WHERE ` + within("ingested_at") + ` GROUP BY h, src
		UNION ALL SELECT toUnixTimestamp(hour), toString(source), 0, n, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM sealed FINAL WHERE ` + within("hour") + `
		UNION ALL SELECT toUnixTimestamp(toStartOfHour(received_at)), toString(source), 0, 0, 0, 0, count(), 0, 0, 0,
			countIf(id IN (SELECT id FROM quarantine_outcomes WHERE ` + r.cond + `)), 0, 0 FROM quarantine WHERE ` + within("received_at") + ` GROUP BY 1, 2
		UNION ALL SELECT toUnixTimestamp(hour), toString(source), 0, 0, 0, sumIf(n, kind = 'events'), 0, sumIf(n, kind = 'quarantine'), 0, 0, 0, 0, 0
			FROM duplicates FINAL WHERE ` + within("hour") + ` GROUP BY 1, 2
		UNION ALL SELECT toUnixTimestamp(hour), toString(source), 0, 0, sumIf(occurrences, kind = 'events'), 0, sumIf(n, kind = 'quarantine'), 0,
			sumIf(n, kind = 'events' AND cause = 'expired'), sumIf(n, kind = 'events' AND cause = 'erased'), 0, 0, 0
			FROM removals FINAL WHERE done = 1 AND ` + within("hour") + ` GROUP BY 1, 2
		UNION ALL SELECT toUnixTimestamp(hour), toString(source), 0, 0, 0, 0, 0, 0, 0, 0, 0, sum(n), sum(requests) FROM refusals FINAL WHERE ` + within("hour") + ` GROUP BY 1, 2
		) GROUP BY h, src ORDER BY h, src LIMIT 100000`
	var out []Account
	if err := r.each(sql, func(rs driver.Rows) error {
		var a Account
		var hour uint32
		var sealed uint64
		if err := rs.Scan(&hour, &a.Source, &a.Live, &sealed, &a.Occurrences, &a.Duplicates, &a.Quarantined, &a.QuarantinedAgain, &a.Expired, &a.Erased, &a.Replayed, &a.Refused, &a.RefusedRequests); err != nil {
			return err
		}
		a.Hour = time.Unix(int64(hour), 0).UTC()
		a.Stored = a.Live + a.Expired + a.Erased
		a.Missing = sealed - min(sealed, a.Stored)
		out = append(out, a)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("accounting: %w", err)
	}
	return out, nil
}

// Freshness is how far behind a tenant's stored events are; zero times without
// any event.
type Freshness struct {
	Event   time.Time // the newest event's own time
	Arrival time.Time // when the newest one arrived
}

// Freshness looks at a tenant's newest events.
func (s *Store) Freshness(ctx context.Context, t tenant.ID) (f Freshness, err error) {
	r, err := s.reading(ctx, t, "accounting")
	if err != nil {
		return f, err
	}
	defer r.end()
	err = r.each(`SELECT toUnixTimestamp64Nano(max(time)), toUnixTimestamp64Nano(max(ingested_at)), count() FROM events WHERE `+r.cond+` AND source != '`+event.TrailSource+`'`, func(rs driver.Rows) error {
		var at, in int64
		var n uint64
		if err := rs.Scan(&at, &in, &n); err != nil {
			return err
		}
		if n > 0 {
			f.Event, f.Arrival = time.Unix(0, at).UTC(), time.Unix(0, in).UTC()
		}
		return nil
	})
	if err != nil {
		return f, fmt.Errorf("freshness: %w", err)
	}
	return f, nil
}

// QuarantineRequest says which of a tenant's quarantined lines to read, newest
// first.
type QuarantineRequest struct {
	From, To time.Time // of arrival; zero: open
	Source   string    // empty: all
	Pattern  string    // of a QuarantineGroup; empty: all
	State    LineState
	Limit    int       // 1 to MaxLimit; 0: 100
	After    *Position // continue behind this line; its time is ReceivedAt
}

// QuarantinePage is one page; Next is nil on the last one.
type QuarantinePage struct {
	Lines []event.Quarantined
	Next  *Position
}

// Quarantine reads one page of a tenant's quarantined lines.
func (s *Store) Quarantine(ctx context.Context, t tenant.ID, req QuarantineRequest) (QuarantinePage, error) {
	r, err := s.reading(ctx, t, "quarantine")
	if err != nil {
		return QuarantinePage{}, err
	}
	defer r.end()
	where := r.scope(QuarantineScope{From: req.From, To: req.To, Source: req.Source, Pattern: req.Pattern, State: req.State})
	if req.After != nil {
		r.bind("at", strconv.FormatInt(req.After.Time, 10))
		r.bind("after", req.After.ID)
		const at = "fromUnixTimestamp64Nano({at:Int64})"
		where += " AND received_at <= " + at + " AND (received_at < " + at + " OR id < {after:String})"
	}
	limit := req.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, MaxLimit)
	var page QuarantinePage
	err = r.each(`SELECT tenant_id, id, toUnixTimestamp64Nano(received_at), source, format, reason, line, byte_offset, raw FROM quarantine
		WHERE `+where+` ORDER BY received_at DESC, id DESC LIMIT `+strconv.Itoa(limit+1), func(rs driver.Rows) error {
		var q event.Quarantined
		var slug, raw string
		if err := rs.Scan(&slug, &q.ID, &q.ReceivedAt, &q.Source, &q.Format, &q.Reason, &q.Line, &q.Offset, &raw); err != nil {
			return err
		}
		if slug != t.String() {
			return fmt.Errorf("%w: the answer holds a line of another tenant", errForeignRow)
		}
		if len(page.Lines) == limit {
			last := page.Lines[limit-1]
			page.Next = &Position{Time: last.ReceivedAt, ID: last.ID}
			return nil
		}
		q.Tenant, q.Raw = t, []byte(raw)
		page.Lines = append(page.Lines, q)
		return nil
	})
	if err != nil {
		return QuarantinePage{}, fmt.Errorf("read quarantine: %w", err)
	}
	return page, nil
}
