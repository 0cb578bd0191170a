package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

type worldInsight world

// things is how many the sums of a tenant say; beta's is the odd number the
// isolation matrix looks for.
func (w *worldInsight) things(id tenant.ID) uint64 {
	if len(w.events[id]) == 0 {
		return 0
	}
	return map[tenant.ID]uint64{alpha: 3, beta: 7777777}[id]
}

func (w *worldInsight) Totals(_ context.Context, id tenant.ID, s EventScope) (EventTotals, error) {
	n := w.things(id)
	q := s.Query.String()
	foreign := strings.Contains(q, noID) || id == alpha && strings.Contains(q, betaID) || id == beta && strings.Contains(q, alphaID)
	if n == 0 || foreign {
		return EventTotals{}, nil
	}
	return EventTotals{Events: n, Failures: 1, First: day, Last: day.Add(time.Hour), Days: 1, BytesOut: 9, Actors: 1}, nil
}

func (w *worldInsight) Breakdown(_ context.Context, id tenant.ID, _ EventScope, fields []string, _ int) (map[string][]ValueCount, error) {
	out := map[string][]ValueCount{}
	for _, f := range fields {
		if n := w.things(id); n > 0 {
			out[f] = []ValueCount{{Value: "CANARY-" + id.String(), Count: n, First: day, Last: day}, {Value: "once", Count: 1, First: day.Add(time.Hour), Last: day.Add(time.Hour)}}
		}
	}
	return out, nil
}

func (w *worldInsight) Diff(ctx context.Context, id tenant.ID, was, _ EventScope, fields []string, _ int) (EventTotals, EventTotals, map[string][]ValueChange, error) {
	n, _ := w.Totals(ctx, id, was)
	out := map[string][]ValueChange{}
	for _, f := range fields {
		out[f] = []ValueChange{{"CANARY-" + id.String(), 0, n.Events}, {"gone", 2, 0}, {"more", 1, 2}, {"less", 2, 1}, {"same", 1, 1}}
	}
	return n, n, out, nil
}

func (w *worldInsight) Values(_ context.Context, id tenant.ID, s EventScope, field, what string, _ int) ([]FacetCount, error) {
	return []FacetCount{{"CANARY-" + id.String() + " " + field + " " + what + " " + s.Query.String(), 3}}, nil
}

func (w *worldInsight) LabelKeys(_ context.Context, id tenant.ID, _ EventScope, _ string, _ int) ([]FacetCount, error) {
	return []FacetCount{{"team name", 3}}, nil
}

func (w *worldInsight) Week(_ context.Context, id tenant.ID, _ EventScope) (out WeekCounts, err error) {
	out.Events[12] = w.things(id)
	return out, nil
}

func (w *worldInsight) Norms(_ context.Context, id tenant.ID, _ EventScope) (EventNorms, error) {
	return EventNorms{ActiveHours: w.things(id), PerHour: [5]float64{1, 2, 3, 4, 5}}, nil
}

func (w *worldInsight) Entities(_ context.Context, id tenant.ID, l EntityList) ([]EntityCount, *EntityPosition, error) {
	if l.After != nil || w.things(id) == 0 {
		return nil, nil, nil
	}
	return []EntityCount{{ID: "CANARY-" + id.String(), Events: w.things(id), First: day, Last: day}}, &EntityPosition{3, "x"}, nil
}

func (w *worldInsight) EntityQuery(_ alert.EntityType, id string) (*query.Query, error) {
	return query.Is("actor", id)
}

type worldSearches world

func (w *worldSearches) List(_ context.Context, scope []tenant.ID, by access.Actor) ([]SavedSearch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.searches), func(s SavedSearch) bool { return !slices.Contains(scope, s.Tenant) || !s.Shared && s.Owner.ID != by.ID }), nil
}

func (w *worldSearches) Get(ctx context.Context, scope []tenant.ID, by access.Actor, id string) (SavedSearch, error) {
	all, _ := w.List(ctx, scope, by)
	for _, s := range all {
		if s.ID == id {
			return s, nil
		}
	}
	return SavedSearch{}, fmt.Errorf("search: %w", ErrNotFound)
}

func (w *worldSearches) Create(_ context.Context, by access.Actor, id tenant.ID, s SavedSearch) (SavedSearch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	s.ID, s.Tenant, s.Owner, s.CreatedAt, s.UpdatedAt = fmt.Sprintf("search%d", w.calls), id, by, w.now, w.now
	w.searches = append(w.searches, s)
	return s, nil
}

func (w *worldSearches) Update(_ context.Context, _ access.Actor, id tenant.ID, searchID string, ch SearchChange) (SavedSearch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.searches {
		s := &w.searches[i]
		if s.Tenant != id || s.ID != searchID {
			continue
		}
		for from, to := range map[*string]*string{ch.Name: &s.Name, ch.Query: &s.Query, ch.Range: &s.Range} {
			if from != nil {
				*to = *from
			}
		}
		if ch.Shared != nil {
			s.Shared = *ch.Shared
		}
		return *s, nil
	}
	return SavedSearch{}, ErrNotFound
}

func (w *worldSearches) Delete(_ context.Context, _ access.Actor, id tenant.ID, searchID string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.searches)
	w.searches = slices.DeleteFunc(w.searches, func(s SavedSearch) bool { return s.Tenant == id && s.ID == searchID })
	if len(w.searches) == n {
		return ErrNotFound
	}
	return nil
}
