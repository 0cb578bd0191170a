// Package event is the record every log line becomes: flat, typed after
// OCSF 1.8, with the original kept beside it.
//
// Invariant: a record that passes Validate has a tenant, an id of 1 to 128
// bytes, a time, an action and a count of at least 1. What could not be read
// from an optional field stays empty, its text goes to Labels under
// "invalid.<field>", and the record is flagged. The package is pure: no I/O,
// no clock, no randomness, and it imports nothing of this module but
// core/tenant.
package event

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// TrailSource is the source of the events that stand for the platform's own
// audit trail: sign-ins, denials, grants, keys, settings, exports, operators'
// reads. No sender may use it.
const TrailSource = "tenantwatch"

// MaxIDLen is the longest event id in bytes.
const MaxIDLen = 128

// Class is an OCSF class_uid. 0 means unknown: the original is in Raw.
type Class uint32

// The OCSF 1.8 classes the product itself reasons about.
const (
	ClassUnknown        Class = 0
	ClassAccountChange  Class = 3001
	ClassAuthentication Class = 3002
	ClassHTTPActivity   Class = 4002
	ClassAPIActivity    Class = 6003
)

// Outcome says whether the action succeeded.
type Outcome uint8

// The outcomes; the numbers are OCSF's status_id.
const (
	OutcomeUnknown Outcome = 0
	OutcomeSuccess Outcome = 1
	OutcomeFailure Outcome = 2
)

// String is unknown, success or failure.
func (o Outcome) String() string {
	switch o {
	case OutcomeSuccess:
		return "success"
	case OutcomeFailure:
		return "failure"
	}
	return "unknown"
}

// ParseOutcome reads success, failure or unknown (exactly).
func ParseOutcome(s string) (Outcome, bool) {
	switch s {
	case "success":
		return OutcomeSuccess, true
	case "failure":
		return OutcomeFailure, true
	case "unknown":
		return OutcomeUnknown, true
	}
	return OutcomeUnknown, false
}

// Flags mark what a reader should know about how a record came to be.
type Flags uint32

// The flags, stored as bits; never renumber.
const (
	// FlagInvalidField: at least one optional field did not parse.
	FlagInvalidField Flags = 1 << iota
	// FlagYearAssumed: the line had no year; Time uses an assumed one.
	FlagYearAssumed
	// FlagGeneratedID: ID is a hash of format, raw line and ordinal.
	FlagGeneratedID
	// FlagTruncated: Raw or a field was cut at its limit.
	FlagTruncated
	// FlagFuture: Time lay in the future of the collector's clock.
	FlagFuture
	// FlagTimeAssumed: the record had no time; Time is that of the record
	// before it in the stream, or of arrival.
	FlagTimeAssumed
)

// Label is one extra key and value.
type Label struct{ Key, Value string }

// Event is one record. Strings are valid UTF-8. Numbers that are zero are
// "zero or not known"; a position is known when HasPosition is true.
type Event struct {
	Tenant     tenant.ID
	ID         string // unique per tenant, at most MaxIDLen bytes, echoed unchanged
	Time       int64  // when it happened: Unix nanoseconds, UTC
	IngestedAt int64  // when the collector took it: Unix nanoseconds, UTC

	Class    Class
	Activity uint8  // OCSF activity_id within the class
	Action   string // the short form's verb, e.g. "login", "file.download", "iam:CreateUser"
	Outcome  Outcome
	Severity uint8 // OCSF severity_id: 0 unknown, 1 informational … 5 critical, 6 fatal

	Actor     string // verbatim: user name, mail, ARN
	ActorType string // user, service or ""
	Cohort    string // role or group when known
	Session   string

	SrcIP       string // canonical textual IP or ""
	Country     string // ISO 3166-1 alpha-2, upper case, or ""
	City        string
	Latitude    float64 // degrees, -90..90
	Longitude   float64 // degrees, -180..180
	HasPosition bool
	ASN         uint32

	UserAgent string
	Device    string

	Resource     string
	ResourceType string

	HTTPMethod string
	Status     uint16  // HTTP status or 0
	BytesIn    uint64  // towards the service
	BytesOut   uint64  // towards the client
	Duration   float64 // milliseconds
	Count      uint32  // how often, at least 1 ("message repeated N times")

	Source string // the log source: key name, host, file
	Format string // the parser that read it
	Labels []Label
	Raw    string // the original line
	Flags  Flags
}

// At is Time as a time.Time in UTC.
func (e *Event) At() time.Time { return time.Unix(0, e.Time).UTC() }

// Label is the value of the first label named key, or "".
func (e *Event) Label(key string) string {
	for i := range e.Labels {
		if e.Labels[i].Key == key {
			return e.Labels[i].Value
		}
	}
	return ""
}

// AddLabel appends a label; empty values are kept, they were in the original.
func (e *Event) AddLabel(key, value string) {
	e.Labels = append(e.Labels, Label{key, value})
}

// Invalid records that the optional field could not be read from value.
func (e *Event) Invalid(field, value string) {
	e.Flags |= FlagInvalidField
	e.AddLabel("invalid."+field, value)
}

// The reasons a record is no record at all.
var (
	ErrNoTenant = errors.New("event has no tenant")
	ErrNoID     = errors.New("event has no id")
	ErrNoTime   = errors.New("event has no time")
	ErrNoAction = errors.New("event has no action")
)

// Validate checks the invariant of the package.
func (e *Event) Validate() error {
	switch {
	case e.Tenant.IsZero():
		return ErrNoTenant
	case e.ID == "":
		return ErrNoID
	case len(e.ID) > MaxIDLen:
		return fmt.Errorf("event id has %d bytes: at most %d are allowed", len(e.ID), MaxIDLen)
	case e.Time == 0:
		return ErrNoTime
	case e.Action == "":
		return ErrNoAction
	case e.Count == 0:
		return errors.New("event count is 0: want at least 1")
	}
	return nil
}

// Quarantined is a line no parser could take, kept whole with its reason so
// that it can be read, mended and replayed.
type Quarantined struct {
	Tenant     tenant.ID
	ID         string // hash of source, reason and raw with the ordinal, so that a resend is one row
	Source     string
	Format     string // the format that was tried, "" if none was recognised
	Reason     string // one sentence that says what to do
	Line       uint64 // 1-based line or array element within the request or file
	Offset     uint64 // byte offset within the request or file
	ReceivedAt int64  // Unix nanoseconds
	Raw        []byte // the original bytes, not necessarily UTF-8
}
