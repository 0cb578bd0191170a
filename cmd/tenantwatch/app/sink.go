package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
)

// logSink hands the collector's deliveries to the log.
type logSink struct{ producer *eventlog.Producer }

func (s logSink) Deliver(ctx context.Context, d collector.Delivery) error {
	for i := range d.Events { // nobody else may speak as the platform's own trail
		if e := &d.Events[i]; e.Source == event.TrailSource {
			e.Invalid("source", e.Source)
			e.Source = "sender:" + event.TrailSource
		}
	}
	err := s.producer.Produce(ctx, d.Tenant, d.Source, d.Events, d.Quarantined)
	switch {
	case errors.Is(err, eventlog.ErrUnavailable):
		return fmt.Errorf("%w: %w", collector.ErrUnavailable, err)
	case errors.Is(err, eventlog.ErrRefused):
		return fmt.Errorf("%w: %w", collector.ErrRefused, err)
	}
	return err
}

// ingestKeys resolves the bearers that senders present.
type ingestKeys struct {
	keys  *core.Keys
	usage *core.Usage
}

func (k ingestKeys) ResolveIngestKey(ctx context.Context, bearer string) (collector.IngestKey, error) {
	key, err := k.keys.ResolveIngestKey(ctx, bearer)
	switch {
	case errors.Is(err, core.ErrUnauthorized):
		return collector.IngestKey{}, collector.ErrUnauthorized
	case errors.Is(err, core.ErrSuspended):
		return collector.IngestKey{}, collector.ErrSuspended
	case err != nil:
		return collector.IngestKey{}, fmt.Errorf("%w: %w", collector.ErrUnavailable, err)
	}
	a, err := k.usage.Allowance(ctx, key.Tenant)
	if err != nil {
		return collector.IngestKey{}, fmt.Errorf("%w: %w", collector.ErrUnavailable, err)
	}
	return collector.IngestKey{Tenant: key.Tenant, ID: key.ID, Name: key.Name, Limits: collector.TenantLimits{EventsPerSecond: a.EventsPerSecond,
		EventsPerDay: a.EventsPerDay, BytesPerDay: a.BytesPerDay, EventsToday: a.Today.Events, BytesToday: a.Today.Bytes}}, nil
}

// meter is collector.Meter on the core.
type meter struct{ u *core.Usage }

func (m meter) Pushed(id tenant.ID, events, bytes int) {
	m.u.Add(id, core.UsageCounts{Events: int64(events), Bytes: int64(bytes)})
}

func (m meter) Refused(id tenant.ID) { m.u.Add(id, core.UsageCounts{Refused: 1}) }
