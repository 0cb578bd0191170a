package api

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
)

func (k *call) searchView(s SavedSearch) rest.SavedSearch {
	by := k.principal.Actor()
	return rest.SavedSearch{Id: s.ID, TenantId: s.Tenant.String(), Name: s.Name, Query: s.Query, Range: s.Range, Shared: s.Shared, Owner: s.Owner.Name,
		Own: s.Owner.Kind == by.Kind && s.Owner.ID == by.ID, CreatedAt: s.CreatedAt.UTC(), UpdatedAt: s.UpdatedAt.UTC()}
}

// checkSearch refuses to keep what could not be searched for later.
func (h *handlers) checkSearch(query, within *string) error {
	if query != nil {
		if _, err := h.parseQuery(query); err != nil {
			return err
		}
	}
	if within == nil || *within == "" || validRange(*within) {
		return nil
	}
	return badField("range", "want 24h, 7d or from..to in RFC 3339")
}

// validRange takes a length of time up to now, or both ends.
func validRange(s string) bool {
	if from, to, both := strings.Cut(s, ".."); both {
		a, err1 := time.Parse(time.RFC3339, from)
		b, err2 := time.Parse(time.RFC3339, to)
		return err1 == nil && err2 == nil && a.Before(b)
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
	return err == nil && n > 0 && strings.Contains("smhdw", s[len(s)-1:])
}

// ListSearches pages through saved searches.
func (h *handlers) ListSearches(ctx context.Context, r rest.ListSearchesRequestObject) (rest.ListSearchesResponseObject, error) {
	ctx, k := callOf(ctx)
	after, err := open[offset](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	out := rest.ListSearches200JSONResponse{Items: []rest.SavedSearch{}}
	if k.empty() {
		return out, nil
	}
	all, err := h.s.opts.Searches.List(ctx, k.scope, k.principal.Actor())
	if err != nil {
		return nil, err
	}
	key := func(s SavedSearch) string { return strings.ToLower(s.Name) + "\x00" + s.ID }
	slices.SortFunc(all, func(a, b SavedSearch) int { return strings.Compare(key(a), key(b)) })
	page, last := cut(all, key, after, pageSize(r.Params.Limit))
	for _, s := range page {
		if err := h.s.saw(ctx, k, s.Tenant); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, k.searchView(s))
	}
	out.Next = next(h.s, k, last)
	return out, nil
}

// GetSearch reads one.
func (h *handlers) GetSearch(ctx context.Context, r rest.GetSearchRequestObject) (rest.GetSearchResponseObject, error) {
	ctx, k := callOf(ctx)
	if k.empty() {
		return nil, notFound()
	}
	s, err := h.s.opts.Searches.Get(ctx, k.scope, k.principal.Actor(), r.Id)
	if err == nil {
		err = h.s.saw(ctx, k, s.Tenant)
	}
	return rest.GetSearch200JSONResponse(k.searchView(s)), err
}

// CreateSearch keeps one.
func (h *handlers) CreateSearch(ctx context.Context, r rest.CreateSearchRequestObject) (rest.CreateSearchResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := h.checkSearch(&r.Body.Query, r.Body.Range); err != nil {
		return nil, err
	}
	s := SavedSearch{Name: r.Body.Name, Query: r.Body.Query}
	if r.Body.Range != nil {
		s.Range = *r.Body.Range
	}
	s.Shared = r.Body.Shared != nil && *r.Body.Shared
	s, err := h.s.opts.Searches.Create(ctx, k.principal.Actor(), k.one, s)
	return rest.CreateSearch201JSONResponse(k.searchView(s)), err
}

// UpdateSearch changes one of the caller's own.
func (h *handlers) UpdateSearch(ctx context.Context, r rest.UpdateSearchRequestObject) (rest.UpdateSearchResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := h.checkSearch(r.Body.Query, r.Body.Range); err != nil {
		return nil, err
	}
	s, err := h.s.opts.Searches.Update(ctx, k.principal.Actor(), k.one, r.Id, SearchChange{Name: r.Body.Name, Query: r.Body.Query, Range: r.Body.Range, Shared: r.Body.Shared})
	return rest.UpdateSearch200JSONResponse(k.searchView(s)), err
}

// DeleteSearch forgets one of the caller's own.
func (h *handlers) DeleteSearch(ctx context.Context, r rest.DeleteSearchRequestObject) (rest.DeleteSearchResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := h.s.opts.Searches.Delete(ctx, k.principal.Actor(), k.one, r.Id); err != nil {
		return nil, err
	}
	return rest.DeleteSearch204Response{}, nil
}
