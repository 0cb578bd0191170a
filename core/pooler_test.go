package core_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/coretest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

const (
	pooledTenants = 200
	pooledWork    = 10_000
	pooledWorkers = 16
)

// pooled is a core behind PgBouncer in transaction mode, four connections for
// sixteen workers, with tenants that each have rows of their own.
func pooled(t *testing.T) (c *core.Core, dsn string, ids []tenant.ID, uids map[string]tenant.ID) {
	t.Helper()
	db := server.Database(t)
	dsn = server.Pooler(t, db, 4)
	c = coretest.OpenOn(t, db, func(cfg *core.Config) { cfg.DSN, cfg.PgBouncer, cfg.MaxConns = dsn, true, pooledWorkers })
	uids = map[string]tenant.ID{}
	for i := range pooledTenants {
		id := tenant.MustParse(fmt.Sprintf("t%03d", i))
		ids = append(ids, id)
		if _, err := c.Tenants.Create(t.Context(), tests, id, ""); err != nil {
			t.Fatal(err)
		}
		if err := c.InTenant(t.Context(), id, func(tx pgx.Tx) error {
			var uid string
			err := tx.QueryRow(t.Context(), `select current_setting('app.tenant_id')`).Scan(&uid)
			uids[uid] = id
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := c.Audit.Record(t.Context(), id, tests, "canary", id.String(), nil); err != nil {
			t.Fatal(err)
		}
	}
	return c, dsn, ids, uids
}

// foreign counts rows that are none of the tenants'.
func foreign(ctx context.Context, q interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}, uids map[string]tenant.ID, own ...tenant.ID) (rows, alien int, err error) {
	res, err := q.Query(ctx, `select tenant_id::text from tenantwatch.audit_log`)
	if err != nil {
		return 0, 0, err
	}
	var uid string
	_, err = pgx.ForEachRow(res, []any{&uid}, func() error {
		rows++
		for _, id := range own {
			if uids[uid] == id {
				return nil
			}
		}
		alien++
		return nil
	})
	return rows, alien, err
}

var errOnPurpose = errors.New("on purpose")

// TestPooler runs what the core does in every way it has, also broken off,
// refused and panicking, over connections that PgBouncer hands from one to
// another after each transaction: nobody sees a foreign row.
func TestPooler(t *testing.T) {
	t.Parallel()
	c, dsn, ids, uids := pooled(t)
	var seen, alien, empty atomic.Int64
	look := func(ctx context.Context, tx pgx.Tx, own ...tenant.ID) error {
		rows, bad, err := foreign(ctx, tx, uids, own...)
		seen.Add(int64(rows))
		alien.Add(int64(bad))
		if err == nil && rows == 0 {
			empty.Add(1)
		}
		return err
	}
	one := func(n int) {
		ctx := t.Context()
		rng := rand.New(rand.NewPCG(uint64(n), 7))
		id, other := ids[rng.IntN(len(ids))], ids[rng.IntN(len(ids))]
		var err error
		switch kind := rng.IntN(20); {
		case kind < 8:
			err = c.InTenantRead(ctx, id, func(tx pgx.Tx) error { return look(ctx, tx, id) })
		case kind < 13:
			err = c.InTenant(ctx, id, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, `update api_keys set name = name`); err != nil {
					return err
				}
				return look(ctx, tx, id)
			})
		case kind < 15:
			err = c.InGranted(ctx, []tenant.ID{id, other}, func(tx pgx.Tx) error { return look(ctx, tx, id, other) })
		case kind < 16:
			_, err = c.Tenants.Get(ctx, id)
		case kind < 17: // rolled back
			if err = c.InTenant(ctx, id, func(tx pgx.Tx) error { return errors.Join(look(ctx, tx, id), errOnPurpose) }); errors.Is(err, errOnPurpose) {
				err = nil
			}
		case kind < 18: // refused by the database in the middle
			if c.InTenant(ctx, id, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, `select 1/0`); return err }) == nil {
				err = errors.New("a division by zero went well")
			}
		case kind < 19: // the client goes away
			gone, cancel := context.WithCancel(ctx)
			_ = c.InTenant(gone, id, func(tx pgx.Tx) error { cancel(); return look(gone, tx, id) }) // cancelled
			cancel()
		default:
			func() {
				defer func() { _ = recover() }()
				_ = c.InTenant(ctx, id, func(tx pgx.Tx) error { panic(look(ctx, tx, id)) }) // panics
			}()
		}
		if err != nil {
			t.Errorf("transaction %d of %s: %v", n, id, err)
		}
	}
	work(pooledWork, one)
	if alien.Load() != 0 || empty.Load() != 0 || seen.Load() < pooledWork/2 {
		t.Errorf("%d foreign rows of %d seen in %d transactions, %d saw nothing of their own", alien.Load(), seen.Load(), pooledWork, empty.Load())
	}
	t.Logf("PgBouncer, 4 connections, %d workers: %d tenants, %d transactions, %d rows seen, %d foreign", pooledWorkers, pooledTenants, pooledWork, seen.Load(), alien.Load())
	sessionSettingLeaks(t, dsn, ids, uids)
}

// sessionSettingLeaks is the control: the same reads with the tenant set for
// the session, as is right on connections of one's own, show foreign rows.
func sessionSettingLeaks(t *testing.T, dsn string, ids []tenant.ID, uids map[string]tenant.ID) {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = pooledWorkers
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	byTenant := make(map[tenant.ID]string, len(uids))
	for uid, id := range uids {
		byTenant[id] = uid
	}
	var asked, leaked atomic.Int64
	work(20_000, func(n int) {
		if leaked.Load() > 0 {
			return // shown
		}
		id := ids[n%len(ids)]
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Release()
		if _, err := conn.Exec(t.Context(), `set role tenantwatch_tenant; set app.tenant_id = '`+byTenant[id]+`'`); err != nil {
			t.Error(err)
			return
		}
		asked.Add(1)
		if _, alien, err := foreign(t.Context(), conn, uids, id); err == nil && alien > 0 { // an error is another's role
			leaked.Add(int64(alien))
		}
	})
	t.Logf("control: a session's setting showed %d foreign rows after %d reads", leaked.Load(), asked.Load())
	if leaked.Load() == 0 {
		t.Error("control: the session's setting leaked nothing, so this test could not see a leak")
	}
}

// work runs fn for 0..n-1 on some workers.
func work(n int, fn func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range pooledWorkers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				fn(i)
			}
		})
	}
	wg.Wait()
}
