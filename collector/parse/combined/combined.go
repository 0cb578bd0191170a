// Package combined reads the access logs of Apache httpd and nginx: the common
// log format, the combined one (referrer and user agent behind it), and either
// with the virtual host in front.
//
// Invariant: a line with a readable time and the shape of the format becomes an
// event; what is odd within it (a request that is no HTTP, a cut-off user
// agent) is kept and flagged. An anonymous request's actor is its address, with
// no actor type, so that a client has a baseline of its own.
package combined

import (
	"errors"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Name is the format's name.
const Name = "combined"

// Parser reads access log lines.
type Parser struct{ b record.Builder }

// New returns a parser for one stream.
func New() record.Parser { return &Parser{} }

var errShape = errors.New(`not an access log line: want host ident user [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 2326, with or without "referrer" "user agent"`)

// fields are the parts of a line, as they stand in it.
type fields struct {
	vhost, host, ident, user, when, request, status, size, referrer, agent, rest string
	short                                                                        bool // a quoted part had no end
}

func split(line string) (f fields, ok bool) {
	open := strings.IndexByte(line, '[')
	if open < 0 {
		return f, false
	}
	// A remote user may hold spaces, so host and ident are taken from the left
	// and the user is what remains.
	head := strings.TrimSuffix(line[:open], " ")
	if head == line[:open] {
		return f, false
	}
	var more bool
	if f.host, head, more = strings.Cut(head, " "); !more {
		return f, false
	}
	if f.ident, f.user, more = strings.Cut(head, " "); !more {
		return f, false
	}
	if i := strings.IndexByte(f.user, ' '); i > 0 && f.user[:i] == "-" && f.ident != "-" {
		// vhost:port host - user
		f.vhost, f.host, f.ident, f.user = f.host, f.ident, "-", f.user[i+1:]
	}
	end := strings.IndexByte(line[open:], ']')
	if end < 0 || f.host == "" || f.user == "" {
		return f, false
	}
	f.when = line[open+1 : open+end]
	rest, found := strings.CutPrefix(line[open+end+1:], ` "`)
	if !found {
		return f, false
	}
	var closed bool
	if f.request, rest, closed = quoted(rest); !closed {
		return f, false
	}
	rest, found = strings.CutPrefix(rest, " ")
	if !found {
		return f, false
	}
	f.status, rest, _ = strings.Cut(rest, " ")
	f.size, rest, _ = strings.Cut(rest, " ")
	if f.status == "" || f.size == "" {
		return f, false
	}
	if r, found := strings.CutPrefix(rest, `"`); found {
		if f.referrer, rest, closed = quoted(r); !closed {
			f.short = true
		}
		if r, found = strings.CutPrefix(rest, ` "`); found {
			if f.agent, rest, closed = quoted(r); !closed {
				f.short = true
			}
		}
	}
	f.rest = strings.TrimSpace(rest)
	return f, true
}

// quoted reads up to the closing quote; a backslash protects one character.
func quoted(s string) (text, rest string, closed bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// unquote undoes the escapes Apache (\" \\ \xhh \n …) and nginx (\xhh) write.
func unquote(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		i++
		switch s[i] {
		case '"', '\\':
			b = append(b, s[i])
		case 'n':
			b = append(b, '\n')
		case 't':
			b = append(b, '\t')
		case 'r':
			b = append(b, '\r')
		case 'x':
			if i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0 {
				b = append(b, byte(hex(s[i+1])<<4|hex(s[i+2])))
				i += 2
				continue
			}
			b = append(b, '\\', 'x')
		default:
			b = append(b, '\\', s[i])
		}
	}
	return strings.ToValidUTF8(string(b), "\ufffd")
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// Parse reads one line.
func (p *Parser) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	f, ok := split(raw)
	if !ok {
		return errShape
	}
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", f.when)
	if err != nil {
		return errors.New("the time in [ ] cannot be read: want the form 10/Oct/2000:13:55:36 -0700")
	}
	b := &p.b
	b.Begin(env, Name, raw)
	if b.Time, err = record.CheckTime(at, f.when); err != nil {
		return err
	}
	b.Class = event.ClassHTTPActivity
	b.SetIP(f.host)
	b.Actor = f.host
	if b.SrcIP != "" {
		b.Actor = b.SrcIP
	}
	if f.user != "-" && f.user != `""` {
		b.Actor, b.ActorType = unquote(f.user), "user"
	}
	if f.ident != "-" {
		b.AddLabel("ident", f.ident)
	}
	b.AddText("vhost", f.vhost)
	p.request(f.request)
	b.SetStatus(f.status)
	switch {
	case b.Status >= 400:
		b.Outcome = event.OutcomeFailure
	case b.Status >= 100:
		b.Outcome = event.OutcomeSuccess
	}
	b.SetBytes(&b.BytesOut, "bytes_out", f.size)
	if f.referrer != "-" {
		b.AddText("referrer", unquote(f.referrer))
	}
	if f.agent != "-" {
		b.UserAgent = unquote(f.agent)
	}
	if f.short {
		b.Flags |= event.FlagTruncated
	}
	if !p.traefik(f.rest) {
		b.AddText("extra", f.rest)
	}
	e, err := b.Finish(env)
	if err != nil {
		return err
	}
	emit(e)
	return nil
}

// traefik reads what Traefik writes behind the combined format: the number of
// the request, router and server in quotes, and the duration in ms.
func (p *Parser) traefik(s string) bool {
	number, rest, ok := strings.Cut(s, ` "`)
	router, rest, ok2 := strings.Cut(rest, `" "`)
	server, rest, ok3 := strings.Cut(rest, `" `)
	ms, ok4 := strings.CutSuffix(rest, "ms")
	if !ok || !ok2 || !ok3 || !ok4 || strings.Trim(number, "0123456789") != "" || strings.Trim(ms, "0123456789") != "" || ms == "" {
		return false
	}
	p.b.SetDuration(ms)
	p.b.AddText("router", router)
	p.b.AddText("server", server)
	return true
}

// methods gives OCSF's activity_id of an HTTP method and the action.
var methods = map[string]struct {
	activity uint8
	action   string
}{
	"CONNECT": {1, "http.connect"}, "DELETE": {2, "http.delete"}, "GET": {3, "http.get"}, "HEAD": {4, "http.head"},
	"OPTIONS": {5, "http.options"}, "POST": {6, "http.post"}, "PUT": {7, "http.put"}, "TRACE": {8, "http.trace"},
	"PATCH": {9, "http.patch"}, "PROPFIND": {99, "http.propfind"},
}

// request reads `GET /path?query HTTP/1.1`. What has another shape (a port
// scan, TLS sent to a plain port) is the action http.invalid.
func (p *Parser) request(s string) {
	b := &p.b
	method, rest, ok := strings.Cut(s, " ")
	m, known := methods[method]
	if !ok || !known && !token(method) || rest == "" {
		b.Action, b.Activity = "http.invalid", 99
		if s != "-" && s != "" {
			b.Invalid("request", unquote(s))
		}
		return
	}
	if !known {
		m.activity, m.action = 99, "http."+strings.ToLower(method)
	}
	b.Action, b.Activity, b.HTTPMethod = m.action, m.activity, method
	target := rest
	if i := strings.LastIndex(rest, " HTTP/"); i >= 0 {
		target = rest[:i]
		if proto := rest[i+1:]; proto != "HTTP/1.1" {
			b.AddLabel("protocol", proto)
		}
	}
	path, query, _ := strings.Cut(target, "?")
	b.Resource, b.ResourceType = unquote(path), "path"
	b.AddText("query", unquote(query))
}

// token says that s could be a method: 1 to 24 capitals, digits, '_' or '-'.
func token(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 24
}

// Sniff says how much a line looks like this format, 0 to 1.
func Sniff(raw string) float64 {
	f, ok := split(raw)
	if !ok {
		return 0
	}
	if _, err := time.Parse("02/Jan/2006:15:04:05 -0700", f.when); err != nil {
		return 0.2
	}
	if len(f.status) == 3 {
		return 1
	}
	return 0.8
}
