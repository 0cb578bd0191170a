package products

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// gcp is Google Cloud's audit log: a LogEntry with an AuditLog in protoPayload.
var gcp = Product{
	Name: "gcp_audit", Title: "Google Cloud audit log",
	Example: `{"insertId":"1a2b3c4d5e","logName":"projects/acme/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2026-03-01T09:15:02.123Z","severity":"NOTICE","resource":{"type":"project","labels":{"project_id":"acme"}},"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","status":{},"authenticationInfo":{"principalEmail":"alice@acme.example"},"requestMetadata":{"callerIp":"203.0.113.7","callerSuppliedUserAgent":"gcloud"},"serviceName":"cloudresourcemanager.googleapis.com","methodName":"SetIamPolicy","resourceName":"projects/acme","authorizationInfo":[{"resource":"projects/acme","permission":"resourcemanager.projects.setIamPolicy","granted":true}]}}`,
	Detect: func(d *doc.Doc) float64 {
		n := 0.0
		if d.Has("protopayload") {
			n = .6
			if d.Has("protopayload.methodname", "protopayload.servicename") {
				n = .9
			}
		}
		return n
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		const p = "protopayload."
		d.SetID(b, "insertid")
		d.SetTime(b, env, "timestamp", p+"requestmetadata.requestattributes.time", "receivetimestamp")
		d.Set(&b.Action, "action", p+"methodname", p+"authorizationinfo.0.permission")
		if b.Action == "" {
			d.Set(&b.Action, "action", p+"servicename")
		}
		b.AddText("service", d.Text(p+"servicename"))
		d.Set(&b.Actor, "actor", p+"authenticationinfo.principalemail", p+"authenticationinfo.principalsubject",
			p+"authenticationinfo.serviceaccountdelegationinfo.0.firstpartyprincipal.principalemail", p+"authenticationinfo.authorityselector")
		switch {
		case strings.HasSuffix(b.Actor, "gserviceaccount.com"), strings.HasPrefix(b.Actor, "system:"):
			b.ActorType = "service"
		case strings.IndexByte(b.Actor, '@') > 0:
			b.ActorType = "user"
		}
		switch ip := d.Peek(p + "requestmetadata.callerip"); ip {
		case "", "private", "gce-internal-ip":
		default:
			d.SetIP(b, p+"requestmetadata.callerip")
		}
		d.Set(&b.UserAgent, "user_agent", p+"requestmetadata.callersupplieduseragent")
		d.Set(&b.Resource, "resource", p+"resourcename", p+"request.resource", p+"authorizationinfo.0.resource")
		d.Set(&b.ResourceType, "resource_type", "resource.type")
		// google.rpc.Status: no code, or 0, is success; it is empty when all went well.
		code := d.Text(p+"status.code", p+"status.message")
		d.Note("outcome")
		switch {
		case code != "" && code != "0":
			b.Outcome = event.OutcomeFailure
		case d.Has(p + "status"):
			b.Outcome = event.OutcomeSuccess
		}
		for i := range d.Values {
			if v := &d.Values[i]; strings.EqualFold(v.Key, "granted") && v.Up != nil && strings.HasPrefix(strings.ToLower(v.Path), p+"authorizationinfo") {
				if v.Text == "false" {
					b.Outcome = event.OutcomeFailure
				} else if b.Outcome == event.OutcomeUnknown && v.Text == "true" {
					b.Outcome = event.OutcomeSuccess
				}
				d.Took("outcome", v)
			}
		}
		switch a := b.Action[strings.LastIndexByte(b.Action, '.')+1:]; {
		case strings.EqualFold(a, "SetIamPolicy"):
			act(b, event.ClassAccountChange, 7)
		case strings.HasPrefix(a, "CreateServiceAccount"):
			act(b, event.ClassAccountChange, 1)
		case strings.HasPrefix(a, "Create"), strings.HasPrefix(a, "create"), a == "insert":
			act(b, event.ClassAPIActivity, 1)
		case strings.HasPrefix(a, "Delete"), strings.HasPrefix(a, "delete"):
			act(b, event.ClassAPIActivity, 4)
		case strings.HasPrefix(a, "Get"), strings.HasPrefix(a, "List"), strings.HasPrefix(a, "get"), strings.HasPrefix(a, "list"):
			act(b, event.ClassAPIActivity, 2)
		case strings.HasPrefix(a, "Update"), strings.HasPrefix(a, "Patch"), strings.HasPrefix(a, "update"), strings.HasPrefix(a, "patch"):
			act(b, event.ClassAPIActivity, 3)
		}
	},
}
