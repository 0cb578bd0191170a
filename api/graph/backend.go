package graph

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vikstrous/dataloadgen"
)

// EventRef names one event of one tenant.
type EventRef struct{ Tenant, ID string }

// Problem is a refusal of the REST API, an RFC 9457 document.
type Problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"`
	Errors   []any  `json:"errors"`
}

// Error is the detail, or the title when there is none.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// Backend answers for the caller whose request is in ctx.
type Backend interface {
	// Do answers one REST operation; body may be nil. A refusal is a *Problem.
	Do(ctx context.Context, method, path string, query url.Values, header http.Header, body any) (json.RawMessage, error)
	// Events reads events of one tenant by their ids, as the REST form;
	// missing ones are left out.
	Events(ctx context.Context, tenant string, ids []string) (json.RawMessage, error)
}

// args builds a query string; what is nil is left out.
type args struct{ url.Values }

func query() args { return args{url.Values{}} }

func (a args) str(name string, v *string) args {
	if v != nil {
		a.Set(name, *v)
	}
	return a
}

func (a args) num(name string, v *int) args {
	if v != nil {
		a.Set(name, strconv.Itoa(*v))
	}
	return a
}

func (a args) yes(name string, v *bool) args {
	if v != nil {
		a.Set(name, strconv.FormatBool(*v))
	}
	return a
}

func (a args) time(name string, v *time.Time) args {
	if v != nil {
		a.Set(name, v.UTC().Format(time.RFC3339Nano))
	}
	return a
}

func (a args) page(first int, after *string) args {
	a.Set("limit", strconv.Itoa(first))
	return a.str("after", after)
}

func list[T ~string](a args, name string, v []T) args {
	if len(v) > 0 {
		parts := make([]string, len(v))
		for i, s := range v {
			parts[i] = string(s)
		}
		a.Set(name, strings.Join(parts, ","))
	}
	return a
}

// get asks a reading operation and gives its answer the schema's names.
func get[T any](ctx context.Context, b Backend, path string, q args) (*T, error) {
	return into[T](b.Do(ctx, http.MethodGet, "/api/v1"+path, q.Values, nil, nil))
}

func into[T any](raw json.RawMessage, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	var v any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	b, err := json.Marshal(camel(v))
	if err != nil {
		return nil, err
	}
	var out T
	return &out, json.Unmarshal(b, &out)
}

// maybe makes a missing object null, as GraphQL has it.
func maybe[T any](v *T, err error) (*T, error) {
	if p, ok := err.(*Problem); ok && p.Status == http.StatusNotFound {
		return nil, nil
	}
	return v, err
}

// camel turns the members' names of REST into the schema's, but for labels,
// whose names are the tenant's own.
func camel(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, m := range v {
			if k == "labels" {
				out[k] = m
				continue
			}
			parts := strings.Split(k, "_")
			for i := 1; i < len(parts); i++ {
				if parts[i] != "" {
					parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
				}
			}
			out[strings.Join(parts, "")] = camel(m)
		}
		return out
	case []any:
		for i := range v {
			v[i] = camel(v[i])
		}
	}
	return v
}

// restPage is a page of the REST API.
type restPage[T any] struct {
	Items   []T     `json:"items"`
	Next    *string `json:"next"`
	Total   int64   `json:"total"`
	Explain *string `json:"explain"`
}

func (p *restPage[T]) info() *PageInfo {
	return &PageInfo{HasNextPage: p.Next != nil, EndCursor: p.Next}
}

// edges makes the edges of a page; the last one has the cursor.
func edges[T, E any](p *restPage[T], edge func(*T, *string) E) []E {
	out := make([]E, len(p.Items))
	for i := range p.Items {
		var cursor *string
		if i == len(p.Items)-1 {
			cursor = p.Next
		}
		out[i] = edge(&p.Items[i], cursor)
	}
	return out
}

// loaders batch what many fields of one request ask for.
type loaders struct {
	events  *dataloadgen.Loader[EventRef, *Event]
	tenants *dataloadgen.Loader[string, *Tenant]
}

type loadersKey struct{}

func newLoaders(b Backend) *loaders {
	return &loaders{
		events: dataloadgen.NewLoader(func(ctx context.Context, refs []EventRef) ([]*Event, []error) {
			return loadEvents(ctx, b, refs)
		}, dataloadgen.WithWait(2*time.Millisecond), dataloadgen.WithBatchCapacity(1000)),
		tenants: dataloadgen.NewLoader(func(ctx context.Context, ids []string) ([]*Tenant, []error) {
			return loadTenants(ctx, b, ids)
		}, dataloadgen.WithWait(2*time.Millisecond)),
	}
}

func loadEvents(ctx context.Context, b Backend, refs []EventRef) ([]*Event, []error) {
	out, errs := make([]*Event, len(refs)), make([]error, len(refs))
	of := map[string][]int{}
	for i, r := range refs {
		of[r.Tenant] = append(of[r.Tenant], i)
	}
	for t, places := range of {
		ids := make([]string, len(places))
		for i, p := range places {
			ids[i] = refs[p].ID
		}
		found, err := into[[]Event](b.Events(ctx, t, ids))
		byID := map[string]*Event{}
		if err == nil {
			for i := range *found {
				byID[(*found)[i].ID] = &(*found)[i]
			}
		}
		for _, p := range places {
			out[p], errs[p] = byID[refs[p].ID], err
		}
	}
	return out, errs
}

// loadTenants pages through the set once for all that ask.
func loadTenants(ctx context.Context, b Backend, ids []string) ([]*Tenant, []error) {
	out, errs := make([]*Tenant, len(ids)), make([]error, len(ids))
	byID := map[string]*Tenant{}
	var after *string
	for {
		page, err := get[restPage[Tenant]](ctx, b, "/tenants", query().page(500, after))
		if err != nil {
			for i := range errs {
				errs[i] = err
			}
			return out, errs
		}
		for i := range page.Items {
			byID[page.Items[i].ID] = &page.Items[i]
		}
		if after = page.Next; after == nil {
			break
		}
	}
	for i, id := range ids {
		out[i] = byID[id]
	}
	return out, errs
}
