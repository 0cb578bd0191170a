package api

import (
	"context"
	"net/netip"
	"time"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// Link is an address attached to an alert.
type Link struct{ URL, Title string }

// FieldChange is one field of a change, as text.
type FieldChange struct{ Field, From, To string }

// HistoryEntry is one change of an alert's triage, or a comment.
type HistoryEntry struct {
	Version int
	At      time.Time
	Actor   string
	Comment string // empty: none
	Batch   string // empty: none
	Undoes  int    // 0: none
	Changes []FieldChange
}

// BulkItem is what became of one alert.
type BulkItem struct {
	ID      string
	Result  string // changed, unchanged, not_found, conflict
	Version int
}

// BulkOutcome is what became of a bulk action.
type BulkOutcome struct {
	Batch string // empty: nothing changed
	Items []BulkItem
}

// SLATarget is in minutes.
type SLATarget struct {
	Severity                 alert.Severity
	AckMinutes, CloseMinutes int
}

// SLAFigures are of one tenant, day and severity.
type SLAFigures struct {
	Tenant                                             tenant.ID
	Day                                                time.Time
	Severity                                           alert.Severity
	Raised, AckWithin, AckLate, CloseWithin, CloseLate int64
	AckP50, AckP90, CloseP50, CloseP90                 time.Duration
}

// Triage is what people do with alerts beyond one change.
type Triage interface {
	// History is oldest first; ErrNotFound when the tenant has no such alert.
	History(ctx context.Context, id tenant.ID, alertID string) ([]HistoryEntry, error)
	// Undo takes a change back, the latest when version is 0; ErrConflict when
	// it was changed since.
	Undo(ctx context.Context, id tenant.ID, by access.Actor, alertID string, version int) (TriageState, error)
	// Bulk changes the alerts named, or those of the filter when ids is nil.
	Bulk(ctx context.Context, id tenant.ID, by access.Actor, ids []string, f AlertFilter, ch TriageChange) (BulkOutcome, error)
	UndoBulk(ctx context.Context, id tenant.ID, by access.Actor, batch string) (BulkOutcome, error)
	SLA(ctx context.Context, scope []tenant.ID, from, to time.Time) ([]SLAFigures, error)
	SLATargets(ctx context.Context, id tenant.ID) ([]SLATarget, error)
	SetSLATargets(ctx context.Context, id tenant.ID, by access.Actor, targets []SLATarget) error
}

// SuppressionScope is what a suppression hides; zero fields fit everything.
type SuppressionScope struct {
	Detector, EntityType, EntityID, Action, Label string
	Network                                       netip.Prefix
}

// Suppression is one with what it hid.
type Suppression struct {
	SuppressionScope
	ID                              string
	Tenant                          tenant.ID
	From, Until                     time.Time
	Owner, Reason, Override, Author string
	CreatedAt                       time.Time
	EndedAt                         time.Time // zero: not ended by hand
	Hits                            int64
	LastHit                         time.Time
}

// SuppressionPreview is what one would have hidden.
type SuppressionPreview struct {
	From, To  time.Time
	Scanned   int
	Truncated bool
	Hidden    int
	Confirmed []string
	Alerts    []StoredAlert
}

// HiddenAlert is what a suppression kept from being an alert.
type HiddenAlert struct {
	alert.Alert
	Suppression string
}

// Suppressions keeps what tenants do not want to be alerted of. Lists are
// whole: a tenant has few.
type Suppressions interface {
	List(ctx context.Context, scope []tenant.ID) ([]Suppression, error)
	Preview(ctx context.Context, id tenant.ID, s SuppressionScope, period time.Duration) (SuppressionPreview, error)
	// Create is ErrInvalid when it would have hidden a confirmed true positive
	// and s.Override is empty.
	Create(ctx context.Context, by access.Actor, id tenant.ID, s Suppression) (Suppression, SuppressionPreview, error)
	End(ctx context.Context, by access.Actor, id tenant.ID, suppressionID string) error
	// Hidden is newest first.
	Hidden(ctx context.Context, scope []tenant.ID, suppressionID, text string, limit int) ([]HiddenAlert, error)
}

// NewWebhook describes an endpoint to register.
type NewWebhook struct {
	Name, URL, Kind, Token string
	Settings               map[string]string
	MinSeverity            alert.Severity // empty: all
}

// AttemptInfo is one try to send a revision.
type AttemptInfo struct {
	Seq     uint64
	Attempt int
	At      time.Time
	Status  int // 0 without an answer
	Latency time.Duration
	Error   string
	Answer  string
}

// Exchange is what came of a test message.
type Exchange struct {
	Protocol, Request, Response, Error string
	Latency                            time.Duration
}
