package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"github.com/parquet-go/parquet-go"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func TestIdempotency(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	post := func(who, key, body string) ask {
		return ask{who: who, method: "POST", path: "/api/v1/keys", body: body, header: map[string]string{"Idempotency-Key": key}}
	}
	first := post("admin", "one", `{"name":"k","kind":"ingest"}`).want(t, s, 201)
	again := post("admin", "one", `{"name":"k","kind":"ingest"}`).want(t, s, 201)
	if first.Body.String() != again.Body.String() || again.Header().Get("Idempotency-Replayed") != "true" || w.calls != 1 {
		t.Errorf("%d calls: %s and %s", w.calls, first.Body, again.Body)
	}
	post("admin", "one", `{"name":"other","kind":"ingest"}`).wantProblem(t, s, "idempotency-conflict")
	post("cookie:admin", "one", `{"name":"k","kind":"ingest"}`).want(t, s, 201) // the same person: the same name for it
	if w.calls != 1 {
		t.Errorf("%d calls", w.calls)
	}
	post("platform", "one", `{"name":"k","kind":"ingest","tenant_id":"alpha"}`).want(t, s, 201) // another principal's key is another key
	if w.calls != 2 {
		t.Errorf("%d calls", w.calls)
	}
	var wg sync.WaitGroup
	for range 8 { // at once: one does it, all get its answer
		wg.Go(func() { post("admin", "two", `{"name":"k","kind":"ingest"}`).once(t, s) })
	}
	wg.Wait()
	if w.calls != 3 {
		t.Errorf("%d calls", w.calls)
	}
	w.mu.Lock()
	w.now = w.now.Add(25 * time.Hour) // long ago is forgotten
	w.mu.Unlock()
	post("admin", "one", `{"name":"other","kind":"ingest"}`).want(t, s, 201)
	// refusals are answers too
	ask{who: "platform", method: "POST", path: "/api/v1/tenants", body: `{"id":"alpha","name":"x"}`, header: map[string]string{"Idempotency-Key": "t"}}.wantProblem(t, s, "conflict")
	ask{who: "platform", method: "POST", path: "/api/v1/tenants", body: `{"id":"alpha","name":"x"}`, header: map[string]string{"Idempotency-Key": "t"}}.wantProblem(t, s, "conflict")
	if w.calls != 5 {
		t.Errorf("%d calls", w.calls)
	}
}

func TestRateLimits(t *testing.T) {
	w := newWorld()
	s := w.server(t, func(o *Options) { o.Limits = Limits{RequestsPerSec: 1, SignInsPerMinute: 60} })
	n := 0
	for n < 50 && (ask{who: "admin", path: "/api/v1/audit/fields"}).do(t, s).Code == 200 {
		n++
	}
	if n != 5 { // a burst of four seconds and one
		t.Errorf("%d requests before the limit", n)
	}
	if rec := (ask{who: "admin", path: "/api/v1/audit/fields"}).want(t, s, 429); rec.Header().Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", rec.Header().Get("Retry-After"))
	}
	ask{who: "auditor", path: "/api/v1/audit/fields"}.want(t, s, 200) // others go on
	w.mu.Lock()
	w.now = w.now.Add(time.Second)
	w.mu.Unlock()
	ask{who: "admin", path: "/api/v1/audit/fields"}.want(t, s, 200)

	for n = 0; n < 50 && (ask{method: "POST", path: "/api/v1/session", body: `{"email":"x","password":"wrong"}`}).do(t, s).Code == 401; n++ {
	}
	if n != 10 {
		t.Errorf("%d sign-ins before the limit", n)
	}
	for n = 0; n < 100 && (ask{path: "/api/v1/alerts", header: map[string]string{"Authorization": fmt.Sprint("Bearer guess", n)}}).do(t, s).Code == 401; n++ {
	}
	if n != 60 {
		t.Errorf("%d guesses before the limit", n)
	}
	if a, b := network("2001:db8:1:2:3::4"), network("2001:db8:1:2:ffff::1"); a != b || network("::ffff:1.2.3.4") != "1.2.3.4" {
		t.Error("one machine's addresses are limited apart")
	}
}

func TestExports(t *testing.T) {
	w := newWorld()
	w.events[alpha] = nil
	for i := range 4005 {
		w.events[alpha] = append(w.events[alpha], event.Event{Tenant: alpha, ID: fmt.Sprint(i), Time: day.Add(time.Duration(i) * time.Second).UnixNano(), Action: "login",
			Actor: "=cmd|' /C calc'!A0", Raw: "-1+1", Resource: " @SUM(1)", HasPosition: true, Longitude: -3.5, Count: 1, Labels: []event.Label{{Key: "a", Value: "=1"}}})
	}
	l := run(t, w)
	get := func(format string) *http.Response {
		t.Helper()
		r, _ := http.NewRequest(http.MethodGet, l.url+"/api/v1/audit/export?format="+format, nil)
		r.Header.Set("Authorization", "Bearer token-admin")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	resp := get("csv")
	rows, err := csv.NewReader(resp.Body).ReadAll()
	if err != nil || len(rows) != len(w.events[alpha])+1 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	if resp.Trailer.Get("X-Export-Rows") != fmt.Sprint(len(rows)-1) || resp.Trailer.Get("X-Export-Status") != "complete" {
		t.Errorf("trailer %v", resp.Trailer)
	}
	if !strings.Contains(resp.Header.Get("Content-Disposition"), `filename="alpha-events-20260301-120000.csv"`) {
		t.Errorf("Content-Disposition %s", resp.Header.Get("Content-Disposition"))
	}
	cell := func(name string) string {
		for i, n := range rows[0] {
			if n == name {
				return rows[1][i]
			}
		}
		return "no such column"
	}
	for name, want := range map[string]string{"actor": "'=cmd|' /C calc'!A0", "raw": "'-1+1", "resource": "' @SUM(1)", "longitude": "-3.5", "labels": `{"a":"=1"}`, "time": "2026-03-01T12:00:00Z"} {
		if got := cell(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	resp = get("ndjson")
	n := 0
	for dec := json.NewDecoder(resp.Body); dec.More(); n++ {
		var e event.Event
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
	}
	if n != len(w.events[alpha]) {
		t.Errorf("%d lines", n)
	}
	// what an export says of itself is true, whatever its form
	for _, format := range []string{"csv", "ndjson", "ocsf", "parquet"} {
		resp := get(format)
		sum := sha256.New()
		body, err := io.ReadAll(io.TeeReader(resp.Body, sum))
		if err != nil || resp.Trailer.Get("X-Export-Sha256") != hex.EncodeToString(sum.Sum(nil)) || resp.Trailer.Get("X-Export-Rows") != fmt.Sprint(len(w.events[alpha])) {
			t.Errorf("%s: %v, trailer %v: %.300s", format, err, resp.Trailer, body)
		}
		if format != "parquet" {
			continue
		}
		rows, err := parquet.Read[parquetRow](bytes.NewReader(body), int64(len(body)))
		if err != nil || len(rows) != n || rows[7].ID != "7" || !rows[7].Time.Equal(day.Add(7*time.Second)) || rows[7].Labels["a"] != "=1" || *rows[7].Longitude != -3.5 {
			t.Errorf("parquet: %d rows, %v", len(rows), err)
		}
	}
	// a second part continues a first that was cut off
	resp = get("csv&after_event=3999")
	rest, err := csv.NewReader(resp.Body).ReadAll()
	if err != nil || len(rest) != 5 || rest[0][1] != "4000" {
		t.Errorf("continued: %d rows, %v", len(rest), err)
	}
	// what breaks on the way is cut off, what breaks at once is a problem
	w.mu.Lock()
	w.broken, w.brokenAt = errBroken, 1
	w.mu.Unlock()
	resp = get("ndjson")
	if _, err := fmt.Fprint(discard{}, readUntilError(resp)); err == nil {
		t.Error("a broken export looks whole")
	}
	w.mu.Lock()
	w.brokenAt = 0
	w.mu.Unlock()
	if resp = get("csv"); resp.StatusCode != 500 {
		t.Errorf("a search that fails at once: %d", resp.StatusCode)
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) {
	if string(b) == "" {
		return 0, nil
	}
	return 0, fmt.Errorf("%s", b)
}

// readUntilError is how reading the body ended, empty when it ended well.
func readUntilError(resp *http.Response) string {
	buf := make([]byte, 1<<16)
	for {
		if _, err := resp.Body.Read(buf); err != nil {
			if err.Error() == "EOF" {
				return ""
			}
			return err.Error()
		}
	}
}

// TestNothingInternalIsShown: errors of our own stay in the log.
func TestNothingInternalIsShown(t *testing.T) {
	w := newWorld()
	w.broken = errBroken
	var log strings.Builder
	s := w.server(t, func(o *Options) { o.Logger = textLogger(&log) })
	rec := ask{who: "admin", path: "/api/v1/audit/events?q=secretword"}.want(t, s, 500)
	if strings.Contains(rec.Body.String(), "fire") || !strings.Contains(log.String(), "fire") || !strings.Contains(log.String(), rec.Header().Get("X-Request-Id")) {
		t.Errorf("answer %s, log %s", rec.Body, log.String())
	}
	if strings.Contains(log.String(), "secretword") {
		t.Error("what was searched for is in the log")
	}
	w.broken = fmt.Errorf("store: %w", ErrUnavailable)
	if rec := (ask{who: "admin", path: "/api/v1/audit/events"}).want(t, s, 503); rec.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// errors of a store's own are translated by Classify
	own := fmt.Errorf("own kind of missing")
	w.broken = own
	s = w.server(t, func(o *Options) {
		o.Classify = func(err error) error {
			if err == own {
				return ErrNotFound
			}
			return nil
		}
	})
	ask{who: "admin", path: "/api/v1/audit/events"}.wantProblem(t, s, "not-found")
}

func TestGzip(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	plain := ask{who: "admin", path: "/api/v1/audit/fields"}.want(t, s, 200)
	packed := ask{who: "admin", path: "/api/v1/audit/fields", header: map[string]string{"Accept-Encoding": "br, gzip;q=0.5"}}.want(t, s, 200)
	if packed.Header().Get("Content-Encoding") != "gzip" || packed.Header().Get("Vary") != "Accept-Encoding" {
		t.Fatalf("headers %v", packed.Header())
	}
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if readAll(t, z) != plain.Body.String() {
		t.Error("the packed answer is another one")
	}
	for _, refused := range []string{"gzip;q=0", "gzip; q=0.000", "br", "identity", ""} {
		if accepts(refused, "gzip") {
			t.Errorf("%q takes no gzip", refused)
		}
	}
	// neither short answers nor sessions
	for _, path := range []string{"/api/v1/webhooks", "/api/v1/session"} {
		if h := (ask{who: "admin", path: path, header: map[string]string{"Accept-Encoding": "gzip"}}).want(t, s, 200).Header(); h.Get("Content-Encoding") != "" {
			t.Errorf("%s is packed", path)
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	w := newWorld()
	s := w.server(t, func(o *Options) { o.Metrics = reg })
	ask{who: "admin", path: "/api/v1/alerts"}.want(t, s, 200)
	ask{who: "admin", method: "BREW", path: "/api/v1/alerts"}.do(t, s)
	ask{path: "/api/v1/nothing/" + strings.Repeat("x", 50)}.do(t, s)
	n, err := testutil.GatherAndCount(reg, "tenantwatch_api_requests_total")
	if err != nil || n != 3 {
		t.Errorf("%d series: %v", n, err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	w.server(t, func(o *Options) { o.Metrics = prometheus.NewRegistry() }) // two live side by side
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "Alerts") || !strings.Contains(err.Error(), "CursorKey") {
		t.Errorf("a server without stores: %v", err)
	}
}

func FuzzRequests(f *testing.F) {
	f.Add("/api/v1/alerts?limit=3&after=AAAA", `{"status":"new"}`)
	f.Add("/api/v1/audit/events?q=actor%3Aa", `{"tenant_id":"beta","name":"k","kind":"ingest"}`)
	f.Add("/api/v1/audit/facets?field=label.x&tenant_id=beta", `[`)
	f.Fuzz(func(t *testing.T, path, body string) {
		if u, err := url.Parse(path); err != nil || !strings.HasPrefix(path, "/") || u.Path == "/api/v1/stream" {
			return
		}
		w := newWorld()
		s := w.server(t)
		for _, method := range []string{"GET", "POST", "PATCH", "DELETE"} {
			r, err := http.NewRequest(method, path, strings.NewReader(body))
			if err != nil {
				return
			}
			r.Header.Set("Authorization", "Bearer token-admin")
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("If-Match", "*")
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, r)
			if rec.Code >= 500 || shows(rec.Body.String()) {
				t.Fatalf("%s %q %q: %d %s", method, path, body, rec.Code, rec.Body)
			}
		}
	})
}
