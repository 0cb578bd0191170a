package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/collectortest"
	"github.com/tenantwatch/tenantwatch/collector/kafkatopic"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Somebody else's topic: read from its beginning, the group's offset behind
// what the sink acknowledged, ids the same when it is read again.
func TestKafkaSourceContract(t *testing.T) {
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "audit"))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	a := &App{log: slog.New(slog.DiscardHandler), reg: prometheus.NewRegistry()}
	group := 0
	known := map[string]string{}
	collectortest.RunFeed(t, collectortest.Feed{
		Write: func(t *testing.T, lines string) {
			t.Helper()
			var rs []*kgo.Record
			for _, l := range strings.Split(strings.TrimSpace(lines), "\n") {
				rs = append(rs, &kgo.Record{Topic: "audit", Value: []byte(strings.Replace(l, `,"actor"`, ",\n\"actor\"", 1))})
			}
			if err := cl.ProduceSync(context.Background(), rs...).FirstErr(); err != nil {
				t.Fatal(err)
			}
		},
		// The group is the source's state.
		New: func(t *testing.T, dir string, sink collector.Sink) source.Source {
			t.Helper()
			if known[dir] == "" {
				group++
				known[dir] = fmt.Sprintf("g%d", group)
			}
			a.reg = prometheus.NewRegistry()
			e := collectortest.Env(t, dir, sink)
			e.Topics = a.readTopic
			s, err := kafkatopic.Kind().New(e, map[string]any{"brokers": k.ListenAddrs(), "topic": "audit", "group": known[dir]})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	})
}
