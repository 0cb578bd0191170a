package products

import (
	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
)

// zendesk is Zendesk's audit log API (audit_logs).
var zendesk = Product{
	Name: "zendesk", Title: "Zendesk audit log",
	Example: `{"url":"https://acme.zendesk.example/api/v2/audit_logs/1.json","id":498483,"action":"update","action_label":"Updated","actor_id":1234,"actor_name":"Alice","source_id":3456,"source_type":"user","source_label":"Team member: Bob","change_description":"Role changed from Agent to Administrator","ip_address":"203.0.113.7","created_at":"2026-03-01T09:15:02Z"}`,
	Detect: func(d *doc.Doc) float64 {
		n := 0.0
		for _, p := range [...]string{"action_label", "source_type", "source_label", "actor_name", "change_description"} {
			if d.Has(p) {
				n += .2
			}
		}
		if !d.Has("action") || !d.Has("source_type", "source_label") {
			return 0
		}
		return min(n+.1, .95)
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetID(b, "id")
		d.SetTime(b, env, "created_at")
		verb, kind := d.Text("action"), d.Peek("source_type")
		d.Note("action")
		if b.Action = verb; kind != "" {
			b.Action = kind + "." + verb
		}
		d.Set(&b.Actor, "actor", "actor_name", "actor_id")
		if s := d.Peek("actor_id"); s != "" && s != "-1" && b.Actor != "" {
			b.ActorType = "user"
		}
		d.SetIP(b, "ip_address")
		d.Set(&b.Resource, "resource", "source_label", "source_id")
		d.Set(&b.ResourceType, "resource_type", "source_type")
	},
}
