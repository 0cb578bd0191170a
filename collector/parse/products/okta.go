package products

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// okta is Okta's System Log (LogEvent), as the API gives it. Keys may have
// been put into lower case on the way.
var okta = Product{
	Name: "okta", Title: "Okta System Log",
	Example: `{"uuid":"4a2e6f60-0001-11f1-8000-3f1d5a6b7c8d","published":"2026-03-01T09:15:02.123Z","eventType":"user.session.start","version":"0","severity":"INFO","displayMessage":"User login to Okta","actor":{"id":"00u1","type":"User","alternateId":"alice@acme.example","displayName":"Alice"},"client":{"userAgent":{"rawUserAgent":"Mozilla/5.0"},"ipAddress":"203.0.113.7","geographicalContext":{"city":"Berlin","country":"Germany","geolocation":{"lat":52.5,"lon":13.4}}},"outcome":{"result":"SUCCESS"},"authenticationContext":{"externalSessionId":"s1"},"target":[{"id":"0oa1","type":"AppInstance","alternateId":"Payroll","displayName":"Payroll"}]}`,
	Detect: func(d *doc.Doc) float64 {
		n := 0.0
		for _, c := range [...]struct {
			path string
			w    float64
		}{
			{"eventtype", .25}, {"legacyeventtype", .3}, {"displaymessage", .2}, {"actor.alternateid", .35}, {"published", .1}, {"debugcontext", .2},
			{"securitycontext", .2}, {"authenticationcontext", .2}, {"outcome.result", .1}, {"client.useragent.rawuseragent", .15},
		} {
			if d.Has(c.path) {
				n += c.w
			}
		}
		if !d.Has("eventtype") {
			n = min(n, .3)
		}
		return min(n, .95)
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetID(b, "uuid")
		d.SetTime(b, env, "published")
		d.Set(&b.Action, "action", "eventtype")
		for _, p := range [...]string{"actor.alternateid", "actor.displayname", "actor.id"} {
			if s := d.Peek(p); s != "" && s != "unknown" && s != "system@okta.com" || p == "actor.id" {
				d.Set(&b.Actor, "actor", p)
			}
		}
		switch strings.ToLower(d.Peek("actor.type")) {
		case "user":
			b.ActorType = "user"
		case "systemprincipal", "publicclientapp", "service", "client":
			b.ActorType = "service"
		}
		d.SetIP(b, "client.ipaddress", "request.ipchain.0.ip")
		d.Set(&b.UserAgent, "user_agent", "client.useragent.rawuseragent")
		d.Set(&b.Device, "device", "device.name", "device.id")
		d.Set(&b.Session, "session", "authenticationcontext.externalsessionid", "authenticationcontext.rootsessionid")
		d.Set(&b.City, "city", "client.geographicalcontext.city")
		d.SetCountry(b, "client.geographicalcontext.country")
		d.SetPosition(b, "client.geographicalcontext.geolocation.lat", "client.geographicalcontext.geolocation.lon")
		if s := d.Text("securitycontext.asnumber"); s != "" {
			b.SetASN(s)
			d.Note("asn")
		}
		d.Set(&b.Resource, "resource", "target.0.alternateid", "target.0.displayname", "target.0.id")
		d.Set(&b.ResourceType, "resource_type", "target.0.type")
		result := d.Text("outcome.result")
		d.Note("outcome")
		outcome(b, result, " SUCCESS ALLOW ", " FAILURE DENY ")
		b.AddText("outcome.reason", d.Text("outcome.reason"))
		switch s := d.Text("severity"); strings.ToUpper(s) {
		case "DEBUG", "INFO":
			b.Severity = 1
		case "WARN":
			b.Severity = 3
		case "ERROR":
			b.Severity = 4
		}
		oktaClass(b)
	},
}

// oktaClass gives the class of the event types whose words say too little.
func oktaClass(b *record.Builder) {
	a := b.Action
	switch {
	case strings.HasPrefix(a, "user.session.start"), strings.HasPrefix(a, "user.authentication."), strings.HasPrefix(a, "policy.evaluate_sign_on"):
		act(b, event.ClassAuthentication, 1)
	case strings.HasPrefix(a, "user.session.end"), strings.HasPrefix(a, "user.session.clear"):
		act(b, event.ClassAuthentication, 2)
	case strings.HasPrefix(a, "user.mfa.") && (strings.HasSuffix(a, ".activate") || strings.HasSuffix(a, "enroll")):
		act(b, event.ClassAccountChange, 10)
	case strings.HasPrefix(a, "user.mfa.") && (strings.HasSuffix(a, ".deactivate") || strings.HasSuffix(a, ".reset_all") || strings.HasSuffix(a, ".suspend")):
		act(b, event.ClassAccountChange, 11)
	case strings.HasPrefix(a, "user.account.privilege.grant"), strings.HasPrefix(a, "group.user_membership.add"), strings.HasPrefix(a, "group.privilege.grant"):
		act(b, event.ClassAccountChange, 7)
	case strings.HasPrefix(a, "user.account.privilege.revoke"), strings.HasPrefix(a, "group.user_membership.remove"):
		act(b, event.ClassAccountChange, 8)
	case strings.HasPrefix(a, "user.lifecycle.create"), strings.HasPrefix(a, "user.lifecycle.activate"):
		act(b, event.ClassAccountChange, 1)
	case strings.HasPrefix(a, "user.lifecycle.suspend"), strings.HasPrefix(a, "user.lifecycle.deactivate"):
		act(b, event.ClassAccountChange, 5)
	case strings.HasPrefix(a, "user.lifecycle.delete"):
		act(b, event.ClassAccountChange, 6)
	case strings.HasPrefix(a, "user.account.lock"):
		act(b, event.ClassAccountChange, 9)
	case strings.HasPrefix(a, "user.account.unlock"):
		act(b, event.ClassAccountChange, 12)
	}
}
