package products

import (
	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
)

// atlassian is the organisation's audit log of Atlassian Cloud (events, in the
// JSON:API form) and the audit records of Jira and Confluence.
var atlassian = Product{
	Name: "atlassian", Title: "Atlassian audit log",
	Example: `{"id":"7b1e7c3a-0001-4c1e-9f0e-3f1d5a6b7c8d","type":"events","attributes":{"time":"2026-03-01T09:15:02.123Z","action":"user_added_to_group","actor":{"id":"a1","name":"Alice","email":"alice@acme.example"},"context":[{"id":"g1","type":"groups","attributes":{"name":"admins"}}],"location":{"ip":"203.0.113.7","geo":"Berlin, Germany"}}}`,
	Detect: func(d *doc.Doc) float64 {
		switch {
		case d.HasAll("attributes.action", "attributes.actor"):
			if d.Peek("type") == "events" || d.Has("attributes.location", "attributes.time", "attributes.context") {
				return .95
			}
			return .6
		case d.HasAll("summary", "category") && d.Has("authorkey", "authoraccountid", "author.displayname", "objectitem", "affectedobject"):
			return .85 // Jira, Confluence
		}
		return 0
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		const p = "attributes."
		d.SetID(b, "id")
		d.SetTime(b, env, p+"time", "created", "creationdate")
		d.Set(&b.Action, "action", p+"action", "summary")
		d.Set(&b.Actor, "actor", p+"actor.email", p+"actor.name", p+"actor.id", "author.username", "author.displayname", "authorkey", "authoraccountid")
		if b.Actor != "" {
			b.ActorType = "user"
		}
		d.SetIP(b, p+"location.ip", "remoteaddress")
		d.Set(&b.Resource, "resource", p+"context.0.attributes.accountname", p+"context.0.attributes.name", p+"context.0.id", p+"container.0.attributes.sitename",
			p+"container.0.id", "objectitem.name", "affectedobject.name")
		d.Set(&b.ResourceType, "resource_type", p+"context.0.type", p+"container.0.type", "objectitem.typename", "affectedobject.objecttype")
	},
}
