package delivery_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/delivery"
)

// holdCommits makes each commit that leases an endpoint wait until release is
// called: the moment in which a shutdown must not forget what it claimed.
func holdCommits(t *testing.T, dsn string) (waiting func() bool, release func()) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(ctx) })
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`create function tenantwatch.hold() returns trigger language plpgsql as
		$$ begin perform pg_advisory_xact_lock_shared(4711); return null; end $$`)
	exec(`create constraint trigger hold after update on tenantwatch.webhooks deferrable initially deferred
		for each row when (new.lease_owner is not null and old.lease_owner is null) execute function tenantwatch.hold()`)
	exec(`select pg_advisory_lock(4711)`)
	return func() bool {
		var n int
		if err := conn.QueryRow(ctx, `select count(*) from pg_locks where locktype = 'advisory' and objid = 4711 and not granted
			and database = (select oid from pg_database where datname = current_database())`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 0
	}, func() { exec(`select pg_advisory_unlock(4711)`) }
}

// TestShutdownDuringClaim: a sender that is stopped while the database is
// still confirming its claim gives the endpoints back, so that the next sender
// need not wait for the lease to end.
func TestShutdownDuringClaim(t *testing.T) {
	t.Parallel()
	c, db := newCore(t, acme)
	rc := newReceiver(t, nil)
	rc.register(c, acme)
	store(t, c, acme, 0, 1)
	waiting, release := holdCommits(t, db.AdminDSN)
	w, err := delivery.New(delivery.Options{Core: c, AllowNetworks: loopback, Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	eventually(t, "a claim that waits for its commit", waiting)
	cancel()
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// A broken-off claim commits when the server comes to it.
	eventually(t, "the claim's end", func() bool { return !waiting() })
	conn, err := pgx.Connect(t.Context(), db.AdminDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var leased int
	if err := conn.QueryRow(t.Context(), `select count(*) from tenantwatch.webhooks where lease_owner is not null`).Scan(&leased); err != nil {
		t.Fatal(err)
	}
	if leased != 0 {
		t.Fatalf("%d endpoints are leased to a sender that has ended", leased)
	}
	run(t, delivery.Options{Core: c, AllowNetworks: loopback}) // long before a lease of 50 s would end
	rc.wait(1)
}
