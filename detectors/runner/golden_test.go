package runner_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"runtime"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/detectors/simulate"
)

// golden is the hash of all that follows from the history below: alerts with
// every revision, counts and the counters. It changes when a detector's
// results do (then its Version changes too), never with how fast they are
// computed.
const golden = "8f540fa153f286a2ba1681cff9746e0fa8989992763c926adcae6ddbd9b5ceae"

func TestGolden(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the simulator draws with package math, whose last bits differ from one architecture to another")
	}
	h := sha256.New()
	w := json.NewEncoder(h)
	emissions := 0
	for seed := range uint64(3) {
		evs, _ := traffic(t, simulate.Options{Seed: seed + 7, Tenants: 3, Duration: 12 * 24 * time.Hour})
		r := newRunner(t, runner.Options{Budget: 20})
		for i := 0; i <= len(evs); i += 512 {
			out := r.Apply(evs[i:min(len(evs), i+512)])
			if i+512 > len(evs) {
				out = append(out, r.Flush()...)
			}
			emissions += len(out)
			if err := w.Encode(out); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Encode(r.Counters()); err != nil {
			t.Fatal(err)
		}
	}
	if emissions < 200 {
		t.Fatalf("%d emissions: the history says too little", emissions)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != golden {
		t.Errorf("what follows from the same history has changed: %d emissions with hash %s, want %s", emissions, got, golden)
	}
}
