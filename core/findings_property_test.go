package core_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// TestLedgerOverRandomHistories: whatever order findings come in, wherever a
// partition falls back to a checkpoint and does its work again, the ledger
// adds up and equals what an undisturbed count would be, tenant by tenant,
// detector by detector and hour by hour.
func TestLedgerOverRandomHistories(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	type cell struct {
		id        tenant.ID
		detector  string
		hour      int
		partition int
	}
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		first := day.Add(time.Duration(seed) * 1000 * time.Hour) // hours of its own
		// The whole history, one step an offset: which cell gets a finding of
		// which fate.
		type step struct {
			cell
			fate int
		}
		history := make([]step, 120)
		for i := range history {
			history[i] = step{cell{[]tenant.ID{acme, beta}[rnd.IntN(2)], []string{"rate", "novelty"}[rnd.IntN(2)], rnd.IntN(3), rnd.IntN(2)}, rnd.IntN(4)}
		}
		counts, saved := map[cell][4]int64{}, map[cell][4]int64{}
		checkpoint := 0
		for at := 0; at < len(history); at++ {
			s := history[at]
			n := counts[s.cell]
			n[s.fate]++
			counts[s.cell] = n
			if err := c.Findings.Put(ctx, s.id, []core.FindingCount{{Detector: s.detector, Hour: first.Add(time.Duration(s.hour) * time.Hour), Partition: s.partition,
				Position: int64(at + 1), Findings: n[0] + n[1] + n[2] + n[3], Alerted: n[0], Folded: n[1], Suppressed: n[2], BelowBudget: n[3]}}); err != nil {
				t.Fatal(err)
			}
			switch rnd.IntN(20) {
			case 0: // a checkpoint
				checkpoint, saved = at+1, map[cell][4]int64{}
				for k, v := range counts {
					saved[k] = v
				}
			case 1: // a crash: all since the checkpoint is done again
				if at+1-checkpoint < 25 {
					at, counts = checkpoint-1, map[cell][4]int64{}
					for k, v := range saved {
						counts[k] = v
					}
				}
			}
		}
		want := map[cell][4]int64{}
		for _, s := range history {
			s.partition = 0 // summed over partitions
			n := want[s.cell]
			n[s.fate]++
			want[s.cell] = n
		}
		got, err := c.Findings.List(ctx, []tenant.ID{acme, beta}, first, first.Add(24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range got {
			if n.Findings != n.Alerted+n.Folded+n.Suppressed+n.BelowBudget {
				t.Errorf("seed %d: %+v does not add up", seed, n)
			}
			k := cell{n.Tenant, n.Detector, int(n.Hour.Sub(first) / time.Hour), 0}
			if have := [4]int64{n.Alerted, n.Folded, n.Suppressed, n.BelowBudget}; have != want[k] {
				t.Errorf("seed %d: %v counts %v, want %v", seed, k, have, want[k])
			}
			delete(want, k)
		}
		if len(want) > 0 {
			t.Errorf("seed %d: missing %v", seed, want)
		}
	}
}
