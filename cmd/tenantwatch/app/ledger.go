package app

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
)

// maxLedger bounds the hours whose counts may still grow; the one untouched
// for longest is let go. Event time moves on, so this is far more than enough.
const maxLedger = 50_000

// partitionState is what a checkpoint holds beside the runner: the ledger of
// findings, since the runner hands out increments and the core wants absolute
// values, which a replay cannot count twice.
type partitionState struct {
	TopicID string                  `json:"topic_id"`
	Epoch   int64                   `json:"epoch"`
	Tick    int64                   `json:"tick"`
	Ledger  map[string]*ledgerEntry `json:"ledger"`
	afresh  bool                    // there was a checkpoint, and it was of no use
}

type ledgerEntry struct {
	Tick   int64     `json:"t"`
	Counts [5]uint64 `json:"c"`
}

// add adds an increment and returns the absolute values.
func (s *partitionState) add(c *runner.FindingCount) core.FindingCount {
	if s.Ledger == nil {
		s.Ledger = map[string]*ledgerEntry{}
	}
	key := fmt.Sprintf("%s|%s|%d", c.Tenant, c.Detector, c.Hour)
	e := s.Ledger[key]
	if e == nil {
		e = &ledgerEntry{}
		s.Ledger[key] = e
	}
	s.Tick++
	e.Tick = s.Tick
	for i, v := range [5]uint64{c.Findings, c.Alerted, c.Folded, c.Suppressed, c.BelowBudget} {
		e.Counts[i] += v
	}
	out := core.FindingCount{
		Detector: c.Detector, Hour: time.Unix(c.Hour*3600, 0).UTC(),
		Findings: int64(e.Counts[0]), Alerted: int64(e.Counts[1]), Folded: int64(e.Counts[2]), Suppressed: int64(e.Counts[3]), BelowBudget: int64(e.Counts[4]), //nolint:gosec // counts of findings, far below the limit
	}
	if len(s.Ledger) > maxLedger+maxLedger/8 {
		s.forget()
	}
	return out
}

func (s *partitionState) forget() {
	ticks := make([]int64, 0, len(s.Ledger))
	for _, e := range s.Ledger {
		ticks = append(ticks, e.Tick)
	}
	sort.Slice(ticks, func(i, j int) bool { return ticks[i] > ticks[j] })
	for k, e := range s.Ledger {
		if e.Tick < ticks[maxLedger-1] {
			delete(s.Ledger, k)
		}
	}
}

// encode is: length of the JSON as 4 bytes big-endian, the JSON, the snapshot.
func (s *partitionState) encode(snapshot []byte) ([]byte, error) {
	j, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(4 + len(j) + len(snapshot))
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(j)))) //nolint:gosec // bounded by maxLedger
	b.Write(j)
	b.Write(snapshot)
	return b.Bytes(), nil
}

func decodeState(b []byte) (snapshot []byte, s *partitionState, err error) {
	if len(b) < 4 {
		return nil, nil, errors.New("checkpoint is too short")
	}
	n := int(binary.BigEndian.Uint32(b))
	if n > len(b)-4 {
		return nil, nil, errors.New("checkpoint is cut off")
	}
	s = &partitionState{}
	if err := json.Unmarshal(b[4:4+n], s); err != nil {
		return nil, nil, fmt.Errorf("checkpoint: %w", err)
	}
	return b[4+n:], s, nil
}
