package eventlog

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/semaphore"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// ProducerOptions tune a Producer; zero values have defaults.
type ProducerOptions struct {
	Linger        time.Duration // how long a batch waits for company; default 3 ms
	RecordBytes   int           // a record is closed at this size; default 256 KiB
	BatchBytes    int           // a batch is closed at this size, before compression; default 900 KiB
	InFlightBytes int64         // bytes waiting for acknowledgement, all together; default 64 MiB
	Timeout       time.Duration // from the first try to giving up with ErrUnavailable; default 15 s
}

func (o ProducerOptions) withDefaults() ProducerOptions {
	if o.Linger <= 0 {
		o.Linger = 3 * time.Millisecond
	}
	if o.RecordBytes <= 0 {
		o.RecordBytes = 256 << 10
	}
	if o.BatchBytes <= 0 {
		o.BatchBytes = 900 << 10
	}
	if o.InFlightBytes <= 0 {
		o.InFlightBytes = 64 << 20
	}
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	return o
}

// Producer writes batches of events, acknowledged by all replicas in sync. It
// is safe for concurrent use; calls for the same partition share requests, and a
// partition's records are written in the order of the calls.
type Producer struct {
	cfg    Config
	opt    ProducerOptions
	cl     *kafka.Client
	stop   func()
	codec  kafka.Compression
	bytes  *semaphore.Weighted
	encs   sync.Pool
	events *topicWriter
	quar   *topicWriter
	m      producerMetrics

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup // one per batch not yet answered
}

type producerMetrics struct {
	records, bytes, events, retries, failures prometheus.Counter
	latency                                   prometheus.Histogram
}

// topicWriter is the open batch of each partition of one topic.
type topicWriter struct {
	topic string
	mu    sync.Mutex
	parts []*partWriter // nil until the topic's metadata was read
}

type partWriter struct {
	id   int
	mu   sync.Mutex
	open *batch
	last *batch // the newest batch, open or not
}

// batch is filled by many callers and sent once, after the batch before it:
// one request in flight per partition keeps a file's events in order even
// when a request is retried, and the batch grows meanwhile.
type batch struct {
	records []record
	bytes   int
	prev    <-chan struct{} // done of the batch before it, or nil
	full    chan struct{}   // closed when it should not wait longer
	done    chan struct{}   // closed when err is final
	err     error
}

type record struct{ key, value []byte }

// NewProducer checks the configuration; it connects when the first batch is
// produced. Close it to release its connections.
func NewProducer(cfg Config, opt ProducerOptions) (*Producer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Producer{cfg: cfg, opt: opt.withDefaults(), events: &topicWriter{topic: cfg.EventsTopic}, quar: &topicWriter{topic: cfg.QuarantineTopic}}
	p.codec, _ = cfg.compression() //nolint:errcheck // checked by withDefaults
	p.bytes = semaphore.NewWeighted(p.opt.InFlightBytes)
	p.encs.New = func() any { return new(event.Encoder) }
	if p.m, err = newProducerMetrics(cfg.Metrics); err != nil {
		return nil, err
	}
	p.cl, p.stop = cfg.client()
	return p, nil
}

// Close waits for the batches under way and closes the connections. Produce
// fails afterwards.
func (p *Producer) Close() error {
	p.mu.Lock()
	done := p.closed
	p.closed = true
	p.mu.Unlock()
	p.wg.Wait()
	if !done {
		p.stop()
	}
	return nil
}

// PartitionFor is the partition of a tenant's events among n: FNV-1a of the
// slug. It must never change for a given n, or one tenant's events would be
// read by two writers at a time.
func PartitionFor(t tenant.ID, n int) int {
	h := fnv.New32a()
	h.Write([]byte(t.String())) //nolint:errcheck // a hash does not fail
	return int(h.Sum32() % uint32(n))
}

// Produce writes one tenant's events and quarantined lines and returns once
// all are acknowledged. Errors wrap ErrUnavailable (send again later),
// ErrRefused (never send this again) or name what is wrong with an event; then
// some of the records may have been written. source names the log source in
// errors only.
func (p *Producer) Produce(ctx context.Context, t tenant.ID, source string, events []event.Event, quarantined []event.Quarantined) error {
	if t.IsZero() {
		return fmt.Errorf("produce: %w", tenant.ErrZero)
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return fmt.Errorf("produce: %w: the producer is closed", ErrUnavailable)
	}
	p.wg.Add(1)
	p.mu.Unlock()
	defer p.wg.Done()

	var waits []*batch
	err := p.encodeEvents(t, events, func(b []byte) error {
		w, err := p.add(ctx, p.events, t, b)
		waits = append(waits, w)
		return err
	})
	if err == nil {
		err = p.encodeQuarantined(t, quarantined, func(b []byte) error {
			w, err := p.add(ctx, p.quar, t, b)
			waits = append(waits, w)
			return err
		})
	}
	for _, w := range waits {
		if w == nil {
			continue
		}
		select {
		case <-w.done:
			if err == nil {
				err = w.err
			}
		case <-ctx.Done():
			// The batch goes on without this caller; it is not acknowledged.
			return fmt.Errorf("produce for source %q: %w: %w", source, ErrUnavailable, context.Cause(ctx))
		}
	}
	if err != nil {
		p.m.failures.Inc()
		return fmt.Errorf("produce for source %q: %w", source, err)
	}
	p.m.events.Add(float64(len(events)))
	return nil
}

func (p *Producer) encodeEvents(t tenant.ID, events []event.Event, emit func([]byte) error) error {
	if len(events) == 0 {
		return nil
	}
	enc := p.encs.Get().(*event.Encoder)
	defer p.encs.Put(enc)
	enc.ResetEvents(t)
	for i := range events {
		if err := enc.AddEvent(&events[i]); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if enc.Len() >= p.opt.RecordBytes || i == len(events)-1 {
			if err := emit(append([]byte(nil), enc.Finish()...)); err != nil {
				return err
			}
			enc.ResetEvents(t)
		}
	}
	return nil
}

func (p *Producer) encodeQuarantined(t tenant.ID, lines []event.Quarantined, emit func([]byte) error) error {
	if len(lines) == 0 {
		return nil
	}
	enc := p.encs.Get().(*event.Encoder)
	defer p.encs.Put(enc)
	enc.ResetQuarantined(t)
	for i := range lines {
		if err := enc.AddQuarantined(&lines[i]); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if enc.Len() >= p.opt.RecordBytes || i == len(lines)-1 {
			if err := emit(append([]byte(nil), enc.Finish()...)); err != nil {
				return err
			}
			enc.ResetQuarantined(t)
		}
	}
	return nil
}

// add puts one record into its partition's open batch and gives the batch to
// wait for. It blocks while too many bytes wait for acknowledgement.
func (p *Producer) add(ctx context.Context, tw *topicWriter, t tenant.ID, value []byte) (*batch, error) {
	if len(value) > maxMessageBytes {
		return nil, fmt.Errorf("%w: a record of %d bytes: at most %d are allowed", ErrRefused, len(value), maxMessageBytes)
	}
	pw, err := p.partition(ctx, tw, t)
	if err != nil {
		return nil, err
	}
	size := min(int64(len(value)), p.opt.InFlightBytes)
	if err := p.bytes.Acquire(ctx, size); err != nil {
		return nil, fmt.Errorf("%w: too many bytes wait for acknowledgement: %w", ErrUnavailable, err)
	}
	pw.mu.Lock()
	defer pw.mu.Unlock()
	if b := pw.open; b != nil && b.bytes+len(value) > p.opt.BatchBytes {
		pw.open = nil
		close(b.full)
	}
	b := pw.open
	if b == nil {
		b = &batch{full: make(chan struct{}), done: make(chan struct{})}
		if pw.last != nil {
			b.prev = pw.last.done
		}
		pw.open, pw.last = b, b
		p.wg.Add(1)
		go p.send(tw, pw, b)
	}
	b.records = append(b.records, record{[]byte(t.String()), value})
	b.bytes += len(value)
	return b, nil
}

// partition finds the writer for t, asking for the topic's partitions first.
func (p *Producer) partition(ctx context.Context, tw *topicWriter, t tenant.ID) (*partWriter, error) {
	tw.mu.Lock()
	defer tw.mu.Unlock()
	if tw.parts == nil {
		_, n, err := topicInfo(ctx, p.cl, tw.topic)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		tw.parts = make([]*partWriter, n)
		for i := range tw.parts {
			tw.parts[i] = &partWriter{id: i}
		}
	}
	return tw.parts[PartitionFor(t, len(tw.parts))], nil
}

// send waits for company and for the batch before, seals the batch and produces it.
func (p *Producer) send(tw *topicWriter, pw *partWriter, b *batch) {
	defer p.wg.Done()
	linger := time.NewTimer(p.opt.Linger)
	select {
	case <-linger.C:
	case <-b.full:
	}
	linger.Stop()
	if b.prev != nil {
		<-b.prev
	}
	pw.mu.Lock()
	if pw.open == b {
		pw.open = nil
	}
	pw.mu.Unlock()

	start := time.Now()
	b.err = p.produce(tw.topic, pw.id, b.records)
	p.m.latency.Observe(time.Since(start).Seconds())
	if b.err == nil {
		p.m.records.Add(float64(len(b.records)))
		p.m.bytes.Add(float64(b.bytes))
	}
	for _, r := range b.records {
		p.bytes.Release(min(int64(len(r.value)), p.opt.InFlightBytes))
	}
	b.records = nil
	close(b.done)
}

// produce tries until the log acknowledges, refuses for good, or the time is
// up. It does not follow one caller's context: the batch is shared.
func (p *Producer) produce(topic string, partition int, records []record) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.opt.Timeout)
	defer cancel()
	bo := newBackoff(25*time.Millisecond, time.Second)
	for {
		err := p.try(ctx, topic, partition, records)
		if err == nil {
			return nil
		}
		if !retryable(err) {
			p.cfg.Logger.Error("the event log refused a batch", "topic", topic, "partition", partition, "records", len(records), "error", err)
			return fmt.Errorf("%w: topic %s partition %d: %w", ErrRefused, topic, partition, err)
		}
		p.m.retries.Inc()
		if werr := bo.wait(ctx); werr != nil {
			p.cfg.Logger.Warn("the event log is not available", "topic", topic, "partition", partition, "error", err)
			return fmt.Errorf("%w: topic %s partition %d: gave up after %v: %w", ErrUnavailable, topic, partition, p.opt.Timeout, err)
		}
	}
}

func (p *Producer) try(ctx context.Context, topic string, partition int, records []record) error {
	// The client reads the bytes through cursors, so every try needs fresh ones.
	again := make([]kafka.Record, len(records))
	for i, r := range records {
		again[i] = kafka.Record{Key: kafka.NewBytes(r.key), Value: kafka.NewBytes(r.value)}
	}
	res, err := p.cl.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll, Compression: p.codec, Records: kafka.NewRecordReader(again...),
	})
	if err != nil {
		return err
	}
	if res.Error == nil && len(res.RecordErrors) > 0 {
		return errors.New("the broker reported errors for single records")
	}
	return res.Error
}
