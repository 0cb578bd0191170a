package products

import (
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// methods gives OCSF's activity_id of HTTP Activity.
var methods = map[string]uint8{"CONNECT": 1, "DELETE": 2, "GET": 3, "HEAD": 4, "OPTIONS": 5, "POST": 6, "PUT": 7, "TRACE": 8, "PATCH": 9}

// Request sets what an access log says about one request. target may hold a
// query, which becomes a label.
func Request(b *record.Builder, method, target, user string) {
	b.Class = event.ClassHTTPActivity
	method = strings.ToUpper(method)
	a, known := methods[method]
	switch {
	case known:
		b.Action, b.Activity, b.HTTPMethod = "http."+strings.ToLower(method), a, method
	case method != "" && len(method) <= 24 && strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-") == "":
		b.Action, b.Activity, b.HTTPMethod = "http."+strings.ToLower(method), 99, method
	default:
		b.Action, b.Activity = "http.invalid", 99
	}
	path, query, _ := strings.Cut(target, "?")
	if path != "" {
		b.Resource, b.ResourceType = path, "path"
	}
	b.AddText("query", query)
	if !doc.Absent(user) {
		b.Actor, b.ActorType = user, "user"
	} else if b.Actor == "" {
		b.Actor = b.SrcIP
	}
	status(b)
}

// seconds sets the duration from a number of seconds.
func seconds(b *record.Builder, d *doc.Doc, s string, scale float64) {
	if f, ok := record.Float(s); ok && f >= 0 {
		b.Duration = f * scale
		d.Note("duration")
	}
}

// caddy is the access log of Caddy 2.
var caddy = Product{
	Name: "caddy", Title: "Caddy access log (JSON)",
	Example: `{"level":"info","ts":1772356502.123,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"203.0.113.7","remote_port":"41342","client_ip":"203.0.113.7","proto":"HTTP/2.0","method":"GET","host":"acme.example","uri":"/index.html?x=1","headers":{"User-Agent":["Mozilla/5.0"]}},"bytes_read":0,"user_id":"","duration":0.0123,"size":2326,"status":200}`,
	Detect: func(d *doc.Doc) float64 {
		if strings.HasPrefix(d.Peek("logger"), "http.log.access") {
			return .95
		}
		if d.HasAll("request.method", "request.uri", "status") && d.Has("request.remote_ip", "request.remote_addr", "request.client_ip") {
			return .85
		}
		return 0
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetTime(b, env, "ts", "timestamp")
		d.SetIP(b, "request.client_ip", "request.remote_ip", "request.remote_addr")
		d.Set(&b.UserAgent, "user_agent", "request.headers.user-agent")
		d.SetStatus(b, "status")
		d.SetBytes(&b.BytesOut, "bytes_out", "size")
		d.SetBytes(&b.BytesIn, "bytes_in", "bytes_read")
		seconds(b, d, d.Text("duration"), 1000)
		b.AddText("vhost", d.Text("request.host"))
		Request(b, d.Text("request.method"), d.Text("request.uri"), d.Text("user_id"))
	},
}

// traefik is the access log of Traefik in JSON.
var traefik = Product{
	Name: "traefik", Title: "Traefik access log (JSON, CLF)",
	Example: `{"ClientAddr":"203.0.113.7:52100","ClientHost":"203.0.113.7","ClientUsername":"-","DownstreamContentSize":2326,"DownstreamStatus":200,"Duration":12300000,"RequestHost":"acme.example","RequestMethod":"GET","RequestPath":"/index.html","RequestProtocol":"HTTP/2.0","RouterName":"web@docker","ServiceName":"app@docker","StartUTC":"2026-03-01T09:15:02.123456789Z","request_User-Agent":"Mozilla/5.0","level":"info","time":"2026-03-01T09:15:02Z"}`,
	Detect: func(d *doc.Doc) float64 {
		if d.HasAll("requestmethod", "requestpath") && d.Has("downstreamstatus", "originstatus", "routername", "clienthost") {
			return .95
		}
		return 0
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetTime(b, env, "startutc", "startlocal", "time")
		d.SetIP(b, "clienthost", "clientaddr")
		d.Set(&b.UserAgent, "user_agent", "request_user-agent")
		d.SetStatus(b, "downstreamstatus", "originstatus")
		d.SetBytes(&b.BytesOut, "bytes_out", "downstreamcontentsize")
		d.SetBytes(&b.BytesIn, "bytes_in", "requestcontentsize")
		seconds(b, d, d.Text("duration"), 1e-6) // nanoseconds
		b.AddText("vhost", d.Text("requesthost"))
		Request(b, d.Text("requestmethod"), d.Text("requestpath"), d.Text("clientusername"))
	},
}

// envoyJSON is Envoy's access log in JSON, with the names of its command
// operators, as its documents and Istio write it.
var envoyJSON = Product{
	Name: "envoy", Title: "Envoy access log (text, JSON)",
	Example: `{"start_time":"2026-03-01T09:15:02.123Z","method":"GET","path":"/index.html","protocol":"HTTP/2","response_code":200,"response_flags":"-","bytes_received":0,"bytes_sent":2326,"duration":12,"downstream_remote_address":"203.0.113.7:52100","x_forwarded_for":"203.0.113.7","user_agent":"Mozilla/5.0","request_id":"5e5f6a70-0003-4c1e-9f0e-3f1d5a6b7c8d","authority":"acme.example","upstream_host":"10.0.0.5:8080"}`,
	Detect: func(d *doc.Doc) float64 {
		if d.HasAll("response_code", "method") && d.Has("response_flags", "upstream_host", "downstream_remote_address") {
			return .95
		}
		return 0
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetTime(b, env, "start_time")
		d.SetIP(b, "x_forwarded_for", "x-forwarded-for", "downstream_remote_address", "downstream_remote_address_without_port", "downstream_direct_remote_address")
		d.Set(&b.UserAgent, "user_agent", "user_agent", "user-agent")
		d.SetStatus(b, "response_code")
		d.SetBytes(&b.BytesOut, "bytes_out", "bytes_sent")
		d.SetBytes(&b.BytesIn, "bytes_in", "bytes_received")
		seconds(b, d, d.Text("duration"), 1)
		b.AddText("vhost", d.Text("authority", ":authority"))
		Request(b, d.Text("method"), d.Text("path", "x-envoy-original-path"), "")
	},
}

// accessJSON is an access log of nginx, Apache httpd or alike whose operator
// chose to write JSON: the names of the fields are theirs, but nearly always
// the server's own names of the variables.
var accessJSON = Product{
	Name: "access_json", Title: "nginx/Apache access log (JSON)",
	Example: `{"time_iso8601":"2026-03-01T09:15:02+00:00","remote_addr":"203.0.113.7","remote_user":"alice","request":"GET /index.html?x=1 HTTP/1.1","status":"200","body_bytes_sent":"2326","request_time":"0.012","http_referer":"","http_user_agent":"Mozilla/5.0","host":"acme.example"}`,
	Detect: func(d *doc.Doc) float64 {
		n := 0.0
		if d.Has("remote_addr", "remoteip", "client_ip", "clientip", "remote_ip", "remotehost", "client", "x_forwarded_for", "http_x_forwarded_for", "a", "h") {
			n += .3
		}
		if d.Has("request", "request_uri", "uri", "requesturi") {
			n += .25
			if v := d.Find("request"); v != nil && v.Kind == record.String && !strings.Contains(v.Text, " ") {
				n -= .15
			}
		}
		if d.Has("status", "response", "response_code", "statuscode", "status_code") {
			n += .2
		}
		if d.Has("body_bytes_sent", "bytes_sent", "http_user_agent", "request_method", "http_referer", "request_time", "useragent", "user_agent", "referer", "upstream_addr", "server_name") {
			n += .2
		}
		if d.Has("action", "actor", "event", "event_type", "eventtype", "operation", "user.id") {
			n -= .4
		}
		if n < .7 {
			return 0
		}
		return min(n, .8)
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetTime(b, env, "time_iso8601", "time_local", "@timestamp", "timestamp", "time", "msec", "ts", "date", "datetime")
		d.SetIP(b, "http_x_forwarded_for", "x_forwarded_for", "xff", "remote_addr", "remoteip", "client_ip", "clientip", "remote_ip", "remotehost", "client", "a", "h")
		d.Set(&b.UserAgent, "user_agent", "http_user_agent", "user_agent", "useragent", "agent")
		d.SetStatus(b, "status", "response", "response_code", "statuscode", "status_code")
		d.SetBytes(&b.BytesOut, "bytes_out", "body_bytes_sent", "bytes_sent", "bytes", "size")
		d.SetBytes(&b.BytesIn, "bytes_in", "request_length", "bytes_received")
		seconds(b, d, d.Text("request_time"), 1000)
		b.AddText("vhost", d.Text("host", "http_host", "server_name", "vhost"))
		method, target := d.Text("request_method", "method", "verb"), d.Text("request_uri", "uri", "requesturi", "path", "url")
		if line := d.Text("request"); line != "" && (method == "" || target == "") {
			m, rest, _ := strings.Cut(line, " ")
			t, _, _ := strings.Cut(rest, " ")
			if method == "" {
				method = m
			}
			if target == "" {
				target = t
			}
		}
		Request(b, method, target, d.Text("remote_user", "user"))
	},
}

// postgresJSON is PostgreSQL's jsonlog; what the message says is read by the
// same words as in its other logs.
var postgresJSON = Product{
	Name: "postgres", Title: "PostgreSQL log: stderr, csvlog, jsonlog (with pgaudit)",
	Example: `{"timestamp":"2026-03-01 09:15:02.123 UTC","user":"alice","dbname":"shop","pid":1234,"remote_host":"203.0.113.7","remote_port":52100,"session_id":"5e5f6a70.4d2","line_num":3,"ps":"SELECT","error_severity":"LOG","message":"AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.orders,select * from orders,<none>","backend_type":"client backend"}`,
	Detect: func(d *doc.Doc) float64 {
		if d.HasAll("error_severity", "message", "pid") && d.Has("backend_type", "session_id", "dbname") {
			return .95
		}
		return 0
	},
	Fill: func(d *doc.Doc, b *record.Builder, env *record.Env, _ int) {
		d.SetTime(b, env, "timestamp")
		d.Set(&b.Actor, "actor", "user")
		if h := d.Peek("remote_host"); h != "[local]" {
			d.SetIP(b, "remote_host")
			b.AddText("src_port", d.Text("remote_port"))
		}
		d.Set(&b.Session, "session", "session_id")
		PostgresMessage(b, d.Text("error_severity"), d.Text("message"), d.Text("dbname"))
		d.Note("action")
		b.AddText("state_code", d.Text("state_code"))
		if n := d.Text("line_num"); n != "" && b.Session != "" && len(b.Session) < 64 {
			if _, err := strconv.ParseUint(n, 10, 63); err == nil {
				b.ID = b.Session + "/" + n
			}
		}
	},
}
