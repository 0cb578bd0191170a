package backtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

const (
	// MaxPeriod is the longest period of one backtest, its warm-up apart.
	MaxPeriod = 90 * 24 * time.Hour
	// MaxPolicies is how many policies one pass compares.
	MaxPolicies = 8
	// DefaultWarmUp is how much before the period the detectors learn from.
	DefaultWarmUp = 14 * 24 * time.Hour

	batchSize = 1024
	// saveEvery is how many events lie between two chances to save.
	saveEvery = 250_000
)

// ErrInvalid is what a request that makes no sense ends with.
var ErrInvalid = errors.New("backtest is invalid")

// Position is a place behind one event in the order of event time, then id.
type Position struct {
	Time int64  `json:"time"` // Unix nanoseconds
	ID   string `json:"id"`
}

// Source is where stored events come from.
type Source interface {
	// Each gives a tenant's events with from <= time < to in the order of
	// (time, id), those behind after only; it ends early with fn's error. The
	// event is fn's to keep.
	Each(ctx context.Context, id tenant.ID, from, to time.Time, after *Position, fn func(*event.Event) error) error
	// Count is how many there are.
	Count(ctx context.Context, id tenant.ID, from, to time.Time) (uint64, error)
}

// Options are an Engine's settings.
type Options struct {
	Source Source
	// Runner are the settings all policies share; OneClock is always set.
	Runner runner.Options
	// WarmUp is how much before the period the detectors learn from; what they
	// raise in it is not counted. 0 means DefaultWarmUp, negative none.
	WarmUp time.Duration
}

// Engine runs backtests. Its methods may be called from several goroutines.
type Engine struct{ opt Options }

// New checks the options.
func New(o Options) (*Engine, error) {
	if o.Source == nil {
		return nil, errors.New("backtest: no source of events")
	}
	if o.WarmUp == 0 {
		o.WarmUp = DefaultWarmUp
	}
	o.WarmUp = max(0, o.WarmUp)
	o.Runner.OneClock = true
	if _, err := runner.New(o.Runner); err != nil {
		return nil, fmt.Errorf("backtest: %w", err)
	}
	return &Engine{opt: o}, nil
}

// Run scores a tenant's events with from <= time < to once for each policy, in
// one pass, and returns a result for each in the same order. progress, when
// not nil, is told how many of the events (the warm-up's included) are done.
// Errors: ErrInvalid for a period or policies that make no sense, the source's,
// ctx's.
func (e *Engine) Run(ctx context.Context, id tenant.ID, from, to time.Time, policies []policy.Policy, progress func(done, total uint64)) ([]Result, error) {
	return e.Resume(ctx, Request{Tenant: id, From: from, To: to, Policies: policies}, Hooks{Progress: progress}, nil)
}

// Request is what to run.
type Request struct {
	Tenant   tenant.ID
	From, To time.Time
	Policies []policy.Policy
}

// Hooks are called while it runs, from one goroutine.
type Hooks struct {
	Progress func(done, total uint64)
	// Save is handed a state to resume from, now and then. An error ends the
	// run. It may be nil.
	Save func(state []byte) error
	// SaveEvery is how many events lie between two calls of Save; 0 means
	// 250,000.
	SaveEvery uint64
}

// Check says whether a request makes sense; the error is an ErrInvalid.
func (q *Request) Check() error {
	switch {
	case q.Tenant.IsZero():
		return fmt.Errorf("%w: no tenant", ErrInvalid)
	case !q.To.After(q.From):
		return fmt.Errorf("%w: the period ends %s, before it begins %s", ErrInvalid, q.To.Format(time.RFC3339), q.From.Format(time.RFC3339))
	case q.To.Sub(q.From) > MaxPeriod:
		return fmt.Errorf("%w: a period of %.0f days: at most 90 at a time", ErrInvalid, q.To.Sub(q.From).Hours()/24)
	case len(q.Policies) == 0 || len(q.Policies) > MaxPolicies:
		return fmt.Errorf("%w: %d policies: want 1 to %d", ErrInvalid, len(q.Policies), MaxPolicies)
	}
	return nil
}

// Resume is Run from a state that a Save hook was handed by the same request;
// nil starts from the beginning. A state of another version of the detectors
// starts from the beginning too: the result is the same.
func (e *Engine) Resume(ctx context.Context, q Request, h Hooks, state []byte) ([]Result, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	p, err := e.newPass(q)
	if err != nil {
		return nil, err
	}
	if state != nil {
		if err := p.restore(state); err != nil {
			if p, err = e.newPass(q); err != nil {
				return nil, err
			}
		}
	}
	start := q.From.Add(-e.opt.WarmUp)
	total, err := e.opt.Source.Count(ctx, q.Tenant, start, q.To)
	if err != nil {
		return nil, fmt.Errorf("backtest of %s: counting events: %w", q.Tenant, err)
	}
	told := func() {
		if h.Progress != nil {
			h.Progress(p.done, max(total, p.done))
		}
	}
	told()
	if h.SaveEvery == 0 {
		h.SaveEvery = saveEvery
	}
	saved := p.done
	err = e.read(ctx, q.Tenant, start, q.To, p.after, func(events []event.Event) error {
		p.apply(events)
		told()
		if h.Save != nil && p.done-saved >= h.SaveEvery {
			saved = p.done
			return h.Save(p.save())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("backtest of %s: %w", q.Tenant, err)
	}
	return p.results(), nil
}

// read hands the events over in batches, a few of them read ahead. It asks the
// source day by day, so that no query lasts long.
func (e *Engine) read(ctx context.Context, id tenant.ID, from, to time.Time, after *Position, fn func([]event.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	ahead := make(chan []event.Event, 8)
	var readErr error
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(ahead)
		batch := make([]event.Event, 0, batchSize)
		send := func() error {
			select {
			case ahead <- batch:
				batch = make([]event.Event, 0, batchSize)
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		for day := from; day.Before(to); day = day.Add(24 * time.Hour) {
			end := day.Add(24 * time.Hour)
			if end.After(to) {
				end = to
			}
			if after != nil && end.UnixNano() <= after.Time {
				continue
			}
			readErr = e.opt.Source.Each(ctx, id, day, end, after, func(ev *event.Event) error {
				if batch = append(batch, *ev); len(batch) == batchSize {
					return send()
				}
				return nil
			})
			if readErr != nil {
				readErr = fmt.Errorf("reading events: %w", readErr)
				return
			}
		}
		if len(batch) > 0 {
			readErr = send()
		}
	})
	var err error
	for b := range ahead {
		if err = fn(b); err != nil {
			break
		}
	}
	cancel()
	reader.Wait()
	if err != nil {
		return err
	}
	return readErr
}
