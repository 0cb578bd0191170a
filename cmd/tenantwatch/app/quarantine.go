package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// replayLines is how many lines one call reads again.
const replayLines = 500

// lineStore is the quarantine, and what is read again from it.
type lineStore struct {
	store    *eventstore.Store
	sink     collector.Sink
	mappings *mapping.Dir
	audit    *core.Audit
	now      func() time.Time
}

// describedFormats opens the directory of mappings; nil without one.
func (a *App) describedFormats() (*mapping.Dir, error) {
	if a.opts.Config.Collector.Mappings == "" {
		return nil, nil
	}
	d, err := mapping.OpenDir(a.opts.Config.Collector.Mappings, a.log.With("part", "mappings"))
	if err != nil {
		return nil, fmt.Errorf("collector.mappings: %w", err)
	}
	return d, nil
}

// lineStore makes what replays lines, with a producer of its own.
func (a *App) lineStore(b backends, c *core.Core, store *eventstore.Store) (lineStore, error) {
	described, err := a.describedFormats()
	if err != nil {
		return lineStore{}, err
	}
	producer, err := eventlog.NewProducer(a.logConfig(b, "replay"), eventlog.ProducerOptions{})
	if err != nil {
		return lineStore{}, err
	}
	a.life.add("replay producer", func(context.Context) error { return producer.Close() })
	return lineStore{store: store, sink: a.enriched(c, logSink{producer}), mappings: described, audit: c.Audit, now: time.Now}, nil
}

// eventStore is the store with what the accounts need beside it.
func (a *App) eventStore(b backends, store *eventstore.Store) eventStore {
	cfg := a.logConfig(b, "accounts")
	return eventStore{s: store, waiting: func(ctx context.Context, id tenant.ID) (eventlog.Waiting, error) {
		return eventlog.InFlight(ctx, cfg, ingestGroup, id)
	}}
}

func lineScope(s api.LineScope) eventstore.QuarantineScope {
	return eventstore.QuarantineScope{State: eventstore.LineState(s.State), Pattern: s.Pattern, Source: s.Source}
}

func (l lineStore) Groups(ctx context.Context, id tenant.ID, s api.LineScope) ([]api.LineGroup, error) {
	groups, err := l.store.QuarantineGroups(ctx, id, lineScope(s))
	out := make([]api.LineGroup, len(groups))
	for i, g := range groups {
		out[i] = api.LineGroup(g)
	}
	return out, err
}

func (l lineStore) Line(ctx context.Context, id tenant.ID, line string) (api.LineResult, error) {
	lines, err := l.store.QuarantineLines(ctx, id, eventstore.QuarantineScope{IDs: []string{line}}, 1)
	if err != nil {
		return api.LineResult{}, err
	}
	if len(lines) == 0 {
		return api.LineResult{}, api.ErrNotFound
	}
	return api.LineResult(lines[0]), nil
}

// Replay reads lines again and hands on what they come out at, by the same way
// as all events; then it notes it. When the note is lost the same lines come
// again with the same ids, which the store knows.
func (l lineStore) Replay(ctx context.Context, by access.Actor, id tenant.ID, r api.Replay) (api.Replayed, error) {
	var res api.Replayed
	scope := lineScope(r.Scope)
	scope.IDs = r.IDs
	if len(r.IDs) == 0 {
		scope.State = eventstore.LinesOpen
	}
	var own []*mapping.Mapping
	if r.Mapping != "" {
		m, err := mapping.Parse([]byte(r.Mapping))
		if err != nil {
			return res, fmt.Errorf("%w: %w", api.ErrInvalid, err)
		}
		own = append(own, m)
		if r.Format == "" {
			r.Format = m.Format()
		}
	}
	if err := parse.CheckFormat(r.Format, append(own, l.mappings.For(id, r.Scope.Source)...)...); err != nil {
		return res, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	lines, err := l.store.QuarantineLines(ctx, id, scope, replayLines)
	if err != nil {
		return res, err
	}
	res.More = len(lines) == replayLines
	if len(lines) > 0 && !r.DryRun { // who did it is on record before it is done
		detail := map[string]any{"lines": len(lines), "format": r.Format, "mapping": r.Mapping != ""}
		if err := l.audit.Record(ctx, id, by, "quarantine.replay", r.Scope.Source, detail); err != nil {
			return res, err
		}
	}
	var done []eventstore.Replayed
	var sources []string
	bySource := map[string][]event.Event{}
	for i := range lines {
		q := &lines[i]
		events, reason, err := l.read(q, r, append(own, l.mappings.For(id, q.Source)...))
		if err != nil {
			return res, err
		}
		res.Selected++
		if reason != "" {
			res.Failed++
			if len(res.Errors) < 100 {
				res.Errors = append(res.Errors, api.ReplayError{ID: q.ID, Reason: reason})
			}
			continue
		}
		res.Replayed++
		res.Events += uint64(len(events))
		for k := range events {
			if len(res.Sample) < 5 {
				res.Sample = append(res.Sample, events[k])
			}
		}
		if r.DryRun {
			continue
		}
		if bySource[q.Source] == nil {
			sources = append(sources, q.Source)
		}
		bySource[q.Source] = append(bySource[q.Source], events...)
		done = append(done, eventstore.Replayed{ID: q.ID, At: l.now(), Events: uint64(len(events))})
	}
	for _, source := range sources {
		if err := l.sink.Deliver(ctx, collector.Delivery{Tenant: id, Source: source, Events: bySource[source]}); err != nil {
			return res, fmt.Errorf("%w: %w", api.ErrUnavailable, err)
		}
	}
	if err := l.store.RecordReplayed(ctx, id, done); err != nil {
		return res, fmt.Errorf("the events are durable, but their lines could not be marked: %w", err)
	}
	return res, nil
}

// maxOrdinal is how often a line may have stood in its file for its ordinal
// to be found again.
const maxOrdinal = 10_000

// read gives the events of one line, or the reason why there are none.
func (l lineStore) read(q *eventstore.Line, r api.Replay, mappings []*mapping.Mapping) (events []event.Event, reason string, err error) {
	o := parse.Options{Tenant: q.Tenant, DefaultSource: q.Source, Format: r.Format, Mappings: mappings, Now: l.now(), Year: r.Year, Zone: r.Zone}
	// The ids are to be those the line would have got at first. They count
	// identical lines, and the quarantined line's own id holds that count.
	if n, ok := event.OrdinalOf(parse.QuarantineDigest(q.Source, q.Reason, q.Raw), q.ID, maxOrdinal); ok {
		o.FirstOrdinal = n
	} else { // it was dated by its place in a file: any place that is its own will do
		o.Place = "quarantine:" + q.ID
	}
	sum, err := parse.Stream(bytes.NewReader(q.Raw), o, parse.Handler{
		Event: func(e *event.Event) error {
			events = append(events, *e)
			return nil
		},
	})
	switch {
	case err != nil && errors.Is(err, context.Canceled):
		return nil, "", err
	case err != nil:
		return nil, err.Error(), nil
	case sum.Quarantined > 0:
		return nil, sum.Errors[0].Reason, nil
	case len(events) == 0:
		return nil, "nothing is in the line", nil
	}
	return events, "", nil
}
