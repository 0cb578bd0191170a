package delivery_test

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/coretest"
	"github.com/tenantwatch/tenantwatch/core/delivery"
	"github.com/tenantwatch/tenantwatch/core/seal"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func (s *syncBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(s, nil)) }

func otherKey(t testing.TB) seal.Sealer {
	b := make([]byte, 32)
	b[0] = 1
	k, err := seal.NewKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) set(t time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.t = t }

func coreAt(t testing.TB, clk *clock) *core.Core {
	t.Helper()
	db := server.Database(t)
	c := coretest.OpenOn(t, db, func(cfg *core.Config) { cfg.Now = clk.now })
	if _, err := c.Tenants.Create(t.Context(), tests, acme, ""); err != nil {
		t.Fatal(err)
	}
	return c
}

// next waits until the endpoint's n-th failure in a row is recorded and tells
// when it is tried next.
func next(t testing.TB, c *core.Core, n int) core.Webhook {
	t.Helper()
	var w core.Webhook
	eventually(t, "failure "+strconv.Itoa(n), func() bool {
		list, err := c.Webhooks.List(t.Context(), []tenant.ID{acme})
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		w = list[0]
		return w.Failures >= n
	})
	return w
}

// TestGivesUpAfterThreeDays turns the clock to each next attempt at an endpoint
// that always fails. The revision must be tried for at least 75 hours; what
// waited behind it dies with it; what came later is tried on; and when the
// endpoint is back, all can be had again in order.
func TestGivesUpAfterThreeDays(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			clk := &clock{t: time.Now()}
			c := coreAt(t, clk)
			healthy := make(chan struct{})
			rc := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				select {
				case <-healthy:
				default:
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
			hook := rc.register(c, acme)
			store(t, c, acme, 0, 2) // both owed from the start
			start := clk.now()
			rnd := rand.New(rand.NewPCG(seed, 1))
			opts := delivery.Options{Core: c, AllowNetworks: loopback, Now: clk.now, Rand: rnd.Float64, FirstPause: 5 * time.Second, LongestPause: 4 * time.Hour}
			stop := run(t, opts)
			tries, late := 0, false
			for states(t, c, hook)[core.DeliveryDead] == 0 {
				tries++
				w := next(t, c, tries)
				if pause := w.NextAttemptAt.Sub(clk.now()); pause < time.Second-time.Millisecond || pause > 4*time.Hour {
					t.Fatalf("pause of %v after failure %d", pause, tries)
				}
				if !late && clk.now().Sub(start) > 30*time.Hour {
					store(t, c, acme, 2, 1)
					late = true
				}
				clk.set(w.NextAttemptAt.Add(time.Millisecond))
				if tries > 500 {
					t.Fatal("it never gives up")
				}
			}
			took := clk.now().Sub(start)
			t.Logf("gave up after %v and %d tries", took, tries)
			if took < 75*time.Hour || took > 90*time.Hour {
				t.Errorf("gave up after %v, want 75 h to 90 h", took)
			}
			if got := states(t, c, hook); got[core.DeliveryDead] != 2 || got[core.DeliveryPending] != 1 {
				t.Errorf("two waited for three days, one did not: %v", got)
			}
			if got := seqs(rc.wait(1)); !slices.IsSorted(got) || slices.Contains(got, 2) {
				t.Fatalf("sent out of order, or without settling 1 first: %v", got)
			}
			stop()
			close(healthy)
			if n, err := c.Webhooks.Redeliver(t.Context(), tests, acme, hook.ID); err != nil || n != 2 {
				t.Fatalf("redelivery of %d: %v", n, err)
			}
			run(t, opts)
			eventually(t, "all delivered", func() bool { return states(t, c, hook)[core.DeliveryDelivered] == 3 })
			got := seqs(rc.wait(1))
			if tail := got[len(got)-3:]; tail[0] != 1 || tail[1] != 2 || tail[2] != 3 {
				t.Errorf("redelivered in order %v", tail)
			}
		})
	}
}

// TestSendersAbsenceDoesNotCount: after four days in which nobody was sending,
// one failure does not give a revision up.
func TestSendersAbsenceDoesNotCount(t *testing.T) {
	t.Parallel()
	clk := &clock{t: time.Now()}
	c := coreAt(t, clk)
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	hook := rc.register(c, acme)
	store(t, c, acme, 0, 1)
	opts := delivery.Options{Core: c, AllowNetworks: loopback, Now: clk.now, FirstPause: time.Second, LongestPause: time.Hour}
	stop := run(t, opts)
	next(t, c, 1)
	stop()
	clk.set(clk.now().Add(96 * time.Hour))
	run(t, opts)
	next(t, c, 2)
	if got := states(t, c, hook); got[core.DeliveryPending] != 1 {
		t.Fatalf("after an absence: %v", got)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	f := func(name, header string, least, most time.Duration) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := &clock{t: time.Now().Truncate(time.Second)}
			c := coreAt(t, clk)
			rc := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				if header == "date" {
					w.Header().Set("Retry-After", clk.now().Add(10*time.Minute).UTC().Format(http.TimeFormat))
				} else {
					w.Header().Set("Retry-After", header)
				}
				w.WriteHeader(http.StatusTooManyRequests)
			})
			rc.register(c, acme)
			store(t, c, acme, 0, 1)
			run(t, delivery.Options{Core: c, AllowNetworks: loopback, Now: clk.now, FirstPause: 2 * time.Second, LongestPause: time.Hour})
			if got := next(t, c, 1).NextAttemptAt.Sub(clk.now()); got < least || got > most {
				t.Errorf("next attempt in %v, want %v to %v", got, least, most)
			}
		})
	}
	f("seconds", "600", 10*time.Minute, 10*time.Minute)
	f("date", "date", 10*time.Minute, 10*time.Minute)
	f("too long", "999999999", 24*time.Hour, 24*time.Hour)
	f("nonsense", "soon", time.Second, 2*time.Second)
	f("negative", "-5", time.Second, 2*time.Second)
	f("shorter than ours", "0", time.Second, 2*time.Second)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	c, _ := newCore(t)
	for name, o := range map[string]delivery.Options{
		"no core":             {},
		"one place":           {Core: c, Concurrency: 1},
		"pauses upside down":  {Core: c, FirstPause: time.Hour, LongestPause: time.Minute},
		"negative time":       {Core: c, Timeout: -1},
		"an invalid network":  {Core: c, AllowNetworks: make([]netip.Prefix, 1)},
		"negative give-up":    {Core: c, GiveUpAfter: -1},
		"negative try bounds": {Core: c, MinTries: -1},
	} {
		if _, err := delivery.New(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
