package api

import (
	"context"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// ListAlertHistory reads what was done to an alert.
func (h *handlers) ListAlertHistory(ctx context.Context, r rest.ListAlertHistoryRequestObject) (rest.ListAlertHistoryResponseObject, error) {
	ctx, k := callOf(ctx)
	a, err := h.alert(ctx, k, r.Id)
	if err != nil {
		return nil, err
	}
	list, err := h.s.opts.Triage.History(ctx, a.Tenant, a.ID)
	if err != nil {
		return nil, err
	}
	if err := h.s.saw(ctx, k, a.Tenant); err != nil {
		return nil, err
	}
	out := rest.ListAlertHistory200JSONResponse{Items: []rest.AlertChange{}}
	for _, e := range list {
		c := rest.AlertChange{TenantId: a.Tenant.String(), Version: int64(e.Version), At: e.At.UTC(), Actor: e.Actor, Comment: orNil(e.Comment), Batch: orNil(e.Batch),
			Undoes: orNil(int64(e.Undoes)), Changes: []rest.FieldChange{}}
		for _, f := range e.Changes {
			c.Changes = append(c.Changes, rest.FieldChange{Field: f.Field, From: f.From, To: f.To})
		}
		out.Items = append(out.Items, c)
	}
	return out, nil
}

// CommentAlert adds a comment to an alert's history.
func (h *handlers) CommentAlert(ctx context.Context, r rest.CommentAlertRequestObject) (rest.CommentAlertResponseObject, error) {
	ctx, k := callOf(ctx)
	a, err := h.alert(ctx, k, r.Id)
	if err != nil {
		return nil, err
	}
	if a.Triage, err = h.s.opts.Alerts.SetTriage(ctx, a.Tenant, k.principal.Actor(), a.ID, TriageChange{Comment: r.Body.Comment}); err != nil {
		return nil, err
	}
	return rest.CommentAlert200JSONResponse(rest.NewAlertView(a.Alert, triageView(a.Triage), true)), nil
}

// UndoTriage takes a change back.
func (h *handlers) UndoTriage(ctx context.Context, r rest.UndoTriageRequestObject) (rest.UndoTriageResponseObject, error) {
	ctx, k := callOf(ctx)
	a, err := h.alert(ctx, k, r.Id)
	if err != nil {
		return nil, err
	}
	version := 0
	if r.Body.Version != nil {
		version = int(*r.Body.Version)
	}
	if a.Triage, err = h.s.opts.Triage.Undo(ctx, a.Tenant, k.principal.Actor(), a.ID, version); err != nil {
		return nil, err
	}
	return rest.UndoTriage200JSONResponse(rest.NewAlertView(a.Alert, triageView(a.Triage), true)), nil
}

// BulkTriage changes many alerts of one tenant.
func (h *handlers) BulkTriage(ctx context.Context, r rest.BulkTriageRequestObject) (rest.BulkTriageResponseObject, error) {
	ctx, k := callOf(ctx)
	b := r.Body
	given := 0
	for _, g := range []bool{b.Ids != nil, b.Filter != nil, b.Undo != nil} {
		if g {
			given++
		}
	}
	if given != 1 {
		return nil, badField("ids", "give exactly one of ids, filter and undo")
	}
	by := k.principal.Actor()
	if b.Undo != nil {
		out, err := h.s.opts.Triage.UndoBulk(ctx, k.one, by, *b.Undo)
		return bulkView(out), err
	}
	var ids []string
	f := AlertFilter{}
	if b.Ids != nil {
		ids = append([]string{}, *b.Ids...)
	} else {
		if b.Filter.Severity != nil {
			for _, s := range *b.Filter.Severity {
				f.Severity = append(f.Severity, alert.Severity(s))
			}
		}
		if b.Filter.Status != nil {
			for _, s := range *b.Filter.Status {
				f.Status = append(f.Status, string(s))
			}
		}
		f.Text = orEmpty(b.Filter.Q)
	}
	ch := TriageChange{Assignee: b.Assignee, Comment: orEmpty(b.Comment)}
	if b.Status != nil {
		s := string(*b.Status)
		ch.Status = &s
	}
	if b.Verdict != nil {
		v := string(*b.Verdict)
		ch.Verdict = &v
	}
	if b.Severity != nil {
		s := string(*b.Severity)
		ch.Severity = &s
	}
	if b.AddTags != nil {
		ch.AddTags = *b.AddTags
	}
	if b.RemoveTags != nil {
		ch.DropTags = *b.RemoveTags
	}
	out, err := h.s.opts.Triage.Bulk(ctx, k.one, by, ids, f, ch)
	return bulkView(out), err
}

func bulkView(b BulkOutcome) rest.BulkTriage200JSONResponse {
	out := rest.BulkTriage200JSONResponse{Batch: orNil(b.Batch), Items: []rest.BulkItem{}}
	for _, it := range b.Items {
		if it.Result == "changed" {
			out.Changed++
		}
		out.Items = append(out.Items, rest.BulkItem{Id: it.ID, Result: rest.BulkItemResult(it.Result), Version: int64(it.Version)})
	}
	return out
}

// GetSLA reads the clocks' figures.
func (h *handlers) GetSLA(ctx context.Context, r rest.GetSLARequestObject) (rest.GetSLAResponseObject, error) {
	ctx, k := callOf(ctx)
	from, to, err := span(r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	if to.IsZero() {
		to = h.s.now().UTC().Add(time.Minute)
	}
	if from.IsZero() {
		from = to.AddDate(0, 0, -30)
	}
	out := rest.GetSLA200JSONResponse{Items: []rest.SLAFigures{}, Targets: []rest.SLATarget{}}
	if k.empty() {
		return out, nil
	}
	list, err := h.s.opts.Triage.SLA(ctx, k.scope, from, to)
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		if err := h.s.saw(ctx, k, f.Tenant); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, rest.SLAFigures{TenantId: f.Tenant.String(), Day: f.Day.UTC(), Severity: rest.Severity(f.Severity), Raised: f.Raised,
			AckWithin: f.AckWithin, AckLate: f.AckLate, CloseWithin: f.CloseWithin, CloseLate: f.CloseLate, AckP50Seconds: f.AckP50.Seconds(),
			AckP90Seconds: f.AckP90.Seconds(), CloseP50Seconds: f.CloseP50.Seconds(), CloseP90Seconds: f.CloseP90.Seconds()})
	}
	if !k.one.IsZero() {
		out.Targets, err = h.targets(ctx, k.one)
	}
	return out, err
}

func (h *handlers) targets(ctx context.Context, id tenant.ID) ([]rest.SLATarget, error) {
	list, err := h.s.opts.Triage.SLATargets(ctx, id)
	out := []rest.SLATarget{}
	for _, t := range list {
		out = append(out, rest.SLATarget{Severity: rest.Severity(t.Severity), AckMinutes: int64(t.AckMinutes), CloseMinutes: int64(t.CloseMinutes)})
	}
	return out, err
}

// SetSLA replaces a tenant's targets.
func (h *handlers) SetSLA(ctx context.Context, r rest.SetSLARequestObject) (rest.SetSLAResponseObject, error) {
	ctx, k := callOf(ctx)
	var targets []SLATarget
	for _, t := range r.Body.Targets {
		targets = append(targets, SLATarget{alert.Severity(t.Severity), int(t.AckMinutes), int(t.CloseMinutes)})
	}
	if err := h.s.opts.Triage.SetSLATargets(ctx, k.one, k.principal.Actor(), targets); err != nil {
		return nil, err
	}
	now, err := h.targets(ctx, k.one)
	return rest.SetSLA200JSONResponse{Targets: now}, err
}

// orEmpty is the zero value for nil.
func orEmpty[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
