package api

import (
	"context"
	"slices"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func tenantView(t TenantInfo) rest.Tenant {
	v := rest.Tenant{Id: t.ID.String(), Name: t.Name, CreatedAt: t.CreatedAt.UTC(), Status: rest.TenantStatus(t.State), Placement: rest.TenantPlacement(t.Placement)}
	if t.Reason != "" {
		v.StatusReason = &t.Reason
	}
	if !t.DeleteAfter.IsZero() {
		at := t.DeleteAfter.UTC()
		v.DeleteAfter = &at
	}
	return v
}

// ListTenants pages through the tenants of the set.
func (h *handlers) ListTenants(ctx context.Context, r rest.ListTenantsRequestObject) (rest.ListTenantsResponseObject, error) {
	ctx, k := callOf(ctx)
	after, err := open[offset](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	out := rest.ListTenants200JSONResponse{Items: []rest.Tenant{}}
	ids, last := cut(slices.SortedFunc(slices.Values(k.scope), compareTenants), tenant.ID.String, after, pageSize(r.Params.Limit))
	if len(ids) == 0 {
		return out, nil
	}
	infos, err := h.s.opts.Tenants.List(ctx, ids)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(infos, func(a, b TenantInfo) int { return compareTenants(a.ID, b.ID) })
	for _, t := range infos {
		out.Items = append(out.Items, tenantView(t))
	}
	out.Next = next(h.s, k, last)
	return out, nil
}

// CreateTenant adds a tenant.
func (h *handlers) CreateTenant(ctx context.Context, r rest.CreateTenantRequestObject) (rest.CreateTenantResponseObject, error) {
	ctx, k := callOf(ctx)
	id, err := tenant.Parse(r.Body.Id)
	if err != nil {
		return nil, badField("id", "%s", err)
	}
	t, err := h.s.opts.Tenants.Create(ctx, k.principal.Actor(), id, r.Body.Name)
	if err != nil {
		return nil, err
	}
	return rest.CreateTenant201JSONResponse(tenantView(t)), nil
}
