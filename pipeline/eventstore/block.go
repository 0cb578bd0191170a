package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/cespare/xxhash/v2"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Origin is where a row came from: it is unique among the rows of a table.
type Origin struct {
	TopicID   string
	Partition uint32
	Offset    int64
	Index     uint32 // within the record
}

// Table names one of the two tables that are filled from the log.
type Table string

// The tables filled from the log.
const (
	Events     Table = "events"
	Quarantine Table = "quarantine"
)

// Block is rows of one table for one month of arrival, which is one ClickHouse
// partition: the unit that is inserted whole or not at all. Build it with
// AddEvent or AddQuarantined; it keeps references to what it was given.
type Block struct {
	table Table
	month int
	rows  int
	sum   uint64
	ev    *eventColumns
	q     *quarantineColumns
}

// NewBlock makes an empty block for a month as Month gives it.
func NewBlock(t Table, month int) *Block {
	b := &Block{table: t, month: month}
	if t == Events {
		b.ev = &eventColumns{}
	} else {
		b.q = &quarantineColumns{}
	}
	return b
}

// Table is the block's table.
func (b *Block) Table() Table { return b.table }

// Month is the block's ClickHouse partition.
func (b *Block) Month() int { return b.month }

// Rows is the number of rows.
func (b *Block) Rows() int { return b.rows }

// Sum is the exclusive or of the hashes of the rows' ids: with the number of
// rows it tells this block from any other of the same range.
func (b *Block) Sum() uint64 { return b.sum }

// The arrival times that the store keeps apart; a clock outside is nonsense.
var (
	earliest = time.Unix(0, 0).UTC()
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

func arrival(ns int64) time.Time {
	t := time.Unix(0, ns).UTC()
	if t.Before(earliest) {
		return earliest
	}
	if t.After(latest) {
		return latest
	}
	return t
}

// Month is the ClickHouse partition of a row that arrived at ns (Unix
// nanoseconds): year*100+month, in UTC.
func Month(ns int64) int {
	t := arrival(ns)
	return t.Year()*100 + int(t.Month())
}

// IDHash is the hash of an id that Sum, IDHashes and the engine (xxHash64) share.
func IDHash(id string) uint64 { return xxhash.Sum64String(id) }

// labels lets the driver write them in order, repeated keys included.
type labels []event.Label

func (l labels) Put(key, value any) {} // reading goes another way

func (l labels) Iterator() chcolumn.MapIterator { return &labelIterator{l: l, i: -1} }

type labelIterator struct {
	l []event.Label
	i int
}

func (it *labelIterator) Next() bool { it.i++; return it.i < len(it.l) }
func (it *labelIterator) Key() any   { return it.l[it.i].Key }
func (it *labelIterator) Value() any { return it.l[it.i].Value }

type originColumns struct {
	topicID   []string
	partition []uint32
	offset    []int64
	index     []uint32
}

func (c *originColumns) add(o Origin) {
	c.topicID = append(c.topicID, o.TopicID)
	c.partition = append(c.partition, o.Partition)
	c.offset = append(c.offset, o.Offset)
	c.index = append(c.index, o.Index)
}

type eventColumns struct {
	originColumns
	tenant, id, action, outcome, actor, actorType, cohort, session, srcIP, country, city, userAgent, device,
	resource, resourceType, method, source, format, raw []string
	time, ingested     []time.Time
	class, asn, count  []uint32
	flags              []uint32
	activity, severity []uint8
	hasPosition        []uint8
	lat, lon, duration []float64
	status             []uint16
	bytesIn, bytesOut  []uint64
	labels             []labels
}

// AddEvent appends one event. Its month must be the block's.
func (b *Block) AddEvent(e *event.Event, o Origin) {
	c := b.ev
	b.count(e.ID)
	c.add(o)
	c.tenant = append(c.tenant, e.Tenant.String())
	c.id = append(c.id, e.ID)
	c.time = append(c.time, time.Unix(0, e.Time))
	c.ingested = append(c.ingested, arrival(e.IngestedAt))
	c.class = append(c.class, uint32(e.Class))
	c.activity = append(c.activity, e.Activity)
	c.action = append(c.action, e.Action)
	c.outcome = append(c.outcome, e.Outcome.String())
	c.severity = append(c.severity, e.Severity)
	c.actor = append(c.actor, e.Actor)
	c.actorType = append(c.actorType, e.ActorType)
	c.cohort = append(c.cohort, e.Cohort)
	c.session = append(c.session, e.Session)
	c.srcIP = append(c.srcIP, e.SrcIP)
	c.country = append(c.country, e.Country)
	c.city = append(c.city, e.City)
	c.lat = append(c.lat, e.Latitude)
	c.lon = append(c.lon, e.Longitude)
	var has uint8
	if e.HasPosition {
		has = 1
	}
	c.hasPosition = append(c.hasPosition, has)
	c.asn = append(c.asn, e.ASN)
	c.userAgent = append(c.userAgent, e.UserAgent)
	c.device = append(c.device, e.Device)
	c.resource = append(c.resource, e.Resource)
	c.resourceType = append(c.resourceType, e.ResourceType)
	c.method = append(c.method, e.HTTPMethod)
	c.status = append(c.status, e.Status)
	c.bytesIn = append(c.bytesIn, e.BytesIn)
	c.bytesOut = append(c.bytesOut, e.BytesOut)
	c.duration = append(c.duration, finite(e.Duration))
	c.count = append(c.count, e.Count)
	c.source = append(c.source, e.Source)
	c.format = append(c.format, e.Format)
	c.labels = append(c.labels, e.Labels)
	c.raw = append(c.raw, e.Raw)
	c.flags = append(c.flags, uint32(e.Flags))
}

func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

type quarantineColumns struct {
	originColumns
	tenant, id, source, format, reason, raw []string
	received                                []time.Time
	line, offset                            []uint64
}

// AddQuarantined appends one line. Its month must be the block's. The tenant
// may be zero: then no tenant's read finds it.
func (b *Block) AddQuarantined(q *event.Quarantined, o Origin) {
	c := b.q
	b.count(q.ID)
	c.add(o)
	c.tenant = append(c.tenant, q.Tenant.String())
	c.id = append(c.id, q.ID)
	c.received = append(c.received, arrival(q.ReceivedAt))
	c.source = append(c.source, q.Source)
	c.format = append(c.format, q.Format)
	c.reason = append(c.reason, q.Reason)
	c.line = append(c.line, q.Line)
	c.offset = append(c.offset, q.Offset)
	c.raw = append(c.raw, string(q.Raw))
}

func (b *Block) count(id string) {
	b.rows++
	b.sum ^= IDHash(id)
}

// column is one column of a block: its name, the type it is sent as (the
// engine converts to the table's, which spares the driver's slow dictionaries)
// and its values.
type column struct {
	name, kind string
	values     any
	n          int
}

func col[T any](name, kind string, v []T) column { return column{name, kind, v, len(v)} }

func (c *originColumns) columns() iter.Seq[column] {
	return func(yield func(column) bool) {
		_ = yield(col("kafka_topic_id", "String", c.topicID)) && yield(col("kafka_partition", "UInt32", c.partition)) &&
			yield(col("kafka_offset", "Int64", c.offset)) && yield(col("kafka_index", "UInt32", c.index))
	}
}

func (b *Block) columns() []column {
	const text, instant = "String", "DateTime64(9, 'UTC')"
	var out []column
	if c := b.ev; c != nil {
		out = []column{
			col("tenant_id", text, c.tenant), col("id", text, c.id), col("time", instant, c.time), col("ingested_at", instant, c.ingested),
			col("class_uid", "UInt32", c.class), col("activity", "UInt8", c.activity), col("action", text, c.action), col("outcome", text, c.outcome),
			col("severity", "UInt8", c.severity), col("actor", text, c.actor), col("actor_type", text, c.actorType), col("cohort", text, c.cohort),
			col("session", text, c.session), col("src_ip", text, c.srcIP), col("country", text, c.country), col("city", text, c.city),
			col("latitude", "Float64", c.lat), col("longitude", "Float64", c.lon), col("has_position", "UInt8", c.hasPosition), col("asn", "UInt32", c.asn),
			col("user_agent", text, c.userAgent), col("device", text, c.device), col("resource", text, c.resource), col("resource_type", text, c.resourceType),
			col("http_method", text, c.method), col("status", "UInt16", c.status), col("bytes_in", "UInt64", c.bytesIn), col("bytes_out", "UInt64", c.bytesOut),
			col("duration", "Float64", c.duration), col("count", "UInt32", c.count), col("source", text, c.source), col("format", text, c.format),
			col("labels", "Map(String, String)", c.labels), col("raw", text, c.raw), col("flags", "UInt32", c.flags),
		}
		for o := range c.originColumns.columns() {
			out = append(out, o)
		}
		return out
	}
	c := b.q
	out = []column{
		col("tenant_id", text, c.tenant), col("id", text, c.id), col("received_at", instant, c.received), col("source", text, c.source),
		col("format", text, c.format), col("reason", text, c.reason), col("line", "UInt64", c.line), col("byte_offset", "UInt64", c.offset), col("raw", text, c.raw),
	}
	for o := range c.originColumns.columns() {
		out = append(out, o)
	}
	return out
}

// Insert stores a block in one piece under a deduplication token. nil: it is
// on disk, now or since an earlier insert under the token. An error leaves it
// open whether it is.
func (s *Store) Insert(ctx context.Context, b *Block, token string) error {
	if b.rows == 0 {
		return errors.New("insert: the block is empty")
	}
	if token == "" {
		return errors.New("insert: no deduplication token given")
	}
	return s.insert(ctx, string(b.table), b.columns(), clickhouse.Settings{
		"insert_deduplicate": 1, "insert_deduplication_token": token,
	})
}

// insert sends columns as one block into one part.
func (s *Store) insert(ctx context.Context, table string, cols []column, extra clickhouse.Settings) error {
	set := clickhouse.Settings{
		"async_insert": 0, "wait_end_of_query": 1, "max_insert_threads": 1,
		// One block in, one block out: the engine must not cut it.
		"max_insert_block_size": 1 << 24, "min_insert_block_size_rows": 1 << 24, "min_insert_block_size_bytes": 4 << 30,
		"max_partitions_per_insert_block": 1,
	}
	for k, v := range extra {
		set[k] = v
	}
	ctx, cancel := s.work(ctx, set)
	defer cancel()
	kinds := make([]clickhouse.ColumnNameAndType, len(cols))
	names := make([]string, len(cols))
	for i, c := range cols {
		// The driver sends a block whose columns differ in length as an empty
		// one and reports success, so it must never come to that.
		if c.n != cols[0].n {
			return fmt.Errorf("insert into %s: column %s has %d rows, %s has %d", table, c.name, c.n, cols[0].name, cols[0].n)
		}
		kinds[i] = clickhouse.ColumnNameAndType{Name: c.name, Type: c.kind}
		names[i] = c.name
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithColumnNamesAndTypes(kinds))
	began := time.Now()
	batch, err := s.conn.PrepareBatch(ctx, "INSERT INTO "+table+" ("+strings.Join(names, ", ")+")")
	if err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	defer batch.Close() //nolint:errcheck // after Send it does nothing
	for i, c := range cols {
		if err := batch.Column(i).Append(c.values); err != nil {
			return fmt.Errorf("insert into %s: column %s: %w", table, c.name, err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert %d rows into %s: %w", cols[0].n, table, err)
	}
	s.m.inserts.WithLabelValues(table).Observe(time.Since(began).Seconds())
	s.m.rows.WithLabelValues(table).Add(float64(cols[0].n))
	return nil
}
