package eventstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// MaxLimit is the most events of one page.
const MaxLimit = 5000

// Position is a place between two events in the order of a search.
type Position struct {
	Time int64 // Unix nanoseconds
	ID   string
}

// SearchRequest says which of a tenant's events to read, by event time.
type SearchRequest struct {
	Query     *query.Query // nil: all
	From, To  time.Time    // From included, To not; zero: open
	Limit     int          // 1 to MaxLimit; 0: 100
	After     *Position    // continue behind this event; nil: from the start
	Ascending bool         // oldest first; default newest first
}

// SearchPage is one page; Next is nil on the last one.
type SearchPage struct {
	Events []event.Event
	Next   *Position
}

// Search reads one page of a tenant's events in the order of (time, id).
func (s *Store) Search(ctx context.Context, t tenant.ID, req SearchRequest) (SearchPage, error) {
	limit := req.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, MaxLimit)
	var page SearchPage
	err := s.scan(ctx, t, "search", req, limit+1, func(e *event.Event) error {
		if len(page.Events) == limit {
			last := &page.Events[limit-1]
			page.Next = &Position{Time: last.Time, ID: last.ID}
			return nil
		}
		page.Events = append(page.Events, *e)
		return nil
	})
	if err != nil {
		return SearchPage{}, err
	}
	return page, nil
}

// exportChunk is how many events one statement of an export reads: few enough
// that it ends in time on a slow disk, many enough that its beginning costs
// nothing.
const exportChunk = 200_000

// Each gives all events a request finds to fn, as they come from the engine,
// in constant memory: for exports. Limit bounds them; 0 is all. It ends early
// with fn's error. fn must not keep the event.
func (s *Store) Each(ctx context.Context, t tenant.ID, req SearchRequest, fn func(*event.Event) error) error {
	for left := req.Limit; ; {
		chunk := exportChunk
		if req.Limit > 0 {
			chunk = min(chunk, left)
		}
		n := 0
		var last Position
		if err := s.scan(ctx, t, "export", req, chunk, func(e *event.Event) error {
			n++
			last = Position{Time: e.Time, ID: e.ID}
			return fn(e)
		}); err != nil {
			return err
		}
		if left -= n; n < chunk || req.Limit > 0 && left <= 0 {
			return nil
		}
		req.After = &last
	}
}

// Count is how many events a request finds.
func (s *Store) Count(ctx context.Context, t tenant.ID, sc Scope) (n uint64, err error) {
	err = s.about(ctx, t, "count", sc, func(r *tenantRead, where string) error {
		return r.each("SELECT count() FROM events WHERE "+where, func(rows driver.Rows) error { return rows.Scan(&n) })
	})
	return n, err
}

func (s *Store) scan(ctx context.Context, t tenant.ID, kind string, req SearchRequest, limit int, fn func(*event.Event) error) error {
	r, err := s.reading(ctx, t, kind)
	if err != nil {
		return err
	}
	defer r.end()
	where, err := r.where(req.Query, req.From, req.To)
	if err != nil {
		return err
	}
	op, dir := "<", "DESC"
	if req.Ascending {
		op, dir = ">", "ASC"
	}
	if req.After != nil {
		r.bind("at", strconv.FormatInt(req.After.Time, 10))
		r.bind("after", req.After.ID)
		const at = "fromUnixTimestamp64Nano({at:Int64})"
		// The first comparison is what the primary key can use.
		where += fmt.Sprintf(" AND time %s= %s AND (time %s %s OR id %s {after:String})", op, at, op, at, op)
	}
	sql := "SELECT " + eventFields + " FROM events WHERE " + where + " ORDER BY time " + dir + ", id " + dir
	if limit > 0 {
		sql += " LIMIT " + strconv.Itoa(limit)
	}
	if err := r.each(sql, func(rows driver.Rows) error {
		e, err := scanEvent(rows, t)
		if err != nil {
			return err
		}
		return fn(e)
	}); err != nil {
		return fmt.Errorf("%s events: %w", kind, err)
	}
	return nil
}

// where is the condition shared by all reads of events: the tenant, the time
// range and the compiled query.
func (r *tenantRead) where(q *query.Query, from, to time.Time) (string, error) {
	cond, args, err := compile(q)
	if err != nil {
		return "", err
	}
	r.args = append(r.args, args...)
	where := r.cond
	if !from.IsZero() {
		r.bind("from", strconv.FormatInt(clampNano(from), 10))
		where += " AND time >= fromUnixTimestamp64Nano({from:Int64})"
	}
	if !to.IsZero() {
		r.bind("to", strconv.FormatInt(clampNano(to), 10))
		where += " AND time < fromUnixTimestamp64Nano({to:Int64})"
	}
	return where + " AND (" + cond + ")", nil
}

// clampNano is t in Unix nanoseconds, at the ends of what they can express.
func clampNano(t time.Time) int64 {
	switch {
	case t.Year() < 1678:
		return -1 << 63
	case t.Year() > 2261:
		return 1<<63 - 1
	}
	return t.UnixNano()
}

// EventsByID reads a tenant's events by their ids, in the order of (time, id);
// ids that are not there are left out. At most 1000 ids.
func (s *Store) EventsByID(ctx context.Context, t tenant.ID, ids []string) ([]event.Event, error) {
	if len(ids) > 1000 {
		return nil, fmt.Errorf("events by id: %d ids: at most 1000 at a time", len(ids))
	}
	r, err := s.reading(ctx, t, "by_id")
	if err != nil || len(ids) == 0 {
		if r != nil {
			r.end()
		}
		return nil, err
	}
	defer r.end()
	sql := "SELECT " + eventFields + " FROM events WHERE " + r.cond + " AND id IN (" + hexList(ids) + ") ORDER BY time, id"
	var out []event.Event
	if err := r.each(sql, func(rows driver.Rows) error {
		e, err := scanEvent(rows, t)
		if err == nil {
			out = append(out, *e)
		}
		return err
	}); err != nil {
		return nil, fmt.Errorf("events by id: %w", err)
	}
	return out, nil
}

// eventFields are what scanEvent reads. Times go as nanoseconds: the driver
// would go through its own calendar.
const eventFields = `tenant_id, id, toUnixTimestamp64Nano(time), toUnixTimestamp64Nano(ingested_at), class_uid, activity, action, outcome, severity,
	actor, actor_type, cohort, session, src_ip, country, city, latitude, longitude, has_position, asn, user_agent, device, resource, resource_type,
	http_method, status, bytes_in, bytes_out, duration, count, source, format, mapKeys(labels), mapValues(labels), raw, flags`

// scanEvent reads one row. A row of another tenant is an error: both guards
// would have had to fail.
func scanEvent(rows driver.Rows, t tenant.ID) (*event.Event, error) {
	var (
		e            event.Event
		slug, result string
		class, flags uint32
		has          uint8
		keys, values []string
	)
	err := rows.Scan(&slug, &e.ID, &e.Time, &e.IngestedAt, &class, &e.Activity, &e.Action, &result, &e.Severity,
		&e.Actor, &e.ActorType, &e.Cohort, &e.Session, &e.SrcIP, &e.Country, &e.City, &e.Latitude, &e.Longitude, &has, &e.ASN, &e.UserAgent, &e.Device, &e.Resource, &e.ResourceType,
		&e.HTTPMethod, &e.Status, &e.BytesIn, &e.BytesOut, &e.Duration, &e.Count, &e.Source, &e.Format, &keys, &values, &e.Raw, &flags)
	if err != nil {
		return nil, err
	}
	if slug != t.String() {
		return nil, fmt.Errorf("%w: the answer holds a row of another tenant", errForeignRow)
	}
	e.Tenant = t
	e.Class, e.Flags, e.HasPosition = event.Class(class), event.Flags(flags), has != 0
	e.Outcome, _ = event.ParseOutcome(result)
	for i := range keys {
		e.AddLabel(keys[i], values[i])
	}
	return &e, nil
}
