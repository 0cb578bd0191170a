package api

import (
	"context"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
)

// handlers are the operations of the contract, one short method each, in a
// file by resource. They see only the tenants that passed the guard.
type handlers struct{ s *Server }

var _ rest.StrictServerInterface = (*handlers)(nil)

const defaultLimit = 50

// pageSize is the limit asked for, or the default.
func pageSize(limit *int) int {
	if limit == nil {
		return defaultLimit
	}
	return *limit
}

// open reads the cursor of a list; nil without one.
func open[P any](s *Server, k *call, after *string) (*P, error) {
	if after == nil {
		return nil, nil
	}
	var p P
	if !s.cursors.open(k.bind(), *after, &p) {
		return nil, newProblem(kindInvalidCursor, "after is no cursor of this list with these filters.")
	}
	return &p, nil
}

// next makes the cursor of the next page; nil when there is none.
func next[P any](s *Server, k *call, position *P) *string {
	if position == nil {
		return nil
	}
	c := s.cursors.seal(k.bind(), position)
	return &c
}

// offset is where a page of a list begins that its store reads whole: after
// the item with this sorting key.
type offset struct {
	Key string `json:"k"`
}

// cut takes one page out of a list that is sorted by key, ascending.
func cut[T any](items []T, key func(T) string, after *offset, limit int) (page []T, last *offset) {
	start := 0
	if after != nil {
		for start < len(items) && key(items[start]) <= after.Key {
			start++
		}
	}
	end := min(start+limit, len(items))
	if end < len(items) {
		last = &offset{key(items[end-1])}
	}
	return items[start:end], last
}

// newestFirst is a sorting key: ascending keys are descending times.
func newestFirst(at time.Time, id string) string {
	const far = 253402300799 // the end of the year 9999
	b := time.Unix(far-at.Unix(), int64(999999999-at.Nanosecond())).UTC()
	return b.Format("2006-01-02T15:04:05.000000000") + id
}

// ptr is nil for the zero time.
func ptr(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func orNil[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// span reads a range of time.
func span(from, to *time.Time) (f, t time.Time, err error) {
	if from != nil {
		f = from.UTC()
	}
	if to != nil {
		t = to.UTC()
	}
	if from != nil && to != nil && !f.Before(t) {
		return f, t, badField("to", "has to be later than from")
	}
	return f, t, nil
}

// empty reports whether there is nothing to ask a store about: a role with
// several tenants that has been granted none yet.
func (k *call) empty() bool { return len(k.scope) == 0 }

// ListFields implements the operation of that name.
func (h *handlers) ListFields(context.Context, rest.ListFieldsRequestObject) (rest.ListFieldsResponseObject, error) {
	return rest.ListFields200JSONResponse{Items: fieldList()}, nil
}
