package runner_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// newer is a detector under another version.
type newer struct{ detect.Detector }

func (newer) Version() string { return "99.0.0" }

func (n newer) PerHour(s *detect.Scope) float64 {
	return n.Detector.(interface {
		PerHour(*detect.Scope) float64
	}).PerHour(s)
}

// A detector that is added, taken away or changed starts afresh; what the
// others have learnt stays, and an open alert goes on.
func TestRestoreKeepsWhatOtherDetectorsLearnt(t *testing.T) {
	all := runner.Table()
	few := []detect.Detector{all[2], all[0], all[1]} // another order, too
	old := newRunner(t, runner.Options{Detectors: few})
	for day := range 10 {
		evs := signIns("acme", "198.51.100.7", "bob", hours(24*day), 30, event.OutcomeSuccess)
		for i := range evs {
			evs[i].Country = "DE"
		}
		old.Apply(evs)
	}
	raised := ""
	for _, x := range old.Apply(signIns("acme", "203.0.113.9", "eve", hours(217), 60, event.OutcomeFailure)) {
		if x.Alert != nil {
			raised = x.Alert.ID
		}
	}
	if raised == "" {
		t.Fatal("nothing is open")
	}
	snap := old.Snapshot()
	bob := alert.Entity{Type: alert.User, ID: "bob"}
	acme := signIns("acme", "203.0.113.9", "eve", 0, 1, event.OutcomeFailure)[0].Tenant
	want, _ := old.Baseline(acme, bob)
	grown := newRunner(t, runner.Options{Detectors: all})
	if err := grown.Restore(snap); err != nil {
		t.Fatal(err)
	}
	got, ok := grown.Baseline(acme, bob)
	if !ok || len(got.Expected) != 24 || got.Expected[0] != want.Expected[0] || len(got.Known["country"]) != 1 {
		t.Fatalf("of bob is known %+v, was %+v", got, want)
	}
	same := false
	for _, x := range append(grown.Apply(signIns("acme", "203.0.113.9", "eve", hours(217)+60*3e9, 200, event.OutcomeFailure)), grown.Flush()...) {
		if x.Alert != nil && x.Alert.ID == raised && x.Alert.Revision > 1 {
			same = true
		}
	}
	if !same {
		t.Fatal("the open alert did not go on")
	}
	// A changed version forgets its own states and no others.
	changed := []detect.Detector{few[0], newer{few[1]}, few[2]}
	r := newRunner(t, runner.Options{Detectors: changed})
	if err := r.Restore(snap); err != nil {
		t.Fatal(err)
	}
	v, _ := r.Baseline(acme, bob)
	if len(v.Known["country"]) != 1 || v.Expected[0] == want.Expected[0] {
		t.Fatalf("of bob is known %+v, was %+v", v, want)
	}
	back := newRunner(t, runner.Options{Detectors: few})
	if err := back.Restore(snap); err != nil || !bytes.Equal(back.Snapshot(), snap) {
		t.Fatalf("the same detectors, another state: %v", err)
	}
}

func hours(n int) time.Duration { return time.Duration(n) * time.Hour }
