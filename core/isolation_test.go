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

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

const (
	isolationTenants = 200
	isolationTxs     = 10_000
)

// fill gives each tenant three findings rows whose detector names the tenant:
// a canary that shows whose row was seen.
func fill(t testing.TB, c *core.Core, n int) []tenant.ID {
	t.Helper()
	ids := make([]tenant.ID, n)
	for i := range ids {
		ids[i] = tenant.MustParse(fmt.Sprintf("t%03d", i))
	}
	makeTenants(t, c, ids...)
	for _, id := range ids {
		err := c.InTenant(t.Context(), id, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `insert into findings_ledger (detector, hour, partition, position, findings, alerted, folded, suppressed, below_budget)
				select $1, now(), n, 0, 0, 0, 0, 0, 0 from generate_series(0, 2) n`, id.String())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// canaries reads whatever the transaction sees.
func canaries(ctx context.Context, tx pgx.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, `select detector from findings_ledger`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// TestIsolationUnderConcurrency mixes reads, writes, granted reads, platform
// operations, failures, cancelled contexts and panics of 200 tenants over a
// pool of 4 connections. No transaction may see a row that is not its own.
func TestIsolationUnderConcurrency(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil) // a pool of 4
	ids := fill(t, c, isolationTenants)
	var seen, foreign, missing, panics, cancelled atomic.Int64
	look := func(got []string, want ...tenant.ID) {
		own := 0
		for _, g := range got {
			mine := false
			for _, id := range want {
				mine = mine || g == id.String()
			}
			if mine {
				own++
			} else {
				foreign.Add(1)
			}
		}
		seen.Add(int64(len(got)))
		if own != 3*len(want) {
			missing.Add(1)
		}
	}
	boom := errors.New("boom")
	one := func(r *rand.Rand) (err error) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		id := ids[r.IntN(len(ids))]
		defer func() {
			if p := recover(); p != nil {
				panics.Add(1)
			}
		}()
		switch r.IntN(20) {
		case 0: // a write of its own row
			return c.InTenant(ctx, id, func(tx pgx.Tx) error {
				tag, err := tx.Exec(ctx, `update findings_ledger set updated_at = now()`)
				if err == nil && tag.RowsAffected() != 3 {
					foreign.Add(tag.RowsAffected())
				}
				return err
			})
		case 1: // an error rolls back
			err = c.InTenant(ctx, id, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, `update findings_ledger set position = 99`); err != nil {
					return err
				}
				return boom
			})
			if errors.Is(err, boom) {
				return nil
			}
			return err
		case 2: // cancelled in the middle of a statement
			_ = c.InTenant(ctx, id, func(tx pgx.Tx) error {
				go cancel()
				_, err := tx.Exec(ctx, `select pg_sleep(0.002) from findings_ledger`)
				return err
			})
			cancelled.Add(1)
			return nil
		case 3: // cancelled between statements
			_ = c.InTenant(ctx, id, func(tx pgx.Tx) error { cancel(); _, err := canaries(ctx, tx); return err })
			cancelled.Add(1)
			return nil
		case 4: // a panic, half the time after breaking the transaction
			return c.InTenant(ctx, id, func(tx pgx.Tx) error {
				if r.IntN(2) == 0 {
					_, _ = tx.Exec(ctx, `select 1/0`)
				}
				panic("boom")
			})
		case 5: // an analyst
			other := ids[r.IntN(len(ids))]
			want := []tenant.ID{id, other}
			if id == other {
				want = want[:1]
			}
			return c.InGranted(ctx, want, func(tx pgx.Tx) error {
				got, err := canaries(ctx, tx)
				if err == nil {
					look(got, want...)
				}
				return err
			})
		case 6: // the platform, to which this table shows nothing
			err := c.InPlatform(ctx, core.OpTenants, func(tx pgx.Tx) error {
				got, err := canaries(ctx, tx)
				foreign.Add(int64(len(got)))
				return err
			})
			if err == nil {
				return errors.New("the platform role may read the findings")
			}
			return nil
		default:
			return c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
				got, err := canaries(ctx, tx)
				if err == nil {
					look(got, id)
				}
				return err
			})
		}
	}
	concurrently(t, isolationTxs, one)
	t.Logf("%d transactions of %d tenants over 4 connections: %d rows seen, %d foreign, %d cancelled, %d panics",
		isolationTxs, len(ids), seen.Load(), foreign.Load(), cancelled.Load(), panics.Load())
	if foreign.Load() != 0 {
		t.Errorf("%d foreign rows", foreign.Load())
	}
	if missing.Load() != 0 {
		t.Errorf("%d transactions did not see exactly their own rows", missing.Load())
	}
	if seen.Load() < isolationTxs || panics.Load() == 0 || cancelled.Load() == 0 {
		t.Error("the mix did not exercise what it should")
	}
	for range c.Pool().Config().MaxConns { // each can be had: none was lost
		conn, err := c.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
}

// TestSessionSettingLeaks is the control: the same reads with SET instead of
// SET LOCAL, as one would write it without knowing pools, do see foreign rows.
func TestSessionSettingLeaks(t *testing.T) {
	t.Parallel()
	c, db := server.Open(t, nil)
	ids := fill(t, c, 20)
	uuids := make(map[tenant.ID]string)
	admin, err := pgx.Connect(t.Context(), db.AdminDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	for _, id := range ids {
		var u string
		if err := admin.QueryRow(t.Context(), `select id::text from tenantwatch.tenants where slug = $1`, id.String()).Scan(&u); err != nil {
			t.Fatal(err)
		}
		uuids[id] = u
	}
	pool := c.Pool()
	var rows, foreign atomic.Int64
	concurrently(t, 2000, func(r *rand.Rand) error {
		ctx := context.Background()
		id := ids[r.IntN(len(ids))]
		if _, err := pool.Exec(ctx, "set role tenantwatch_tenant; set search_path = tenantwatch; set app.tenant_id = '"+uuids[id]+"'"); err != nil {
			return err
		}
		got, err := pool.Query(ctx, `select detector from findings_ledger`) // perhaps on another connection
		if err != nil {
			return nil // or on one that has no role yet
		}
		names, err := pgx.CollectRows(got, pgx.RowTo[string])
		if err != nil {
			return nil
		}
		for _, n := range names {
			rows.Add(1)
			if n != id.String() {
				foreign.Add(1)
			}
		}
		return nil
	})
	t.Logf("with session settings: %d foreign rows of %d", foreign.Load(), rows.Load())
	if foreign.Load() == 0 {
		t.Error("the control leaks nothing: the test above proves nothing")
	}
}

// concurrently runs n calls of one in 16 goroutines, each with a generator of
// its own.
func concurrently(t testing.TB, n int, one func(*rand.Rand) error) {
	t.Helper()
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 7))
			for next.Add(1) <= int64(n) {
				if err := one(r); err != nil && failed.Add(1) <= 5 {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestNothingWithoutASetting: a transaction that names no tenant, an empty one
// or nonsense sees nothing and writes nothing.
func TestNothingWithoutASetting(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	fill(t, c, 2)
	ctx := t.Context()
	if err := core.BareTransaction(ctx, c, func(tx pgx.Tx) error { _, err := canaries(ctx, tx); return err }); err == nil {
		t.Error("the service's own role may read")
	}
	for _, begin := range []string{
		"begin; set local role tenantwatch_tenant; set local search_path = tenantwatch",
		"begin; set local role tenantwatch_tenant; set local search_path = tenantwatch; set local app.tenant_id = ''",
		"begin; set local role tenantwatch_granted; set local search_path = tenantwatch",
		"begin; set local role tenantwatch_granted; set local search_path = tenantwatch; set local app.granted_tenants = '{}'",
	} {
		err := core.Transact(ctx, c.Pool(), begin, func(tx pgx.Tx) error {
			got, err := canaries(ctx, tx)
			if len(got) != 0 {
				t.Errorf("%s: saw %v", begin, got)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", begin, err)
		}
		err = core.Transact(ctx, c.Pool(), begin, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `insert into alert_counters default values`)
			return err
		})
		if err == nil {
			t.Errorf("%s: wrote", begin)
		}
	}
}

// TestForeignRows tries to reach and to detect another tenant's rows.
func TestForeignRows(t *testing.T) {
	t.Parallel()
	c, db := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	admin, err := pgx.Connect(ctx, db.AdminDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	var betaID string
	if err := admin.QueryRow(ctx, `select id::text from tenantwatch.tenants where slug = 'beta'`).Scan(&betaID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Alerts.Upsert(ctx, beta, makeAlerts(beta, 1, 1)); err != nil {
		t.Fatal(err)
	}
	f := func(what, sql string, wantErr bool, args ...any) {
		t.Helper()
		err := c.InTenant(ctx, acme, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, sql, args...)
			if err == nil && tag.RowsAffected() != 0 {
				t.Errorf("%s: %d rows", what, tag.RowsAffected())
			}
			return err
		})
		if (err != nil) != wantErr {
			t.Errorf("%s: %v", what, err)
		}
	}
	f("read", `select from alerts where tenant_id = $1`, false, betaID)
	f("update", `update alerts set title = 'x'`, false)
	f("delete", `delete from webhooks`, false)
	f("insert for another", `insert into audit_log (tenant_id, id, actor_kind, actor_id, actor_name, action, target, detail)
		values ($1, gen_random_uuid(), '', '', '', '', '', '{}')`, true, betaID)
	f("point a foreign key at another", `insert into alert_history (alert_id, version, actor_kind, actor_id, actor_name, from_status, to_status)
		values ($1, 1, '', '', '', '', '')`, true, makeAlerts(beta, 1, 1)[0].ID)
	f("truncate", `truncate alerts`, true)
	f("the platform's table", `select from tenants`, true)
	f("step up", `set local role tenantwatch_owner`, true)
	// The same alert id in another tenant is no conflict.
	same := makeAlerts(acme, 1, 1)
	same[0].ID = makeAlerts(beta, 1, 1)[0].ID
	if got, err := c.Alerts.Upsert(ctx, acme, same); err != nil || len(got) != 1 || got[0].Seq != 1 {
		t.Errorf("an id that another tenant has: %v, %v", got, err)
	}
}
