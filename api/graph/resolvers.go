package graph

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Resolver answers the fields from the backend.
type Resolver struct{ b Backend }

func loadersOf(ctx context.Context) *loaders { return ctx.Value(loadersKey{}).(*loaders) }

// Tenant is the tenant of an alert.
func (r *alertResolver) Tenant(ctx context.Context, obj *Alert) (*Tenant, error) {
	return loadersOf(ctx).tenants.Load(ctx, obj.TenantID)
}

// Events are those that an alert names, in that order; missing ones are left
// out.
func (r *alertResolver) Events(ctx context.Context, obj *Alert) ([]Event, error) {
	refs := make([]EventRef, len(obj.EventIds))
	for i, id := range obj.EventIds {
		refs[i] = EventRef{obj.TenantID, id}
	}
	found, err := loadersOf(ctx).events.LoadAll(ctx, refs)
	if err != nil {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() { // all of one batch failed alike
				if e != nil {
					return nil, e
				}
			}
		}
		return nil, err
	}
	out := []Event{}
	for _, e := range found {
		if e != nil {
			out = append(out, *e)
		}
	}
	return out, nil
}

// Baseline is what is normal for an entity.
func (r *entityResolver) Baseline(ctx context.Context, obj *Entity, days *int) (*Baseline, error) {
	var of *string
	if me, err := r.Query().Me(ctx); err != nil {
		return nil, err
	} else if me.MultiTenant {
		of = &obj.TenantID
	}
	return r.Query().Baseline(ctx, obj.Type, obj.ID, of, days)
}

// TriageAlert says what became of an alert.
func (r *mutationResolver) TriageAlert(ctx context.Context, id string, tenant *string, version, revision int64, status *TriageStatus, verdict *Verdict, assignee *string) (*Alert, error) {
	body := map[string]any{}
	if tenant != nil {
		body["tenant_id"] = *tenant
	}
	if status != nil {
		body["status"] = *status
	}
	if verdict != nil {
		body["verdict"] = *verdict
	}
	if assignee != nil {
		body["assignee"] = *assignee
	}
	header := http.Header{"If-Match": {fmt.Sprintf(`"%d-%d"`, revision, version)}}
	return into[Alert](r.b.Do(ctx, http.MethodPatch, "/api/v1/alerts/"+url.PathEscape(id)+"/triage", nil, header, body))
}

// Me is who asks.
func (r *queryResolver) Me(ctx context.Context) (*Me, error) {
	return get[Me](ctx, r.b, "/session", query())
}

// Tenants are those of the set.
func (r *queryResolver) Tenants(ctx context.Context, first int, after *string) (*TenantConnection, error) {
	p, err := get[restPage[Tenant]](ctx, r.b, "/tenants", query().page(first, after))
	if err != nil {
		return nil, err
	}
	return &TenantConnection{Edges: edges(p, func(t *Tenant, c *string) TenantEdge { return TenantEdge{t, c} }), PageInfo: p.info()}, nil
}

// Alerts of one tenant of the list.
func (r *tenantResolver) Alerts(ctx context.Context, obj *Tenant, severity []Severity, status []TriageStatus, first int, after *string) (*AlertConnection, error) {
	of := &obj.ID
	if me, err := r.Query().Me(ctx); err != nil {
		return nil, err
	} else if !me.MultiTenant {
		of = nil
	}
	return r.Query().Alerts(ctx, of, severity, status, nil, nil, first, after)
}

// Alerts are a page of alerts.
func (r *queryResolver) Alerts(ctx context.Context, tenant *string, severity []Severity, status []TriageStatus, q *string, retracted *bool, first int, after *string) (*AlertConnection, error) {
	a := list(list(query(), "severity", severity), "status", status).str("tenant_id", tenant).str("q", q).yes("retracted", retracted).page(first, after)
	p, err := get[restPage[Alert]](ctx, r.b, "/alerts", a)
	if err != nil {
		return nil, err
	}
	return &AlertConnection{Edges: edges(p, func(t *Alert, c *string) AlertEdge { return AlertEdge{t, c} }), PageInfo: p.info(), TotalCount: p.Total}, nil
}

// Alert is one alert; null when there is none.
func (r *queryResolver) Alert(ctx context.Context, id string, tenant *string) (*Alert, error) {
	return maybe(get[Alert](ctx, r.b, "/alerts/"+url.PathEscape(id), query().str("tenant_id", tenant)))
}

// Events are a page of a search.
func (r *queryResolver) Events(ctx context.Context, tenant, q *string, from, to *time.Time, ascending *bool, first int, after *string) (*EventConnection, error) {
	a := query().str("tenant_id", tenant).str("q", q).time("from", from).time("to", to).page(first, after)
	if ascending != nil && *ascending {
		a.Set("order", "asc")
	}
	p, err := get[restPage[Event]](ctx, r.b, "/audit/events", a)
	if err != nil {
		return nil, err
	}
	return &EventConnection{Edges: edges(p, func(t *Event, c *string) EventEdge { return EventEdge{t, c} }), PageInfo: p.info(), Explain: p.Explain}, nil
}

// Event is one event; null when there is none.
func (r *queryResolver) Event(ctx context.Context, id string, tenant *string) (*Event, error) {
	return maybe(get[Event](ctx, r.b, "/audit/events/"+url.PathEscape(id), query().str("tenant_id", tenant)))
}

// Explain says what a query means.
func (r *queryResolver) Explain(ctx context.Context, q string) (*Explanation, error) {
	return get[Explanation](ctx, r.b, "/audit/explain", query().str("q", &q))
}

// Entities are a page of a tenant's entities.
func (r *queryResolver) Entities(ctx context.Context, typeArg EntityType, tenant, q *string, from, to *time.Time, first int, after *string) (*EntityConnection, error) {
	typ := string(typeArg)
	p, err := get[restPage[EntityCount]](ctx, r.b, "/entities", query().str("type", &typ).str("tenant_id", tenant).str("q", q).time("from", from).time("to", to).page(first, after))
	if err != nil {
		return nil, err
	}
	return &EntityConnection{Edges: edges(p, func(t *EntityCount, c *string) EntityEdge { return EntityEdge{t, c} }), PageInfo: p.info()}, nil
}

// Entity is one entity; null when nothing is known of it.
func (r *queryResolver) Entity(ctx context.Context, typeArg EntityType, id string, tenant *string) (*Entity, error) {
	typ := string(typeArg)
	return maybe(get[Entity](ctx, r.b, "/entities/"+url.PathEscape(id), query().str("type", &typ).str("tenant_id", tenant)))
}

// Baseline is what is normal for an entity; null when nothing is known of it.
func (r *queryResolver) Baseline(ctx context.Context, typeArg EntityType, id string, tenant *string, days *int) (*Baseline, error) {
	typ := string(typeArg)
	return maybe(get[Baseline](ctx, r.b, "/baselines", query().str("type", &typ).str("id", &id).str("tenant_id", tenant).num("days", days)))
}

// Findings are what became of findings.
func (r *queryResolver) Findings(ctx context.Context, tenant *string, from, to *time.Time) (*Findings, error) {
	return get[Findings](ctx, r.b, "/accounting/findings", query().str("tenant_id", tenant).time("from", from).time("to", to))
}

// Detectors are how each detector is doing.
func (r *queryResolver) Detectors(ctx context.Context, tenant *string, days *int) ([]Detector, error) {
	p, err := get[restPage[Detector]](ctx, r.b, "/detectors", query().str("tenant_id", tenant).num("days", days))
	if err != nil {
		return nil, err
	}
	return p.Items, nil
}

// Webhooks are a page of endpoints.
func (r *queryResolver) Webhooks(ctx context.Context, tenant *string, first int, after *string) (*WebhookConnection, error) {
	p, err := get[restPage[Webhook]](ctx, r.b, "/webhooks", query().str("tenant_id", tenant).page(first, after))
	if err != nil {
		return nil, err
	}
	return &WebhookConnection{Edges: edges(p, func(t *Webhook, c *string) WebhookEdge { return WebhookEdge{t, c} }), PageInfo: p.info()}, nil
}

// Alert, Entity, Mutation, Query and Tenant are the generated code's way in.
func (r *Resolver) Alert() AlertResolver { return &alertResolver{r} }

// Entity implements ResolverRoot.
func (r *Resolver) Entity() EntityResolver { return &entityResolver{r} }

// Mutation implements ResolverRoot.
func (r *Resolver) Mutation() MutationResolver { return &mutationResolver{r} }

// Query implements ResolverRoot.
func (r *Resolver) Query() QueryResolver { return &queryResolver{r} }

// Tenant implements ResolverRoot.
func (r *Resolver) Tenant() TenantResolver { return &tenantResolver{r} }

type alertResolver struct{ *Resolver }
type entityResolver struct{ *Resolver }
type mutationResolver struct{ *Resolver }
type queryResolver struct{ *Resolver }
type tenantResolver struct{ *Resolver }
