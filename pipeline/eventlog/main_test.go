package eventlog_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		// The broker's and the client's goroutines end shortly after Close.
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// broker starts a broker on a loopback port of the system's choice.
func broker(t *testing.T, opts ...kfake.Opt) (*kfake.Cluster, eventlog.Config) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, eventlog.Config{Brokers: c.ListenAddrs(), Partitions: 3}
}

func events(id tenant.ID, from, n int) []event.Event {
	out := make([]event.Event, n)
	for i := range out {
		out[i] = event.Event{Tenant: id, ID: fmt.Sprintf("%s-%d", id, from+i), Time: int64(from + i + 1), Action: "login", Actor: "alice", Count: 1}
	}
	return out
}
