package logstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/coretest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

var server *coretest.Server

func TestMain(m *testing.M) {
	os.Exit(coretest.Main(m, func(s *coretest.Server) { server = s }, func() error { return goleak.Find() }))
}

var acme = tenant.MustParse("acme")

// list is a source over a list that grows; a position is an index.
type list struct {
	mu     sync.Mutex
	events []event.Event
}

func (l *list) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		i := len(l.events)
		l.events = append(l.events, event.Event{Tenant: acme, ID: fmt.Sprint("e", i), Time: int64(1e18) + int64(i), Action: "login", Actor: "a", Source: "web", Count: 1})
	}
}

func (l *list) Next(_ context.Context, id tenant.ID, position json.RawMessage, _ *query.Query, limit int) (Batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var at int
	if err := json.Unmarshal(position, &at); err != nil || id != acme {
		return Batch{}, fmt.Errorf("position %s of %s: %w", position, id, err)
	}
	end := min(len(l.events), at+limit)
	return Batch{Events: slices.Clone(l.events[at:end]), Position: json.RawMessage(fmt.Sprint(end)), More: end < len(l.events)}, nil
}

func (l *list) Behind(_ context.Context, _ tenant.ID, position json.RawMessage) (uint64, time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var at int
	err := json.Unmarshal(position, &at)
	return uint64(len(l.events) - at), time.Now(), err
}

// receiver takes what is sent to it, and refuses every third request.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	asked  int
	refuse int // every so many; 0: none
	bodies []string
	heads  []http.Header
	paths  []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		if z, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
			if plain, err := io.ReadAll(z); err == nil {
				b = plain
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.asked++; r.refuse > 0 && r.asked%r.refuse == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.bodies, r.heads, r.paths = append(r.bodies, string(b)), append(r.heads, q.Header), append(r.paths, q.URL.Path)
		w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
		fmt.Fprint(w, `{"text":"Success","code":0}`)
	}))
	t.Cleanup(r.Close)
	return r
}

// ids are the ids in what was taken, in order.
func (r *receiver) ids(path ...string) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bodies {
		for line := range strings.Lines(b) {
			var v any
			if json.Unmarshal([]byte(line), &v) != nil {
				continue
			}
			for _, p := range path {
				m, _ := v.(map[string]any)
				v = m[p]
			}
			out = append(out, fmt.Sprint(v))
		}
	}
	return out
}

func start(t *testing.T, src Source, change func(*Options)) *core.Core {
	t.Helper()
	c, _ := server.Open(t, nil)
	by := access.System("test")
	if _, err := c.Tenants.Create(t.Context(), by, acme, "Acme"); err != nil {
		t.Fatal(err)
	}
	o := Options{Core: c, Source: src, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowPlain: true, BatchEvents: 10, Idle: 10 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func create(t *testing.T, c *core.Core, kind, format string, config Config) core.LogStream {
	t.Helper()
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Streams.Create(t.Context(), access.System("test"), acme, core.LogStream{Name: kind, Kind: kind, Config: b, Format: format}, "s3cret", json.RawMessage("0"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 90 s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// want holds what arrived against e0…: each at least once, in order but for
// whole batches that were sent again.
func want(t *testing.T, got []string, n int) {
	t.Helper()
	next := 0
	for _, id := range got {
		if id == fmt.Sprint("e", next) {
			next++
		}
	}
	if next != n {
		t.Errorf("%d of %d events arrived in order: %.300v", next, n, got)
	}
}

// TestHTTP: every event arrives although every third batch is refused; the
// state says how far, and what went wrong.
func TestHTTP(t *testing.T) {
	src, r := &list{}, newReceiver(t)
	r.refuse = 3
	src.add(25)
	c := start(t, src, nil)
	s := create(t, c, "http", "ndjson", Config{URL: r.URL + "/in"})
	has := func(id string) func() bool { return func() bool { return slices.Contains(r.ids("id"), id) } }
	eventually(t, "what was there", has("e24"))
	src.add(7)
	eventually(t, "what came later", has("e31"))
	want(t, r.ids("id"), 32)
	eventually(t, "the state", func() bool {
		got, err := c.Streams.Get(t.Context(), []tenant.ID{acme}, s.ID)
		return err == nil && got.Sent == 32 && got.Behind == 0 && !got.LastSentAt.IsZero() && !got.CheckedAt.IsZero()
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.heads[0]
	if h.Get("Authorization") != "Bearer s3cret" || h.Get("Tenantwatch-Stream") != s.ID || h.Get("Tenantwatch-Tenant") != "acme" || len(h.Get("Tenantwatch-Batch")) != 32 {
		t.Errorf("%v", h)
	}
}

func TestSplunkAndS3(t *testing.T) {
	src, splunk, s3 := &list{}, newReceiver(t), newReceiver(t)
	src.add(25)
	c := start(t, src, nil)
	create(t, c, "splunk", "ocsf", Config{URL: splunk.URL, Index: "main"})
	create(t, c, "s3", "ndjson", Config{Endpoint: strings.TrimPrefix(s3.URL, "http://"), Bucket: "logs", Region: "eu-1", Prefix: "tw", AccessKey: "key", Plain: true})
	eventually(t, "splunk", func() bool { return len(splunk.ids("fields", "tenantwatch_id")) >= 25 })
	want(t, splunk.ids("event", "metadata", "uid"), 25)
	eventually(t, "s3", func() bool { s3.mu.Lock(); defer s3.mu.Unlock(); return len(s3.paths) >= 3 })
	splunk.mu.Lock()
	defer splunk.mu.Unlock()
	if splunk.paths[0] != "/services/collector/event" || splunk.heads[0].Get("Authorization") != "Splunk s3cret" || !strings.Contains(splunk.bodies[0], `"index":"main"`) {
		t.Errorf("%s %v", splunk.paths[0], splunk.heads[0])
	}
	s3.mu.Lock()
	defer s3.mu.Unlock()
	if !strings.HasPrefix(s3.paths[0], "/logs/tw/acme/2001/09/09/01/20010909T014640Z-") || !strings.HasSuffix(s3.paths[0], ".ndjson.gz") || !strings.Contains(s3.heads[0].Get("Authorization"), "Credential=key/") {
		t.Errorf("%s %v", s3.paths[0], s3.heads[0])
	}
}

type kafkaFake struct {
	mu   sync.Mutex
	keys []string
	to   KafkaTarget
}

func (k *kafkaFake) Write(_ context.Context, keys, _ [][]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range keys {
		k.keys = append(k.keys, string(key))
	}
	return nil
}

func (k *kafkaFake) Close() error { return nil }

func TestKafka(t *testing.T) {
	src, k := &list{}, &kafkaFake{}
	src.add(12)
	c := start(t, src, func(o *Options) {
		o.Kafka = func(to KafkaTarget) (KafkaWriter, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.to = to
			return k, nil
		}
	})
	create(t, c, "kafka", "ndjson", Config{Brokers: []string{"kafka.example:9092"}, Topic: "logs", Username: "u"})
	eventually(t, "kafka", func() bool { k.mu.Lock(); defer k.mu.Unlock(); return len(k.keys) == 12 })
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys[3] != "acme/e3" || k.to.Topic != "logs" || k.to.Password != "s3cret" || k.to.TLS == nil || k.to.Dial == nil {
		t.Errorf("%v %+v", k.keys, k.to)
	}
}

// TestGuard: a private address is not dialled unless the operator allows it;
// what is refused is shown and nothing is passed over.
func TestGuard(t *testing.T) {
	src, r := &list{}, newReceiver(t)
	src.add(3)
	c := start(t, src, func(o *Options) { o.AllowNetworks = nil })
	s := create(t, c, "http", "ndjson", Config{URL: r.URL})
	eventually(t, "the error is shown", func() bool {
		got, err := c.Streams.Get(t.Context(), []tenant.ID{acme}, s.ID)
		return err == nil && strings.Contains(got.LastError, "refused") && got.Failures > 0 && got.Behind == 3 && got.Sent == 0
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked != 0 {
		t.Errorf("the private address was asked %d times", r.asked)
	}
}

func TestParse(t *testing.T) {
	good := map[string]string{"http": `{"url":"https://siem.example/x"}`, "splunk": `{"url":"https://hec.example:8088","index":"i"}`,
		"s3": `{"endpoint":"s3.example","bucket":"logs","access_key":"k"}`, "kafka": `{"brokers":["k:9092"],"topic":"t"}`}
	for kind, c := range good {
		if _, err := Parse(kind, json.RawMessage(c), false); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, bad := range [][2]string{{"http", `{"url":"http://siem.example"}`}, {"http", `{"url":"https://u:p@siem.example"}`}, {"http", `{}`}, {"http", `{"uri":"https://x"}`}, {"ftp", `{}`},
		{"s3", `{"endpoint":"s3.example","bucket":"UP","access_key":"k"}`}, {"s3", `{"endpoint":"s3.example","bucket":"logs","access_key":"k","prefix":"../x"}`}, {"s3", `{"endpoint":"s3.example","bucket":"logs","access_key":"k","plain":true}`},
		{"kafka", `{"brokers":["k"],"topic":"t"}`}, {"kafka", `{"brokers":["k:1"],"topic":"a b"}`}} {
		if _, err := Parse(bad[0], json.RawMessage(bad[1]), false); !errors.Is(err, ErrConfig) {
			t.Errorf("%v was taken: %v", bad, err)
		}
	}
}
