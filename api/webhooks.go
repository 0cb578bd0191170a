package api

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

func webhookView(w WebhookInfo) rest.Webhook {
	least, settings := rest.Severity(w.MinSeverity), []rest.DestinationSetting{}
	if w.MinSeverity == "" {
		least = rest.Severity(alert.Informational)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Settings)) {
		settings = append(settings, rest.DestinationSetting{Name: name, Value: w.Settings[name]})
	}
	return rest.Webhook{Kind: orNil(cmp.Or(w.Kind, "webhook")), MinSeverity: &least, Settings: &settings, Id: w.ID, TenantId: w.Tenant.String(), Name: w.Name, Url: w.URL, Status: rest.WebhookStatus(w.Status),
		CreatedAt: w.CreatedAt.UTC(), Failures: int64(w.Failures), FailingSince: ptr(w.FailingSince)}
}

// ListWebhooks pages through webhooks, newest first.
func (h *handlers) ListWebhooks(ctx context.Context, r rest.ListWebhooksRequestObject) (rest.ListWebhooksResponseObject, error) {
	ctx, k := callOf(ctx)
	after, err := open[offset](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	out := rest.ListWebhooks200JSONResponse{Items: []rest.Webhook{}}
	if k.empty() {
		return out, nil
	}
	all, err := h.s.opts.Webhooks.List(ctx, k.scope)
	if err != nil {
		return nil, err
	}
	key := func(w WebhookInfo) string { return newestFirst(w.CreatedAt, w.ID) }
	slices.SortFunc(all, func(a, b WebhookInfo) int { return strings.Compare(key(a), key(b)) })
	page, last := cut(all, key, after, pageSize(r.Params.Limit))
	for _, w := range page {
		if err := h.s.saw(ctx, k, w.Tenant); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, webhookView(w))
	}
	out.Next = next(h.s, k, last)
	return out, nil
}

// CreateWebhook registers an endpoint and shows its signing secret.
func (h *handlers) CreateWebhook(ctx context.Context, r rest.CreateWebhookRequestObject) (rest.CreateWebhookResponseObject, error) {
	ctx, k := callOf(ctx)
	u, err := url.Parse(r.Body.Url)
	plain := orEmpty(r.Body.Kind) == "" || orEmpty(r.Body.Kind) == "webhook"
	if err != nil || plain && (u.Host == "" || u.Scheme != "https" && u.Scheme != "http") || u.User != nil {
		return nil, badField("url", "want an http or https address without a user name")
	}
	n := NewWebhook{Name: u.Host, URL: r.Body.Url, Kind: orEmpty(r.Body.Kind), Token: orEmpty(r.Body.Token), Settings: map[string]string{}}
	for _, x := range orEmpty(r.Body.Settings) {
		n.Settings[x.Name] = x.Value
	}
	if r.Body.MinSeverity != nil {
		n.MinSeverity = alert.Severity(*r.Body.MinSeverity)
	}
	if name := strings.TrimSpace(orEmpty(r.Body.Name)); name != "" {
		n.Name = name
	}
	if n.Name == "" {
		n.Name = n.Kind
	}
	hook, secret, err := h.s.opts.Webhooks.Create(ctx, k.principal.Actor(), k.one, n)
	if err != nil {
		return nil, err
	}
	return rest.CreateWebhook201JSONResponse{Webhook: webhookView(hook), Secret: secret}, nil
}

// DeleteWebhook removes an endpoint.
func (h *handlers) DeleteWebhook(ctx context.Context, r rest.DeleteWebhookRequestObject) (rest.DeleteWebhookResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := h.s.opts.Webhooks.Delete(ctx, k.principal.Actor(), k.one, r.Id); err != nil {
		return nil, err
	}
	return rest.DeleteWebhook204Response{}, nil
}

type seqPosition struct {
	Seq uint64 `json:"s"`
}

// ListDeliveries pages through what was sent to an endpoint.
func (h *handlers) ListDeliveries(ctx context.Context, r rest.ListDeliveriesRequestObject) (rest.ListDeliveriesResponseObject, error) {
	ctx, k := callOf(ctx)
	before, err := open[seqPosition](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	if before == nil {
		before = &seqPosition{}
	}
	if k.empty() {
		return nil, notFound()
	}
	id := k.one
	if id.IsZero() { // whose it is decides whose deliveries are read
		all, err := h.s.opts.Webhooks.List(ctx, k.scope)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(w WebhookInfo) bool { return w.ID == r.Id })
		if i < 0 {
			return nil, notFound()
		}
		id = all[i].Tenant
	}
	limit := pageSize(r.Params.Limit)
	list, err := h.s.opts.Webhooks.Deliveries(ctx, id, r.Id, before.Seq, limit)
	if err != nil {
		return nil, err
	}
	out := rest.ListDeliveries200JSONResponse{Items: []rest.Delivery{}}
	if err := h.s.saw(ctx, k, id); err != nil {
		return nil, err
	}
	for _, d := range list {
		out.Items = append(out.Items, rest.Delivery{WebhookId: r.Id, AlertId: d.AlertID, Revision: int64(d.Revision), Seq: int64(d.Seq),
			Status: rest.DeliveryStatus(d.State), Attempts: int64(d.Attempts), CreatedAt: d.CreatedAt.UTC(), FinishedAt: ptr(d.FinishedAt),
			ResponseStatus: orNil(int32(d.LastStatus)), Error: orNil(d.LastError)})
	}
	if len(list) >= limit {
		out.Next = next(h.s, k, &seqPosition{list[len(list)-1].Seq})
	}
	return out, nil
}
