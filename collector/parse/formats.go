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
	"github.com/tenantwatch/tenantwatch/collector/parse/ocsf"
	"github.com/tenantwatch/tenantwatch/collector/parse/otlp"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/collector/parse/shortform"
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

	// Sniff says how much a record looks like the format, 0 to 1.
	Sniff func(raw string) float64
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
	{Name: combined.Name, Title: "Apache/nginx access log (common, combined)", Sniff: combined.Sniff, New: combined.New,
		Example: `203.0.113.7 - alice [01/Mar/2026:09:15:02 +0000] "GET /index.html HTTP/1.1" 200 2326 "-" "Mozilla/5.0"`},
	{Name: authlog.Name, Title: "auth.log (sshd, sudo, su, cron, PAM)", Sniff: authlog.Sniff, New: authlog.New,
		Example: `Mar  1 09:15:02 web1 sshd[1234]: Failed password for root from 203.0.113.7 port 52100 ssh2`},
	{Name: otlp.Name, Title: "OpenTelemetry log record", JSON: true, Envelope: true, Sniff: otlp.Sniff, New: otlp.New,
		Example: `{"timeUnixNano":"1772356502000000000","eventName":"login","attributes":{"user.id":"alice","client.address":"203.0.113.7"},"resource":{"service.name":"shop"}}`},
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

// CheckFormat says whether name is a format or auto ("" is auto).
func CheckFormat(name string) error {
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
