package core_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/coretest"
)

// BenchmarkTransaction measures what stepping into a tenant costs: the same
// one-row read as a bare query, in a transaction of the tenant, and that
// through PgBouncer. p50 and p99 are in microseconds.
func BenchmarkTransaction(b *testing.B) {
	db := server.Database(b)
	direct := coretest.OpenOn(b, db, nil)
	makeTenants(b, direct, acme)
	const sql = `select count(*) from tenantwatch.audit_log where id = '00000000-0000-7000-8000-000000000000'`
	var n int
	inTenant := func(c *core.Core) func() error {
		return func() error {
			return c.InTenantRead(b.Context(), acme, func(tx pgx.Tx) error { return tx.QueryRow(b.Context(), sql).Scan(&n) })
		}
	}
	admin, err := pgx.Connect(b.Context(), db.AdminDSN)
	if err != nil {
		b.Fatal(err)
	}
	defer admin.Close(b.Context()) //nolint:errcheck // ends with the test
	run := func(name string, fn func() error) {
		b.Run(name, func(b *testing.B) {
			took := make([]time.Duration, 0, b.N)
			for b.Loop() {
				began := time.Now()
				if err := fn(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Nanoseconds()) / 1000 }
			b.ReportMetric(at(0.5), "p50-µs")
			b.ReportMetric(at(0.99), "p99-µs")
		})
	}
	run("bare", func() error { return admin.QueryRow(b.Context(), sql).Scan(&n) })
	run("tenant", inTenant(direct))
	b.Run("pgbouncer", func(b *testing.B) {
		dsn := server.Pooler(b, db, 4)
		through := coretest.OpenOn(b, db, func(cfg *core.Config) { cfg.DSN, cfg.PgBouncer = dsn, true })
		took := make([]time.Duration, 0, b.N)
		ask := inTenant(through)
		for b.Loop() {
			began := time.Now()
			if err := ask(); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-µs")
		b.ReportMetric(float64(took[int(0.99*float64(len(took)-1))].Nanoseconds())/1000, "p99-µs")
	})
}
