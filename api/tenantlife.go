package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func tenantTag(t TenantInfo) string { return fmt.Sprintf(`"v%d"`, t.Version) }

// version reads an If-Match of tenantTag's form; 0 when there is none.
func version(header *string) (int, error) {
	if header == nil || strings.TrimSpace(*header) == "*" {
		return 0, nil
	}
	text, ok := strings.CutPrefix(strings.Trim(strings.TrimSpace(*header), `"`), "v")
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < 1 {
		return 0, newProblem(kindPrecondition, "If-Match is none of this tenant's ETags: read it again.")
	}
	return n, nil
}

func (h *handlers) tenant(ctx context.Context, k *call) (TenantInfo, error) {
	id := k.one
	list, err := h.s.opts.Tenants.List(ctx, []tenant.ID{id})
	if err != nil {
		return TenantInfo{}, err
	}
	if len(list) != 1 || list[0].ID != id {
		return TenantInfo{}, notFound()
	}
	return list[0], nil
}

// GetTenant reads one tenant of the set.
func (h *handlers) GetTenant(ctx context.Context, r rest.GetTenantRequestObject) (rest.GetTenantResponseObject, error) {
	ctx, k := callOf(ctx)
	t, err := h.tenant(ctx, k)
	if err != nil {
		return nil, err
	}
	tag := tenantTag(t)
	return rest.GetTenant200JSONResponse{Body: tenantView(t), Headers: rest.GetTenant200ResponseHeaders{ETag: &tag}}, nil
}

// changeTenant finds the tenant of the path and has it changed.
func (h *handlers) changeTenant(ctx context.Context, ifMatch *string,
	change func(ctx context.Context, by access.Actor, id tenant.ID, version int) (TenantInfo, error)) (TenantInfo, string, error) {
	ctx, k := callOf(ctx)
	v, err := version(ifMatch)
	if err != nil {
		return TenantInfo{}, "", err
	}
	t, err := change(ctx, k.principal.Actor(), k.one, v)
	return t, tenantTag(t), err
}

// RenameTenant gives a tenant another name; its slug stays.
func (h *handlers) RenameTenant(ctx context.Context, r rest.RenameTenantRequestObject) (rest.RenameTenantResponseObject, error) {
	t, tag, err := h.changeTenant(ctx, r.Params.IfMatch, func(ctx context.Context, by access.Actor, id tenant.ID, version int) (TenantInfo, error) {
		return h.s.opts.Tenants.Rename(ctx, by, id, r.Body.Name, version)
	})
	if err != nil {
		return nil, err
	}
	return rest.RenameTenant200JSONResponse{Body: tenantView(t), Headers: rest.RenameTenant200ResponseHeaders{ETag: &tag}}, nil
}

func reasonOf(r *string) string {
	if r == nil {
		return ""
	}
	return *r
}

// DeleteTenant begins a deletion.
func (h *handlers) DeleteTenant(ctx context.Context, r rest.DeleteTenantRequestObject) (rest.DeleteTenantResponseObject, error) {
	days := int32(30)
	if r.Params.GraceDays != nil {
		days = *r.Params.GraceDays
	}
	t, tag, err := h.changeTenant(ctx, nil, func(ctx context.Context, by access.Actor, id tenant.ID, _ int) (TenantInfo, error) {
		return h.s.opts.Tenants.Delete(ctx, by, id, time.Duration(days)*24*time.Hour, reasonOf(r.Params.Reason))
	})
	if err != nil {
		return nil, err
	}
	return rest.DeleteTenant200JSONResponse{Body: tenantView(t), Headers: rest.DeleteTenant200ResponseHeaders{ETag: &tag}}, nil
}

// SuspendTenant lets nothing in any more.
func (h *handlers) SuspendTenant(ctx context.Context, r rest.SuspendTenantRequestObject) (rest.SuspendTenantResponseObject, error) {
	t, tag, err := h.changeTenant(ctx, nil, func(ctx context.Context, by access.Actor, id tenant.ID, _ int) (TenantInfo, error) {
		return h.s.opts.Tenants.Suspend(ctx, by, id, reasonOf(r.Body.Reason))
	})
	if err != nil {
		return nil, err
	}
	return rest.SuspendTenant200JSONResponse{Body: tenantView(t), Headers: rest.SuspendTenant200ResponseHeaders{ETag: &tag}}, nil
}

// ResumeTenant ends a suspension.
func (h *handlers) ResumeTenant(ctx context.Context, r rest.ResumeTenantRequestObject) (rest.ResumeTenantResponseObject, error) {
	t, tag, err := h.changeTenant(ctx, nil, func(ctx context.Context, by access.Actor, id tenant.ID, _ int) (TenantInfo, error) {
		return h.s.opts.Tenants.Resume(ctx, by, id)
	})
	if err != nil {
		return nil, err
	}
	return rest.ResumeTenant200JSONResponse{Body: tenantView(t), Headers: rest.ResumeTenant200ResponseHeaders{ETag: &tag}}, nil
}

// RestoreTenant takes a deletion back.
func (h *handlers) RestoreTenant(ctx context.Context, r rest.RestoreTenantRequestObject) (rest.RestoreTenantResponseObject, error) {
	t, tag, err := h.changeTenant(ctx, nil, func(ctx context.Context, by access.Actor, id tenant.ID, _ int) (TenantInfo, error) {
		return h.s.opts.Tenants.Restore(ctx, by, id)
	})
	if err != nil {
		return nil, err
	}
	return rest.RestoreTenant200JSONResponse{Body: tenantView(t), Headers: rest.RestoreTenant200ResponseHeaders{ETag: &tag}}, nil
}

// remarshal turns one shape of the same JSON into another.
func remarshal[T any](from any) (to T, err error) {
	b, err := json.Marshal(from)
	if err != nil {
		return to, err
	}
	err = json.Unmarshal(b, &to)
	return to, err
}

func settingsView(t TenantInfo) (rest.TenantSettings, error) {
	v, err := remarshal[rest.TenantSettings](t.Settings)
	v.TenantId = t.ID.String()
	return v, err
}

// GetTenantSettings reads a tenant's settings.
func (h *handlers) GetTenantSettings(ctx context.Context, r rest.GetTenantSettingsRequestObject) (rest.GetTenantSettingsResponseObject, error) {
	ctx, k := callOf(ctx)
	t, err := h.tenant(ctx, k)
	if err != nil {
		return nil, err
	}
	v, err := settingsView(t)
	tag := tenantTag(t)
	return rest.GetTenantSettings200JSONResponse{Body: v, Headers: rest.GetTenantSettings200ResponseHeaders{ETag: &tag}}, err
}

// UpdateTenantSettings changes what is given.
func (h *handlers) UpdateTenantSettings(ctx context.Context, r rest.UpdateTenantSettingsRequestObject) (rest.UpdateTenantSettingsResponseObject, error) {
	patch, err := remarshal[tenant.SettingsPatch](r.Body)
	if err != nil {
		return nil, err
	}
	if patch.Empty() {
		return nil, newProblem(kindBadRequest, "Nothing is to be changed: name at least one setting.")
	}
	_, k := callOf(ctx)
	if patch.Operator() && !k.principal.Can(access.TenantsManage) {
		return nil, newProblem(kindForbidden, "Retention, legal hold, quotas and region are decided by the operator of the platform.")
	}
	t, tag, err := h.changeTenant(ctx, r.Params.IfMatch, func(ctx context.Context, by access.Actor, id tenant.ID, version int) (TenantInfo, error) {
		return h.s.opts.Tenants.UpdateSettings(ctx, by, id, patch, version)
	})
	if err != nil {
		return nil, err
	}
	v, err := settingsView(t)
	return rest.UpdateTenantSettings200JSONResponse{Body: v, Headers: rest.UpdateTenantSettings200ResponseHeaders{ETag: &tag}}, err
}
