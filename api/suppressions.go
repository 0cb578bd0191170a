package api

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
)

func (h *handlers) suppressionView(s Suppression) rest.Suppression {
	now := h.s.now()
	return rest.Suppression{Id: s.ID, TenantId: s.Tenant.String(), Scope: scopeView(s.SuppressionScope), From: s.From.UTC(), Until: s.Until.UTC(), Owner: s.Owner,
		Reason: s.Reason, Override: orNil(s.Override), CreatedBy: s.Author, CreatedAt: s.CreatedAt.UTC(), EndedAt: ptr(s.EndedAt),
		InForce: s.EndedAt.IsZero() && s.Until.After(now), Hits: s.Hits, LastHit: ptr(s.LastHit)}
}

func scopeView(s SuppressionScope) rest.SuppressionScope {
	out := rest.SuppressionScope{Detector: orNil(s.Detector), EntityType: orNil(s.EntityType), EntityId: orNil(s.EntityID), Action: orNil(s.Action), Label: orNil(s.Label)}
	if s.Network.IsValid() {
		out.Network = orNil(s.Network.String())
	}
	return out
}

func scopeOf(s rest.SuppressionScope) (SuppressionScope, error) {
	out := SuppressionScope{Detector: orEmpty(s.Detector), EntityType: orEmpty(s.EntityType), EntityID: orEmpty(s.EntityId), Action: orEmpty(s.Action), Label: orEmpty(s.Label)}
	if n := orEmpty(s.Network); n != "" {
		p, err := netip.ParsePrefix(n)
		if a, aerr := netip.ParseAddr(n); aerr == nil {
			p, err = a.Unmap().Prefix(a.Unmap().BitLen())
		}
		if err != nil {
			return out, badField("scope.network", "want an address or a network such as 203.0.113.0/24")
		}
		out.Network = p.Masked()
	}
	return out, nil
}

// ListSuppressions pages through suppressions, newest first.
func (h *handlers) ListSuppressions(ctx context.Context, r rest.ListSuppressionsRequestObject) (rest.ListSuppressionsResponseObject, error) {
	ctx, k := callOf(ctx)
	after, err := open[offset](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	out := rest.ListSuppressions200JSONResponse{Items: []rest.Suppression{}}
	if k.empty() {
		return out, nil
	}
	all, err := h.s.opts.Suppressions.List(ctx, k.scope)
	if err != nil {
		return nil, err
	}
	key := func(s Suppression) string { return newestFirst(s.CreatedAt, s.ID) }
	slices.SortFunc(all, func(a, b Suppression) int { return strings.Compare(key(a), key(b)) })
	page, last := cut(all, key, after, pageSize(r.Params.Limit))
	for _, s := range page {
		if err := h.s.saw(ctx, k, s.Tenant); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, h.suppressionView(s))
	}
	out.Next = next(h.s, k, last)
	return out, nil
}

func previewView(p SuppressionPreview) rest.SuppressionPreview {
	out := rest.SuppressionPreview{From: p.From.UTC(), To: p.To.UTC(), Scanned: int64(p.Scanned), Truncated: p.Truncated, Hidden: int64(p.Hidden),
		Confirmed: append([]string{}, p.Confirmed...), Alerts: []rest.Alert{}}
	for _, a := range p.Alerts {
		out.Alerts = append(out.Alerts, rest.NewAlertView(a.Alert, triageView(a.Triage), false))
	}
	return out
}

// PreviewSuppression shows what a suppression would have hidden.
func (h *handlers) PreviewSuppression(ctx context.Context, r rest.PreviewSuppressionRequestObject) (rest.PreviewSuppressionResponseObject, error) {
	ctx, k := callOf(ctx)
	scope, err := scopeOf(r.Body.Scope)
	if err != nil {
		return nil, err
	}
	days := 90
	if r.Body.Days != nil {
		days = int(*r.Body.Days)
	}
	p, err := h.s.opts.Suppressions.Preview(ctx, k.one, scope, time.Duration(days)*24*time.Hour)
	return rest.PreviewSuppression200JSONResponse(previewView(p)), err
}

// CreateSuppression saves one after its preview.
func (h *handlers) CreateSuppression(ctx context.Context, r rest.CreateSuppressionRequestObject) (rest.CreateSuppressionResponseObject, error) {
	ctx, k := callOf(ctx)
	scope, err := scopeOf(r.Body.Scope)
	if err != nil {
		return nil, err
	}
	s, p, err := h.s.opts.Suppressions.Create(ctx, k.principal.Actor(), k.one, Suppression{SuppressionScope: scope, Until: r.Body.Until,
		Owner: r.Body.Owner, Reason: r.Body.Reason, Override: orEmpty(r.Body.Override)})
	if err != nil {
		return nil, err
	}
	return rest.CreateSuppression201JSONResponse{Suppression: h.suppressionView(s), Preview: previewView(p)}, nil
}

// EndSuppression ends one at once.
func (h *handlers) EndSuppression(ctx context.Context, r rest.EndSuppressionRequestObject) (rest.EndSuppressionResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := h.s.opts.Suppressions.End(ctx, k.principal.Actor(), k.one, r.Id); err != nil {
		return nil, err
	}
	return rest.EndSuppression204Response{}, nil
}

// ListHiddenAlerts reads what a suppression hid.
func (h *handlers) ListHiddenAlerts(ctx context.Context, r rest.ListHiddenAlertsRequestObject) (rest.ListHiddenAlertsResponseObject, error) {
	ctx, k := callOf(ctx)
	if k.empty() {
		return nil, notFound()
	}
	list, err := h.s.opts.Suppressions.Hidden(ctx, k.scope, r.Id, orEmpty(r.Params.Q), pageSize(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	out := rest.ListHiddenAlerts200JSONResponse{Items: []rest.HiddenAlert{}}
	for _, a := range list {
		if err := h.s.saw(ctx, k, a.Tenant); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, rest.HiddenAlert{Id: a.ID, TenantId: a.Tenant.String(), SuppressionId: a.Suppression, RaisedAtEventTime: a.RaisedAt.UTC(),
			Severity: rest.Severity(a.Severity), Score: float64(a.Score) / 1000, Title: a.Title, Reason: a.Reason,
			Entity: rest.Entity{Type: rest.EntityType(a.Entity.Type), Id: a.Entity.ID}, Count: int64(a.Count)}) //nolint:gosec // a count of events
	}
	return out, nil
}
