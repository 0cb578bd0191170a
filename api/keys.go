package api

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func keyView(k KeyInfo) rest.Key {
	scopes := []string{}
	for _, s := range k.Scopes {
		scopes = append(scopes, string(s))
	}
	return rest.Key{Scopes: scopes, ReplacedBy: orNil(k.ReplacedBy), Id: k.ID, TenantId: k.Tenant.String(), Kind: rest.KeyKind(k.Kind), Name: k.Name, Role: rest.KeyRole(k.Role),
		CreatedAt: k.CreatedAt.UTC(), ExpiresAt: ptr(k.ExpiresAt), LastUsedAt: ptr(k.LastUsedAt)}
}

// ListKeys pages through keys, newest first.
func (h *handlers) ListKeys(ctx context.Context, r rest.ListKeysRequestObject) (rest.ListKeysResponseObject, error) {
	ctx, k := callOf(ctx)
	after, err := open[offset](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	out := rest.ListKeys200JSONResponse{Items: []rest.Key{}}
	if k.empty() {
		return out, nil
	}
	all, err := h.s.opts.Keys.List(ctx, k.scope)
	if err != nil {
		return nil, err
	}
	key := func(k KeyInfo) string { return newestFirst(k.CreatedAt, k.ID) }
	slices.SortFunc(all, func(a, b KeyInfo) int { return strings.Compare(key(a), key(b)) })
	page, last := cut(all, key, after, pageSize(r.Params.Limit))
	for _, key := range page {
		if err := h.s.saw(ctx, k, key.Tenant); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, keyView(key))
	}
	out.Next = next(h.s, k, last)
	return out, nil
}

// CreateKey makes a key and shows its secret.
func (h *handlers) CreateKey(ctx context.Context, r rest.CreateKeyRequestObject) (rest.CreateKeyResponseObject, error) {
	ctx, k := callOf(ctx)
	n := NewKey{Kind: string(r.Body.Kind), Name: r.Body.Name, Role: access.Ingest}
	if r.Body.Kind == rest.KeyKindApi {
		n.Role = access.TenantAuditor
		if r.Body.Role != nil {
			n.Role = access.Role(*r.Body.Role)
		}
	} else if r.Body.Role != nil {
		return nil, badField("role", "an ingest key has no other role than to push events")
	}
	if r.Body.ExpiresAt != nil {
		if n.ExpiresAt = r.Body.ExpiresAt.UTC(); !n.ExpiresAt.After(h.s.now()) {
			return nil, badField("expires_at", "has to lie in the future")
		}
	}
	if r.Body.Scopes != nil {
		for _, s := range *r.Body.Scopes {
			n.Scopes = append(n.Scopes, access.Permission(s))
		}
		if n.Role == access.Ingest && len(n.Scopes) > 0 {
			return nil, badField("scopes", "an ingest key pushes events: there is nothing to narrow")
		}
	}
	if err := k.mayGive(n.Role, n.Scopes); err != nil {
		return nil, err
	}
	key, secret, err := h.s.opts.Keys.Create(ctx, k.principal.Actor(), k.one, n)
	if err != nil {
		return nil, err
	}
	return rest.CreateKey201JSONResponse{Key: keyView(key), Secret: secret}, nil
}

// DeleteKey revokes a key.
func (h *handlers) DeleteKey(ctx context.Context, r rest.DeleteKeyRequestObject) (rest.DeleteKeyResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := h.s.opts.Keys.Revoke(ctx, k.principal.Actor(), k.one, r.Id); err != nil {
		return nil, err
	}
	return rest.DeleteKey204Response{}, nil
}

const defaultOverlap = 24 * time.Hour

// RotateKey gives a key a successor.
func (h *handlers) RotateKey(ctx context.Context, r rest.RotateKeyRequestObject) (rest.RotateKeyResponseObject, error) {
	ctx, k := callOf(ctx)
	overlap, expires := defaultOverlap, time.Time{}
	if r.Body != nil && r.Body.OverlapSeconds != nil {
		overlap = time.Duration(*r.Body.OverlapSeconds) * time.Second
	}
	if r.Body != nil && r.Body.ExpiresAt != nil {
		if expires = r.Body.ExpiresAt.UTC(); !expires.After(h.s.now()) {
			return nil, badField("expires_at", "has to lie in the future")
		}
	}
	all, err := h.s.opts.Keys.List(ctx, []tenant.ID{k.one})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(key KeyInfo) bool { return key.ID == r.Id })
	if i < 0 {
		return nil, notFound()
	}
	if err := k.mayGive(all[i].Role, all[i].Scopes); err != nil {
		return nil, err
	}
	key, secret, err := h.s.opts.Keys.Rotate(ctx, k.principal.Actor(), k.one, r.Id, overlap, expires)
	if err != nil {
		return nil, err
	}
	return rest.RotateKey201JSONResponse{Key: keyView(key), Secret: secret}, nil
}
