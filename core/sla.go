package core

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// SLATarget is how soon an alert of a severity should be taken up and closed,
// in minutes from when it was stored.
type SLATarget struct {
	Severity                 alert.Severity
	AckMinutes, CloseMinutes int
}

// DefaultSLA holds for a tenant that set no targets of its own.
func DefaultSLA() []SLATarget {
	return []SLATarget{{alert.Critical, 15, 4 * 60}, {alert.High, 60, 24 * 60}, {alert.Medium, 8 * 60, 3 * 24 * 60},
		{alert.Low, 24 * 60, 7 * 24 * 60}, {alert.Informational, 7 * 24 * 60, 30 * 24 * 60}}
}

// SLAFigures are the clocks of the alerts of one tenant and severity that were
// stored in one UTC day. Severity is the people's where they set one. Retracted
// alerts do not count.
type SLAFigures struct {
	Tenant   tenant.ID
	Day      time.Time
	Severity alert.Severity
	Raised   int64
	// AckWithin and CloseWithin met their target; AckLate and CloseLate did
	// not, or are still open and past it. The rest still has time.
	AckWithin, AckLate, CloseWithin, CloseLate int64
	// Median and 90th percentile of the time to acknowledge and to close, over
	// those that were; zero without any.
	AckP50, AckP90, CloseP50, CloseP90 time.Duration
}

// SLATargets reads a tenant's targets, the defaults where it set none, gravest
// first.
func (a *Alerts) SLATargets(ctx context.Context, id tenant.ID) ([]SLATarget, error) {
	out := DefaultSLA()
	whose, err := a.c.owners(ctx, []tenant.ID{id})
	if err != nil {
		return nil, err
	}
	err = a.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, severity, ack_minutes, close_minutes from sla_targets`)
		if err != nil {
			return err
		}
		var owner string
		var t SLATarget
		_, err = pgx.ForEachRow(rows, []any{&owner, &t.Severity, &t.AckMinutes, &t.CloseMinutes}, func() error {
			if i := slices.IndexFunc(out, func(d SLATarget) bool { return d.Severity == t.Severity }); i >= 0 {
				out[i] = t
			}
			_, err := whose.of(owner)
			return err
		})
		return err
	})
	if err != nil {
		return nil, wrap(err, "service levels of %s", id)
	}
	return out, nil
}

// SetSLATargets replaces a tenant's targets; severities left out go back to the
// default.
func (a *Alerts) SetSLATargets(ctx context.Context, id tenant.ID, by access.Actor, targets []SLATarget) error {
	seen := map[alert.Severity]bool{}
	for _, t := range targets {
		if !slices.Contains(severities, t.Severity) || seen[t.Severity] {
			return invalid("severity %q: want each of informational, low, medium, high, critical at most once", t.Severity)
		}
		seen[t.Severity] = true
		if t.AckMinutes < 1 || t.CloseMinutes < t.AckMinutes || t.CloseMinutes > 525600 {
			return invalid("targets of %s: want 1 to 525600 minutes, and closing not before acknowledging", t.Severity)
		}
	}
	err := a.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `delete from sla_targets`); err != nil {
			return err
		}
		for _, t := range targets {
			if _, err := tx.Exec(ctx, `insert into sla_targets (severity, ack_minutes, close_minutes) values ($1, $2, $3)`,
				string(t.Severity), t.AckMinutes, t.CloseMinutes); err != nil {
				return err
			}
		}
		return audit(ctx, tx, by, "sla.set", "", map[string]any{"targets": len(targets)})
	})
	return wrap(err, "service levels of %s", id)
}

// SLA computes the figures of the tenants in scope for alerts stored in
// [from, to), by day, tenant and severity. Each tenant's alerts are held
// against its own targets as they are now.
func (a *Alerts) SLA(ctx context.Context, scope []tenant.ID, from, to time.Time) (out []SLAFigures, err error) {
	if len(scope) == 0 {
		return nil, nil
	}
	whose, err := a.c.owners(ctx, scope)
	if err != nil {
		return nil, err
	}
	var sev []string
	var ack, cls []int32
	for _, d := range DefaultSLA() {
		sev, ack, cls = append(sev, string(d.Severity)), append(ack, int32(d.AckMinutes)), append(cls, int32(d.CloseMinutes))
	}
	err = a.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			with clocks as (
				select a.tenant_id, date_trunc('day', a.stored_at at time zone 'UTC') at time zone 'UTC' as day, d.severity,
					coalesce(a.acknowledged_at, $3) - a.stored_at > make_interval(mins => coalesce(s.ack_minutes, d.ack)) as ack_late,
					coalesce(a.closed_at, $3) - a.stored_at > make_interval(mins => coalesce(s.close_minutes, d.cls)) as close_late,
					extract(epoch from a.acknowledged_at - a.stored_at)::float8 as ack_s, extract(epoch from a.closed_at - a.stored_at)::float8 as close_s
				from alerts a
				join unnest($4::text[], $5::int[], $6::int[]) as d (severity, ack, cls) on d.severity = coalesce(a.severity_override, a.severity)
				left join sla_targets s on s.tenant_id = a.tenant_id and s.severity = d.severity
				where a.state <> 'retracted' and a.stored_at >= $1 and a.stored_at < $2)
			select tenant_id::text, day, severity, count(*),
				count(*) filter (where not ack_late and ack_s is not null), count(*) filter (where ack_late),
				count(*) filter (where not close_late and close_s is not null), count(*) filter (where close_late),
				coalesce(percentile_cont(0.5) within group (order by ack_s), 0), coalesce(percentile_cont(0.9) within group (order by ack_s), 0),
				coalesce(percentile_cont(0.5) within group (order by close_s), 0), coalesce(percentile_cont(0.9) within group (order by close_s), 0)
			from clocks group by 1, 2, 3 order by 2, 1, 3 limit 20000`, from, to, a.c.now(), sev, ack, cls)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (SLAFigures, error) {
			var f SLAFigures
			var owner string
			var s [4]float64
			if err := row.Scan(&owner, &f.Day, &f.Severity, &f.Raised, &f.AckWithin, &f.AckLate, &f.CloseWithin, &f.CloseLate, &s[0], &s[1], &s[2], &s[3]); err != nil {
				return f, err
			}
			for i, d := range []*time.Duration{&f.AckP50, &f.AckP90, &f.CloseP50, &f.CloseP90} {
				*d = time.Duration(s[i] * float64(time.Second))
			}
			var err error
			f.Tenant, err = whose.of(owner)
			return f, err
		})
		return err
	})
	if err != nil {
		return nil, wrap(err, "service levels")
	}
	return out, nil
}
