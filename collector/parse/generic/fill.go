package generic

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// methods gives OCSF's activity_id of an HTTP method.
var methods = map[string]uint8{
	"CONNECT": 1, "DELETE": 2, "GET": 3, "HEAD": 4, "OPTIONS": 5, "POST": 6, "PUT": 7, "TRACE": 8, "PATCH": 9,
}

// fill gives the fields that b does not have the values picked for them.
func (p *picked) fill(d *doc.Doc, b *record.Builder, env *record.Env) {
	take := func(r role, name string, field *string) {
		if v := p.v[r]; v != nil && *field == "" && !v.Used {
			*field = v.Text
			d.Took(name, v)
		}
	}
	if v := p.v[roleTime]; v != nil && b.Time == 0 {
		if ns, err := record.ParseAnyTime(v.Text, env.Location()); err == nil {
			b.Time = ns
			d.Took("time", v)
		}
	}
	if v := p.v[roleAddress]; v != nil && b.SrcIP == "" && b.LabelOf("invalid.src_ip") == "" {
		if ip, port, ok := doc.Address(v.Text); ok {
			b.SrcIP = ip
			b.AddText("src_port", port)
		} else {
			b.Invalid("src_ip", v.Text)
		}
		d.Took("src_ip", v)
	}
	take(roleActor, "actor", &b.Actor)
	take(roleAction, "action", &b.Action)
	take(roleAgent, "user_agent", &b.UserAgent)
	take(roleCity, "city", &b.City)
	take(roleSession, "session", &b.Session)
	take(roleDevice, "device", &b.Device)
	take(roleCohort, "cohort", &b.Cohort)
	if v := p.v[roleCountry]; v != nil && b.Country == "" {
		if code := record.CountryCode(v.Text); code != "" {
			b.Country = code
		} else {
			b.SetCountry(v.Text)
		}
		d.Took("country", v)
	}
	if lat, lon := p.v[roleLat], p.v[roleLon]; lat != nil && lon != nil && !b.HasPosition {
		b.SetPosition(lat.Text, lon.Text)
		d.Took("latitude", lat)
		d.Took("longitude", lon)
	}
	if v := p.v[roleASN]; v != nil && b.ASN == 0 {
		b.SetASN(v.Text)
		d.Took("asn", v)
	}
	if v := p.v[roleSeverity]; v != nil && b.Severity == 0 {
		if sev := record.SeverityOf(v.Text); sev > 0 {
			b.Severity = sev
			d.Took("severity", v)
		}
	}
	if v := p.v[roleBytesIn]; v != nil && b.BytesIn == 0 {
		b.SetBytes(&b.BytesIn, "bytes_in", v.Text)
		d.Took("bytes_in", v)
	}
	if v := p.v[roleBytesOut]; v != nil && b.BytesOut == 0 {
		b.SetBytes(&b.BytesOut, "bytes_out", v.Text)
		d.Took("bytes_out", v)
	}
	if v := p.v[roleDuration]; v != nil && b.Duration == 0 {
		b.SetDuration(v.Text)
		d.Took("duration", v)
	}
	p.http(d, b)
	if b.Resource == "" {
		take(roleResource, "resource", &b.Resource)
	}
	if b.Resource != "" {
		take(roleResourceType, "resource_type", &b.ResourceType)
	}
	p.action(d, b)
	p.outcome(d, b)
	p.actor(d, b)
}

// http recognises a request: a method with a path or a status.
func (p *picked) http(d *doc.Doc, b *record.Builder) {
	if v := p.v[roleStatus]; v != nil && b.Status == 0 {
		b.SetStatus(v.Text)
		d.Took("status", v)
	}
	v := p.v[roleMethod]
	if v == nil || b.HTTPMethod != "" {
		return
	}
	b.HTTPMethod = strings.ToUpper(v.Text)
	d.Took("http_method", v)
	// With an action of its own the request is how it was done, not what.
	if b.Action == "" || strings.EqualFold(b.Action, b.HTTPMethod) || p.v[roleAction] != nil && p.weight[roleAction] < 30 {
		b.Action = "http." + strings.ToLower(b.HTTPMethod)
		b.Class, b.Activity = event.ClassHTTPActivity, methods[b.HTTPMethod]
		if path := p.v[rolePath]; path != nil && b.Resource == "" {
			b.Resource, _, _ = strings.Cut(path.Text, "?")
			b.ResourceType = "path"
			d.Took("resource", path)
		}
	}
}

// outcome settles how it went: by a word for it, a status of HTTP, an error,
// else by the name of the action.
func (p *picked) outcome(d *doc.Doc, b *record.Builder) {
	if b.Outcome != event.OutcomeUnknown {
		return
	}
	if v := p.v[roleOutcome]; v != nil {
		b.Outcome = verdict(v.Text)
		k := known(v.Place)
		switch yes := verdict(v.Text) == event.OutcomeSuccess || v.Text == "1"; k.last {
		case "failed", "failure", "denied", "blocked":
			if isBool(v.Text) || v.Text == "0" || v.Text == "1" {
				b.Outcome = event.OutcomeSuccess
				if yes {
					b.Outcome = event.OutcomeFailure
				}
			}
		case "success", "succeeded", "successful", "authorized", "ok", "granted", "allowed", "passed":
			if v.Text == "0" || v.Text == "1" {
				b.Outcome = event.OutcomeFailure
				if yes {
					b.Outcome = event.OutcomeSuccess
				}
			}
		}
		if b.Outcome != event.OutcomeUnknown {
			d.Took("outcome", v)
			return
		}
	}
	if b.Status >= 100 {
		b.Outcome = event.OutcomeSuccess
		if b.Status >= 400 {
			b.Outcome = event.OutcomeFailure
		}
		return
	}
	if v := p.v[roleError]; v != nil {
		b.Outcome = event.OutcomeFailure
		switch {
		case v.Text == "0", doc.Absent(v.Text), verdict(v.Text) == event.OutcomeSuccess:
			b.Outcome = event.OutcomeSuccess
		}
		d.Took("outcome", v)
		return
	}
	b.Outcome = actionVerdict(b.Action)
}

// actor falls back to the service, address or device when nobody is named.
func (p *picked) actor(d *doc.Doc, b *record.Builder) {
	if b.Actor != "" {
		return
	}
	switch {
	case b.SrcIP != "":
		b.Actor = b.SrcIP
	case b.Device != "":
		b.Actor, b.ActorType = b.Device, "service"
	case p.v[roleService] != nil:
		b.Actor, b.ActorType = p.v[roleService].Text, "service"
		d.Took("actor", p.v[roleService])
	}
}
