// Package syslog sends alerts as RFC 5424 messages that carry CEF or LEEF, over
// TCP or TLS with octet counting (RFC 6587, RFC 5425).
//
// Invariant: whatever an alert's text holds, one alert is one message: line
// ends are escaped as CEF and LEEF say, and the frame's length is counted.
package syslog

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/egress"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// facility is local0; severities are syslog's own.
const facility = 16

var levels = map[alert.Severity]int{alert.Critical: 2, alert.High: 3, alert.Medium: 4, alert.Low: 5, alert.Informational: 6}

// Send implements dest.Sender. The address is tcp://host:port or
// tls://host:port (6514 when left out); the setting format is cef (the
// default) or leef. Syslog has no answer: taken means that the connection took
// the whole message and was not reset.
func Send(ctx context.Context, out *egress.Egress, t dest.Target, m dest.Message) (dest.Result, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return dest.Failed("url: it is no address"), nil
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), map[string]string{"tls": "6514", "tcp": "514"}[u.Scheme])
	}
	text := Message(t.Setting("format", "cef"), m)
	frame := strconv.Itoa(len(text)) + " " + text
	start := time.Now()
	failed := func(err error) (dest.Result, error) {
		if ctx.Err() != nil {
			return dest.Result{}, ctx.Err()
		}
		r := dest.Failed("%s", egress.Reason(err))
		r.Latency, r.Request = time.Since(start), frame
		return r, nil
	}
	dctx, cancel := context.WithTimeout(ctx, out.Timeout())
	defer cancel()
	dial := out.DialContext
	if u.Scheme == "tls" {
		dial = out.DialTLS
	}
	conn, err := dial(dctx, "tcp", host)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(out.Timeout())); err != nil {
		return failed(err)
	}
	if _, err := conn.Write([]byte(frame)); err != nil {
		return failed(err)
	}
	if err := conn.Close(); err != nil {
		return failed(err)
	}
	return dest.Result{Answer: egress.Answer{Latency: time.Since(start)}, Request: frame}, nil
}

// Message is the RFC 5424 message, without its frame.
func Message(format string, m dest.Message) string {
	a := &m.Alert
	body := CEF(m)
	if format == "leef" {
		body = LEEF(m)
	}
	return fmt.Sprintf(`<%d>1 %s tenantwatch tenantwatch - ALERT [meta sequenceId="%d"] %s%s`, facility*8+levels[a.Severity],
		a.RaisedAt.UTC().Format("2006-01-02T15:04:05.000Z"), m.Seq%2147483647+1, "\ufeff", body)
}

// cefLevel is CEF's severity, 0 to 10.
var cefLevel = map[alert.Severity]string{alert.Informational: "1", alert.Low: "3", alert.Medium: "5", alert.High: "8", alert.Critical: "10"}

var (
	headerEscape = strings.NewReplacer(`\`, `\\`, `|`, `\|`, "\r", " ", "\n", " ")
	valueEscape  = strings.NewReplacer(`\`, `\\`, `=`, `\=`, "\r", `\r`, "\n", `\n`)
	leefEscape   = strings.NewReplacer("\t", " ", "\r", " ", "\n", " ", "\x00", " ")
)

func detector(a *alert.Alert) string {
	if len(a.Detectors) == 0 {
		return "tenantwatch"
	}
	return a.Detectors[0].Name
}

// entityKey is the dictionary's name for an entity.
func entityKey(e alert.Entity) string {
	switch e.Type {
	case alert.User, alert.Service:
		return "suser"
	case alert.Address:
		return "src"
	case alert.Device:
		return "shost"
	}
	return "cs3"
}

// CEF is ArcSight's Common Event Format, version 0.
func CEF(m dest.Message) string {
	a := &m.Alert
	var b strings.Builder
	b.WriteString("CEF:0")
	for _, f := range []string{"tenantwatch", "tenantwatch", m.Version, detector(a), a.Title, cefLevel[a.Severity]} {
		b.WriteString("|" + headerEscape.Replace(clean(f)))
	}
	b.WriteString("|")
	pairs := [][2]string{{"externalId", a.ID}, {"rt", strconv.FormatInt(a.RaisedAt.UnixMilli(), 10)}, {"start", strconv.FormatInt(a.FirstSeen.UnixMilli(), 10)},
		{"end", strconv.FormatInt(a.LastSeen.UnixMilli(), 10)}, {"cnt", strconv.FormatUint(a.Count, 10)}, {"msg", a.Reason}, {"act", string(a.State)},
		{"cs1Label", "tenant"}, {"cs1", a.Tenant.String()}, {"cs2Label", "techniques"}, {"cs2", strings.Join(a.Technique, " ")},
		{"cn1Label", "sequence"}, {"cn1", strconv.FormatUint(m.Seq, 10)}, {"cfp1Label", "score"}, {"cfp1", dest.Points(a.Score)}}
	if key := entityKey(a.Entity); key == "cs3" {
		pairs = append(pairs, [2]string{"cs3Label", string(a.Entity.Type)}, [2]string{"cs3", a.Entity.ID})
	} else {
		pairs = append(pairs, [2]string{key, a.Entity.ID})
	}
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p[0] + "=" + valueEscape.Replace(clean(p[1])))
	}
	return b.String()
}

// LEEF is QRadar's Log Event Extended Format 2.0, with a tab between pairs.
func LEEF(m dest.Message) string {
	a := &m.Alert
	var b strings.Builder
	b.WriteString("LEEF:2.0")
	for _, f := range []string{"tenantwatch", "tenantwatch", m.Version, detector(a)} {
		b.WriteString("|" + strings.ReplaceAll(leefEscape.Replace(clean(f)), "|", "/"))
	}
	b.WriteString("|x09|")
	key := map[string]string{"suser": "usrName", "src": "src", "shost": "identHostName", "cs3": "entity"}[entityKey(a.Entity)]
	for i, p := range [][2]string{{"cat", "alert"}, {"sev", cefLevel[a.Severity]}, {"devTime", a.RaisedAt.UTC().Format("2006-01-02T15:04:05.000Z")},
		{"devTimeFormat", "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"}, {key, a.Entity.ID}, {"alertId", a.ID}, {"tenant", a.Tenant.String()}, {"title", a.Title},
		{"reason", a.Reason}, {"state", string(a.State)}, {"score", dest.Points(a.Score)}, {"techniques", strings.Join(a.Technique, " ")},
		{"sequence", strconv.FormatUint(m.Seq, 10)}} {
		if i > 0 {
			b.WriteByte('\t')
		}
		b.WriteString(p[0] + "=" + leefEscape.Replace(clean(p[1])))
	}
	return b.String()
}

// clean keeps text valid and without control characters but line ends.
func clean(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\r' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
