package ingest_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/embedded/broker"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/ingest"
)

// The broker that `up` runs, reached through its dialer, stopped and started
// again under the writer, the log trimmed behind it.
func TestEmbeddedBroker(t *testing.T) {
	r := newRig(t, 1) // its own broker is left alone
	dir := t.TempDir()
	start := func() *broker.Broker {
		b, err := broker.Start(t.Context(), broker.Options{DataDir: dir, Logger: slog.New(slog.DiscardHandler), TrimEvery: 50 * time.Millisecond, SegmentBytes: 64 << 10,
			Groups: map[string][]string{eventlog.EventsTopic: {ingest.DefaultGroup}, eventlog.QuarantineTopic: {ingest.DefaultGroup}}})
		must(t, err)
		return b
	}
	stop := func(b *broker.Broker) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		must(t, b.Stop(ctx))
	}
	b := start()
	r.log.Brokers, r.log.Dial, r.log.Partitions = b.Addrs(), b.Dial, 2
	must(t, eventlog.EnsureTopics(t.Context(), r.log))
	connect := func() {
		p, err := eventlog.NewProducer(r.log, eventlog.ProducerOptions{})
		must(t, err)
		t.Cleanup(func() { must(t, p.Close()) })
		r.producer = p
	}
	connect()
	opt := r.options(r.store)
	opt.SessionTimeout, opt.RebalanceTimeout = 0, 0 // this broker refuses short sessions, as Kafka does
	end := r.start(opt)
	r.send(acme, batch(acme, 0, 500))
	r.drained(acme, globex)
	r.exactly()
	r.send(acme, batch(acme, 500, 500)) // perhaps under way when all ends
	end()
	stop(b)

	b = start()
	defer stop(b)
	r.log.Brokers, r.log.Dial = b.Addrs(), b.Dial
	opt.Log = r.log
	connect()
	r.send(acme, batch(acme, 900, 300)) // a hundred again
	defer r.start(opt)()
	r.drained(acme, globex)
	r.exactly()
}
