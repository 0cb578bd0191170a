// Package record is what every parser stands on: the interface a parser
// fulfils, the surroundings it is told about, and the readers of single fields
// (times, addresses, numbers, JSON) that all formats share.
//
// Invariant: an event a Builder hands out satisfies event.Validate but for its
// id, which the stream gives; an optional field that could not be read is
// empty, stands in the labels as "invalid.<field>" and flags the row. The
// package is pure: no I/O and no clock; "now" is handed in.
package record

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Limits of one event, so that it always fits a Kafka message. What is cut
// flags the row with FlagTruncated.
const (
	MaxRaw        = 256 << 10 // bytes of Raw kept
	MaxField      = 8 << 10   // bytes of any other string
	MaxLabels     = 128       // labels per event
	MaxLabelBytes = 64 << 10  // bytes of all labels together
)

// Env is what a parser is told beside the line. One Env serves one stream.
type Env struct {
	// Tenant owns the events. With TenantKey a line's own "tenant" or
	// "tenant_id" decides instead: for offline commands only, never for data
	// that came over a network.
	Tenant    tenant.ID
	TenantKey bool
	// Source, when set, names the log source whatever the line says;
	// DefaultSource is used when the line names none.
	Source, DefaultSource string
	// Now is the moment of reading: it becomes IngestedAt, and decides which
	// year a time without one belongs to.
	Now time.Time
	// Year is the year of the first line for formats that write none; 0 means
	// the latest year that does not lie in the future. Zone is the zone of
	// times without one; nil is UTC.
	Year int
	Zone *time.Location

	// FirstYear and LastYear are the years assumed so far (0: none was). The
	// parser writes them, the stream reports them.
	FirstYear, LastYear int

	// LastTime is the time of the last record that stated one, for those of
	// products that may leave it out; 0: none did. The parsers write it.
	LastTime int64
	// Trace, when set, is told from which path of a JSON record, or which part
	// of a line, a field was read.
	Trace func(field, path string)
}

// NoteYear remembers that a line was dated in year by assumption.
func (e *Env) NoteYear(year int) {
	if e.FirstYear == 0 || year < e.FirstYear {
		e.FirstYear = year
	}
	e.LastYear = max(e.LastYear, year)
}

// Location is Zone, or UTC.
func (e *Env) Location() *time.Location {
	if e.Zone == nil {
		return time.UTC
	}
	return e.Zone
}

// Parser reads the records of one stream in one format. It may keep state from
// record to record (the year, a cache), but no memory that grows with the
// stream. It is used by one goroutine.
type Parser interface {
	// Parse reads one record and calls emit once for every event in it, with
	// an event that is valid until emit returns. The event's strings may share
	// raw's memory; raw is immutable valid UTF-8. An error says in one
	// sentence what to do; no event has been emitted then.
	Parse(raw string, env *Env, emit func(*event.Event)) error
}

// ErrTrailing is returned for a record that continues after its JSON value.
var ErrTrailing = errors.New("there is more text after the JSON value: put each event on a line of its own")

// Builder assembles events one after the other. The zero value is ready.
type Builder struct {
	event.Event
	labels     []event.Label
	labelBytes int
}

// Begin starts an event of format read from raw.
func (b *Builder) Begin(env *Env, format, raw string) {
	b.Event = event.Event{
		Tenant: env.Tenant, IngestedAt: env.Now.UnixNano(), Count: 1,
		Source: env.Source, Format: format, Raw: raw,
	}
	b.labels, b.labelBytes = b.labels[:0], 0
}

// AddLabel adds a label unless the event has its fill.
func (b *Builder) AddLabel(key, value string) {
	if n := len(key) + len(value); len(b.labels) < MaxLabels && b.labelBytes+n <= MaxLabelBytes {
		b.labels = append(b.labels, event.Label{Key: key, Value: value})
		b.labelBytes += n
		return
	}
	b.Flags |= event.FlagTruncated
}

// AddText adds a label unless value is empty.
func (b *Builder) AddText(key, value string) {
	if value != "" {
		b.AddLabel(key, value)
	}
}

// Invalid says that an optional field could not be read from value.
func (b *Builder) Invalid(field, value string) {
	b.Flags |= event.FlagInvalidField
	b.AddLabel("invalid."+field, value)
}

// AssumeTime dates an event whose record states no time like the one before
// it, else with the moment of reading, and flags it.
func (b *Builder) AssumeTime(env *Env) {
	if b.Time = env.LastTime; b.Time == 0 {
		b.Time = env.Now.UnixNano()
	}
	b.Flags |= event.FlagTimeAssumed
}

// Full says that no further label would be kept, so that a caller can stop
// walking a huge object.
func (b *Builder) Full() bool { return len(b.labels) >= MaxLabels || b.labelBytes >= MaxLabelBytes }

// The errors a reader of the quarantine sees; each says what to do.
var (
	errNoTime   = errors.New(`no time: give "time" as RFC 3339 (2026-03-01T09:15:02Z) or as seconds or milliseconds since 1970`)
	errNoActor  = errors.New(`no actor: give "actor", the user, service or address that acted`)
	errNoAction = errors.New(`no action: give "action", a verb such as login or file.download`)
)

// skew is how far a clock may run ahead of ours before its times are flagged.
const skew = 5 * time.Minute

// Finish completes the event: it checks what no event can be without, applies
// the limits and settles source and class. The event is valid until Begin.
func (b *Builder) Finish(env *Env) (*event.Event, error) {
	switch {
	case b.Time == 0:
		return nil, errNoTime
	case b.Actor == "":
		return nil, errNoActor
	case b.Action == "":
		return nil, errNoAction
	case b.Tenant.IsZero():
		return nil, errors.New(`no tenant: pass --tenant, or give "tenant" in every line`)
	}
	if b.Source == "" {
		b.Source = env.DefaultSource
	}
	if b.Count == 0 {
		b.Count = 1
	}
	if b.Time > env.Now.Add(skew).UnixNano() {
		b.Flags |= event.FlagFuture
	}
	b.limit(&b.Raw, MaxRaw)
	for _, f := range [...]*string{
		&b.Action, &b.Actor, &b.ActorType, &b.Cohort, &b.Session, &b.City, &b.UserAgent,
		&b.Device, &b.Resource, &b.ResourceType, &b.HTTPMethod, &b.Source,
	} {
		b.limit(f, MaxField)
	}
	b.Labels = nil
	if len(b.labels) > 0 {
		b.Labels = append(make([]event.Label, 0, len(b.labels)), b.labels...)
	}
	return &b.Event, nil
}

// limit cuts *s to at most n bytes at the border of a character.
func (b *Builder) limit(s *string, n int) {
	if len(*s) <= n {
		return
	}
	for n > 0 && !utf8.RuneStart((*s)[n]) {
		n--
	}
	*s = (*s)[:n]
	b.Flags |= event.FlagTruncated
}

// Owner takes a line's own tenant where that is allowed (offline), else keeps
// it as a label only: online the credential decides.
func (b *Builder) Owner(env *Env, key, value string) {
	if env.TenantKey && value != "" {
		b.Tenant = tenant.Verbatim(value)
		return
	}
	b.AddLabel(key, value)
}

// Missing is the error for a record that lacks a field its format requires.
func Missing(format, field, advice string) error {
	return fmt.Errorf("%s record without %s: %s", format, field, advice)
}

// LabelOf is the value of a label added to the event being built, or "".
func (b *Builder) LabelOf(key string) string {
	for i := range b.labels {
		if b.labels[i].Key == key {
			return b.labels[i].Value
		}
	}
	return ""
}
