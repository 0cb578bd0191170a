//go:build integration

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"
)

// padTo makes a short-form line of exactly size bytes with its newline.
func padTo(b *bytes.Buffer, size, tenant, n int, at time.Time) {
	line := fmt.Sprintf(`{"id":"b%d-%07d","time":%q,"actor":"user%d@t%d.example","action":"file.download","outcome":"success","src_ip":"198.51.100.%d","resource":"file/%d","session":"s%d","bytes":%d,"status":200,"user_agent":"`,
		tenant, n, at.Format(time.RFC3339Nano), n%40, tenant, n%40, n%500, n/50, 1000+n*37%90000)
	b.WriteString(line)
	b.WriteString(strings.Repeat("Mozilla/5.0 ", size)[:max(0, size-len(line)-3)])
	b.WriteString("\"}\n")
}

func percentile(ds []time.Duration, p float64) time.Duration {
	slices.Sort(ds)
	return ds[min(len(ds)-1, int(p*float64(len(ds))))]
}

// TestBenchEndToEnd measures and asserts no times: events a second until they
// are acknowledged, until they are rows and until they are scored, how long a
// single push takes to be readable, and the peak memory of each process.
func TestBenchEndToEnd(t *testing.T) {
	const tenants, size, batch, senders = 50, 400, 1000, 4
	total := fromEnv(t, "TENANTWATCH_BENCH_EVENTS", 300_000) / (tenants * batch) * tenants * batch
	total = max(total, tenants*batch)
	i := up(t, dataDir(t), "--log-level", "warn")
	keys := make([]string, tenants)
	for k := range keys {
		keys[k] = i.tenant(fmt.Sprintf("bench-%d", k))
	}
	probe := i.tenant("probe")

	// Single events under light load: what a person tailing a log sees.
	const probes = 60
	var acks, rows []time.Duration
	for n := range probes {
		id := fmt.Sprintf("p%d", n)
		line := fmt.Sprintf(`{"time":%q,"actor":"p","action":"probe","id":%q,"session":%q}`, time.Now().UTC().Format(time.RFC3339Nano), id, id)
		began := time.Now()
		if p, err := i.push(probe, "", strings.NewReader(line)); err != nil || p.Accepted != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		acks = append(acks, time.Since(began))
		for i.found("probe", "session:"+id) == 0 {
			if time.Since(began) > 30*time.Second {
				t.Fatalf("%s is not readable after 30 s", id)
			}
			<-time.After(15 * time.Millisecond) // faster, and the API's limit of requests would be met
		}
		rows = append(rows, time.Since(began))
	}

	// The load is made before the clock starts.
	perTenant := total / tenants
	type piece struct {
		key  string
		body []byte
	}
	var pieces []piece
	start := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	for from := 0; from < perTenant; from += batch {
		for k := range keys {
			var b bytes.Buffer
			for n := from; n < from+batch; n++ {
				padTo(&b, size, k, n, start.Add(time.Duration(n)*10*time.Second))
			}
			if b.Len() != size*batch {
				t.Fatalf("a batch has %d bytes, want %d", b.Len(), size*batch)
			}
			pieces = append(pieces, piece{keys[k], b.Bytes()})
		}
	}
	scoredBefore, _ := sum(i.metrics(), "tenantwatch_detectors_events_total")
	insertedBefore, _ := sum(i.metrics(), "tenantwatch_eventstore_inserted_rows_total", `table="events"`)
	// One tenant's pieces go out in order: sender s has the tenants k with
	// k%senders == s.
	began := time.Now()
	var acked atomic.Int64
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for n, p := range pieces {
				if n%tenants%senders != s {
					continue
				}
				for {
					got, err := i.push(p.key, "", bytes.NewReader(p.body))
					if err == nil && got.Accepted == batch {
						acked.Add(batch)
						break
					}
					if err == nil || (got.Status != 429 && got.Status != 503) {
						t.Errorf("%+v, %v", got, err)
						return
					}
					<-time.After(20 * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	acknowledged := time.Since(began)
	if t.Failed() || acked.Load() != int64(total) {
		t.Fatalf("%d of %d were acknowledged", acked.Load(), total)
	}
	// One cheap number is asked for first, then the accounts.
	for {
		n, _ := sum(i.metrics(), "tenantwatch_eventstore_inserted_rows_total", `table="events"`)
		if n-insertedBefore >= float64(total) {
			break
		}
		if time.Since(began) > 10*time.Minute {
			t.Fatalf("only %v rows after 10 minutes", n-insertedBefore)
		}
		<-time.After(20 * time.Millisecond)
	}
	stored := time.Since(began)
	for k := range keys {
		id := fmt.Sprintf("bench-%d", k)
		eventually(t, time.Minute, id+" is all rows", func() bool { return i.account(id).Stored == uint64(perTenant) })
	}
	eventually(t, 10*time.Minute, "all are scored", func() bool {
		n, _ := sum(i.metrics(), "tenantwatch_detectors_events_total")
		return n-scoredBefore >= float64(total)
	})
	scored := time.Since(began)

	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	rate := func(what string, d time.Duration) {
		fmt.Fprintf(w, "%s\t%.0f events/s\t%.1f s\n", what, float64(total)/d.Seconds(), d.Seconds())
	}
	fmt.Fprintf(w, "%d events of %d bytes, %d tenants, %d senders, batches of %d, %d CPUs\t\t\n", total, size, tenants, senders, batch, runtime.NumCPU())
	rate("push → acknowledged", acknowledged)
	rate("push → ClickHouse row", stored)
	rate("push → scored (at the latest)", scored)
	fmt.Fprintf(w, "single push → acknowledged\tp50 %v\tp99 %v\n", percentile(acks, 0.5).Round(time.Millisecond), percentile(acks, 0.99).Round(time.Millisecond))
	fmt.Fprintf(w, "single push → readable by the API\tp50 %v\tp99 %v\n", percentile(rows, 0.5).Round(time.Millisecond), percentile(rows, 0.99).Round(time.Millisecond))
	var pg uint64
	backends := 0
	for _, p := range i.tree() {
		switch rss := peak(p.pid); {
		case p.pid == i.cmd.Process.Pid:
			fmt.Fprintf(w, "peak memory, tenantwatch with the broker\t%d MiB\t\n", rss>>20)
		case strings.Contains(p.name, "engine-child"):
			fmt.Fprintf(w, "peak memory, ClickHouse engine\t%d MiB\t\n", rss>>20)
		default:
			pg, backends = pg+rss, backends+1
		}
	}
	fmt.Fprintf(w, "peak memory, PostgreSQL, %d processes\t%d MiB\tsum of each one's peak, shared pages counted in each\n", backends, pg>>20)
	var disk int64
	_ = filepath.Walk(i.dir, func(_ string, st os.FileInfo, err error) error {
		if err == nil && st.Mode().IsRegular() {
			disk += st.Size()
		}
		return nil // files come and go
	})
	fmt.Fprintf(w, "data directory\t%d MiB\t%.0f bytes/event\n", disk>>20, float64(disk)/float64(total))
	w.Flush()
	t.Logf("\n%s", out.String())
}
