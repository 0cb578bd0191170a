package core_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	db := server.Empty(t)
	if _, err := core.Open(t.Context(), core.Config{DSN: db.DSN, KeyFile: filepath.Join(t.TempDir(), "key")}); err == nil || !strings.Contains(err.Error(), "migrate") {
		t.Fatalf("before the migration: %v", err)
	}
	var wg sync.WaitGroup
	for range 3 { // several at once, as when several roles start
		wg.Go(func() {
			if err := core.Migrate(context.Background(), core.MigrateConfig{DSN: db.AdminDSN, ServicePassword: "it's \\ odd"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := core.Migrate(t.Context(), core.MigrateConfig{DSN: db.AdminDSN}); err != nil {
		t.Fatalf("again: %v", err)
	}
	c, err := core.Open(t.Context(), core.Config{DSN: db.DSN, KeyFile: filepath.Join(t.TempDir(), "key")})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	c.Close() // twice is fine
}

// TestOutsideServer migrates as a role that may neither create roles nor the
// schema, after an administrator has done what the documentation says.
func TestOutsideServer(t *testing.T) {
	t.Parallel()
	db := server.Empty(t)
	admin, err := pgx.Connect(t.Context(), db.AdminDSN)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(core.RolesSQL()) // again: the cluster has them
	exec(`create role deployer login`)
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), `drop owned by deployer; drop role deployer`)
		if err := errors.Join(err, admin.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	asDeployer := strings.Replace(db.AdminDSN, "user=postgres", "user=deployer", 1)
	if err := core.Migrate(t.Context(), core.MigrateConfig{DSN: asDeployer}); err == nil || !strings.Contains(err.Error(), "create schema tenantwatch authorization tenantwatch_owner") {
		t.Fatalf("without a schema: %v", err)
	}
	exec(`create schema tenantwatch authorization tenantwatch_owner; grant tenantwatch_owner to deployer`)
	if err := core.Migrate(t.Context(), core.MigrateConfig{DSN: asDeployer}); err != nil {
		t.Fatal(err)
	}
	problems, err := core.CheckCatalogue(t.Context(), admin)
	if err != nil || len(problems) != 0 {
		t.Fatalf("%v, %v", problems, err)
	}
}

func TestOpenRefusesPower(t *testing.T) {
	t.Parallel()
	db := server.Database(t)
	cfg := core.Config{DSN: db.AdminDSN, KeyFile: filepath.Join(t.TempDir(), "key")}
	if _, err := core.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "above row-level security") {
		t.Errorf("a superuser: %v", err)
	}
	cfg.DSN = db.DSN
	cfg.RequireFixed = true
	c, err := core.Open(t.Context(), cfg)
	if err == nil {
		defer c.Close()
		if c.Server().Warning != "" {
			t.Errorf("opened in spite of: %s", c.Server().Warning)
		}
	} else if !strings.Contains(err.Error(), "ON CONFLICT") {
		t.Errorf("RequireFixed: %v", err)
	}
	if _, err := core.Open(t.Context(), core.Config{DSN: db.DSN}); err == nil {
		t.Error("opened without a key")
	}
}

// TestTwoInOneProcess: two cores with their own registries, and the second on
// the same one refused.
func TestTwoInOneProcess(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	c, db := server.Open(t, func(cfg *core.Config) { cfg.Metrics = reg })
	makeTenants(t, c, acme)
	if _, err := core.Open(t.Context(), core.Config{DSN: db.DSN, KeyFile: filepath.Join(t.TempDir(), "key"), Metrics: reg}); err == nil {
		t.Error("two cores share one registry")
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "tenantwatch_") {
			t.Errorf("metric %s", f.GetName())
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if strings.Contains(l.GetValue(), "acme") {
					t.Errorf("metric %s names a tenant", f.GetName())
				}
			}
		}
	}
}

// TestPoolerMode works without prepared statements, as behind a pooler in
// transaction mode.
func TestPoolerMode(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.PgBouncer = true })
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	if _, err := c.Alerts.Upsert(ctx, acme, makeAlerts(acme, 3, 1)); err != nil {
		t.Fatal(err)
	}
	closed := core.Closed
	if _, err := c.Alerts.SetTriage(ctx, acme, tests, makeAlerts(acme, 1, 1)[0].ID, core.TriageChange{Status: &closed}); err != nil {
		t.Fatal(err)
	}
	if p, err := c.Alerts.List(ctx, []tenant.ID{acme, beta}, core.AlertFilter{Status: []core.Status{core.New}, Text: "MANY", From: day}, nil, 1); err != nil || p.Total != 2 || p.Next == nil {
		t.Fatalf("%+v, %v", p, err)
	} else if p, err = c.Alerts.List(ctx, []tenant.ID{acme, beta}, core.AlertFilter{}, p.Next, 0); err != nil || len(p.Items) != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	makeUser(t, c, acme, "ada@acme.example", "tenant_admin")
	s, err := c.Identity.Login(ctx, core.LoginRequest{Email: "ada@acme.example", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Identity.Logout(ctx, s.Token.Reveal()); err != nil {
		t.Fatal(err)
	}
	_, secret, err := c.Keys.Create(ctx, tests, acme, core.NewKey{Kind: core.IngestKind, Name: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Keys.ResolveIngestKey(ctx, secret.Reveal()); err != nil {
		t.Fatal(err)
	}
	if err := c.Keys.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Findings.Put(ctx, acme, []core.FindingCount{{Detector: "rate", Hour: day, Findings: 1, Alerted: 1}}); err != nil {
		t.Fatal(err)
	}
	h, _, err := c.Webhooks.Create(ctx, tests, acme, "", "https://siem.example/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Webhooks.Redeliver(ctx, tests, acme, h.ID, 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Webhooks.Delete(ctx, tests, acme, h.ID); err != nil {
		t.Fatal(err)
	}
}

// TestOverhead reports what a tenant's transaction costs beside a bare query,
// and holds it to a bound that only a lost round-trip trick would break.
func TestOverhead(t *testing.T) {
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme)
	ctx := t.Context()
	const n = 400
	bare, in := make([]time.Duration, n), make([]time.Duration, n)
	var one int
	for i := range n {
		start := time.Now()
		if err := c.Pool().QueryRow(ctx, `select 1`).Scan(&one); err != nil {
			t.Fatal(err)
		}
		bare[i] = time.Since(start)
		start = time.Now()
		if err := c.InTenant(ctx, acme, func(tx pgx.Tx) error { return tx.QueryRow(ctx, `select 1`).Scan(&one) }); err != nil {
			t.Fatal(err)
		}
		in[i] = time.Since(start)
	}
	slices.Sort(bare)
	slices.Sort(in)
	t.Logf("bare query p50 %v p99 %v; in a tenant's transaction p50 %v p99 %v", bare[n/2], bare[n*99/100], in[n/2], in[n*99/100])
	if in[n/2] > bare[n/2]*15+5*time.Millisecond {
		t.Errorf("a tenant's transaction takes %v, a bare query %v", in[n/2], bare[n/2])
	}
}

// TestPolicyUsesIndex: with many tenants, reading one costs its own rows, not
// everybody's.
func TestPolicyUsesIndex(t *testing.T) {
	t.Parallel()
	c, db := server.Open(t, nil)
	ids := fill(t, c, 50)
	admin, err := pgx.Connect(t.Context(), db.AdminDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	if _, err := admin.Exec(t.Context(), `insert into tenantwatch.findings_ledger (tenant_id, detector, hour, partition, position, findings, alerted, folded, suppressed, below_budget)
		select t.id, 'bulk', now(), n, 0, 0, 0, 0, 0, 0 from tenantwatch.tenants t, generate_series(0, 400) n; analyze tenantwatch.findings_ledger`); err != nil {
		t.Fatal(err)
	}
	explain := func(what string, err error, plan []string) {
		t.Helper()
		text := strings.Join(plan, "\n")
		if err != nil || strings.Contains(text, "Seq Scan") || !strings.Contains(text, "Index Cond: (tenant_id =") {
			t.Errorf("%s: %v\n%s", what, err, text)
		}
	}
	collect := func(tx pgx.Tx, sql string) ([]string, error) {
		rows, err := tx.Query(t.Context(), `explain `+sql)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[string])
	}
	var plan []string
	err = c.InTenantRead(t.Context(), ids[3], func(tx pgx.Tx) (err error) {
		plan, err = collect(tx, `select * from findings_ledger`)
		return err
	})
	explain("one tenant", err, plan)
	err = c.InGranted(t.Context(), ids[:3], func(tx pgx.Tx) (err error) {
		plan, err = collect(tx, `select * from findings_ledger`)
		return err
	})
	explain("three tenants", err, plan)
}
