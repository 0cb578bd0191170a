package delivery_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/delivery"
	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/delivery/syslog"
	"github.com/tenantwatch/tenantwatch/core/delivery/webhook"
	"github.com/tenantwatch/tenantwatch/core/egress"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is a message that never changes, with text that every format has to
// escape.
func sample(t testing.TB, a alert.Alert) dest.Message {
	t.Helper()
	doc, err := json.Marshal(&a)
	if err != nil {
		t.Fatal(err)
	}
	zero := make([]byte, 32)
	hash := core.ChainHash(zero, doc)
	body, err := delivery.Body(core.Revision{Seq: a.Seq, Document: doc, PrevHash: zero, Hash: hash}, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	return dest.Message{ID: "msg_0123456789abcdef", Alert: a, Document: doc, Seq: a.Seq, PrevHash: zero, Hash: hash, At: day, Version: "1.2.3", Finding: body}
}

func awkward() alert.Alert {
	a := delivery.SampleAlert(acme, day)
	a.Seq, a.Title, a.Reason = 7, `40 | failed = sign-ins \ of <a@b> & "c"`, "first line\nsecond | line = x"
	return a
}

// destination is what each kind is given in the tests.
var destinations = map[string]struct {
	settings map[string]string
	token    string
	answers  []string // of the other side, in turn; {} after them
}{
	"webhook":   {settings: map[string]string{"signature": "v1 v1a"}},
	"splunk":    {settings: map[string]string{"index": "main"}, token: "hec-token", answers: []string{`{"text":"Success","code":0}`}},
	"elastic":   {token: "api-key", answers: []string{`{"errors":false,"items":[{"index":{"status":201}}]}`}},
	"sentinel":  {settings: map[string]string{"rule": "dcr-1", "stream": "Custom-Alerts", "directory": "dir", "client": "app"}, token: "app-secret", answers: []string{`{"access_token":"granted-token"}`}},
	"slack":     {token: "T0/B0/secretpath"},
	"teams":     {token: "sig=secretsig"},
	"pagerduty": {token: "routing-key"},
	"jira":      {settings: map[string]string{"project": "SEC"}, token: "Basic c2VjcmV0", answers: []string{`{"issues":[]}`, `{"key":"SEC-1"}`}},
}

const whsec = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// exchange sends one message of a kind to a server that answers as told, and
// gives all requests as they came.
func exchange(t *testing.T, kind string, m dest.Message, answers []string) (dest.Result, string) {
	t.Helper()
	var mu sync.Mutex
	var got strings.Builder
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(&got, "%s %s\n", r.Method, r.URL.RequestURI())
		for _, h := range []string{"Authorization", "Content-Type", "User-Agent", "Webhook-Id", "Webhook-Signature", "Webhook-Timestamp"} {
			if v := r.Header.Get(h); v != "" {
				fmt.Fprintf(&got, "%s: %s\n", h, v)
			}
		}
		fmt.Fprintf(&got, "\n%s\n\n", body)
		text := "{}"
		if n < len(answers) {
			text = answers[n]
		}
		n++
		_, _ = io.WriteString(w, text)
	}))
	defer srv.Close()
	out, err := egress.New(egress.Options{AllowNetworks: loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer out.CloseIdleConnections()
	d := destinations[kind]
	target := dest.Target{URL: srv.URL, Settings: map[string]string{"login": srv.URL}, Token: d.token, Secrets: []string{whsec}}
	for k, v := range d.settings {
		target.Settings[k] = v
	}
	for _, k := range delivery.Kinds() {
		if k.Name == kind {
			r, err := k.Send(t.Context(), out, target, m)
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			return r, got.String()
		}
	}
	t.Fatalf("there is no kind %s", kind)
	return dest.Result{}, ""
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs:\n%s\nwant\n%s", name, got, want)
	}
}

// TestDestinations: what each kind sends, held against a golden file; the
// exchange that people are shown holds no secret.
func TestDestinations(t *testing.T) {
	t.Parallel()
	for _, k := range delivery.Kinds() {
		if k.Schemes[0] != "https" {
			continue
		}
		d, ok := destinations[k.Name]
		if !ok {
			t.Errorf("%s is not tested", k.Name)
			continue
		}
		r, got := exchange(t, k.Name, sample(t, awkward()), d.answers)
		if r.Err != "" {
			t.Errorf("%s: %s", k.Name, r.Err)
		}
		golden(t, k.Name, got)
		for _, secret := range []string{d.token, whsec, "granted-token"} {
			if secret != "" && strings.Contains(r.Request, secret) {
				t.Errorf("%s: the exchange shows %s:\n%s", k.Name, secret, r.Request)
			}
		}
		if r.Request == "" {
			t.Errorf("%s shows no request", k.Name)
		}
		if err := delivery.Check(k.Name, "https://x.example/", d.settings, d.token); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		if err := delivery.Check(k.Name, "https://x.example/", map[string]string{"nonsense": "1"}, d.token); err == nil {
			t.Errorf("%s takes any setting", k.Name)
		}
	}
}

// TestRefusals: an answer of 200 is not yet a success.
func TestRefusals(t *testing.T) {
	t.Parallel()
	m := sample(t, awkward())
	for _, c := range []struct{ kind, answer, says string }{
		{"elastic", `{"errors":true,"items":[{"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"no"}}}]}`, "mapper_parsing_exception"},
		{"elastic", `<html>`, "none of the bulk API"},
		{"sentinel", `{"error":"invalid_client"}`, "no access_token"},
		{"jira", `<html>`, "none of Jira's search"},
	} {
		if r, _ := exchange(t, c.kind, m, []string{c.answer}); !strings.Contains(r.Err, c.says) {
			t.Errorf("%s answered %s: %q", c.kind, c.answer, r.Err)
		}
	}
}

// TestTicketFollows: a later revision comments, a retraction closes.
func TestTicketFollows(t *testing.T) {
	t.Parallel()
	a := awkward()
	a.State, a.Revision = alert.Retracted, 2
	_, got := exchange(t, "jira", sample(t, a), []string{`{"issues":[{"key":"SEC-1"}]}`, `{}`, `{"transitions":[{"id":"31","name":"Done"}]}`})
	for _, want := range []string{"POST /rest/api/2/issue/SEC-1/comment", `{"transition":{"id":"31"}}`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if _, got := exchange(t, "pagerduty", sample(t, a), nil); !strings.Contains(got, `"event_action":"resolve"`) {
		t.Errorf("a retraction does not resolve:\n%s", got)
	}
}

// TestSignatures: both schemes verify by either secret while it rotates, and
// nothing else does.
func TestSignatures(t *testing.T) {
	t.Parallel()
	const old = "whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2w="
	body := []byte(`{"a":1}`)
	for _, scheme := range []string{"v1", "v1a", "v1 v1a"} {
		s, err := webhook.Sign([]string{whsec, old}, scheme, "msg_1", day, body)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {fmt.Sprint(day.Unix())}, "Webhook-Signature": {s}}
		for _, secret := range []string{whsec, old} {
			if err := webhook.Verify(secret, h, body, day, time.Minute); err != nil {
				t.Errorf("%s by %s: %v", scheme, secret, err)
			}
		}
		other := "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q="
		for name, err := range map[string]error{"another secret": webhook.Verify(other, h, body, day, time.Minute),
			"another body": webhook.Verify(whsec, h, []byte(`{"a":2}`), day, time.Minute), "too late": webhook.Verify(whsec, h, body, day.Add(time.Hour), time.Minute)} {
			if err == nil {
				t.Errorf("%s: %s verifies", scheme, name)
			}
		}
	}
}

// The grammars: RFC 5424's header with octet counting, CEF's seven fields and
// escaped pairs, LEEF's tab between pairs.
var (
	rfc5424 = regexp.MustCompile(`^<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S{1,255} \S{1,48} \S{1,128} \S{1,32} (\[[^ \]=]+( [^ =\]"]+="[^"]*")*\])+ ` + "\ufeff" + `(.*)$`)
	cef     = regexp.MustCompile(`^CEF:0(\|(\\\\|\\\||[^\\|\r\n])*){6}\|([a-zA-Z0-9]+=(\\\\|\\=|\\r|\\n|[^\\=\r\n])*)( [a-zA-Z0-9]+=(\\\\|\\=|\\r|\\n|[^\\=\r\n])*)*$`)
	leef    = regexp.MustCompile(`^LEEF:2\.0(\|[^|\r\n\t]*){4}\|x09\|[a-zA-Z]+=[^\t\r\n]*(\t[a-zA-Z]+=[^\t\r\n]*)*$`)
)

func checkSyslog(t testing.TB, m dest.Message) {
	t.Helper()
	for format, grammar := range map[string]*regexp.Regexp{"cef": cef, "leef": leef} {
		text := syslog.Message(format, m)
		parts := rfc5424.FindStringSubmatch(text)
		if parts == nil {
			t.Fatalf("no RFC 5424 message: %q", text)
		}
		if body := parts[len(parts)-1]; !grammar.MatchString(body) {
			t.Fatalf("no %s: %q", format, body)
		}
	}
}

func TestSyslogGrammar(t *testing.T) {
	t.Parallel()
	m := sample(t, awkward())
	checkSyslog(t, m)
	golden(t, "syslog-cef", syslog.Message("cef", m))
	golden(t, "syslog-leef", syslog.Message("leef", m))
	for _, bad := range []string{"CEF:0|a|b|1|c|d|e|x=a=b", "CEF:0|a|b|1|c|x=1", "CEF:0|a|b|1|c|d|5|x=a\nb"} {
		if cef.MatchString(bad) {
			t.Errorf("the grammar takes %q", bad)
		}
	}
}

func FuzzSyslog(f *testing.F) {
	f.Add("a|b=c\\d\r\n", "x\ty\x00")
	m := sample(f, awkward())
	f.Fuzz(func(t *testing.T, title, entity string) {
		m := m
		m.Alert.Title, m.Alert.Reason, m.Alert.Entity.ID = title, title, entity
		checkSyslog(t, m)
	})
}

// listen takes one connection and gives what came over it.
func listen(t *testing.T, serve func(net.Conn) string) (address string, got chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	got = make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		got <- serve(c)
	}()
	return l.Addr().String(), got
}

func TestSyslogAndMailOverTheWire(t *testing.T) {
	t.Parallel()
	out, err := egress.New(egress.Options{AllowNetworks: loopback})
	if err != nil {
		t.Fatal(err)
	}
	m := sample(t, awkward())
	send := map[string]dest.Sender{}
	for _, k := range delivery.Kinds() {
		send[k.Name] = k.Send
	}
	address, got := listen(t, func(c net.Conn) string { b, _ := io.ReadAll(c); return string(b) })
	if r, err := send["syslog"](t.Context(), out, dest.Target{URL: "tcp://" + address}, m); err != nil || r.Err != "" {
		t.Fatal(r.Err, err)
	}
	if frame, want := <-got, syslog.Message("cef", m); frame != fmt.Sprintf("%d %s", len(want), want) {
		t.Errorf("frame %q", frame)
	}

	// A mail server of a few words, without encryption.
	address, got = listen(t, func(c net.Conn) string {
		r := bufio.NewReader(c)
		var data strings.Builder
		_, _ = io.WriteString(c, "220 mail\r\n")
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return data.String()
			}
			data.WriteString(line)
			switch verb := strings.ToUpper(line[:min(4, len(line))]); verb {
			case "DATA":
				_, _ = io.WriteString(c, "354 go on\r\n")
				for line != ".\r\n" {
					if line, err = r.ReadString('\n'); err != nil {
						return data.String()
					}
					data.WriteString(line)
				}
				_, _ = io.WriteString(c, "250 taken\r\n")
			case "QUIT":
				_, _ = io.WriteString(c, "221 bye\r\n")
				return data.String()
			default:
				_, _ = io.WriteString(c, "250 ok\r\n")
			}
		}
	})
	target := dest.Target{URL: "smtp://" + address, Settings: map[string]string{"from": "tw@acme.example", "to": "soc@acme.example, Night <night@acme.example>", "plain": "yes"}}
	if r, err := send["email"](t.Context(), out, target, m); err != nil || r.Err != "" {
		t.Fatal(r.Err, err)
	}
	text := <-got
	golden(t, "email", strings.ReplaceAll(text, "\r\n", "\n"))
	for _, want := range []string{"RCPT TO:<soc@acme.example>", "RCPT TO:<night@acme.example>", "Auto-Submitted: auto-generated"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	// Without leave a server that offers no encryption is refused.
	address, _ = listen(t, func(c net.Conn) string {
		_, _ = io.WriteString(c, "220 mail\r\n")
		_, _ = bufio.NewReader(c).ReadString('\n')
		_, _ = io.WriteString(c, "250 ok\r\n")
		return ""
	})
	target.URL = "smtp://" + address
	delete(target.Settings, "plain")
	if r, err := send["email"](t.Context(), out, target, m); err != nil || !strings.Contains(r.Err, "no encryption") {
		t.Errorf("without encryption: %q, %v", r.Err, err)
	}
	shut, err := egress.New(egress.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"syslog", "email"} {
		target.URL = map[string]string{"syslog": "tcp://", "email": "smtp://"}[kind] + address
		if r, err := send[kind](t.Context(), shut, target, m); err != nil || r.Err != egress.ErrRefused.Error() {
			t.Errorf("%s to the loopback: %q, %v", kind, r.Err, err)
		}
	}
}

// TestFiltersAndTests: a destination gets what is grave enough; a test message
// changes nothing of what is owed; a rotated secret signs beside the old one.
func TestFiltersAndTests(t *testing.T) {
	t.Parallel()
	c, _ := newCore(t, acme)
	rc := newReceiver(t, nil)
	hook := rc.register(c, acme)
	if err := c.Webhooks.SetMinSeverity(t.Context(), tests, acme, hook.ID, alert.High); err != nil {
		t.Fatal(err)
	}
	list := makeAlerts(acme, 0, 3)
	list[1].Severity = alert.Low
	if _, err := c.Alerts.Upsert(t.Context(), acme, list); err != nil {
		t.Fatal(err)
	}
	tester, err := delivery.NewTester(delivery.Options{Core: c, AllowNetworks: loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer tester.Close()
	r, err := tester.Test(t.Context(), acme, hook.ID)
	if err != nil || r.Err != "" || r.Status != 204 || !strings.Contains(r.Request, "Webhook-Signature: v1,") {
		t.Fatalf("test message: %+v, %v", r, err)
	}
	if got := states(t, c, hook); got[core.DeliveryPending] != 2 {
		t.Fatalf("owed: %v", got)
	}
	if _, err := c.Webhooks.Rotate(t.Context(), tests, acme, hook.ID, time.Hour); err != nil {
		t.Fatal(err)
	}
	run(t, delivery.Options{Core: c, AllowNetworks: loopback})
	got := rc.wait(3) // verified by the receiver, which knows the old secret alone
	if got[1].seq != 1 || got[2].seq != 3 || len(strings.Fields(got[1].header.Get("Webhook-Signature"))) != 2 {
		t.Fatalf("received %v, signed %s", seqs(got), got[1].header.Get("Webhook-Signature"))
	}
}
