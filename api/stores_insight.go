package api

import (
	"context"
	"time"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// EventScope is which of a tenant's events an answer is about, by event time
// in [From, To); a zero time is no bound.
type EventScope struct {
	Query    *query.Query
	From, To time.Time
}

// EventTotals sum up a scope. Actors, Addresses and Resources are distinct and
// approximate.
type EventTotals struct {
	Events, Failures  uint64
	First, Last       time.Time // zero without any
	Days              uint64    // UTC days with an event
	BytesIn, BytesOut uint64
	Actors, Addresses uint64
	Resources         uint64
}

// ValueCount is one value of a field in a scope.
type ValueCount struct {
	Value           string
	Count, Failures uint64
	First, Last     time.Time
}

// ValueChange is how often a value occurred in two periods.
type ValueChange struct {
	Value         string
	Before, After uint64
}

// WeekCounts are events by hour of the week in UTC, Monday 00:00 first; Hours
// counts those of each that had an event.
type WeekCounts struct {
	Events, Failures [168]uint64
	Hours            [168]uint64
}

// EventNorms are usual amounts: quantiles 0.5, 0.9, 0.95, 0.99 and the
// largest. Gaps are in seconds.
type EventNorms struct {
	ActiveHours   uint64
	PerHour       [5]float64
	FailuresHour  [5]float64
	BytesHour     [5]float64
	BytesEvent    [5]float64
	ResourcesHour [5]float64
	Gap           [5]float64
}

// EntityCount is one entity and what is stored of it.
type EntityCount struct {
	ID               string
	Events, Failures uint64
	First, Last      time.Time
	Countries        uint64
	Addresses        uint64
}

// EntityPosition is the last entity of a page.
type EntityPosition struct {
	Rank int64
	ID   string
}

// EntityList asks for the entities of one type.
type EntityList struct {
	EventScope
	Type   alert.EntityType
	What   string // in the id, whatever its case
	Recent bool   // newest seen first; else most events first
	Limit  int
	After  *EntityPosition
}

// Insight sums up one tenant's stored events. Fields are names of package
// query that can be counted; labels are label.<key>.
type Insight interface {
	Totals(ctx context.Context, id tenant.ID, s EventScope) (EventTotals, error)
	// Breakdown counts the values of up to 16 fields, the most frequent first.
	Breakdown(ctx context.Context, id tenant.ID, s EventScope, fields []string, limit int) (map[string][]ValueCount, error)
	// Diff compares two periods, the values whose share changed most first;
	// after's query is before's.
	Diff(ctx context.Context, id tenant.ID, before, after EventScope, fields []string, limit int) (was, is EventTotals, changes map[string][]ValueChange, err error)
	// Values and LabelKeys look at the newest events of the scope.
	Values(ctx context.Context, id tenant.ID, s EventScope, field, what string, limit int) ([]FacetCount, error)
	LabelKeys(ctx context.Context, id tenant.ID, s EventScope, what string, limit int) ([]FacetCount, error)
	Week(ctx context.Context, id tenant.ID, s EventScope) (WeekCounts, error)
	Norms(ctx context.Context, id tenant.ID, s EventScope) (EventNorms, error)
	Entities(ctx context.Context, id tenant.ID, l EntityList) ([]EntityCount, *EntityPosition, error)
	// EntityQuery finds the events of one entity; ErrInvalid for a type there
	// is none of.
	EntityQuery(typ alert.EntityType, id string) (*query.Query, error)
}

// SavedSearch is a query somebody keeps.
type SavedSearch struct {
	ID                   string
	Tenant               tenant.ID
	Name, Query, Range   string
	Shared               bool
	Owner                access.Actor
	CreatedAt, UpdatedAt time.Time
}

// SearchChange sets what is not nil.
type SearchChange struct {
	Name, Query, Range *string
	Shared             *bool
}

// Searches are saved searches: everybody sees their own and the shared ones,
// and changes their own alone; all else is ErrNotFound. Lists are whole: a
// tenant has at most 500.
type Searches interface {
	List(ctx context.Context, scope []tenant.ID, by access.Actor) ([]SavedSearch, error)
	Get(ctx context.Context, scope []tenant.ID, by access.Actor, id string) (SavedSearch, error)
	Create(ctx context.Context, by access.Actor, id tenant.ID, s SavedSearch) (SavedSearch, error)
	Update(ctx context.Context, by access.Actor, id tenant.ID, searchID string, ch SearchChange) (SavedSearch, error)
	Delete(ctx context.Context, by access.Actor, id tenant.ID, searchID string) error
}

// DetectorEntry is one detector of the program.
type DetectorEntry struct {
	Name, Version string
	Models        string   // what it models, a sentence
	LooksAt       []string // actor, address, tenant
	Techniques    []string // ATT&CK
}
