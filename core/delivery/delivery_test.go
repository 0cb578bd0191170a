package delivery_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/coretest"
	"github.com/tenantwatch/tenantwatch/core/delivery"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func upTo(n uint64) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = uint64(i) + 1
	}
	return out
}

// TestDelivers checks what a receiver gets: the signature by the standard's own
// library, the finding, the alert, and the chain.
func TestDelivers(t *testing.T) {
	t.Parallel()
	c, _ := newCore(t, acme)
	rc := newReceiver(t, nil)
	hook := rc.register(c, acme)
	run(t, delivery.Options{Core: c, AllowNetworks: loopback, Version: "1.2.3"})
	store(t, c, acme, 0, 3)
	got := rc.wait(3)
	prev := strings.Repeat("00", 32)
	for i, m := range got {
		wh, err := standardwebhooks.NewWebhook(rc.secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := wh.Verify(m.body, m.header); err != nil { // the timestamp too
			t.Fatal(err)
		}
		if err := wh.Verify(append(slices.Clone(m.body), ' '), m.header); err == nil {
			t.Fatal("a changed body verifies")
		}
		var f struct {
			ClassUID   int    `json:"class_uid"`
			TypeUID    int    `json:"type_uid"`
			SeverityID int    `json:"severity_id"`
			Time       int64  `json:"time"`
			Message    string `json:"message"`
			Metadata   struct {
				TenantUID string `json:"tenant_uid"`
				Version   string `json:"version"`
			} `json:"metadata"`
			FindingInfo struct {
				UID     string `json:"uid"`
				Attacks []struct {
					Technique struct {
						UID string `json:"uid"`
					} `json:"technique"`
				} `json:"attacks"`
			} `json:"finding_info"`
			Unmapped struct {
				Alert json.RawMessage `json:"alert"`
				Chain struct {
					Seq      uint64 `json:"seq"`
					PrevHash string `json:"prev_hash"`
					Hash     string `json:"hash"`
				} `json:"chain"`
			} `json:"unmapped"`
		}
		if err := json.Unmarshal(m.body, &f); err != nil {
			t.Fatal(err)
		}
		want := makeAlerts(acme, i, 1)[0]
		want.Seq, want.Plots = uint64(i+1), nil
		if f.ClassUID != 2004 || f.TypeUID != 200401 || f.SeverityID != 4 || f.Time != want.RaisedAt.UnixMilli() || f.Message != want.Title ||
			f.Metadata.TenantUID != "acme" || f.Metadata.Version != "1.8.0" || f.FindingInfo.UID != want.ID || f.FindingInfo.Attacks[0].Technique.UID != "T1110.001" {
			t.Fatalf("finding %d: %+v", i, f)
		}
		doc, err := json.Marshal(&want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(doc, f.Unmapped.Alert) {
			t.Fatalf("alert in the finding:\n%s\nwant\n%s", f.Unmapped.Alert, doc)
		}
		prevBytes, err := hex.DecodeString(prev)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(append(prevBytes, f.Unmapped.Alert...))
		if f.Unmapped.Chain.Seq != uint64(i+1) || f.Unmapped.Chain.PrevHash != prev || f.Unmapped.Chain.Hash != hex.EncodeToString(sum[:]) {
			t.Fatalf("chain of %d: %+v", i, f.Unmapped.Chain)
		}
		prev = f.Unmapped.Chain.Hash
	}
	eventually(t, "all recorded as delivered", func() bool { return states(t, c, hook)[core.DeliveryDelivered] == 3 })
	tries, err := c.Webhooks.Attempts(t.Context(), acme, hook.ID, 2)
	if err != nil || len(tries) != 1 || tries[0].Status != 204 || tries[0].Error != "" || tries[0].Latency <= 0 {
		t.Fatalf("attempts: %+v, %v", tries, err)
	}
	if b, err := c.Webhooks.Backlog(t.Context()); err != nil || b.Pending != 0 {
		t.Fatalf("backlog %+v, %v", b, err)
	}
}

// TestRetriesInOrder: the receiver fails in every way it can, and still gets
// each revision, in order.
func TestRetriesInOrder(t *testing.T) {
	t.Parallel()
	c, _ := newCore(t, acme)
	rc := newReceiver(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch n % 5 {
		case 1:
			http.Error(w, "try later", http.StatusServiceUnavailable)
		case 2:
			panic(http.ErrAbortHandler) // the connection breaks
		case 3:
			w.WriteHeader(http.StatusNotFound)
		case 4:
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}
	})
	hook := rc.register(c, acme)
	run(t, delivery.Options{Core: c, AllowNetworks: loopback, Timeout: 5 * time.Second})
	store(t, c, acme, 0, 4)
	got := rc.wait(20)
	for i, m := range got {
		if want := uint64(i/5 + 1); m.seq != want {
			t.Fatalf("request %d carries seq %d, want %d: %v", i, m.seq, want, seqs(got))
		}
		if m.id != delivery.MessageID(hook.ID, m.seq) {
			t.Fatalf("request %d has id %s", i, m.id)
		}
	}
	eventually(t, "all delivered", func() bool { return states(t, c, hook)[core.DeliveryDelivered] == 4 })
	tries, err := c.Webhooks.Attempts(t.Context(), acme, hook.ID, 1)
	if err != nil || len(tries) != 5 {
		t.Fatalf("attempts: %+v, %v", tries, err)
	}
	for i, want := range []struct {
		status int
		text   string
	}{{503, "Service Unavailable"}, {0, "EOF"}, {404, "Not Found"}, {307, "redirects are not followed"}, {200, ""}} {
		if tries[i].Attempt != i+1 || tries[i].Status != want.status || !strings.Contains(tries[i].Error, want.text) {
			t.Errorf("attempt %d: %+v, want %+v", i+1, tries[i], want)
		}
	}
	if tries[0].Answer != "try later\n" {
		t.Errorf("answer kept: %q", tries[0].Answer)
	}
}

// TestDeadEndpointsBlockNobody: with four places, six endpoints that hang and
// one that answers, all is delivered to the one while the six hang.
func TestDeadEndpointsBlockNobody(t *testing.T) {
	t.Parallel()
	c, _ := newCore(t, acme)
	release := make(chan struct{})
	for range 6 {
		hung := newReceiver(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		hung.register(c, acme)
	}
	t.Cleanup(func() { close(release) }) // before the servers wait for their handlers
	good := newReceiver(t, nil)
	good.register(c, acme)
	run(t, delivery.Options{Core: c, AllowNetworks: loopback, Concurrency: 4, Timeout: 200 * time.Millisecond})
	for i := range 10 {
		store(t, c, acme, i, 1)
	}
	if got := seqs(good.wait(10)); !slices.Equal(got, upTo(10)) {
		t.Fatalf("received %v", got)
	}
}

func TestGoneAndRedelivery(t *testing.T) {
	t.Parallel()
	c, _ := newCore(t, acme)
	rc := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 2 {
			w.WriteHeader(http.StatusGone)
		}
	})
	hook := rc.register(c, acme)
	store(t, c, acme, 0, 4)
	run(t, delivery.Options{Core: c, AllowNetworks: loopback})
	eventually(t, "gone", func() bool {
		list, err := c.Webhooks.List(t.Context(), []tenant.ID{acme})
		return err == nil && list[0].Status == core.WebhookGone
	})
	if got := states(t, c, hook); got[core.DeliveryDelivered] != 1 || got[core.DeliveryDead] != 3 {
		t.Fatalf("after 410: %v", got)
	}
	store(t, c, acme, 4, 1) // nothing is owed to an endpoint that is gone
	if got := states(t, c, hook); len(got) != 2 || rc.count() != 2 {
		t.Fatalf("after 410: %v, %d requests", got, rc.count())
	}
	if err := c.Webhooks.Resume(t.Context(), tests, acme, hook.ID); err != nil {
		t.Fatal(err)
	}
	n, err := c.Webhooks.Redeliver(t.Context(), tests, acme, hook.ID)
	if err != nil || n != 3 {
		t.Fatalf("redelivery of %d: %v", n, err)
	}
	if got := seqs(rc.wait(5)); !slices.Equal(got, []uint64{1, 2, 2, 3, 4}) {
		t.Fatalf("received %v", got)
	}
	eventually(t, "all delivered", func() bool { return states(t, c, hook)[core.DeliveryDelivered] == 4 })
	if n, err := c.Webhooks.Redeliver(t.Context(), tests, acme, hook.ID, 2); err != nil || n != 1 {
		t.Fatalf("redelivery of one: %d, %v", n, err)
	}
	if got := rc.wait(6); got[5].seq != 2 || got[5].id != got[1].id {
		t.Fatalf("received %v", seqs(got))
	}
}

// TestPrivateAddresses: nothing is dialled that the operator has not allowed,
// by address or by name.
func TestPrivateAddresses(t *testing.T) {
	t.Parallel()
	c, _ := newCore(t, acme)
	rc := newReceiver(t, nil)
	port := rc.srv.URL[strings.LastIndex(rc.srv.URL, ":"):]
	var hooks []core.Webhook
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "192.168.1.1", "172.16.0.1",
		"169.254.169.254", "100.64.0.1", "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"} {
		h, _, err := c.Webhooks.Create(t.Context(), tests, acme, host, "http://"+host+port+"/secret-path")
		if err != nil {
			t.Fatal(err)
		}
		hooks = append(hooks, h)
	}
	store(t, c, acme, 0, 1)
	run(t, delivery.Options{Core: c, FirstPause: time.Hour, LongestPause: time.Hour, Timeout: 5 * time.Second,
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	for _, h := range hooks {
		var tries []core.Attempt
		eventually(t, "an attempt at "+h.Name, func() bool {
			var err error
			tries, err = c.Webhooks.Attempts(t.Context(), acme, h.ID, 1)
			return err == nil && len(tries) == 1
		})
		if !strings.Contains(tries[0].Error, "refused: the address is private") || strings.Contains(tries[0].Error, "secret-path") || tries[0].Status != 0 {
			t.Errorf("%s: %+v", h.Name, tries[0])
		}
	}
	if rc.count() != 0 {
		t.Errorf("%d requests reached a private address", rc.count())
	}
}

func TestWebhookURLs(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.AllowHTTPWebhooks = false })
	if _, err := c.Tenants.Create(t.Context(), tests, acme, ""); err != nil {
		t.Fatal(err)
	}
	for _, u := range []string{"http://siem.example/x", "ftp://siem.example", "https://", "//siem.example", "siem.example", "https://user:pw@siem.example/",
		"https://siem.example/#x", "javascript:alert(1)", "https://siem.example/" + strings.Repeat("x", 2048)} {
		if _, _, err := c.Webhooks.Create(t.Context(), tests, acme, "x", u); err == nil {
			t.Errorf("%.40s is accepted", u)
		}
	}
	for i := range 21 {
		_, secret, err := c.Webhooks.Create(t.Context(), tests, acme, "", "https://siem.example/in")
		if (err == nil) != (i < 20) {
			t.Fatalf("webhook %d: %v", i+1, err)
		}
		if err == nil && !strings.HasPrefix(secret.Reveal(), "whsec_") {
			t.Fatal("the secret has the wrong form")
		}
	}
}

// TestLongAnswer: an endless answer is neither read to its end nor kept.
func TestLongAnswer(t *testing.T) {
	t.Parallel()
	c, _ := newCore(t, acme)
	sent := make(chan int, 1)
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		chunk := bytes.Repeat([]byte("x"), 16<<10)
		total := 0
		for total < 256<<20 {
			n, err := w.Write(chunk)
			total += n
			if err != nil {
				break
			}
		}
		sent <- total
	})
	hook := rc.register(c, acme)
	store(t, c, acme, 0, 1)
	run(t, delivery.Options{Core: c, AllowNetworks: loopback})
	if n := <-sent; n >= 256<<20 {
		t.Fatalf("%d bytes of answer were taken", n)
	}
	eventually(t, "delivered", func() bool { return states(t, c, hook)[core.DeliveryDelivered] == 1 })
	tries, err := c.Webhooks.Attempts(t.Context(), acme, hook.ID, 1)
	if err != nil || len(tries[0].Answer) != 1024 {
		t.Fatalf("kept %d bytes, %v", len(tries[0].Answer), err)
	}
}

// TestTwoWorkers share the endpoints: each revision is sent once, in order.
func TestTwoWorkers(t *testing.T) {
	t.Parallel()
	c, db := newCore(t, acme)
	var rcs []*receiver
	for range 5 {
		rc := newReceiver(t, nil)
		rc.register(c, acme)
		rcs = append(rcs, rc)
	}
	run(t, delivery.Options{Core: c, AllowNetworks: loopback})
	run(t, delivery.Options{Core: coretest.OpenOn(t, db, nil), AllowNetworks: loopback})
	for i := range 20 {
		store(t, c, acme, i, 1)
	}
	for _, rc := range rcs {
		if got := seqs(rc.wait(20)); !slices.Equal(got, upTo(20)) {
			t.Errorf("received %v", got)
		}
	}
}

// TestStoppedSender: a sender that ends in the middle of an attempt loses
// nothing; the next one sends the same message again, with the same id.
func TestStoppedSender(t *testing.T) {
	t.Parallel()
	c, _ := newCore(t, acme)
	rc := newReceiver(t, func(n int, _ http.ResponseWriter, r *http.Request) {
		if n == 2 {
			<-r.Context().Done() // never answers the second
		}
	})
	rc.register(c, acme)
	store(t, c, acme, 0, 3)
	stop := run(t, delivery.Options{Core: c, AllowNetworks: loopback, Timeout: time.Minute})
	rc.wait(2)
	stop()
	run(t, delivery.Options{Core: c, AllowNetworks: loopback})
	got := rc.wait(4)
	if !slices.Equal(seqs(got), []uint64{1, 2, 2, 3}) || got[1].id != got[2].id {
		t.Fatalf("received %v", seqs(got))
	}
}

// TestAnotherKey: an endpoint whose secret cannot be opened is
// left to its lease, and the others go on.
func TestAnotherKey(t *testing.T) {
	t.Parallel()
	c, db := newCore(t, acme)
	rc := newReceiver(t, nil)
	rc.register(c, acme)
	store(t, c, acme, 0, 1)
	var logged syncBuffer
	other := coretest.OpenOn(t, db, func(cfg *core.Config) { cfg.Sealer = otherKey(t) })
	stop := run(t, delivery.Options{Core: other, AllowNetworks: loopback, Logger: logged.logger()})
	eventually(t, "said in the log", func() bool { return strings.Contains(logged.String(), "wrong key") })
	stop()
	if n := strings.Count(logged.String(), "wrong key"); n != 1 || rc.count() != 0 {
		t.Fatalf("tried %d times, %d requests", n, rc.count())
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }
