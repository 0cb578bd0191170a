package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
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
// AddEvent or AddQuarantined; it holds the bytes as they are sent and keeps no
// reference to what it was given.
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

type originColumns struct {
	topicID                  texts
	partition, offset, index fixed
}

func (c *originColumns) add(o Origin) {
	c.topicID.add(o.TopicID)
	c.partition.add32(o.Partition)
	c.offset.add64(uint64(o.Offset))
	c.index.add32(o.Index)
}

func (c *originColumns) columns() []nativeColumn {
	return []nativeColumn{
		{"kafka_topic_id", kindText, c.topicID}, {"kafka_partition", "UInt32", c.partition}, {"kafka_offset", "Int64", c.offset}, {"kafka_index", "UInt32", c.index},
	}
}

type eventColumns struct {
	originColumns
	tenant, id, action, outcome, actor, actorType, cohort, session, srcIP, country, city, userAgent, device,
	resource, resourceType, method, source, format, raw texts
	time, ingested, class, asn, count, flags, activity, severity, hasPosition, lat, lon, duration, status, bytesIn, bytesOut fixed
	labels                                                                                                                   maps
}

// AddEvent appends one event. Its month must be the block's.
func (b *Block) AddEvent(e *event.Event, o Origin) {
	c := b.ev
	b.count(e.ID)
	c.add(o)
	c.tenant.add(e.Tenant.String())
	c.id.add(e.ID)
	c.time.add64(uint64(e.Time))
	c.ingested.add64(uint64(arrival(e.IngestedAt).UnixNano()))
	c.class.add32(uint32(e.Class))
	c.activity.add8(e.Activity)
	c.action.add(e.Action)
	c.outcome.add(e.Outcome.String())
	c.severity.add8(e.Severity)
	c.actor.add(e.Actor)
	c.actorType.add(e.ActorType)
	c.cohort.add(e.Cohort)
	c.session.add(e.Session)
	c.srcIP.add(e.SrcIP)
	c.country.add(e.Country)
	c.city.add(e.City)
	c.lat.addFloat(e.Latitude)
	c.lon.addFloat(e.Longitude)
	var has uint8
	if e.HasPosition {
		has = 1
	}
	c.hasPosition.add8(has)
	c.asn.add32(e.ASN)
	c.userAgent.add(e.UserAgent)
	c.device.add(e.Device)
	c.resource.add(e.Resource)
	c.resourceType.add(e.ResourceType)
	c.method.add(e.HTTPMethod)
	c.status.add16(e.Status)
	c.bytesIn.add64(e.BytesIn)
	c.bytesOut.add64(e.BytesOut)
	c.duration.addFloat(finite(e.Duration))
	c.count.add32(e.Count)
	c.source.add(e.Source)
	c.format.add(e.Format)
	c.labels.add(e.Labels)
	c.raw.add(e.Raw)
	c.flags.add32(uint32(e.Flags))
}

func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

type quarantineColumns struct {
	originColumns
	tenant, id, source, format, reason, raw texts
	received, line, offset                  fixed
}

// AddQuarantined appends one line. Its month must be the block's. The tenant
// may be zero: then no tenant's read finds it.
func (b *Block) AddQuarantined(q *event.Quarantined, o Origin) {
	c := b.q
	b.count(q.ID)
	c.add(o)
	c.tenant.add(q.Tenant.String())
	c.id.add(q.ID)
	c.received.add64(uint64(arrival(q.ReceivedAt).UnixNano()))
	c.source.add(q.Source)
	c.format.add(q.Format)
	c.reason.add(q.Reason)
	c.line.add64(q.Line)
	c.offset.add64(q.Offset)
	c.raw.add(string(q.Raw))
}

func (b *Block) count(id string) {
	b.rows++
	b.sum ^= IDHash(id)
}

func (b *Block) columns() []nativeColumn {
	if c := b.ev; c != nil {
		return append([]nativeColumn{
			{"tenant_id", kindText, c.tenant}, {"id", kindText, c.id}, {"time", kindInstant, c.time}, {"ingested_at", kindInstant, c.ingested},
			{"class_uid", "UInt32", c.class}, {"activity", "UInt8", c.activity}, {"action", kindText, c.action}, {"outcome", kindText, c.outcome},
			{"severity", "UInt8", c.severity}, {"actor", kindText, c.actor}, {"actor_type", kindText, c.actorType}, {"cohort", kindText, c.cohort},
			{"session", kindText, c.session}, {"src_ip", kindText, c.srcIP}, {"country", kindText, c.country}, {"city", kindText, c.city},
			{"latitude", "Float64", c.lat}, {"longitude", "Float64", c.lon}, {"has_position", "UInt8", c.hasPosition}, {"asn", "UInt32", c.asn},
			{"user_agent", kindText, c.userAgent}, {"device", kindText, c.device}, {"resource", kindText, c.resource}, {"resource_type", kindText, c.resourceType},
			{"http_method", kindText, c.method}, {"status", "UInt16", c.status}, {"bytes_in", "UInt64", c.bytesIn}, {"bytes_out", "UInt64", c.bytesOut},
			{"duration", "Float64", c.duration}, {"count", "UInt32", c.count}, {"source", kindText, c.source}, {"format", kindText, c.format},
			{"labels", kindMap, c.labels.bytes()}, {"raw", kindText, c.raw}, {"flags", "UInt32", c.flags},
		}, c.originColumns.columns()...)
	}
	c := b.q
	return append([]nativeColumn{
		{"tenant_id", kindText, c.tenant}, {"id", kindText, c.id}, {"received_at", kindInstant, c.received}, {"source", kindText, c.source},
		{"format", kindText, c.format}, {"reason", kindText, c.reason}, {"line", "UInt64", c.line}, {"byte_offset", "UInt64", c.offset}, {"raw", kindText, c.raw},
	}, c.originColumns.columns()...)
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
	set := clickhouse.Settings{"insert_deduplicate": 1, "insert_deduplication_token": token}
	if s.cfg.Native {
		return s.insert(ctx, string(b.table), driverColumns(b.columns(), b.rows), set)
	}
	return s.insertNative(ctx, string(b.table), b.columns(), b.rows, set)
}

// wholeBlock are the settings under which one block in is one part out.
func wholeBlock(extra clickhouse.Settings) clickhouse.Settings {
	set := clickhouse.Settings{
		"async_insert": 0, "wait_end_of_query": 1, "max_insert_threads": 1,
		// One block in, one block out: the engine must not cut it.
		"max_insert_block_size": 1 << 24, "min_insert_block_size_rows": 1 << 24, "min_insert_block_size_bytes": 4 << 30,
		"max_partitions_per_insert_block": 1,
	}
	for k, v := range extra {
		set[k] = v
	}
	return set
}

// column is one column of a block for the driver: its name, the type it is sent
// as (the engine converts to the table's, which spares the driver's slow
// dictionaries) and its values.
type column struct {
	name, kind string
	values     any
	n          int
}

func col[T any](name, kind string, v []T) column { return column{name, kind, v, len(v)} }

// insert sends columns as one block into one part, through the driver.
func (s *Store) insert(ctx context.Context, table string, cols []column, extra clickhouse.Settings) error {
	set := wholeBlock(extra)
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
