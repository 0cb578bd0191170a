package runner_test

import (
	"encoding/json"
	"testing"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Every revision of every alert is reproduced to the last bit from what is
// kept with it, also after it went through JSON; a changed baseline, a changed
// input and a changed model value each change the number or the hash.
func TestReplayReproducesEveryRevision(t *testing.T) {
	evs := small(t)
	r := newRunner(t, runner.Options{})
	for id := range tenantsOf(evs) {
		p := policy.Policy{Budget: 5, Sensitivity: map[string]float64{"novelty": 0.5, "failures": 2}}
		if err := r.SetPolicy(id, p); err != nil {
			t.Fatal(err)
		}
	}
	revisions, calibrated := 0, 0
	for _, x := range append(r.Apply(evs), r.Flush()...) {
		if x.Alert == nil {
			continue
		}
		revisions++
		b, err := json.Marshal(x.Alert)
		if err != nil {
			t.Fatal(err)
		}
		read := func() *alert.Alert {
			var a alert.Alert
			if err := json.Unmarshal(b, &a); err != nil {
				t.Fatal(err)
			}
			return &a
		}
		if got := runner.Replay(read(), runner.Table()); !got.Same {
			t.Fatalf("revision %d of %s: %s\n%s", x.Alert.Revision, x.Alert.ID, got.Note, b)
		}
		a := read()
		a.Kept.Parts[0].Basis[len(a.Kept.Parts[0].Basis)-1] ^= 1
		if got := runner.Replay(a, nil); got.Same || got.BaselineHash == a.BaselineHash {
			t.Fatalf("%s: another baseline, the same alert", a.ID)
		}
		a = read()
		a.Kept.Parts[0].Model /= 3
		if got := runner.Replay(a, nil); got.Same {
			t.Fatalf("%s: another p-value of the model, the same alert", a.ID)
		}
		for i := range x.Alert.Kept.Window {
			if w := x.Alert.Kept.Window[i]; w.N >= 0 && w.Scale > 0 && w.Mass > 0 {
				calibrated++
				// Alone: beside a far stronger witness the change of another can
				// be lost in the last bit of the combination.
				one := read()
				one.Kept.Window = one.Kept.Window[i : i+1]
				a = read()
				a.Kept.Window = a.Kept.Window[i : i+1]
				a.Kept.Window[0].Mass *= 1e4 // a stream on which such windows are usual
				a.Kept.Window[0].Model = 1e-12
				if got := runner.Replay(a, nil); got.Same || got.PValue == runner.Replay(one, nil).PValue {
					t.Fatalf("%s: another calibration, the same p-value", a.ID)
				}
			}
		}
	}
	if revisions < 5 {
		t.Fatalf("%d revisions: they prove nothing", revisions)
	}
	// Traffic is fresh at every run: now and then no alert had a calibrated input.
	t.Logf("%d revisions, %d calibrated inputs", revisions, calibrated)
	if got := runner.Replay(&alert.Alert{}, nil); got.Same || got.Note == "" {
		t.Fatal("an alert without evidence was reproduced")
	}
}

func tenantsOf(evs []event.Event) map[tenant.ID]bool {
	out := map[tenant.ID]bool{}
	for i := range evs {
		out[evs[i].Tenant] = true
	}
	return out
}
