package eventlog_test

import (
	"context"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog/kafkatest"
)

// TestAccessControl: on a real Apache Kafka with the ACLs of docs/kafka.md only
// the collector's principal writes the event topics, over SASL/SCRAM. The
// pipeline reads and commits; a principal without a grant does neither.
func TestAccessControl(t *testing.T) {
	b := kafkatest.Start(t, kafkatest.Options{Users: []string{"collector", "pipeline", "stranger"}})
	as := func(user, password string) eventlog.Config {
		return eventlog.Config{Brokers: []string{b.Addr()}, Partitions: 2, SASL: eventlog.SASL{Mechanism: kafkatest.Mechanism, Username: user, Password: password}}
	}
	must(t, eventlog.EnsureTopics(t.Context(), as(kafkatest.Admin, kafkatest.Admin)))
	for _, topic := range []string{eventlog.EventsTopic, eventlog.QuarantineTopic} {
		b.Allow("collector", "Write,Describe", "topic", topic)
		b.Allow("pipeline", "Read,Describe", "topic", topic)
	}
	b.Allow("pipeline", "Read,Describe", "group", "readers")

	acme := tenant.MustParse("acme")
	produce := func(cfg eventlog.Config) error {
		p, err := eventlog.NewProducer(cfg, eventlog.ProducerOptions{})
		must(t, err)
		defer func() { must(t, p.Close()) }()
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		return p.Produce(ctx, acme, "test", events(acme, 0, 10), nil)
	}
	// An ACL takes a moment to reach the broker: its own principal is tried
	// until it may, the others are tried after that.
	deadline := time.Now().Add(time.Minute)
	for {
		err := produce(as("collector", "collector"))
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the collector may not write: %v", err)
		}
	}
	for _, user := range []string{"pipeline", "stranger"} {
		if err := produce(as(user, user)); err == nil {
			t.Errorf("%s wrote to the events topic", user)
		}
	}
	if err := produce(as("collector", "guessed")); err == nil {
		t.Error("a wrong password wrote to the events topic")
	}

	c := newCollector()
	stop := member(t, as("pipeline", "pipeline"), eventlog.ConsumerOptions{Group: "readers", Topics: []string{eventlog.EventsTopic}, Handler: c.handle})
	c.until(t, "the collector's ten events", func() bool { return len(c.seen) == 10 })
	stop()
	for id, n := range c.seen {
		if n != 1 {
			t.Errorf("%s seen %d times", id, n)
		}
	}
}
