package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/coretest"
	"github.com/tenantwatch/tenantwatch/core/delivery"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

var (
	server   *coretest.Server
	acme     = tenant.MustParse("acme")
	tests    = access.System("test")
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
)

func TestMain(m *testing.M) {
	os.Exit(coretest.Main(m, func(s *coretest.Server) { server = s }, func() error { return goleak.Find() }))
}

// message is one request that a receiver took.
type message struct {
	id     string
	seq    uint64
	header http.Header
	body   []byte
}

// receiver is an endpoint: a real HTTP server that checks each signature.
type receiver struct {
	t      testing.TB
	srv    *httptest.Server
	mu     sync.Mutex
	secret string
	got    []message
	change chan struct{} // closed and replaced with each message
	answer func(n int, w http.ResponseWriter, r *http.Request)
}

// newReceiver answers 204, or what answer writes; n counts requests from 1.
func newReceiver(t testing.TB, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	rc := &receiver{t: t, change: make(chan struct{}), answer: answer}
	rc.srv = httptest.NewServer(rc)
	t.Cleanup(rc.srv.Close)
	return rc
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		rc.t.Error(err)
	}
	rc.mu.Lock()
	secret := rc.secret
	rc.mu.Unlock()
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		rc.t.Error(err)
	} else if err := wh.VerifyIgnoringTimestamp(body, r.Header); err != nil { // some tests turn the clock
		rc.t.Errorf("signature: %v", err)
	}
	var f struct {
		Metadata struct {
			Sequence uint64 `json:"sequence"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(body, &f); err != nil {
		rc.t.Error(err)
	}
	rc.mu.Lock()
	rc.got = append(rc.got, message{r.Header.Get("Webhook-Id"), f.Metadata.Sequence, r.Header, body})
	n := len(rc.got)
	close(rc.change)
	rc.change = make(chan struct{})
	rc.mu.Unlock()
	if rc.answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	rc.answer(n, w, r)
}

// wait returns once n requests have come.
func (rc *receiver) wait(n int) []message {
	rc.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		rc.mu.Lock()
		got, change := rc.got, rc.change
		rc.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-change:
		case <-deadline:
			rc.t.Fatalf("%d requests came, want %d", len(got), n)
		}
	}
}

func (rc *receiver) count() int { rc.mu.Lock(); defer rc.mu.Unlock(); return len(rc.got) }

func seqs(got []message) (out []uint64) {
	for _, m := range got {
		out = append(out, m.seq)
	}
	return out
}

// register makes the receiver an endpoint of the tenant.
func (rc *receiver) register(c *core.Core, id tenant.ID) core.Webhook {
	rc.t.Helper()
	w, secret, err := c.Webhooks.Create(context.Background(), tests, id, "", rc.srv.URL+"/hook")
	if err != nil {
		rc.t.Fatal(err)
	}
	rc.mu.Lock()
	rc.secret = secret.Reveal()
	rc.mu.Unlock()
	return w
}

func newCore(t testing.TB, ids ...tenant.ID) (*core.Core, coretest.Database) {
	t.Helper()
	c, db := server.Open(t, nil)
	for _, id := range ids {
		if _, err := c.Tenants.Create(t.Context(), tests, id, ""); err != nil {
			t.Fatal(err)
		}
	}
	return c, db
}

// run starts a worker and gives a function that stops it and waits; the test's
// end does so too.
func run(t testing.TB, o delivery.Options) (stop func()) {
	t.Helper()
	if o.Poll == 0 {
		o.Poll = 10 * time.Millisecond
	}
	if o.FirstPause == 0 {
		o.FirstPause, o.LongestPause = time.Millisecond, 5*time.Millisecond
	}
	w, err := delivery.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

var day = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func makeAlerts(id tenant.ID, from, n int) []alert.Alert {
	out := make([]alert.Alert, n)
	for i := range out {
		at := day.Add(time.Duration(from+i) * time.Minute)
		out[i] = alert.Alert{ID: fmt.Sprintf("0195a000-0000-7000-8000-%012d", from+i), Tenant: id,
			Entity: alert.Entity{Type: alert.User, ID: "ada@acme.example"}, Related: []alert.Entity{{Type: alert.Address, ID: "203.0.113.7"}},
			FirstSeen: at.Add(-time.Hour), LastSeen: at, RaisedAt: at, Score: 87_125, Severity: alert.High, PValue: 1e-9,
			Detectors: []alert.Contribution{{Name: "rate", Version: "1", Contribution: 87_125, Observed: 40, Expected: 2.5, PValue: 1e-9}},
			Technique: []string{"T1110.001"}, Count: 40, EventIDs: []string{"e1"}, Title: "Many <failed> sign-ins", Reason: "40 & more", State: alert.Raised, Revision: 1,
			Plots: []alert.Plot{{Detector: "rate"}}}
	}
	return out
}

func store(t testing.TB, c *core.Core, id tenant.ID, from, n int) {
	t.Helper()
	if _, err := c.Alerts.Upsert(context.Background(), id, makeAlerts(id, from, n)); err != nil {
		t.Fatal(err)
	}
}

// eventually polls a state of the database, which announces nothing.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in 30 s: %s", what)
		}
	}
}

func states(t testing.TB, c *core.Core, w core.Webhook) map[core.DeliveryState]int {
	t.Helper()
	list, err := c.Webhooks.Deliveries(context.Background(), w.Tenant, w.ID, "", 0, 500)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[core.DeliveryState]int)
	for _, d := range list {
		out[d.State]++
	}
	return out
}
