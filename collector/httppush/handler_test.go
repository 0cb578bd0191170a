package httppush

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/collectortest"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const good = `{"time":"2026-03-01T09:15:02Z","actor":"alice","action":"login"}`

// kept is a sink that keeps everything.
type kept struct {
	events []event.Event
	bad    []event.Quarantined
	source string
	err    error
}

func (k *kept) Deliver(_ context.Context, d collector.Delivery) error {
	if k.err != nil {
		return k.err
	}
	if d.Tenant != collectortest.Tenant {
		return fmt.Errorf("delivered for %q", d.Tenant)
	}
	k.events = append(k.events, d.Events...)
	k.bad = append(k.bad, d.Quarantined...)
	k.source = d.Source
	return nil
}

func handler(t *testing.T, c Config, sink collector.Sink) *Handler {
	t.Helper()
	h, err := New(Options{Config: c, Keys: testKeys, Sink: sink, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// post sends a body; headers are "Name: value".
func post(h http.Handler, target string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, body)
	r.Header.Set("Authorization", "Bearer secret")
	for _, kv := range headers {
		k, v, _ := strings.Cut(kv, ": ")
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func compressed(t *testing.T, encoding, s string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if encoding == "zstd" {
		var err error
		if w, err = zstd.NewWriter(&b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestAccepted(t *testing.T) {
	f := func(name, target string, body io.Reader, want string, headers ...string) {
		t.Helper()
		var k kept
		w := post(handler(t, Config{}, &k), target, body, headers...)
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		shown := fmt.Sprintf("%d %v/%v/%v/%v %v %s", w.Code, got["accepted"], got["quarantined"], got["repeats"], got["folded"], got["durable_in"], k.source)
		if shown != want || len(k.events) != int(got["accepted"].(float64)) || len(k.bad) != int(got["quarantined"].(float64)) {
			t.Fatalf("%s: %s, want %s\n%s", name, shown, want, w.Body)
		}
	}
	s := strings.NewReader
	f("one line", "/v1/events", s(good), "202 1/0/0/0 kafka web")
	f("an array", "/v1/events", s("["+good+","+good+"]"), "202 2/0/0/0 kafka web", "Content-Type: application/json; charset=utf-8")
	f("nothing", "/v1/events", s(""), "202 0/0/0/0 kafka ")
	f("gzip of nothing", "/v1/events", s(""), "202 0/0/0/0 kafka ", "Content-Encoding: gzip")
	f("gzip", "/v1/events", compressed(t, "gzip", good+"\n"+good), "202 2/0/0/0 kafka web", "Content-Encoding: gzip")
	f("zstd", "/v1/events", compressed(t, "zstd", good+"\nbad"), "202 1/1/0/0 kafka web", "Content-Encoding: zstd")
	f("all lines bad", "/v1/events", s("bad\nworse"), "202 0/2/0/0 kafka web")
	f("repeats", "/v1/events", s(strings.Repeat(strings.TrimSuffix(good, "}")+`,"id":"1"}`, 3)), "202 3/0/2/0 kafka web")
	f("a stated source", "/v1/events?source=app-1", s(good), "202 1/0/0/0 kafka app-1")
	f("a key without a name", "/v1/events", s(good), "202 1/0/0/0 kafka k2", "Authorization: bearer unnamed")
	f("what curl sends", "/v1/events", s(good), "202 1/0/0/0 kafka web", "Content-Type: application/x-www-form-urlencoded")
	const fold = "Mar  1 09:15:02 h sshd[1]: message repeated 5 times: [ Failed password for root from 203.0.113.7 port 1 ssh2]"
	f("a format by header", "/v1/events", s(fold+"\n"+good), "202 1/1/0/1 kafka web", "X-Log-Format: authlog", "Content-Type: text/plain")
	f("year and zone", "/v1/events?year=2017&tz=Europe/Berlin&format=authlog", s(fold), "202 1/0/0/1 kafka web")
}

func TestAnswerDescribesBadLines(t *testing.T) {
	var k kept
	w := post(handler(t, Config{}, &k), "/v1/events?year=2016", strings.NewReader("Dec 31 23:00:00 h sshd: x\nJan  1 01:00:00 h sshd: x\nnonsense\n"))
	var a struct {
		Errors []struct {
			Line, Offset uint64
			Reason       string
		} `json:"errors"`
		Format string `json:"format"`
		Years  []int  `json:"assumed_years"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Errors) != 1 || a.Errors[0].Line != 3 || a.Errors[0].Offset != 52 || a.Errors[0].Reason == "" ||
		a.Format != "authlog" || len(a.Years) != 2 || a.Years[0] != 2016 || a.Years[1] != 2017 {
		t.Fatalf("%s", w.Body)
	}
	if string(k.bad[0].Raw) != "nonsense" || k.bad[0].Source != "web" {
		t.Fatalf("%+v", k.bad[0])
	}
	// Without a bad line "errors" is an empty list, not null.
	if w = post(handler(t, Config{}, &k), "/v1/events", strings.NewReader(good)); !strings.Contains(w.Body.String(), `"errors":[]`) {
		t.Fatalf("%s", w.Body)
	}
}

func TestTheKeyDecidesTheTenant(t *testing.T) {
	var k kept
	line := strings.TrimSuffix(good, "}") + `,"tenant":"other","tenant_id":"other"}`
	if w := post(handler(t, Config{}, &k), "/v1/events?tenant=other&tenant_id=other", strings.NewReader(line)); w.Code != 202 {
		t.Fatal(w.Body)
	}
	if e := k.events[0]; e.Tenant != collectortest.Tenant || e.Label("tenant") != "other" || e.Label("tenant_id") != "other" {
		t.Fatalf("%+v", e)
	}
}

func TestRefused(t *testing.T) {
	var k kept
	f := func(name string, c Config, target string, body io.Reader, code int, detail string, headers ...string) {
		t.Helper()
		w := post(handler(t, c, &k), target, body, headers...)
		var p problemBody
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatalf("%s: %v in %s", name, err, w.Body)
		}
		if w.Code != code || p.Status != code || p.Title == "" || !strings.Contains(p.Detail, detail) || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%s: %d %s, want %d with %q", name, w.Code, w.Body, code, detail)
		}
		if retry := w.Header().Get("Retry-After"); (code == 429 || code == 503) != (retry != "") {
			t.Fatalf("%s: Retry-After is %q", name, retry)
		}
		if code == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Fatalf("%s: no WWW-Authenticate", name)
		}
	}
	s := strings.NewReader
	f("no key", Config{}, "/v1/events", s(good), 401, "Authorization: Bearer <ingest key>", "Authorization: ")
	f("another scheme", Config{}, "/v1/events", s(good), 401, "no ingest key", "Authorization: Basic c2VjcmV0")
	f("a wrong key", Config{}, "/v1/events", s(good), 401, "not known, or was revoked", "Authorization: Bearer guess")
	f("keys cannot be checked", Config{}, "/v1/events", s(good), 503, "cannot be checked", "Authorization: Bearer broken")
	f("a key of no tenant", Config{}, "/v1/events", s(good), 500, "no tenant", "Authorization: Bearer orphaned")
	f("another path", Config{}, "/v1/event", s(good), 404, "POST /v1/events")
	f("another type", Config{}, "/v1/events", s(good), 415, "application/x-ndjson", "Content-Type: application/xml")
	f("a form", Config{}, "/v1/events", s(good), 415, "multipart", "Content-Type: multipart/form-data; boundary=x")
	f("another encoding", Config{}, "/v1/events", s(good), 415, "gzip, zstd", "Content-Encoding: br")
	f("an unknown format", Config{}, "/v1/events?format=xml", s(good), 400, "auto, shortform")
	f("a bad year", Config{}, "/v1/events?year=12", s(good), 400, "1970")
	f("a bad zone", Config{}, "/v1/events?tz=Mars/Base", s(good), 400, "Europe/Berlin")
	f("this machine's zone", Config{}, "/v1/events?tz=Local", s(good), 400, "Europe/Berlin")
	f("a bad flag", Config{}, "/v1/events?stream=maybe", s(good), 400, "true or false")
	f("a long source", Config{}, "/v1/events?source="+strings.Repeat("x", 300), s(good), 400, "256")
	f("not gzip", Config{}, "/v1/events", s(good), 400, "damaged", "Content-Encoding: gzip")
	f("not zstd", Config{}, "/v1/events", s(good), 400, "damaged", "Content-Encoding: zstd")
	f("cut gzip", Config{}, "/v1/events", io.LimitReader(compressed(t, "gzip", strings.Repeat(good, 100)), 50), 400, "damaged", "Content-Encoding: gzip")
	f("too large, and says so", Config{MaxBody: 100}, "/v1/events", s(strings.Repeat(good+"\n", 3)), 413, "?stream=true")
	f("too large, and does not", Config{MaxBody: 100}, "/v1/events", io.MultiReader(s(strings.Repeat(good+"\n", 3))), 413, "?stream=true")
	f("a bomb", Config{MaxBody: 1 << 20}, "/v1/events", compressed(t, "gzip", strings.Repeat(" ", 50<<20)), 413, "decompression", "Content-Encoding: gzip")
	f("a longer bomb", Config{MaxBody: 1 << 20}, "/v1/events", compressed(t, "zstd", strings.Repeat(" ", 50<<20)), 413, "decompression", "Content-Encoding: zstd")
	f("a stream above its own bound", Config{MaxStream: 100}, "/v1/events?stream=true", s(strings.Repeat(good+"\n", 3)), 413, "")
	k.err = fmt.Errorf("broker: %w", collector.ErrUnavailable)
	f("the sink is away", Config{}, "/v1/events", s(good), 503, "send the same body again")
	k.err = fmt.Errorf("broker: strange")
	f("the sink fails", Config{}, "/v1/events", s(good), 503, "send the same body again")

	w := httptest.NewRecorder()
	handler(t, Config{}, &k).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/events", nil))
	if w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Fatalf("GET: %d %v", w.Code, w.Header())
	}
}

func TestExactlyTheLimitPasses(t *testing.T) {
	var k kept
	body := good + "\n"
	if w := post(handler(t, Config{MaxBody: int64(len(body))}, &k), "/v1/events", io.MultiReader(strings.NewReader(body))); w.Code != 202 {
		t.Fatal(w.Body)
	}
}

func TestWhatWasDurableBeforeAnErrorIsSaid(t *testing.T) {
	var k kept
	w := post(handler(t, Config{MaxBody: 1000, BatchEvents: 2}, &k), "/v1/events", io.MultiReader(strings.NewReader(strings.Repeat(good+"\n", 100))))
	var p problemBody
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 413 || p.Durable == nil || int(*p.Durable) != len(k.events) || len(k.events) == 0 {
		t.Fatalf("%d events kept, answer %s", len(k.events), w.Body)
	}
}

func TestQuota(t *testing.T) {
	var k kept
	clock := now
	h, err := New(Options{Config: Config{EventsPerSecond: 10, Burst: 2}, Keys: testKeys, Sink: &k, Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	send := func(n int, headers ...string) *httptest.ResponseRecorder {
		return post(h, "/v1/events", strings.NewReader(strings.Repeat(good+"\n", n)), headers...)
	}
	// 20 may come at once; a request is taken whole and its debt paid off after.
	if w := send(50); w.Code != 202 {
		t.Fatal(w.Body)
	}
	if w := send(1); w.Code != 429 || w.Header().Get("Retry-After") != "3" {
		t.Fatalf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if w := send(1, "Authorization: Bearer unnamed"); w.Code != 202 {
		t.Fatal("one key's quota hit another")
	}
	clock = clock.Add(3 * time.Second)
	if w := send(1); w.Code != 202 {
		t.Fatal(w.Body)
	}
	// Bytes count too.
	h, _ = New(Options{Config: Config{BytesPerSecond: 100, Burst: 1}, Keys: testKeys, Sink: &k, Now: func() time.Time { return clock }})
	if w := send(10); w.Code != 202 {
		t.Fatal(w.Body)
	}
	if w := send(1); w.Code != 429 {
		t.Fatal(w.Body)
	}
}

func TestQuotaMemoryIsBounded(t *testing.T) {
	clock := now
	q := quota{buckets: map[string]*bucket{}, perSec: 1, burst: 1, now: func() time.Time { return clock }}
	for i := range 3 * maxBuckets {
		q.use(fmt.Sprint("key", i), 0, 100)
	}
	if len(q.buckets) > maxBuckets {
		t.Fatalf("%d buckets", len(q.buckets))
	}
	clock = clock.Add(time.Hour)
	q.use("one more", 0, 1)
	if len(q.buckets) != 1 {
		t.Fatalf("%d buckets were kept that say nothing", len(q.buckets))
	}
}

// blocked is a sink that waits.
type blocked struct{ begun, release chan struct{} }

func (b blocked) Deliver(ctx context.Context, _ collector.Delivery) error {
	b.begun <- struct{}{}
	<-b.release
	return nil
}

func TestInFlightIsBounded(t *testing.T) {
	f := func(name string, c Config, fits, code int) {
		t.Helper()
		b := blocked{make(chan struct{}), make(chan struct{})}
		h := handler(t, c, b)
		done := make(chan int, fits)
		for range fits {
			go func() { done <- post(h, "/v1/events", strings.NewReader(good)).Code }()
			<-b.begun
		}
		if w := post(h, "/v1/events", strings.NewReader(good)); w.Code != code || w.Header().Get("Retry-After") != "1" {
			t.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		close(b.release)
		for range fits {
			if got := <-done; got != 202 {
				t.Fatalf("%s: %d", name, got)
			}
		}
		if h.gate.n != 0 || h.gate.bytes != 0 || len(h.gate.byKey) != 0 {
			t.Fatalf("%s: places were not given back: %+v", name, &h.gate)
		}
	}
	f("in count", Config{MaxInFlight: 2, MaxInFlightPerKey: 9}, 2, 503)
	f("in bytes", Config{MaxInFlightBytes: 3*RequestMemory + 1, MaxInFlightPerKey: 9}, 3, 503)
	f("by key", Config{MaxInFlightPerKey: 2}, 2, 429)
}

// endless gives n copies of a line.
type endless struct {
	line string
	n    int
	rest string
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if e.rest == "" {
			if e.n == 0 {
				return n, io.EOF
			}
			e.n--
			e.rest = e.line
		}
		c := copy(p[n:], e.rest)
		e.rest = e.rest[c:]
		n += c
	}
	return n, nil
}

// counting counts and lets go, and looks at the heap on the way.
type counting struct{ n, peak uint64 }

func (c *counting) Deliver(_ context.Context, d collector.Delivery) error {
	if c.n += uint64(len(d.Events)); c.n%50_000 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		c.peak = max(c.peak, m.HeapAlloc)
	}
	return nil
}

// TestStreamOfAnyLength pushes 128 MiB, twice the limit of ordinary bodies, as
// one stream.
func TestStreamOfAnyLength(t *testing.T) {
	line := strings.TrimSuffix(good, "}") + `,"note":"` + strings.Repeat("x", 320) + `"}` + "\n"
	n := 128 << 20 / len(line)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var c counting
	w := post(handler(t, Config{}, &c), "/v1/events?stream=true", &endless{line: line, n: n})
	if w.Code != 202 || c.n != uint64(n) {
		t.Fatalf("%d of %d events: %s", c.n, n, w.Body)
	}
	if c.peak > before.HeapAlloc+64<<20 {
		t.Fatalf("the heap grew by %d MiB", (c.peak-before.HeapAlloc)>>20)
	}
}

func TestSilentSenderIsGivenUp(t *testing.T) {
	var k kept
	h, err := New(Options{Config: Config{ReadTimeout: 50 * time.Millisecond}, Keys: testKeys, Sink: &k})
	if err != nil {
		t.Fatal(err)
	}
	url, client, _ := start(t, h, time.Second)
	body, w := io.Pipe()
	defer w.Close()
	go func() { _, _ = io.WriteString(w, good+"\n"+good[:20]) }()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	req.Header.Set("Authorization", "Bearer secret")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(b), "too slowly") {
		t.Fatalf("%d %s", resp.StatusCode, b)
	}
}

func TestMetricsAndOptions(t *testing.T) {
	reg := prometheus.NewRegistry()
	var k kept
	h, err := New(Options{Keys: testKeys, Sink: &k, Metrics: reg, DurableIn: "buffer"})
	if err != nil {
		t.Fatal(err)
	}
	if w := post(h, "/v1/events", strings.NewReader(good+"\nbad\n")); !strings.Contains(w.Body.String(), `"durable_in":"buffer"`) {
		t.Fatal(w.Body)
	}
	post(h, "/v1/events", strings.NewReader(good), "Authorization: Bearer guess")
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "tenantwatch_collector_") {
			t.Fatalf("metric %s", f.GetName())
		}
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"tenantwatch_collector_requests_total 2xx":                1,
		"tenantwatch_collector_requests_total 4xx":                1,
		"tenantwatch_collector_lines_total shortform accepted":    1,
		"tenantwatch_collector_lines_total shortform quarantined": 1,
		"tenantwatch_collector_received_bytes_total identity":     float64(len(good) + 5),
	} {
		if got[name] != want {
			t.Fatalf("%s is %v, want %v; all: %v", name, got[name], want, got)
		}
	}
	// Two can live in one process, each with its own registry.
	if _, err := New(Options{Keys: testKeys, Sink: &k, Metrics: prometheus.NewRegistry()}); err != nil {
		t.Fatal(err)
	}
	bad := func(o Options) {
		t.Helper()
		if _, err := New(o); err == nil {
			t.Fatalf("%+v was taken", o)
		}
	}
	bad(Options{Sink: &k})
	bad(Options{Keys: testKeys})
	bad(Options{Keys: testKeys, Sink: &k, Metrics: reg}) // registered twice
	bad(Options{Keys: testKeys, Sink: &k, Config: Config{MaxBody: -1}})
	bad(Options{Keys: testKeys, Sink: &k, Config: Config{MaxInFlightBytes: 1}})
	bad(Options{Keys: testKeys, Sink: &k, Config: Config{BatchEvents: -1}})
}
