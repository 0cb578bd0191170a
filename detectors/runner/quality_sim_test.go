//go:build quality

package runner_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/detectors/simulate"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// seeds is how many seeds a table is over; TENANTWATCH_QUALITY_SEEDS asks for
// another number.
func seeds(t testing.TB, def int) int {
	v := os.Getenv("TENANTWATCH_QUALITY_SEEDS")
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("TENANTWATCH_QUALITY_SEEDS=%s is no number of seeds", v)
	}
	return n
}

type found struct {
	tenant   string
	raised   time.Time
	events   []string
	critical bool
	what     string
	silent   []string // sources named in an alert on a silence
}

// judged is a stream with its truth and what a detector made of it.
type judged struct {
	truth  []simulate.Truth
	of     map[string]int // tenant and event id to truth
	events int
}

// streamed runs the simulator once through all sinks, without keeping events.
func streamed(t testing.TB, o simulate.Options, sinks ...func(*event.Event)) judged {
	t.Helper()
	o.Start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	j := judged{of: map[string]int{}}
	err := simulate.Run(o, func(e *event.Event) error {
		j.events++
		for _, f := range sinks {
			f(e)
		}
		return nil
	}, func(x simulate.Truth) error {
		for _, id := range x.EventIDs {
			j.of[x.Tenant+" "+id] = len(j.truth)
		}
		j.truth = append(j.truth, x)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// sink is a runner fed in batches; done gives its alerts in their final state.
func sink(t testing.TB, o runner.Options) (feed func(*event.Event), done func() []found) {
	r := newRunner(t, o)
	var buf []event.Event
	last := map[string]*alert.Alert{}
	take := func(em []runner.Emission) {
		for _, x := range em {
			if x.Alert != nil {
				if err := x.Alert.Validate(); err != nil {
					t.Fatal(err)
				}
				last[x.Alert.ID] = x.Alert
			}
		}
	}
	feed = func(e *event.Event) {
		if buf = append(buf, *e); len(buf) == 1000 {
			take(r.Apply(buf))
			buf = buf[:0]
		}
	}
	done = func() []found {
		take(r.Apply(buf))
		take(r.Flush())
		var out []found
		for _, a := range last {
			if a.State == alert.Retracted {
				continue
			}
			var silent []string
			for _, d := range a.Detectors {
				for _, r := range a.Related {
					if d.Name == "silence" && r.Type == alert.Source {
						silent = append(silent, r.ID)
					}
				}
			}
			out = append(out, found{silent: silent, tenant: a.Tenant.String(), raised: a.RaisedAt, events: a.EventIDs, critical: a.Severity == alert.Critical, what: fmt.Sprintf("%s %s %.1f p=%.1g %s | %s", a.Tenant, a.RaisedAt.Format("Mon 02 15:04"), float64(a.Score)/1000, a.PValue, a.Title, a.Reason)})
		}
		slices.SortFunc(out, func(a, b found) int { return a.raised.Compare(b.raised) })
		return out
	}
	return feed, done
}

// trivial alerts when an actor's events or failed sign-ins of an hour exceed
// the mean of its active hours by three deviations, once an actor and day.
func trivial() (feed func(*event.Event), done func() []found) {
	type stat struct {
		hour      int64
		n         float64
		ids       []string
		k, s, sq  float64
		dayRaised int64
	}
	stats := map[string]*stat{}
	var out []found
	feed = func(e *event.Event) {
		k := e.Tenant.String() + " " + e.Actor
		if e.Class == event.ClassAuthentication && e.Outcome == event.OutcomeFailure {
			k += " failed"
		}
		x := stats[k]
		if x == nil {
			x = &stat{dayRaised: -1}
			stats[k] = x
		}
		if h := e.Time / 3600e9; h != x.hour {
			if x.n > 0 {
				x.k, x.s, x.sq = x.k+1, x.s+x.n, x.sq+x.n*x.n
			}
			x.hour, x.n, x.ids = h, 0, nil
		}
		x.n++
		if len(x.ids) < 100 {
			x.ids = append(x.ids, e.ID)
		}
		if day := e.Time / 86400e9; x.k >= 5 && day != x.dayRaised {
			m := x.s / x.k
			if x.n > m+3*math.Sqrt(math.Max(1, x.sq/x.k-m*m)) {
				x.dayRaised = day
				out = append(out, found{tenant: e.Tenant.String(), raised: time.Unix(0, e.Time), events: slices.Clone(x.ids)})
			}
		}
	}
	return feed, func() []found { return out }
}

type tally struct {
	found, of map[string]int
	delays    []time.Duration
	wrong     int
	days      float64
}

func newTally() *tally { return &tally{found: map[string]int{}, of: map[string]int{}} }

// judge holds alerts against the truth: an attack is found by an alert that
// names one of its events (a silence, by its source); any other is false.
func (y *tally) judge(t testing.TB, j judged, fs []found, days float64, show bool) {
	hit := map[int]time.Time{}
	for _, f := range fs {
		right := false
		for _, id := range f.events {
			if i, ok := j.of[f.tenant+" "+id]; ok {
				right = true
				if at, ok := hit[i]; !ok || f.raised.Before(at) {
					hit[i] = f.raised
				}
			}
		}
		// A silence leaves no event: an alert that names the source while it
		// is silent, or when others speak again, is right.
		for i, x := range j.truth {
			if x.Kind == "silence" && x.Tenant == f.tenant && slices.Contains(f.silent, x.Entities[0].ID) &&
				f.raised.After(x.Start) && f.raised.Before(x.End.Add(12*time.Hour)) {
				right = true
				if at, ok := hit[i]; !ok || f.raised.Before(at) {
					hit[i] = f.raised
				}
			}
		}
		if !right {
			y.wrong++
			if show {
				t.Logf("FALSE %s", f.what)
			}
		}
	}
	for i, x := range j.truth {
		y.of[x.Kind]++
		if at, ok := hit[i]; ok {
			y.found[x.Kind]++
			y.delays = append(y.delays, at.Sub(x.Start))
		} else if show {
			t.Logf("MISS  %s %s %s, %d events, %v", x.Kind, x.Tenant, x.Start.Format("Mon 02 15:04"), x.Events, x.Entities[:min(2, len(x.Entities))])
		}
	}
	y.days += days
}

func (y *tally) total() (found, of int) {
	for k, n := range y.of {
		found, of = found+y.found[k], of+n
	}
	return found, of
}

func (y *tally) median() time.Duration {
	if len(y.delays) == 0 {
		return 0
	}
	slices.Sort(y.delays)
	return y.delays[len(y.delays)/2].Round(time.Second)
}

// TestQualitySimulator prints recall by kind of attack, false alerts and
// delay at the default budget. TENANTWATCH_SHOW=1 lists errors one by one.
func TestQualitySimulator(t *testing.T) {
	base := seed(t)
	const tenants, days = 10, 30
	ours, plain := newTally(), newTally()
	n, began := 0, time.Now()
	for k := range seeds(t, 6) {
		feed, done := sink(t, runner.Options{})
		feed2, done2 := trivial()
		j := streamed(t, simulate.Options{Seed: base + uint64(k), Tenants: tenants, Duration: days * 24 * time.Hour}, feed, feed2)
		n += j.events
		ours.judge(t, j, done(), tenants*days, os.Getenv("TENANTWATCH_SHOW") != "")
		plain.judge(t, j, done2(), tenants*days, false)
	}
	fmt.Printf("\nSimulator: %d tenant-days, %d events, seeds from %d, budget 5, %s\n", int(ours.days), n, base, time.Since(began).Round(time.Second))
	fmt.Printf("  %-28s %16s %16s\n", "", "tenantwatch", "mean + 3 sigma")
	for _, k := range simulate.Kinds() {
		fmt.Printf("  found: %-21s %9d of %3d %9d of %3d\n", k, ours.found[k], ours.of[k], plain.found[k], plain.of[k])
	}
	f1, o1 := ours.total()
	f2, o2 := plain.total()
	fmt.Printf("  %-28s %16.3f %16.3f\n", "recall", float64(f1)/float64(o1), float64(f2)/float64(o2))
	fmt.Printf("  %-28s %16.2f %16.2f\n", "false alerts per tenant-day", float64(ours.wrong)/ours.days, float64(plain.wrong)/plain.days)
	fmt.Printf("  %-28s %16s %16s\n", "median delay", ours.median(), plain.median())
	if r := float64(ours.wrong) / ours.days; r > 5 {
		t.Errorf("%.2f false alerts per tenant-day are more than the budget", r)
	}
}

// TestQualityAttackFree holds the budget where there is nothing to find, in
// the mean of the tenant-days, for a new tenant as well.
func TestQualityAttackFree(t *testing.T) {
	base := seed(t)
	const tenants, days = 10, 14
	budgets := []float64{1, 5, 20}
	type row struct{ all, early, worst, critical float64 }
	rows, plain := make([]row, len(budgets)), row{}
	k := seeds(t, 5)
	td := float64(k * tenants * days)
	count := func(r *row, fs []found) {
		by := map[string]float64{}
		for _, f := range fs {
			if f.critical {
				r.critical++
				continue
			}
			r.all++
			if f.raised.Before(time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)) {
				r.early++
			}
			d := f.tenant + f.raised.UTC().Format(" 2006-01-02")
			by[d]++
			r.worst = math.Max(r.worst, by[d])
		}
	}
	for i := range k {
		var sinks []func(*event.Event)
		var dones []func() []found
		for _, b := range budgets {
			feed, done := sink(t, runner.Options{Budget: b})
			sinks, dones = append(sinks, feed), append(dones, done)
		}
		feed, done := trivial()
		j := streamed(t, simulate.Options{Seed: base + uint64(i), Tenants: tenants, Duration: days * 24 * time.Hour, AttacksPerWeek: -1}, append(sinks, feed)...)
		if len(j.truth) > 0 {
			t.Fatal("there are attacks in it")
		}
		for b := range budgets {
			count(&rows[b], dones[b]())
		}
		count(&plain, done())
	}
	fmt.Printf("\nAttack-free: %.0f tenant-days, seeds from %d\n", td, base)
	fmt.Printf("  %-16s %18s %18s %14s %10s\n", "", "alerts/tenant-day", "first three days", "worst day", "critical")
	for b, budget := range budgets {
		r := rows[b]
		fmt.Printf("  budget %-9v %18.2f %18.2f %14.0f %10.0f\n", budget, r.all/td, r.early/(td*3/days), r.worst, r.critical)
		if r.all/td > budget || r.early/(td*3/days) > budget {
			t.Errorf("budget %v: %.2f alerts a tenant-day, %.2f in the first three days", budget, r.all/td, r.early/(td*3/days))
		}
		if r.worst > 2*budget {
			t.Errorf("budget %v: %.0f alerts on one tenant-day", budget, r.worst)
		}
	}
	fmt.Printf("  %-16s %18.2f %18.2f %14.0f %10s\n", "mean + 3 sigma", plain.all/td, plain.early/(td*3/days), plain.worst, "-")
}
