// Package dest is what every kind of destination is written against: a
// message, a target, and one method that sends the one to the other.
//
// Invariant: a Sender connects through the Egress it is given and nothing
// else, keeps no state between messages, and its Result shows no secret. The
// package sends nothing itself.
package dest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/core/egress"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// Message is one revision of an alert on its way.
type Message struct {
	ID       string // the same on each attempt at one destination
	Alert    alert.Alert
	Document json.RawMessage // the alert, byte for byte as it was hashed
	Seq      uint64
	PrevHash []byte
	Hash     []byte
	At       time.Time // of the attempt
	Version  string    // the program's
	Finding  []byte    // the OCSF Detection Finding
}

// Target is where it goes.
type Target struct {
	URL      string
	Settings map[string]string
	Token    string   // the other side's own secret; empty: none
	Secrets  []string // whsec_…, the newest first; the second one while it rotates
}

// Setting is one setting, or what it is without one.
func (t Target) Setting(name, otherwise string) string {
	if v := t.Settings[name]; v != "" {
		return v
	}
	return otherwise
}

// Result is what came of one attempt. Answer.Err is empty when it was taken.
type Result struct {
	egress.Answer
	Request string // what was sent, secrets left out, for people
}

// Sender sends one message. What the other side does wrong is in
// Result.Answer.Err; the error is ctx's own, when it is done.
type Sender func(ctx context.Context, out *egress.Egress, t Target, m Message) (Result, error)

// Failed is the result of something that is wrong before anything is sent.
func Failed(format string, args ...any) Result {
	return Result{Answer: egress.Answer{Err: fmt.Sprintf(format, args...)}}
}

// secretHeaders are not shown.
var secretHeaders = map[string]bool{"Authorization": true, "X-Api-Key": true, "Cookie": true}

// Post sends an HTTP request and shows it in the result, without its secret
// headers. hide are texts that are left out wherever they are, such as a token
// that is part of the address.
func Post(ctx context.Context, out *egress.Egress, m Message, method, address string, header http.Header, body []byte, hide ...string) (Result, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return Failed("url: it is no address"), nil
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "tenantwatch/"+m.Version)
	a, err := out.Do(ctx, req, m.At)
	if err != nil {
		return Result{}, err
	}
	return Result{a, show(req, body, hide)}, nil
}

func show(req *http.Request, body []byte, hide []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", req.Method, req.URL.RequestURI(), req.URL.Host)
	names := make([]string, 0, len(req.Header))
	for k := range req.Header {
		names = append(names, k)
	}
	sort.Strings(names)
	for _, k := range names {
		v := req.Header.Get(k)
		if secretHeaders[k] {
			v = "[redacted]"
		}
		fmt.Fprintf(&b, "%s: %s\r\n", k, v)
	}
	b.WriteString("\r\n")
	b.Write(body)
	text := b.String()
	for _, h := range hide {
		if h != "" {
			text = strings.ReplaceAll(text, h, "[redacted]")
		}
	}
	return text
}

// Read reads the first bytes of something that has no end of its own.
func Read(r io.Reader, limit int) string {
	b := make([]byte, limit)
	n, _ := io.ReadAtLeast(r, b, 1)
	return string(b[:n])
}

// Level is an alert's severity from 1, informational, to 5, critical.
func Level(s alert.Severity) int {
	return map[alert.Severity]int{alert.Informational: 1, alert.Low: 2, alert.Medium: 3, alert.High: 4, alert.Critical: 5}[s]
}

// Points is a score for people, at most three places.
func Points(p alert.Points) string { return strconv.FormatFloat(float64(p)/1000, 'f', -1, 64) }

// Text is the alert in plain words, the default of every destination that
// people read. A template replaces {title}, {reason}, {severity}, {score},
// {tenant}, {entity}, {entity_type}, {counterfactual}, {techniques}, {state},
// {id}, {first_seen}, {last_seen}, {count}; anything else stays as it is.
func Text(template string, a *alert.Alert) string {
	return strings.NewReplacer("{title}", a.Title, "{reason}", a.Reason, "{severity}", string(a.Severity), "{score}", Points(a.Score),
		"{tenant}", a.Tenant.String(), "{entity}", a.Entity.ID, "{entity_type}", string(a.Entity.Type), "{counterfactual}", a.Counterfactual,
		"{techniques}", strings.Join(a.Technique, ", "), "{state}", string(a.State), "{id}", a.ID, "{first_seen}", a.FirstSeen.UTC().Format(time.RFC3339),
		"{last_seen}", a.LastSeen.UTC().Format(time.RFC3339), "{count}", strconv.FormatUint(a.Count, 10)).Replace(template)
}

// Link is the alert's page when the setting console says where the dashboard
// is; empty without it.
func (t Target) Link(a *alert.Alert) string {
	if c := strings.TrimRight(t.Settings["console"], "/"); c != "" {
		return c + "/alerts/" + a.ID
	}
	return ""
}
