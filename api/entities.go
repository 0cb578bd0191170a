package api

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

const (
	riskHalfLife = 3 * 24 * time.Hour
	riskLimit    = 1000.0
	riskAlerts   = 2000 // newest open alerts of a tenant that are looked at
)

// risk adds up the scores of open alerts, each halved for every riskHalfLife
// between its end and now, at most riskLimit.
func risk(alerts []StoredAlert, now time.Time) (sum float64) {
	for _, a := range alerts {
		if a.State == alert.Retracted || a.Triage.Status == "closed" {
			continue
		}
		age := max(0, now.Sub(a.LastSeen))
		sum += float64(a.Score) / 1000 * math.Exp2(-age.Hours()/riskHalfLife.Hours())
	}
	return math.Round(min(sum, riskLimit)*1000) / 1000
}

// openAlerts reads a tenant's alerts that nobody has closed, the newest first.
// Whoever may not read alerts sees none.
func (h *handlers) openAlerts(ctx context.Context, k *call, scope []tenant.ID, f AlertFilter, most int) ([]StoredAlert, error) {
	if !k.principal.Can(access.AlertsRead) || len(scope) == 0 {
		return nil, nil
	}
	f.Status = []string{"new", "in_progress"}
	return h.pages(ctx, scope, f, most)
}

// pages reads alerts until there are so many.
func (h *handlers) pages(ctx context.Context, scope []tenant.ID, f AlertFilter, most int) (out []StoredAlert, err error) {
	var after *AlertPosition
	for len(out) < most {
		page, err := h.s.opts.Alerts.List(ctx, scope, f, after, min(500, most-len(out)))
		if err != nil {
			return nil, err
		}
		if out = append(out, page.Items...); page.Next == nil || len(page.Items) == 0 {
			break
		}
		after = page.Next
	}
	return out, nil
}

// ListEntities pages through a tenant's entities of one type.
func (h *handlers) ListEntities(ctx context.Context, r rest.ListEntitiesRequestObject) (rest.ListEntitiesResponseObject, error) {
	ctx, k := callOf(ctx)
	p := r.Params
	l := EntityList{Type: alert.EntityType(p.Type), Recent: p.Sort != nil && *p.Sort == rest.LastSeen, Limit: pageSize(p.Limit)}
	if p.Q != nil {
		l.What = strings.TrimSpace(*p.Q)
	}
	var err error
	if l.From, l.To, err = span(p.From, p.To); err != nil {
		return nil, err
	}
	if l.After, err = open[EntityPosition](h.s, k, p.After); err != nil {
		return nil, err
	}
	found, last, err := h.s.opts.Insight.Entities(ctx, k.one, l)
	if err != nil {
		return nil, err
	}
	alerts, err := h.openAlerts(ctx, k, k.scope, AlertFilter{}, riskAlerts)
	if err != nil {
		return nil, err
	}
	var now time.Time
	of := map[string][]StoredAlert{}
	for _, a := range alerts {
		if a.LastSeen.After(now) {
			now = a.LastSeen
		}
		if a.Entity.Type == l.Type {
			of[a.Entity.ID] = append(of[a.Entity.ID], a)
		}
	}
	out := rest.ListEntities200JSONResponse{Items: []rest.EntityCount{}, Next: next(h.s, k, last)}
	for _, e := range found {
		out.Items = append(out.Items, rest.EntityCount{Type: string(l.Type), Id: e.ID, Events: int64(e.Events), Failures: int64(e.Failures), First: e.First.UTC(), Last: e.Last.UTC(),
			Countries: int64(e.Countries), Addresses: int64(e.Addresses), OpenAlerts: int64(len(of[e.ID])), Risk: risk(of[e.ID], now)})
	}
	return out, nil
}

// What an entity's summary breaks down, and which of its fields are entities
// themselves.
var (
	entityFields  = []string{"country", "city", "device", "user_agent", "asn", "action", "cohort", "source", "outcome"}
	relatedFields = map[string]alert.EntityType{"actor": alert.User, "src_ip": alert.Address, "device": alert.Device, "session": alert.Session, "resource": alert.Resource}
)

func weekView(w WeekCounts) rest.Week {
	out := rest.Week{}
	for i := range w.Events {
		out.Events = append(out.Events, int64(w.Events[i]))
		out.Failures = append(out.Failures, int64(w.Failures[i]))
		out.Hours = append(out.Hours, int64(w.Hours[i]))
	}
	return out
}

// entityScope is the query for an entity's events and what they sum up to;
// not found when there are none.
func (h *handlers) entityScope(ctx context.Context, k *call, typ alert.EntityType, id string, from, to time.Time) (EventScope, EventTotals, error) {
	if typ == alert.Tenant && id != k.one.String() {
		return EventScope{}, EventTotals{}, notFound()
	}
	q, err := h.s.opts.Insight.EntityQuery(typ, id)
	if err != nil {
		return EventScope{}, EventTotals{}, err
	}
	s := EventScope{Query: q, From: from, To: to}
	n, err := h.s.opts.Insight.Totals(ctx, k.one, s)
	if err == nil && n.Events == 0 {
		err = notFound()
	}
	return s, n, err
}

// GetEntity sums up one entity.
func (h *handlers) GetEntity(ctx context.Context, r rest.GetEntityRequestObject) (rest.GetEntityResponseObject, error) {
	ctx, k := callOf(ctx)
	typ := alert.User
	if r.Params.Type != nil {
		typ = alert.EntityType(*r.Params.Type)
	}
	from, to, err := span(r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	s, n, err := h.entityScope(ctx, k, typ, r.Id, from, to)
	if err != nil {
		return nil, err
	}
	store := h.s.opts.Insight
	var week WeekCounts
	var values, related map[string][]ValueCount
	var days HistogramResult
	var alerts []StoredAlert
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(3)
	g.Go(func() (err error) { week, err = store.Week(gctx, k.one, s); return })
	g.Go(func() (err error) { values, err = store.Breakdown(gctx, k.one, s, entityFields, 20); return })
	g.Go(func() (err error) {
		related, err = store.Breakdown(gctx, k.one, s, []string{"actor", "src_ip", "device", "session", "resource"}, 10)
		return
	})
	g.Go(func() (err error) {
		days, err = h.s.opts.Events.Histogram(gctx, k.one, HistogramRequest{Query: s.Query, From: n.First, To: n.Last.Add(time.Nanosecond), Buckets: 90})
		return
	})
	g.Go(func() (err error) {
		if k.principal.Can(access.AlertsRead) {
			alerts, err = h.pages(gctx, k.scope, AlertFilter{Entity: alert.Entity{Type: typ, ID: r.Id}}, 500)
		}
		return
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := rest.GetEntity200JSONResponse{TenantId: k.one.String(), Type: string(typ), Id: r.Id, Totals: seenView(n), Week: weekView(week), Fields: []rest.FieldValues{},
		Related: []rest.RelatedEntity{}, Days: []rest.Bucket{}, Alerts: []rest.Alert{}, Risk: risk(alerts, n.Last)}
	for _, f := range entityFields {
		out.Fields = append(out.Fields, rest.FieldValues{Field: f, Values: seenValues(values[f], n.Events, nil, 20)})
	}
	for f, kind := range relatedFields {
		for _, v := range related[f] {
			if kind == typ && v.Value == r.Id || f == "actor" && (typ == alert.User || typ == alert.Service) {
				continue
			}
			out.Related = append(out.Related, rest.RelatedEntity{Type: string(kind), Id: v.Value, Events: int64(v.Count), Last: v.Last.UTC()})
		}
	}
	slices.SortFunc(out.Related, func(a, b rest.RelatedEntity) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), strings.Compare(a.Type, b.Type), strings.Compare(a.Id, b.Id))
	})
	for _, b := range days.Buckets {
		out.Days = append(out.Days, rest.Bucket{T: b.Start.UTC(), Count: int64(b.Count), Failures: int64(b.Failures)})
	}
	for _, a := range alerts {
		if a.Triage.Status != "closed" {
			out.OpenAlerts++
		}
		if len(out.Alerts) < 50 {
			out.Alerts = append(out.Alerts, rest.NewAlertView(a.Alert, triageView(a.Triage), false))
		}
	}
	return out, nil
}

// knownFields are those whose novelty the detectors look at.
var knownFields = []string{"country", "asn", "device", "user_agent", "action", "resource", "src_ip"}

// GetBaseline says what is normal for an entity.
func (h *handlers) GetBaseline(ctx context.Context, r rest.GetBaselineRequestObject) (rest.GetBaselineResponseObject, error) {
	ctx, k := callOf(ctx)
	typ, days := alert.EntityType(r.Params.Type), 28
	if r.Params.Days != nil {
		days = *r.Params.Days
	}
	s, n, err := h.entityScope(ctx, k, typ, r.Params.Id, time.Time{}, time.Time{})
	if err != nil {
		return nil, err
	}
	s.To = n.Last.Add(time.Nanosecond)
	if s.From = s.To.AddDate(0, 0, -days); s.From.Before(n.First) {
		s.From = n.First
	}
	store := h.s.opts.Insight
	var week WeekCounts
	var norms EventNorms
	var values map[string][]ValueCount
	var alerts []StoredAlert
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	g.Go(func() (err error) { n, err = store.Totals(gctx, k.one, s); return })
	g.Go(func() (err error) { week, err = store.Week(gctx, k.one, s); return })
	g.Go(func() (err error) { norms, err = store.Norms(gctx, k.one, s); return })
	g.Go(func() (err error) { values, err = store.Breakdown(gctx, k.one, s, knownFields, 100); return })
	g.Go(func() (err error) {
		if k.principal.Can(access.AlertsRead) {
			alerts, err = h.pages(gctx, k.scope, AlertFilter{Entity: alert.Entity{Type: typ, ID: r.Params.Id}}, 50)
		}
		return
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := rest.GetBaseline200JSONResponse{TenantId: k.one.String(), Type: string(typ), Id: r.Params.Id, From: s.From, To: s.To, Totals: seenView(n), ActiveHours: int64(norms.ActiveHours),
		Week: weekView(week), Norms: normViews(norms), Known: []rest.KnownValues{}, Evidence: []rest.BaselineEvidence{}}
	lastDay := s.To.Add(-24 * time.Hour)
	for _, f := range knownFields {
		known := rest.KnownValues{Field: f, Distinct: int64(len(values[f])), Values: []rest.SeenValue{}}
		once, was := 0.0, map[string]bool{}
		for _, v := range values[f] {
			if v.Count == 1 {
				once++
			}
			was[v.Value] = v.First.Before(lastDay)
		}
		known.ChanceOfNew = once / max(1, float64(n.Events))
		known.Values = seenValues(values[f], n.Events, was, 20)
		out.Known = append(out.Known, known)
	}
	for _, a := range alerts {
		full, err := h.s.opts.Alerts.Get(ctx, k.scope, a.ID) // with its plots, where the list has none
		if err != nil {
			return nil, err
		}
		for _, d := range full.Detectors {
			if len(out.Evidence) == 50 {
				break
			}
			e := rest.BaselineEvidence{AlertId: a.ID, At: a.LastSeen.UTC(), Detector: d.Name, Version: d.Version, Observed: d.Observed, Expected: d.Expected, PValue: d.PValue,
				Unit: orNil(d.Unit), BaselineHash: a.BaselineHash}
			if i := slices.IndexFunc(full.Plots, func(p alert.Plot) bool { return p.Detector == d.Name }); i >= 0 && len(out.Evidence) < 10 {
				p := plotView(full.Plots[i])
				e.Plot = &p
			}
			out.Evidence = append(out.Evidence, e)
		}
	}
	return out, nil
}

func plotView(p alert.Plot) rest.Plot {
	out := rest.Plot{Detector: p.Detector, Title: p.Title, Unit: p.Unit, StepSeconds: p.StepSec, Points: []rest.PlotPoint{}}
	for _, x := range p.Points {
		out.Points = append(out.Points, rest.PlotPoint{T: x.Time.UTC(), Observed: x.Observed, Expected: x.Expected, Lower: x.Lower, Upper: x.Upper})
	}
	return out
}

func normViews(n EventNorms) []rest.Norm {
	out := []rest.Norm{}
	for _, v := range []struct {
		name, unit, detector string
		q                    [5]float64
	}{
		{"events_per_hour", "events in an hour that has any", "rate", n.PerHour},
		{"failures_per_hour", "failures in an hour that has an event", "failures", n.FailuresHour},
		{"bytes_out_per_hour", "bytes in an hour that has an event", "volume", n.BytesHour},
		{"bytes_out_per_event", "bytes", "volume", n.BytesEvent},
		{"resources_per_hour", "distinct resources in an hour that has an event", "spread", n.ResourcesHour},
		{"gap", "seconds between an event and the next", "silence", n.Gap},
	} {
		out = append(out, rest.Norm{Name: v.name, Unit: v.unit, Detector: v.detector, P50: v.q[0], P90: v.q[1], P95: v.q[2], P99: v.q[3], Max: v.q[4]})
	}
	return out
}
