package products

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// auth0 is Auth0's tenant log, from a log stream (wrapped in data) or the
// Management API. Its event types are codes; those of log-ins are spelled out
// in auth0Codes, the others stay as they are.
var auth0 = Product{
	Name: "auth0", Title: "Auth0 tenant log",
	Example: `{"log_id":"90020260301091502123000000000000000001","data":{"date":"2026-03-01T09:15:02.123Z","type":"fp","description":"Wrong email or password.","connection":"Username-Password-Authentication","client_id":"abc","client_name":"Portal","ip":"203.0.113.7","user_agent":"Mozilla/5.0","user_id":"auth0|1","user_name":"alice@acme.example","log_id":"90020260301091502123000000000000000001"}}`,
	Detect: func(d *doc.Doc) float64 {
		n := 0.0
		for _, at := range [...]string{"data.", ""} {
			if !d.HasAll(at+"type", at+"log_id") && !(at != "" && d.HasAll(at+"type", "log_id")) {
				continue
			}
			n = .3
			for _, p := range [...]string{"client_id", "date", "user_id", "connection", "ip", "strategy"} {
				if d.Has(at + p) {
					n += .15
				}
			}
			break
		}
		return min(n, .95)
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		at := "data."
		if !d.Has("data.type") {
			at = ""
		}
		d.SetID(b, at+"log_id", "log_id")
		d.SetTime(b, env, at+"date")
		code := d.Text(at + "type")
		d.Note("action")
		b.Action = code
		if c, ok := auth0Codes[code]; ok {
			b.Action, b.Outcome = c.action, c.outcome
			act(b, c.class, c.activity)
			b.AddLabel("type", code)
		} else if strings.HasPrefix(code, "f") && len(code) <= 8 && strings.IndexByte(code, '_') < 0 {
			b.Outcome = event.OutcomeFailure
		} else if strings.HasPrefix(code, "s") && len(code) <= 8 && strings.IndexByte(code, '_') < 0 {
			b.Outcome = event.OutcomeSuccess
		}
		r := at + "details.request."
		if code == "sapi" || code == "fapi" || code == "mgmt_api_read" {
			if s := d.Text(at + "description"); s != "" {
				b.Action = "api." + strings.ToLower(strings.ReplaceAll(s, " ", "_"))
				d.Note("action")
			}
			b.HTTPMethod = strings.ToUpper(d.Text(r + "method"))
			d.Set(&b.Actor, "actor", r+"auth.user.email", r+"auth.user.name", r+"auth.user.user_id")
		}
		d.Set(&b.Actor, "actor", at+"user_name", r+"auth.user.email", r+"auth.user.name", at+"user_id", at+"details.body.email", at+"client_name", at+"client_id")
		d.SetIP(b, at+"ip", r+"ip")
		d.Set(&b.UserAgent, "user_agent", at+"user_agent", r+"useragent")
		d.Set(&b.Session, "session", at+"session_id")
		d.Set(&b.Resource, "resource", r+"path", at+"client_name", at+"connection")
		d.SetStatus(b, at+"details.response.statuscode")
		status(b)
		if b.HTTPMethod == "" && d.Has(r+"method") {
			b.HTTPMethod = strings.ToUpper(d.Text(r + "method"))
		}
	},
}

var auth0Codes = map[string]struct {
	action   string
	outcome  event.Outcome
	class    event.Class
	activity uint8
}{
	"s":                      {"login", event.OutcomeSuccess, event.ClassAuthentication, 1},
	"ssa":                    {"login.silent", event.OutcomeSuccess, event.ClassAuthentication, 1},
	"fsa":                    {"login.silent", event.OutcomeFailure, event.ClassAuthentication, 1},
	"f":                      {"login", event.OutcomeFailure, event.ClassAuthentication, 1},
	"fp":                     {"login", event.OutcomeFailure, event.ClassAuthentication, 1}, // wrong password
	"fu":                     {"login", event.OutcomeFailure, event.ClassAuthentication, 1}, // unknown user
	"fco":                    {"login.cross_origin", event.OutcomeFailure, event.ClassAuthentication, 1},
	"scoa":                   {"login.cross_origin", event.OutcomeSuccess, event.ClassAuthentication, 1},
	"fcoa":                   {"login.cross_origin", event.OutcomeFailure, event.ClassAuthentication, 1},
	"slo":                    {"logout", event.OutcomeSuccess, event.ClassAuthentication, 2},
	"flo":                    {"logout", event.OutcomeFailure, event.ClassAuthentication, 2},
	"ss":                     {"signup", event.OutcomeSuccess, event.ClassAccountChange, 1},
	"fs":                     {"signup", event.OutcomeFailure, event.ClassAccountChange, 1},
	"scp":                    {"password.change", event.OutcomeSuccess, event.ClassAccountChange, 3},
	"fcp":                    {"password.change", event.OutcomeFailure, event.ClassAccountChange, 3},
	"scpr":                   {"password.change_request", event.OutcomeSuccess, event.ClassAccountChange, 4},
	"fcpr":                   {"password.change_request", event.OutcomeFailure, event.ClassAccountChange, 4},
	"sdu":                    {"user.delete", event.OutcomeSuccess, event.ClassAccountChange, 6},
	"fdu":                    {"user.delete", event.OutcomeFailure, event.ClassAccountChange, 6},
	"seacft":                 {"token.exchange", event.OutcomeSuccess, event.ClassAuthentication, 99},
	"feacft":                 {"token.exchange", event.OutcomeFailure, event.ClassAuthentication, 99},
	"seccft":                 {"token.client_credentials", event.OutcomeSuccess, event.ClassAuthentication, 99},
	"feccft":                 {"token.client_credentials", event.OutcomeFailure, event.ClassAuthentication, 99},
	"sertft":                 {"token.refresh", event.OutcomeSuccess, event.ClassAuthentication, 99},
	"fertft":                 {"token.refresh", event.OutcomeFailure, event.ClassAuthentication, 99},
	"limit_wc":               {"login.blocked_account", event.OutcomeFailure, event.ClassAuthentication, 1},
	"limit_mu":               {"login.blocked_address", event.OutcomeFailure, event.ClassAuthentication, 1},
	"limit_sul":              {"login.blocked_account", event.OutcomeFailure, event.ClassAuthentication, 1},
	"gd_auth_succeed":        {"mfa.authenticate", event.OutcomeSuccess, event.ClassAuthentication, 99},
	"gd_auth_failed":         {"mfa.authenticate", event.OutcomeFailure, event.ClassAuthentication, 99},
	"gd_auth_rejected":       {"mfa.authenticate", event.OutcomeFailure, event.ClassAuthentication, 99},
	"gd_send_pn":             {"mfa.push", event.OutcomeUnknown, event.ClassAuthentication, 99},
	"gd_enrollment_complete": {"mfa.enroll", event.OutcomeSuccess, event.ClassAccountChange, 10},
	"gd_unenroll":            {"mfa.disable", event.OutcomeSuccess, event.ClassAccountChange, 11},
}
