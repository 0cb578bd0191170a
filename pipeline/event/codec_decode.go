package event

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// DecodeEvents reads a record of events. The strings of the events share one
// copy of b, which the caller may reuse. Every length is checked against what
// is left, so that memory stays a small multiple of len(b). Errors wrap
// ErrRecord; then no event is returned. The tenant is the record's tag and is
// given with an error too when the header could be read.
func DecodeEvents(b []byte) (tenant.ID, []Event, error) {
	d, t, err := open(b, kindEvents)
	if err != nil {
		return t, nil, err
	}
	// Real events take some hundreds of bytes; the slice grows for small ones.
	events := make([]Event, 0, min(len(d.s)/300+1, 4096))
	var at, ingested int64
	for {
		item, ok, err := d.next()
		if err != nil {
			return t, nil, err
		}
		if !ok {
			return t, events, nil
		}
		events = append(events, Event{Tenant: t, Count: 1})
		ev := &events[len(events)-1]
		d.event(item, ev, &at, &ingested)
		if d.err != nil {
			return t, nil, badRecord("event %d: %v", len(events), d.err)
		}
		if err := ev.Validate(); err != nil {
			return t, nil, badRecord("event %d: %v", len(events), err)
		}
	}
}

// DecodeQuarantined reads a record of quarantined lines, as DecodeEvents does.
func DecodeQuarantined(b []byte) (tenant.ID, []Quarantined, error) {
	d, t, err := open(b, kindQuarantined)
	if err != nil {
		return t, nil, err
	}
	var out []Quarantined
	var at int64
	for {
		item, ok, err := d.next()
		if err != nil {
			return t, nil, err
		}
		if !ok {
			return t, out, nil
		}
		c := cursor{s: item, d: d}
		q := Quarantined{Tenant: t, ID: c.str()}
		at += c.varint()
		q.ReceivedAt = at
		q.Source = c.ref()
		q.Format = c.ref()
		q.Reason = c.ref()
		q.Line = c.uvarint()
		q.Offset = c.uvarint()
		if raw := c.str(); raw != "" {
			q.Raw = []byte(raw)
		}
		if d.err != nil {
			return t, nil, badRecord("line %d: %v", len(out)+1, d.err)
		}
		if err := checkQuarantined(&q); err != nil {
			return t, nil, badRecord("line %d: %v", len(out)+1, err)
		}
		out = append(out, q)
	}
}

// decoder holds what is left of a record and its dictionary.
type decoder struct {
	s    string
	dict []string
	err  error
}

// cursor reads one item's fields; the first error sticks in the decoder.
type cursor struct {
	s string
	d *decoder
}

func open(b []byte, kind byte) (*decoder, tenant.ID, error) {
	switch {
	case len(b) > MaxRecordBytes:
		return nil, tenant.ID{}, badRecord("%d bytes: at most %d are allowed", len(b), MaxRecordBytes)
	case len(b) < 4 || b[0] != 'T' || b[1] != 'W':
		return nil, tenant.ID{}, badRecord("no record mark at the start")
	case b[2] != kind:
		return nil, tenant.ID{}, badRecord("kind %q, want %q", b[2], kind)
	case b[3] != codecVersion:
		return nil, tenant.ID{}, badRecord("version %d, this program reads %d: upgrade it", b[3], codecVersion)
	}
	d := &decoder{s: string(b[4:])}
	head, ok, err := d.next()
	if err != nil || !ok {
		return nil, tenant.ID{}, badRecord("no header")
	}
	c := cursor{s: head, d: d}
	slug := c.str()
	if d.err != nil {
		return nil, tenant.ID{}, badRecord("header: %v", d.err)
	}
	t, err := tenant.Parse(slug)
	if err != nil {
		return nil, tenant.ID{}, badRecord("header: %v", err)
	}
	return d, t, nil
}

// next cuts off one length-prefixed item; ok is false at the closing zero.
func (d *decoder) next() (item string, ok bool, err error) {
	c := cursor{s: d.s, d: d}
	n := c.uvarint()
	if d.err != nil {
		return "", false, badRecord("it ends without the closing zero")
	}
	if n == 0 {
		return "", false, nil
	}
	if n > uint64(len(c.s)) {
		return "", false, badRecord("an item of %d bytes in %d", n, len(c.s))
	}
	item, d.s = c.s[:n], c.s[n:]
	return item, true, nil
}

func (c *cursor) fail(err error) {
	if c.d.err == nil {
		c.d.err = err
	}
	c.s = ""
}

func (c *cursor) uvarint() uint64 {
	var x uint64
	for i := 0; i < len(c.s) && i < binary.MaxVarintLen64; i++ {
		v := c.s[i]
		if v < 0x80 {
			if i == binary.MaxVarintLen64-1 && v > 1 {
				break
			}
			c.s = c.s[i+1:]
			return x | uint64(v)<<(7*i)
		}
		x |= uint64(v&0x7f) << (7 * i)
	}
	c.fail(errNumber)
	return 0
}

var (
	errNumber = errors.New("a number is cut off or too long")
	errRange  = errors.New("a number is out of range")
	errString = errors.New("a string is longer than what is left")
	errRef    = errors.New("a reference beyond the dictionary")
)

func (c *cursor) varint() int64 {
	u := c.uvarint()
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

// limited reads a number that must not exceed limit.
func (c *cursor) limited(limit uint64) uint64 {
	v := c.uvarint()
	if v > limit {
		c.fail(errRange)
		return 0
	}
	return v
}

func (c *cursor) byte() byte {
	if len(c.s) == 0 {
		c.fail(errNumber)
		return 0
	}
	b := c.s[0]
	c.s = c.s[1:]
	return b
}

func (c *cursor) float() float64 {
	if len(c.s) < 8 {
		c.fail(errNumber)
		return 0
	}
	var u uint64
	for i := 7; i >= 0; i-- {
		u = u<<8 | uint64(c.s[i])
	}
	c.s = c.s[8:]
	return math.Float64frombits(u)
}

func (c *cursor) str() string {
	n := c.uvarint()
	if n > uint64(len(c.s)) {
		c.fail(errString)
		return ""
	}
	s := c.s[:n]
	c.s = c.s[n:]
	return s
}

func (c *cursor) ref() string {
	switch r := c.uvarint(); r {
	case refEmpty:
		return ""
	case refAdd:
		s := c.str()
		if c.d.err == nil {
			c.d.dict = append(c.d.dict, s)
		}
		return s
	case refPlain:
		return c.str()
	default:
		if r-refBase >= uint64(len(c.d.dict)) {
			c.fail(errRef)
			return ""
		}
		return c.d.dict[r-refBase]
	}
}

func (d *decoder) event(item string, ev *Event, at, ingested *int64) {
	c := cursor{s: item, d: d}
	ev.ID = c.str()
	*at += c.varint()
	*ingested += c.varint()
	ev.Time, ev.IngestedAt = *at, *ingested
	mask := c.uvarint()
	ev.Action = c.ref()
	// Bits beyond the last known field belong to a later writer: their data
	// follows the known fields and is left unread.
	mask &= 1<<(fFlags+1) - 1
	for ; mask != 0 && d.err == nil; mask &= mask - 1 {
		c.field(ev, bits.TrailingZeros64(mask))
	}
}

func (c *cursor) field(ev *Event, bit int) {
	switch bit {
	case fClass:
		ev.Class = Class(c.limited(math.MaxUint32))
	case fActivity:
		ev.Activity = c.byte()
	case fOutcome:
		ev.Outcome = Outcome(c.byte())
	case fSeverity:
		ev.Severity = c.byte()
	case fActor:
		ev.Actor = c.ref()
	case fActorType:
		ev.ActorType = c.ref()
	case fCohort:
		ev.Cohort = c.ref()
	case fSession:
		ev.Session = c.ref()
	case fSrcIP:
		ev.SrcIP = c.ref()
	case fCountry:
		ev.Country = c.ref()
	case fCity:
		ev.City = c.ref()
	case fPosition:
		ev.HasPosition = true
		ev.Latitude = c.float()
		ev.Longitude = c.float()
	case fASN:
		ev.ASN = uint32(c.limited(math.MaxUint32))
	case fUserAgent:
		ev.UserAgent = c.ref()
	case fDevice:
		ev.Device = c.ref()
	case fResource:
		ev.Resource = c.ref()
	case fResourceType:
		ev.ResourceType = c.ref()
	case fHTTPMethod:
		ev.HTTPMethod = c.ref()
	case fStatus:
		ev.Status = uint16(c.limited(math.MaxUint16))
	case fBytesIn:
		ev.BytesIn = c.uvarint()
	case fBytesOut:
		ev.BytesOut = c.uvarint()
	case fDuration:
		ev.Duration = c.float()
	case fCount:
		ev.Count = uint32(c.limited(math.MaxUint32))
	case fSource:
		ev.Source = c.ref()
	case fFormat:
		ev.Format = c.ref()
	case fLabels:
		c.labels(ev)
	case fRaw:
		ev.Raw = c.str()
	case fFlags:
		ev.Flags = Flags(c.limited(math.MaxUint32))
	}
}

func (c *cursor) labels(ev *Event) {
	n := c.uvarint()
	// A label takes at least two bytes of the item.
	if n > uint64(len(c.s))/2 {
		c.fail(errString)
		return
	}
	ev.Labels = make([]Label, 0, n)
	for range n {
		k := c.ref()
		ev.Labels = append(ev.Labels, Label{k, c.ref()})
		if c.d.err != nil {
			return
		}
	}
}
