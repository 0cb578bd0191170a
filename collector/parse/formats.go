// Package parse turns a stream of bytes into events: it finds the records in
// it (lines, NDJSON, JSON arrays, pretty-printed or concatenated JSON,
// {"Records":[…]}), reads each with the parser of its format, gives it an id,
// and sets aside what no parser takes.
//
// Invariant: every record of the stream is handed out exactly once, as one or
// more events or as one quarantined line with its bytes, place and a reason
// that says what to do; a bad record never stops the ones around it. The same
// bytes give the same ids. Memory is bounded whatever the stream holds. The
// package does no I/O but reading from the reader it is given, and has no
// clock.
//
// A new parser is one package and one line in the table below.
package parse

import (
	"fmt"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/authlog"
	"github.com/tenantwatch/tenantwatch/collector/parse/cloudtrail"
	"github.com/tenantwatch/tenantwatch/collector/parse/combined"
	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/generic"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/collector/parse/ocsf"
	"github.com/tenantwatch/tenantwatch/collector/parse/otlp"
	"github.com/tenantwatch/tenantwatch/collector/parse/products"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/collector/parse/shortform"
	"github.com/tenantwatch/tenantwatch/collector/parse/textlog"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Auto is the format name that has each record's format recognised.
const Auto = "auto"

// Format is one format that can be read.
type Format struct {
	Name    string // as given to --format and ?format=
	Title   string // for people
	Example string // one record
	JSON    bool   // records are JSON objects, else lines of text
	// Envelope: a record may hold one of another format inside.
	Envelope bool
	Both     bool // records are either

	// Detect, for a product whose records are JSON, says how surely a record is
	// the product's, 0 to 0.95. Formats with it come after those without.
	Detect func(*doc.Doc) float64

	// Sniff says how much a record looks like the format, 0 to 1.
	Sniff func(raw string) float64
	// Weak, when set, says that the parser would take a record that another may
	// know better.
	Weak func(raw string) bool
	// New makes a parser for one stream.
	New func() record.Parser
}

// The table. The order breaks ties of recognition.
var formats = []Format{
	{Name: shortform.Name, Title: "Short JSON form (time, actor, action)", JSON: true, Sniff: shortform.Sniff, New: shortform.New,
		Example: `{"time":"2026-03-01T09:15:02Z","actor":"alice@acme.example","action":"login","outcome":"success","src_ip":"203.0.113.7"}`},
	{Name: ocsf.Name, Title: "OCSF 1.8", JSON: true, Sniff: ocsf.Sniff, New: ocsf.New,
		Example: `{"class_uid":3002,"activity_id":1,"status_id":1,"time":1772356502000,"user":{"name":"alice"},"src_endpoint":{"ip":"203.0.113.7"},"metadata":{"uid":"e1","version":"1.8.0"}}`},
	{Name: cloudtrail.Name, Title: "AWS CloudTrail", JSON: true, Sniff: cloudtrail.Sniff, New: cloudtrail.New,
		Example: `{"eventTime":"2026-03-01T09:15:02Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.7","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/alice"},"eventID":"6f7b5a0e-0001-4c1e-9f0e-3f1d5a6b7c8d"}`},
	{Name: otlp.Name, Title: "OpenTelemetry log record", JSON: true, Envelope: true, Sniff: otlp.Sniff, New: otlp.New,
		Example: `{"timeUnixNano":"1772356502000000000","eventName":"login","attributes":{"user.id":"alice","client.address":"203.0.113.7"},"resource":{"service.name":"shop"}}`},
	{Name: combined.Name, Title: "Apache/nginx access log (common, combined)", Sniff: combined.Sniff, New: combined.New,
		Example: `203.0.113.7 - alice [01/Mar/2026:09:15:02 +0000] "GET /index.html HTTP/1.1" 200 2326 "-" "Mozilla/5.0"`},
	{Name: authlog.Name, Title: "auth.log (sshd, sudo, su, cron, PAM)", Sniff: authlog.Sniff, Weak: authlog.Weak, New: authlog.New,
		Example: `Mar  1 09:15:02 web1 sshd[1234]: Failed password for root from 203.0.113.7 port 52100 ssh2`},
	{Name: textlog.HAProxy, Title: "HAProxy (httplog, tcplog)", Sniff: textlog.SniffHAProxy, New: textlog.NewHAProxy,
		Example: `203.0.113.7:52100 [01/Mar/2026:09:15:02.123] https-in app/web1 10/0/30/69/109 200 2326 - - ---- 1/1/1/1/0 0/0 "GET /index.html HTTP/1.1"`},
	{Name: textlog.Syslog, Envelope: true, Title: "Syslog (RFC 5424, RFC 3164 with priority)", Sniff: textlog.SniffSyslog, New: textlog.NewSyslog,
		Example: `<86>1 2026-03-01T09:15:02.123Z web1 sshd 1234 - - Accepted publickey for alice from 203.0.113.7 port 52100 ssh2`},
	product(products.Okta()), product(products.GitHub()), product(products.Workspace()), product(products.Microsoft365()), product(products.Slack()),
	product(products.Auth0()), product(products.GCP()), product(products.Kubernetes()), product(products.Azure()), product(products.OnePassword()), product(products.Atlassian()),
	product(products.Zendesk()), product(products.Box()), product(products.Caddy()),
	product(products.Traefik()).text(SniffNever, combined.New), product(products.Envoy()).text(textlog.SniffEnvoy, textlog.NewEnvoy),
	product(products.AccessJSON()), product(products.Postgres()).text(textlog.SniffPostgres, textlog.NewPostgres),
	{Name: generic.Name, Title: "JSON of any other product", JSON: true, Sniff: generic.Sniff, New: generic.New,
		Example: `{"event":{"type":"user.login","occurredAt":"2026-03-01T09:15:02Z","actor":{"email":"alice@acme.example"},"context":{"clientIp":"203.0.113.7"},"result":"success"}}`},
}

// native is how many formats at the head of the table are known by certain
// members of their objects.
const native = 4

// product is a row for a product whose records are JSON.
func product(p products.Product) Format {
	return Format{Name: p.Name, Title: p.Title, Example: p.Example, JSON: true, Sniff: products.Sniff(p), Detect: p.Detect, New: products.New(p)}
}

// SniffNever is for formats that are not recognised by themselves.
func SniffNever(string) float64 { return 0 }

// text adds the form in lines of text to a row for JSON.
func (f Format) text(sniff func(string) float64, parser func() record.Parser) Format {
	inJSON, detect := f.New, f.Sniff
	f.Both = true
	f.New = func() record.Parser { return &both{json: inJSON(), text: parser()} }
	f.Sniff = func(raw string) float64 {
		if raw != "" && raw[0] == '{' {
			return detect(raw)
		}
		return sniff(raw)
	}
	return f
}

// both reads JSON with one parser and lines with another.
type both struct{ json, text record.Parser }

func (b *both) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	if raw[0] == '{' {
		return b.json.Parse(raw, env, emit)
	}
	return b.text.Parse(raw, env, emit)
}

func (b *both) ParseDoc(d *doc.Doc, env *record.Env, emit func(*event.Event)) error {
	return b.json.(docParser).ParseDoc(d, env, emit)
}

// Formats lists what can be read, for documents, usage texts and checks. The
// slice is the caller's.
func Formats() []Format { return append([]Format(nil), formats...) }

// names is "auto, shortform, …".
func names() string {
	s := []string{Auto}
	for i := range formats {
		s = append(s, formats[i].Name)
	}
	return strings.Join(s, ", ")
}

// CheckFormat says whether name is a format or auto ("" is auto), or
// "mapping:NAME" for one of the mappings.
func CheckFormat(name string, mappings ...*mapping.Mapping) error {
	if m, ok := strings.CutPrefix(name, mapping.Prefix); ok {
		var have []string
		for _, x := range mappings {
			if x.Name == m {
				return nil
			}
			have = append(have, x.Format())
		}
		if len(have) == 0 {
			return fmt.Errorf("format %q is not known: this tenant has no mappings", name)
		}
		return fmt.Errorf("format %q is not known: use one of %s", name, strings.Join(have, ", "))
	}
	if name == "" || name == Auto || lookup(name) >= 0 {
		return nil
	}
	return fmt.Errorf("format %q is not known: use one of %s", name, names())
}

func lookup(name string) int {
	for i := range formats {
		if formats[i].Name == name {
			return i
		}
	}
	return -1
}
