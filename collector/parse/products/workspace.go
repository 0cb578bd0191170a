package products

import (
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// workspace is Google Workspace's Reports API (activities): one record holds
// the events of one action. Exports that put each event on its own, with name,
// type and parameters at the top, are read too.
var workspace = Product{
	Name: "google_workspace", Title: "Google Workspace (Reports API)",
	Example: `{"kind":"admin#reports#activity","id":{"time":"2026-03-01T09:15:02.123Z","uniqueQualifier":"-1234567890","applicationName":"login","customerId":"C01"},"actor":{"callerType":"USER","email":"alice@acme.example","profileId":"100"},"ipAddress":"203.0.113.7","events":[{"type":"login","name":"login_failure","parameters":[{"name":"login_type","value":"google_password"}]}]}`,
	Detect: func(d *doc.Doc) float64 {
		n := 0.0
		if d.Peek("kind") == "admin#reports#activity" {
			n = .95
		}
		if d.Has("id.applicationname") {
			n += .5
		}
		if d.Has("id.uniquequalifier") {
			n += .4
		}
		return min(n, .95)
	},
	Count: func(d *doc.Doc) int {
		n := 0
		for n < 32 && d.Has("events."+strconv.Itoa(n)) {
			n++
		}
		return n
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, n int) {
		at := ""
		if d.Has("events.0") {
			at = "events." + strconv.Itoa(n) + "."
		}
		app := strings.ToLower(d.Text("id.applicationname"))
		when, q := d.Peek("id.time"), d.Text("id.uniquequalifier")
		if when != "" && q != "" {
			// Time, application and qualifier together are unique; an activity's
			// events are counted behind.
			b.ID = app + ":" + when + ":" + q
			if n > 0 {
				b.ID += "#" + strconv.Itoa(n)
			}
			if len(b.ID) > event.MaxIDLen {
				b.ID = ""
			}
			d.Note("id")
		}
		d.SetTime(b, env, "id.time")
		name := d.Text(at + "name")
		d.Note("action")
		if name == "" {
			name = d.Text(at + "type")
			d.Note("action")
		}
		if name != "" {
			b.Action = name
			if app != "" {
				b.Action = app + "." + name
			}
		}
		d.Set(&b.Actor, "actor", "actor.email", "actor.key", "actor.profileid", "actor.applicationinfo.applicationname",
			at+"parameters.affected_email_address", at+"parameters.email")
		switch strings.ToUpper(d.Peek("actor.callertype")) {
		case "USER":
			b.ActorType = "user"
		case "KEY", "APPLICATION":
			b.ActorType = "service"
		}
		d.SetIP(b, "ipaddress", "networkinfo.ipaddress")
		d.Set(&b.Resource, "resource", at+"parameters.doc_title", at+"parameters.doc_id", at+"parameters.user_email", at+"parameters.group_email",
			at+"parameters.target_user", at+"parameters.app_name", at+"parameters.application_name", at+"parameters.setting_name", at+"parameters.device_id")
		d.Set(&b.ResourceType, "resource_type", at+"parameters.doc_type")
		low := strings.ToLower(name)
		switch {
		case low == "login_success", low == "logout", low == "login_verification", low == "2sv_enroll", low == "password_edit":
			b.Outcome = event.OutcomeSuccess
		case low == "login_failure", low == "login_challenge" && d.Peek(at+"parameters.login_challenge_status") == "Challenge Failed", strings.HasSuffix(low, "_failure"):
			b.Outcome = event.OutcomeFailure
		}
		switch {
		case strings.HasPrefix(low, "login"), low == "suspicious_login":
			act(b, event.ClassAuthentication, 1)
		case strings.HasPrefix(low, "2sv_enroll"), low == "enroll_user_in_strong_auth":
			act(b, event.ClassAccountChange, 10)
		case low == "2sv_disable", low == "unenroll_user_from_strong_auth", low == "turn_off_2_step_verification":
			act(b, event.ClassAccountChange, 11)
		case low == "create_user":
			act(b, event.ClassAccountChange, 1)
		case low == "delete_user":
			act(b, event.ClassAccountChange, 6)
		case low == "suspend_user":
			act(b, event.ClassAccountChange, 5)
		case low == "grant_admin_privilege", low == "assign_role", low == "add_group_member":
			act(b, event.ClassAccountChange, 7)
		}
	},
}
