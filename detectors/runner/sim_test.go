package runner_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/detectors/simulate"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// seed is fresh at every run and printed; TENANTWATCH_SEED repeats one.
func seed(t testing.TB) uint64 {
	s := rand.Uint64()
	if v := os.Getenv("TENANTWATCH_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		s = n
	}
	t.Logf("TENANTWATCH_SEED=%d", s)
	return s
}

func traffic(t testing.TB, o simulate.Options) ([]event.Event, []simulate.Truth) {
	t.Helper()
	var evs []event.Event
	var truth []simulate.Truth
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	}
	err := simulate.Run(o, func(e *event.Event) error { evs = append(evs, *e); return nil },
		func(x simulate.Truth) error { truth = append(truth, x); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return evs, truth
}

// TestSimulated shows what the detectors find and what they cry wolf over.
func TestSimulated(t *testing.T) {
	s := seed(t)
	evs, truth := traffic(t, simulate.Options{Seed: s, Tenants: 4, Duration: 14 * 24 * time.Hour})
	began := time.Now()
	_, alerts := run(t, runner.Options{}, evs)
	t.Logf("%d events, %d truths, %d alerts, %.0f ns an event", len(evs), len(truth), len(alerts), float64(time.Since(began).Nanoseconds())/float64(len(evs)))
	hit := map[string]*alert.Alert{}
	falseAlarms := 0
	for i := range alerts {
		a := &alerts[i]
		ok := false
		for _, x := range truth {
			if x.Tenant != a.Tenant.String() {
				continue
			}
			ids := map[string]bool{}
			for _, id := range x.EventIDs {
				ids[id] = true
			}
			for _, id := range a.EventIDs {
				if ids[id] {
					ok = true
					if hit[x.ID] == nil {
						hit[x.ID] = a
					}
				}
			}
		}
		if !ok {
			falseAlarms++
			t.Logf("FALSE %s %s %v %s p=%.2g %s | %s", a.Tenant, a.RaisedAt.Format("Mon 02 15:04"), float64(a.Score)/1000, a.Severity, a.PValue, a.Title, a.Reason)
		}
	}
	kinds := map[string][2]int{}
	for _, x := range truth {
		k := kinds[x.Kind]
		k[1]++
		if a := hit[x.ID]; a != nil {
			k[0]++
			t.Logf("HIT  %s %s after %v: %s | %s", x.Kind, x.Tenant, a.RaisedAt.Sub(x.Start).Round(time.Second), a.Title, a.Reason)
		} else {
			t.Logf("MISS %s %s %s events %d %v", x.Kind, x.Tenant, x.Start.Format("Mon 02 15:04"), x.Events, x.Entities[:min(3, len(x.Entities))])
		}
		kinds[x.Kind] = k
	}
	// Kinds that the three detectors are for; what needs volume, spread or
	// silence is shown above, not asked for yet.
	found, of := 0, 0
	for _, k := range []string{"brute_force", "password_spray", "credential_stuffing", "account_takeover", "enumeration", "privilege_abuse", "service_key_theft", "dormant_account", "mfa_fatigue"} {
		found, of = found+kinds[k][0], of+kinds[k][1]
	}
	if of > 0 && float64(found) < 0.6*float64(of) {
		t.Errorf("found %d of %d attacks", found, of)
	}
	if falseAlarms > 2*4*14 {
		t.Errorf("%d false alarms in %d tenant-days", falseAlarms, 4*14)
	}
	t.Logf("found %d of %d; kinds (found, of): %v; false alarms per tenant-day %.2f", found, of, kinds, float64(falseAlarms)/(4*14))
}
