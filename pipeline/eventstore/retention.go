package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Removed counts rows that were taken out of the store.
type Removed struct {
	Events, Quarantined uint64
}

// Erase removes everything of a tenant, and proves it: left is what a count
// afterwards finds, zero unless something still writes for it.
func (s *Store) Erase(ctx context.Context, t tenant.ID) (removed, left Removed, err error) {
	if removed, err = s.remove(ctx, t, map[Table]string{Events: "", Quarantine: ""}); err != nil {
		return removed, left, err
	}
	tables, err := s.tenantTables(ctx)
	if err != nil {
		return removed, left, err
	}
	for _, table := range tables {
		if table == string(Events) || table == string(Quarantine) {
			continue
		}
		if err = s.delete(ctx, table, "tenant_id = {tenant:String}", clickhouse.Named("tenant", t.String())); err != nil {
			return removed, left, fmt.Errorf("erase %s of %s: %w", table, t, err)
		}
	}
	for table, n := range map[Table]*uint64{Events: &left.Events, Quarantine: &left.Quarantined} {
		if *n, err = s.countOf(ctx, table, t, ""); err != nil {
			return removed, left, err
		}
	}
	return removed, left, nil
}

func (s *Store) remove(ctx context.Context, t tenant.ID, conds map[Table]string, args ...any) (out Removed, err error) {
	if t.IsZero() {
		return out, tenant.ErrZero
	}
	for table, n := range map[Table]*uint64{Events: &out.Events, Quarantine: &out.Quarantined} {
		cond, ok := conds[table]
		if !ok {
			return out, errors.New("remove: a table without a condition")
		}
		if *n, err = s.countOf(ctx, table, t, cond, args...); err != nil || *n == 0 {
			if err != nil {
				return out, err
			}
			continue
		}
		if err := s.delete(ctx, string(table), "tenant_id = {tenant:String}"+cond, append([]any{clickhouse.Named("tenant", t.String())}, args...)...); err != nil {
			return out, fmt.Errorf("remove %s of %s: %w", table, t, err)
		}
	}
	return out, nil
}

// countOf counts rows of one tenant, for the pipeline's own housekeeping.
func (s *Store) countOf(ctx context.Context, table Table, t tenant.ID, cond string, args ...any) (n uint64, err error) {
	ctx, cancel := s.work(ctx, nil)
	defer cancel()
	err = s.conn.QueryRow(ctx, "SELECT count() FROM "+string(table)+" WHERE tenant_id = {tenant:String}"+cond,
		append([]any{clickhouse.Named("tenant", t.String())}, args...)...).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count %s of %s: %w", table, t, err)
	}
	return n, nil
}

// delete marks rows as gone at once; merges remove them from disk.
func (s *Store) delete(ctx context.Context, table, cond string, args ...any) error {
	ctx, cancel := s.work(ctx, clickhouse.Settings{"lightweight_deletes_sync": 1, "mutations_sync": 1})
	defer cancel()
	return s.conn.Exec(ctx, "DELETE FROM "+table+" WHERE "+cond, args...)
}

// tenantTables are the tables of this database that hold a tenant's rows.
func (s *Store) tenantTables(ctx context.Context) ([]string, error) {
	rows, err := s.conn.Query(ctx, `SELECT c.table FROM system.columns AS c JOIN system.tables AS t ON t.database = c.database AND t.name = c.table
		WHERE c.database = {db:String} AND c.name = 'tenant_id' AND t.engine LIKE '%MergeTree' ORDER BY c.table`, clickhouse.Named("db", s.cfg.Database))
	if err != nil {
		return nil, fmt.Errorf("list the tables of tenants: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err is checked
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("list the tables of tenants: %w", err)
		}
		out = append(out, name)
	}
	return out, rows.Err()
}
