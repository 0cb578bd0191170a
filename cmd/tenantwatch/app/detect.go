package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// checkpoints is where the state of the detectors is kept.
type checkpoints interface {
	SaveCheckpoint(ctx context.Context, name string, partition int, offset int64, state []byte) error
	LoadCheckpoint(ctx context.Context, name string, partition int) (offset int64, state []byte, ok bool, err error)
}

// detection is the loop from the log through a runner to the core. One runner
// a partition. Order of a step: alerts, then counts, then the checkpoint with
// its offset, then the commit: what a crash undoes is done again with the same
// ids and revisions, and the core takes each once.
type detection struct {
	log   *slog.Logger
	store checkpoints
	core  *core.Core
	opts  runner.Options
	every time.Duration
	// policies is what the tenants ask for; nil: nothing.
	policies *policyBook
	scored   prometheus.Counter
	raised   prometheus.Counter
	lost     prometheus.Counter
	saved    prometheus.Histogram
	size     prometheus.Gauge
}

func newDetection(log *slog.Logger, reg prometheus.Registerer, st *eventstore.Store, c *core.Core, opts runner.Options, every time.Duration) *detection {
	d := &detection{
		log: log, store: st, core: c, opts: opts, every: every,
		scored: prometheus.NewCounter(prometheus.CounterOpts{Name: "tenantwatch_detectors_events_total", Help: "Events handed to the detectors."}),
		raised: prometheus.NewCounter(prometheus.CounterOpts{Name: "tenantwatch_detectors_alert_revisions_total", Help: "Alert revisions handed to the core."}),
		lost:   prometheus.NewCounter(prometheus.CounterOpts{Name: "tenantwatch_detectors_refused_revisions_total", Help: "Alert revisions the core refused because their tenant is suspended or gone."}),
		saved:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tenantwatch_detectors_checkpoint_seconds", Help: "Time to save one checkpoint.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 12)}),
		size:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "tenantwatch_detectors_checkpoint_bytes", Help: "Size of the last checkpoint."}),
	}
	reg.MustRegister(d.scored, d.raised, d.lost, d.saved, d.size)
	return d
}

const checkpointName = "detectors"

// handle is one assigned partition until ctx is done.
func (d *detection) handle(ctx context.Context, p *eventlog.Partition) error {
	st := &partitionState{TopicID: p.TopicID()}
	run, from, err := d.restore(ctx, p, st)
	if err != nil {
		return err
	}
	_, trimmed, ahead := p.Start(from)
	if ahead > 0 || trimmed > 0 {
		d.log.Error("the log does not reach the detectors' checkpoint; events in between were not scored", "partition", p.ID(), "checkpoint", from, "missing", trimmed, "ahead", ahead)
	}
	pol, err := d.newPolicing(ctx, p, run, from, st.afresh)
	if err != nil {
		return err
	}
	offset, saved := from, from
	next := time.Now().Add(d.every)
	for {
		// Wake for the checkpoint although nothing arrives.
		rctx, cancel := context.WithDeadline(ctx, next)
		recs, err := p.Read(rctx)
		cancel()
		if err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("reading partition %d: %w", p.ID(), err)
		}
		if err := pol.before(ctx, recs); err != nil {
			return err
		}
		for i := range recs {
			pol.upTo(recs[i].Offset)
			offset = recs[i].Offset + 1
			if recs[i].Err != nil {
				continue // poison: ingest sets it aside
			}
			d.scored.Add(float64(len(recs[i].Events)))
			if err := d.emit(ctx, run.Apply(recs[i].Events), st, p.ID(), offset); err != nil {
				return err
			}
		}
		stopping := ctx.Err() != nil
		if offset > saved && (stopping || !time.Now().Before(next)) {
			// The last save at shutdown has a little time of its own.
			sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			err := d.save(sctx, p, run, st, offset, stopping)
			cancel()
			if err != nil {
				return err
			}
			saved = offset
			pol.settled(offset)
		}
		if stopping {
			return nil
		}
		if !time.Now().Before(next) {
			next = time.Now().Add(d.every)
		}
	}
}

// restore is the runner as of the last checkpoint and the offset to go on at.
func (d *detection) restore(ctx context.Context, p *eventlog.Partition, st *partitionState) (*runner.Runner, int64, error) {
	run, err := runner.New(d.opts)
	if err != nil {
		return nil, 0, err
	}
	offset, blob, ok, err := d.store.LoadCheckpoint(ctx, checkpointName, p.ID())
	if err != nil {
		return nil, 0, fmt.Errorf("checkpoint of partition %d: %w", p.ID(), err)
	}
	if !ok {
		return run, -1, nil
	}
	snapshot, old, err := decodeState(blob)
	if err == nil {
		err = run.Restore(snapshot)
	}
	if err != nil {
		// A new version of the detectors learns from what the log still holds.
		d.log.Warn("the detectors' checkpoint does not fit this version: learning again from the start of the log", "partition", p.ID(), "err", err)
		st.afresh = true
		return run, -1, nil
	}
	*st = *old
	if st.TopicID != p.TopicID() {
		d.log.Warn("the topic was made anew: keeping what was learnt, reading from its start", "partition", p.ID())
		st.Epoch += offset // positions must go on rising
		st.TopicID, offset = p.TopicID(), -1
	}
	return run, offset, nil
}

func (d *detection) save(ctx context.Context, p *eventlog.Partition, run *runner.Runner, st *partitionState, offset int64, stopping bool) error {
	began := time.Now()
	blob, err := st.encode(run.Snapshot())
	if err != nil {
		return err
	}
	if err := d.store.SaveCheckpoint(ctx, checkpointName, p.ID(), offset, blob); err != nil {
		return fmt.Errorf("saving the checkpoint of partition %d: %w", p.ID(), err)
	}
	d.saved.Observe(time.Since(began).Seconds())
	d.size.Set(float64(len(blob)))
	if err := p.Commit(ctx, offset, ""); err != nil && !stopping {
		return fmt.Errorf("committing partition %d: %w", p.ID(), err)
	}
	return nil
}

// emit stores what one record led to: per tenant the alerts in order, then
// the counts as absolute values.
func (d *detection) emit(ctx context.Context, ems []runner.Emission, st *partitionState, partition int, offset int64) error {
	var order []tenant.ID
	alerts := map[tenant.ID][]alert.Alert{}
	counts := map[tenant.ID][]core.FindingCount{}
	hidden := map[tenant.ID][]core.HiddenAlert{}
	touch := func(id tenant.ID) {
		if len(alerts[id]) == 0 && len(counts[id]) == 0 && len(hidden[id]) == 0 {
			order = append(order, id)
		}
	}
	for i := range ems {
		switch e := &ems[i]; {
		case e.Alert != nil:
			touch(e.Alert.Tenant)
			alerts[e.Alert.Tenant] = append(alerts[e.Alert.Tenant], *e.Alert)
		case e.Hidden != nil:
			touch(e.Hidden.Alert.Tenant)
			hidden[e.Hidden.Alert.Tenant] = append(hidden[e.Hidden.Alert.Tenant], core.HiddenAlert{Alert: e.Hidden.Alert, Suppression: e.Hidden.Suppression})
		case e.Count != nil:
			touch(e.Count.Tenant)
			c := st.add(e.Count)
			c.Partition, c.Position = partition, st.Epoch+offset
			counts[e.Count.Tenant] = upsertCount(counts[e.Count.Tenant], c)
		}
	}
	for _, id := range order {
		if hs := hidden[id]; len(hs) > 0 {
			if err := d.patiently(ctx, "storing what suppressions hid", func() error { return d.core.Suppressions.Hide(ctx, id, hs) }); err != nil {
				return err
			}
		}
		if as := alerts[id]; len(as) > 0 {
			d.raised.Add(float64(len(as)))
			err := d.patiently(ctx, "storing alerts", func() error { _, err := d.core.Alerts.Upsert(ctx, id, as); return err })
			if err != nil {
				return err
			}
		}
		if cs := counts[id]; len(cs) > 0 {
			if err := d.patiently(ctx, "storing finding counts", func() error { return d.core.Findings.Put(ctx, id, cs) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// upsertCount keeps the newest absolute value of a detector and hour.
func upsertCount(cs []core.FindingCount, c core.FindingCount) []core.FindingCount {
	for i := range cs {
		if cs[i].Detector == c.Detector && cs[i].Hour.Equal(c.Hour) {
			cs[i] = c
			return cs
		}
	}
	return append(cs, c)
}

// patiently retries while the core is away; a tenant that may not be written
// to loses the revision, said and counted.
func (d *detection) patiently(ctx context.Context, what string, fn func() error) error {
	pause := 100 * time.Millisecond
	for {
		err := fn()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, core.ErrNotFound), errors.Is(err, core.ErrSuspended), errors.Is(err, core.ErrInvalid):
			d.lost.Inc()
			d.log.Error("refused by the core", "what", what, "err", err)
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
		d.log.Warn("the core does not take it, trying again", "what", what, "err", err, "pause", pause)
		if !sleep(ctx, pause) {
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
		pause = min(2*pause, 5*time.Second)
	}
}
