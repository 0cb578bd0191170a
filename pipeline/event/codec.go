package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// The encoding of a Kafka record, version 1.
//
// A record is a batch of one tenant's events (or quarantined lines):
//
//	record  = 'T' 'W' kind version header item* 0x00 trailing
//	kind    = 'E' events | 'Q' quarantined lines
//	version = 0x01
//	header  = len bytes            ; bytes = str(tenant), then fields unknown to this version
//	item    = len bytes            ; len > 0; bytes = the fields below, then unknown ones
//	str     = len bytes
//	ref     = 0                    ; the empty string
//	        | 1 str                ; a new string, which joins the record's dictionary
//	        | 2 str                ; a new string that does not
//	        | n                    ; n >= 3: entry n-3 of the dictionary
//
// Every number is an unsigned LEB128 varint, signed ones are zigzagged, floats
// are 8 bytes little endian. An event is: str(id), time as the difference to
// the event before, ingested_at likewise, then a mask of the optional fields
// present and those fields in the order of the bits. A reader skips what
// follows the fields it knows, both within an item and after the closing zero:
// a later writer may add fields with higher bits without breaking it. Anything
// else needs a new version. The tenant inside is the tag that a consumer
// checks against the record's key.

// MaxRecordBytes is the largest record a decoder takes: a guard against a
// producer gone wrong, far above what the log's own limit lets through.
const MaxRecordBytes = 8 << 20

const (
	codecVersion    = 1
	kindEvents      = 'E'
	kindQuarantined = 'Q'

	refEmpty = 0
	refAdd   = 1
	refPlain = 2
	refBase  = 3

	// A dictionary entry must be worth its bookkeeping and short enough to
	// compare quickly.
	dictMinLen = 2
	dictMaxLen = 255
	dictSlots  = 512
)

// The optional fields of an event, one bit each; never renumber.
const (
	fClass = iota
	fActivity
	fOutcome
	fSeverity
	fActor
	fActorType
	fCohort
	fSession
	fSrcIP
	fCountry
	fCity
	fPosition
	fASN
	fUserAgent
	fDevice
	fResource
	fResourceType
	fHTTPMethod
	fStatus
	fBytesIn
	fBytesOut
	fDuration
	fCount // present when not 1
	fSource
	fFormat
	fLabels
	fRaw
	fFlags
)

// ErrRecord is wrapped by every error of the decoders: the bytes are no record
// this version can read.
var ErrRecord = errors.New("not a readable record")

func badRecord(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRecord, fmt.Sprintf(format, args...))
}

// Encoder builds one record. It may be reused through Reset; the bytes of
// Finish are valid until then. It is not safe for concurrent use.
type Encoder struct {
	buf      []byte
	item     []byte
	kind     byte
	tenant   tenant.ID
	n        int
	time     int64
	ingested int64
	dict     uint64
	slots    [dictSlots]dictSlot
}

type dictSlot struct {
	s   string
	ref uint64
}

// ResetEvents starts a record of t's events.
func (e *Encoder) ResetEvents(t tenant.ID) { e.reset(kindEvents, t) }

// ResetQuarantined starts a record of t's quarantined lines.
func (e *Encoder) ResetQuarantined(t tenant.ID) { e.reset(kindQuarantined, t) }

func (e *Encoder) reset(kind byte, t tenant.ID) {
	clear(e.slots[:])
	e.kind, e.tenant, e.n, e.time, e.ingested, e.dict = kind, t, 0, 0, 0, 0
	e.buf = append(e.buf[:0], 'T', 'W', kind, codecVersion)
	e.item = appendStr(e.item[:0], t.String())
	e.buf = binary.AppendUvarint(e.buf, uint64(len(e.item)))
	e.buf = append(e.buf, e.item...)
}

// Len is the size of the record so far in bytes.
func (e *Encoder) Len() int { return len(e.buf) + 1 }

// N is the number of items added since the reset.
func (e *Encoder) N() int { return e.n }

// Finish closes the record and gives its bytes.
func (e *Encoder) Finish() []byte {
	e.buf = append(e.buf, 0)
	return e.buf
}

// AddEvent appends one event. It refuses an event of another tenant and one
// that does not pass Validate.
func (e *Encoder) AddEvent(ev *Event) error {
	if e.kind != kindEvents {
		return errors.New("encode event: the record holds quarantined lines")
	}
	if ev.Tenant != e.tenant {
		return fmt.Errorf("encode event %q: it belongs to tenant %q, the record to %q", ev.ID, ev.Tenant, e.tenant)
	}
	if err := ev.Validate(); err != nil {
		return fmt.Errorf("encode event %q: %w", ev.ID, err)
	}
	b := appendStr(e.item[:0], ev.ID)
	b = binary.AppendVarint(b, ev.Time-e.time)
	b = binary.AppendVarint(b, ev.IngestedAt-e.ingested)
	e.time, e.ingested = ev.Time, ev.IngestedAt
	mask := eventMask(ev)
	b = binary.AppendUvarint(b, mask)
	b = e.ref(b, ev.Action)
	for m := mask; m != 0; m &= m - 1 {
		b = e.field(b, ev, bits.TrailingZeros64(m))
	}
	e.close(b)
	return nil
}

// AddQuarantined appends one quarantined line of the record's tenant.
func (e *Encoder) AddQuarantined(q *Quarantined) error {
	if e.kind != kindQuarantined {
		return errors.New("encode quarantined line: the record holds events")
	}
	if q.Tenant != e.tenant {
		return fmt.Errorf("encode quarantined line %q: it belongs to tenant %q, the record to %q", q.ID, q.Tenant, e.tenant)
	}
	if err := checkQuarantined(q); err != nil {
		return fmt.Errorf("encode quarantined line: %w", err)
	}
	b := appendStr(e.item[:0], q.ID)
	b = binary.AppendVarint(b, q.ReceivedAt-e.time)
	e.time = q.ReceivedAt
	b = e.ref(b, q.Source)
	b = e.ref(b, q.Format)
	b = e.ref(b, q.Reason)
	b = binary.AppendUvarint(b, q.Line)
	b = binary.AppendUvarint(b, q.Offset)
	b = binary.AppendUvarint(b, uint64(len(q.Raw)))
	b = append(b, q.Raw...)
	e.close(b)
	return nil
}

func checkQuarantined(q *Quarantined) error {
	switch {
	case q.Tenant.IsZero():
		return ErrNoTenant
	case q.ID == "":
		return ErrNoID
	case len(q.ID) > MaxIDLen:
		return fmt.Errorf("id has %d bytes: at most %d are allowed", len(q.ID), MaxIDLen)
	}
	return nil
}

func (e *Encoder) close(item []byte) {
	e.item = item
	e.buf = binary.AppendUvarint(e.buf, uint64(len(item)))
	e.buf = append(e.buf, item...)
	e.n++
}

// ref writes s as a reference. The table of recent strings is direct-mapped: a
// miss costs bytes, never correctness, since the reader keeps every entry.
func (e *Encoder) ref(b []byte, s string) []byte {
	if s == "" {
		return append(b, refEmpty)
	}
	if len(s) < dictMinLen || len(s) > dictMaxLen {
		return appendStr(append(b, refPlain), s)
	}
	n := len(s)
	h := (uint32(s[0])*31+uint32(s[n/2]))*31 + uint32(s[n-1])
	h = (h*31+uint32(s[n-2]))*31 + uint32(n)
	slot := &e.slots[h*2654435761>>23]
	if slot.s == s {
		return binary.AppendUvarint(b, slot.ref)
	}
	slot.s, slot.ref = s, e.dict+refBase
	e.dict++
	return appendStr(append(b, refAdd), s)
}

func appendStr(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

func eventMask(ev *Event) uint64 {
	var m uint64
	set := func(bit int, on bool) {
		if on {
			m |= 1 << bit
		}
	}
	set(fClass, ev.Class != 0)
	set(fActivity, ev.Activity != 0)
	set(fOutcome, ev.Outcome != 0)
	set(fSeverity, ev.Severity != 0)
	set(fActor, ev.Actor != "")
	set(fActorType, ev.ActorType != "")
	set(fCohort, ev.Cohort != "")
	set(fSession, ev.Session != "")
	set(fSrcIP, ev.SrcIP != "")
	set(fCountry, ev.Country != "")
	set(fCity, ev.City != "")
	set(fPosition, ev.HasPosition)
	set(fASN, ev.ASN != 0)
	set(fUserAgent, ev.UserAgent != "")
	set(fDevice, ev.Device != "")
	set(fResource, ev.Resource != "")
	set(fResourceType, ev.ResourceType != "")
	set(fHTTPMethod, ev.HTTPMethod != "")
	set(fStatus, ev.Status != 0)
	set(fBytesIn, ev.BytesIn != 0)
	set(fBytesOut, ev.BytesOut != 0)
	set(fDuration, ev.Duration != 0)
	set(fCount, ev.Count != 1)
	set(fSource, ev.Source != "")
	set(fFormat, ev.Format != "")
	set(fLabels, len(ev.Labels) != 0)
	set(fRaw, ev.Raw != "")
	set(fFlags, ev.Flags != 0)
	return m
}

func (e *Encoder) field(b []byte, ev *Event, bit int) []byte {
	switch bit {
	case fClass:
		return binary.AppendUvarint(b, uint64(ev.Class))
	case fActivity:
		return append(b, ev.Activity)
	case fOutcome:
		return append(b, byte(ev.Outcome))
	case fSeverity:
		return append(b, ev.Severity)
	case fActor:
		return e.ref(b, ev.Actor)
	case fActorType:
		return e.ref(b, ev.ActorType)
	case fCohort:
		return e.ref(b, ev.Cohort)
	case fSession:
		return e.ref(b, ev.Session)
	case fSrcIP:
		return e.ref(b, ev.SrcIP)
	case fCountry:
		return e.ref(b, ev.Country)
	case fCity:
		return e.ref(b, ev.City)
	case fPosition:
		return appendFloat(appendFloat(b, ev.Latitude), ev.Longitude)
	case fASN:
		return binary.AppendUvarint(b, uint64(ev.ASN))
	case fUserAgent:
		return e.ref(b, ev.UserAgent)
	case fDevice:
		return e.ref(b, ev.Device)
	case fResource:
		return e.ref(b, ev.Resource)
	case fResourceType:
		return e.ref(b, ev.ResourceType)
	case fHTTPMethod:
		return e.ref(b, ev.HTTPMethod)
	case fStatus:
		return binary.AppendUvarint(b, uint64(ev.Status))
	case fBytesIn:
		return binary.AppendUvarint(b, ev.BytesIn)
	case fBytesOut:
		return binary.AppendUvarint(b, ev.BytesOut)
	case fDuration:
		return appendFloat(b, ev.Duration)
	case fCount:
		return binary.AppendUvarint(b, uint64(ev.Count))
	case fSource:
		return e.ref(b, ev.Source)
	case fFormat:
		return e.ref(b, ev.Format)
	case fLabels:
		b = binary.AppendUvarint(b, uint64(len(ev.Labels)))
		for i := range ev.Labels {
			b = e.ref(b, ev.Labels[i].Key)
			b = e.ref(b, ev.Labels[i].Value)
		}
		return b
	case fRaw:
		return appendStr(b, ev.Raw)
	case fFlags:
		return binary.AppendUvarint(b, uint64(ev.Flags))
	}
	return b
}
