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

// Scope is which of a tenant's events an answer is about, by event time.
type Scope struct {
	Query    *query.Query // nil: all
	From, To time.Time    // From included, To not; zero: open
}

// Totals sum up a set of events.
type Totals struct {
	Events, Failures  uint64
	First, Last       time.Time // zero without any
	Days              uint64    // UTC days with an event
	BytesIn, BytesOut uint64
	Actors, Addresses uint64 // distinct, about 1 % exact above a few thousand
	Resources         uint64
}

// Totals reads the sums.
func (s *Store) Totals(ctx context.Context, t tenant.ID, sc Scope) (Totals, error) {
	var out Totals
	err := s.about(ctx, t, "totals", sc, func(r *tenantRead, where string) error {
		return r.each(`SELECT count(), countIf(outcome = 'failure'), toUnixTimestamp64Nano(min(time)), toUnixTimestamp64Nano(max(time)), uniqExact(toDate(time)),
			sum(bytes_in), sum(bytes_out), uniqIf(actor, actor != ''), uniqIf(src_ip, src_ip != ''), uniqIf(resource, resource != '') FROM events WHERE `+where,
			func(rows driver.Rows) error {
				var lo, hi int64
				if err := rows.Scan(&out.Events, &out.Failures, &lo, &hi, &out.Days, &out.BytesIn, &out.BytesOut, &out.Actors, &out.Addresses, &out.Resources); err != nil {
					return err
				}
				if out.Events > 0 {
					out.First, out.Last = time.Unix(0, lo).UTC(), time.Unix(0, hi).UTC()
				}
				return nil
			})
	})
	return out, err
}

func (s *Store) about(ctx context.Context, t tenant.ID, kind string, sc Scope, fn func(r *tenantRead, where string) error) error {
	r, err := s.reading(ctx, t, kind)
	if err != nil {
		return err
	}
	defer r.end()
	where, err := r.where(sc.Query, sc.From, sc.To)
	if err != nil {
		return err
	}
	if err := fn(r, where); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

// ValueCount is one value of one field.
type ValueCount struct {
	Value           string
	Count, Failures uint64
	First, Last     time.Time
}

// Breakdown counts the values of several fields at once, at most limit (1 to
// 1000) of each, the most frequent first; empty values do not count. Labels
// are label.<key>.
func (s *Store) Breakdown(ctx context.Context, t tenant.ID, sc Scope, fields []string, limit int) (map[string][]ValueCount, error) {
	out := map[string][]ValueCount{}
	err := s.about(ctx, t, "breakdown", sc, func(r *tenantRead, where string) error {
		pairs, err := r.pairs(fields)
		if err != nil {
			return err
		}
		return r.each(`SELECT fv.1 AS f, fv.2 AS v, count() AS n, countIf(failed), toUnixTimestamp64Nano(min(at)), toUnixTimestamp64Nano(max(at))
			FROM (SELECT arrayJoin(`+pairs+`) AS fv, time AS at, outcome = 'failure' AS failed FROM events WHERE `+where+`)
			WHERE v != '' GROUP BY f, v ORDER BY f, n DESC, v LIMIT `+strconv.Itoa(max(1, min(limit, 1000)))+` BY f`, func(rows driver.Rows) error {
			var f string
			var v ValueCount
			var lo, hi int64
			if err := rows.Scan(&f, &v.Value, &v.Count, &v.Failures, &lo, &hi); err != nil {
				return err
			}
			v.First, v.Last = time.Unix(0, lo).UTC(), time.Unix(0, hi).UTC()
			out[f] = append(out[f], v)
			return nil
		})
	})
	return out, err
}

// pairs is the expression of an array of (field, value as text). Columns come
// from the table of fields, labels' keys are bound.
func (r *tenantRead) pairs(fields []string) (string, error) {
	if len(fields) == 0 || len(fields) > 16 {
		return "", fmt.Errorf("%w: want 1 to 16 fields, not %d", ErrField, len(fields))
	}
	parts := make([]string, len(fields))
	for i, name := range fields {
		base, key, isLabel := strings.Cut(name, ".")
		f, ok := query.Lookup(base)
		switch {
		case !ok || !f.Facet || (f.Type == query.TypeLabels) != (isLabel && key != ""):
			return "", fmt.Errorf("%w: %q", ErrField, name)
		case isLabel:
			p := "facet" + strconv.Itoa(i)
			r.bind(p, key)
			r.bind(p+"n", name)
			parts[i] = "({" + p + "n:String}, labels[{" + p + ":String}])"
		case f.Type == query.TypeNumber || f.Type == query.TypeBytes || f.Type == query.TypeDuration:
			parts[i] = "('" + f.Name + "', if(" + f.Name + " = 0, '', toString(" + f.Name + ")))"
		default:
			parts[i] = "('" + f.Name + "', toString(" + f.Name + "))"
		}
	}
	return "[" + strings.Join(parts, ", ") + "]", nil
}

// Change is how often a value occurred in two periods.
type Change struct {
	Value         string
	Before, After uint64
}

// Diff compares two periods: for each field the values whose share of the
// period's events changed most, at most limit of each. before and after have
// both ends; they may overlap.
func (s *Store) Diff(ctx context.Context, t tenant.ID, before, after Scope, fields []string, limit int) (totals [2]Totals, out map[string][]Change, err error) {
	if after.Query != nil || before.From.IsZero() || before.To.IsZero() || after.From.IsZero() || after.To.IsZero() {
		return totals, nil, errors.New("diff: both periods need both ends, and one query")
	}
	after.Query = before.Query
	for i, sc := range []Scope{before, after} {
		if totals[i], err = s.Totals(ctx, t, sc); err != nil {
			return totals, nil, err
		}
	}
	out = map[string][]Change{}
	lo, hi := before.From, before.To
	if after.From.Before(lo) {
		lo = after.From
	}
	if after.To.After(hi) {
		hi = after.To
	}
	err = s.about(ctx, t, "diff", Scope{before.Query, lo, hi}, func(r *tenantRead, where string) error {
		pairs, err := r.pairs(fields)
		if err != nil {
			return err
		}
		for name, at := range map[string]time.Time{"b0": before.From, "b1": before.To, "a0": after.From, "a1": after.To} {
			r.bind(name, strconv.FormatInt(clampNano(at), 10))
		}
		r.bind("nb", strconv.FormatUint(max(1, totals[0].Events), 10))
		r.bind("na", strconv.FormatUint(max(1, totals[1].Events), 10))
		return r.each(`SELECT fv.1 AS f, fv.2 AS v, countIf(in_before) AS b, countIf(in_after) AS a
			FROM (SELECT arrayJoin(`+pairs+`) AS fv, toUnixTimestamp64Nano(time) AS at, at >= {b0:Int64} AND at < {b1:Int64} AS in_before,
				at >= {a0:Int64} AND at < {a1:Int64} AS in_after FROM events WHERE `+where+`)
			WHERE v != '' GROUP BY f, v HAVING a + b > 0
			ORDER BY f, abs(a / {na:UInt64} - b / {nb:UInt64}) DESC, a + b DESC, v LIMIT `+strconv.Itoa(max(1, min(limit, 1000)))+` BY f`, func(rows driver.Rows) error {
			var f string
			var c Change
			if err := rows.Scan(&f, &c.Value, &c.Before, &c.After); err != nil {
				return err
			}
			out[f] = append(out[f], c)
			return nil
		})
	})
	return totals, out, err
}

// suggestRows is how many of the newest events values are suggested from, so
// that a suggestion costs the same in a store of any size.
const suggestRows = 200_000

// Values are values of a field in the newest events of the scope that hold
// what (whatever its case) anywhere: those that begin with it first, then the
// most frequent. field as in Breakdown.
func (s *Store) Values(ctx context.Context, t tenant.ID, sc Scope, field, what string, limit int) ([]FacetValue, error) {
	var out []FacetValue
	err := s.about(ctx, t, "values", sc, func(r *tenantRead, where string) error {
		value, set, err := r.facet(field)
		if err != nil {
			return err
		}
		return r.suggest("SELECT "+value+" AS v FROM events WHERE "+where+" AND "+set, what, limit, &out)
	})
	return out, err
}

// LabelKeys are the keys of labels in the newest events of the scope.
func (s *Store) LabelKeys(ctx context.Context, t tenant.ID, sc Scope, what string, limit int) ([]FacetValue, error) {
	var out []FacetValue
	err := s.about(ctx, t, "label_keys", sc, func(r *tenantRead, where string) error {
		return r.suggest("SELECT toString(arrayJoin(mapKeys(labels))) AS v FROM events WHERE "+where, what, limit, &out)
	})
	return out, err
}

func (r *tenantRead) suggest(from, what string, limit int, out *[]FacetValue) error {
	r.bind("what", what)
	return r.each(`SELECT v, count() AS n, positionCaseInsensitiveUTF8(v, {what:String}) AS p FROM (`+from+` ORDER BY time DESC LIMIT `+strconv.Itoa(suggestRows)+`)
		WHERE p > 0 GROUP BY v ORDER BY p = 1 DESC, n DESC, v LIMIT `+strconv.Itoa(max(1, min(limit, 100))), func(rows driver.Rows) error {
		var f FacetValue
		var p uint64
		if err := rows.Scan(&f.Value, &f.Count, &p); err != nil {
			return err
		}
		*out = append(*out, f)
		return nil
	})
}

// WeekCounts are events by hour of the week in UTC, Monday 00:00 first, and
// the number of each hour that the scope's events span.
type WeekCounts struct {
	Events, Failures [168]uint64
	Hours            [168]uint64 // hours with an event
}

// Week counts by hour of the week.
func (s *Store) Week(ctx context.Context, t tenant.ID, sc Scope) (WeekCounts, error) {
	var out WeekCounts
	err := s.about(ctx, t, "week", sc, func(r *tenantRead, where string) error {
		return r.each(`SELECT toUInt16((toDayOfWeek(time) - 1) * 24 + toHour(time)) AS h, count(), countIf(outcome = 'failure'), uniqExact(toStartOfHour(time))
			FROM events WHERE `+where+` GROUP BY h`, func(rows driver.Rows) error {
			var h uint16
			var n, f, d uint64
			if err := rows.Scan(&h, &n, &f, &d); err != nil {
				return err
			}
			if int(h) < len(out.Events) {
				out.Events[h], out.Failures[h], out.Hours[h] = n, f, d
			}
			return nil
		})
	})
	return out, err
}

// Norms are the usual amounts of a set of events: quantiles 50, 90, 95 and 99
// of 100, and the largest, each over the hours that had an event; gaps are the
// seconds between one event and the next.
type Norms struct {
	ActiveHours   uint64
	PerHour       [5]float64
	FailuresHour  [5]float64
	BytesHour     [5]float64
	BytesEvent    [5]float64
	ResourcesHour [5]float64
	Gap           [5]float64
}

// Norms reads them from the newest maxNormRows events of the scope.
func (s *Store) Norms(ctx context.Context, t tenant.ID, sc Scope) (Norms, error) {
	var out Norms
	err := s.about(ctx, t, "norms", sc, func(r *tenantRead, where string) error {
		const q = "quantilesExact(0.5, 0.9, 0.95, 0.99, 1)"
		return r.each(`SELECT h.1, h.2, h.3, h.4, h.5, e.1, e.2 FROM
			(SELECT tuple(count(), `+q+`(toFloat64(n)), `+q+`(toFloat64(f)), `+q+`(toFloat64(b)), `+q+`(toFloat64(x))) AS h FROM
				(SELECT count() AS n, countIf(outcome = 'failure') AS f, sum(bytes_out) AS b, uniqIf(resource, resource != '') AS x FROM events WHERE `+where+` GROUP BY toStartOfHour(time))) AS hours,
			(SELECT tuple(`+q+`(toFloat64(b)), `+q+`(gap)) AS e FROM
				(SELECT bytes_out AS b, (toUnixTimestamp64Nano(time) - lagInFrame(toUnixTimestamp64Nano(time), 1, toUnixTimestamp64Nano(time)) OVER (ORDER BY time ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)) / 1e9 AS gap
				FROM (SELECT time, bytes_out FROM events WHERE `+where+` ORDER BY time DESC LIMIT `+strconv.Itoa(suggestRows)+`))) AS each`,
			func(rows driver.Rows) error {
				var lists [6][]float64
				if err := rows.Scan(&out.ActiveHours, &lists[0], &lists[1], &lists[2], &lists[3], &lists[4], &lists[5]); err != nil {
					return err
				}
				for i, into := range []*[5]float64{&out.PerHour, &out.FailuresHour, &out.BytesHour, &out.ResourcesHour, &out.BytesEvent, &out.Gap} {
					for j := range min(5, len(lists[i])) {
						if v := lists[i][j]; v == v { // not a number when there was no event
							into[j] = v
						}
					}
				}
				return nil
			})
	})
	return out, err
}
