package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
)

// journalName is the checkpoint that holds since when which policy counts.
const journalName = "detectors-policies"

// journal makes a run after a crash the run without it: a policy counts from
// an offset on, which is durable before the record there is scored, and what
// had been scored before a crash is scored again under what counted then.
type journal struct {
	TopicID string         `json:"topic_id"`
	Entries []journalEntry `json:"entries"` // by offset
}

type journalEntry struct {
	Offset int64    `json:"offset"`
	Share  *float64 `json:"share,omitempty"`
	Tenant string   `json:"tenant,omitempty"`
	Policy string   `json:"policy,omitempty"` // JSON; "": nothing special
}

// assigned is what policing asks of a partition.
type assigned interface {
	ID() int
	TopicID() string
	Bounds() (first, end int64)
}

// policing applies policies to one partition's runner.
type policing struct {
	d       *detection
	p       assigned
	run     *runner.Runner
	j       journal
	next    int // entry of the journal that is due next, in a replay
	live    int64
	applied map[tenant.ID]string
}

// newPolicing loads the journal. New policies wait until the log's end of now
// is reached: what lies before may have been scored under those of the journal.
// afresh says that the checkpoint was of no use: all is learnt again anyway.
func (d *detection) newPolicing(ctx context.Context, p assigned, run *runner.Runner, from int64, afresh bool) (*policing, error) {
	if d.policies == nil {
		return nil, nil
	}
	g := &policing{d: d, p: p, run: run, applied: map[tenant.ID]string{}}
	_, g.live = p.Bounds()
	_, blob, ok, err := d.store.LoadCheckpoint(ctx, journalName, p.ID())
	if err != nil {
		return nil, fmt.Errorf("policies of partition %d: %w", p.ID(), err)
	}
	if ok {
		if err := json.Unmarshal(blob, &g.j); err != nil {
			return nil, fmt.Errorf("policies of partition %d: %w", p.ID(), err)
		}
	}
	if !ok && from < 0 {
		g.live = 0 // nothing was ever scored
	}
	if afresh {
		g.live = 0
	}
	if afresh || g.j.TopicID != p.TopicID() {
		g.j = journal{TopicID: p.TopicID()}
	}
	for g.next < len(g.j.Entries) && g.j.Entries[g.next].Offset < from {
		g.next++ // part of the checkpoint
	}
	if !ok || afresh {
		return g, g.save(ctx, max(from, 0))
	}
	return g, nil
}

func (g *policing) save(ctx context.Context, offset int64) error {
	b, err := json.Marshal(&g.j)
	if err != nil {
		return err
	}
	return g.d.patiently(ctx, "storing policies", func() error {
		return g.d.store.SaveCheckpoint(ctx, journalName, g.p.ID(), offset, b)
	})
}

// settled forgets what a checkpoint at offset holds.
func (g *policing) settled(offset int64) {
	if g == nil {
		return
	}
	n := 0
	for n < g.next && g.j.Entries[n].Offset < offset {
		n++
	}
	g.j.Entries = append([]journalEntry(nil), g.j.Entries[n:]...)
	g.next -= n
}

// before makes the policies of a batch's tenants count before it is scored.
func (g *policing) before(ctx context.Context, recs []eventlog.Record) error {
	if g == nil || len(recs) == 0 || recs[0].Offset < g.live {
		return nil
	}
	v, err := g.d.policies.view(ctx)
	if err != nil {
		return err
	}
	at := recs[0].Offset
	var fresh []journalEntry
	if v.share != g.run.Share() {
		fresh = append(fresh, journalEntry{Offset: at, Share: &v.share})
	}
	asked := map[tenant.ID]bool{}
	for i := range recs {
		if recs[i].Err != nil || len(recs[i].Events) == 0 {
			continue
		}
		id := recs[i].Events[0].Tenant
		if asked[id] {
			continue
		}
		asked[id] = true
		if want := v.by[id]; want != g.current(id) {
			fresh = append(fresh, journalEntry{Offset: at, Tenant: id.String(), Policy: want})
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	g.j.Entries = append(g.j.Entries, fresh...)
	return g.save(ctx, at)
}

func (g *policing) current(id tenant.ID) string {
	text, ok := g.applied[id]
	if !ok {
		if p, said := g.run.PolicyOf(id); said {
			text, _ = policyText(&p) // it came from JSON
		}
		g.applied[id] = text
	}
	return text
}

// upTo applies what counts from offset on.
func (g *policing) upTo(offset int64) {
	if g == nil {
		return
	}
	for ; g.next < len(g.j.Entries) && g.j.Entries[g.next].Offset <= offset; g.next++ {
		e := &g.j.Entries[g.next]
		if err := g.apply(e); err != nil {
			// The same on every replay: the one before stays.
			g.d.log.Error("a policy cannot be applied, the one before stays in force", "tenant", e.Tenant, "err", err)
		}
	}
}

func (g *policing) apply(e *journalEntry) error {
	if e.Share != nil {
		return g.run.SetShare(*e.Share)
	}
	id, err := tenant.Parse(e.Tenant)
	if err != nil {
		return err
	}
	g.applied[id] = e.Policy
	p := *newPolicy()
	if e.Policy != "" {
		if err := json.Unmarshal([]byte(e.Policy), &p); err != nil {
			return err
		}
	}
	return g.run.SetPolicy(id, p)
}
