package eventstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// TailPosition is how far a reader of a tenant's events has come, by the parts
// of the store: in each, rows appear in the order of offset and index, since
// one writer inserts its blocks one after another. The key is topic id,
// partition and month; the JSON form is what is kept.
type TailPosition map[string]TailPlace

// TailPlace is the last row that was read of one part.
type TailPlace struct {
	Offset int64  `json:"o"`
	Index  uint32 `json:"i"`
}

// TailHead is a part of a tenant's events beyond a position.
type TailHead struct {
	Topic     string
	Partition uint32
	Month     uint32
	Last      TailPlace
	Rows      uint64    // beyond the position
	Oldest    time.Time // when the first of them came in
}

func (h TailHead) key() string {
	return h.Topic + "/" + strconv.FormatUint(uint64(h.Partition), 10) + "/" + strconv.FormatUint(uint64(h.Month), 10)
}

// After is a position behind this part as it is now.
func (h TailHead) After(p TailPosition) TailPosition {
	out := TailPosition{h.key(): h.Last}
	for k, v := range p {
		if k != h.key() {
			out[k] = v
		}
	}
	return out
}

// beyond is the condition of what lies behind a position; parts that it does
// not know are behind it whole.
func (r *tenantRead) beyond(p TailPosition) string {
	if len(p) == 0 {
		return "1"
	}
	var read []string
	i := 0
	for key, place := range p {
		parts := strings.Split(key, "/")
		if len(parts) != 3 {
			continue
		}
		n := strconv.Itoa(i)
		i++
		r.bind("topic"+n, parts[0])
		r.bind("part"+n, parts[1])
		r.bind("month"+n, parts[2])
		r.bind("off"+n, strconv.FormatInt(place.Offset, 10))
		r.bind("ix"+n, strconv.FormatUint(uint64(place.Index), 10))
		read = append(read, "(kafka_topic_id = {topic"+n+":String} AND kafka_partition = {part"+n+":UInt32} AND toYYYYMM(ingested_at) = {month"+n+":UInt32}"+
			" AND (kafka_offset < {off"+n+":Int64} OR kafka_offset = {off"+n+":Int64} AND kafka_index <= {ix"+n+":UInt32}))")
	}
	return "NOT (" + strings.Join(read, " OR ") + ")"
}

// Heads are the parts of a tenant's events with rows beyond a position; the
// empty position is before everything.
func (s *Store) Heads(ctx context.Context, t tenant.ID, p TailPosition) (out []TailHead, err error) {
	err = s.about(ctx, t, "tail_heads", Scope{}, func(r *tenantRead, where string) error {
		return r.each(`SELECT toString(kafka_topic_id) AS topic, kafka_partition AS part, toYYYYMM(ingested_at) AS month,
			(max((kafka_offset, kafka_index)) AS top).1, top.2, count(), toUnixTimestamp64Nano(min(ingested_at)) FROM events WHERE `+where+` AND `+r.beyond(p)+` GROUP BY topic, part, month ORDER BY topic, part, month`,
			func(rows driver.Rows) error {
				var h TailHead
				var oldest int64
				if err := rows.Scan(&h.Topic, &h.Partition, &h.Month, &h.Last.Offset, &h.Last.Index, &h.Rows, &oldest); err != nil {
					return err
				}
				h.Oldest = time.Unix(0, oldest).UTC()
				out = append(out, h)
				return nil
			})
	})
	return out, err
}

// Tail reads events of one part beyond a position, in the order in which they
// were stored, that match the query: at most limit. The position it gives is
// behind the last of them, or behind the whole part when nothing more matches,
// so that what does not match is passed over once.
func (s *Store) Tail(ctx context.Context, t tenant.ID, p TailPosition, h TailHead, q *query.Query, limit int) (events []event.Event, next TailPosition, err error) {
	limit = max(1, min(limit, MaxLimit))
	next = TailPosition{}
	for k, v := range p {
		next[k] = v
	}
	next[h.key()] = h.Last
	var last TailPlace
	err = s.about(ctx, t, "tail", Scope{Query: q}, func(r *tenantRead, where string) error {
		for name, v := range map[string]string{"topic": h.Topic, "part": strconv.FormatUint(uint64(h.Partition), 10), "month": strconv.FormatUint(uint64(h.Month), 10),
			"ho": strconv.FormatInt(h.Last.Offset, 10), "hi": strconv.FormatUint(uint64(h.Last.Index), 10)} {
			r.bind(name, v)
		}
		where += ` AND kafka_topic_id = {topic:String} AND kafka_partition = {part:UInt32} AND toYYYYMM(ingested_at) = {month:UInt32}
			AND kafka_offset <= {ho:Int64} AND (kafka_offset < {ho:Int64} OR kafka_index <= {hi:UInt32})`
		if at, ok := p[h.key()]; ok {
			r.bind("lo", strconv.FormatInt(at.Offset, 10))
			r.bind("li", strconv.FormatUint(uint64(at.Index), 10))
			where += ` AND kafka_offset >= {lo:Int64} AND (kafka_offset > {lo:Int64} OR kafka_index > {li:UInt32})`
		}
		return r.each("SELECT "+eventFields+", kafka_offset, kafka_index FROM events WHERE "+where+" ORDER BY kafka_offset, kafka_index LIMIT "+strconv.Itoa(limit), func(rows driver.Rows) error {
			e, err := scanEvent(tailRow{rows, &last}, t)
			if err != nil {
				return err
			}
			events = append(events, *e)
			return nil
		})
	})
	if err != nil {
		return nil, nil, err
	}
	if len(events) == limit {
		next[h.key()] = last
	}
	return events, next, nil
}

// tailRow scans a row's place behind its fields.
type tailRow struct {
	driver.Rows
	at *TailPlace
}

func (r tailRow) Scan(into ...any) error {
	if err := r.Rows.Scan(append(into, &r.at.Offset, &r.at.Index)...); err != nil {
		return fmt.Errorf("row with its place: %w", err)
	}
	return nil
}
