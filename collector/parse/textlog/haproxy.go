package textlog

import (
	"errors"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/products"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// HAProxy is the name of the format of HAProxy's "option httplog" and "option
// tcplog", with or without a syslog header in front.
const HAProxy = "haproxy"

var errHAProxy = errors.New(`not a line of HAProxy's httplog or tcplog: want address:port [06/Feb/2009:12:14:14.655] frontend backend/server timers status bytes …`)

type haproxy struct{ b record.Builder }

// NewHAProxy returns a parser for one stream.
func NewHAProxy() record.Parser { return &haproxy{} }

// haproxyParts finds the client and the rest behind its time.
func haproxyParts(line string) (client, when, rest string, ok bool) {
	for {
		open := strings.Index(line, " [")
		if open < 0 {
			return
		}
		end := strings.IndexByte(line[open:], ']')
		if end < 0 {
			return
		}
		when = line[open+2 : open+end]
		if len(when) >= 20 && len(when) <= 32 && when[2] == '/' && when[6] == '/' && strings.IndexByte(when, ' ') < 0 {
			client = line[:open]
			if i := strings.LastIndexByte(client, ' '); i >= 0 {
				client = client[i+1:]
			}
			if strings.LastIndexByte(client, ':') < 2 {
				return "", "", "", false
			}
			return client, when, strings.TrimLeft(line[open+end+1:], " "), true
		}
		line = line[open+end:]
	}
}

// SniffHAProxy says how much a line looks like this format, 0 to 1.
func SniffHAProxy(raw string) float64 {
	_, _, rest, ok := haproxyParts(raw)
	if !ok {
		return 0
	}
	f := strings.Fields(rest[:min(len(rest), 512)])
	if len(f) >= 5 && strings.Count(f[2], "/") >= 2 && strings.IndexByte(f[1], '/') > 0 {
		return 1
	}
	return 0
}

func (p *haproxy) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	if SniffHAProxy(raw) < 1 {
		return errHAProxy
	}
	client, when, rest, _ := haproxyParts(raw)
	loc := env.Location()
	at, err := time.ParseInLocation("02/Jan/2006:15:04:05.000", when, loc)
	if err != nil {
		if at, err = time.ParseInLocation("02/Jan/2006:15:04:05", when, loc); err != nil {
			if at, err = time.Parse("02/Jan/2006:15:04:05 -0700", when); err != nil {
				return errors.New("the time in [ ] cannot be read: want the form 06/Feb/2009:12:14:14.655")
			}
		}
	}
	b := &p.b
	b.Begin(env, HAProxy, raw)
	if b.Time, err = record.CheckTime(at, when); err != nil {
		return err
	}
	b.SetIP(client)
	b.Actor = client
	if b.SrcIP != "" {
		b.Actor = b.SrcIP
	}
	head, request, isHTTP := strings.Cut(rest, ` "`)
	f := strings.Fields(head)
	b.AddLabel("frontend", f[0])
	backend, server, _ := strings.Cut(f[1], "/")
	b.AddLabel("backend", backend)
	b.AddLabel("server", server)
	timers := strings.Split(f[2], "/")
	b.SetDuration(strings.TrimPrefix(timers[len(timers)-1], "+"))
	if !isHTTP || !number(strings.TrimPrefix(f[3], "-")) || len(timers) < 4 {
		b.Action, b.Resource, b.ResourceType = "tcp.connection", backend, "backend"
		if number(strings.TrimPrefix(f[3], "+")) {
			b.SetBytes(&b.BytesOut, "bytes_out", strings.TrimPrefix(f[3], "+"))
		}
		b.Outcome = event.OutcomeSuccess
		if strings.HasPrefix(server, "<NOSRV>") {
			b.Outcome = event.OutcomeFailure
		}
		b.AddLabel("termination", f[4])
	} else {
		if f[3] != "-1" { // nobody was answered
			b.SetStatus(f[3])
		} else {
			b.Outcome = event.OutcomeFailure
		}
		b.SetBytes(&b.BytesOut, "bytes_out", strings.TrimPrefix(f[4], "+"))
		if len(f) > 7 {
			b.AddLabel("termination", f[7])
		}
		method, target, proto := requestLine(strings.TrimSuffix(request, `"`))
		products.Request(b, method, target, "")
		b.AddText("protocol", proto)
	}
	e, err := b.Finish(env)
	if err != nil {
		return err
	}
	emit(e)
	return nil
}
