package runner_test

import (
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/detectors/simulate"
)

// On traffic without attacks the budget holds on the mean of the tenant-days,
// and no day sees more than twice of it; a new tenant does not flood.
func TestBudgetOnAttackFreeTraffic(t *testing.T) {
	evs, truth := traffic(t, simulate.Options{Seed: seed(t), Tenants: 4, Users: 30, Duration: 10 * 24 * time.Hour, AttacksPerWeek: -1})
	if len(truth) != 0 {
		t.Fatal("there are attacks in it")
	}
	for _, budget := range []float64{1, 5, 20} {
		_, as := run(t, runner.Options{Budget: budget}, evs)
		days := map[string]float64{}
		early, critical := 0.0, 0
		for _, a := range as {
			if a.Severity == alert.Critical {
				critical++
				continue
			}
			days[a.Tenant.String()+a.RaisedAt.Format(" 2006-01-02")]++
			if a.RaisedAt.Before(time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)) {
				early++
			}
		}
		sum := 0.0
		for d, n := range days {
			sum += n
			if n > 2*budget {
				t.Errorf("budget %v: %v alerts on %s", budget, n, d)
			}
		}
		t.Logf("budget %v: %.2f alerts a tenant-day, %.2f in the first three days, %d critical", budget, sum/40, early/12, critical)
		if sum/40 > budget || early/12 > budget {
			t.Errorf("budget %v: %.2f alerts a tenant-day, %.2f in the first three days", budget, sum/40, early/12)
		}
		if critical > 2 {
			t.Errorf("%d critical alerts without an attack", critical)
		}
	}
}
