package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/backtest"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

const (
	backtestPoll  = time.Second
	backtestLease = time.Minute
	// maxBacktestState is the largest state kept for a resumption; a larger
	// one begins again.
	maxBacktestState = 256 << 20
)

// labelled is a policy of a backtest with its name, as the core keeps it.
type labelled struct {
	Label  string        `json:"label"`
	Policy policy.Policy `json:"policy"`
}

// policyBook is what the tenants ask for, from the parts of the core.
func (a *App) policyBook(c *core.Core) *policyBook {
	cfg := a.opts.Config.Detectors
	return &policyBook{log: a.log.With("part", "policies"), parts: []policyPart{tenantPolicies(c.Tenants), suppressionPolicies(c.Suppressions)}, queue: cfg.QueueBudget, own: cfg.Budget}
}

// backtestStore is api.Backtests on the core.
type backtestStore struct {
	b    *core.Backtests
	book *policyBook
}

func backtestInfo(b core.Backtest) api.BacktestInfo {
	out := api.BacktestInfo{ID: b.ID, Name: b.Name, Tenant: b.Tenant, From: b.From, To: b.To, Status: string(b.Status), Done: b.Done, Total: b.Total, Error: b.Error,
		CreatedBy: b.CreatedBy, CreatedAt: b.CreatedAt, StartedAt: b.StartedAt, FinishedAt: b.FinishedAt, Results: b.Results}
	var list []labelled
	_ = json.Unmarshal(b.Policies, &list) // without labels it is still a backtest
	for _, l := range list {
		out.Labels = append(out.Labels, l.Label)
	}
	return out
}

func (s backtestStore) List(ctx context.Context, scope []tenant.ID) ([]api.BacktestInfo, error) {
	rows, err := s.b.List(ctx, scope)
	if err != nil {
		return nil, err
	}
	out := make([]api.BacktestInfo, 0, len(rows))
	for _, r := range rows {
		out = append(out, backtestInfo(r))
	}
	return out, nil
}

func (s backtestStore) Get(ctx context.Context, scope []tenant.ID, id string) (api.BacktestInfo, error) {
	b, err := s.b.Get(ctx, scope, id)
	return backtestInfo(b), err
}

func (s backtestStore) Delete(ctx context.Context, by access.Actor, id tenant.ID, backtestID string) error {
	return s.b.Delete(ctx, by, id, backtestID)
}

func (s backtestStore) Create(ctx context.Context, by access.Actor, id tenant.ID, n api.NewBacktest) (api.BacktestInfo, error) {
	now, err := s.book.of(ctx, id)
	if err != nil {
		return api.BacktestInfo{}, err
	}
	list := []labelled{{"current", now}}
	for _, v := range n.Variants {
		p := now
		if v.Budget != nil {
			p.Budget = *v.Budget
		}
		if v.Without {
			p.Suppressions = nil
		}
		p.Suppressions = append(append([]policy.Suppression(nil), p.Suppressions...), v.Suppressions...)
		if len(v.Sensitivity) > 0 {
			p.Sensitivity = maps.Clone(p.Sensitivity)
			if p.Sensitivity == nil {
				p.Sensitivity = map[string]float64{}
			}
			maps.Copy(p.Sensitivity, v.Sensitivity)
		}
		list = append(list, labelled{v.Label, p})
	}
	doc, err := json.Marshal(list)
	if err != nil {
		return api.BacktestInfo{}, fmt.Errorf("policies of a backtest: %w", err)
	}
	b, err := s.b.Create(ctx, by, id, core.Backtest{Name: n.Name, From: n.From, To: n.To, Policies: doc})
	return backtestInfo(b), err
}

// of is one tenant's policy as it stands.
func (b *policyBook) of(ctx context.Context, id tenant.ID) (policy.Policy, error) {
	p := *newPolicy()
	if err := b.read(ctx); err != nil {
		return p, err
	}
	if text := b.now.Load().by[id]; text != "" {
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return p, fmt.Errorf("policy of tenant %s: %w", id, err)
		}
	}
	return p, nil
}

// storedEvents is backtest.Source on the event store.
type storedEvents struct{ s *eventstore.Store }

func (s storedEvents) Each(ctx context.Context, id tenant.ID, from, to time.Time, after *backtest.Position, fn func(*event.Event) error) error {
	return s.s.Each(ctx, id, eventstore.SearchRequest{From: from, To: to, After: (*eventstore.Position)(after), Ascending: true}, fn)
}

func (s storedEvents) Count(ctx context.Context, id tenant.ID, from, to time.Time) (n uint64, err error) {
	bars, err := s.s.Histogram(ctx, id, eventstore.HistogramRequest{From: from, To: to, Buckets: 1})
	for _, b := range bars {
		n += b.Count
	}
	return n, err
}

// backtester runs the queued backtests, one at a time.
type backtester struct {
	log    *slog.Logger
	jobs   *core.Backtests
	engine *backtest.Engine
	owner  string
}

func (a *App) startBacktests(c *core.Core, store *eventstore.Store) error {
	e, err := backtest.New(backtest.Options{Source: storedEvents{store}, Runner: runner.Options{Budget: a.opts.Config.Detectors.Budget}})
	if err != nil {
		return err
	}
	w := &backtester{log: a.log.With("part", "backtests"), jobs: c.Backtests(), engine: e, owner: rand.Text()}
	a.life.run("backtests", w.run)
	return nil
}

func (w *backtester) run(ctx context.Context) error {
	for sleep(ctx, backtestPoll) {
		for ctx.Err() == nil {
			now := time.Now()
			job, ok, err := w.jobs.Claim(ctx, w.owner, now, now.Add(backtestLease))
			if err != nil && ctx.Err() == nil {
				w.log.Warn("backtests cannot be claimed", "err", err)
			}
			if err != nil || !ok {
				break
			}
			if err := w.one(ctx, job); err != nil && ctx.Err() == nil && !errors.Is(err, core.ErrNotFound) {
				w.log.Error("a backtest was broken off and will be resumed", "id", job.ID, "tenant", job.Tenant, "err", err)
				break
			}
		}
	}
	return nil
}

// one runs a job to its end. ErrNotFound: it was deleted, or another has it.
func (w *backtester) one(ctx context.Context, job core.BacktestWork) error {
	var list []labelled
	if err := json.Unmarshal(job.Policies, &list); err != nil {
		return w.jobs.Finish(ctx, job, w.owner, time.Now(), nil, "its policies cannot be read: "+err.Error())
	}
	q := backtest.Request{Tenant: job.Tenant, From: job.From, To: job.To}
	for _, l := range list {
		q.Policies = append(q.Policies, l.Policy)
	}
	state, err := unpack(job.State)
	if err != nil {
		w.log.Warn("a backtest's state is of no use, it begins again", "id", job.ID, "err", err)
	}
	// The lease is held from aside, since a step may take long; who lost it stops.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var done, total uint64
	stepped := time.Now()
	step := func(state []byte) {
		stepped = time.Now()
		if err := w.jobs.Step(ctx, job, w.owner, stepped.Add(backtestLease), done, total, state); errors.Is(err, core.ErrNotFound) {
			cancel(err)
		} else if err != nil && ctx.Err() == nil {
			w.log.Warn("a backtest's progress is not stored", "id", job.ID, "err", err)
		}
	}
	results, err := w.engine.Resume(ctx, q, backtest.Hooks{
		Progress: func(d, t uint64) {
			done, total = d, t
			if time.Since(stepped) > time.Second {
				step(nil)
			}
		},
		Save: func(b []byte) error {
			if packed, err := pack(b); err == nil && len(packed) <= maxBacktestState {
				step(packed)
			}
			return ctx.Err()
		},
	}, state)
	switch {
	case errors.Is(err, backtest.ErrInvalid):
		return w.jobs.Finish(ctx, job, w.owner, time.Now(), nil, err.Error())
	case err != nil:
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	doc, err := json.Marshal(results)
	if err != nil {
		return fmt.Errorf("results of backtest %s: %w", job.ID, err)
	}
	step(nil)
	return w.jobs.Finish(ctx, job, w.owner, time.Now(), doc, "")
}

func pack(b []byte) ([]byte, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close() //nolint:errcheck // nothing was written through it
	return z.EncodeAll(b, nil), nil
}

func unpack(b []byte) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(4<<30))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(b, nil)
}
