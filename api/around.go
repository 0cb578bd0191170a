package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

func (h *handlers) event(ctx context.Context, t tenant.ID, id string) (event.Event, error) {
	found, err := h.s.opts.Events.ByID(ctx, t, []string{id})
	if err != nil {
		return event.Event{}, err
	}
	if len(found) == 0 {
		return event.Event{}, notFound()
	}
	return found[0], nil
}

// GetEvent reads one event.
func (h *handlers) GetEvent(ctx context.Context, r rest.GetEventRequestObject) (rest.GetEventResponseObject, error) {
	ctx, k := callOf(ctx)
	e, err := h.event(ctx, k.one, r.Id)
	if err != nil {
		return nil, err
	}
	return eventAnswer{e}, nil
}

// eventAnswer writes the event as the record itself does, which the generated
// type has forgotten.
type eventAnswer struct{ event.Event }

func (e eventAnswer) VisitGetEventResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	return json.NewEncoder(w).Encode(e.Event)
}

// ListEventsAround reads what happened before and after an event.
func (h *handlers) ListEventsAround(ctx context.Context, r rest.ListEventsAroundRequestObject) (rest.ListEventsAroundResponseObject, error) {
	ctx, k := callOf(ctx)
	e, err := h.event(ctx, k.one, r.Id)
	if err != nil {
		return nil, err
	}
	before, after, q := 20, 20, &query.Query{}
	if r.Params.Before != nil {
		before = *r.Params.Before
	}
	if r.Params.AfterCount != nil {
		after = *r.Params.AfterCount
	}
	if r.Params.Same != nil {
		field := string(*r.Params.Same)
		value := map[string]string{"actor": e.Actor, "src_ip": e.SrcIP, "session": e.Session, "device": e.Device, "resource": e.Resource, "country": e.Country, "source": e.Source}[field]
		if q, err = query.Is(field, value); err != nil {
			return nil, badField("same", "the event has no %s", field)
		}
	}
	out := rest.ListEventsAround200JSONResponse{Items: []event.Event{}}
	at := &EventPosition{Time: e.Time, ID: e.ID}
	if before > 0 {
		found, err := h.s.opts.Events.Search(ctx, k.one, EventSearch{Query: q, Limit: before, After: at})
		if err != nil {
			return nil, err
		}
		slices.Reverse(found.Events)
		out.Items = append(out.Items, found.Events...)
	}
	out.Index = int32(len(out.Items))
	out.Items = append(out.Items, e)
	if after > 0 {
		found, err := h.s.opts.Events.Search(ctx, k.one, EventSearch{Query: q, Limit: after, After: at, Ascending: true})
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, found.Events...)
	}
	return out, nil
}

func seenView(n EventTotals) rest.Seen {
	return rest.Seen{Events: int64(n.Events), Failures: int64(n.Failures), First: ptr(n.First), Last: ptr(n.Last), Days: int64(n.Days), BytesIn: int64(n.BytesIn),
		BytesOut: int64(n.BytesOut), Actors: int64(n.Actors), Addresses: int64(n.Addresses), Resources: int64(n.Resources)}
}

// GetSeen says when something was first and last seen.
func (h *handlers) GetSeen(ctx context.Context, r rest.GetSeenRequestObject) (rest.GetSeenResponseObject, error) {
	ctx, k := callOf(ctx)
	var s EventScope
	var err error
	if s.Query, err = h.parseQuery(r.Params.Q); err != nil {
		return nil, err
	}
	if s.From, s.To, err = span(r.Params.From, r.Params.To); err != nil {
		return nil, err
	}
	n, err := h.s.opts.Insight.Totals(ctx, k.one, s)
	return rest.GetSeen200JSONResponse(seenView(n)), err
}

// DiffPeriods compares two periods.
func (h *handlers) DiffPeriods(ctx context.Context, r rest.DiffPeriodsRequestObject) (rest.DiffPeriodsResponseObject, error) {
	ctx, k := callOf(ctx)
	p := r.Params
	var was, is EventScope
	var err error
	if was.Query, err = h.parseQuery(p.Q); err != nil {
		return nil, err
	}
	if was.From, was.To, err = span(&p.BeforeFrom, &p.BeforeTo); err != nil {
		return nil, badField("before_to", "has to be later than before_from")
	}
	if is.From, is.To, err = span(&p.AfterFrom, &p.AfterTo); err != nil {
		return nil, badField("after_to", "has to be later than after_from")
	}
	fields, limit := []string{"actor", "action", "country", "src_ip", "resource"}, 20
	if p.Fields != nil {
		fields = *p.Fields
	}
	if p.Limit != nil {
		limit = *p.Limit
	}
	before, after, changes, err := h.s.opts.Insight.Diff(ctx, k.one, was, is, fields, limit)
	if err != nil {
		return nil, err
	}
	out := rest.DiffPeriods200JSONResponse{Before: seenView(before), After: seenView(after), Fields: []rest.FieldChanges{}}
	for _, f := range fields {
		list := rest.FieldChanges{Field: f, Values: []rest.ValueChange{}}
		for _, c := range changes[f] {
			v := rest.ValueChange{Value: c.Value, Before: int64(c.Before), After: int64(c.After), Kind: rest.ValueChangeKindSame,
				Change: float64(c.After)/max(1, float64(after.Events)) - float64(c.Before)/max(1, float64(before.Events))}
			switch {
			case c.Before == 0:
				v.Kind = rest.ValueChangeKindNew
			case c.After == 0:
				v.Kind = rest.ValueChangeKindGone
			case v.Change > 0:
				v.Kind = rest.ValueChangeKindMore
			case v.Change < 0:
				v.Kind = rest.ValueChangeKindLess
			}
			list.Values = append(list.Values, v)
		}
		out.Fields = append(out.Fields, list)
	}
	return out, nil
}

const usualDays = 28

// GetActorDay shows an actor's day beside its usual one.
func (h *handlers) GetActorDay(ctx context.Context, r rest.GetActorDayRequestObject) (rest.GetActorDayResponseObject, error) {
	ctx, k := callOf(ctx)
	q, err := query.Is("actor", r.Params.Actor)
	if err != nil {
		return nil, badField("actor", "is empty")
	}
	store := h.s.opts.Insight
	var day time.Time
	if r.Params.Date != nil {
		if day, err = time.Parse(time.DateOnly, *r.Params.Date); err != nil || day.Year() < 1900 || day.Year() > 2261 {
			return nil, badField("date", "is no day: want 2026-03-01")
		}
	} else {
		n, err := store.Totals(ctx, k.one, EventScope{Query: q})
		if err != nil {
			return nil, err
		}
		if day = n.Last; day.IsZero() {
			day = h.s.now()
		}
		day = day.UTC().Truncate(24 * time.Hour)
	}
	this := EventScope{Query: q, From: day, To: day.AddDate(0, 0, 1)}
	past := EventScope{Query: q, From: day.AddDate(0, 0, -usualDays), To: day}
	fields := []string{"action", "resource", "src_ip", "country", "device", "user_agent"}
	var today, before EventTotals
	var values, known map[string][]ValueCount
	var week, usual WeekCounts
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	g.Go(func() (err error) { today, err = store.Totals(gctx, k.one, this); return })
	g.Go(func() (err error) { before, err = store.Totals(gctx, k.one, past); return })
	g.Go(func() (err error) { week, err = store.Week(gctx, k.one, this); return })
	g.Go(func() (err error) { usual, err = store.Week(gctx, k.one, past); return })
	g.Go(func() (err error) {
		values, err = store.Breakdown(gctx, k.one, this, append([]string{"session"}, fields...), 50)
		return
	})
	g.Go(func() (err error) { known, err = store.Breakdown(gctx, k.one, past, fields, 1000); return })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	days := max(1, float64(before.Days))
	out := rest.GetActorDay200JSONResponse{Actor: r.Params.Actor, Date: day.Format(time.DateOnly), Totals: seenView(today), KnownDays: int64(before.Days),
		UsualEvents: float64(before.Events) / days, UsualFailures: float64(before.Failures) / days, Fields: []rest.FieldValues{}, Sessions: seenValues(values["session"], today.Events, nil, 50)}
	offset := (int(day.Weekday()) + 6) % 7 * 24
	for hour := range 24 {
		n := rest.DayHour{Hour: int32(hour), Events: int64(week.Events[offset+hour]), Failures: int64(week.Failures[offset+hour])}
		for d := range 7 {
			n.Usual += float64(usual.Events[d*24+hour]) / days
		}
		out.Hours = append(out.Hours, n)
	}
	for _, f := range fields {
		was := map[string]bool{}
		for _, v := range known[f] {
			was[v.Value] = true
		}
		if before.Events == 0 || len(known[f]) >= 1000 {
			was = nil // nothing to compare with, or too much to know
		}
		out.Fields = append(out.Fields, rest.FieldValues{Field: f, Values: seenValues(values[f], today.Events, was, 20)})
	}
	return out, nil
}

// seenValues are the values of a field; known marks those that were seen
// before, nil when that is not known.
func seenValues(values []ValueCount, of uint64, known map[string]bool, limit int) []rest.SeenValue {
	out := []rest.SeenValue{}
	for _, v := range values[:min(len(values), limit)] {
		share := float64(v.Count) / max(1, float64(of))
		s := rest.SeenValue{Value: v.Value, Events: int64(v.Count), Failures: int64(v.Failures), First: v.First.UTC(), Last: v.Last.UTC(), Share: &share}
		if known != nil {
			fresh := !known[v.Value]
			s.New = &fresh
		}
		out = append(out, s)
	}
	return out
}
