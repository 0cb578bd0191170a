package app

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// holdSink holds configured sources back while their tenant is suspended: to a
// source it looks as if the log were away, so it keeps its place and tries
// again, and nothing is lost where the other side can wait or be asked again.
// Pushes need no such thing: their key is refused.
type holdSink struct {
	next    collector.Sink
	takesIn func(context.Context, tenant.ID) error

	mu   sync.Mutex
	held map[tenant.ID]bool
}

// newHoldSink takes core's answer to whether a tenant takes events in.
func newHoldSink(next collector.Sink, takesIn func(context.Context, tenant.ID) error) *holdSink {
	return &holdSink{next: next, takesIn: takesIn, held: map[tenant.ID]bool{}}
}

// Deliver hands on unless the tenant is suspended. While nobody can say, what
// was last known holds: a database that is away stops no source, and a tenant
// that was purged after its suspension stays shut.
func (s *holdSink) Deliver(ctx context.Context, d collector.Delivery) error {
	err := s.takesIn(ctx, d.Tenant)
	s.mu.Lock()
	switch {
	case err == nil:
		delete(s.held, d.Tenant)
	case errors.Is(err, core.ErrSuspended):
		s.held[d.Tenant] = true
	}
	held := s.held[d.Tenant]
	s.mu.Unlock()
	if held {
		return fmt.Errorf("held back: %w: %w", collector.ErrUnavailable, err)
	}
	return s.next.Deliver(ctx, d)
}
