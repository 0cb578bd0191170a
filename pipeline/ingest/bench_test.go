package ingest_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
)

// BenchmarkLogToRows moves b.N events of 50 tenants, 20 fields and a raw line
// of 400 bytes from the log (loopback TCP) to readable rows, exactly once:
// go test -run '^$' -bench LogToRows -benchtime 400000x
func BenchmarkLogToRows(b *testing.B) {
	r := newRig(b, 4)
	p, err := eventlog.NewProducer(r.log, eventlog.ProducerOptions{})
	must(b, err)
	defer p.Close() //nolint:errcheck // a benchmark
	const tenants, size = 50, 500
	line := strings.Repeat(`{"path":"/api/v1/items","agent":"Mozilla/5.0"},`, 9)[:360]
	var wg sync.WaitGroup
	began := time.Now()
	for w := range 8 {
		wg.Go(func() {
			for from := w * size; from < b.N; from += 8 * size {
				id := tenant.MustParse(fmt.Sprintf("tenant-%d", from/size%tenants))
				events := make([]event.Event, min(size, b.N-from))
				for i := range events {
					k := from + i
					events[i] = event.Event{Tenant: id, ID: fmt.Sprintf("%032x", uint64(k)*0x9e3779b97f4a7c15), Time: noon.UnixNano() + int64(k)*1e6, IngestedAt: noon.UnixNano() + int64(k)*1e5,
						Class: 6003, Activity: 1, Action: "item.read", Outcome: 1, Severity: 1, Actor: fmt.Sprintf("user%d@acme.example", k%300), ActorType: "user", Session: fmt.Sprintf("s%d", k%5000),
						SrcIP: fmt.Sprintf("203.0.113.%d", k%250), Country: "DE", ASN: 3320, UserAgent: "Mozilla/5.0 (X11; Linux x86_64)", Resource: fmt.Sprintf("item/%d", k%10000), ResourceType: "item",
						HTTPMethod: "GET", Status: 200, BytesOut: uint64(k % 100000), Duration: float64(k%1000) / 10, Count: 1, Source: "web", Format: "json", Raw: fmt.Sprintf("%040d%s", k, line)}
				}
				if err := p.Produce(b.Context(), id, "bench", events, nil); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	produced := float64(b.N) / time.Since(began).Seconds()
	opt := r.options(r.store)
	opt.Linger, opt.MaxRows = 0, 0
	self, child := cpu(b, os.Getpid()), cpu(b, shared.engine.PID())
	b.ResetTimer()
	began = time.Now()
	r.start(opt)
	r.until("the rows", func() bool { return r.count("SELECT count() FROM events") == uint64(b.N) })
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "rows/s")
	b.ReportMetric(produced, "produced/s")
	million := float64(b.N) / 1e6
	b.ReportMetric((cpu(b, os.Getpid())-self)/million, "own-cpu-s/M")
	b.ReportMetric((cpu(b, shared.engine.PID())-child)/million, "engine-cpu-s/M")
}

// cpu is the processor time of a process so far, in seconds; 0 where the
// system does not tell.
func cpu(b *testing.B, pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	var ticks float64
	for _, s := range f[11:13] {
		n, err := strconv.ParseFloat(s, 64)
		must(b, err)
		ticks += n
	}
	return ticks / 100
}
