package delivery

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/egress"
)

// Options is what New needs; only Core is required.
type Options struct {
	Core *core.Core
	// AllowNetworks are those that may be sent to although they are private,
	// loopback, link-local or reserved; none by default.
	AllowNetworks []netip.Prefix
	// RootCAs replaces the system's.
	RootCAs *x509.CertPool
	// Version is the program's, sent with each message.
	Version string
	// Concurrency is how many endpoints are sent to at once; default 64. Those
	// whose last attempt failed get at most half.
	Concurrency int
	// Timeout bounds one attempt; default 10 s.
	Timeout time.Duration
	// Poll is how often due endpoints are looked for, beside being woken by
	// new alerts; default 1 s.
	Poll time.Duration
	// FirstPause and LongestPause bound the back-off: before try n+1 a sender
	// waits a random time up to FirstPause·2ⁿ, at most LongestPause. Default
	// 5 s and 4 h. Retry-After lengthens a pause, up to 24 h.
	FirstPause, LongestPause time.Duration
	// GiveUpAfter is how long an endpoint must have been failing, without a
	// success in between, before a revision is dead; default 76 h. At least
	// MinTries tries in a row must have failed, default 10: time in which
	// nobody was sending does not count against an endpoint.
	GiveUpAfter time.Duration
	MinTries    int
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Rand is in [0, 1); default math/rand.
	Rand func() float64

	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

// Worker sends.
type Worker struct {
	o       Options
	out     *egress.Egress
	owner   string
	claims  atomic.Uint64
	wake    chan struct{}
	metrics *metrics
}

// batch is how many messages an endpoint may be sent before it goes back into
// the queue of due ones.
const batch = 100

// maxRetryAfter bounds what an endpoint may ask for.
const maxRetryAfter = 24 * time.Hour

// New validates and starts nothing.
func New(o Options) (*Worker, error) {
	if o.Core == nil {
		return nil, errors.New("delivery: Core is missing")
	}
	def(&o.Concurrency, 64)
	def(&o.Timeout, 10*time.Second)
	def(&o.Poll, time.Second)
	def(&o.FirstPause, 5*time.Second)
	def(&o.LongestPause, 4*time.Hour)
	def(&o.GiveUpAfter, 76*time.Hour)
	def(&o.MinTries, 10)
	def(&o.Version, "dev")
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Concurrency < 2 || o.Timeout < 0 || o.Poll < 0 || o.FirstPause < 0 || o.LongestPause < o.FirstPause || o.GiveUpAfter < 0 || o.MinTries < 1 {
		return nil, errors.New("delivery: Concurrency must be at least 2, MinTries at least 1, times positive, LongestPause at least FirstPause")
	}
	out, err := egress.New(egress.Options{AllowNetworks: o.AllowNetworks, RootCAs: o.RootCAs, Timeout: o.Timeout})
	if err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("delivery: metrics: %w", err)
	}
	host, _ := os.Hostname()
	return &Worker{
		o: o, out: out, metrics: m, wake: make(chan struct{}, 1),
		owner: host + "/" + strconv.Itoa(os.Getpid()) + "/" + uuid.NewString(),
	}, nil
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// lease is how long an endpoint is ours without another record: one attempt
// and time enough to record it.
func (w *Worker) lease() time.Time { return w.o.Now().Add(w.o.Timeout*2 + 30*time.Second) }

// Wake looks for due endpoints now.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx is done; attempts under way are broken off then, and
// made again by whoever comes next.
func (w *Worker) Run(ctx context.Context) error {
	defer w.out.CloseIdleConnections()
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	grown := w.o.Core.Subscribe(ctx)
	poll := time.NewTicker(w.o.Poll)
	defer poll.Stop()
	backlog := time.NewTicker(10 * w.o.Poll)
	defer backlog.Stop()
	slots := newSlots(w.o.Concurrency)
	for {
		if err := w.start(ctx, slots, &running); err != nil && ctx.Err() == nil {
			w.o.Logger.Warn("look for due webhooks", "error", err)
		}
		select {
		case <-ctx.Done():
			for range grown { // closed once ctx is done
			}
			return nil
		case <-poll.C:
		case <-backlog.C:
			w.observeBacklog(ctx)
		case <-w.wake:
		case <-grown:
		}
	}
}

// start claims as many due endpoints as there are places, and serves each in a
// goroutine of its own.
func (w *Worker) start(ctx context.Context, slots *slots, running *sync.WaitGroup) error {
	for _, failing := range []bool{false, true} {
		n := slots.free(failing)
		if n == 0 {
			continue
		}
		// Not broken off by a shutdown: a claim whose answer is lost would keep
		// its endpoints leased to nobody.
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		// Each claim has an owner of its own: one that outlived its lease must
		// not release what a later claim of this same worker holds.
		owner := w.owner + "/" + strconv.FormatUint(w.claims.Add(1), 10)
		due, err := w.o.Core.Webhooks.Claim(cctx, owner, w.o.Now(), w.lease(), n, failing)
		cancel()
		if err != nil {
			return err
		}
		for _, e := range due {
			slots.take(failing)
			running.Go(func() {
				defer w.Wake() // there is a place again, and there may be more to send
				defer slots.give(failing)
				w.serve(ctx, e, owner)
			})
		}
	}
	return nil
}

// serve sends what one endpoint is owed, in order, until there is no more, an
// attempt fails, or others should have their turn.
func (w *Worker) serve(ctx context.Context, e core.Endpoint, owner string) {
	log := w.o.Logger.With("tenant", e.Tenant.String(), "webhook", e.WebhookID)
	keep := false // the lease, after an error of our own: until it ends nobody tries again
	defer func() {
		if keep {
			return
		}
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := w.o.Core.Webhooks.Release(rctx, e, owner); err != nil && !errors.Is(err, core.ErrSuspended) {
			log.Warn("release the webhook", "error", err)
		}
	}()
	owed, err := w.o.Core.Webhooks.Owed(ctx, e, owner, batch)
	if err != nil {
		if ctx.Err() == nil {
			keep = true
			log.Warn("read what the webhook is owed", "error", err)
		}
		return
	}
	for _, m := range owed.Messages {
		t, err := w.attempt(ctx, owed, e, m)
		if err != nil {
			return // shutting down
		}
		// Recorded even while shutting down: a success that is forgotten is a
		// repeat for the receiver.
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		err = w.o.Core.Webhooks.Record(rctx, e, owner, t)
		cancel()
		if err != nil {
			keep = true
			log.Warn("record the attempt", "seq", m.Seq, "error", err)
			return
		}
		w.metrics.observe(t)
		if t.Outcome != core.Delivered {
			log.Info("webhook not delivered", "seq", m.Seq, "status", t.Status, "reason", t.Error, "outcome", outcomeNames[t.Outcome], "next", t.NextAttempt)
			return
		}
		owed.Failures, owed.FailingSince = 0, time.Time{}
	}
}

// attempt sends once and decides what follows.
func (w *Worker) attempt(ctx context.Context, owed core.Owed, e core.Endpoint, m core.OwedMessage) (core.Tried, error) {
	at := w.o.Now()
	a, err := w.send(ctx, owed, e, m)
	if err != nil {
		return core.Tried{}, err
	}
	t := core.Tried{Seq: m.Seq, At: at, Status: a.Status, Latency: a.Latency, Error: a.Err, Answer: string(a.Body[:min(len(a.Body), keptAnswer)]), LeaseUntil: w.lease()}
	now := w.o.Now()
	switch {
	case a.Err == "":
		t.Outcome = core.Delivered
		return t, nil
	case a.Status == http.StatusGone:
		t.Outcome = core.Gone
		return t, nil
	}
	t.Outcome = core.Retry
	since := owed.FailingSince
	if since.IsZero() {
		since = at
	}
	if since.Before(m.OwedSince) {
		since = m.OwedSince
	}
	if now.Sub(since) >= w.o.GiveUpAfter && owed.Failures+1 >= w.o.MinTries {
		t.Outcome, t.DeadBefore = core.GiveUp, now.Add(-w.o.GiveUpAfter)
	}
	t.NextAttempt = now.Add(w.pause(owed.Failures))
	if latest := now.Add(maxRetryAfter); a.RetryAfter.After(latest) {
		a.RetryAfter = latest
	}
	if a.RetryAfter.After(t.NextAttempt) {
		t.NextAttempt = a.RetryAfter
	}
	return t, nil
}

// pause is the wait after a failure that followed failures others: full
// jitter, so that endpoints which failed together do not return together, and
// never less than a second.
func (w *Worker) pause(failures int) time.Duration {
	ceiling := w.o.LongestPause
	if failures < 30 {
		ceiling = min(ceiling, w.o.FirstPause<<failures)
	}
	return max(time.Duration(w.o.Rand()*float64(ceiling)), min(time.Second, w.o.FirstPause))
}

func (w *Worker) observeBacklog(ctx context.Context) {
	b, err := w.o.Core.Webhooks.Backlog(ctx)
	if err != nil {
		return // looking for due ones has said so
	}
	w.metrics.pending.Set(float64(b.Pending))
	age := 0.0
	if !b.Oldest.IsZero() {
		age = max(0, w.o.Now().Sub(b.Oldest).Seconds())
	}
	w.metrics.oldest.Set(age)
}

// slots counts places; failing endpoints get at most half.
type slots struct {
	mu           sync.Mutex
	all, failing int // free
}

func newSlots(n int) *slots { return &slots{all: n, failing: n / 2} }

func (s *slots) free(failing bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failing {
		return min(s.all, s.failing)
	}
	return s.all
}

func (s *slots) take(failing bool) { s.add(failing, -1) }
func (s *slots) give(failing bool) { s.add(failing, 1) }

func (s *slots) add(failing bool, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all += n
	if failing {
		s.failing += n
	}
}
