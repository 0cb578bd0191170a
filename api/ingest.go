package api

import (
	"context"
	"slices"
	"strings"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// accountHours is how many hours of sources one answer lists.
const accountHours = 10_000

// GetIngestAccounting adds up what came in.
func (h *handlers) GetIngestAccounting(ctx context.Context, r rest.GetIngestAccountingRequestObject) (rest.GetIngestAccountingResponseObject, error) {
	ctx, k := callOf(ctx)
	from, to, err := span(r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	acc, err := h.s.opts.Events.Accounting(ctx, k.one, from, to)
	if err != nil {
		return nil, err
	}
	out := rest.GetIngestAccounting200JSONResponse{TenantId: k.one.String(), Sources: []rest.SourceCounts{}, InFlightMore: acc.More}
	sources := map[string]*rest.SourceCounts{}
	source := func(name string) *rest.SourceCounts {
		if sources[name] == nil {
			sources[name] = &rest.SourceCounts{Source: name}
		}
		return sources[name]
	}
	var hours []rest.HourCounts
	for _, a := range acc.Hours {
		if a.Source == event.TrailSource { // nobody sent these
			out.Trail += int64(a.Live)
			continue
		}
		received := int64(a.Stored + a.Duplicates + a.Quarantined + a.Refused)
		hours = append(hours, rest.HourCounts{Hour: a.Hour, Source: a.Source, Received: received, Stored: int64(a.Stored), Live: int64(a.Live), Gone: int64(a.Expired + a.Erased),
			Duplicates: int64(a.Duplicates), Quarantined: int64(a.Quarantined), Replayed: int64(a.Replayed), Refused: int64(a.Refused)})
		c := source(a.Source)
		c.Received += received
		c.Stored += int64(a.Stored)
		c.Live += int64(a.Live)
		c.Gone += int64(a.Expired + a.Erased)
		c.Occurrences += int64(a.Occurrences)
		c.Duplicates += int64(a.Duplicates)
		c.Quarantined += int64(a.Quarantined)
		c.Replayed += int64(a.Replayed)
		c.Refused += int64(a.Refused)
		if c.First == nil {
			c.First = ptr(a.Hour)
		}
		c.Last = ptr(a.Hour)
		out.Expired += int64(a.Expired)
		out.Erased += int64(a.Erased)
		out.Missing += int64(a.Missing)
		out.RefusedRequests += int64(a.RefusedRequests)
	}
	for name, n := range acc.InFlight {
		if name == event.TrailSource {
			continue
		}
		c := source(name)
		c.InFlight += int64(n)
		c.Received += int64(n)
	}
	for _, c := range sources {
		out.Sources = append(out.Sources, *c)
		out.Received += c.Received
		out.Stored += c.Stored
		out.Live += c.Live
		out.Occurrences += c.Occurrences
		out.Duplicates += c.Duplicates
		out.Quarantined += c.Quarantined
		out.Replayed += c.Replayed
		out.Refused += c.Refused
		out.InFlight += c.InFlight
	}
	slices.SortFunc(out.Sources, func(a, b rest.SourceCounts) int { return strings.Compare(a.Source, b.Source) })
	if deref(r.Params.By) == "hour" {
		hours = hours[max(len(hours)-accountHours, 0):]
		out.Hours = &hours
	}
	out.Freshness = h.freshness(&acc)
	return out, nil
}

func (h *handlers) freshness(acc *Accounts) (f rest.Freshness) {
	now := h.s.now()
	if !acc.NewestEvent.IsZero() {
		age := now.Sub(acc.NewestEvent).Seconds()
		f.NewestEvent, f.NewestArrival, f.AgeSeconds = ptr(acc.NewestEvent), ptr(acc.NewestArrival), &age
	}
	if !acc.Waiting.IsZero() {
		f.LagSeconds = max(now.Sub(acc.Waiting).Seconds(), 0)
	}
	return f
}
