package textlog

import (
	"errors"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/products"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Envoy is the name of the format of Envoy's default access log, and Istio's.
const Envoy = "envoy"

var errEnvoy = errors.New(`not a line of Envoy's default access log: want [2026-03-01T09:15:02.123Z] "GET / HTTP/1.1" 200 - 0 2326 12 11 "forwarded for" "user agent" "request id" "authority" "upstream"`)

type envoy struct{ b record.Builder }

// NewEnvoy returns a parser for one stream of text lines.
func NewEnvoy() record.Parser { return &envoy{} }

// SniffEnvoy says how much a line looks like this format, 0 to 1.
func SniffEnvoy(raw string) float64 {
	if len(raw) < 40 || raw[0] != '[' || raw[5] != '-' || raw[11] != 'T' {
		return 0
	}
	i := strings.Index(raw, `] "`)
	if i < 0 || i > 40 {
		return 0
	}
	return 1
}

func (p *envoy) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	if SniffEnvoy(raw) < 1 {
		return errEnvoy
	}
	t := tokens(raw, 32)
	if len(t) < 7 {
		return errEnvoy
	}
	b := &p.b
	b.Begin(env, Envoy, raw)
	var err error
	if b.Time, err = record.ParseTime(t[0], env.Location()); err != nil {
		return err
	}
	request := t[1]
	if t[2] != "0" {
		b.SetStatus(t[2])
	} else {
		b.Outcome = event.OutcomeFailure // the connection ended before an answer
	}
	if t[3] != "-" {
		b.AddLabel("response_flags", t[3])
	}
	rest := t[4:]
	if !number(rest[0]) && len(rest) >= 7 { // Istio: details, termination, failure of the upstream's transport
		if rest[0] != "-" {
			b.AddLabel("response_details", rest[0])
		}
		rest = rest[3:]
	}
	get := func(i int) string {
		if i < len(rest) && rest[i] != "-" {
			return rest[i]
		}
		return ""
	}
	b.SetBytes(&b.BytesIn, "bytes_in", get(0))
	b.SetBytes(&b.BytesOut, "bytes_out", get(1))
	if s := get(2); s != "" {
		b.SetDuration(s)
	}
	if ip, _, ok := doc.Address(get(4)); ok {
		b.SrcIP = ip
	}
	b.UserAgent = get(5)
	b.AddText("request_id", get(6))
	b.AddText("vhost", get(7))
	b.AddText("upstream", get(8))
	if s := get(12); b.SrcIP == "" && s != "" { // Istio: the downstream's address
		if ip, port, ok := doc.Address(s); ok {
			b.SrcIP = ip
			b.AddText("src_port", port)
		}
	}
	method, target, proto := requestLine(request)
	products.Request(b, method, target, "")
	b.AddText("protocol", proto)
	if b.Actor == "" {
		b.Actor, b.ActorType = Envoy, "service"
	}
	e, err := b.Finish(env)
	if err != nil {
		return err
	}
	emit(e)
	return nil
}
