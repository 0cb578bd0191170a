package logstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/egress"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// Batch is what lies behind a position.
type Batch struct {
	Events   []event.Event
	Position json.RawMessage // behind them
	More     bool            // there is more behind that, now
}

// Source reads a tenant's events in the order they were stored.
type Source interface {
	// Next reads at most limit events behind a position that match the query.
	Next(ctx context.Context, id tenant.ID, position json.RawMessage, q *query.Query, limit int) (Batch, error)
	// Behind counts what lies behind a position, whether it matches or not, and
	// since when the oldest of it has been there; zero when there is nothing.
	Behind(ctx context.Context, id tenant.ID, position json.RawMessage) (events uint64, oldest time.Time, err error)
}

// Options are what New needs; Core and Source are required.
type Options struct {
	Core   *core.Core
	Source Source
	// AllowNetworks are private networks that may be sent to.
	AllowNetworks []netip.Prefix
	// AllowPlain takes http and connections without TLS.
	AllowPlain bool
	// Kafka opens a writer; nil: there are no streams to Kafka.
	Kafka func(KafkaTarget) (KafkaWriter, error)
	// Parallel is how many streams are served at once; default 8.
	Parallel int
	// BatchEvents is the most events of a batch; default 1000.
	BatchEvents int
	// Idle is how long a stream rests that has nothing to send; default 2 s.
	Idle time.Duration

	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

const (
	lease      = 2 * time.Minute
	turnTime   = 20 * time.Second // then others have theirs
	firstPause = 2 * time.Second
	lastPause  = 5 * time.Minute
)

// Worker serves the streams of all tenants.
type Worker struct {
	o      Options
	owner  string
	log    *slog.Logger
	egress *egress.Egress
	sinks  map[string]sink
	sent   *prometheus.CounterVec
	failed *prometheus.CounterVec
}

// New checks the options; it starts nothing.
func New(o Options) (*Worker, error) {
	if o.Core == nil || o.Source == nil {
		return nil, errors.New("logstream: Core and Source are required")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	if o.BatchEvents <= 0 {
		o.BatchEvents = 1000
	}
	if o.Idle <= 0 {
		o.Idle = 2 * time.Second
	}
	e, err := egress.New(egress.Options{AllowNetworks: o.AllowNetworks})
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	w := &Worker{o: o, owner: id.String(), log: o.Logger, egress: e,
		sinks:  map[string]sink{"http": httpSink{e}, "splunk": splunkSink{e}, "s3": s3Sink{e}, "kafka": kafkaSink{e, o.Kafka}},
		sent:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenantwatch_logstream_events_total", Help: "Events taken by the receivers of log streams."}, []string{"kind"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenantwatch_logstream_failures_total", Help: "Turns of log streams that ended with an error."}, []string{"kind"}),
	}
	if o.Metrics != nil {
		if err := errors.Join(o.Metrics.Register(w.sent), o.Metrics.Register(w.failed)); err != nil {
			return nil, fmt.Errorf("logstream: metrics: %w", err)
		}
	}
	return w, nil
}

// Run serves until ctx is done.
func (w *Worker) Run(ctx context.Context) error {
	defer w.egress.CloseIdleConnections()
	var turns sync.WaitGroup
	defer turns.Wait()
	free := make(chan struct{}, w.o.Parallel)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		room := w.o.Parallel - len(free)
		var due []core.StreamWork
		if room > 0 {
			var err error
			if due, err = w.o.Core.Streams.Claim(ctx, w.owner, lease, room); err != nil && ctx.Err() == nil {
				w.log.Warn("no log stream could be claimed", "error", err)
			}
		}
		for _, s := range due {
			free <- struct{}{}
			turns.Add(1)
			go func() {
				defer func() { <-free; turns.Done() }()
				w.turn(ctx, s)
			}()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// turn sends what there is for a while, and says how it went.
func (w *Worker) turn(ctx context.Context, s core.StreamWork) {
	end := time.Now().Add(turnTime)
	err := w.sendAll(ctx, &s, end)
	if errors.Is(err, core.ErrConflict) {
		return // somebody else's by now, or gone
	}
	r := core.StreamResult{Position: s.Position, Next: time.Now().Add(w.o.Idle)}
	if err != nil && ctx.Err() == nil {
		w.failed.WithLabelValues(s.Kind).Inc()
		w.log.Info("a log stream's receiver did not take a batch", "stream", s.ID, "error", err)
		r.Err = err.Error()
		pause := firstPause << min(s.Failures, 10)
		r.Next = time.Now().Add(min(pause, lastPause))
	}
	done := context.WithoutCancel(ctx) // a stop must not leave the lease to nobody
	if behind, oldest, err := w.o.Source.Behind(done, s.Tenant, s.Position); err == nil {
		if r.Behind = behind; behind > 0 {
			r.Lag = max(0, time.Since(oldest))
			if r.Err == "" {
				r.Next = time.Now()
			}
		}
	}
	if err := w.o.Core.Streams.Done(done, w.owner, s, r, 0); err != nil && !errors.Is(err, core.ErrConflict) {
		w.log.Warn("the state of a log stream could not be written", "stream", s.ID, "error", err)
	}
}

// sendAll sends batch after batch; s.Position follows.
func (w *Worker) sendAll(ctx context.Context, s *core.StreamWork, end time.Time) error {
	c, err := Parse(s.Kind, s.Config, w.o.AllowPlain)
	if err != nil {
		return err
	}
	q, err := query.Parse(s.Query)
	if err != nil {
		return err
	}
	for ctx.Err() == nil && time.Now().Before(end) {
		b, err := w.o.Source.Next(ctx, s.Tenant, s.Position, q, w.o.BatchEvents)
		if err != nil {
			w.log.Warn("a log stream's events could not be read", "stream", s.ID, "error", err)
			return errors.New("the events could not be read just now")
		}
		if len(b.Events) > 0 {
			if err := w.sinks[s.Kind].send(ctx, *s, c, batch{b.Events, key(s.ID, b.Events), s.Format}); err != nil {
				return err
			}
			w.sent.WithLabelValues(s.Kind).Add(float64(len(b.Events)))
		}
		if string(b.Position) != string(s.Position) {
			s.Position = b.Position
			r := core.StreamResult{Position: b.Position, Sent: uint64(len(b.Events)), Next: time.Now()}
			if len(b.Events) > 0 {
				r.Batches = 1
			}
			// From here on it will not be sent again. A stop between the two
			// is why a receiver may see a batch twice.
			if err := w.o.Core.Streams.Done(context.WithoutCancel(ctx), w.owner, *s, r, lease); err != nil {
				return err
			}
		}
		if !b.More {
			return nil
		}
	}
	return nil
}

// key names a batch by its events, so that a receiver knows it again.
func key(stream string, events []event.Event) string {
	h := sha256.New()
	h.Write([]byte(stream))
	for i := range events {
		h.Write([]byte{0})
		h.Write([]byte(events[i].ID))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
