//go:build quality

package runner_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/detectors/simulate"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// TestQualityEntitySwap lets two users of each tenant exchange all they do at
// a midnight, and asks whether either is told within a day.
func TestQualityEntitySwap(t *testing.T) {
	base := seed(t)
	const tenants, at, days = 20, 14, 15
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	midnight := start.Add(at * 24 * time.Hour)
	var swaps, pairs, users, falls, plainPairs, plainUsers int
	for k := range seeds(t, 3) {
		var evs []event.Event
		streamed(t, simulate.Options{Seed: base + uint64(k), Tenants: tenants, Duration: days * 24 * time.Hour, AttacksPerWeek: -1},
			func(e *event.Event) { evs = append(evs, *e) })
		// Whoever works on both sides of the midnight may be drawn.
		before, after := map[string]int{}, map[string]int{}
		cohort := map[string]string{}
		for i := range evs {
			if e := &evs[i]; e.ActorType == "user" {
				key := e.Tenant.String() + " " + e.Actor
				cohort[key] = e.Cohort
				if e.Time < midnight.UnixNano() {
					before[key]++
				} else {
					after[key]++
				}
			}
		}
		by := map[string][]string{}
		for i := range evs {
			key := evs[i].Tenant.String() + " " + evs[i].Actor
			if before[key] >= 50 && after[key] >= 10 {
				by[evs[i].Tenant.String()] = append(by[evs[i].Tenant.String()], key)
				before[key] = 0
			}
		}
		rng := rand.New(rand.NewPCG(base+uint64(k), 5))
		with := map[string]string{}
		for i := range tenants {
			id := evs[0].Tenant.String()
			_ = id
			for name, list := range by {
				if len(with) > 0 && with["done "+name] != "" || len(list) < 2 {
					continue
				}
				with["done "+name] = "yes"
				x := i % len(list)
				y := (x + 1 + rng.IntN(len(list)-1)) % len(list)
				with[list[x]], with[list[y]] = list[y], list[x]
				swaps++
			}
		}
		feed, done := sink(t, runner.Options{})
		feed2, done2 := trivial()
		ids := map[string]string{} // event id to the user it is now of
		for i := range evs {
			e := evs[i]
			if e.Time >= midnight.UnixNano() {
				key := e.Tenant.String() + " " + e.Actor
				if o := with[key]; o != "" {
					e.Actor, e.Cohort = o[len(e.Tenant.String())+1:], cohort[o]
					ids[e.Tenant.String()+" "+e.ID] = o
				}
			}
			feed(&e)
			feed2(&e)
		}
		judge := func(fs []found) (pairs, users, falls int) {
			hit := map[string]bool{}
			for _, f := range fs {
				if f.raised.Before(midnight) || f.raised.After(midnight.Add(24*time.Hour)) {
					continue
				}
				right := false
				for _, id := range f.events {
					if u := ids[f.tenant+" "+id]; u != "" {
						hit[u], right = true, true
					}
				}
				if !right {
					falls++
				}
			}
			seen := map[string]bool{}
			for a, b := range with {
				if b == "yes" {
					continue
				}
				if hit[a] {
					users++
				}
				if !seen[b] && (hit[a] || hit[b]) {
					pairs++
				}
				if !hit[a] && os.Getenv("TENANTWATCH_SHOW") != "" && &fs != nil {
					t.Logf("MISS %s as %s", a, b)
				}
				seen[a] = true
			}
			return pairs, users, falls
		}
		p, u, f := judge(done())
		pairs, users, falls = pairs+p, users+u, falls+f
		p, u, _ = judge(done2())
		plainPairs, plainUsers = plainPairs+p, plainUsers+u
	}
	n := float64(max(1, swaps))
	fmt.Printf("\nEntity swaps: %d swaps, seeds from %d, budget 5\n", swaps, base)
	fmt.Printf("  %-36s %12s %16s\n", "", "tenantwatch", "mean + 3 sigma")
	fmt.Printf("  %-36s %12.2f %16.2f\n", "swaps found within a day", float64(pairs)/n, float64(plainPairs)/n)
	fmt.Printf("  %-36s %12.2f %16.2f\n", "swapped users found within a day", float64(users)/(2*n), float64(plainUsers)/(2*n))
	fmt.Printf("  %-36s %12.2f\n", "other alerts per tenant on that day", float64(falls)/n)
	if float64(pairs)/n < 0.7 {
		t.Errorf("%.2f of the swaps were found, the first bar is 0.7", float64(pairs)/n)
	}
}
