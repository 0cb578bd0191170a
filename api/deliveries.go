package api

import (
	"context"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// webhookOf finds a webhook among the tenants of the call.
func (h *handlers) webhookOf(ctx context.Context, k *call, id string) (WebhookInfo, error) {
	if k.empty() {
		return WebhookInfo{}, notFound()
	}
	all, err := h.s.opts.Webhooks.List(ctx, k.scope)
	if err != nil {
		return WebhookInfo{}, err
	}
	i := slices.IndexFunc(all, func(w WebhookInfo) bool { return w.ID == id })
	if i < 0 {
		return WebhookInfo{}, notFound()
	}
	return all[i], nil
}

// UpdateWebhook pauses, resumes or filters.
func (h *handlers) UpdateWebhook(ctx context.Context, r rest.UpdateWebhookRequestObject) (rest.UpdateWebhookResponseObject, error) {
	ctx, k := callOf(ctx)
	w, err := h.webhookOf(ctx, k, r.Id)
	if err != nil {
		return nil, err
	}
	by := k.principal.Actor()
	if r.Body.Status != nil {
		if err := h.s.opts.Webhooks.SetActive(ctx, by, w.Tenant, w.ID, *r.Body.Status == "active"); err != nil {
			return nil, err
		}
	}
	if r.Body.MinSeverity != nil {
		if err := h.s.opts.Webhooks.SetMinSeverity(ctx, by, w.Tenant, w.ID, alert.Severity(*r.Body.MinSeverity)); err != nil {
			return nil, err
		}
	}
	if w, err = h.webhookOf(ctx, k, r.Id); err != nil {
		return nil, err
	}
	return rest.UpdateWebhook200JSONResponse(webhookView(w)), nil
}

// ListAttempts shows every try to send one revision.
func (h *handlers) ListAttempts(ctx context.Context, r rest.ListAttemptsRequestObject) (rest.ListAttemptsResponseObject, error) {
	ctx, k := callOf(ctx)
	w, err := h.webhookOf(ctx, k, r.Id)
	if err != nil {
		return nil, err
	}
	list, err := h.s.opts.Webhooks.Attempts(ctx, w.Tenant, w.ID, uint64(r.Params.Seq)) //nolint:gosec // at least 1
	if err != nil {
		return nil, err
	}
	if err := h.s.saw(ctx, k, w.Tenant); err != nil {
		return nil, err
	}
	out := rest.ListAttempts200JSONResponse{Items: []rest.Attempt{}}
	for _, a := range list {
		out.Items = append(out.Items, rest.Attempt{TenantId: w.Tenant.String(), Seq: int64(a.Seq), Attempt: int64(a.Attempt), At: a.At.UTC(), //nolint:gosec // a seq
			ResponseStatus: orNil(int32(a.Status)), LatencyMs: float64(a.Latency) / float64(time.Millisecond), Error: orNil(a.Error), Answer: a.Answer}) //nolint:gosec // an HTTP status
	}
	return out, nil
}

// RedeliverWebhook owes revisions again.
func (h *handlers) RedeliverWebhook(ctx context.Context, r rest.RedeliverWebhookRequestObject) (rest.RedeliverWebhookResponseObject, error) {
	ctx, k := callOf(ctx)
	var seqs []uint64
	for _, s := range orEmpty(r.Body.Seqs) {
		seqs = append(seqs, uint64(s)) //nolint:gosec // at least 1
	}
	if r.Body.Seqs != nil && len(seqs) == 0 {
		return nil, badField("seqs", "is empty; leave it out for all that are dead")
	}
	n, err := h.s.opts.Webhooks.Redeliver(ctx, k.principal.Actor(), k.one, r.Id, seqs)
	return rest.RedeliverWebhook200JSONResponse{Owed: n}, err
}

// TestWebhook sends a test message and shows the exchange.
func (h *handlers) TestWebhook(ctx context.Context, r rest.TestWebhookRequestObject) (rest.TestWebhookResponseObject, error) {
	ctx, k := callOf(ctx)
	x, err := h.s.opts.Webhooks.Test(ctx, k.principal.Actor(), k.one, r.Id)
	if err != nil {
		return nil, err
	}
	return rest.TestWebhook200JSONResponse{Delivered: x.Error == "", Protocol: x.Protocol, Request: x.Request, Response: x.Response, Error: orNil(x.Error),
		LatencyMs: float64(x.Latency) / float64(time.Millisecond)}, nil
}

// RotateWebhook makes a new signing secret.
func (h *handlers) RotateWebhook(ctx context.Context, r rest.RotateWebhookRequestObject) (rest.RotateWebhookResponseObject, error) {
	ctx, k := callOf(ctx)
	w, err := h.webhookOf(ctx, &call{scope: []tenant.ID{k.one}}, r.Id)
	if err != nil {
		return nil, err
	}
	hours := int64(24)
	if r.Body.OverlapHours != nil {
		hours = *r.Body.OverlapHours
	}
	secret, err := h.s.opts.Webhooks.Rotate(ctx, k.principal.Actor(), w.Tenant, w.ID, time.Duration(hours)*time.Hour)
	if err != nil {
		return nil, err
	}
	return rest.RotateWebhook200JSONResponse{Webhook: webhookView(w), Secret: secret}, nil
}
