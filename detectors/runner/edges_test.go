package runner_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// TestNetworkEdges is a check of sanity on a million rows of a network
// with floods and scans in it: the budget's hard ceiling of twice its size a
// day holds (critical alerts apart, and there is no sign-in here), memory is
// bounded, and most of what is raised is an attack.
func TestNetworkEdges(t *testing.T) {
	z, err := gzip.NewReader(bufio.NewReaderSize(realData(t, "network-edges/june1998.csv.gz"), 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(z)
	r := newRunner(t, runner.Options{MaxEntities: 20_000})
	labels := map[string]string{}
	var em []runner.Emission
	var buf []event.Event
	n := 0
	var spent time.Duration
	apply := func() {
		began := time.Now()
		em = append(em, r.Apply(buf)...)
		spent += time.Since(began)
		buf = buf[:0]
	}
	for sc.Scan() {
		f := strings.Split(sc.Text(), ",")
		at, err := time.Parse("01/02/2006-15:04", f[2])
		if err != nil {
			t.Fatal(err)
		}
		n++
		id := fmt.Sprint("row-", n)
		if f[3] != "-" {
			labels[id] = f[3]
		}
		buf = append(buf, event.Event{Tenant: tenant.MustParse("net"), ID: id, Time: at.UnixNano(), Action: "connect",
			Actor: f[0], Resource: f[1], Count: 1, Source: "edges"})
		if len(buf) == 1000 {
			apply()
		}
	}
	apply()
	em = append(em, r.Flush()...)
	days, right := map[string]int{}, 0
	classes := map[string]bool{}
	as := finals(t, em)
	for _, a := range as {
		days[a.RaisedAt.Format("2006-01-02")]++
		hit := false
		for _, id := range a.EventIDs {
			if l := labels[id]; l != "" {
				hit = true
				classes[l] = true
			}
		}
		if hit {
			right++
		}
	}
	for d, k := range days {
		if k > 10 {
			t.Errorf("%d alerts on %s", k, d)
		}
	}
	t.Logf("%d alerts on %d days, %d with labelled events, classes %v; %.0f ns an event, snapshot %d KiB, %+v",
		len(as), len(days), right, len(classes), float64(spent.Nanoseconds())/float64(n), len(r.Snapshot())>>10, r.Counters())
	if len(as) == 0 {
		t.Error("nothing was found in floods and scans")
	}
}
