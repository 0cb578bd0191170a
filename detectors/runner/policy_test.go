package runner_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func setPolicy(t testing.TB, r *runner.Runner, p policy.Policy) {
	t.Helper()
	if err := r.SetPolicy(tenant.MustParse("acme"), p); err != nil {
		t.Fatal(err)
	}
}

func count(em []runner.Emission) (alerts, hidden int, sum runner.FindingCount) {
	for _, x := range em {
		switch {
		case x.Final && x.Alert != nil:
			alerts++
		case x.Final && x.Hidden != nil:
			hidden++
		case x.Count != nil:
			sum.Findings += x.Count.Findings
			sum.Alerted += x.Count.Alerted
			sum.Folded += x.Count.Folded
			sum.Suppressed += x.Count.Suppressed
			sum.BelowBudget += x.Count.BelowBudget
		}
	}
	return alerts, hidden, sum
}

// A suppression hides exactly what it matches, counts it, and the equation of
// the findings holds; what it does not match is raised in spite of it.
func TestSuppressionHidesWhatItMatches(t *testing.T) {
	attack := signIns("acme", "203.0.113.9", "eve", 0, 80, event.OutcomeFailure)
	hide := func(s policy.Suppression) policy.Policy {
		s.ID, s.From, s.Until = "s1", base.Add(-time.Hour), base.Add(24*time.Hour)
		return policy.Policy{Budget: 5, Suppressions: []policy.Suppression{s}}
	}
	for _, c := range []struct {
		name   string
		s      policy.Suppression
		hidden bool
	}{
		{"its entity", policy.Suppression{EntityType: "address", EntityID: "203.0.113.9"}, true},
		{"its network", policy.Suppression{Network: netip.MustParsePrefix("203.0.113.0/24")}, true},
		{"its action", policy.Suppression{Action: "log*", Detector: "failures"}, true},
		{"another detector", policy.Suppression{Action: "login", Detector: "rate"}, false},
		{"another action", policy.Suppression{Action: "logi"}, false},
		{"another network", policy.Suppression{Network: netip.MustParsePrefix("198.51.100.0/24")}, false},
		{"a label it lacks", policy.Suppression{Label: "env=test"}, false},
	} {
		r := newRunner(t, runner.Options{})
		setPolicy(t, r, hide(c.s))
		alerts, hidden, n := count(append(r.Apply(attack), r.Flush()...))
		if c.hidden && (alerts != 0 || hidden != 1 || n.Suppressed == 0) || !c.hidden && (alerts != 1 || hidden != 0 || n.Suppressed != 0) {
			t.Errorf("%s: %d alerts, %d hidden, %+v", c.name, alerts, hidden, n)
		}
		if n.Findings != n.Alerted+n.Folded+n.Suppressed+n.BelowBudget {
			t.Errorf("%s: %+v does not add up", c.name, n)
		}
	}
}

// What an entity does beside what was suppressed is an alert.
func TestSuppressionDoesNotCoverTheRest(t *testing.T) {
	r := newRunner(t, runner.Options{})
	setPolicy(t, r, policy.Policy{Budget: 5, Suppressions: []policy.Suppression{{
		ID: "scanner", Network: netip.MustParsePrefix("203.0.113.9/32"), From: base.Add(-time.Hour), Until: base.Add(24 * time.Hour)}}})
	em := r.Apply(signIns("acme", "203.0.113.9", "eve", 0, 80, event.OutcomeFailure))
	if alerts, _, _ := count(em); alerts != 0 {
		t.Fatal("the scanner was not hidden")
	}
	em = append(r.Apply(signIns("acme", "198.51.100.66", "eve", 5*time.Minute, 80, event.OutcomeFailure)), r.Flush()...)
	found := false
	for _, a := range finals(t, em) {
		found = found || a.Entity.ID == "198.51.100.66"
	}
	if !found {
		t.Fatal("another address's attack was hidden with the scanner's")
	}
}

// A suppression that has run out hides nothing, even of an episode it hid.
func TestExpiredSuppressionSurfaces(t *testing.T) {
	r := newRunner(t, runner.Options{})
	setPolicy(t, r, policy.Policy{Budget: 5, Suppressions: []policy.Suppression{{
		ID: "s", EntityID: "203.0.113.9", From: base.Add(-time.Hour), Until: base.Add(3 * time.Minute)}}})
	attack := signIns("acme", "203.0.113.9", "eve", 0, 2000, event.OutcomeFailure)
	alerts, hidden, _ := count(append(r.Apply(attack), r.Flush()...))
	if alerts != 1 || hidden != 0 {
		t.Fatalf("%d alerts and %d hidden: the attack goes on after the suppression's end", alerts, hidden)
	}
}

func TestSensitivityAsksForMoreEvidence(t *testing.T) {
	raised := func(sens float64) int {
		r := newRunner(t, runner.Options{})
		setPolicy(t, r, policy.Policy{Budget: 5, Sensitivity: map[string]float64{"failures": sens}})
		evs := signIns("acme", "203.0.113.9", "eve", 0, 400, event.OutcomeFailure)
		for i := range evs {
			for _, x := range r.Apply(evs[i : i+1]) {
				if x.Alert != nil {
					return i
				}
			}
		}
		return len(evs)
	}
	if low, one, high := raised(policy.MinSensitivity), raised(1), raised(policy.MaxSensitivity); low <= one || high > one {
		t.Fatalf("raised after %d failures at the floor, %d at 1, %d at the top", low, one, high)
	}
}

// The budget's thresholds and severities follow a change while it runs, and a
// restart remembers it.
func TestBudgetChangesLiveAndSurvivesARestart(t *testing.T) {
	attack := func(i int) []event.Event {
		return signIns("acme", "203.0.113.9", "eve", time.Duration(i)*48*time.Hour, 18, event.OutcomeFailure)
	}
	r := newRunner(t, runner.Options{})
	setPolicy(t, r, policy.Policy{Budget: 0})
	if alerts, _, _ := count(append(r.Apply(attack(0)), r.Flush()...)); alerts != 0 {
		t.Fatal("an alert although none was asked for")
	}
	snap := r.Snapshot()
	back := newRunner(t, runner.Options{})
	if err := back.Restore(snap); err != nil {
		t.Fatal(err)
	}
	if p, ok := back.PolicyOf(tenant.MustParse("acme")); !ok || p.Budget != 0 || !bytes.Equal(snap, back.Snapshot()) {
		t.Fatalf("after a restart: %+v %v", p, ok)
	}
	severity := func(budget int) alert.Severity {
		q := newRunner(t, runner.Options{})
		if err := q.Restore(snap); err != nil {
			t.Fatal(err)
		}
		setPolicy(t, q, policy.Policy{Budget: budget})
		as := finals(t, append(q.Apply(signIns("acme", "203.0.113.77", "mallory", 48*time.Hour, 300, event.OutcomeFailure)), q.Flush()...))
		if len(as) != 1 {
			t.Fatalf("budget %d: %d alerts", budget, len(as))
		}
		return as[0].Severity
	}
	rank := map[alert.Severity]int{alert.Low: 1, alert.Medium: 2, alert.High: 3, alert.Critical: 4}
	if a, b := severity(1), severity(5000); rank[a] > rank[b] {
		t.Fatalf("the same evidence is %s at a budget of 1 and %s at 5000", a, b)
	}
}

func TestTheQueueIsSharedOffline(t *testing.T) {
	raised := func(queue float64) int {
		r := newRunner(t, runner.Options{QueueBudget: queue})
		var em []runner.Emission
		for _, tn := range []string{"acme", "globex", "initech"} {
			em = append(em, r.Apply(signIns(tn, "203.0.113.9", "eve", 0, 100, event.OutcomeFailure))...)
		}
		n, _, _ := count(append(em, r.Flush()...))
		return n
	}
	if all, none := raised(0), raised(0.0001); all != 3 || none != 0 {
		t.Fatalf("%d alerts without a ceiling, %d with one of nearly 0", all, none)
	}
}

func TestPolicyIsChecked(t *testing.T) {
	r := newRunner(t, runner.Options{})
	for _, p := range []policy.Policy{
		{Budget: 10_001}, {TimeZone: "Nowhere"}, {Sensitivity: map[string]float64{"rate": 0}},
		{Suppressions: []policy.Suppression{{ID: "all", Detector: "rate"}}},
	} {
		if err := r.SetPolicy(tenant.MustParse("acme"), p); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
	if _, ok := r.PolicyOf(tenant.MustParse("acme")); ok {
		t.Error("a refused policy counts")
	}
}
