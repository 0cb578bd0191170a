package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/core"
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
type ingestKeys struct{ keys *core.Keys }

func (k ingestKeys) ResolveIngestKey(ctx context.Context, bearer string) (collector.IngestKey, error) {
	key, err := k.keys.ResolveIngestKey(ctx, bearer)
	switch {
	case errors.Is(err, core.ErrUnauthorized):
		return collector.IngestKey{}, collector.ErrUnauthorized
	case err != nil:
		return collector.IngestKey{}, fmt.Errorf("%w: %w", collector.ErrUnavailable, err)
	}
	return collector.IngestKey{Tenant: key.Tenant, ID: key.ID, Name: key.Name}, nil
}
