package api

import (
	"context"
	"errors"
	"time"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// What stores answer with; Options.Classify may translate errors of their own.
// Anything else is an internal error: logged whole, shown to nobody.
var (
	ErrNotFound     = errors.New("not found")
	ErrExists       = errors.New("exists already")
	ErrConflict     = errors.New("changed since it was read")
	ErrUnauthorized = errors.New("no valid credential")
	ErrTOTPRequired = errors.New("a code of the second factor is needed")
	ErrSuspended    = errors.New("the tenant is suspended")
	ErrInvalid      = errors.New("invalid input")         // the message is shown
	ErrUnavailable  = errors.New("a part is unavailable") // 503 with Retry-After
)

// Credentials are what somebody signs in with.
type Credentials struct {
	Email, Password    string
	Code               string // of the second factor; empty in the first step
	Address, UserAgent string // of the client, for the trail
}

// SignedIn is a session as it stands.
type SignedIn struct {
	Principal access.Principal
	CSRF      string
	ExpiresAt time.Time
	TOTP      bool // has a second factor
}

// Auth turns credentials into principals. All refusals are ErrUnauthorized, but
// for a right password without the code it needs, which is ErrTOTPRequired.
type Auth interface {
	// SignIn starts a session; token is the cookie's value.
	SignIn(ctx context.Context, c Credentials) (token string, s SignedIn, err error)
	Session(ctx context.Context, token string) (SignedIn, error)
	SignOut(ctx context.Context, token string) error
	// Token resolves an API token.
	Token(ctx context.Context, bearer string) (access.Principal, error)
}

// TriageState is people's work on an alert.
type TriageState struct {
	Status    string // new, in_progress or closed
	Verdict   string // empty: none
	Assignee  string // empty: nobody
	Version   int
	UpdatedAt time.Time // zero while nobody has touched it
	Tags      []string
	Links     []Link
	Severity  string // set by people; empty: not
	// Zero: not (any longer).
	AcknowledgedAt, ClosedAt time.Time
}

// TriageChange sets what is not nil.
type TriageChange struct {
	Status            *string
	Verdict, Assignee *string // "" clears
	Severity          *string // "" gives the detectors' back
	Tags              *[]string
	AddTags, DropTags []string
	Links             *[]Link
	Comment           string
	Version           int // the one that was read, ErrConflict when it is no longer; 0: whatever there is
}

// StoredAlert is the latest revision of an alert.
type StoredAlert struct {
	alert.Alert
	Triage TriageState
}

// AlertFilter narrows a list; what is empty narrows nothing.
type AlertFilter struct {
	Severity  []alert.Severity
	Status    []string
	Entity    alert.Entity // with an id: of this entity
	From, To  time.Time    // raised in [From, To) of event time; zero is no bound
	Text      string       // in title, reason or entity, whatever its case
	Retracted bool         // include retracted ones
}

// AlertPosition is the last alert of a page.
type AlertPosition struct {
	RaisedAt time.Time
	ID       string
	Tenant   tenant.ID
}

// AlertList is one page, newest raised first.
type AlertList struct {
	Items []StoredAlert
	Next  *AlertPosition // nil on the last page
	Total int64
}

// Growth says that a tenant's feed of alerts has grown to Seq.
type Growth struct {
	Tenant tenant.ID
	Seq    uint64
}

// Alerts are the stored alerts. A scope is never empty.
type Alerts interface {
	List(ctx context.Context, scope []tenant.ID, f AlertFilter, after *AlertPosition, limit int) (AlertList, error)
	// Get is ErrNotFound when no tenant of the scope has it, whatever form id has.
	Get(ctx context.Context, scope []tenant.ID, id string) (StoredAlert, error)
	SetTriage(ctx context.Context, id tenant.ID, by access.Actor, alertID string, ch TriageChange) (TriageState, error)
	// After is a tenant's feed: every revision with a greater seq, ascending.
	After(ctx context.Context, id tenant.ID, seq uint64, limit int) ([]alert.Alert, error)
	// Heads are the greatest seqs; tenants without an alert are missing or 0.
	Heads(ctx context.Context, scope []tenant.ID) (map[tenant.ID]uint64, error)
	// Open counts alerts that are new or in progress and not retracted.
	Open(ctx context.Context, scope []tenant.ID) (map[alert.Severity]int64, error)
	// RaisedIn counts those raised in [from, to) of event time and not retracted.
	RaisedIn(ctx context.Context, id tenant.ID, from, to time.Time) (int64, error)
	// Subscribe announces growth of any tenant's feed until ctx is done, when
	// it closes the channel. Announcements may be folded; none is a promise.
	Subscribe(ctx context.Context) <-chan Growth
}

// EventPosition is the last event of a page.
type EventPosition struct {
	Time int64 // Unix nanoseconds
	ID   string
}

// EventSearch is one page of a search in [From, To); a zero time is no bound.
type EventSearch struct {
	Query     *query.Query
	From, To  time.Time
	Limit     int
	After     *EventPosition
	Ascending bool
}

// EventResult is one page.
type EventResult struct {
	Events []event.Event
	Next   *EventPosition // nil on the last page
}

// HistogramRequest asks for about Buckets buckets over [From, To); a zero time
// means the first or last event that matches.
type HistogramRequest struct {
	Query    *query.Query
	From, To time.Time
	Buckets  int
}

// HistogramBucket counts the events in [Start, Start+Step).
type HistogramBucket struct {
	Start           time.Time
	Count, Failures uint64
}

// HistogramResult has buckets without gaps, oldest first; From and To are zero
// when nothing matched and no range was asked for.
type HistogramResult struct {
	From, To time.Time
	Step     time.Duration
	Buckets  []HistogramBucket
}

// FacetRequest asks for the most frequent values of a field, or of the label
// Key when the field is label.
type FacetRequest struct {
	Query    *query.Query
	From, To time.Time
	Field    query.Field
	Key      string
	Limit    int
}

// FacetCount is one value and how many events have it.
type FacetCount struct {
	Value string
	Count uint64
}

// Activity is a tenant's last day: the 24 hours up to its latest event.
type Activity struct {
	Latest           time.Time // zero without any event
	Events, Failures uint64
}

// QuarantinePosition is the last line of a page.
type QuarantinePosition struct {
	ReceivedAt int64 // Unix nanoseconds
	ID         string
}

// QuarantineResult is one page, newest first.
type QuarantineResult struct {
	Lines []event.Quarantined
	Next  *QuarantinePosition
}

// LineScope says which quarantined lines are meant.
type LineScope struct {
	State   string // open, replayed or "" for all
	Pattern string // of a LineGroup; empty: all
	Source  string // empty: all
}

// LineGroup is the lines of one source that were set aside for one reason.
type LineGroup struct {
	Pattern, Source, Format string
	Lines                   uint64
	First, Last             time.Time
	Example, Reason         string // id and reason of the newest line
}

// LineResult is one quarantined line and what became of it.
type LineResult struct {
	event.Quarantined
	ReplayedAt time.Time // zero: not replayed
	Events     uint64
}

// Replay asks for quarantined lines to be read again.
type Replay struct {
	IDs             []string // empty: all open ones of the scope
	Scope           LineScope
	Format, Mapping string // Mapping is YAML
	Year            int
	Zone            *time.Location
	DryRun          bool
}

// ReplayError says why one line still cannot be read.
type ReplayError struct{ ID, Reason string }

// Replayed is what became of a Replay.
type Replayed struct {
	Selected, Replayed, Events, Failed uint64
	More                               bool
	Errors                             []ReplayError
	Sample                             []event.Event // the first five
}

// HourAccount is what came from one source in one hour of arrival.
type HourAccount struct {
	Hour            time.Time
	Source          string
	Stored, Live    uint64 // events: Stored = Live + Expired + Erased
	Expired, Erased uint64
	Missing         uint64 // gone, and nobody noted why
	Occurrences     uint64 // what the live ones stand for: their counts
	Duplicates      uint64 // events and lines dropped by their id
	Quarantined     uint64 // lines
	Replayed        uint64 // of them: read again since
	Refused         uint64 // lines read and not made durable
	RefusedRequests uint64
}

// Accounts is what was received of a tenant, and what became of it.
type Accounts struct {
	Hours []HourAccount
	// What is durable and not yet stored, by source, and since when the oldest
	// of it waits (zero: nothing does); More: it is more than that.
	InFlight map[string]uint64
	Waiting  time.Time
	More     bool
	// The newest event's own time, and the newest one's arrival; zero without.
	NewestEvent, NewestArrival time.Time
}

// Quarantine is the lines no parser could take.
type Quarantine interface {
	Groups(ctx context.Context, id tenant.ID, s LineScope) ([]LineGroup, error)
	// Line is ErrNotFound when there is none.
	Line(ctx context.Context, id tenant.ID, line string) (LineResult, error)
	// Replay is ErrInvalid for a format or mapping that cannot be used.
	Replay(ctx context.Context, by access.Actor, id tenant.ID, r Replay) (Replayed, error)
}

// Events are the stored events of one tenant.
type Events interface {
	Search(ctx context.Context, id tenant.ID, s EventSearch) (EventResult, error)
	// Each gives all events of a search to fn as they are read, in constant
	// memory; it ends early with fn's error, and fn must not keep the event. A
	// Limit of 0 is none.
	Each(ctx context.Context, id tenant.ID, s EventSearch, fn func(*event.Event) error) error
	// Count is how many events a search finds.
	Count(ctx context.Context, id tenant.ID, s EventScope) (uint64, error)
	// ByID leaves out ids that are not (any longer) stored.
	ByID(ctx context.Context, id tenant.ID, ids []string) ([]event.Event, error)
	Histogram(ctx context.Context, id tenant.ID, r HistogramRequest) (HistogramResult, error)
	Facets(ctx context.Context, id tenant.ID, r FacetRequest) ([]FacetCount, error)
	Activity(ctx context.Context, id tenant.ID) (Activity, error)
	Quarantine(ctx context.Context, id tenant.ID, s LineScope, after *QuarantinePosition, limit int) (QuarantineResult, error)
	// Accounting counts by time of ingestion in [from, to); zero is no bound.
	Accounting(ctx context.Context, id tenant.ID, from, to time.Time) (Accounts, error)
}

// FindingCount is what became of one detector's findings in one hour.
type FindingCount struct {
	Hour                                               time.Time
	Detector                                           string
	Findings, Alerted, Folded, Suppressed, BelowBudget int64
}

// Findings are the ledger of what became of findings.
type Findings interface {
	// List reads the hours in [from, to); zero is no bound.
	List(ctx context.Context, id tenant.ID, from, to time.Time) ([]FindingCount, error)
}

// TenantInfo is one tenant.
type TenantInfo struct {
	ID          tenant.ID
	Name        string
	State       string // active, suspended or deleting
	Reason      string // of the state
	DeleteAfter time.Time
	Placement   string // pooled or dedicated
	Settings    tenant.Settings
	Version     int // counts changes
	CreatedAt   time.Time
}

// Tenants is the list of tenants.
type Tenants interface {
	// List reads those of the ids that exist.
	List(ctx context.Context, ids []tenant.ID) ([]TenantInfo, error)
	Create(ctx context.Context, by access.Actor, id tenant.ID, name string) (TenantInfo, error)
	// Rename and UpdateSettings take the version that was read; 0 is whatever
	// there is. ErrConflict when it is another by now.
	Rename(ctx context.Context, by access.Actor, id tenant.ID, name string, version int) (TenantInfo, error)
	UpdateSettings(ctx context.Context, by access.Actor, id tenant.ID, patch tenant.SettingsPatch, version int) (TenantInfo, error)
	Suspend(ctx context.Context, by access.Actor, id tenant.ID, reason string) (TenantInfo, error)
	Resume(ctx context.Context, by access.Actor, id tenant.ID) (TenantInfo, error)
	Delete(ctx context.Context, by access.Actor, id tenant.ID, grace time.Duration, reason string) (TenantInfo, error)
	Restore(ctx context.Context, by access.Actor, id tenant.ID) (TenantInfo, error)
}

// KeyInfo is a key without its secret; revoked ones are not listed.
type KeyInfo struct {
	ID         string
	Tenant     tenant.ID
	Kind       string // ingest or api
	Name       string
	Role       access.Role
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time // zero: never
	Scopes     []access.Permission
	ReplacedBy string // its successor's id
}

// NewKey describes a key to create.
type NewKey struct {
	Kind, Name string
	Role       access.Role
	ExpiresAt  time.Time // zero: never
	Scopes     []access.Permission
}

// Keys are ingest keys and API tokens. Lists are whole: a tenant has few.
type Keys interface {
	List(ctx context.Context, scope []tenant.ID) ([]KeyInfo, error)
	Create(ctx context.Context, by access.Actor, id tenant.ID, n NewKey) (k KeyInfo, secret string, err error)
	Revoke(ctx context.Context, by access.Actor, id tenant.ID, keyID string) error
	// Rotate makes a successor; the key goes on for overlap.
	Rotate(ctx context.Context, by access.Actor, id tenant.ID, keyID string, overlap time.Duration, expires time.Time) (k KeyInfo, secret string, err error)
}

// WebhookInfo is an endpoint without its secret.
type WebhookInfo struct {
	ID           string
	Tenant       tenant.ID
	Name, URL    string
	Kind         string
	Settings     map[string]string // without secrets
	MinSeverity  alert.Severity
	Status       string // active, paused or gone
	CreatedAt    time.Time
	Failures     int
	FailingSince time.Time // zero while it works
}

// DeliveryInfo is one revision owed to one endpoint.
type DeliveryInfo struct {
	Seq        uint64
	AlertID    string
	Revision   uint32
	State      string // pending, delivered or dead
	Attempts   int
	CreatedAt  time.Time
	FinishedAt time.Time // zero while pending
	LastStatus int       // 0 without an answer
	LastError  string
}

// Webhooks are the endpoints. Lists are whole: a tenant has few.
type Webhooks interface {
	List(ctx context.Context, scope []tenant.ID) ([]WebhookInfo, error)
	Create(ctx context.Context, by access.Actor, id tenant.ID, n NewWebhook) (w WebhookInfo, secret string, err error)
	// SetActive resumes or pauses.
	SetActive(ctx context.Context, by access.Actor, id tenant.ID, webhookID string, active bool) error
	SetMinSeverity(ctx context.Context, by access.Actor, id tenant.ID, webhookID string, least alert.Severity) error
	// Rotate makes a new secret; both sign until overlap is over.
	Rotate(ctx context.Context, by access.Actor, id tenant.ID, webhookID string, overlap time.Duration) (secret string, err error)
	// Redeliver owes the revisions again, or every dead one without any.
	Redeliver(ctx context.Context, by access.Actor, id tenant.ID, webhookID string, seqs []uint64) (int64, error)
	// Test sends a made-up alert now.
	Test(ctx context.Context, by access.Actor, id tenant.ID, webhookID string) (Exchange, error)
	Attempts(ctx context.Context, id tenant.ID, webhookID string, seq uint64) ([]AttemptInfo, error)
	Delete(ctx context.Context, by access.Actor, id tenant.ID, webhookID string) error
	// Deliveries are newest first, with a seq below before unless it is 0.
	Deliveries(ctx context.Context, id tenant.ID, webhookID string, before uint64, limit int) ([]DeliveryInfo, error)
}
