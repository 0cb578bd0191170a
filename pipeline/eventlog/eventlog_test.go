package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func producer(t *testing.T, cfg eventlog.Config, opt eventlog.ProducerOptions) *eventlog.Producer {
	t.Helper()
	p, err := eventlog.NewProducer(cfg, opt)
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

// member runs a consumer until stop is called or the test ends.
func member(t *testing.T, cfg eventlog.Config, opt eventlog.ConsumerOptions) (stop func()) {
	t.Helper()
	c, err := eventlog.NewConsumer(cfg, opt)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("consumer: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// collector is a handler that reads from the commit on, remembers what it saw
// and commits after every read.
type collector struct {
	mu    sync.Mutex
	seen  map[string]int
	last  map[int]int64 // partition -> last offset, to see disorder
	poked chan struct{}
	bad   []eventlog.Record
	order error
}

func newCollector() *collector {
	return &collector{seen: map[string]int{}, last: map[int]int64{}, poked: make(chan struct{}, 1)}
}

func (c *collector) handle(ctx context.Context, p *eventlog.Partition) error {
	at, _ := p.Committed()
	p.Start(at)
	for {
		records, err := p.Read(ctx)
		if err != nil {
			return err
		}
		c.mu.Lock()
		for _, r := range records {
			if last, ok := c.last[p.ID()]; ok && r.Offset != last+1 && c.order == nil {
				c.order = fmt.Errorf("partition %d: offset %d after %d", p.ID(), r.Offset, last)
			}
			c.last[p.ID()] = r.Offset
			if r.Err != nil {
				c.bad = append(c.bad, r)
			}
			for _, e := range r.Events {
				c.seen[e.ID]++
			}
		}
		c.mu.Unlock()
		if err := p.Commit(context.WithoutCancel(ctx), records[len(records)-1].Offset+1, "m"); err != nil {
			return err
		}
		select {
		case c.poked <- struct{}{}:
		default:
		}
	}
}

// until waits for cond, checked after every read of the collector.
func (c *collector) until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for {
		c.mu.Lock()
		ok := cond()
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-c.poked:
		case <-deadline.C:
			c.mu.Lock()
			defer c.mu.Unlock()
			t.Fatalf("timed out waiting for %s: %d ids seen, %d poison", what, len(c.seen), len(c.bad))
		}
	}
}

func TestProduceAndConsume(t *testing.T) {
	_, cfg := broker(t)
	must(t, eventlog.EnsureTopics(t.Context(), cfg))
	must(t, eventlog.EnsureTopics(t.Context(), cfg)) // again is no error
	p := producer(t, cfg, eventlog.ProducerOptions{RecordBytes: 2000, BatchBytes: 20000})
	const tenants, calls, n = 5, 20, 50
	var wg sync.WaitGroup
	for i := range tenants {
		id := tenant.MustParse(fmt.Sprintf("t%d", i))
		wg.Go(func() {
			for c := range calls {
				if err := p.Produce(t.Context(), id, "test", events(id, c*n, n), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c := newCollector()
	started := time.Now()
	stop := member(t, cfg, eventlog.ConsumerOptions{Group: "g", Topics: []string{eventlog.EventsTopic}, Handler: c.handle})
	c.until(t, "all events", func() bool { return len(c.seen) == tenants*calls*n })
	if d := time.Since(started); d > 2*time.Second {
		t.Errorf("the first consumer took %v to start and read", d)
	}
	stop()
	if c.order != nil {
		t.Error(c.order)
	}
	for id, k := range c.seen {
		if k != 1 {
			t.Fatalf("%s was read %d times", id, k)
		}
	}

	// A second run starts at the commit and sees only what is new.
	acme := tenant.MustParse("acme")
	must(t, p.Produce(t.Context(), acme, "test", events(acme, 0, 3), nil))
	c2 := newCollector()
	member(t, cfg, eventlog.ConsumerOptions{Group: "g", Topics: []string{eventlog.EventsTopic}, Handler: c2.handle})
	c2.until(t, "the new events", func() bool { return len(c2.seen) == 3 })
}

func TestQuarantinedTravel(t *testing.T) {
	_, cfg := broker(t)
	must(t, eventlog.EnsureTopics(t.Context(), cfg))
	p := producer(t, cfg, eventlog.ProducerOptions{})
	acme := tenant.MustParse("acme")
	q := event.Quarantined{Tenant: acme, ID: "q1", Reason: "no time", Raw: []byte{0xff, 0}, Line: 3}
	must(t, p.Produce(t.Context(), acme, "test", nil, []event.Quarantined{q}))
	got := make(chan eventlog.Record, 1)
	member(t, cfg, eventlog.ConsumerOptions{Group: "q", Topics: []string{eventlog.QuarantineTopic}, Handler: func(ctx context.Context, p *eventlog.Partition) error {
		p.Start(-1)
		r, err := p.Read(ctx)
		if err == nil {
			got <- r[0]
			<-ctx.Done()
		}
		return err
	}})
	r := <-got
	if r.Tenant != acme || len(r.Quarantined) != 1 || string(r.Quarantined[0].Raw) != "\xff\x00" || r.Quarantined[0].Line != 3 {
		t.Fatalf("got %+v", r)
	}
}

// A record whose key names another tenant than its inside, and one that is no
// record, are handed on as poison; what follows is read all the same.
func TestPoison(t *testing.T) {
	_, cfg := broker(t)
	cfg.Partitions = 1
	must(t, eventlog.EnsureTopics(t.Context(), cfg))
	acme := tenant.MustParse("acme")
	var enc event.Encoder
	enc.ResetEvents(acme)
	evs := events(acme, 0, 1)
	must(t, enc.AddEvent(&evs[0]))
	rawProduce(t, cfg.Brokers[0], "globex", enc.Finish())
	rawProduce(t, cfg.Brokers[0], "acme", []byte("not a record"))
	p := producer(t, cfg, eventlog.ProducerOptions{})
	must(t, p.Produce(t.Context(), acme, "test", events(acme, 1, 1), nil))
	c := newCollector()
	member(t, cfg, eventlog.ConsumerOptions{Group: "g", Topics: []string{eventlog.EventsTopic}, Handler: c.handle})
	c.until(t, "the good event", func() bool { return len(c.seen) == 1 })
	if len(c.bad) != 2 || c.seen["acme-1"] != 1 {
		t.Fatalf("poison: %v, seen %v", c.bad, c.seen)
	}
	for _, r := range c.bad {
		if !r.Tenant.IsZero() || len(r.Events) != 0 || len(r.Value) == 0 {
			t.Errorf("a poison record carries trust: %+v", r)
		}
	}
}

func TestProducerErrors(t *testing.T) {
	cl, cfg := broker(t)
	must(t, eventlog.EnsureTopics(t.Context(), cfg))
	acme := tenant.MustParse("acme")
	p := producer(t, cfg, eventlog.ProducerOptions{Timeout: 2 * time.Second})

	// Two failures that pass: the third try is acknowledged.
	var mu sync.Mutex
	var tries, failures int
	var code int16
	fail := func(n int, c int16) {
		mu.Lock()
		defer mu.Unlock()
		tries, failures, code = 0, n, c
	}
	{
		cl.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
			cl.KeepControl()
			mu.Lock()
			defer mu.Unlock()
			if tries++; tries > failures {
				return nil, nil, false
			}
			pr := req.(*kmsg.ProduceRequest)
			res := pr.ResponseKind().(*kmsg.ProduceResponse)
			for _, tp := range pr.Topics {
				rt := kmsg.ProduceResponseTopic{Topic: tp.Topic, TopicID: tp.TopicID}
				for _, pp := range tp.Partitions {
					rt.Partitions = append(rt.Partitions, kmsg.ProduceResponseTopicPartition{Partition: pp.Partition, ErrorCode: code})
				}
				res.Topics = append(res.Topics, rt)
			}
			return res, nil, true
		})
	}
	fail(2, kerr.NotLeaderForPartition.Code)
	must(t, p.Produce(t.Context(), acme, "s", events(acme, 0, 1), nil))
	if tries != 3 {
		t.Errorf("%d tries, want 3", tries)
	}
	fail(1, kerr.MessageTooLarge.Code)
	if err := p.Produce(t.Context(), acme, "s", events(acme, 1, 1), nil); !errors.Is(err, eventlog.ErrRefused) {
		t.Errorf("a refusal for good gave %v", err)
	}
	fail(1_000_000, kerr.NotEnoughReplicas.Code)
	if err := p.Produce(t.Context(), acme, "s", events(acme, 2, 1), nil); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("a log that never answers well gave %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Produce(ctx, acme, "s", events(acme, 3, 1), nil); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("a caller that left gave %v", err)
	}
	if err := p.Produce(t.Context(), tenant.ID{}, "s", nil, nil); !errors.Is(err, tenant.ErrZero) {
		t.Errorf("no tenant gave %v", err)
	}
	if err := p.Produce(t.Context(), acme, "s", events(tenant.MustParse("globex"), 0, 1), nil); !errors.Is(err, eventlog.ErrRefused) {
		t.Errorf("a foreign event gave %v", err)
	}
}

// Metadata committed with an offset comes back at the next assignment. A
// member that does not let go in time loses its partition, and its commit is
// refused.
func TestCommitMetadataAndFencing(t *testing.T) {
	_, cfg := broker(t, kfake.GroupMinSessionTimeout(time.Second))
	cfg.Partitions = 1
	must(t, eventlog.EnsureTopics(t.Context(), cfg))
	type seen struct {
		offset int64
		meta   string
	}
	first, second, late := make(chan seen, 1), make(chan seen, 1), make(chan error, 1)
	opt := eventlog.ConsumerOptions{Group: "g", Topics: []string{eventlog.EventsTopic}, SessionTimeout: time.Second, RebalanceTimeout: time.Second}
	var once sync.Once
	opt.Handler = func(ctx context.Context, p *eventlog.Partition) error {
		at, meta := p.Committed()
		if len(p.TopicID()) != 32 {
			t.Errorf("topic id %q", p.TopicID())
		}
		zombie := false
		once.Do(func() { zombie = true })
		if !zombie {
			second <- seen{at, meta}
			<-ctx.Done()
			return nil
		}
		if err := p.Commit(ctx, 0, "intent"); err != nil {
			t.Error(err)
		}
		first <- seen{at, meta}
		<-ctx.Done()
		second <- <-second // only once the other member has it
		late <- p.Commit(t.Context(), 1, "too late")
		return nil
	}
	member(t, cfg, opt)
	if s := <-first; s != (seen{-1, ""}) {
		t.Fatalf("a new group began with %+v", s)
	}
	member(t, cfg, opt)
	if err := <-late; !errors.Is(err, eventlog.ErrFenced) {
		t.Fatalf("a commit of an earlier generation gave %v", err)
	}
	if s := <-second; s != (seen{0, "intent"}) {
		t.Fatalf("the second assignment saw %+v", s)
	}
}

// Failing handlers are started again; stopped ones are not, and the others go on.
func TestHandlerErrors(t *testing.T) {
	_, cfg := broker(t)
	cfg.Partitions = 2
	must(t, eventlog.EnsureTopics(t.Context(), cfg))
	var mu sync.Mutex
	runs := map[int]int{}
	third := make(chan struct{})
	member(t, cfg, eventlog.ConsumerOptions{Group: "g", Topics: []string{eventlog.EventsTopic}, Handler: func(ctx context.Context, p *eventlog.Partition) error {
		mu.Lock()
		runs[p.ID()]++
		n := runs[p.ID()]
		mu.Unlock()
		if p.ID() == 0 {
			return fmt.Errorf("rows do not add up: %w", eventlog.ErrStop)
		}
		if n < 3 {
			return errors.New("hiccup")
		}
		close(third)
		<-ctx.Done()
		return nil
	}})
	<-third
	mu.Lock()
	defer mu.Unlock()
	if runs[0] != 1 || runs[1] != 3 {
		t.Fatalf("runs by partition: %v", runs)
	}
}
