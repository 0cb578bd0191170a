package collectortest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
)

const controlEnv = "TENANTWATCH_TEST_CONTROL"

// early acknowledges before the sink has: what Run exists to find.
func early(_ *testing.T, sink collector.Sink) Source {
	p, err := collector.NewProcessor(collector.ProcessorOptions{Sink: sink})
	if err != nil {
		panic(err)
	}
	return Source{Stop: func() {}, Send: func(ctx context.Context, body string) bool {
		_, _ = p.Process(ctx, strings.NewReader(body), collector.Stream{Tenant: Tenant, Now: time.Now()})
		return true // whatever became of it
	}}
}

// The controls run in a process of their own, where they have to fail.
func TestControls(t *testing.T) {
	switch os.Getenv(controlEnv) {
	case "early":
		Options{Start: early, Seed: 1, MaxHeap: 1 << 30}.random(t)
		return
	}
	for control, want := range map[string]string{"early": "was acknowledged and is not durable"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestControls$")
		cmd.Env = append(os.Environ(), controlEnv+"="+control)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("the suite does not notice a source that is %s: %v\n%s", control, err, out)
		}
	}
}
