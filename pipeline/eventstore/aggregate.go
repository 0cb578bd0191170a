package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// MaxBuckets is the most bars of one histogram.
const MaxBuckets = 1000

// HistogramRequest asks for the number of events over event time.
type HistogramRequest struct {
	Query    *query.Query // nil: all
	From, To time.Time    // zero: the first and the last event found
	Buckets  int          // 1 to MaxBuckets; 0: 60
}

// Bucket is one bar: the events (rows) with Time <= time < the next bar's.
type Bucket struct {
	Time     time.Time
	Count    uint64
	Failures uint64
}

// Histogram counts a tenant's events in bars of equal width that cover the
// time range; bars without events are there too. Nothing found and no range
// given: no bars.
func (s *Store) Histogram(ctx context.Context, t tenant.ID, req HistogramRequest) ([]Bucket, error) {
	r, err := s.reading(ctx, t, "histogram")
	if err != nil {
		return nil, err
	}
	defer r.end()
	where, err := r.where(req.Query, req.From, req.To)
	if err != nil {
		return nil, err
	}
	n := req.Buckets
	if n <= 0 {
		n = 60
	}
	n = min(n, MaxBuckets)
	from, to := clampNano(req.From), clampNano(req.To)
	if req.From.IsZero() || req.To.IsZero() {
		var rows uint64
		var lo, hi int64
		if err := r.each("SELECT count(), toUnixTimestamp64Nano(min(time)), toUnixTimestamp64Nano(max(time)) FROM events WHERE "+where,
			func(rs driver.Rows) error { return rs.Scan(&rows, &lo, &hi) }); err != nil {
			return nil, fmt.Errorf("histogram: %w", err)
		}
		if rows == 0 {
			return nil, nil
		}
		if req.From.IsZero() {
			from = lo
		}
		if req.To.IsZero() {
			to = hi + 1
		}
	}
	if to <= from {
		return nil, errors.New("histogram: the end of the time range is not after its start")
	}
	// Unsigned, since the widest range does not fit into int64.
	width := max((uint64(to)-uint64(from)+uint64(n)-1)/uint64(n), 1)
	n = int((uint64(to) - uint64(from) + width - 1) / width)
	out := make([]Bucket, n)
	for i := range out {
		out[i].Time = time.Unix(0, from+int64(uint64(i)*width)).UTC()
	}
	r.bind("start", strconv.FormatInt(from, 10))
	r.bind("width", strconv.FormatUint(width, 10))
	err = r.each(`SELECT intDiv(toUInt64(toUnixTimestamp64Nano(time) - {start:Int64}), {width:UInt64}) AS b, count(), countIf(outcome = 'failure')
		FROM events WHERE `+where+` GROUP BY b`, func(rs driver.Rows) error {
		var b, count, failures uint64
		if err := rs.Scan(&b, &count, &failures); err != nil {
			return err
		}
		if b < uint64(len(out)) {
			out[b].Count, out[b].Failures = count, failures
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	return out, nil
}

// FacetsRequest asks for the most frequent values of one field.
type FacetsRequest struct {
	Query    *query.Query // nil: all
	From, To time.Time    // as in SearchRequest
	Field    string       // a field of package query that can be counted, or label.<key>
	Limit    int          // 1 to 1000; 0: 20
}

// FacetValue is one value and how many events have it.
type FacetValue struct {
	Value string
	Count uint64
}

// ErrField is wrapped when a field does not exist or cannot be counted.
var ErrField = errors.New("this field cannot be counted")

// Facets counts a tenant's events by the values of a field, the most frequent
// first. Events in which the field is empty do not count.
func (s *Store) Facets(ctx context.Context, t tenant.ID, req FacetsRequest) ([]FacetValue, error) {
	r, err := s.reading(ctx, t, "facets")
	if err != nil {
		return nil, err
	}
	defer r.end()
	value, set, err := r.facet(req.Field)
	if err != nil {
		return nil, err
	}
	where, err := r.where(req.Query, req.From, req.To)
	if err != nil {
		return nil, err
	}
	limit := req.Limit
	if limit <= 0 {
		limit = 20
	}
	var out []FacetValue
	err = r.each("SELECT "+value+" AS v, count() AS n FROM events WHERE "+where+" AND "+set+" GROUP BY v ORDER BY n DESC, v LIMIT "+strconv.Itoa(min(limit, 1000)),
		func(rs driver.Rows) error {
			var f FacetValue
			if err := rs.Scan(&f.Value, &f.Count); err != nil {
				return err
			}
			out = append(out, f)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("facets of %s: %w", req.Field, err)
	}
	return out, nil
}

// facet gives the expression of a field's value as text and the condition that
// it is set. Names come from the table of fields, never from the request.
func (r *tenantRead) facet(name string) (value, set string, err error) {
	base, key, isLabel := strings.Cut(name, ".")
	f, ok := query.Lookup(base)
	switch {
	case !ok || !f.Facet:
		return "", "", fmt.Errorf("%w: %q", ErrField, name)
	case f.Type == query.TypeLabels:
		if !isLabel || key == "" {
			return "", "", fmt.Errorf("%w: %q: want label.<key>", ErrField, name)
		}
		r.bind("facet", key)
		return "labels[{facet:String}]", "mapContains(labels, {facet:String})", nil
	case isLabel:
		return "", "", fmt.Errorf("%w: %q", ErrField, name)
	case f.Type == query.TypeNumber || f.Type == query.TypeBytes || f.Type == query.TypeDuration:
		return "toString(" + f.Name + ")", f.Name + " != 0", nil
	}
	return "toString(" + f.Name + ")", f.Name + " != ''", nil
}
