package core

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// For the tests, which live in another package because coretest imports core.
var (
	ServerWarning = serverWarning
	Transact      = transact
	ErrForeignRow = errForeignRow
)

// Pool is the pool itself.
func (c *Core) Pool() *pgxpool.Pool { return c.pool }

// Flush writes last-used times now.
func (k *Keys) Flush(ctx context.Context) error { return k.flush(ctx) }

// BareTransaction begins a transaction that steps into no role.
func BareTransaction(ctx context.Context, c *Core, fn func(pgx.Tx) error) error {
	return transact(ctx, c.pool, "begin; set local search_path = tenantwatch, pg_temp", fn)
}
