package eventstore

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// guardedTables are all tables that a tenant's read may touch.
var guardedTables = []string{"events", "quarantine", "duplicates", "removals", "quarantine_outcomes", "sealed", "refusals"}

// exportTimeout is for one chunk of an export.
const exportTimeout = 10 * time.Minute

// tenantRead is one read on behalf of one tenant, with both guards in place.
type tenantRead struct {
	s    *Store
	ctx  context.Context
	end  func()
	cond string // the first guard: the condition every statement must hold
	args []any  // its parameter
}

// reading sets a tenant's read up: bounds on time, memory and rows, and the
// two guards. end must be called.
func (s *Store) reading(ctx context.Context, t tenant.ID, kind string) (*tenantRead, error) {
	if t.IsZero() {
		return nil, fmt.Errorf("%s: %w", kind, tenant.ErrZero)
	}
	// The filter below is part of a setting's text: only a valid slug, which
	// holds neither quote nor backslash, may get there.
	slug := t.String()
	if _, err := tenant.Parse(slug); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	set := clickhouse.Settings{
		"max_execution_time": max(1, int(s.cfg.ReadTimeout/time.Second)), "timeout_overflow_mode": "throw",
		"max_memory_usage": s.cfg.ReadMemory, "max_query_size": 1 << 20,
		"max_result_bytes": 256 << 20, "result_overflow_mode": "throw",
		"max_threads": 2,
	}
	timeout := s.cfg.ReadTimeout
	if kind == "export" { // rows go on as they come: neither their bytes nor a slow reader are to end it
		timeout = exportTimeout
		set["max_execution_time"] = int(timeout / time.Second)
		delete(set, "max_result_bytes")
		set["max_block_size"] = 8192
	}
	if !s.withoutFilter {
		set["additional_table_filters"] = tableFilters(s.cfg.Database, slug)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+5*time.Second)
	began := time.Now()
	if err := s.gate.enter(ctx, t); err != nil {
		cancel()
		return nil, fmt.Errorf("%s: wait for a turn: %w", kind, err)
	}
	r := &tenantRead{
		s: s, ctx: clickhouse.Context(ctx, clickhouse.WithSettings(set)),
		cond: "tenant_id = {tenant:String}", args: []any{clickhouse.Named("tenant", slug)},
		end: func() {
			cancel()
			s.gate.leave(t)
			s.m.reads.WithLabelValues(kind).Observe(time.Since(began).Seconds())
		},
	}
	if s.withoutBinding {
		r.cond = "{tenant:String} != ''"
	}
	return r, nil
}

// tableFilters is the second guard: a map literal from table to condition. The
// condition is a string within it, so its own quotes are escaped.
func tableFilters(_ string, slug string) string {
	out := "{"
	for i, t := range guardedTables {
		if i > 0 {
			out += ","
		}
		out += `'` + t + `':'tenant_id = \'` + slug + `\''`
	}
	return out + "}"
}

// named adds a parameter to the read's own.
func (r *tenantRead) bind(name, value string) { r.args = append(r.args, clickhouse.Named(name, value)) }

func (r *tenantRead) query(sql string) (driver.Rows, error) {
	return r.s.conn.Query(r.ctx, sql, r.args...)
}

// each runs a statement and scans every row with fn.
func (r *tenantRead) each(sql string, fn func(driver.Rows) error) error {
	rows, err := r.query(sql)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err is checked
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
