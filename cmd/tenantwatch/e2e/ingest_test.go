//go:build integration

package e2e

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// pushFile sends a file as it is.
func (i *instance) pushFile(key, query, path string) pushed {
	i.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		i.t.Fatal(err)
	}
	defer f.Close()
	p, err := i.push(key, query, f)
	if err != nil {
		i.t.Fatalf("pushing %s: %v", path, err)
	}
	return p
}

// received waits until the store has taken that many events and lines.
func (i *instance) received(id string, n uint64) (a account) {
	i.t.Helper()
	eventually(i.t, 30*time.Second, fmt.Sprintf("%s has received %d", id, n), func() bool {
		a = i.account(id)
		return a.Received >= n && a.InFlight == 0
	})
	return a
}

// Real logs of a host and a web server as two tenants: every line accounted
// for, a second push changes nothing, the attacks in it are seen, and all of
// it is there again after a restart.
func TestIntegrationRealLogs(t *testing.T) {
	auth, web := shared(t, "web-and-ssh/auth.log"), shared(t, "web-and-ssh/apache_access.log")
	i := up(t, dataDir(t), "--detectors-checkpoint-every", "1s")
	host, shop := i.tenant("host"), i.tenant("shop")
	for _, c := range []struct {
		tenant, key, query, path string
		lines, occurrences       uint64
	}{
		{"host", host, "?source=auth.log&year=2017", auth, 7121, 7446},
		{"shop", shop, "?source=apache_access.log", web, 10000, 10000},
	} {
		p := i.pushFile(c.key, c.query, c.path)
		if p.Accepted != c.lines || p.Quarantined != 0 || p.Repeats != 0 || p.DurableIn != "kafka" {
			t.Fatalf("%s: %+v, want %d accepted", c.tenant, p, c.lines)
		}
		if a := i.received(c.tenant, c.lines); a.Stored != c.lines || a.Occurrences != c.occurrences || a.Duplicates != 0 || a.Quarantined != 0 {
			t.Errorf("%s: %+v, want %d stored for %d occurrences", c.tenant, a, c.lines, c.occurrences)
		}
		if ids := i.exported(c.tenant); uint64(len(ids)) != c.lines || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(ids) {
			t.Errorf("%s: %d rows exported, want %d distinct", c.tenant, len(ids), c.lines)
		}
	}
	settle(t, i)
	alerts := map[string][]storedAlert{"host": i.alerts("host"), "shop": i.alerts("shop")}
	top := slices.SortedFunc(slices.Values(alerts["host"]), func(a, b storedAlert) int { return int(1000 * (b.Score - a.Score)) })
	for n, a := range top[:min(8, len(top))] {
		t.Logf("%d. %s %5.1f %-8s %s — %s", n+1, a.RaisedAt, a.Score, a.Severity, a.Title, a.Reason)
	}
	t.Logf("alerts: host %d, shop %d", len(alerts["host"]), len(alerts["shop"]))
	names := func(hour, address, account string) {
		t.Helper()
		for n, a := range top {
			if !strings.HasPrefix(a.RaisedAt, hour) {
				continue
			}
			who := fmt.Sprint(a.Entity, a.Related, a.Reason)
			if n < 5 && strings.Contains(who, address) && strings.Contains(who, account) {
				return
			}
		}
		t.Errorf("no alert of %s among the first five names %s and %s", hour, address, account)
	}
	names("2017-03-30T15", "24.151.103.17", "elastic_user_0")
	names("2017-04-06T20", "34.204.227.175", "empty")

	// The same again: duplicates rise by exactly the events, nothing else moves.
	i.pushFile(host, "?source=auth.log&year=2017", auth)
	i.pushFile(shop, "?source=apache_access.log", web)
	for id, lines := range map[string]uint64{"host": 7121, "shop": 10000} {
		if a := i.received(id, 2*lines); a.Stored != lines || a.Duplicates != lines || a.Quarantined != 0 {
			t.Errorf("%s, pushed again: %+v, want %d stored and as many duplicates", id, a, lines)
		}
	}
	settle(t, i)
	unchanged := func(when string) {
		t.Helper()
		for id, was := range alerts {
			if now := i.alerts(id); fmt.Sprint(now) != fmt.Sprint(was) {
				t.Errorf("%s: the alerts of %s changed:\n%v\nwere\n%v", when, id, now, was)
			}
		}
	}
	unchanged("after a second push")

	if err := i.stop(); err != nil {
		t.Fatalf("an ordered stop: %v\n%s", err, tail(i.log(), 3000))
	}
	i.start()
	for id, lines := range map[string]uint64{"host": 7121, "shop": 10000} {
		if a := i.account(id); a.Stored != lines || a.Duplicates != lines {
			t.Errorf("%s after a restart: %+v", id, a)
		}
		if n := len(i.exported(id)); uint64(n) != lines {
			t.Errorf("%s after a restart: %d rows", id, n)
		}
	}
	unchanged("after a restart")
	// Keys and baselines are there, too: a third push is all duplicates.
	i.pushFile(host, "?source=auth.log&year=2017", auth)
	if a := i.received("host", 3*7121); a.Stored != 7121 || a.Duplicates != 2*7121 {
		t.Errorf("pushed after a restart: %+v", a)
	}
	settle(t, i)
	unchanged("after a push after a restart")
}

// Each of the CloudTrail files is recognised and wholly parsed, those whose
// addresses are no valid IP as well.
func TestIntegrationCloudTrail(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(shared(t, "cloudtrail-attacks/LICENSE")), "*.json"))
	if err != nil || len(files) != 19 {
		t.Fatalf("%d files, %v; want 19", len(files), err)
	}
	i := up(t, dataDir(t))
	key := i.tenant("cloud")
	ids := map[string]bool{}
	var pushed uint64
	for _, f := range files {
		p := i.pushFile(key, "", f)
		if p.Accepted == 0 || p.Quarantined != 0 {
			t.Errorf("%s: %+v", filepath.Base(f), p)
		}
		pushed += p.Accepted
	}
	a := i.received("cloud", pushed)
	for _, id := range i.exported("cloud") {
		ids[id] = true
	}
	if a.Quarantined != 0 || a.Stored+a.Duplicates != pushed || uint64(len(ids)) != a.Stored {
		t.Errorf("%+v, %d distinct ids, %d accepted", a, len(ids), pushed)
	}
	t.Logf("19 files: %d events accepted, %d stored, %d with an id of another file", pushed, a.Stored, a.Duplicates)
	var page struct {
		Items []struct {
			Format string
			SrcIP  string `json:"src_ip"`
		}
	}
	i.get(i.token, "/api/v1/audit/events?limit=500&q=-source:tenantwatch&tenant_id=cloud", &page)
	for _, e := range page.Items {
		if e.Format != "cloudtrail" {
			t.Errorf("an event of format %q", e.Format)
		}
	}
}

// Bad lines are kept with reason, place and bytes; those around them are
// stored, and an invalid optional field quarantines nothing.
func TestIntegrationQuarantineAndKeys(t *testing.T) {
	i := up(t, dataDir(t))
	key := i.tenant("acme")
	lines := []string{
		`{"time":"2026-03-01T09:00:00Z","actor":"a","action":"login","id":"g1"}`,
		`{"time":"not a time","actor":"a","action":"login","id":"b1"}`,
		`{"time":"2026-03-01T09:00:01Z","actor":"a","action":"login","id":"g2","src_ip":"no address"}`,
		"\xff\xfe no text at all \x01",
		`{"time":"2026-03-01T09:00:02Z","actor":"a","action":"login","id":"g3"}`,
		`{"time":"2026-03-01T09:00:03Z","actor":"cut off`,
		`{"time":"2026-03-01T09:00:04Z","actor":"a","action":"login","id":"g4"}`,
	}
	bad := map[int]bool{1: true, 3: true, 5: true}
	p, err := i.push(key, "?format=shortform&source=app", strings.NewReader(strings.Join(lines, "\n")+"\n"))
	if err != nil || p.Accepted != 4 || p.Quarantined != 3 || len(p.Errors) != 3 {
		t.Fatalf("%+v, %v", p, err)
	}
	if a := i.received("acme", 7); a.Stored != 4 || a.Quarantined != 3 {
		t.Fatalf("%+v", a)
	}
	if got := slices.Sorted(slices.Values(i.exported("acme"))); !slices.Equal(got, []string{"g1", "g2", "g3", "g4"}) {
		t.Errorf("stored are %v", got)
	}
	var page struct {
		Items []struct {
			Line, Offset int
			Reason, Raw  string
			RawBase64    []byte `json:"raw_base64"`
			Source       string
		}
	}
	i.get(i.token, "/api/v1/quarantine?tenant_id=acme", &page)
	if len(page.Items) != 3 {
		t.Fatalf("%d lines in quarantine: %+v", len(page.Items), page.Items)
	}
	for _, q := range page.Items {
		raw := q.Raw
		if q.RawBase64 != nil {
			raw = string(q.RawBase64)
		}
		at := q.Line - 1
		if at < 0 || at >= len(lines) || !bad[at] {
			t.Errorf("line %d is none of the bad ones", q.Line)
			continue
		}
		delete(bad, at)
		offset := len(strings.Join(lines[:at], "\n")) + 1
		if raw != lines[at] || q.Offset != offset || q.Reason == "" || q.Source != "app" {
			t.Errorf("line %d at %d (want %d), reason %q, source %q, bytes %q want %q", q.Line, q.Offset, offset, q.Reason, q.Source, raw, lines[at])
		}
	}

	// Every encoding and both shapes of JSON.
	if p, err := i.push(key, "", strings.NewReader(`[{"time":"2026-03-01T10:00:00Z","actor":"b","action":"login","id":"r1"},{"time":"2026-03-01T10:00:00Z","actor":"b","action":"login","id":"r2"}]`)); err != nil || p.Accepted != 2 {
		t.Errorf("a JSON array: %+v, %v", p, err)
	}
	line := func(id string) string {
		return fmt.Sprintf(`{"time":"2026-03-01T10:00:01Z","actor":"b","action":"login","id":%q}`+"\n", id)
	}
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	_, err1 := io.WriteString(gz, line("gz"))
	if err := errors.Join(err1, gz.Close()); err != nil {
		t.Fatal(err)
	}
	zw, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for encoding, body := range map[string][]byte{"gzip": packed.Bytes(), "zstd": zw.EncodeAll([]byte(line("zst")), nil)} {
		req, err := http.NewRequest(http.MethodPost, i.collector+"/v1/events", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Encoding", encoding)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted || !strings.Contains(string(answer), `"accepted":1`) {
			t.Errorf("%s: %d %s", encoding, resp.StatusCode, answer)
		}
	}
	// The short form and OCSF say the same in other words.
	ocsf := `{"class_uid":3002,"category_uid":3,"activity_id":1,"type_uid":300201,"severity_id":1,"status_id":2,"time":1772359200000,"metadata":{"uid":"oc","version":"1.8.0","product":{"name":"x","vendor_name":"y"}},"user":{"name":"carol"},"src_endpoint":{"ip":"203.0.113.9"}}`
	if p, err := i.push(key, "", strings.NewReader(ocsf)); err != nil || p.Accepted != 1 || p.Quarantined != 0 {
		t.Errorf("OCSF: %+v, %v", p, err)
	}
	eventually(t, 10*time.Second, "all of them are rows", func() bool {
		return slices.Equal(slices.Sorted(slices.Values(i.exported("acme"))), []string{"g1", "g2", "g3", "g4", "gz", "oc", "r1", "r2", "zst"})
	})
	if i.found("acme", "actor:carol+outcome:failure+src_ip:203.0.113.9") != 1 {
		t.Error("the OCSF event is not found by what it says")
	}
	for _, wrong := range []string{"", "wrong", key + "x", i.token} {
		if p, err := i.push(wrong, "", strings.NewReader(lines[0])); err == nil || p.Status != http.StatusUnauthorized {
			t.Errorf("key %.6q…: status %d, want 401", wrong, p.Status)
		}
	}
	// An ingest key reads nothing.
	if code, _ := i.call(key, http.MethodGet, "/api/v1/audit/events", nil); code != http.StatusForbidden && code != http.StatusUnauthorized {
		t.Errorf("an ingest key reads the audit log: %d", code)
	}
	m := i.metrics()
	for _, name := range []string{
		"tenantwatch_collector_requests_total", "tenantwatch_collector_lines_total", "tenantwatch_collector_received_bytes_total",
		"tenantwatch_eventlog_produced_events_total", "tenantwatch_eventlog_lag_records", "tenantwatch_eventstore_inserted_rows_total",
		"tenantwatch_detectors_events_total", "tenantwatch_broker_disk_bytes", "tenantwatch_api_requests_total", "tenantwatch_delivery_pending",
		"go_goroutines", "process_resident_memory_bytes",
	} {
		if _, series := sum(m, name); series == 0 {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	if n, _ := sum(m, "tenantwatch_eventlog_produced_events_total"); n < 6 {
		t.Errorf("/metrics counts %v produced events", n)
	}
	for k := range m {
		if strings.Contains(k, "acme") || strings.Contains(k, "tenant=") {
			t.Errorf("a metric names a tenant: %s", k)
		}
	}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200} {
		resp, err := http.Get(i.ops + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// Every one of a row of pushes is readable within two seconds.
func TestIntegrationReadableWithinTwoSeconds(t *testing.T) {
	i := up(t, dataDir(t))
	key := i.tenant("acme")
	var slowest time.Duration
	for n := range 20 {
		id := fmt.Sprintf("probe-%d", n)
		line := fmt.Sprintf(`{"time":%q,"actor":"p","action":"probe","id":%q,"session":%q}`, time.Now().UTC().Format(time.RFC3339Nano), id, id)
		began := time.Now()
		if p, err := i.push(key, "", strings.NewReader(line)); err != nil || p.Accepted != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		eventually(t, 2*time.Second, id+" is readable", func() bool { return i.found("acme", "session:"+id) == 1 })
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("the slowest of 20 was readable after %v", slowest.Round(time.Millisecond))
}

// found is how many rows (of at most a page) a query finds.
func (i *instance) found(id, q string) int {
	i.t.Helper()
	var page struct{ Items []struct{ ID string } }
	i.get(i.token, "/api/v1/audit/events?tenant_id="+id+"&q="+q, &page)
	return len(page.Items)
}
