package api

import (
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func lineView(q *event.Quarantined) rest.QuarantinedLine {
	line := rest.QuarantinedLine{Id: q.ID, TenantId: q.Tenant.String(), Source: q.Source, Format: q.Format, Reason: q.Reason, Line: int64(q.Line),
		Offset: int64(q.Offset), ReceivedAt: time.Unix(0, q.ReceivedAt).UTC(), Raw: strings.ToValidUTF8(string(q.Raw), "\uFFFD")}
	if !utf8.Valid(q.Raw) {
		line.RawBase64 = &q.Raw
	}
	return line
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// ListQuarantine pages through the lines no parser could take.
func (h *handlers) ListQuarantine(ctx context.Context, r rest.ListQuarantineRequestObject) (rest.ListQuarantineResponseObject, error) {
	ctx, k := callOf(ctx)
	after, err := open[QuarantinePosition](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	scope := LineScope{State: string(deref(r.Params.State)), Pattern: deref(r.Params.Pattern), Source: deref(r.Params.Source)}
	page, err := h.s.opts.Events.Quarantine(ctx, k.one, scope, after, pageSize(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	out := rest.ListQuarantine200JSONResponse{Items: []rest.QuarantinedLine{}, Next: next(h.s, k, page.Next)}
	for i := range page.Lines {
		out.Items = append(out.Items, lineView(&page.Lines[i]))
	}
	return out, nil
}

// ListQuarantineGroups groups them by reason.
func (h *handlers) ListQuarantineGroups(ctx context.Context, r rest.ListQuarantineGroupsRequestObject) (rest.ListQuarantineGroupsResponseObject, error) {
	ctx, k := callOf(ctx)
	groups, err := h.s.opts.Lines.Groups(ctx, k.one, LineScope{State: string(deref(r.Params.State)), Source: deref(r.Params.Source)})
	if err != nil {
		return nil, err
	}
	out := rest.ListQuarantineGroups200JSONResponse{Items: []rest.QuarantineGroup{}}
	for _, g := range groups[:min(len(groups), pageSize(r.Params.Limit))] {
		out.Items = append(out.Items, rest.QuarantineGroup{Pattern: g.Pattern, Source: g.Source, Format: g.Format, Lines: int64(g.Lines), First: g.First, Last: g.Last, ExampleId: g.Example, Reason: g.Reason})
	}
	return out, nil
}

// GetQuarantinedLine shows one line.
func (h *handlers) GetQuarantinedLine(ctx context.Context, r rest.GetQuarantinedLineRequestObject) (rest.GetQuarantinedLineResponseObject, error) {
	ctx, k := callOf(ctx)
	l, err := h.s.opts.Lines.Line(ctx, k.one, r.Id)
	if err != nil {
		return nil, err
	}
	out := lineView(&l.Quarantined)
	if !l.ReplayedAt.IsZero() {
		n := int64(l.Events)
		out.ReplayedAt, out.Events = &l.ReplayedAt, &n
	}
	return rest.GetQuarantinedLine200JSONResponse(out), nil
}

// ReplayQuarantine reads lines again.
func (h *handlers) ReplayQuarantine(ctx context.Context, r rest.ReplayQuarantineRequestObject) (rest.ReplayQuarantineResponseObject, error) {
	ctx, k := callOf(ctx)
	b := r.Body
	req := Replay{IDs: deref(b.Ids), Scope: LineScope{Pattern: deref(b.Pattern), Source: deref(b.Source)}, Format: deref(b.Format), Mapping: deref(b.Mapping),
		Year: deref(b.Year), DryRun: deref(b.DryRun)}
	if len(req.IDs) == 0 && req.Scope.Pattern == "" && req.Scope.Source == "" {
		return nil, badField("ids", "name the lines: ids, or a pattern, or a source")
	}
	if tz := deref(b.Tz); tz != "" {
		zone, err := time.LoadLocation(tz)
		if err != nil || tz == "Local" {
			return nil, badField("tz", "want a name such as Europe/Berlin")
		}
		req.Zone = zone
	}
	res, err := h.s.opts.Lines.Replay(ctx, k.principal.Actor(), k.one, req)
	if err != nil {
		return nil, err
	}
	out := rest.ReplayQuarantine200JSONResponse{Selected: int64(res.Selected), Replayed: int64(res.Replayed), Events: int64(res.Events), Failed: int64(res.Failed), More: res.More,
		Errors: []rest.ReplayError{}, Sample: []map[string]any{}}
	for _, e := range res.Errors {
		out.Errors = append(out.Errors, rest.ReplayError{Id: e.ID, Reason: e.Reason})
	}
	for i := range res.Sample {
		var m map[string]any
		if err := json.Unmarshal(event.AppendJSON(nil, &res.Sample[i]), &m); err != nil {
			return nil, err
		}
		out.Sample = append(out.Sample, m)
	}
	return out, nil
}
