package textlog

import (
	"errors"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/authlog"
	"github.com/tenantwatch/tenantwatch/collector/parse/generic"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Syslog is the name of the format of RFC 5424 messages, one a line, and of
// RFC 3164 messages with their priority.
const Syslog = "syslog"

var errSyslog = errors.New(`not a syslog line: want <34>1 2026-03-01T09:15:02Z host app 123 - - message (RFC 5424), or <34>Mar  1 09:15:02 host app: message (RFC 3164)`)

type syslog struct {
	b     record.Builder
	auth  record.Parser
	json  record.Parser
	inner record.Inner
}

// NewSyslog returns a parser for one stream. Messages of another format go to
// the reader it is nested with; JSON that none knows, to the generic mapper.
func NewSyslog() record.Parser { return &syslog{auth: authlog.New(), json: generic.New()} }

// Nest hands in the reader of messages.
func (p *syslog) Nest(in record.Inner) { p.inner = in }

// priority reads "<34>" in front of a line.
func priority(s string) (pri int, rest string, ok bool) {
	if len(s) < 4 || s[0] != '<' {
		return 0, s, false
	}
	end := strings.IndexByte(s[:min(len(s), 6)], '>')
	if end < 2 || !number(s[1:end]) {
		return 0, s, false
	}
	for _, c := range []byte(s[1:end]) {
		pri = pri*10 + int(c-'0')
	}
	return pri, s[end+1:], pri <= 191
}

// SniffSyslog says how much a line looks like this format, 0 to 1.
func SniffSyslog(raw string) float64 {
	_, rest, ok := priority(raw)
	switch {
	case !ok:
		return 0
	case strings.HasPrefix(rest, "1 "):
		return 1
	case authlog.Sniff(rest) > 0:
		return 0.95 // RFC 3164
	}
	return 0
}

func (p *syslog) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	pri, rest, ok := priority(raw)
	if !ok {
		return errSyslog
	}
	// Whoever reads the inside, the event is of this format and this line.
	outer := func(e *event.Event) {
		e.Format, e.Raw = Syslog, raw
		if e.Severity == 0 {
			e.Severity = ocsfSeverity(pri & 7)
		}
		emit(e)
	}
	rest5, is5424 := strings.CutPrefix(rest, "1 ")
	if !is5424 {
		if err := p.auth.Parse(rest, env, outer); err != nil {
			return errSyslog
		}
		return nil
	}
	var f [5]string // time, host, app, procid, msgid
	for i := range f {
		var more bool
		if f[i], rest5, more = strings.Cut(rest5, " "); !more && i < 4 {
			return errSyslog
		}
		if f[i] == "-" {
			f[i] = ""
		}
	}
	b := &p.b
	b.Begin(env, Syslog, raw)
	message := p.structured(rest5)
	if f[0] == "" {
		b.AssumeTime(env)
	} else {
		ns, err := record.ParseTime(f[0], env.Location())
		if err != nil {
			return err
		}
		b.Time, env.LastTime = ns, ns
	}
	app := f[2]
	if message != "" {
		source := env.Source
		if source == "" {
			env.Source = f[1]
		}
		err := errSyslog
		if p.inner != nil {
			err = p.inner(message, env, outer)
		}
		if err != nil && message[0] == '{' {
			err = p.json.Parse(message, env, outer)
		}
		env.Source = source
		if err == nil {
			return nil
		}
	}
	if f[0] != "" && app != "" && f[1] != "" {
		line := f[0] + " " + f[1] + " " + app + ": " + message
		if authlog.Sniff(line) >= 1 {
			if err := p.auth.Parse(line, env, outer); err == nil {
				return nil
			}
		}
	}
	if b.Source == "" {
		b.Source = f[1]
	} else if f[1] != "" && f[1] != b.Source {
		b.AddLabel("host", f[1])
	}
	if app == "" {
		app = "syslog"
	}
	b.Action = strings.ToLower(app) + ".message"
	if f[4] != "" {
		b.Action = strings.ToLower(app) + "." + strings.ToLower(f[4])
	}
	b.Severity = ocsfSeverity(pri & 7)
	b.Device = f[1]
	b.Actor = b.LabelOf("user")
	if b.Actor == "" {
		b.Actor, b.ActorType = app, "service"
	}
	if ip, _, ok := record.Addr(b.LabelOf("ip")); ok {
		b.SrcIP = ip
	}
	b.AddText("pid", f[3])
	b.AddText("message", message)
	e, err := b.Finish(env)
	if err != nil {
		return err
	}
	emit(e)
	return nil
}

// structured reads the structured data into labels named by their parameter,
// and returns the message behind it.
func (p *syslog) structured(s string) (message string) {
	s = strings.TrimPrefix(s, "-")
	for strings.HasPrefix(s, "[") {
		i := strings.IndexByte(s, ' ')
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return s
		}
		if i < 0 || i > end {
			s = s[end+1:]
			continue
		}
		s = s[i+1:]
		for {
			s = strings.TrimLeft(s, " ")
			if rest, ok := strings.CutPrefix(s, "]"); ok {
				s = rest
				break
			}
			key, rest, ok := strings.Cut(s, `="`)
			if !ok {
				return s
			}
			j := 0
			for j < len(rest) && rest[j] != '"' {
				if rest[j] == '\\' {
					j++
				}
				j++
			}
			j = min(j, len(rest))
			v := rest[:j]
			if strings.IndexByte(v, '\\') >= 0 {
				v = unescape.Replace(v)
			}
			p.b.AddText(key, v)
			s = rest[min(j+1, len(rest)):]
			if s == "" {
				return ""
			}
		}
	}
	return strings.TrimPrefix(strings.TrimLeft(s, " "), "\ufeff")
}

var unescape = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\]`, `]`)

// ocsfSeverity turns syslog's severity (0 emergency to 7 debug) into OCSF's.
func ocsfSeverity(n int) uint8 {
	return [...]uint8{6, 5, 5, 4, 3, 1, 1, 1}[n]
}
