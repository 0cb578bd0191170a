package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func triageView(t TriageState) rest.Triage {
	tags, links := append([]string{}, t.Tags...), []rest.Link{}
	for _, l := range t.Links {
		links = append(links, rest.Link{Url: l.URL, Title: orNil(l.Title)})
	}
	return rest.Triage{Status: rest.TriageStatus(t.Status), Verdict: orNil(t.Verdict), Assignee: orNil(t.Assignee), Tags: &tags, Links: &links,
		Severity: orNil(t.Severity), AcknowledgedAt: ptr(t.AcknowledgedAt), ClosedAt: ptr(t.ClosedAt), UpdatedAt: ptr(t.UpdatedAt), Version: int64(t.Version)}
}

// etag changes with the alert and with its triage.
func etag(a alert.Alert, t TriageState) string { return fmt.Sprintf(`"%d-%d"`, a.Revision, t.Version) }

// ListAlerts pages through alerts, or through one tenant's feed.
func (h *handlers) ListAlerts(ctx context.Context, r rest.ListAlertsRequestObject) (rest.ListAlertsResponseObject, error) {
	ctx, k := callOf(ctx)
	p := r.Params
	if p.AfterSeq != nil {
		return h.feed(ctx, k, p)
	}
	after, err := open[AlertPosition](h.s, k, p.After)
	if err != nil {
		return nil, err
	}
	f := AlertFilter{Retracted: p.Retracted != nil && *p.Retracted}
	if p.Q != nil {
		f.Text = strings.TrimSpace(*p.Q)
	}
	if p.Severity != nil {
		for _, s := range *p.Severity {
			f.Severity = append(f.Severity, alert.Severity(s))
		}
	}
	if p.Status != nil {
		for _, s := range *p.Status {
			f.Status = append(f.Status, string(s))
		}
	}
	out := rest.ListAlerts200JSONResponse{Items: []rest.Alert{}}
	if k.empty() {
		return out, nil
	}
	page, err := h.s.opts.Alerts.List(ctx, k.scope, f, after, pageSize(p.Limit))
	if err != nil {
		return nil, err
	}
	for _, a := range page.Items {
		if err := h.s.saw(ctx, k, a.Tenant); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, rest.NewAlertView(a.Alert, triageView(a.Triage), false))
	}
	out.Next, out.Total = next(h.s, k, page.Next), page.Total
	return out, nil
}

// feed is one tenant's alerts in the order of their seq.
func (h *handlers) feed(ctx context.Context, k *call, p rest.ListAlertsParams) (rest.ListAlertsResponseObject, error) {
	switch {
	case p.Severity != nil || p.Status != nil || p.Q != nil || p.Retracted != nil || p.After != nil:
		return nil, badField("after_seq", "goes through the whole feed: it takes no filter and no cursor")
	case k.one.IsZero():
		return nil, newProblem(kindTenantRequired, "Give tenant_id: a seq belongs to one tenant.")
	}
	alerts, err := h.s.opts.Alerts.After(ctx, k.one, uint64(*p.AfterSeq), pageSize(p.Limit))
	if err != nil {
		return nil, err
	}
	out := rest.ListAlerts200JSONResponse{Items: []rest.Alert{}, Total: int64(len(alerts))}
	triage := map[string]rest.Triage{}
	for _, a := range alerts {
		t, ok := triage[a.ID]
		if !ok {
			now, err := h.s.opts.Alerts.Get(ctx, k.scope, a.ID)
			if err != nil {
				return nil, err
			}
			t = triageView(now.Triage)
			triage[a.ID] = t
		}
		out.Items = append(out.Items, rest.NewAlertView(a, t, false))
	}
	return out, nil
}

// GetAlert reads one alert.
func (h *handlers) GetAlert(ctx context.Context, r rest.GetAlertRequestObject) (rest.GetAlertResponseObject, error) {
	ctx, k := callOf(ctx)
	a, err := h.alert(ctx, k, r.Id)
	if err != nil {
		return nil, err
	}
	tag := etag(a.Alert, a.Triage)
	if r.Params.IfNoneMatch != nil && matches(*r.Params.IfNoneMatch, tag, true) {
		k.gin.Header("ETag", tag)
		return rest.GetAlert304Response{}, nil
	}
	return rest.GetAlert200JSONResponse{Body: rest.NewAlertView(a.Alert, triageView(a.Triage), true), Headers: rest.GetAlert200ResponseHeaders{ETag: &tag}}, nil
}

func (h *handlers) alert(ctx context.Context, k *call, id string) (StoredAlert, error) {
	if k.empty() {
		return StoredAlert{}, notFound()
	}
	a, err := h.s.opts.Alerts.Get(ctx, k.scope, id)
	if err == nil {
		err = h.s.saw(ctx, k, a.Tenant)
	}
	return a, err
}

// matches compares a list of ETags with the current one; weak says whether a
// weak one may match.
func matches(header, tag string, weak bool) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if weak {
			part = strings.TrimPrefix(part, "W/")
		}
		if part == "*" || part == tag {
			return true
		}
	}
	return false
}

// ListAlertEvents reads the events an alert names.
func (h *handlers) ListAlertEvents(ctx context.Context, r rest.ListAlertEventsRequestObject) (rest.ListAlertEventsResponseObject, error) {
	ctx, k := callOf(ctx)
	a, err := h.alert(ctx, k, r.Id)
	if err != nil {
		return nil, err
	}
	out := rest.ListAlertEvents200JSONResponse{Items: []event.Event{}}
	if len(a.EventIDs) == 0 {
		return out, nil
	}
	events, err := h.s.opts.Events.ByID(ctx, a.Tenant, a.EventIDs)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(events, func(x, y event.Event) int {
		if x.Time != y.Time {
			if x.Time < y.Time {
				return -1
			}
			return 1
		}
		return strings.Compare(x.ID, y.ID)
	})
	out.Items = append(out.Items, events...)
	return out, nil
}

// TriageAlert changes an alert's triage.
func (h *handlers) TriageAlert(ctx context.Context, r rest.TriageAlertRequestObject) (rest.TriageAlertResponseObject, error) {
	ctx, k := callOf(ctx)
	a, err := h.alert(ctx, k, r.Id)
	if err != nil {
		return nil, err
	}
	if r.Params.IfMatch == nil {
		return nil, newProblem(kindNeedPrecond, "Send the alert's ETag as If-Match.")
	}
	if !matches(*r.Params.IfMatch, etag(a.Alert, a.Triage), false) {
		return nil, newProblem(kindPrecondition, "The alert has changed since you read it.")
	}
	change := TriageChange{Version: a.Triage.Version, Tags: r.Body.Tags, Comment: r.Body.Comment}
	if r.Body.Severity.Given {
		change.Severity = &r.Body.Severity.Value
	}
	if r.Body.Links != nil {
		links := []Link{}
		for _, l := range *r.Body.Links {
			links = append(links, Link{l.Url, orEmpty(l.Title)})
		}
		change.Links = &links
	}
	if r.Body.Status != nil {
		status := string(*r.Body.Status)
		change.Status = &status
	}
	if r.Body.Verdict.Given {
		change.Verdict = &r.Body.Verdict.Value
	}
	if r.Body.Assignee.Given {
		change.Assignee = &r.Body.Assignee.Value
	}
	if a.Triage, err = h.s.opts.Alerts.SetTriage(ctx, a.Tenant, k.principal.Actor(), a.ID, change); err != nil {
		return nil, err
	}
	tag := etag(a.Alert, a.Triage)
	return rest.TriageAlert200JSONResponse{Body: rest.NewAlertView(a.Alert, triageView(a.Triage), true), Headers: rest.TriageAlert200ResponseHeaders{ETag: &tag}}, nil
}
