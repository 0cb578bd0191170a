package backtest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// pass is one run: a runner and a result for each policy.
type pass struct {
	req   Request
	runs  []*runner.Runner
	res   []*collector
	done  uint64
	after *Position
}

func (e *Engine) newPass(q Request) (*pass, error) {
	p := &pass{req: q}
	for i := range q.Policies {
		r, err := runner.New(e.opt.Runner)
		if err != nil {
			return nil, fmt.Errorf("backtest: %w", err)
		}
		if err := r.SetPolicy(q.Tenant, q.Policies[i]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		p.runs = append(p.runs, r)
		p.res = append(p.res, newCollector(q.From, q.To))
	}
	return p, nil
}

// apply scores a batch under every policy, each on a core of its own.
func (p *pass) apply(events []event.Event) {
	for i := range events {
		// What lay in the future of some clock then is no error now.
		events[i].Flags &^= event.FlagFuture
	}
	var wg sync.WaitGroup
	for i, r := range p.runs[1:] {
		wg.Go(func() { p.res[i+1].take(r.Apply(events)) })
	}
	p.res[0].take(p.runs[0].Apply(events))
	wg.Wait()
	last := &events[len(events)-1]
	p.after = &Position{Time: last.Time, ID: last.ID}
	p.done += uint64(len(events))
}

func (p *pass) results() []Result {
	out := make([]Result, len(p.runs))
	for i, r := range p.runs {
		p.res[i].take(r.Flush())
		out[i] = p.res[i].result(p.req.Policies[i], r.Counters())
	}
	for i := range out {
		out[i].compare(&out[0])
	}
	for i := range out { // only now: the first is compared with all
		out[i].cut()
	}
	return out
}

// saved is the head of a state; the runners' snapshots follow.
type saved struct {
	Format   int             `json:"format"`
	Tenant   string          `json:"tenant"`
	Period   [2]time.Time    `json:"period"`
	Done     uint64          `json:"done"`
	After    *Position       `json:"after"`
	Results  []*collector    `json:"results"`
	Policies json.RawMessage `json:"policies"`
}

const format = 1

// save is: for the head and each snapshot its length as 8 bytes, then it.
func (p *pass) save() []byte {
	h := saved{Format: format, Tenant: p.req.Tenant.String(), Period: [2]time.Time{p.req.From.UTC(), p.req.To.UTC()}, Done: p.done, After: p.after, Results: p.res}
	var err error
	if h.Policies, err = json.Marshal(p.req.Policies); err != nil {
		panic(fmt.Sprintf("backtest: the policies do not encode: %v", err))
	}
	j, err := json.Marshal(&h)
	if err != nil { // plain values only
		panic(fmt.Sprintf("backtest: a state does not encode: %v", err))
	}
	parts := [][]byte{j}
	for _, r := range p.runs {
		parts = append(parts, r.Snapshot())
	}
	var b []byte
	for _, part := range parts {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

var errState = errors.New("the state is not one of this backtest")

// restore reads what save wrote for the same request.
func (p *pass) restore(b []byte) error {
	next := func() ([]byte, error) {
		if len(b) < 8 {
			return nil, errState
		}
		n := binary.LittleEndian.Uint64(b)
		if n > uint64(len(b)-8) {
			return nil, errState
		}
		part := b[8 : 8+n]
		b = b[8+n:]
		return part, nil
	}
	j, err := next()
	if err != nil {
		return err
	}
	var h saved
	if err := json.Unmarshal(j, &h); err != nil {
		return fmt.Errorf("%w: %w", errState, err)
	}
	if h.Format != format || h.Tenant != p.req.Tenant.String() || !h.Period[0].Equal(p.req.From) || !h.Period[1].Equal(p.req.To) ||
		len(h.Results) != len(p.runs) || h.After == nil {
		return errState
	}
	want, err := json.Marshal(p.req.Policies)
	if err != nil {
		return err
	}
	if !bytes.Equal(want, h.Policies) {
		return errState
	}
	for _, r := range p.runs {
		s, err := next()
		if err != nil {
			return err
		}
		if err := r.Restore(s); err != nil {
			return err
		}
	}
	for i, c := range h.Results {
		c.from, c.to = p.req.From, p.req.To
		p.res[i] = c
	}
	p.done, p.after = h.Done, h.After
	return nil
}
