//go:build quality

package runner_test

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// sourceDay is what an analyst of a network would be shown.
type sourceDay struct{ source, day string }

// counters are exact counts of the current minute and of all, by key.
type counters struct {
	now, all map[string]float64
}

func (c *counters) add(k string) { c.now[k]++; c.all[k]++ }

// midas is the MIDAS statistic (Bhatia et al. 2020, doi:10.1609/aaai.v34i04.5724):
// chi-squared of the current minute against the mean of all t so far.
func (c *counters) midas(k string, t float64) float64 {
	if t <= 1 {
		return 0
	}
	a, s := c.now[k], c.all[k]
	return math.Pow(a-s/t, 2) * t * t / (s * (t - 1))
}

// TestQualityNetworkEdges gives each method 25 alerts a day, an alert being a
// source on a day, and asks how many had an attack in them and which classes
// of attack were met.
func TestQualityNetworkEdges(t *testing.T) {
	z, err := gzip.NewReader(bufio.NewReaderSize(realData(t, "network-edges/june1998.csv.gz"), 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	const perDay = 25
	classes := map[sourceDay]map[string]bool{} // the truth
	all := map[string]bool{}
	fresh := func() counters { return counters{map[string]float64{}, map[string]float64{}} }
	var plain = [3]counters{fresh(), fresh(), fresh()} // edge, source, destination; the minute's count
	var decayed = [3]counters{fresh(), fresh(), fresh()}
	scores := map[string]map[sourceDay]float64{"one-minute counter": {}, "MIDAS-R": {}, "tenantwatch": {}}
	top := func(method string, k sourceDay, v float64) { scores[method][k] = math.Max(scores[method][k], v) }
	r := newRunner(t, runner.Options{Budget: perDay})
	by := map[string]int{} // alerts by the detector that said most
	var buf []event.Event
	take := func(em []runner.Emission) {
		for _, x := range em {
			if a := x.Alert; a != nil && a.Entity.Type != "tenant" {
				k := sourceDay{a.Entity.ID, a.RaisedAt.Format("2006-01-02")}
				top("tenantwatch", k, float64(a.Score))
				if x.Final {
					by[fmt.Sprint(a.Detectors[0].Name, " right: ", len(classes[k]) > 0)]++
				}
			}
		}
	}
	minute, minutes, n := "", 0.0, 0
	for sc := bufio.NewScanner(z); sc.Scan(); n++ {
		f := strings.Split(sc.Text(), ",")
		at, err := time.Parse("01/02/2006-15:04", f[2])
		if err != nil {
			t.Fatal(err)
		}
		k := sourceDay{f[0], at.Format("2006-01-02")}
		if f[3] != "-" {
			if classes[k] == nil {
				classes[k] = map[string]bool{}
			}
			classes[k][f[3]], all[f[3]] = true, true
		}
		if f[2] != minute {
			minute = f[2]
			minutes++
			for i := range plain {
				clear(plain[i].now)
				for key, v := range decayed[i].now {
					if v *= 0.5; v < 1e-3 {
						delete(decayed[i].now, key)
					} else {
						decayed[i].now[key] = v
					}
				}
			}
		}
		for i, key := range [3]string{f[0] + ">" + f[1], f[0], f[1]} {
			plain[i].add(key)
			decayed[i].add(key)
			top("one-minute counter", k, plain[i].now[key])
			top("MIDAS-R", k, decayed[i].midas(key, minutes))
		}
		buf = append(buf, event.Event{Tenant: tenant.MustParse("net"), ID: fmt.Sprint("row-", n), Time: at.UnixNano(), Action: "connect",
			Actor: f[0], Resource: f[1], Count: 1, Source: "edges"})
		if len(buf) == 1000 {
			take(r.Apply(buf))
			buf = buf[:0]
		}
	}
	take(r.Apply(buf))
	take(r.Flush())
	t.Logf("%v", by)
	fmt.Printf("\nNetwork edges: %d rows, %d classes of attack, %d alerts (source, day) a day\n", n, len(all), perDay)
	fmt.Printf("  %-20s %8s %10s %10s  %s\n", "", "alerts", "precision", "classes", "classes missed")
	for _, m := range []string{"tenantwatch", "one-minute counter", "MIDAS-R"} {
		byDay := map[string][]sourceDay{}
		for k := range scores[m] {
			byDay[k.day] = append(byDay[k.day], k)
		}
		alerts, right := 0, 0
		hit := map[string]bool{}
		for _, ks := range byDay {
			slices.SortFunc(ks, func(a, b sourceDay) int {
				return cmp.Or(cmp.Compare(scores[m][b], scores[m][a]), cmp.Compare(a.source, b.source))
			})
			for _, k := range ks[:min(perDay, len(ks))] {
				alerts++
				if len(classes[k]) > 0 {
					right++
				}
				for c := range classes[k] {
					hit[c] = true
				}
			}
		}
		var missed []string
		for c := range all {
			if !hit[c] {
				missed = append(missed, c)
			}
		}
		slices.Sort(missed)
		fmt.Printf("  %-20s %8d %10.3f %7d/%2d  %s\n", m, alerts, float64(right)/float64(max(1, alerts)), len(hit), len(all), strings.Join(missed, " "))
	}
}
