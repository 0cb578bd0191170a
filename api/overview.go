package api

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

const overviewTenants = 100 // named in an overview, of which at most 1,000 are looked at

// GetOverview counts what the home page shows.
func (h *handlers) GetOverview(ctx context.Context, _ rest.GetOverviewRequestObject) (rest.GetOverviewResponseObject, error) {
	ctx, k := callOf(ctx)
	out := rest.GetOverview200JSONResponse{Tenants: []rest.TenantCounts{}, Budget: rest.Budget{PerTenantPerDay: h.s.opts.AlertBudget}}
	if k.empty() {
		return out, nil
	}
	open, err := h.s.opts.Alerts.Open(ctx, k.scope)
	if err != nil {
		return nil, err
	}
	out.Alerts.BySeverity = rest.SeverityCounts{Informational: open["informational"], Low: open["low"], Medium: open["medium"], High: open["high"], Critical: open["critical"]}
	for _, n := range open {
		out.Alerts.Open += n
	}
	scope := k.scope[:min(len(k.scope), 1000)]
	counts := make([]rest.TenantCounts, len(scope))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, id := range scope {
		group.Go(func() (err error) {
			counts[i], err = h.tenantCounts(gctx, id)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, n := range counts {
		out.Events.Last24h += n.Events24h
		out.Events.Failures24h += n.Failures24h
		out.Budget.Raised24h += n.Raised24h
		if n.Latest != nil && (out.Events.Latest == nil || n.Latest.After(*out.Events.Latest)) {
			out.Events.Latest = n.Latest
		}
	}
	if err := h.budgets(ctx, scope, counts, &out.Budget); err != nil {
		return nil, err
	}
	slices.SortStableFunc(counts, func(a, b rest.TenantCounts) int { return int(b.OpenAlerts - a.OpenAlerts) })
	out.Tenants = append(out.Tenants, counts[:min(len(counts), overviewTenants)]...)
	return out, nil
}

// budgets fills in what the settings of the tenants say, and their average.
func (h *handlers) budgets(ctx context.Context, scope []tenant.ID, counts []rest.TenantCounts, out *rest.Budget) error {
	infos, err := h.s.opts.Tenants.List(ctx, scope)
	if err != nil {
		return err
	}
	of := make(map[string]int32, len(infos))
	sum := 0.0
	for _, t := range infos {
		of[t.ID.String()] = int32(t.Settings.AlertBudget) //nolint:gosec // at most tenant.MaxAlertBudget
		sum += float64(t.Settings.AlertBudget)
	}
	for i := range counts {
		if b, ok := of[counts[i].TenantId]; ok {
			counts[i].AlertBudget = &b
		}
	}
	if len(infos) > 0 {
		out.PerTenantPerDay = sum / float64(len(infos))
	}
	return nil
}

func (h *handlers) tenantCounts(ctx context.Context, id tenant.ID) (rest.TenantCounts, error) {
	n := rest.TenantCounts{TenantId: id.String()}
	open, err := h.s.opts.Alerts.Open(ctx, []tenant.ID{id})
	if err != nil {
		return n, err
	}
	for _, c := range open {
		n.OpenAlerts += c
	}
	act, err := h.s.opts.Events.Activity(ctx, id)
	if err != nil || act.Latest.IsZero() {
		return n, err
	}
	n.Events24h, n.Failures24h, n.Latest = int64(act.Events), int64(act.Failures), ptr(act.Latest)
	until := act.Latest.Add(time.Nanosecond)
	n.Raised24h, err = h.s.opts.Alerts.RaisedIn(ctx, id, until.Add(-24*time.Hour), until)
	return n, err
}
