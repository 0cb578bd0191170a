package products

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// microsoft365 is the Office 365 Management Activity API (common schema, with
// the Entra, Exchange and SharePoint parts).
var microsoft365 = Product{
	Name: "microsoft365", Title: "Microsoft 365 / Entra (Management Activity API)",
	Example: `{"CreationTime":"2026-03-01T09:15:02","Id":"5e5f6a70-0001-4c1e-9f0e-3f1d5a6b7c8d","Operation":"UserLoggedIn","OrganizationId":"11111111-2222-3333-4444-555555555555","RecordType":15,"ResultStatus":"Success","UserKey":"10030000","UserType":0,"Workload":"AzureActiveDirectory","ClientIP":"203.0.113.7","ObjectId":"app-1","UserId":"alice@acme.example","ExtendedProperties":[{"Name":"UserAgent","Value":"Mozilla/5.0"}]}`,
	Detect: func(d *doc.Doc) float64 {
		n := 0.0
		for _, p := range [...]string{"operation", "workload", "recordtype", "creationtime", "userkey", "usertype", "organizationid"} {
			if d.Has(p) {
				n += .17
			}
		}
		if !d.Has("operation") {
			return 0
		}
		return min(n, .95)
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetID(b, "id")
		d.SetTime(b, env, "creationtime")
		if s := d.Text("operation"); s != "" {
			b.Action = strings.TrimSuffix(s, ".")
			d.Note("action")
		}
		if s := d.Peek("userid"); s != "Not Available" && s != "Unknown" {
			d.Set(&b.Actor, "actor", "userid")
		}
		d.Set(&b.Actor, "actor", "mailboxownerupn", "userkey")
		switch d.Peek("usertype") {
		case "0", "2", "3":
			b.ActorType = "user"
		case "4", "5", "6", "1":
			b.ActorType = "service"
		}
		d.SetIP(b, "actoripaddress", "clientip", "clientipaddress", "senderip")
		d.Set(&b.UserAgent, "user_agent", "extendedproperties.useragent", "useragent", "clientinfostring")
		d.Set(&b.Resource, "resource", "objectid", "sourcefilename", "targetuserorgroupname", "siteurl")
		d.Set(&b.ResourceType, "resource_type", "itemtype", "workload")
		d.Set(&b.Session, "session", "appaccesscontext.aadsessionid", "sessionid")
		b.AddText("workload", d.Peek("workload"))
		result := d.Text("resultstatus")
		d.Note("outcome")
		outcome(b, result, " Success Succeeded True PartiallySucceeded ", " Failed Failure False ")
		if e := d.Text("logonerror"); e != "" {
			b.Outcome = event.OutcomeFailure
			b.AddLabel("error", e)
		}
		switch b.Action {
		case "UserLoggedIn", "MailboxLogin", "TeamsSessionStarted":
			act(b, event.ClassAuthentication, 1)
			if b.Outcome == event.OutcomeUnknown {
				b.Outcome = event.OutcomeSuccess
			}
		case "UserLoginFailed":
			act(b, event.ClassAuthentication, 1)
			b.Outcome = event.OutcomeFailure
		case "Add user":
			act(b, event.ClassAccountChange, 1)
		case "Delete user":
			act(b, event.ClassAccountChange, 6)
		case "Update user", "Set-User":
			act(b, event.ClassAccountChange, 99)
		case "Add member to role", "Add member to group":
			act(b, event.ClassAccountChange, 7)
		case "Reset user password":
			act(b, event.ClassAccountChange, 4)
		case "FileDownloaded", "FileAccessed", "FilePreviewed", "MailItemsAccessed":
			act(b, event.ClassAPIActivity, 2)
		}
	},
}
