package collector

import (
	"context"
	"errors"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Delivery is one batch of one tenant's records from one source.
type Delivery struct {
	Tenant      tenant.ID
	Source      string // the log source of the stream: an ingest key's name, a file
	Events      []event.Event
	Quarantined []event.Quarantined
}

// Sink makes batches durable.
type Sink interface {
	// Deliver returns nil when everything in d is durable, else an error, and
	// then d may be durable in part. The slices belong to the caller again
	// when it returns; the strings and byte slices in them never change. It
	// must honour ctx, and may be called by many goroutines.
	Deliver(ctx context.Context, d Delivery) error
}

// ErrUnavailable, wrapped in a Sink's error, says that the sink is away and
// the same delivery may succeed later.
var ErrUnavailable = errors.New("collector: the event log is not available")

// ErrRefused, wrapped in a Sink's error, says that the sink will never take
// this delivery as it is.
var ErrRefused = errors.New("collector: the event log refused the delivery")

// Place is where a delivery became durable.
type Place uint8

// The places.
const (
	PlaceNone   Place = iota // nowhere
	PlaceLog                 // the event log has it, on every replica in sync
	PlaceBuffer              // on our own disk, on its way to the event log
)

// PlacingSink is a Sink that says where a delivery became durable. Any other
// stands for the event log.
type PlacingSink interface {
	Sink
	DeliverPlaced(ctx context.Context, d Delivery) (Place, error)
}

// DeliverTo delivers and says where the delivery became durable.
func DeliverTo(ctx context.Context, s Sink, d Delivery) (Place, error) {
	if p, ok := s.(PlacingSink); ok {
		return p.DeliverPlaced(ctx, d)
	}
	if err := s.Deliver(ctx, d); err != nil {
		return PlaceNone, err
	}
	return PlaceLog, nil
}

// ErrUnauthorized is a Keys' answer to a bearer that is no ingest key.
var ErrUnauthorized = errors.New("collector: not a valid ingest key")

// ErrSuspended is a Keys' answer to the key of a tenant that takes nothing in.
var ErrSuspended = errors.New("collector: the tenant is suspended")

// IngestKey is a resolved credential.
type IngestKey struct {
	Tenant   tenant.ID
	ID, Name string
	Limits   TenantLimits
}

// TenantLimits bound what a tenant may push over all its keys; 0 is no bound.
type TenantLimits struct {
	EventsPerSecond           int64
	EventsPerDay, BytesPerDay int64 // UTC
	EventsToday, BytesToday   int64 // what was pushed, a few seconds ago
}

// Meter counts what a tenant pushes, and requests that a limit refused.
type Meter interface {
	Pushed(id tenant.ID, events, bytes int)
	Refused(id tenant.ID)
}

// Keys resolves ingest keys.
type Keys interface {
	// ResolveIngestKey returns the key a bearer token stands for, or an error
	// that is ErrUnauthorized when there is none, or ErrSuspended. Other errors mean that it
	// cannot be known now.
	ResolveIngestKey(ctx context.Context, bearer string) (IngestKey, error)
}
