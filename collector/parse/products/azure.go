package products

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// azure is what Azure Monitor exports: the activity log, resource logs, and
// Entra's sign-in and audit logs, which share an envelope.
var azure = Product{
	Name: "azure", Title: "Azure activity, Entra sign-in and audit logs (Azure Monitor)",
	Example: `{"time":"2026-03-01T09:15:02.1234567Z","resourceId":"/tenants/11111111-2222-3333-4444-555555555555/providers/Microsoft.aadiam","operationName":"Sign-in activity","category":"SignInLogs","resultType":"50126","callerIpAddress":"203.0.113.7","correlationId":"c0ffee00-0001-4c1e-9f0e-3f1d5a6b7c8d","properties":{"id":"5e5f6a70-0002-4c1e-9f0e-3f1d5a6b7c8d","userPrincipalName":"alice@acme.example","userAgent":"Mozilla/5.0","ipAddress":"203.0.113.7","status":{"errorCode":50126,"failureReason":"Invalid username or password."},"location":{"city":"Berlin","countryOrRegion":"DE","geoCoordinates":{"latitude":52.5,"longitude":13.4}}}}`,
	Detect: func(d *doc.Doc) float64 {
		if !d.Has("operationname", "operationname.value") {
			return 0
		}
		n := .1
		for _, c := range [...]struct {
			path string
			w    float64
		}{
			{"resourceid", .35}, {"category", .15}, {"resulttype", .15}, {"calleripaddress", .25}, {"correlationid", .15}, {"tenantid", .1},
			{"properties", .1}, {"resultsignature", .1}, {"operationversion", .15}, {"identity", .05}, {"caller", .1}, {"authorization", .1},
		} {
			if d.Has(c.path) {
				n += c.w
			}
		}
		if strings.HasPrefix(d.Peek("operationname", "operationname.value"), "Microsoft.") {
			n += .3
		}
		return min(n, .95)
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		const p = "properties."
		// Events of one operation share the correlation id: it is no id.
		d.SetID(b, p+"id", "eventdataid", p+"eventdataid")
		d.SetTime(b, env, "time", "eventtimestamp", p+"createddatetime", p+"activitydatetime", "timestamp")
		d.Set(&b.Action, "action", "operationname", "operationname.value")
		claims := "identity.claims."
		const upn = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
		d.Set(&b.Actor, "actor", p+"userprincipalname", p+"initiatedby.user.userprincipalname", p+"initiatedby.user.displayname", p+"initiatedby.app.displayname",
			p+"initiatedby.user.id", "caller", p+"caller", claims+upn+"upn", claims+upn+"name", claims+upn+"emailaddress", "claims."+upn+"upn", claims+"name", claims+"appid",
			"properties.actor.upn", p+"serviceprincipalname", "identity.authorization.evidence.principalid", p+"userdisplayname", p+"serviceprincipalid", p+"userid",
			p+"requestbody.properties.principalid", p+"accountupn")
		if b.Actor == "" {
			if v := d.Find("identity"); v != nil && v.Kind == record.String {
				d.Set(&b.Actor, "actor", "identity")
			}
		}
		d.SetIP(b, "calleripaddress", p+"ipaddress", p+"initiatedby.user.ipaddress", p+"clientipaddress", p+"clientip", "httprequest.clientipaddress")
		d.Set(&b.UserAgent, "user_agent", p+"useragent", p+"useragentheader")
		d.Set(&b.City, "city", p+"location.city")
		d.SetCountry(b, p+"location.countryorregion", "location")
		d.SetPosition(b, p+"location.geocoordinates.latitude", p+"location.geocoordinates.longitude")
		if s := d.Text(p + "autonomoussystemnumber"); s != "" {
			b.SetASN(s)
			d.Note("asn")
		}
		d.Set(&b.Device, "device", p+"devicedetail.displayname", p+"devicedetail.deviceid")
		d.Set(&b.Session, "session", p+"sessionid", p+"uniquetokenidentifier")
		if strings.HasPrefix(d.Peek("category"), "Audit") {
			d.Set(&b.Resource, "resource", p+"targetresources.0.userprincipalname", p+"targetresources.0.displayname", p+"targetresources.0.id")
			d.Set(&b.ResourceType, "resource_type", p+"targetresources.0.type")
		}
		d.Set(&b.Resource, "resource", p+"appdisplayname", p+"resourcedisplayname", "resourceid")
		b.AddText("category", d.Text("category"))
		signIn := strings.Contains(d.Peek("category"), "SignIn") || strings.HasPrefix(b.Action, "Sign-in")
		switch code := d.Text(p+"status.errorcode", p+"errorcode"); {
		case code == "":
		case code == "0":
			b.Outcome = event.OutcomeSuccess
			d.Note("outcome")
		default:
			b.Outcome = event.OutcomeFailure
			d.Note("outcome")
		}
		for _, path := range [...]string{p + "result", "resulttype", "result", "status.value", "status", "resultsignature", "properties.status", "activitystatus", "resultdescription"} {
			if b.Outcome != event.OutcomeUnknown {
				break
			}
			s := d.Peek(path)
			switch {
			case s == "0":
				b.Outcome = event.OutcomeSuccess
			case signIn && path == "resulttype" && len(s) >= 5 && s[0] >= '1' && s[0] <= '9':
				b.Outcome = event.OutcomeFailure // an AADSTS code
			default:
				outcome(b, strings.TrimSuffix(s, "."), " Success Succeeded Succeess Accept Accepted Start Started OK Created SUCCESS ", " Failure Failed Fail Error Denied Forbidden Unauthorized ")
				if n, ok := record.Uint(s, 599); ok && n >= 100 {
					b.Status = uint16(n)
					status(b)
				}
			}
			if b.Outcome != event.OutcomeUnknown {
				d.Text(path)
				d.Note("outcome")
			}
		}
		low := strings.ToLower(b.Action)
		switch {
		case signIn:
			act(b, event.ClassAuthentication, 1)
		case strings.HasPrefix(low, "add member to role"), strings.Contains(low, "roleassignments/write"):
			act(b, event.ClassAccountChange, 7)
		case strings.Contains(low, "roleassignments/delete"):
			act(b, event.ClassAccountChange, 8)
		case low == "add user":
			act(b, event.ClassAccountChange, 1)
		case low == "delete user":
			act(b, event.ClassAccountChange, 6)
		case strings.HasSuffix(low, "/write"):
			act(b, event.ClassAPIActivity, 3)
		case strings.HasSuffix(low, "/delete"):
			act(b, event.ClassAPIActivity, 4)
		case strings.HasSuffix(low, "/read"):
			act(b, event.ClassAPIActivity, 2)
		}
	},
}
