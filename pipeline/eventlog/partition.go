package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// ErrGenerationOver is the cause of a handler's context once its generation
// has ended: by shutdown or because the group changed.
var ErrGenerationOver = kafka.ErrGenerationEnded

// Record is one record of the log: a batch of one tenant's events, or of its
// quarantined lines, depending on the topic.
type Record struct {
	Topic       string
	TopicID     string
	Partition   int
	Offset      int64
	Time        time.Time // when it was produced
	Key         []byte
	Tenant      tenant.ID // the tag, equal to the key; zero when Err is set
	Events      []event.Event
	Quarantined []event.Quarantined
	// Err says why the record is poison: then Value holds its bytes and
	// nothing in it may be trusted, the tenant least of all.
	Err   error
	Value []byte
}

// Partition is one assigned partition in one run of its handler. Its methods
// are for that handler only; Commit may run beside Read.
type Partition struct {
	c         *Consumer
	gen       *kafka.Generation
	topic     string
	id        int
	topicID   string
	committed int64
	metadata  string
	first     int64
	end       int64
	log       *slog.Logger

	records, poison, skipped prometheus.Counter
	lag, age                 prometheus.Gauge

	highWater atomic.Int64
	settled   atomic.Int64 // the committed offset as of now, for the lag
	fetched   chan fetch
	cancel    context.CancelFunc
	wg        sync.WaitGroup
}

type fetch struct {
	records []Record
	err     error
}

// Topic is the topic's name.
func (p *Partition) Topic() string { return p.topic }

// TopicID is the id the broker gave the topic, 32 hexadecimal digits: another
// one means that the topic was deleted and made again.
func (p *Partition) TopicID() string { return p.topicID }

// ID is the partition's number.
func (p *Partition) ID() int { return p.id }

// Generation is the group's generation that assigned the partition.
func (p *Partition) Generation() int { return int(p.gen.ID) }

// Committed is the group's committed offset when the handler was started, or
// -1, and the metadata committed with it.
func (p *Partition) Committed() (offset int64, metadata string) { return p.committed, p.metadata }

// Bounds are the first offset in the log and the one after the last when the
// handler was started.
func (p *Partition) Bounds() (first, end int64) { return p.first, p.end }

// open asks for what the handler needs to know before it reads.
func (p *Partition) open(ctx context.Context) error {
	id, _, err := topicInfo(ctx, p.c.cl, p.topic)
	if err != nil {
		return err
	}
	p.topicID = id
	res, err := p.c.cl.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: p.c.opt.Group, Topics: map[string][]int{p.topic: {p.id}}})
	if err != nil {
		return fmt.Errorf("fetch the committed offset: %w", err)
	}
	if res.Error != nil {
		return fmt.Errorf("fetch the committed offset: %w", res.Error)
	}
	found := false
	for _, part := range res.Topics[p.topic] {
		if part.Partition != p.id {
			continue
		}
		if part.Error != nil {
			return fmt.Errorf("fetch the committed offset: %w", part.Error)
		}
		p.committed, p.metadata, found = part.CommittedOffset, part.Metadata, true
	}
	if !found {
		// Taking a missing answer for "nothing committed" would read all again.
		return errors.New("fetch the committed offset: the answer lacks the partition")
	}
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // read only
	if p.first, p.end, err = conn.ReadOffsets(); err != nil {
		return fmt.Errorf("read the bounds of the log: %w", err)
	}
	return nil
}

func (p *Partition) close() {
	if p.cancel != nil {
		p.cancel()
		p.wg.Wait()
	}
}

// dial connects to the partition's leader with a deadline for what follows.
func (p *Partition) dial(ctx context.Context) (*kafka.Conn, error) {
	var errs error
	for _, b := range p.c.cfg.Brokers {
		dctx, cancel := context.WithTimeout(ctx, requestTimeout)
		conn, err := p.c.cfg.dialer().DialLeader(dctx, "tcp", b, p.topic, p.id)
		cancel()
		if err == nil {
			if err = conn.SetDeadline(time.Now().Add(requestTimeout)); err == nil {
				return conn, nil
			}
			conn.Close() //nolint:errcheck // the deadline's error counts
		}
		errs = errors.Join(errs, err)
	}
	return nil, fmt.Errorf("connect to the leader: %w", errs)
}

// Start begins reading at offset, in the background. The log may not reach
// there: trimmed > 0 says how many records before the first were gone and are
// skipped (lost to this reader); ahead > 0 says that offset lies so far beyond
// the end of the log, which has lost records that were read before, and
// reading starts at the end. Both are logged as errors. Call it once.
func (p *Partition) Start(offset int64) (from, trimmed, ahead int64) {
	from = offset
	switch {
	case offset < 0:
		from = p.first
	case offset < p.first:
		trimmed, from = p.first-offset, p.first
		p.skipped.Add(float64(trimmed))
		p.log.Error("records were trimmed from the log before they were read", "wanted", offset, "first", p.first, "lost", trimmed)
	case offset > p.end:
		ahead, from = offset-p.end, p.end
		p.log.Error("the log ends before the offset to read from: it has lost records that were read before", "wanted", offset, "end", p.end)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.fetched = make(chan fetch, p.c.opt.Prefetch)
	p.highWater.Store(p.end)
	// Below both what was committed and what is read first nothing is owed.
	p.settled.Store(max(p.committed, p.first))
	p.lag.Set(float64(max(p.end-p.settled.Load(), 0)))
	p.wg.Go(func() { p.run(ctx, from) })
	return from, trimmed, ahead
}

// Read waits for the next records, in order of their offsets. When ctx ends
// first it returns ctx's error and nothing is lost: Read again.
func (p *Partition) Read(ctx context.Context) ([]Record, error) {
	select {
	case f := <-p.fetched:
		if f.err != nil {
			return nil, f.err
		}
		for i := range f.records {
			if f.records[i].Err != nil {
				p.poison.Inc()
				p.log.Error("poison record", "offset", f.records[i].Offset, "error", f.records[i].Err)
			}
		}
		p.records.Add(float64(len(f.records)))
		p.lag.Set(float64(max(p.highWater.Load()-p.settled.Load(), 0)))
		p.age.Set(time.Since(f.records[len(f.records)-1].Time).Seconds())
		return f.records, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Commit stores offset, the next one to read, with metadata of at most some
// kilobytes. It is retried until ctx ends; ErrFenced says that the generation
// is over and nothing was stored.
func (p *Partition) Commit(ctx context.Context, offset int64, metadata string) error {
	bo := newBackoff(25*time.Millisecond, time.Second)
	for {
		err := p.commit(ctx, offset, metadata)
		switch {
		case err == nil:
			p.settled.Store(offset)
			p.lag.Set(float64(max(p.highWater.Load()-offset, 0)))
			return nil
		case fenced(err):
			return fmt.Errorf("commit offset %d: %w: %w", offset, ErrFenced, err)
		case !retryable(err):
			return fmt.Errorf("commit offset %d: %w", offset, err)
		}
		if werr := bo.wait(ctx); werr != nil {
			return fmt.Errorf("commit offset %d: %w: %w", offset, werr, err)
		}
	}
}

func (p *Partition) commit(ctx context.Context, offset int64, metadata string) error {
	res, err := p.c.cl.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: p.c.opt.Group, GenerationID: int(p.gen.ID), MemberID: p.gen.MemberID,
		Topics: map[string][]kafka.OffsetCommit{p.topic: {{Partition: p.id, Offset: offset, Metadata: metadata}}},
	})
	if err != nil {
		return err
	}
	for _, part := range res.Topics[p.topic] {
		if part.Partition == p.id {
			return part.Error
		}
	}
	return errors.New("the broker's answer lacks the partition")
}

// run fetches until ctx ends, reconnecting as needed.
func (p *Partition) run(ctx context.Context, offset int64) {
	bo := newBackoff(50*time.Millisecond, 2*time.Second)
	for ctx.Err() == nil {
		next, err := p.fetchFrom(ctx, offset)
		if next > offset {
			bo = newBackoff(50*time.Millisecond, 2*time.Second)
		}
		offset = next
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, kafka.OffsetOutOfRange) || errors.Is(err, errTopicChanged) {
			// The handler starts over: it looks at the bounds and decides.
			p.put(ctx, fetch{err: fmt.Errorf("read from offset %d: %w", offset, err)})
			return
		}
		p.log.Warn("reading was interrupted, reconnecting", "offset", offset, "error", err)
		if bo.wait(ctx) != nil {
			return
		}
	}
}

func (p *Partition) put(ctx context.Context, f fetch) bool {
	select {
	case p.fetched <- f:
		return true
	case <-ctx.Done():
		return false
	}
}

var errTopicChanged = errors.New("the topic was deleted and made again")

// fetchFrom reads over one connection until it fails and gives the next offset.
func (p *Partition) fetchFrom(ctx context.Context, offset int64) (int64, error) {
	if id, _, err := topicInfo(ctx, p.c.cl, p.topic); err != nil {
		return offset, err
	} else if id != p.topicID {
		return offset, errTopicChanged
	}
	conn, err := p.dial(ctx)
	if err != nil {
		return offset, err
	}
	defer conn.Close() //nolint:errcheck // read only
	// A fetch waits at the broker; closing the connection is what ends it.
	defer context.AfterFunc(ctx, func() { conn.Close() })() //nolint:errcheck // as above
	const maxWait = time.Second
	for ctx.Err() == nil {
		if err := conn.SetDeadline(time.Now().Add(maxWait + requestTimeout)); err != nil {
			return offset, err
		}
		if _, err := conn.Seek(offset, kafka.SeekAbsolute|kafka.SeekDontCheck); err != nil {
			return offset, err
		}
		b := conn.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: p.c.opt.FetchBytes, MaxWait: maxWait})
		p.highWater.Store(max(p.highWater.Load(), b.HighWaterMark()))
		records, err := p.drain(b)
		next := b.Offset()
		if cerr := b.Close(); err == nil {
			err = cerr
		}
		if len(records) > 0 {
			// What was read whole is good even if the rest of the fetch was cut.
			next = max(next, records[len(records)-1].Offset+1)
			if !p.put(ctx, fetch{records: records}) {
				return offset, ctx.Err()
			}
			offset = records[len(records)-1].Offset + 1
		}
		if err != nil && !errors.Is(err, kafka.RequestTimedOut) {
			return offset, err
		}
		offset = max(offset, next)
	}
	return offset, ctx.Err()
}

// drain decodes the messages of one fetch.
func (p *Partition) drain(b *kafka.Batch) ([]Record, error) {
	var records []Record
	for {
		m, err := b.ReadMessage()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		records = append(records, p.decode(m))
	}
}

func (p *Partition) decode(m kafka.Message) Record {
	r := Record{Topic: p.topic, TopicID: p.topicID, Partition: p.id, Offset: m.Offset, Time: m.Time, Key: m.Key}
	if p.c.opt.Raw {
		r.Value = m.Value
		return r
	}
	var tag tenant.ID
	if p.topic == p.c.cfg.QuarantineTopic {
		tag, r.Quarantined, r.Err = event.DecodeQuarantined(m.Value)
	} else {
		tag, r.Events, r.Err = event.DecodeEvents(m.Value)
	}
	if r.Err == nil && string(m.Key) != tag.String() {
		r.Err = fmt.Errorf("the record's key and the tenant inside differ: %q and %q", clip(m.Key), tag)
	}
	if r.Err != nil {
		r.Events, r.Quarantined, r.Value = nil, nil, m.Value
		return r
	}
	r.Tenant = tag
	return r
}

func clip(b []byte) []byte { return b[:min(len(b), 80)] }
