package app

import (
	"context"
	"strings"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// insightStore is api.Insight on the event store.
type insightStore struct{ s *eventstore.Store }

func (i insightStore) Totals(ctx context.Context, id tenant.ID, s api.EventScope) (api.EventTotals, error) {
	n, err := i.s.Totals(ctx, id, eventstore.Scope(s))
	return api.EventTotals(n), err
}

func (i insightStore) Breakdown(ctx context.Context, id tenant.ID, s api.EventScope, fields []string, limit int) (map[string][]api.ValueCount, error) {
	rows, err := i.s.Breakdown(ctx, id, eventstore.Scope(s), fields, limit)
	out := make(map[string][]api.ValueCount, len(rows))
	for f, values := range rows {
		for _, v := range values {
			out[f] = append(out[f], api.ValueCount(v))
		}
	}
	return out, err
}

func (i insightStore) Diff(ctx context.Context, id tenant.ID, was, is api.EventScope, fields []string, limit int) (a, b api.EventTotals, out map[string][]api.ValueChange, err error) {
	n, rows, err := i.s.Diff(ctx, id, eventstore.Scope(was), eventstore.Scope(is), fields, limit)
	out = make(map[string][]api.ValueChange, len(rows))
	for f, values := range rows {
		for _, v := range values {
			out[f] = append(out[f], api.ValueChange(v))
		}
	}
	return api.EventTotals(n[0]), api.EventTotals(n[1]), out, err
}

func facetCounts(rows []eventstore.FacetValue) []api.FacetCount {
	out := make([]api.FacetCount, 0, len(rows))
	for _, v := range rows {
		out = append(out, api.FacetCount(v))
	}
	return out
}

func (i insightStore) Values(ctx context.Context, id tenant.ID, s api.EventScope, field, what string, limit int) ([]api.FacetCount, error) {
	rows, err := i.s.Values(ctx, id, eventstore.Scope(s), field, what, limit)
	return facetCounts(rows), err
}

func (i insightStore) LabelKeys(ctx context.Context, id tenant.ID, s api.EventScope, what string, limit int) ([]api.FacetCount, error) {
	rows, err := i.s.LabelKeys(ctx, id, eventstore.Scope(s), what, limit)
	return facetCounts(rows), err
}

func (i insightStore) Week(ctx context.Context, id tenant.ID, s api.EventScope) (api.WeekCounts, error) {
	w, err := i.s.Week(ctx, id, eventstore.Scope(s))
	return api.WeekCounts(w), err
}

func (i insightStore) Norms(ctx context.Context, id tenant.ID, s api.EventScope) (api.EventNorms, error) {
	n, err := i.s.Norms(ctx, id, eventstore.Scope(s))
	return api.EventNorms(n), err
}

func (i insightStore) Entities(ctx context.Context, id tenant.ID, l api.EntityList) ([]api.EntityCount, *api.EntityPosition, error) {
	rows, next, err := i.s.Entities(ctx, id, eventstore.EntitiesRequest{Scope: eventstore.Scope(l.EventScope), Type: l.Type, What: l.What, Recent: l.Recent, Limit: l.Limit,
		After: (*eventstore.EntityPosition)(l.After)})
	out := make([]api.EntityCount, 0, len(rows))
	for _, e := range rows {
		out = append(out, api.EntityCount(e))
	}
	return out, (*api.EntityPosition)(next), err
}

func (i insightStore) EntityQuery(typ alert.EntityType, id string) (*query.Query, error) {
	return eventstore.EntityQuery(typ, id)
}

// searchStore is api.Searches on the core.
type searchStore struct{ s *core.Searches }

func (s searchStore) List(ctx context.Context, scope []tenant.ID, by access.Actor) ([]api.SavedSearch, error) {
	rows, err := s.s.List(ctx, scope, by)
	out := make([]api.SavedSearch, 0, len(rows))
	for _, r := range rows {
		out = append(out, api.SavedSearch(r))
	}
	return out, err
}

func (s searchStore) Get(ctx context.Context, scope []tenant.ID, by access.Actor, id string) (api.SavedSearch, error) {
	r, err := s.s.Get(ctx, scope, by, id)
	return api.SavedSearch(r), err
}

func (s searchStore) Create(ctx context.Context, by access.Actor, id tenant.ID, n api.SavedSearch) (api.SavedSearch, error) {
	r, err := s.s.Create(ctx, by, id, core.SavedSearch(n))
	return api.SavedSearch(r), err
}

func (s searchStore) Update(ctx context.Context, by access.Actor, id tenant.ID, searchID string, ch api.SearchChange) (api.SavedSearch, error) {
	r, err := s.s.Update(ctx, by, id, searchID, core.SearchChange(ch))
	return api.SavedSearch(r), err
}

func (s searchStore) Delete(ctx context.Context, by access.Actor, id tenant.ID, searchID string) error {
	return s.s.Delete(ctx, by, id, searchID)
}

// detectorTexts say for people what each detector models.
var detectorTexts = map[string]struct {
	models     string
	techniques []string
}{
	"rate":      {"How many events an hour brings: gamma and Poisson with forgetting, by hour of the week.", []string{"T1078"}},
	"novelty":   {"How likely a value never seen before is: country, network, device, resource, action.", []string{"T1078", "T1133"}},
	"failures":  {"The share of failed sign-ins, and how many accounts and addresses they fan out over: guessing, spraying, stuffing.", []string{"T1110.001", "T1110.003", "T1110.004"}},
	"volume":    {"How many bytes leave in an hour, with a heavy tail.", []string{"T1048", "T1567"}},
	"silence":   {"How long a source or tenant stays quiet.", []string{"T1562.008"}},
	"travel":    {"How fast somebody would have had to travel between two sign-ins.", []string{"T1078"}},
	"spread":    {"How many distinct resources are touched: enumeration, scraping, mass download.", []string{"T1530", "T1213"}},
	"schedule":  {"At what time of the week somebody is at work, on a circle.", []string{"T1078"}},
	"sequence":  {"Which action follows which, by role.", []string{"T1078", "T1098"}},
	"edges":     {"Bursts between one actor and one resource.", []string{"T1530"}},
	"privilege": {"Rare grants, second factors switched off, logs tampered with.", []string{"T1098", "T1562"}},
	"peers":     {"What others of the same cohort do.", []string{"T1078"}},
	"series":    {"Any series of numbers against its own past.", nil},
}

// detectorCatalogue lists the program's detectors for the API.
func detectorCatalogue() []api.DetectorEntry {
	var out []api.DetectorEntry
	for _, d := range runner.Table() {
		e := api.DetectorEntry{Name: d.Name(), Version: d.Version(), Models: detectorTexts[d.Name()].models, Techniques: detectorTexts[d.Name()].techniques}
		for _, r := range d.Roles() {
			e.LooksAt = append(e.LooksAt, r.String())
		}
		out = append(out, e)
	}
	return out
}

// origins are the parts of a list with commas.
func origins(list string) (out []string) {
	for o := range strings.SplitSeq(list, ",") {
		if o = strings.TrimRight(strings.TrimSpace(o), "/"); o != "" {
			out = append(out, o)
		}
	}
	return out
}
