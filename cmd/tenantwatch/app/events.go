package app

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// eventStore is api.Events on the event store.
type eventStore struct {
	s *eventstore.Store
	// waiting counts what is in the log and not yet in the store; nil: nobody
	// can say.
	waiting func(context.Context, tenant.ID) (eventlog.Waiting, error)
}

func (e eventStore) Search(ctx context.Context, id tenant.ID, r api.EventSearch) (api.EventResult, error) {
	page, err := e.s.Search(ctx, id, eventstore.SearchRequest{Query: r.Query, From: r.From, To: r.To, Limit: r.Limit,
		After: (*eventstore.Position)(r.After), Ascending: r.Ascending})
	return api.EventResult{Events: page.Events, Next: (*api.EventPosition)(page.Next)}, err
}

func (e eventStore) Each(ctx context.Context, id tenant.ID, r api.EventSearch, fn func(*event.Event) error) error {
	return e.s.Each(ctx, id, eventstore.SearchRequest{Query: r.Query, From: r.From, To: r.To, Limit: r.Limit, After: (*eventstore.Position)(r.After), Ascending: r.Ascending}, fn)
}

func (e eventStore) Count(ctx context.Context, id tenant.ID, s api.EventScope) (uint64, error) {
	return e.s.Count(ctx, id, eventstore.Scope(s))
}

func (e eventStore) ByID(ctx context.Context, id tenant.ID, ids []string) ([]event.Event, error) {
	return e.s.EventsByID(ctx, id, ids)
}

func (e eventStore) Histogram(ctx context.Context, id tenant.ID, r api.HistogramRequest) (api.HistogramResult, error) {
	bars, err := e.s.Histogram(ctx, id, eventstore.HistogramRequest{Query: r.Query, From: r.From, To: r.To, Buckets: r.Buckets})
	if err != nil || len(bars) == 0 {
		return api.HistogramResult{From: r.From, To: r.To}, err
	}
	out := api.HistogramResult{From: r.From, To: r.To, Step: time.Second}
	if len(bars) > 1 {
		out.Step = bars[1].Time.Sub(bars[0].Time)
	} else if !r.From.IsZero() && !r.To.IsZero() {
		out.Step = r.To.Sub(r.From)
	}
	if out.From.IsZero() {
		out.From = bars[0].Time
	}
	if out.To.IsZero() {
		out.To = bars[len(bars)-1].Time.Add(out.Step)
	}
	for _, b := range bars {
		out.Buckets = append(out.Buckets, api.HistogramBucket{Start: b.Time, Count: b.Count, Failures: b.Failures})
	}
	return out, nil
}

func (e eventStore) Facets(ctx context.Context, id tenant.ID, r api.FacetRequest) ([]api.FacetCount, error) {
	field := r.Field.Name
	if r.Key != "" {
		field = "label." + r.Key
	}
	rows, err := e.s.Facets(ctx, id, eventstore.FacetsRequest{Query: r.Query, From: r.From, To: r.To, Field: field, Limit: r.Limit})
	if err != nil {
		return nil, err
	}
	out := make([]api.FacetCount, 0, len(rows))
	for _, v := range rows {
		out = append(out, api.FacetCount(v))
	}
	return out, nil
}

// Activity counts the day that ends with the latest event, so that an import
// of an old file shows its last day and not nothing.
func (e eventStore) Activity(ctx context.Context, id tenant.ID) (api.Activity, error) {
	// The platform's own trail goes on when the tenant's logs do not.
	sent, err := query.Parse("-source:" + event.TrailSource)
	if err != nil {
		return api.Activity{}, err
	}
	page, err := e.s.Search(ctx, id, eventstore.SearchRequest{Query: sent, Limit: 1})
	if err != nil || len(page.Events) == 0 {
		return api.Activity{}, err
	}
	out := api.Activity{Latest: page.Events[0].At()}
	to := out.Latest.Add(time.Nanosecond)
	bars, err := e.s.Histogram(ctx, id, eventstore.HistogramRequest{Query: sent, From: to.Add(-24 * time.Hour), To: to, Buckets: 1})
	for _, b := range bars {
		out.Events += b.Count
		out.Failures += b.Failures
	}
	return out, err
}

func (e eventStore) Quarantine(ctx context.Context, id tenant.ID, s api.LineScope, after *api.QuarantinePosition, limit int) (api.QuarantineResult, error) {
	req := eventstore.QuarantineRequest{Limit: limit, State: eventstore.LineState(s.State), Pattern: s.Pattern, Source: s.Source}
	if after != nil {
		req.After = &eventstore.Position{Time: after.ReceivedAt, ID: after.ID}
	}
	page, err := e.s.Quarantine(ctx, id, req)
	out := api.QuarantineResult{Lines: page.Lines}
	if page.Next != nil {
		out.Next = &api.QuarantinePosition{ReceivedAt: page.Next.Time, ID: page.Next.ID}
	}
	return out, err
}

// Accounting asks the log first: what is written meanwhile counts twice for a
// moment rather than not at all.
func (e eventStore) Accounting(ctx context.Context, id tenant.ID, from, to time.Time) (api.Accounts, error) {
	var out api.Accounts
	if e.waiting != nil {
		w, err := e.waiting(ctx, id)
		if err != nil {
			return out, fmt.Errorf("%w: %w", api.ErrUnavailable, err)
		}
		out.InFlight, out.Waiting, out.More = w.Sources, w.Oldest, w.More
	}
	rows, err := e.s.Accounting(ctx, id, eventstore.AccountingRequest{From: from, To: to})
	if err != nil {
		return out, err
	}
	for _, r := range rows {
		a := api.HourAccount{Hour: r.Hour, Source: r.Source, Stored: r.Stored, Live: r.Live, Expired: r.Expired, Erased: r.Erased, Missing: r.Missing, Occurrences: r.Occurrences, Duplicates: r.Duplicates + r.QuarantinedAgain,
			Quarantined: r.Quarantined, Replayed: r.Replayed, Refused: r.Refused, RefusedRequests: r.RefusedRequests}
		out.Hours = append(out.Hours, a)
	}
	f, err := e.s.Freshness(ctx, id)
	out.NewestEvent, out.NewestArrival = f.Event, f.Arrival
	return out, err
}
