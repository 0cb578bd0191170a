package api

import (
	"context"
	"errors"
	"strings"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// parseQuery reads q; an error points at its column.
func (h *handlers) parseQuery(q *string) (*query.Query, error) {
	if q == nil {
		return &query.Query{}, nil
	}
	parsed, err := query.ParseAt(*q, h.s.now())
	var e *query.Error
	if errors.As(err, &e) {
		p := newProblem(kindInvalidQuery, "%s", e)
		p.errors = []rest.FieldError{{Field: "q", Message: e.Message, Column: &e.Column, Suggestion: orNil(e.Suggestion)}}
		return nil, p
	}
	return parsed, err
}

// SearchEvents finds events of one tenant.
func (h *handlers) SearchEvents(ctx context.Context, r rest.SearchEventsRequestObject) (rest.SearchEventsResponseObject, error) {
	ctx, k := callOf(ctx)
	p := r.Params
	s := EventSearch{Limit: pageSize(p.Limit), Ascending: p.Order != nil && *p.Order == rest.Asc}
	var err error
	if s.Query, err = h.parseQuery(p.Q); err != nil {
		return nil, err
	}
	if s.From, s.To, err = span(p.From, p.To); err != nil {
		return nil, err
	}
	if s.After, err = open[EventPosition](h.s, k, p.After); err != nil {
		return nil, err
	}
	found, err := h.s.opts.Events.Search(ctx, k.one, s)
	if err != nil {
		return nil, err
	}
	words := s.Query.Explain()
	return rest.SearchEvents200JSONResponse{Items: append([]event.Event{}, found.Events...), Next: next(h.s, k, found.Next), Explain: &words}, nil
}

// GetHistogram counts events over time.
func (h *handlers) GetHistogram(ctx context.Context, r rest.GetHistogramRequestObject) (rest.GetHistogramResponseObject, error) {
	ctx, k := callOf(ctx)
	req := HistogramRequest{Buckets: 60}
	if r.Params.Buckets != nil {
		req.Buckets = *r.Params.Buckets
	}
	var err error
	if req.Query, err = h.parseQuery(r.Params.Q); err != nil {
		return nil, err
	}
	if req.From, req.To, err = span(r.Params.From, r.Params.To); err != nil {
		return nil, err
	}
	got, err := h.s.opts.Events.Histogram(ctx, k.one, req)
	if err != nil {
		return nil, err
	}
	out := rest.GetHistogram200JSONResponse{From: ptr(got.From), To: ptr(got.To), StepSeconds: got.Step.Seconds(), Buckets: []rest.Bucket{}}
	for _, b := range got.Buckets {
		out.Buckets = append(out.Buckets, rest.Bucket{T: b.Start.UTC(), Count: int64(b.Count), Failures: int64(b.Failures)})
		out.Total += int64(b.Count)
	}
	return out, nil
}

// GetFacets finds the most frequent values of a field.
func (h *handlers) GetFacets(ctx context.Context, r rest.GetFacetsRequestObject) (rest.GetFacetsResponseObject, error) {
	ctx, k := callOf(ctx)
	req := FacetRequest{Limit: 10}
	if r.Params.Limit != nil {
		req.Limit = *r.Params.Limit
	}
	name := r.Params.Field
	if root, key, dotted := strings.Cut(name, "."); dotted {
		name, req.Key = root, key
	}
	var ok bool
	if req.Field, ok = query.Lookup(name); !ok || !req.Field.Facet || (req.Field.Type == query.TypeLabels) != (req.Key != "") {
		return nil, badField("field", "%q cannot be counted: /audit/fields lists those with facet true, labels are label.<key>", r.Params.Field)
	}
	var err error
	if req.Query, err = h.parseQuery(r.Params.Q); err != nil {
		return nil, err
	}
	if req.From, req.To, err = span(r.Params.From, r.Params.To); err != nil {
		return nil, err
	}
	values, err := h.s.opts.Events.Facets(ctx, k.one, req)
	if err != nil {
		return nil, err
	}
	out := rest.GetFacets200JSONResponse{Field: req.Field.Name, Values: []rest.FacetValue{}}
	if req.Key != "" {
		out.Field += "." + req.Key
	}
	for _, v := range values {
		out.Values = append(out.Values, rest.FacetValue{Value: v.Value, Count: int64(v.Count)})
	}
	return out, nil
}

func fieldList() []rest.Field {
	var out []rest.Field
	for _, f := range query.Fields() {
		v := rest.Field{Name: f.Name, Type: rest.FieldType(f.Type), Doc: f.Doc, Aliases: append([]string{}, f.Aliases...), Example: f.Example, Facet: f.Facet}
		if len(f.Values) > 0 {
			v.Values = &f.Values
		}
		out = append(out, v)
	}
	return out
}
