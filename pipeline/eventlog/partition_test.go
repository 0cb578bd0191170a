package eventlog_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Records trimmed before they were read are reported and skipped; an offset
// beyond the end of the log is reported too and reading starts at the end.
func TestStartOutsideTheLog(t *testing.T) {
	cl, cfg := broker(t)
	cfg.Partitions = 1
	must(t, eventlog.EnsureTopics(t.Context(), cfg))
	acme := tenant.MustParse("acme")
	p := producer(t, cfg, eventlog.ProducerOptions{})
	for i := range 5 {
		must(t, p.Produce(t.Context(), acme, "s", events(acme, i, 1), nil))
	}
	must(t, cl.DeleteRecords(eventlog.EventsTopic, 0, 3))
	type result struct{ from, trimmed, ahead, offset int64 }
	try := func(group string, start int64) result {
		got := make(chan result, 1)
		stop := member(t, cfg, eventlog.ConsumerOptions{Group: group, Topics: []string{eventlog.EventsTopic}, Handler: func(ctx context.Context, part *eventlog.Partition) error {
			var r result
			r.from, r.trimmed, r.ahead = part.Start(start)
			if r.ahead > 0 {
				if err := p.Produce(ctx, acme, "s", events(acme, 9, 1), nil); err != nil {
					return err
				}
			}
			recs, err := part.Read(ctx)
			if err == nil {
				r.offset = recs[0].Offset
				got <- r
				<-ctx.Done()
			}
			return err
		}})
		defer stop()
		return <-got
	}
	if r := try("a", 1); r != (result{3, 2, 0, 3}) {
		t.Errorf("start at a trimmed offset: %+v", r)
	}
	if r := try("b", 4); r != (result{4, 0, 0, 4}) {
		t.Errorf("start within the log: %+v", r)
	}
	if r := try("c", 50); r != (result{5, 0, 45, 5}) {
		t.Errorf("start beyond the end: %+v", r)
	}
}

// A second member takes partitions over and gives them back; nothing is read
// by two at a time past its commit, nothing is missed.
func TestRebalance(t *testing.T) {
	_, cfg := broker(t, kfake.GroupMinSessionTimeout(time.Second))
	must(t, eventlog.EnsureTopics(t.Context(), cfg))
	p := producer(t, cfg, eventlog.ProducerOptions{})
	c := newCollector()
	opt := eventlog.ConsumerOptions{Group: "g", Topics: []string{eventlog.EventsTopic}, SessionTimeout: time.Second, Handler: c.handle}
	member(t, cfg, opt)
	const tenants, n = 6, 10
	rounds := 0
	produce := func() {
		for i := range tenants {
			id := tenant.MustParse(fmt.Sprintf("t%d", i))
			must(t, p.Produce(t.Context(), id, "s", events(id, rounds*n, n), nil))
		}
		rounds++
		c.until(t, fmt.Sprint("round ", rounds), func() bool { return len(c.seen) == rounds*tenants*n })
	}
	produce()
	stop2 := member(t, cfg, opt)
	produce()
	stop3 := member(t, cfg, opt)
	produce()
	stop2()
	produce()
	stop3()
	produce()
	if c.order != nil {
		t.Error(c.order)
	}
	for id, k := range c.seen {
		if k != 1 {
			t.Errorf("%s was read %d times although every read was committed", id, k)
		}
	}
}
