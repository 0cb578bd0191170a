package core

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// FindingCount is what became of one detector's findings in one hour of event
// time. Always: Findings = Alerted + Folded + Suppressed + BelowBudget.
type FindingCount struct {
	Tenant    tenant.ID // set by List
	Detector  string
	Hour      time.Time // start of the hour, UTC
	Partition int       // of the log; List sums over partitions
	// Position is the log offset up to which the values count. Values are
	// absolute: a replay from a checkpoint, at a lower position, is ignored
	// until it has passed the stored one.
	Position int64

	Findings, Alerted, Folded, Suppressed, BelowBudget int64
}

// Findings is the ledger of what became of findings.
type Findings struct{ c *Core }

// Put stores the absolute values of one tenant, each unless a later position
// is stored.
func (f *Findings) Put(ctx context.Context, id tenant.ID, counts []FindingCount) error {
	if id.IsZero() {
		return tenant.ErrZero
	}
	for _, n := range counts {
		if n.Detector == "" || len(n.Detector) > 100 || clean(n.Detector) != n.Detector {
			return invalid("detector %q: want 1 to 100 bytes of text", cut(n.Detector, 100))
		}
		if n.Partition < 0 || n.Position < 0 || n.Alerted < 0 || n.Folded < 0 || n.Suppressed < 0 || n.BelowBudget < 0 {
			return invalid("finding counts of %s: negative values", n.Detector)
		}
		if n.Findings != n.Alerted+n.Folded+n.Suppressed+n.BelowBudget {
			return invalid("finding counts of %s do not add up: %d findings, %d alerted + %d folded + %d suppressed + %d below budget",
				n.Detector, n.Findings, n.Alerted, n.Folded, n.Suppressed, n.BelowBudget)
		}
	}
	if len(counts) == 0 {
		return nil
	}
	err := f.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var b pgx.Batch
		for _, n := range counts {
			b.Queue(`insert into findings_ledger as l (detector, hour, partition, position, findings, alerted, folded, suppressed, below_budget)
				values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
				on conflict (tenant_id, detector, hour, partition) do update set position = excluded.position, findings = excluded.findings,
				alerted = excluded.alerted, folded = excluded.folded, suppressed = excluded.suppressed,
				below_budget = excluded.below_budget, updated_at = now() where excluded.position >= l.position`,
				n.Detector, n.Hour.UTC().Truncate(time.Hour), n.Partition, n.Position, n.Findings, n.Alerted, n.Folded, n.Suppressed, n.BelowBudget)
		}
		return tx.SendBatch(ctx, &b).Close()
	})
	return wrap(err, "finding counts of %s", id)
}

// List reads the ledger of the tenants in scope for the hours in [from, to)
// (a zero time is no bound), summed over partitions, by hour, tenant and detector.
func (f *Findings) List(ctx context.Context, scope []tenant.ID, from, to time.Time) (out []FindingCount, err error) {
	if len(scope) == 0 {
		return nil, nil
	}
	whose, err := f.c.owners(ctx, scope)
	if err != nil {
		return nil, err
	}
	err = f.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, detector, hour, max(position), sum(findings)::bigint, sum(alerted)::bigint, sum(folded)::bigint,
			sum(suppressed)::bigint, sum(below_budget)::bigint from findings_ledger where ($1::timestamptz is null or hour >= $1) and ($2::timestamptz is null or hour < $2)
			group by 1, 2, 3 order by 3, 1, 2 limit 100000`, orNull(from), orNull(to))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (FindingCount, error) {
			var n FindingCount
			var tid string
			if err := row.Scan(&tid, &n.Detector, &n.Hour, &n.Position, &n.Findings, &n.Alerted, &n.Folded, &n.Suppressed, &n.BelowBudget); err != nil {
				return n, err
			}
			n.Tenant, err = whose.of(tid)
			return n, err
		})
		return err
	})
	return out, wrap(err, "list finding counts")
}
