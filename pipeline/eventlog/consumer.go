package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
)

// Handler reads one assigned partition until ctx is done. It must return soon
// after that: the group waits for it before the partition moves on, at most
// the rebalance timeout. When it returns early with an error it is started
// again, after a pause, with freshly fetched offsets; with ErrStop it is not:
// the partition rests until the next generation or restart.
type Handler func(ctx context.Context, p *Partition) error

// ErrStop is wrapped by a handler's error that no retry can mend: going on
// would lose or double data, so an operator has to look.
var ErrStop = errors.New("partition stopped")

// ConsumerOptions say who reads what. Group, Topics and Handler are required.
type ConsumerOptions struct {
	Group   string
	Topics  []string
	Handler Handler

	// SessionTimeout is how long the group waits for a silent member before it
	// gives its partitions away; default 10 s. After a crash the successor of
	// another process waits this long.
	SessionTimeout time.Duration
	// RebalanceTimeout is how long members have to finish their work when the
	// group changes; default 15 s.
	RebalanceTimeout time.Duration
	// FetchBytes bounds one fetch per partition; default 1 MiB (a larger batch
	// is still read whole). Two fetches are held ahead of the handler.
	FetchBytes int
	// Raw reads a topic of somebody else's: a record's bytes are in Value, and
	// nothing is decoded.
	Raw bool
	// Prefetch is how many fetches wait for the handler; default 2.
	Prefetch int
}

// Consumer is one member of a consumer group.
type Consumer struct {
	cfg Config
	opt ConsumerOptions
	cl  *kafka.Client
	end func()
	m   consumerMetrics
	log *slog.Logger
}

// NewConsumer checks its arguments and connects to nothing.
func NewConsumer(cfg Config, opt ConsumerOptions) (*Consumer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if opt.Group == "" || len(opt.Topics) == 0 || opt.Handler == nil {
		return nil, errors.New("event log consumer: group, topics and handler are required")
	}
	if opt.SessionTimeout <= 0 {
		opt.SessionTimeout = 10 * time.Second
	}
	if opt.RebalanceTimeout <= 0 {
		opt.RebalanceTimeout = 15 * time.Second
	}
	if opt.FetchBytes <= 0 {
		opt.FetchBytes = 1 << 20
	}
	if opt.Prefetch <= 0 {
		opt.Prefetch = 2
	}
	c := &Consumer{cfg: cfg, opt: opt, log: cfg.Logger.With("group", opt.Group)}
	if c.m, err = newConsumerMetrics(cfg.Metrics); err != nil {
		return nil, err
	}
	return c, nil
}

// Run takes part in the group until ctx is done, then lets the handlers finish,
// leaves the group and returns nil. It returns an error only when it cannot
// start at all; a broker that is away is waited for.
func (c *Consumer) Run(ctx context.Context) error {
	c.cl, c.end = c.cfg.client()
	defer c.end()
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: c.opt.Group, Brokers: c.cfg.Brokers, Dialer: c.cfg.dialer(), Topics: c.opt.Topics,
		HeartbeatInterval:     min(c.opt.SessionTimeout/5, 2*time.Second),
		SessionTimeout:        c.opt.SessionTimeout,
		RebalanceTimeout:      c.opt.RebalanceTimeout,
		JoinGroupBackoff:      300 * time.Millisecond, // the library's 5 s make every hiccup at start a long one
		Timeout:               requestTimeout,
		WatchPartitionChanges: true,
		StartOffset:           kafka.FirstOffset,
		ErrorLogger:           kafka.LoggerFunc(func(msg string, args ...any) { c.log.Debug("consumer group: " + fmt.Sprintf(msg, args...)) }),
	})
	if err != nil {
		return fmt.Errorf("join group %s: %w", c.opt.Group, err)
	}
	// Close ends the generation, waits for the handlers, then leaves.
	defer group.Close() //nolint:errcheck // it has no error
	for {
		gen, err := group.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, kafka.ErrGroupClosed):
			return nil
		case err != nil:
			c.log.Warn("cannot join the consumer group, trying again", "error", err)
			continue
		}
		c.start(gen)
	}
}

// start launches the generation's handlers. The library ends the generation
// as soon as one function returns, so each stays until the generation is over.
func (c *Consumer) start(gen *kafka.Generation) {
	c.m.rebalances.WithLabelValues(c.opt.Group).Set(float64(gen.ID))
	n := 0
	for topic, parts := range gen.Assignments {
		for _, a := range parts {
			n++
			gen.Start(func(ctx context.Context) { c.own(ctx, gen, topic, a.ID) })
		}
	}
	c.log.Info("partitions assigned", "generation", gen.ID, "partitions", n)
}

// own runs the handler for one partition until the generation is over.
func (c *Consumer) own(genCtx context.Context, gen *kafka.Generation, topic string, partition int) {
	ctx, cancel := context.WithCancel(genCtx)
	defer cancel()
	log := c.log.With("topic", topic, "partition", partition, "generation", gen.ID)
	labels := prometheus.Labels{"group": c.opt.Group, "topic": topic, "partition": strconv.Itoa(partition)}
	c.m.stopped.With(labels).Set(0)
	bo := newBackoff(100*time.Millisecond, 5*time.Second)
	for ctx.Err() == nil {
		began := time.Now()
		err := c.handle(ctx, gen, topic, partition, log, labels)
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, ErrGenerationOver) && !errors.Is(err, context.Canceled) {
				log.Warn("the handler ended with an error as the generation ended", "error", err)
			}
			break
		}
		if errors.Is(err, ErrFenced) {
			// The coordinator knows better; the next heartbeat ends the generation.
			log.Info("the partition was given to another consumer", "error", err)
			<-ctx.Done()
			break
		}
		if errors.Is(err, ErrStop) {
			c.m.stopped.With(labels).Set(1)
			log.Error("partition stopped: an operator has to look", "error", err)
			<-ctx.Done()
			break
		}
		c.m.handlerErrors.With(labels).Inc()
		log.Warn("the handler failed and is started again", "error", err)
		if time.Since(began) > time.Minute {
			bo = newBackoff(100*time.Millisecond, 5*time.Second)
		}
		if bo.wait(ctx) != nil {
			break
		}
	}
}

func (c *Consumer) handle(ctx context.Context, gen *kafka.Generation, topic string, partition int, log *slog.Logger, labels prometheus.Labels) error {
	p := &Partition{c: c, gen: gen, topic: topic, id: partition, log: log, committed: -1,
		records: c.m.records.With(labels), poison: c.m.poison.With(labels), skipped: c.m.skipped.With(labels),
		lag: c.m.lag.With(labels), age: c.m.age.With(labels)}
	if err := p.open(ctx); err != nil {
		return err
	}
	defer p.close()
	err := c.opt.Handler(ctx, p)
	if err == nil && ctx.Err() == nil {
		err = errors.New("the handler returned although its partition is still assigned")
	}
	return err
}
