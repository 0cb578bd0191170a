package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// Store is what the loop needs of the event store.
type Store interface {
	Insert(ctx context.Context, b *eventstore.Block, token string) error
	Find(ctx context.Context, t eventstore.Table, month int, r eventstore.Range) (eventstore.Found, error)
	Known(ctx context.Context, table eventstore.Table, t tenant.ID, refs []eventstore.Ref, except eventstore.Range) (map[string]struct{}, error)
	IDHashes(ctx context.Context, t tenant.ID, most uint64, fn func(hash uint64)) (rows uint64, err error)
	RecordDuplicates(ctx context.Context, r eventstore.Range, dups []eventstore.Duplicates) error
}

// DefaultGroup is the consumer group of the writers.
const DefaultGroup = "tenantwatch-ingest"

// Options say what to read and where to write. Log and Store are required.
type Options struct {
	Log   eventlog.Config
	Store Store
	Group string // default DefaultGroup

	// Linger is how long a batch waits for more records after its first;
	// default 200 ms. It is most of the time from push to row.
	Linger time.Duration
	// MaxRows closes a batch; default 50,000.
	MaxRows int
	// FilterBytes bounds the memory of the filters of known ids, all partitions
	// of this process together (6 to 12 bytes an id); default 256 MiB. Tenants
	// beyond it cost a lookup in the store for every batch.
	FilterBytes int64
	// Grace is how long a batch under way may take to finish at shutdown or
	// when the partition moves; default 5 s. What is not finished is done by
	// the next owner.
	Grace time.Duration
	// SessionTimeout and RebalanceTimeout are the consumer group's; defaults as
	// in eventlog. The latter must exceed the grace.
	SessionTimeout, RebalanceTimeout time.Duration

	Logger  *slog.Logger          // default: Log.Logger
	Metrics prometheus.Registerer // default: Log.Metrics

	faults // only tests set these
}

// faults take parts of the recipe away, to show that the tests would see it.
type faults struct {
	withoutIDCheck bool // every event is taken for new
	withoutIntent  bool // a crash forgets where the blocks were cut
	withoutToken   bool // every insert gets a token of its own
}

// Ingest is the loop. Make it with New.
type Ingest struct {
	opt      Options
	consumer *eventlog.Consumer
	budget   atomic.Int64 // bytes of filters still free
	m        metrics
	log      *slog.Logger
}

// New checks its arguments and starts nothing.
func New(opt Options) (*Ingest, error) {
	if opt.Store == nil {
		return nil, errors.New("ingest: no store given")
	}
	if opt.Group == "" {
		opt.Group = DefaultGroup
	}
	if opt.Linger <= 0 {
		opt.Linger = 200 * time.Millisecond
	}
	if opt.MaxRows <= 0 {
		opt.MaxRows = 50_000
	}
	if opt.FilterBytes <= 0 {
		opt.FilterBytes = 256 << 20
	}
	if opt.Grace <= 0 {
		opt.Grace = 5 * time.Second
	}
	if opt.Logger == nil {
		opt.Logger = opt.Log.Logger
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Metrics == nil {
		opt.Metrics = opt.Log.Metrics
	}
	if opt.Log.EventsTopic == "" {
		opt.Log.EventsTopic = eventlog.EventsTopic
	}
	if opt.Log.QuarantineTopic == "" {
		opt.Log.QuarantineTopic = eventlog.QuarantineTopic
	}
	in := &Ingest{opt: opt, log: opt.Logger}
	in.budget.Store(opt.FilterBytes)
	var err error
	if in.m, err = newMetrics(opt.Metrics); err != nil {
		return nil, err
	}
	in.consumer, err = eventlog.NewConsumer(opt.Log, eventlog.ConsumerOptions{
		Group: opt.Group, Topics: []string{opt.Log.EventsTopic, opt.Log.QuarantineTopic},
		SessionTimeout: opt.SessionTimeout, RebalanceTimeout: opt.RebalanceTimeout, Handler: in.handle,
	})
	if err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	return in, nil
}

// Run writes until ctx is done, then finishes or abandons the batches under
// way; both are safe. A log or store that is away is waited for.
func (in *Ingest) Run(ctx context.Context) error { return in.consumer.Run(ctx) }

func (in *Ingest) handle(ctx context.Context, p *eventlog.Partition) error {
	// Work under way outlives the assignment by the grace.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var timer atomic.Pointer[time.Timer]
	stop := context.AfterFunc(ctx, func() { timer.Store(time.AfterFunc(in.opt.Grace, cancel)) })
	defer func() {
		stop()
		if t := timer.Load(); t != nil {
			t.Stop()
		}
	}()
	w := &writer{in: in, p: p, seen: map[tenant.ID]*filter{},
		log: in.log.With("topic", p.Topic(), "partition", p.ID(), "generation", p.Generation())}
	defer w.close()
	w.quarantine = p.Topic() == in.opt.Log.QuarantineTopic
	err := w.run(ctx, work)
	if errors.Is(err, eventlog.ErrStop) {
		in.m.stopped.Inc()
	}
	return err
}
