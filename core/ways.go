package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// A transaction's first round trip begins it, steps into its role and names
// its tenant. SET LOCAL ends with the transaction, so a connection goes back
// to the pool holding nothing. The values are ids that this package made or
// read as uuid, and names from a fixed list: nothing of a request is in the
// text.
const (
	beginTenant   = "begin; set local role tenantwatch_tenant; set local search_path = tenantwatch, pg_temp; set local app.tenant_id = '"
	beginTenantRO = "begin read only; set local role tenantwatch_tenant; set local search_path = tenantwatch, pg_temp; set local app.tenant_id = '"
	beginGranted  = "begin read only; set local role tenantwatch_granted; set local search_path = tenantwatch, pg_temp; set local app.granted_tenants = '{"
	beginPlatform = "begin; set local role tenantwatch_platform; set local search_path = tenantwatch, pg_temp; set local app.operation = '"
)

// InTenant runs fn in a transaction that sees and writes the rows of one
// tenant. It commits when fn returns nil and rolls back on an error, a panic
// or a cancelled context. The zero id is tenant.ErrZero, an unknown tenant
// ErrNotFound, a suspended one ErrSuspended (within 5 s of the suspension in
// other processes, at once in this one).
//
// fn must not keep the transaction, and must not end it.
func (c *Core) InTenant(ctx context.Context, id tenant.ID, fn func(pgx.Tx) error) error {
	row, err := c.resolve(ctx, id)
	if err != nil {
		return err
	}
	if row.suspended {
		return fmt.Errorf("tenant %s: %w", id, ErrSuspended)
	}
	return c.transact(ctx, "tenant", beginTenant+row.id+"'", fn)
}

// TakesIn reports whether a tenant takes events in: nil if so, ErrNotFound for
// an unknown one, ErrSuspended for one that is suspended or on its way out. The
// answer may be 5 s old, as InTenant's is.
func (c *Core) TakesIn(ctx context.Context, id tenant.ID) error {
	row, err := c.resolve(ctx, id)
	if err == nil && row.suspended {
		err = fmt.Errorf("tenant %s: %w", id, ErrSuspended)
	}
	return err
}

// InTenantRead is InTenant for reading only; it reads a suspended tenant too,
// since whether somebody may is the caller's to decide.
func (c *Core) InTenantRead(ctx context.Context, id tenant.ID, fn func(pgx.Tx) error) error {
	row, err := c.resolve(ctx, id)
	if err != nil {
		return err
	}
	return c.transact(ctx, "tenant_read", beginTenantRO+row.id+"'", fn)
}

// InGranted runs fn in a read-only transaction that sees the rows of all the
// tenants given, in those tables alone that have a policy for it. An empty set
// and the zero id are tenant.ErrZero.
func (c *Core) InGranted(ctx context.Context, ids []tenant.ID, fn func(pgx.Tx) error) error {
	if len(ids) == 0 {
		return tenant.ErrZero
	}
	rows, err := c.resolveAll(ctx, ids)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.Grow(len(beginGranted) + 37*len(rows) + 2)
	b.WriteString(beginGranted)
	for i, r := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(r.id)
	}
	b.WriteString("}'")
	return c.transact(ctx, "granted", b.String(), fn)
}

// InPlatform runs fn in a transaction for one named operation across tenants.
// It sees what the policies of that operation show and nothing else.
func (c *Core) InPlatform(ctx context.Context, op Operation, fn func(pgx.Tx) error) error {
	if op.String() == "" {
		return fmt.Errorf("core: operation %d is not listed", int(op))
	}
	return c.transact(ctx, "platform", beginPlatform+op.String()+"'", fn)
}

func (c *Core) transact(ctx context.Context, way, begin string, fn func(pgx.Tx) error) (err error) {
	start := time.Now()
	defer func() { c.metrics.observe(way, time.Since(start), err) }()
	return transact(ctx, c.pool, begin, fn)
}

func transact(ctx context.Context, pool *pgxpool.Pool, begin string, fn func(pgx.Tx) error) error {
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// Runs after a panic too. A cancelled context must not keep the rollback
	// from being sent; if it cannot be, the pool throws the connection away.
	defer func() {
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(rctx) // ErrTxClosed after the commit
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// tenantRow is what is known of a tenant without asking.
type tenantRow struct {
	id        string // uuid as the database prints it
	suspended bool
}

// resolve finds a tenant's internal id; the answer may be 5 s old, which only
// matters for a suspension, since slug and id never change.
func (c *Core) resolve(ctx context.Context, id tenant.ID) (tenantRow, error) {
	if id.IsZero() {
		return tenantRow{}, tenant.ErrZero
	}
	if row, ok := c.tenants.get(id.String()); ok {
		return row, nil
	}
	rows, err := c.resolveAll(ctx, []tenant.ID{id})
	if err != nil {
		return tenantRow{}, err
	}
	return rows[0], nil
}

func (c *Core) resolveAll(ctx context.Context, ids []tenant.ID) ([]tenantRow, error) {
	out := make([]tenantRow, len(ids))
	var missing []string
	for i, id := range ids {
		if id.IsZero() {
			return nil, tenant.ErrZero
		}
		row, ok := c.tenants.get(id.String())
		if !ok {
			missing = append(missing, id.String())
		}
		out[i] = row
	}
	if len(missing) == 0 {
		return out, nil
	}
	read := c.now()
	found := make(map[string]tenantRow, len(missing))
	err := c.InPlatform(ctx, OpTenants, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select slug, id::text, status <> 'active' from tenants where slug = any($1)`, missing)
		if err != nil {
			return err
		}
		var slug string
		var r tenantRow
		_, err = pgx.ForEachRow(rows, []any{&slug, &r.id, &r.suspended}, func() error {
			found[slug] = r
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("resolve tenants: %w", err)
	}
	for i, id := range ids {
		if out[i].id != "" {
			continue
		}
		row, ok := found[id.String()]
		if !ok {
			return nil, fmt.Errorf("tenant %s: %w", id, ErrNotFound)
		}
		c.tenants.put(id.String(), row, read)
		out[i] = row
	}
	return out, nil
}

// notFoundOK turns "no such row" into ok=false.
func notFoundOK(err error) (bool, error) {
	if errors.Is(err, pgx.ErrNoRows) || errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// owners are the tenants of a scope by their internal ids: every row of a read
// has to be of one of them, whatever row-level security let through.
type owners map[string]tenant.ID

// of is whose a row is; errForeignRow when it is of none of the scope.
func (o owners) of(id string) (tenant.ID, error) {
	t, ok := o[id]
	if !ok {
		return t, errForeignRow
	}
	return t, nil
}

// owners finds the internal ids of a scope.
func (c *Core) owners(ctx context.Context, ids []tenant.ID) (owners, error) {
	rows, err := c.resolveAll(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(owners, len(ids))
	for i, r := range rows {
		out[r.id] = ids[i] // #nosec G602 -- resolveAll answers one row an id, in order
	}
	return out, nil
}
