package ingest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog/kafkatest"
	"github.com/tenantwatch/tenantwatch/pipeline/ingest"
)

// apacheRig is a rig whose log is a real Apache Kafka.
func apacheRig(t *testing.T, partitions int) (*rig, *kafkatest.Broker) {
	t.Helper()
	b := kafkatest.Start(t, kafkatest.Options{})
	r := newRig(t, 1) // its own broker is left alone
	r.log.Brokers, r.log.Dial, r.log.Partitions = []string{b.Addr()}, nil, partitions
	must(t, eventlog.EnsureTopics(t.Context(), r.log))
	p, err := eventlog.NewProducer(r.log, eventlog.ProducerOptions{RecordBytes: 8 << 10})
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	r.producer = p
	return r, b
}

// sendUntil sends as a collector whose sender tries again: a broker that is
// away only delays, and a batch whose answer was lost is sent twice.
func (r *rig) sendUntil(id tenant.ID, from, n int) {
	r.t.Helper()
	b := batch(id, from, n)
	deadline := time.Now().Add(2 * time.Minute)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		err := r.producer.Produce(ctx, id, "test", b, nil)
		cancel()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("not taken for two minutes: %v", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range b {
		r.sent[b[i].ID] = true
	}
}

// On Apache Kafka: writers die at random operations, the broker is killed in
// the middle and comes back, the group goes from one member to three to two,
// and every acknowledged event is stored once.
func TestApacheKafka(t *testing.T) {
	r, kafka := apacheRig(t, 4)
	rng := rand.New(rand.NewPCG(11, 7))
	tenants := []tenant.ID{acme, globex, tenant.MustParse("initech")}
	next := map[tenant.ID]int{}
	feed := func() {
		for _, id := range tenants {
			n := 200 + rng.IntN(300)
			r.sendUntil(id, max(0, next[id]-50), n+50) // fifty again
			next[id] += n
		}
	}
	options := func(s ingest.Store) ingest.Options {
		opt := r.options(s)
		opt.MaxRows = 50 + rng.IntN(300)
		return opt
	}
	for i := range 3 {
		feed()
		c := newCrashing(r.store, 1+rng.IntN(6), "", rng.IntN(2) == 0)
		stop := r.start(options(c))
		select {
		case <-c.dead:
		case <-time.After(60 * time.Second):
			t.Fatal("it did not come to the crash")
		}
		stop()
		if i == 1 {
			kafka.Kill()
			kafka.Resume()
		}
	}
	one := r.start(options(r.store))
	feed()
	two, three := r.start(options(r.store)), r.start(options(r.store))
	feed()
	kafka.Kill() // under three writers at work
	kafka.Resume()
	feed()
	one()
	feed()
	r.drained(tenants...)
	r.exactly()
	two()
	three()
}

// The same broker with the intents left out: the checker must see the damage.
func TestApacheKafkaControl(t *testing.T) {
	r, _ := apacheRig(t, 1)
	rng := rand.New(rand.NewPCG(42, 7))
	for i := range 6 {
		r.sendUntil(acme, i*300, 300)
		c := newCrashing(r.store, 1+rng.IntN(3), "insert", true)
		opt := r.options(c)
		opt.MaxRows = 40 + rng.IntN(200)
		opt.Break(true, true, false)
		stop := r.start(opt)
		select {
		case <-c.dead:
		case <-time.After(60 * time.Second):
			t.Fatal("it did not come to the crash")
		}
		stop()
	}
	opt := r.options(r.store)
	opt.Break(true, true, false)
	stop := r.start(opt)
	r.drained(acme)
	stop()
	if c := r.tally(); c.rows == c.places {
		t.Errorf("without intents: %+v; the same places of the log should have been stored twice", c)
	}
}

// Two topics into one store: the offsets of the second are those of the first
// again and yet no repeats, while an event id of the first still is one.
func TestApacheKafkaTwoTopics(t *testing.T) {
	r, _ := apacheRig(t, 2)
	for i := range 2 {
		r.log.EventsTopic, r.log.QuarantineTopic = fmt.Sprintf("events-%d", i), fmt.Sprintf("quarantine-%d", i)
		must(t, eventlog.EnsureTopics(t.Context(), r.log))
		p, err := eventlog.NewProducer(r.log, eventlog.ProducerOptions{})
		must(t, err)
		r.producer = p
		opt := r.options(r.store)
		opt.Group = fmt.Sprintf("group-%d", i)
		stop := r.start(opt)
		r.sendUntil(acme, i*200, 250) // fifty of them in both topics
		r.drained(acme)
		stop()
		must(t, p.Close())
	}
	r.exactly()
}
