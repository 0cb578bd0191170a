package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/buffer"
	"github.com/tenantwatch/tenantwatch/collector/httppush"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/embedded/broker"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
)

type oneKey struct{}

func (oneKey) ResolveIngestKey(context.Context, string) (collector.IngestKey, error) {
	return collector.IngestKey{Tenant: tenant.MustParse("acme"), ID: "k", Name: "web"}, nil
}

// With Kafka away a push is answered 202 with durable_in buffer, and the log
// has it in order once Kafka is back; with the buffer full it is 503.
func TestPushWhileKafkaIsAway(t *testing.T) {
	br, err := broker.Start(t.Context(), broker.Options{DataDir: t.TempDir(), Groups: map[string][]string{eventlog.EventsTopic: {"g"}, eventlog.QuarantineTopic: {"g"}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- br.Run(ctx) }()
	var away atomic.Bool
	conns := make(chan net.Conn, 1000)
	cfg := eventlog.Config{Brokers: br.Addrs(), Partitions: 1, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if away.Load() {
			return nil, errors.New("kafka is away")
		}
		c, err := br.Dial(ctx, network, addr)
		if err == nil {
			conns <- c
		}
		return c, err
	}}
	if err := eventlog.EnsureTopics(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	producer, err := eventlog.NewProducer(cfg, eventlog.ProducerOptions{Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	b, err := buffer.Open(buffer.Options{Dir: t.TempDir(), Sink: logSink{producer}, MaxBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- b.Run(ctx) }()
	h, err := httppush.New(httppush.Options{Keys: oneKey{}, Sink: b})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	push := func() (code int, where string) {
		t.Helper()
		var body strings.Builder
		for i := range 10 {
			fmt.Fprintf(&body, `{"time":1772356502,"actor":"a","action":"login","id":"%06d","note":%q}`+"\n", n+i, strings.Repeat("x", 100))
		}
		r := httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(body.String()))
		r.Header.Set("Authorization", "Bearer x")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var a struct {
			DurableIn string `json:"durable_in"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		if w.Code == http.StatusAccepted {
			n += 10
		} else if w.Header().Get("Retry-After") == "" {
			t.Fatalf("%d without Retry-After: %s", w.Code, w.Body)
		}
		return w.Code, a.DurableIn
	}
	if code, where := push(); code != 202 || where != "kafka" {
		t.Fatal(code, where)
	}
	away.Store(true)
	for len(conns) > 0 {
		(<-conns).Close()
	}
	for range 5 {
		if code, where := push(); code != 202 || where != "buffer" {
			t.Fatal(code, where)
		}
	}
	full := 0
	for ; full < 100; full++ {
		if code, _ := push(); code == 503 {
			break
		}
	}
	if full == 100 {
		t.Fatal("the buffer is never full")
	}
	away.Store(false)
	for end := time.Now().Add(time.Minute); b.Status().Entries > 0; <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not drained: %+v", b.Status())
		}
	}
	if code, where := push(); code != 202 || where != "kafka" {
		t.Fatal(code, where)
	}
	// A retry may have written some twice; the first time is in order.
	ids := make(chan string, 10_000)
	con, err := eventlog.NewConsumer(cfg, eventlog.ConsumerOptions{Group: "g", Topics: []string{eventlog.EventsTopic}, Handler: func(ctx context.Context, p *eventlog.Partition) error {
		p.Start(0)
		for {
			rs, err := p.Read(ctx)
			if err != nil {
				return err
			}
			for _, r := range rs {
				for i := range r.Events {
					ids <- r.Events[i].ID
				}
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	conDone := make(chan error, 1)
	conCtx, conStop := context.WithCancel(context.Background())
	go func() { conDone <- con.Run(conCtx) }()
	var got []string
	seen := map[string]bool{}
	timeout := time.After(time.Minute)
	for len(got) < n {
		select {
		case id := <-ids:
			if !seen[id] {
				seen[id] = true
				got = append(got, id)
			}
		case <-timeout:
			t.Fatalf("%d of %d events arrived", len(got), n)
		}
	}
	if !slices.IsSorted(got) {
		t.Fatalf("out of order: %v", got)
	}
	conStop()
	if err := <-conDone; err != nil {
		t.Error(err)
	}
	if err := producer.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
