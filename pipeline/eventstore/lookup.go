package eventstore

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Range is the offsets First to Last, both included, of one partition of one
// topic.
type Range struct {
	TopicID   string
	Partition uint32
	First     int64
	Last      int64
}

// Found is what the store holds of a range in one month: as Block's Rows and Sum.
type Found struct {
	Rows uint64
	Sum  uint64
}

// Find counts the rows that came from r and lie in a month's partition.
func (s *Store) Find(ctx context.Context, t Table, month int, r Range) (Found, error) {
	ctx, cancel := s.work(ctx, nil)
	defer cancel()
	when := "ingested_at"
	if t == Quarantine {
		when = "received_at"
	}
	var f Found
	err := s.conn.QueryRow(ctx, `SELECT count(), groupBitXor(xxHash64(id)) FROM `+string(t)+`
		WHERE kafka_topic_id = {topic:String} AND kafka_partition = {partition:UInt32}
		AND kafka_offset >= {first:Int64} AND kafka_offset <= {last:Int64} AND toYYYYMM(`+when+`) = {month:UInt32}`,
		append(r.args(), clickhouse.Named("month", strconv.Itoa(month)))...).Scan(&f.Rows, &f.Sum)
	if err != nil {
		return Found{}, fmt.Errorf("count the rows of %s partition %d offsets %d to %d: %w", t, r.Partition, r.First, r.Last, err)
	}
	return f, nil
}

func (r Range) args() []any {
	return []any{
		clickhouse.Named("topic", r.TopicID), clickhouse.Named("partition", strconv.FormatUint(uint64(r.Partition), 10)),
		clickhouse.Named("first", strconv.FormatInt(r.First, 10)), clickhouse.Named("last", strconv.FormatInt(r.Last, 10)),
	}
}

// Ref is an id to look for and, when it is known, the event's own time, which
// makes the search short when the store has it there.
type Ref struct {
	ID   string
	Time int64 // Unix nanoseconds; 0: unknown
}

// refsPerLookup bounds the size of one statement.
const refsPerLookup = 2000

// Known tells which of a tenant's ids the table holds already, over its whole
// retention, not counting rows that came from except: those are the very rows
// that are being written again. t may be zero for quarantined lines without one.
func (s *Store) Known(ctx context.Context, table Table, t tenant.ID, refs []Ref, except Range) (map[string]struct{}, error) {
	known := map[string]struct{}{}
	for len(refs) > 0 {
		n := min(len(refs), refsPerLookup)
		part := refs[:n]
		refs = refs[n:]
		// Most repetitions carry the time they had: the primary key finds them.
		lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
		for _, r := range part {
			lo, hi = min(lo, r.Time), max(hi, r.Time)
		}
		if lo != 0 && table == Events {
			if err := s.known(ctx, table, t, part, except, fmt.Sprintf(" AND time >= fromUnixTimestamp64Nano(%d) AND time <= fromUnixTimestamp64Nano(%d)", lo, hi), known); err != nil {
				return nil, err
			}
		}
		var rest []Ref
		for _, r := range part {
			if _, ok := known[r.ID]; !ok {
				rest = append(rest, r)
			}
		}
		if len(rest) > 0 {
			if err := s.known(ctx, table, t, rest, except, "", known); err != nil {
				return nil, err
			}
		}
	}
	return known, nil
}

func (s *Store) known(ctx context.Context, table Table, t tenant.ID, refs []Ref, except Range, and string, known map[string]struct{}) error {
	ctx, cancel := s.work(ctx, nil)
	defer cancel()
	// Ids are the senders' text: they go as hexadecimal literals, since so many
	// do not fit into bound parameters.
	ids := make([]string, len(refs))
	for i, r := range refs {
		ids[i] = r.ID
	}
	rows, err := s.conn.Query(ctx, `SELECT DISTINCT id FROM `+string(table)+` WHERE tenant_id = {tenant:String}`+and+` AND id IN (`+hexList(ids)+`)
		AND NOT (kafka_topic_id = {topic:String} AND kafka_partition = {partition:UInt32} AND kafka_offset >= {first:Int64} AND kafka_offset <= {last:Int64})`,
		append(except.args(), clickhouse.Named("tenant", t.String()))...)
	if err != nil {
		return fmt.Errorf("look for known ids: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err is checked
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("look for known ids: %w", err)
		}
		known[id] = struct{}{}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look for known ids: %w", err)
	}
	return nil
}

// IDHashes gives the hashes of all ids the store holds of a tenant's events to
// fn, and how many there are before it begins; fn is not called when there are
// more than most. It fills the writer's memory when a partition is taken over.
func (s *Store) IDHashes(ctx context.Context, t tenant.ID, most uint64, fn func(hash uint64)) (rows uint64, err error) {
	if t.IsZero() {
		return 0, fmt.Errorf("read the hashes of ids: %w", tenant.ErrZero)
	}
	ctx, cancel := s.work(ctx, nil)
	defer cancel()
	arg := clickhouse.Named("tenant", t.String())
	if err := s.conn.QueryRow(ctx, "SELECT count() FROM events WHERE tenant_id = {tenant:String}", arg).Scan(&rows); err != nil {
		return 0, fmt.Errorf("count the ids of a tenant: %w", err)
	}
	if rows == 0 || rows > most {
		return rows, nil
	}
	// Arrays of many at a time: the driver scans row by row.
	res, err := s.conn.Query(ctx, `SELECT groupArray(h) FROM (SELECT xxHash64(id) AS h, intDiv(rowNumberInAllBlocks(), 8192) AS g
		FROM events WHERE tenant_id = {tenant:String}) GROUP BY g`, arg)
	if err != nil {
		return 0, fmt.Errorf("read the hashes of ids: %w", err)
	}
	defer res.Close() //nolint:errcheck // Err is checked
	for res.Next() {
		var hashes []uint64
		if err := res.Scan(&hashes); err != nil {
			return 0, fmt.Errorf("read the hashes of ids: %w", err)
		}
		for _, h := range hashes {
			fn(h)
		}
	}
	if err := res.Err(); err != nil {
		return 0, fmt.Errorf("read the hashes of ids: %w", err)
	}
	return rows, nil
}
