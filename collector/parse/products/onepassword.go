package products

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// onePassword is the 1Password Events API: sign-in attempts, item usages and
// audit events.
var onePassword = Product{
	Name: "onepassword", Title: "1Password Events API",
	Example: `{"uuid":"56YE2TYN2VFYRLNSHKPW5NVT5E","session_uuid":"A5K6COGVRVEJXJW3XQZGS7VAMM","timestamp":"2026-03-01T09:15:02Z","category":"credentials_failed","type":"password_secret_bad","country":"DE","target_user":{"uuid":"IR7VJHJ36JHINBFAD7V2T5MP3E","name":"Alice","email":"alice@acme.example"},"client":{"app_name":"1Password Browser","app_version":"20240","platform_name":"Chrome","os_name":"MacOSX","ip_address":"203.0.113.7"}}`,
	Detect: func(d *doc.Doc) float64 {
		switch {
		case d.HasAll("uuid", "item_uuid", "vault_uuid"):
			return .95
		case d.HasAll("target_user", "client.app_name"), d.HasAll("target_user", "session_uuid"):
			return .95
		case d.HasAll("actor_uuid", "object_type", "action"):
			return .9
		}
		return 0
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetID(b, "uuid")
		d.SetTime(b, env, "timestamp")
		d.SetIP(b, "client.ip_address", "session.ip", "location.ip")
		d.SetCountry(b, "country", "location.country")
		d.Set(&b.UserAgent, "user_agent", "client.app_name")
		b.ActorType = "user"
		switch {
		case d.Has("item_uuid"):
			b.Action = "item.usage"
			if a := d.Text("action"); a != "" {
				b.Action = "item." + a
				d.Note("action")
			}
			d.Set(&b.Actor, "actor", "user.email", "user.name", "user.uuid")
			d.Set(&b.Resource, "resource", "item_uuid")
			b.ResourceType, b.Outcome = "item", event.OutcomeSuccess
			act(b, event.ClassAPIActivity, 2)
		case d.Has("target_user"):
			b.Action = "signin." + d.Text("type")
			d.Note("action")
			act(b, event.ClassAuthentication, 1)
			d.Set(&b.Actor, "actor", "target_user.email", "target_user.name", "target_user.uuid")
			d.Set(&b.Session, "session", "session_uuid")
			category := d.Text("category")
			d.Note("outcome")
			switch {
			case category == "success":
				b.Outcome = event.OutcomeSuccess
			case strings.Contains(category, "failed"), strings.Contains(category, "blocked"), strings.Contains(category, "denied"):
				b.Outcome = event.OutcomeFailure
			}
			b.AddText("category", category)
		default:
			kind := d.Text("object_type")
			b.Action = kind + "." + d.Text("action")
			d.Note("action")
			d.Set(&b.Actor, "actor", "actor_details.email", "actor_details.name", "actor_uuid")
			d.Set(&b.Resource, "resource", "object_details.email", "object_details.name", "object_uuid")
			b.ResourceType = kind
			d.Set(&b.Session, "session", "session.uuid")
		}
	},
}
