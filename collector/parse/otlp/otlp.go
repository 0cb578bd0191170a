// Package otlp reads OpenTelemetry log records, one JSON object each, in the
// form the OTLP source writes them:
//
//	{"timeUnixNano":"…","severityNumber":9,"eventName":"user.login","body":"…",
//	 "attributes":{"user.id":"alice","client.address":"203.0.113.7"},
//	 "resource":{"service.name":"shop"},"scope":"…","traceId":"…","spanId":"…"}
//
// Attributes become fields by the OpenTelemetry semantic conventions (current
// and deprecated names); all others are labels. A body that is JSON some other
// format takes is read as that, and attributes fill in what it lacks.
//
// Invariant: whatever the attributes say, the tenant is the stream's. The
// package does no I/O and knows nothing of protobuf.
package otlp

import (
	"errors"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Name is the format's name.
const Name = "otlp"

// Parser reads log records.
type Parser struct {
	b       record.Builder
	classes record.Classifier
	inner   record.Inner
	picks   [slots]pick
}

// New returns a parser for one stream.
func New() record.Parser { return &Parser{} }

// Nest hands in the reader of bodies.
func (p *Parser) Nest(in record.Inner) { p.inner = in }

// The fields an attribute may fill.
const (
	actor = iota
	action
	address
	agent
	method
	status
	resource
	bytesIn
	bytesOut
	session
	cohort
	device
	country
	city
	latitude
	longitude
	asn
	duration
	outcome
	id
	port
	slots
)

type pick struct {
	key, value string
	rank       int
}

// conventions name the attributes of each field, the best first.
var conventions = [slots][]string{
	actor:     {"user.id", "enduser.id", "user.name", "user.email", "user.full_name", "actor"},
	action:    {"event.name", "event.action", "action"},
	address:   {"client.address", "source.address", "client.ip", "source.ip", "http.client_ip", "network.peer.address", "net.sock.peer.addr", "net.peer.ip"},
	agent:     {"user_agent.original", "http.user_agent"},
	method:    {"http.request.method", "http.method"},
	status:    {"http.response.status_code", "http.status_code"},
	resource:  {"resource", "url.path", "http.target", "url.full", "http.url", "http.route", "file.path"},
	bytesIn:   {"http.request.body.size", "http.request.size", "http.request_content_length"},
	bytesOut:  {"http.response.body.size", "http.response.size", "http.response_content_length"},
	session:   {"session.id"},
	cohort:    {"user.roles", "enduser.role", "user.role"},
	device:    {"device.id", "device.model.name"},
	country:   {"geo.country.iso_code"},
	city:      {"geo.locality.name"},
	latitude:  {"geo.location.lat"},
	longitude: {"geo.location.lon"},
	asn:       {"client.as.number", "source.as.number", "as.number"},
	duration:  {"duration_ms"},
	outcome:   {"event.outcome", "outcome"},
	id:        {"log.record.uid", "event.id"},
	port:      {"client.port", "source.port"},
}

type place struct{ slot, rank int }

var byKey = func() map[string]place {
	m := map[string]place{}
	for slot, keys := range conventions {
		for rank, k := range keys {
			m[k] = place{slot, rank + 1}
		}
	}
	return m
}()

var (
	errActor  = errors.New("no actor: set the attribute user.id (or user.name), or service.name on the resource")
	errAction = errors.New("no action: set the event name of the log record (or the attribute event.name), or http.request.method")
)

// Parse reads one log record.
func (p *Parser) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	b := &p.b
	b.Begin(env, Name, raw)
	p.picks = [slots]pick{}
	var at, observed, name, body, service string
	var bodyKind record.Kind
	var problem error
	err := record.Each(raw, func(key string, v record.Value) error {
		switch key {
		case "timeUnixNano":
			at = v.String()
		case "observedTimeUnixNano":
			observed = v.String()
		case "severityNumber":
			b.Severity = severity(v.String())
		case "severityText":
			b.AddText("severity_text", v.String())
		case "eventName":
			name = v.String()
		case "body":
			body, bodyKind = v.Text, v.Kind
		case "attributes":
			if v.Kind == record.Object {
				problem = record.Each(v.Text, func(k string, m record.Value) error { p.attribute(k, m); return nil })
			}
		case "resource":
			if v.Kind == record.Object {
				problem = record.Each(v.Text, func(k string, m record.Value) error {
					if k == "service.name" {
						service = m.String()
					}
					b.Flatten(k, m)
					return nil
				})
			}
		case "scope", "traceId", "spanId", "flags":
			b.AddText(map[string]string{"scope": "scope", "traceId": "trace_id", "spanId": "span_id", "flags": "trace_flags"}[key], v.String())
		default:
			b.Flatten(key, v)
		}
		return problem
	})
	if err != nil {
		return err
	}
	if name != "" {
		p.put(place{action, 0}, "event_name", name)
	}
	p.fields(service)
	if b.Source == "" {
		b.Source = service
	}
	var reason error
	if p.inner != nil && looksLikeJSON(body, bodyKind) {
		reason = p.inner(body, env, func(e *event.Event) { p.fill(e, raw); emit(e) })
		if reason == nil {
			return nil
		}
	}
	if b.Action == "" && bodyKind == record.String && word(body) {
		b.Action = body
	} else {
		p.bodyLabels(body, bodyKind)
	}
	if err := p.time(env, at, observed); err != nil {
		return err
	}
	b.Class, b.Activity = p.classes.Of(b.Action)
	e, err := b.Finish(env)
	switch {
	case err == nil:
		emit(e)
		return nil
	case reason != nil && reason.Error() != "no known format":
		return reason // the body says best what it lacks
	case b.Actor == "":
		return errActor
	case b.Action == "":
		return errAction
	}
	return err
}

// attribute keeps an attribute for its field, or as a label.
func (p *Parser) attribute(key string, v record.Value) {
	at, known := byKey[key]
	if !known {
		p.b.Flatten(key, v)
		return
	}
	text, scalar := v.Scalar()
	if !scalar {
		if at.slot != cohort || v.Kind != record.Array {
			p.b.Flatten(key, v)
			return
		}
		var roles []string // user.roles is an array
		_ = record.EachElement(v.Text, func(m record.Value) error { roles = append(roles, m.String()); return nil })
		text = strings.Join(roles, ",")
	}
	if text != "" {
		p.put(at, key, text)
	}
}

// put keeps the better of two values for a field; the other is a label.
func (p *Parser) put(at place, key, value string) {
	old := &p.picks[at.slot]
	if old.key == "" {
		*old = pick{key, value, at.rank}
		return
	}
	if at.rank < old.rank {
		key, value, *old = old.key, old.value, pick{key, value, at.rank}
	}
	p.b.AddLabel(key, value)
}

// fields sets what the attributes say.
func (p *Parser) fields(service string) {
	b := &p.b
	get := func(slot int) string { return p.picks[slot].value }
	b.Actor, b.Action = get(actor), get(action)
	if b.Actor != "" {
		b.ActorType = "user"
	} else if service != "" {
		b.Actor, b.ActorType = service, "service"
	}
	if a := get(address); a != "" {
		if _, _, ok := record.Addr(a); ok {
			b.SetIP(a)
		} else {
			b.AddLabel(p.picks[address].key, a) // a host name, or a socket's path
		}
	}
	b.AddText("src_port", get(port))
	b.UserAgent, b.HTTPMethod, b.Resource = get(agent), get(method), get(resource)
	if s := get(status); s != "" {
		b.SetStatus(s)
	}
	b.SetBytes(&b.BytesIn, "bytes_in", get(bytesIn))
	b.SetBytes(&b.BytesOut, "bytes_out", get(bytesOut))
	b.Session, b.Cohort, b.Device, b.City = get(session), get(cohort), get(device), get(city)
	b.SetCountry(get(country))
	b.SetPosition(get(latitude), get(longitude))
	b.SetASN(get(asn))
	if d := get(duration); d != "" {
		b.SetDuration(d)
	}
	if s := get(id); s != "" && len(s) <= event.MaxIDLen {
		b.ID = s
	} else if s != "" {
		b.Invalid("id", s)
	}
	if b.Action == "" && b.HTTPMethod != "" {
		b.Action = "http." + strings.ToLower(b.HTTPMethod)
	}
	switch o := get(outcome); {
	case o != "":
		b.SetOutcome(o)
	case b.LabelOf("error.type") != "" || b.Status >= 400:
		b.Outcome = event.OutcomeFailure
	case b.Status >= 100:
		b.Outcome = event.OutcomeSuccess
	}
}

// fill gives an event of the body what only the attributes know.
func (p *Parser) fill(e *event.Event, raw string) {
	b := &p.b
	for _, f := range [...]struct{ to, from *string }{
		{&e.SrcIP, &b.SrcIP}, {&e.UserAgent, &b.UserAgent}, {&e.Session, &b.Session}, {&e.Resource, &b.Resource}, {&e.HTTPMethod, &b.HTTPMethod},
		{&e.Country, &b.Country}, {&e.City, &b.City}, {&e.Cohort, &b.Cohort}, {&e.Device, &b.Device}, {&e.Source, &b.Source}, {&e.ID, &b.ID},
	} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	if e.Status == 0 {
		e.Status = b.Status
	}
	if e.Outcome == event.OutcomeUnknown {
		e.Outcome = b.Outcome
	}
	if e.Raw = raw; len(raw) > record.MaxRaw {
		e.Raw = strings.ToValidUTF8(raw[:record.MaxRaw], "")
		e.Flags |= event.FlagTruncated
	}
	for _, k := range [...]string{"trace_id", "span_id", "service.name", "host.name"} {
		if v := b.LabelOf(k); v != "" && e.Label(k) == "" && len(e.Labels) < record.MaxLabels {
			e.AddLabel(k, v)
		}
	}
}

func (p *Parser) bodyLabels(body string, kind record.Kind) {
	switch kind {
	case record.Null:
	case record.Object, record.Array:
		p.b.Flatten("body", record.Value{Kind: kind, Text: body})
	default:
		p.b.AddText("body", body)
	}
}

// time takes the record's own time, then the collector's on the way, then ours:
// the protocol allows a log record without any.
func (p *Parser) time(env *record.Env, at, observed string) error {
	for _, s := range [...]string{at, observed} {
		if s == "" || s == "0" {
			continue
		}
		ns, err := strconv.ParseInt(s, 10, 64)
		if err != nil || ns <= 0 {
			return errors.New("timeUnixNano " + strconv.Quote(s[:min(len(s), 40)]) + " is no count of nanoseconds since 1970")
		}
		p.b.Time = ns
		return nil
	}
	p.b.Time = env.Now.UnixNano()
	return nil
}

// severity turns OpenTelemetry's 1 to 24 into OCSF's ids.
func severity(s string) uint8 {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil || n < 1 || n > 24:
		return 0
	case n < 13: // TRACE, DEBUG, INFO
		return 1
	case n < 17: // WARN
		return 3
	case n < 21: // ERROR
		return 4
	}
	return 6 // FATAL
}

func looksLikeJSON(body string, kind record.Kind) bool {
	return kind == record.Object || kind == record.String && strings.HasPrefix(strings.TrimSpace(body), "{")
}

// word says that a body may be the name of an event: "user.login".
func word(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsAny(s, " \t\r\n{}\"") && s[0] != '<'
}

// Sniff says how much a JSON object looks like a log record, 0 to 1.
func Sniff(raw string) float64 {
	if !strings.Contains(raw, "imeUnixNano\"") {
		return 0
	}
	var n float64
	_ = record.Each(raw, func(key string, v record.Value) error {
		switch {
		case key == "timeUnixNano" || key == "observedTimeUnixNano":
			n += 0.6
		case key == "attributes" && v.Kind == record.Object, key == "body", key == "eventName":
			n += 0.3
		}
		return nil
	})
	return min(n, 1)
}
