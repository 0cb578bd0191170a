package eventstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// entityColumns are where entities of a type stand in an event, and what has
// to hold for them. A tenant is an entity, too: its own slug.
var entityColumns = map[alert.EntityType]struct{ column, cond string }{
	alert.User:     {"actor", "actor != '' AND actor_type != 'service'"},
	alert.Service:  {"actor", "actor != '' AND actor_type = 'service'"},
	alert.Address:  {"src_ip", "src_ip != ''"},
	alert.Device:   {"device", "device != ''"},
	alert.Session:  {"session", "session != ''"},
	alert.Resource: {"resource", "resource != ''"},
	alert.Source:   {"toString(source)", "source != ''"},
	alert.Tenant:   {"toString(tenant_id)", "1"},
}

// EntityCount is one entity and what is stored of it.
type EntityCount struct {
	ID               string
	Events, Failures uint64
	First, Last      time.Time
	Countries        uint64 // distinct
	Addresses        uint64
}

// EntityPosition is the last entity of a page.
type EntityPosition struct {
	Rank int64 // the number it is sorted by
	ID   string
}

// EntitiesRequest asks for the entities of one type.
type EntitiesRequest struct {
	Scope
	Type   alert.EntityType
	What   string // in the id, whatever its case; empty: all
	Recent bool   // newest seen first; default those with most events
	Limit  int    // 1 to 1000; 0: 100
	After  *EntityPosition
}

// Entities pages through a tenant's entities.
func (s *Store) Entities(ctx context.Context, t tenant.ID, req EntitiesRequest) (out []EntityCount, next *EntityPosition, err error) {
	e, ok := entityColumns[req.Type]
	if !ok {
		return nil, nil, fmt.Errorf("%w: there are no entities of type %q", ErrField, req.Type)
	}
	limit := req.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	err = s.about(ctx, t, "entities", req.Scope, func(r *tenantRead, where string) error {
		rank := "toInt64(n)"
		if req.Recent {
			rank = "hi"
		}
		where += " AND " + e.cond
		if req.What != "" {
			r.bind("what", req.What)
			where += " AND positionCaseInsensitiveUTF8(" + e.column + ", {what:String}) > 0"
		}
		having := ""
		if req.After != nil {
			r.bind("rank", strconv.FormatInt(req.After.Rank, 10))
			r.bind("after", req.After.ID)
			having = " HAVING (r < {rank:Int64} OR r = {rank:Int64} AND v > {after:String})"
		}
		return r.each(`SELECT `+e.column+` AS v, count() AS n, countIf(outcome = 'failure'), toUnixTimestamp64Nano(min(time)), toUnixTimestamp64Nano(max(time)) AS hi,
			uniqIf(country, country != ''), uniqIf(src_ip, src_ip != ''), `+rank+` AS r FROM events WHERE `+where+` GROUP BY v`+having+`
			ORDER BY r DESC, v LIMIT `+strconv.Itoa(limit+1), func(rows driver.Rows) error {
			var c EntityCount
			var lo, hi, r int64
			if err := rows.Scan(&c.ID, &c.Events, &c.Failures, &lo, &hi, &c.Countries, &c.Addresses, &r); err != nil {
				return err
			}
			if len(out) == limit {
				last := out[limit-1]
				next = &EntityPosition{Rank: int64(last.Events), ID: last.ID}
				if req.Recent {
					next.Rank = last.Last.UnixNano()
				}
				return nil
			}
			c.First, c.Last = time.Unix(0, lo).UTC(), time.Unix(0, hi).UTC()
			out = append(out, c)
			return nil
		})
	})
	return out, next, err
}

// EntityQuery is the query for the events of one entity; ErrField when there
// is no such type. The tenant itself has all events.
func EntityQuery(typ alert.EntityType, id string) (*query.Query, error) {
	field, narrow := "", ""
	switch typ {
	case alert.User:
		field, narrow = "actor", "-actor_type:service"
	case alert.Service:
		field, narrow = "actor", "actor_type:service"
	case alert.Address:
		field = "src_ip"
	case alert.Device, alert.Session, alert.Resource, alert.Source:
		field = string(typ)
	case alert.Tenant:
		return &query.Query{}, nil
	default:
		return nil, fmt.Errorf("%w: there are no entities of type %q", ErrField, typ)
	}
	is, err := query.Is(field, id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrField, err)
	}
	more, err := query.Parse(narrow)
	if err != nil {
		return nil, err
	}
	return query.All(is, more), nil
}
