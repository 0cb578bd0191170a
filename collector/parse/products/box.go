package products

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// box is Box's enterprise events (admin_logs).
var box = Product{
	Name: "box", Title: "Box enterprise events",
	Example: `{"type":"event","event_id":"f82c3ba03e41f7e8a7608363cc6c0390183c3f83","event_type":"DOWNLOAD","created_at":"2026-03-01T09:15:02-08:00","created_by":{"type":"user","id":"1","name":"Alice","login":"alice@acme.example"},"source":{"item_type":"file","item_id":"2","item_name":"plan.pdf"},"ip_address":"203.0.113.7","session_id":null}`,
	Detect: func(d *doc.Doc) float64 {
		n := 0.0
		if d.Peek("type") == "event" && d.Has("event_type") {
			n = .5
		}
		if d.Has("created_by.login", "created_by.id") && d.Has("event_type") {
			n += .4
		}
		return min(n, .95)
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetID(b, "event_id")
		d.SetTime(b, env, "created_at", "recorded_at")
		d.Set(&b.Action, "action", "event_type")
		d.Set(&b.Actor, "actor", "created_by.login", "created_by.name", "created_by.id", "accessible_by.login", "source.login")
		if d.Peek("created_by.type") == "user" {
			b.ActorType = "user"
		}
		d.SetIP(b, "ip_address")
		d.Set(&b.Session, "session", "session_id")
		d.Set(&b.Resource, "resource", "source.item_name", "source.name", "source.item_id", "source.id", "source.login")
		d.Set(&b.ResourceType, "resource_type", "source.item_type", "source.type")
		a := strings.ToUpper(b.Action)
		switch {
		case strings.Contains(a, "FAIL"):
			b.Outcome = event.OutcomeFailure
		case a != "":
			b.Outcome = event.OutcomeSuccess // Box logs what was done
		}
		switch a {
		case "LOGIN", "FAILED_LOGIN", "ADMIN_LOGIN", "ADD_LOGIN_ACTIVITY_DEVICE":
			act(b, event.ClassAuthentication, 1)
		case "NEW_USER":
			act(b, event.ClassAccountChange, 1)
		case "DELETE_USER":
			act(b, event.ClassAccountChange, 6)
		case "CHANGE_ADMIN_ROLE", "GROUP_ADD_USER":
			act(b, event.ClassAccountChange, 7)
		case "PREVIEW", "DOWNLOAD", "CONTENT_ACCESS", "ITEM_OPEN":
			act(b, event.ClassAPIActivity, 2)
		}
	},
}
