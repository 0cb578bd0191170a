package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// retention removes what tenants no longer keep, and tenants whose time of
// grace is over. Several may run: each step may be repeated.
type retention struct {
	tenants *core.Tenants
	store   interface {
		Expire(ctx context.Context, t tenant.ID, before time.Time, holds ...eventstore.Hold) (eventstore.Removed, error)
		Erase(ctx context.Context, t tenant.ID) (removed, left eventstore.Removed, err error)
	}
	first, every time.Duration
	now          func() time.Time
	log          *slog.Logger
	removed      *prometheus.CounterVec
	failures     prometheus.Counter
}

func newRetention(c *core.Core, store *eventstore.Store, log *slog.Logger, reg prometheus.Registerer) (*retention, error) {
	r := &retention{tenants: c.Tenants, store: store, first: time.Minute, every: time.Hour, now: time.Now, log: log,
		removed:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenantwatch_retention_removed_rows_total", Help: "Rows removed from the event store, by why: expired or erased."}, []string{"why"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "tenantwatch_retention_failures_total", Help: "Tenants whose old events could not be removed; they are tried again."}),
	}
	r.removed.WithLabelValues("expired")
	r.removed.WithLabelValues("erased")
	for _, m := range []prometheus.Collector{r.removed, r.failures} {
		if err := reg.Register(m); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Run works once an hour until ctx is done.
func (r *retention) Run(ctx context.Context) error {
	t := time.NewTimer(r.first)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := r.once(ctx); err != nil && ctx.Err() == nil {
			r.failures.Inc()
			r.log.Warn("old events could not be removed, trying again in an hour", "error", err)
		}
		t.Reset(r.every)
	}
}

// holdsOf are a tenant's legal holds as the store reads them.
func holdsOf(s core.Settings) ([]eventstore.Hold, error) {
	out := make([]eventstore.Hold, 0, len(s.LegalHolds))
	for _, h := range s.LegalHolds {
		q, err := query.Parse(h.Query)
		if err != nil {
			return nil, fmt.Errorf("hold %s: %w", h.Name, err)
		}
		from, to, err := h.Range()
		if err != nil {
			return nil, fmt.Errorf("hold %s: %w", h.Name, err)
		}
		out = append(out, eventstore.Hold{Query: q, From: from, To: to})
	}
	return out, nil
}

// once goes through all tenants. One that fails does not keep the others.
func (r *retention) once(ctx context.Context) error {
	all, err := r.tenants.All(ctx)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.Settings.LegalHold {
			continue
		}
		// Whole hours, so that an hour's accounts change at once and not piece by piece.
		before := r.now().UTC().AddDate(0, 0, -t.Settings.RetentionDays).Truncate(time.Hour)
		holds, err := holdsOf(t.Settings)
		if err != nil { // nothing is removed on a hold that cannot be read
			r.failures.Inc()
			r.log.Error("a legal hold cannot be read, so nothing of the tenant is removed", "tenant", t.ID.String(), "error", err)
			continue
		}
		got, err := r.store.Expire(ctx, t.ID, before, holds...)
		r.removed.WithLabelValues("expired").Add(float64(got.Events + got.Quarantined))
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			r.failures.Inc()
			r.log.Warn("a tenant's old events could not be removed", "tenant", t.ID.String(), "error", err)
			continue
		}
		if got != (eventstore.Removed{}) {
			r.log.Info("retention is over", "tenant", t.ID.String(), "before", before, "events", got.Events, "quarantined", got.Quarantined)
		}
	}
	due, err := r.tenants.DuePurges(ctx)
	if err != nil {
		return err
	}
	for _, id := range due {
		proof, err := r.tenants.Purge(ctx, access.System("retention"), id, func(ctx context.Context) (removed, left map[string]uint64, err error) {
			a, b, err := r.store.Erase(ctx, id)
			r.removed.WithLabelValues("erased").Add(float64(a.Events + a.Quarantined))
			if err == nil && b != (eventstore.Removed{}) {
				err = fmt.Errorf("%d events and %d quarantined lines are left", b.Events, b.Quarantined)
			}
			rows := func(x eventstore.Removed) map[string]uint64 {
				return map[string]uint64{"events.events": x.Events, "events.quarantine": x.Quarantined}
			}
			return rows(a), rows(b), err
		})
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			r.failures.Inc()
			r.log.Error("a tenant could not be removed, trying again in an hour", "tenant", id.String(), "error", err)
			continue
		}
		r.log.Info("a tenant was removed", "tenant", id.String(), "removed", proof.Removed, "left", proof.Left)
	}
	return nil
}
