package products

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// github is GitHub's audit log (REST and streaming) and its webhooks.
var github = Product{
	Name: "github", Title: "GitHub audit log",
	Example: `{"@timestamp":1772356502123,"_document_id":"VjB9x1a0example1","action":"org.invite_member","actor":"alice","actor_ip":"203.0.113.7","actor_location":{"country_code":"DE"},"created_at":1772356502123,"org":"acme","repo":"acme/app","user":"bob","user_agent":"Mozilla/5.0"}`,
	Detect: func(d *doc.Doc) float64 {
		n := 0.0
		a := d.Peek("action")
		dotted := strings.IndexByte(a, '.') > 0 && !strings.ContainsAny(a, " :/")
		switch {
		case d.Has("_document_id") && a != "":
			n = .9
		case d.HasAll("action", "actor") && dotted && d.Find("actor").Kind == record.String:
			n = .3
			if d.Has("org", "repo", "business", "org_id", "repository", "enterprise") {
				n = .85
			} else if d.Has("@timestamp", "created_at", "at_sign_timestamp") {
				n = .6
			}
		case dotted && d.Has("@timestamp", "created_at") && d.Has("org", "repo", "business"):
			n = .7
		case d.Has("repository.full_name") && d.Has("sender.login", "pusher.name", "action", "ref", "organization.login"):
			n = .9 // a webhook
		}
		return n
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetID(b, "_document_id")
		d.SetTime(b, env, "@timestamp", "created_at", "at_sign_timestamp")
		if d.Has("repository.full_name") {
			githubHook(d, b)
		}
		d.Set(&b.Action, "action", "action")
		d.Set(&b.Actor, "actor", "actor", "user", "actor_id")
		if strings.HasSuffix(b.Actor, "[bot]") || d.Peek("actor_is_bot") == "true" {
			b.ActorType = "service"
		} else if b.Actor != "" {
			b.ActorType = "user"
		}
		d.SetIP(b, "actor_ip")
		d.Set(&b.UserAgent, "user_agent", "user_agent")
		d.SetCountry(b, "actor_location.country_code")
		d.Set(&b.Session, "session", "actor_session", "external_identity_nameid")
		if d.Set(&b.Resource, "resource", "repo", "repository") {
			b.ResourceType = "repository"
		} else if d.Set(&b.Resource, "resource", "user") {
			b.ResourceType = "user"
		} else if d.Set(&b.Resource, "resource", "team", "org", "business") {
			b.ResourceType = "organization"
		}
		switch a := b.Action; {
		case strings.HasPrefix(a, "org.add_member"), strings.HasPrefix(a, "org.invite_member"), strings.HasPrefix(a, "team.add_member"), strings.HasPrefix(a, "repo.add_member"):
			act(b, event.ClassAccountChange, 7)
		case strings.HasPrefix(a, "org.remove_member"), strings.HasPrefix(a, "team.remove_member"):
			act(b, event.ClassAccountChange, 8)
		case strings.HasPrefix(a, "org.update_member"):
			act(b, event.ClassAccountChange, 99)
		}
		if strings.Contains(b.Action, "fail") {
			b.Outcome = event.OutcomeFailure
		}
	},
}

// githubHook names the event of a webhook, which its header would: by the
// object that its action is about, else push.
func githubHook(d *doc.Doc, b *record.Builder) {
	d.Set(&b.Actor, "actor", "sender.login", "pusher.email", "pusher.name", "head_commit.author.email", "commits.0.author.email")
	d.Set(&b.Resource, "resource", "repository.full_name")
	b.ResourceType = "repository"
	verb := d.Text("action")
	what := ""
	for i := range d.Values {
		v := &d.Values[i]
		if v.Depth != 1 || v.Kind != record.Object {
			continue
		}
		switch v.Key {
		case "repository", "sender", "organization", "enterprise", "installation", "pusher", "head_commit", "changes":
		default:
			if what == "" {
				what = v.Key
			}
		}
	}
	switch {
	case what == "" && d.Has("ref") && verb == "":
		b.Action = "push"
	case what == "" && verb != "":
		b.Action = "repository." + verb
	case verb != "":
		b.Action = what + "." + verb
	case what != "":
		b.Action = what
	default:
		b.Action = "webhook"
	}
	d.Note("action")
	switch c := d.Text(what+".conclusion", what+".status"); c {
	case "failure", "timed_out", "cancelled":
		b.Outcome = event.OutcomeFailure
	case "success", "completed":
		b.Outcome = event.OutcomeSuccess
	}
	if b.Actor == "" {
		d.Set(&b.Actor, "actor", "organization.login", "repository.owner.login", "repository.full_name")
		b.ActorType = "service"
	}
}
