package event

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// flagNames are the names of the flag bits in the JSON form, lowest bit first.
var flagNames = [...]string{"invalid_field", "year_assumed", "generated_id", "truncated", "future", "time_assumed"}

// Names lists the flags that are set, lowest bit first; an unknown bit is
// shown as its number ("bit9").
func (f Flags) Names() []string {
	var out []string
	for i := 0; f != 0; i, f = i+1, f>>1 {
		if f&1 == 0 {
			continue
		}
		if i < len(flagNames) {
			out = append(out, flagNames[i])
		} else {
			out = append(out, "bit"+strconv.Itoa(i))
		}
	}
	return out
}

// AppendJSON appends the JSON form of e: one object on one line, the field
// names of the record in its order, empty fields omitted, times as RFC 3339 in
// UTC with up to nine digits, labels as an object and flags as an array of
// names. class_uid, outcome and count are always there. A second label of one
// name is written as "name#2", so that nothing is lost in the object.
func AppendJSON(dst []byte, e *Event) []byte {
	w := writer{b: append(dst, '{')}
	w.str("tenant_id", e.Tenant.String())
	w.str("id", e.ID)
	w.time("time", e.Time)
	w.time("ingested_at", e.IngestedAt)
	w.key("class_uid")
	w.b = strconv.AppendUint(w.b, uint64(e.Class), 10)
	w.num("activity", uint64(e.Activity))
	w.str("action", e.Action)
	w.str("outcome", e.Outcome.String())
	w.num("severity", uint64(e.Severity))
	w.str("actor", e.Actor)
	w.str("actor_type", e.ActorType)
	w.str("cohort", e.Cohort)
	w.str("session", e.Session)
	w.str("src_ip", e.SrcIP)
	w.str("country", e.Country)
	w.str("city", e.City)
	if e.HasPosition {
		w.float("latitude", e.Latitude)
		w.float("longitude", e.Longitude)
	}
	w.num("asn", uint64(e.ASN))
	w.str("user_agent", e.UserAgent)
	w.str("device", e.Device)
	w.str("resource", e.Resource)
	w.str("resource_type", e.ResourceType)
	w.str("http_method", e.HTTPMethod)
	w.num("status", uint64(e.Status))
	w.num("bytes_in", e.BytesIn)
	w.num("bytes_out", e.BytesOut)
	if e.Duration != 0 {
		w.float("duration", e.Duration)
	}
	w.key("count")
	w.b = strconv.AppendUint(w.b, uint64(e.Count), 10)
	w.str("source", e.Source)
	w.str("format", e.Format)
	if len(e.Labels) > 0 {
		w.key("labels")
		w.b = appendLabels(w.b, e.Labels)
	}
	w.str("raw", e.Raw)
	if e.Flags != 0 {
		w.key("flags")
		w.b = append(w.b, '[')
		for i, n := range e.Flags.Names() {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.b = appendString(w.b, n)
		}
		w.b = append(w.b, ']')
	}
	return append(w.b, '}')
}

// writer appends the members of one object.
type writer struct {
	b    []byte
	some bool
}

func (w *writer) key(k string) {
	if w.some {
		w.b = append(w.b, ',')
	}
	w.some = true
	w.b = append(w.b, '"')
	w.b = append(w.b, k...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) str(k, v string) {
	if v != "" {
		w.key(k)
		w.b = appendString(w.b, v)
	}
}

func (w *writer) num(k string, v uint64) {
	if v != 0 {
		w.key(k)
		w.b = strconv.AppendUint(w.b, v, 10)
	}
}

// float leaves out what JSON cannot say (infinities and NaN).
func (w *writer) float(k string, v float64) {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		w.key(k)
		w.b = strconv.AppendFloat(w.b, v, 'g', -1, 64)
	}
}

func (w *writer) time(k string, ns int64) {
	if ns != 0 {
		w.key(k)
		w.b = append(w.b, '"')
		w.b = time.Unix(0, ns).UTC().AppendFormat(w.b, time.RFC3339Nano)
		w.b = append(w.b, '"')
	}
}

func appendLabels(b []byte, labels []Label) []byte {
	b = append(b, '{')
	// Few labels are the rule, so looking back is cheaper than a map.
	var seen map[string]int
	if len(labels) > 16 {
		seen = make(map[string]int, len(labels))
	}
	for i := range labels {
		if i > 0 {
			b = append(b, ',')
		}
		k, n := labels[i].Key, 1
		if seen != nil {
			seen[k]++
			n = seen[k]
		} else {
			for j := range i {
				if labels[j].Key == k {
					n++
				}
			}
		}
		if n > 1 {
			k += "#" + strconv.Itoa(n)
		}
		b = appendString(b, k)
		b = append(b, ':')
		b = appendString(b, labels[i].Value)
	}
	return append(b, '}')
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Bytes that are no UTF-8 become
// U+FFFD; U+2028 and U+2029 are escaped for readers that paste into scripts.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b = append(b, s[start:i]...)
			b = append(b, "\ufffd"...)
			i++
			start = i
			continue
		}
		if r == '\u2028' || r == '\u2029' {
			b = append(b, s[start:i]...)
			b = append(b, '\\', 'u', '2', '0', '2', hexDigits[r&15])
			i += n
			start = i
			continue
		}
		i += n
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// MarshalJSON is AppendJSON.
func (e Event) MarshalJSON() ([]byte, error) {
	return AppendJSON(make([]byte, 0, 512+2*len(e.Raw)), &e), nil
}

// UnmarshalJSON reads the form AppendJSON writes. It is for programs that read
// our own output back (CLI, tests, exports); what senders push goes through
// the collector's parsers instead. The tenant is taken as it stands. A missing
// count is 1. Labels come back sorted by name.
func (e *Event) UnmarshalJSON(b []byte) error {
	var v struct {
		TenantID     string            `json:"tenant_id"`
		ID           string            `json:"id"`
		Time         time.Time         `json:"time"`
		IngestedAt   time.Time         `json:"ingested_at"`
		Class        uint32            `json:"class_uid"`
		Activity     uint8             `json:"activity"`
		Action       string            `json:"action"`
		Outcome      string            `json:"outcome"`
		Severity     uint8             `json:"severity"`
		Actor        string            `json:"actor"`
		ActorType    string            `json:"actor_type"`
		Cohort       string            `json:"cohort"`
		Session      string            `json:"session"`
		SrcIP        string            `json:"src_ip"`
		Country      string            `json:"country"`
		City         string            `json:"city"`
		Latitude     *float64          `json:"latitude"`
		Longitude    *float64          `json:"longitude"`
		ASN          uint32            `json:"asn"`
		UserAgent    string            `json:"user_agent"`
		Device       string            `json:"device"`
		Resource     string            `json:"resource"`
		ResourceType string            `json:"resource_type"`
		HTTPMethod   string            `json:"http_method"`
		Status       uint16            `json:"status"`
		BytesIn      uint64            `json:"bytes_in"`
		BytesOut     uint64            `json:"bytes_out"`
		Duration     float64           `json:"duration"`
		Count        *uint32           `json:"count"`
		Source       string            `json:"source"`
		Format       string            `json:"format"`
		Labels       map[string]string `json:"labels"`
		Raw          string            `json:"raw"`
		Flags        []string          `json:"flags"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("event from json: %w", err)
	}
	outcome := OutcomeUnknown
	if v.Outcome != "" {
		var ok bool
		if outcome, ok = ParseOutcome(v.Outcome); !ok {
			return fmt.Errorf("event from json: outcome %q: want success, failure or unknown", v.Outcome)
		}
	}
	out := Event{
		Tenant: tenant.Verbatim(v.TenantID), ID: v.ID,
		Class: Class(v.Class), Activity: v.Activity, Action: v.Action, Outcome: outcome, Severity: v.Severity,
		Actor: v.Actor, ActorType: v.ActorType, Cohort: v.Cohort, Session: v.Session,
		SrcIP: v.SrcIP, Country: v.Country, City: v.City, ASN: v.ASN,
		UserAgent: v.UserAgent, Device: v.Device, Resource: v.Resource, ResourceType: v.ResourceType,
		HTTPMethod: v.HTTPMethod, Status: v.Status, BytesIn: v.BytesIn, BytesOut: v.BytesOut,
		Duration: v.Duration, Count: 1, Source: v.Source, Format: v.Format, Raw: v.Raw,
	}
	if !v.Time.IsZero() {
		out.Time = v.Time.UnixNano()
	}
	if !v.IngestedAt.IsZero() {
		out.IngestedAt = v.IngestedAt.UnixNano()
	}
	if v.Latitude != nil && v.Longitude != nil {
		out.Latitude, out.Longitude, out.HasPosition = *v.Latitude, *v.Longitude, true
	}
	if v.Count != nil {
		out.Count = *v.Count
	}
	for k, s := range v.Labels {
		out.Labels = append(out.Labels, Label{k, s})
	}
	slices.SortFunc(out.Labels, func(a, b Label) int {
		if a.Key < b.Key {
			return -1
		}
		return 1 // keys of a map are distinct
	})
	for _, name := range v.Flags {
		i := slices.Index(flagNames[:], name)
		if i < 0 {
			return fmt.Errorf("event from json: flag %q is not known", name)
		}
		out.Flags |= 1 << i
	}
	*e = out
	return nil
}
