package app

import (
	"testing"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
)

func count(hour int64) *runner.FindingCount {
	return &runner.FindingCount{Tenant: tenant.MustParse("acme"), Detector: "rate", Hour: hour, Findings: 1, BelowBudget: 1}
}

func TestLedgerIsAbsoluteAndSurvivesACheckpoint(t *testing.T) {
	s := &partitionState{TopicID: "t", Epoch: 7}
	s.add(count(1))
	if c := s.add(count(1)); c.Findings != 2 || c.BelowBudget != 2 || c.Hour.Unix() != 3600 {
		t.Fatalf("two increments gave %+v", c)
	}
	b, err := s.encode([]byte("snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	snap, back, err := decodeState(b)
	if err != nil || string(snap) != "snapshot" || back.TopicID != "t" || back.Epoch != 7 {
		t.Fatalf("%q %+v %v", snap, back, err)
	}
	if c := back.add(count(1)); c.Findings != 3 {
		t.Fatalf("after a restore the third increment gave %+v", c)
	}
}

func TestLedgerForgetsTheLongestUntouched(t *testing.T) {
	s := &partitionState{}
	for h := range int64(maxLedger + maxLedger/8 + 1) {
		s.add(count(h))
		s.add(count(0)) // touched all the time
	}
	if len(s.Ledger) > maxLedger+maxLedger/8 {
		t.Fatalf("%d entries are kept", len(s.Ledger))
	}
	if c := s.add(count(0)); c.Findings < maxLedger {
		t.Fatalf("the entry in use was forgotten: %+v", c)
	}
}

func TestDamagedCheckpointsAreRefused(t *testing.T) {
	good, _ := (&partitionState{TopicID: "t"}).encode([]byte("x"))
	for n := range len(good) - 1 {
		if _, s, err := decodeState(good[:n]); err == nil && s.TopicID != "t" {
			t.Fatalf("a checkpoint cut to %d bytes was taken", n)
		}
	}
	if _, _, err := decodeState([]byte{0, 0, 0, 2, 'x', 'y'}); err == nil {
		t.Fatal("a checkpoint that is no JSON was taken")
	}
}
