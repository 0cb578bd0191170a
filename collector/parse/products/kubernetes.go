package products

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// kubernetes is the audit log of the API server (audit.k8s.io Event), of any
// distribution.
var kubernetes = Product{
	Name: "kubernetes", Title: "Kubernetes audit log",
	Example: `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"d976bfc6-0001-49d5-bdeb-074441e0b875","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/prod/secrets/db","verb":"get","user":{"username":"alice@acme.example","groups":["developers","system:authenticated"]},"sourceIPs":["203.0.113.7"],"userAgent":"kubectl/v1.31","objectRef":{"resource":"secrets","namespace":"prod","name":"db","apiVersion":"v1"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-03-01T09:15:02.123456Z","stageTimestamp":"2026-03-01T09:15:02.133456Z"}`,
	Detect: func(d *doc.Doc) float64 {
		n := 0.0
		for _, at := range [...]string{"", "properties.log.", "log.", "message.", "data."} {
			if d.Peek(at+"kind") == "Event" && (strings.HasPrefix(d.Peek(at+"apiversion"), "audit.k8s.io") || at != "" && d.Has(at+"verb")) {
				return .95
			}
		}
		for _, c := range [...]struct {
			path string
			w    float64
		}{{"verb", .2}, {"objectref", .35}, {"user.username", .15}, {"auditid", .3}, {"requesturi", .15}, {"stage", .1}, {"sourceips", .15}, {"responsestatus", .1}} {
			if d.Has(c.path) {
				n += c.w
			}
		}
		if !d.Has("verb", "requesturi") {
			return 0
		}
		return min(n, .95)
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		at := "" // of the event: some services wrap it
		for _, p := range [...]string{"properties.log.", "log.", "message.", "data."} {
			if d.Has(p+"verb") || d.Has(p+"requesturi") {
				at = p
			}
		}
		if id := d.Text(at + "auditid"); id != "" && len(id) <= 64 {
			// One request has an event for each stage it passes.
			if b.ID = id; d.Peek(at+"stage") != "" && d.Peek(at+"stage") != "ResponseComplete" {
				b.ID += "/" + d.Peek(at+"stage")
			}
			if len(b.ID) > event.MaxIDLen {
				b.ID = ""
			}
			d.Note("id")
		}
		d.SetTime(b, env, at+"requestreceivedtimestamp", at+"stagetimestamp", "timestamp", "time")
		verb := d.Text(at + "verb")
		d.Note("action")
		what := d.Text(at + "objectref.resource")
		if sub := d.Text(at + "objectref.subresource"); sub != "" {
			what += "/" + sub
		}
		switch {
		case what != "" && verb != "":
			b.Action = what + "." + verb
		case verb != "":
			b.Action = "api." + verb
		case d.Has(at + "requesturi"):
			b.Action = "api.request"
		}
		d.Set(&b.Actor, "actor", at+"user.username", at+"user.uid")
		if by := d.Text(at + "impersonateduser.username"); by != "" {
			b.AddLabel("impersonated_user", by)
		}
		if strings.HasPrefix(b.Actor, "system:") && b.Actor != "system:anonymous" {
			b.ActorType = "service"
		} else if b.Actor != "" {
			b.ActorType = "user"
		}
		for i := range d.Values {
			v := &d.Values[i]
			if v.Up != nil && strings.EqualFold(v.Up.Path, at+"user.groups") && b.Cohort == "" && v.Kind == record.String && !strings.HasPrefix(v.Text, "system:") {
				b.Cohort = v.Text
				d.Took("cohort", v)
			}
		}
		d.SetIP(b, at+"sourceips")
		d.Set(&b.UserAgent, "user_agent", at+"useragent")
		name, ns := d.Text(at+"objectref.name"), d.Text(at+"objectref.namespace")
		b.ResourceType = what
		switch {
		case name != "" && ns != "":
			b.Resource = ns + "/" + name
		case name+ns != "":
			b.Resource = name + ns
		default:
			d.Set(&b.Resource, "resource", at+"requesturi")
		}
		d.SetStatus(b, at+"responsestatus.code")
		status(b)
		if s := d.Text(at + "annotations.authorization.k8s.io/decision"); b.Outcome == event.OutcomeUnknown {
			outcome(b, s, " allow ", " forbid deny ")
		}
		activity := map[string]uint8{"get": 2, "list": 2, "watch": 2, "create": 1, "update": 3, "patch": 3, "delete": 4, "deletecollection": 4}[verb]
		if activity == 0 {
			activity = 99
		}
		act(b, event.ClassAPIActivity, activity)
		if strings.HasPrefix(what, "rolebindings") || strings.HasPrefix(what, "clusterrolebindings") {
			if verb == "create" || verb == "update" || verb == "patch" {
				act(b, event.ClassAccountChange, 7)
			}
		}
	},
}
