// Package ocsf reads events of the Open Cybersecurity Schema Framework, 1.8
// and its forerunners: Account Change 3001, Authentication 3002, HTTP Activity
// 4002 and API Activity 6003. Events of other classes are kept as unknown with
// their class in a label and the original in Raw.
//
// Invariant: a record is taken only if it is OCSF (class_uid, and metadata or
// type_uid beside it), so that no line is read by two formats. The actor is
// who acted: `actor.user`, for an authentication `user`; failing both, the
// source endpoint.
package ocsf

import (
	"errors"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Name is the format's name.
const Name = "ocsf"

// Parser reads OCSF events.
type Parser struct{ b record.Builder }

// New returns a parser for one stream.
func New() record.Parser { return &Parser{} }

// top holds the members that several fields are made of.
type top struct {
	classUID, className, activityName, typeUID, activityID, action string
	statusID, status                                               string
	time, timeDT                                                   string
	metadata, actor, user, src, request, response, api             record.Value
	resources, device, session, traffic, group, unmapped           record.Value
}

var errShape = errors.New("not an OCSF event: want class_uid with metadata or type_uid beside it")

// Parse reads one event.
func (p *Parser) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	b := &p.b
	b.Begin(env, Name, raw)
	var t top
	err := record.Each(raw, func(key string, v record.Value) error {
		switch key {
		case "class_uid":
			t.classUID = v.String()
		case "class_name":
			t.className = v.String()
		case "activity_id":
			t.activityID = v.String()
		case "activity_name":
			t.activityName = v.String()
		case "type_uid":
			t.typeUID = v.String()
		case "time":
			t.time = v.String()
		case "time_dt":
			t.timeDT = v.String()
		case "status_id":
			t.statusID = v.String()
		case "status":
			t.status = v.String()
		case "severity_id":
			if s := v.String(); s != "" {
				b.SetSeverity(s)
			}
		case "count":
			if s := v.String(); s != "" {
				b.SetCount(s)
			}
		case "duration":
			if s := v.String(); s != "" {
				b.SetDuration(s)
			}
		case "message":
			b.AddText("message", v.String())
		case "status_detail", "auth_protocol", "is_mfa", "is_remote", "logon_type":
			b.AddText(key, v.String())
		case "metadata":
			t.metadata = v
		case "actor":
			t.actor = v
		case "user":
			t.user = v
		case "src_endpoint":
			t.src = v
		case "http_request":
			t.request = v
		case "http_response":
			t.response = v
		case "api":
			t.api = v
		case "resources":
			t.resources = v
		case "device":
			t.device = v
		case "session":
			t.session = v
		case "traffic":
			t.traffic = v
		case "group":
			t.group = v
		case "unmapped":
			t.unmapped = v
		case "action":
			t.action = v.String()
		case "tenant", "tenant_id":
			if s := v.String(); s != "" {
				b.Owner(env, key, s)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if t.classUID == "" || t.metadata.Kind != record.Object && t.typeUID == "" {
		return errShape
	}
	if t.time == "" {
		t.time = t.timeDT
	}
	if b.Time, err = record.ParseTime(t.time, env.Location()); err != nil {
		return err
	}
	p.fill(&t)
	e, err := b.Finish(env)
	if err != nil {
		return err
	}
	emit(e)
	return nil
}

// fill derives the fields from the collected members.
func (p *Parser) fill(t *top) {
	b := &p.b
	b.SetClass(t.classUID)
	if t.activityID != "" {
		b.SetActivity(t.activityID)
	}
	switch t.statusID {
	case "1":
		b.Outcome = event.OutcomeSuccess
	case "2":
		b.Outcome = event.OutcomeFailure
	case "", "0", "99":
		if o, ok := event.ParseOutcome(strings.ToLower(t.status)); ok {
			b.Outcome = o
		}
	default:
		b.Invalid("status_id", t.statusID)
	}
	if id := text(t.metadata, "uid"); len(id) <= event.MaxIDLen {
		b.ID = id
	} else {
		b.Invalid("id", id)
	}
	b.AddText("product", text(t.metadata, "product", "name"))
	b.AddText("vendor", text(t.metadata, "product", "vendor_name"))
	p.endpoint(t.src)
	p.http(t)
	p.who(t)
	p.what(t)
	b.Device = first(text(t.device, "hostname"), text(t.device, "name"), text(t.device, "uid"))
	b.Session = first(text(t.session, "uid"), text(t.actor, "session", "uid"))
	for _, f := range [...]struct {
		key string
		to  *uint64
	}{{"bytes_in", &b.BytesIn}, {"bytes_out", &b.BytesOut}} {
		if s := text(t.traffic, f.key); s != "" {
			b.SetBytes(f.to, f.key, s)
		}
	}
	b.Action = p.action(t)
	if t.unmapped.Kind == record.Object {
		b.Flatten("", t.unmapped)
	}
}

// text is the scalar at a path below an object, or "".
func text(v record.Value, path ...string) string {
	if v.Kind != record.Object {
		return ""
	}
	m, _ := record.Member(v.Text, path...)
	return m.String()
}

func object(v record.Value, key string) record.Value {
	if v.Kind != record.Object {
		return record.Value{}
	}
	m, _ := record.Member(v.Text, key)
	return m
}

func first(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

func (p *Parser) endpoint(v record.Value) {
	b := &p.b
	if v.Kind != record.Object {
		return
	}
	b.SetIP(text(v, "ip"))
	b.AddText("src_port", text(v, "port"))
	loc := object(v, "location")
	b.SetCountry(text(loc, "country"))
	b.City = text(loc, "city")
	lat, lon := text(loc, "lat"), text(loc, "long")
	if c := object(loc, "coordinates"); lat == "" && c.Kind == record.Array { // before 1.1: [long, lat]
		i := 0
		_ = record.EachElement(c.Text, func(v record.Value) error {
			switch i {
			case 0:
				lon = v.String()
			case 1:
				lat = v.String()
			}
			i++
			return nil
		})
	}
	b.SetPosition(lat, lon)
	b.SetASN(text(v, "autonomous_system", "number"))
}

func (p *Parser) http(t *top) {
	b := &p.b
	b.HTTPMethod = text(t.request, "http_method")
	b.UserAgent = text(t.request, "user_agent")
	if b.UserAgent == "" {
		b.UserAgent = text(t.actor, "user_agent")
	}
	if s := text(t.response, "code"); s != "" {
		b.SetStatus(s)
	}
	b.AddText("query", text(t.request, "url", "query_string"))
}

// who finds the actor.
func (p *Parser) who(t *top) {
	b := &p.b
	acting := object(t.actor, "user")
	if acting.Kind != record.Object && b.Class != event.ClassAccountChange || b.Class == event.ClassAuthentication && t.user.Kind == record.Object {
		acting = t.user
	}
	b.Actor = first(text(acting, "name"), text(acting, "email_addr"), text(acting, "uid"), text(acting, "uid_alt"))
	switch text(acting, "type_id") {
	case "1", "2":
		b.ActorType = "user"
	case "3", "4":
		b.ActorType = "service"
	}
	if groups := object(acting, "groups"); groups.Kind == record.Array {
		_ = record.EachElement(groups.Text, func(v record.Value) error {
			if b.Cohort == "" {
				b.Cohort = text(v, "name")
			}
			return nil
		})
	}
	if b.Actor != "" {
		return
	}
	if b.Actor = first(text(t.actor, "invoked_by"), text(t.actor, "app_name"), text(t.actor, "process", "name")); b.Actor != "" {
		b.ActorType = "service"
		return
	}
	b.Actor = first(b.SrcIP, text(t.src, "hostname"), text(t.src, "name"), text(t.device, "hostname"), text(t.device, "ip"))
}

// what finds the resource.
func (p *Parser) what(t *top) {
	b := &p.b
	switch b.Class {
	case event.ClassAccountChange:
		b.Resource, b.ResourceType = first(text(t.user, "name"), text(t.user, "email_addr"), text(t.user, "uid")), "user"
	case event.ClassHTTPActivity:
		b.Resource, b.ResourceType = first(text(t.request, "url", "path"), text(t.request, "url", "url_string")), "path"
	}
	if b.Resource == "" && t.resources.Kind == record.Array {
		_ = record.EachElement(t.resources.Text, func(v record.Value) error {
			if b.Resource == "" {
				b.Resource, b.ResourceType = first(text(v, "uid"), text(v, "name")), text(v, "type")
			}
			return nil
		})
	}
	if b.Resource == "" {
		b.ResourceType = ""
		if g := first(text(t.group, "name"), text(t.group, "uid")); g != "" {
			b.Resource, b.ResourceType = g, "group"
		}
	}
}

// verbs name the activities of the classes in the short form's words.
var verbs = map[event.Class]map[uint8]string{
	event.ClassAuthentication: {1: "login", 2: "logout", 3: "auth.ticket", 4: "auth.service_ticket", 5: "auth.ticket_renew", 6: "auth.preauth", 7: "auth.account_switch"},
	event.ClassAccountChange: {
		1: "user.create", 2: "user.enable", 3: "password.change", 4: "password.reset", 5: "user.disable", 6: "user.delete",
		7: "policy.attach", 8: "policy.detach", 9: "user.lock", 10: "mfa.enable", 11: "mfa.disable", 12: "user.unlock",
	},
	event.ClassAPIActivity: {1: "api.create", 2: "api.read", 3: "api.update", 4: "api.delete"},
}

func (p *Parser) action(t *top) string {
	b := &p.b
	if op := text(t.api, "operation"); op != "" {
		if svc := text(t.api, "service", "name"); svc != "" {
			return strings.TrimSuffix(svc, ".amazonaws.com") + ":" + op
		}
		return op
	}
	if b.Class == event.ClassHTTPActivity && b.HTTPMethod != "" {
		return "http." + strings.ToLower(b.HTTPMethod)
	}
	if v := verbs[b.Class][b.Activity]; v != "" {
		return v
	}
	class := slug(first(t.className, "class_"+t.classUID))
	if a := slug(first(t.activityName, t.action)); a != "" {
		return class + "." + a
	}
	return class + ".activity_" + first(t.activityID, "0")
}

// slug makes "DNS Activity" into dns_activity.
func slug(s string) string {
	if len(s) > 128 {
		s = s[:128]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, strings.TrimSpace(s))
}

// Sniff says how much a JSON object looks like OCSF, 0 to 1.
func Sniff(raw string) float64 {
	var n float64
	_ = record.Each(raw, func(key string, v record.Value) error {
		switch key {
		case "class_uid":
			n += 0.4
		case "type_uid", "category_uid", "metadata":
			n += 0.25
		case "activity_id", "severity_id":
			n += 0.1
		}
		return nil
	})
	if n < 0.6 { // a short form may bring class_uid
		return n / 2
	}
	return min(n, 1)
}
