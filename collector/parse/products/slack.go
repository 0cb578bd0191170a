package products

import (
	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// slack is Slack's Audit Logs API (entries).
var slack = Product{
	Name: "slack", Title: "Slack audit logs",
	Example: `{"id":"0123a45b-6c7d-8900-e12f-3456789gh0i1","date_create":1772356502,"action":"user_login","actor":{"type":"user","user":{"id":"W123","name":"alice","email":"alice@acme.example"}},"entity":{"type":"user","user":{"id":"W123","name":"alice","email":"alice@acme.example"}},"context":{"location":{"type":"workspace","id":"T1","name":"acme","domain":"acme"},"ua":"Mozilla/5.0","ip_address":"203.0.113.7","session_id":123}}`,
	Detect: func(d *doc.Doc) float64 {
		n := 0.0
		if d.Has("action") && d.Has("actor.user", "actor.type") {
			n += .3
		}
		if d.Has("actor.user.team", "context.location.domain") {
			n += .3
		}
		if d.Has("context.ua", "context.ip_address", "context.location") {
			n += .25
		}
		if d.Has("date_create") {
			n += .25
		}
		return min(n, .95)
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetID(b, "id")
		d.SetTime(b, env, "date_create")
		d.Set(&b.Action, "action", "action")
		d.Set(&b.Actor, "actor", "actor.user.email", "actor.user.name", "actor.user.id", "actor.id")
		switch d.Peek("actor.type") {
		case "user":
			b.ActorType = "user"
		case "":
		default:
			b.ActorType = "service"
		}
		d.SetIP(b, "context.ip_address")
		d.Set(&b.UserAgent, "user_agent", "context.ua")
		d.Set(&b.Session, "session", "context.session_id")
		if kind := d.Text("entity.type"); kind != "" {
			b.ResourceType = kind
			d.Note("resource_type")
			d.Set(&b.Resource, "resource", "entity."+kind+".email", "entity."+kind+".name", "entity."+kind+".title", "entity."+kind+".id")
		}
		switch b.Action {
		case "user_login":
			act(b, event.ClassAuthentication, 1)
			b.Outcome = event.OutcomeSuccess
		case "user_login_failed":
			act(b, event.ClassAuthentication, 1)
			b.Outcome = event.OutcomeFailure
		case "user_logout":
			act(b, event.ClassAuthentication, 2)
			b.Outcome = event.OutcomeSuccess
		case "user_created", "guest_created":
			act(b, event.ClassAccountChange, 1)
		case "user_deactivated":
			act(b, event.ClassAccountChange, 5)
		case "role_change_to_admin", "role_change_to_owner", "owner_transferred", "role_assigned":
			act(b, event.ClassAccountChange, 7)
		}
	},
}
