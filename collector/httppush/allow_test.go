package httppush

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// limited resolves "TENANT/KEY" to a key of that tenant with its limits.
type limited map[string]collector.TenantLimits

func (l limited) ResolveIngestKey(_ context.Context, bearer string) (collector.IngestKey, error) {
	ten, key, ok := strings.Cut(bearer, "/")
	limits, known := l[ten]
	if !ok || !known {
		return collector.IngestKey{}, collector.ErrUnauthorized
	}
	return collector.IngestKey{Tenant: tenant.MustParse(ten), ID: key, Limits: limits}, nil
}

type nowhere struct{}

func (nowhere) Deliver(context.Context, collector.Delivery) error { return nil }

type counts struct {
	mu      sync.Mutex
	events  map[string]int
	bytes   map[string]int
	refused map[string]int
}

func (c *counts) Pushed(id tenant.ID, events, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events[id.String()] += events
	c.bytes[id.String()] += bytes
}

func (c *counts) Refused(id tenant.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[id.String()]++
}

func TestTenantLimits(t *testing.T) {
	now := time.Date(2026, 3, 1, 18, 0, 0, 0, time.UTC)
	m := &counts{events: map[string]int{}, bytes: map[string]int{}, refused: map[string]int{}}
	h, err := New(Options{Config: Config{Burst: 10}, Sink: nowhere{}, Meter: m, Now: func() time.Time { return now },
		Keys: limited{"acme": {EventsPerSecond: 1}, "beta": {}, "full": {EventsPerDay: 100, EventsToday: 100}, "most": {EventsPerDay: 100, EventsToday: 99, BytesPerDay: 1000}}})
	if err != nil {
		t.Fatal(err)
	}
	line := `{"time":"2026-03-01T09:00:00Z","actor":"a","action":"login"}` + "\n"
	push := func(bearer, from string, n int) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(strings.Repeat(line, n)))
		r.Header.Set("Authorization", "Bearer "+bearer)
		r.RemoteAddr = from
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	const here = "192.0.2.1:4711"
	if rec := push("acme/one", here, 15); rec.Code != 202 || rec.Header().Get("RateLimit") != `"tenant";r=10;t=0` || rec.Header().Get("RateLimit-Policy") != `"tenant";q=10;w=10` {
		t.Fatalf("within the quota: %d %v", rec.Code, rec.Header())
	}
	// The tenant's other key has the same quota, another tenant its own.
	if rec := push("acme/two", here, 1); rec.Code != 429 || rec.Header().Get("Retry-After") != "5" || rec.Header().Get("RateLimit") != `"tenant";r=0;t=15` {
		t.Errorf("over the tenant's quota by another key: %d %v", rec.Code, rec.Header())
	}
	if rec := push("beta/one", here, 1); rec.Code != 202 || rec.Header().Get("RateLimit") != "" {
		t.Errorf("another tenant: %d %v", rec.Code, rec.Header())
	}
	now = now.Add(6 * time.Second)
	if rec := push("acme/two", here, 1); rec.Code != 202 {
		t.Errorf("six seconds later: %d", rec.Code)
	}
	// The day's quota ends with the day.
	if rec := push("full/one", here, 1); rec.Code != 429 || rec.Header().Get("Retry-After") != fmt.Sprint(6*3600-6) {
		t.Errorf("over the day's quota: %d %v", rec.Code, rec.Header())
	}
	if rec := push("most/one", here, 1); rec.Code != 202 || !strings.Contains(rec.Header().Get("RateLimit"), `"tenant-day";r=1;`) {
		t.Errorf("one left: %d %v", rec.Code, rec.Header())
	}
	if m.events["acme"] != 16 || m.bytes["acme"] != 16*len(line) || m.refused["acme"] != 1 || m.refused["full"] != 1 || m.events["beta"] != 1 {
		t.Errorf("metered: %+v", m)
	}
	// Whoever guesses at keys has to wait, by the network; others do not.
	code := 0
	for range 70 {
		if code = push("nobody/x", "[2001:db8::1]:1", 1).Code; code != 401 {
			break
		}
	}
	if rec := push("beta/one", "[2001:db8::2]:1", 1); code != 429 || rec.Code != 429 || rec.Header().Get("Retry-After") == "" {
		t.Errorf("after seventy guesses: %d, %d", code, rec.Code)
	}
	if rec := push("beta/one", here, 1); rec.Code != 202 {
		t.Errorf("from elsewhere: %d", rec.Code)
	}
}
