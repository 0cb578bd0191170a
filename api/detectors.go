package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

const (
	detectorTenants = 1000
	detectorAlerts  = 10_000
)

// ListDetectors says how each detector is doing.
func (h *handlers) ListDetectors(ctx context.Context, r rest.ListDetectorsRequestObject) (rest.ListDetectorsResponseObject, error) {
	ctx, k := callOf(ctx)
	days := 14
	if r.Params.Days != nil {
		days = *r.Params.Days
	}
	counts, latest, err := h.findingHours(ctx, k.scope[:min(len(k.scope), detectorTenants)])
	if err != nil {
		return nil, err
	}
	out := rest.ListDetectors200JSONResponse{Items: []rest.DetectorInfo{}}
	var from, to time.Time
	if !latest.IsZero() {
		to = latest.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
		from = to.AddDate(0, 0, -days)
		out.From, out.To = &from, &to
	}
	info := map[string]*rest.DetectorInfo{}
	entry := func(name string) *rest.DetectorInfo {
		if d := info[name]; d != nil {
			return d
		}
		d := &rest.DetectorInfo{Name: name, LooksAt: []string{}, Techniques: []string{}, Days: []rest.DetectorDay{}}
		for at := from; at.Before(to); at = at.AddDate(0, 0, 1) {
			d.Days = append(d.Days, rest.DetectorDay{Day: at.Format(time.DateOnly)})
		}
		info[name] = d
		return d
	}
	for _, e := range h.s.opts.Detectors {
		d := entry(e.Name)
		d.Version, d.Models = e.Version, e.Models
		d.LooksAt, d.Techniques = append(d.LooksAt, e.LooksAt...), append(d.Techniques, e.Techniques...)
	}
	day := func(at time.Time) int { return int(at.UTC().Sub(from) / (24 * time.Hour)) }
	for _, c := range counts {
		if c.Hour.Before(from) || !c.Hour.Before(to) {
			continue
		}
		d := entry(c.Detector)
		d.Counts.Findings += c.Findings
		d.Counts.Alerted += c.Alerted
		d.Counts.Folded += c.Folded
		d.Counts.Suppressed += c.Suppressed
		d.Counts.BelowBudget += c.BelowBudget
		d.Days[day(c.Hour)].Findings += c.Findings
	}
	if !k.empty() && !to.IsZero() {
		alerts, err := h.pages(ctx, k.scope, AlertFilter{From: from, To: to}, detectorAlerts)
		if err != nil {
			return nil, err
		}
		for _, a := range alerts {
			for _, c := range a.Detectors {
				d := entry(c.Name)
				d.Alerts++
				if i := day(a.RaisedAt); i >= 0 && i < len(d.Days) {
					d.Days[i].Alerts++
				}
				countVerdict(&d.Verdicts, a.Triage.Verdict)
			}
		}
	}
	for _, d := range info {
		if n := d.Verdicts.TruePositive + d.Verdicts.FalsePositive; n > 0 {
			p := float64(d.Verdicts.TruePositive) / float64(n)
			d.Precision = &p
		}
	}
	for _, e := range h.s.opts.Detectors { // in the program's order, what else has findings behind
		out.Items = append(out.Items, *info[e.Name])
		delete(info, e.Name)
	}
	others := make([]string, 0, len(info))
	for name := range info {
		others = append(others, name)
	}
	slices.Sort(others)
	for _, name := range others {
		out.Items = append(out.Items, *info[name])
	}
	return out, nil
}

func countVerdict(n *rest.VerdictCounts, verdict string) {
	switch verdict {
	case "true_positive":
		n.TruePositive++
	case "benign":
		n.Benign++
	case "false_positive":
		n.FalsePositive++
	case "duplicate":
		n.Duplicate++
	default:
		n.None++
	}
}

// findingHours reads the ledger of several tenants and its latest hour.
func (h *handlers) findingHours(ctx context.Context, scope []tenant.ID) (all []FindingCount, latest time.Time, err error) {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, id := range scope {
		g.Go(func() error {
			rows, err := h.s.opts.Findings.List(ctx, id, time.Time{}, time.Time{})
			mu.Lock()
			defer mu.Unlock()
			for _, r := range rows {
				if r.Hour.After(latest) {
					latest = r.Hour
				}
			}
			all = append(all, rows...)
			return err
		})
	}
	return all, latest, g.Wait()
}

const activityTenants = 100

// GetActivity is hours by tenants.
func (h *handlers) GetActivity(ctx context.Context, r rest.GetActivityRequestObject) (rest.GetActivityResponseObject, error) {
	ctx, k := callOf(ctx)
	hours := 48
	if r.Params.Hours != nil {
		hours = *r.Params.Hours
	}
	out := rest.GetActivity200JSONResponse{StepSeconds: 3600, Tenants: []rest.TenantActivity{}}
	if k.empty() {
		return out, nil
	}
	alerts, err := h.openAlerts(ctx, k, k.scope, AlertFilter{}, detectorAlerts)
	if err != nil {
		return nil, err
	}
	of := map[tenant.ID][]StoredAlert{}
	for _, a := range alerts {
		of[a.Tenant] = append(of[a.Tenant], a)
	}
	scope := slices.Clone(k.scope)
	slices.SortStableFunc(scope, func(a, b tenant.ID) int { return len(of[b]) - len(of[a]) }) // those that matter stay when there are too many
	scope = scope[:min(len(scope), activityTenants)]
	latest := make([]EventResult, len(scope))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i, id := range scope {
		g.Go(func() (err error) {
			latest[i], err = h.s.opts.Events.Search(gctx, id, EventSearch{Limit: 1})
			return
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var to time.Time
	for _, l := range latest {
		if len(l.Events) > 0 && l.Events[0].At().After(to) {
			to = l.Events[0].At()
		}
	}
	if to.IsZero() {
		to = h.s.now().UTC()
	}
	to = to.UTC().Truncate(time.Hour).Add(time.Hour)
	from := to.Add(-time.Duration(hours) * time.Hour)
	out.From, out.To = &from, &to
	rows := make([]rest.TenantActivity, len(scope))
	g, gctx = errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i, id := range scope {
		g.Go(func() (err error) {
			rows[i], err = h.activityRow(gctx, id, from, to, hours)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, id := range scope {
		row := &rows[i]
		if len(latest[i].Events) > 0 {
			e := latest[i].Events[0]
			row.Latest, row.LatestIngested = ptr(e.At()), ptr(time.Unix(0, e.IngestedAt))
		}
		row.OpenAlerts, row.Risk = int64(len(of[id])), risk(of[id], to)
		for _, a := range of[id] {
			if n := int(a.RaisedAt.Sub(from) / time.Hour); !a.RaisedAt.Before(from) && n < hours {
				row.Alerts[n]++
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b rest.TenantActivity) int {
		switch {
		case a.Risk > b.Risk:
			return -1
		case a.Risk < b.Risk:
			return 1
		}
		return 0
	})
	out.Tenants = append(out.Tenants, rows...)
	return out, nil
}

func (h *handlers) activityRow(ctx context.Context, id tenant.ID, from, to time.Time, hours int) (rest.TenantActivity, error) {
	row := rest.TenantActivity{TenantId: id.String(), Events: make([]int64, hours), Failures: make([]int64, hours), Alerts: make([]int64, hours)}
	n, err := h.s.opts.Events.Histogram(ctx, id, HistogramRequest{From: from, To: to, Buckets: hours})
	for i, b := range n.Buckets {
		if i < hours {
			row.Events[i], row.Failures[i] = int64(b.Count), int64(b.Failures)
		}
	}
	return row, err
}
