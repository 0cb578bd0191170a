package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// writer writes one partition for as long as it is assigned.
type writer struct {
	in         *Ingest
	p          *eventlog.Partition
	log        *slog.Logger
	quarantine bool
	mark       mark // topic and incarnation as they are to be committed
	pending    []eventlog.Record
	seen       map[tenant.ID]*filter // nil value: too large to remember
}

func (w *writer) close() {
	for t, f := range w.seen {
		if f != nil {
			f.release()
		} else {
			w.in.m.uncached.Dec()
		}
		delete(w.seen, t)
	}
	w.in.m.filterBytes.Set(float64(w.in.opt.FilterBytes - w.in.budget.Load()))
}

// run reads under ctx, the assignment, and writes under work, which outlives
// it by the grace.
func (w *writer) run(ctx, work context.Context) error {
	unfinished, err := w.resume(work)
	if err != nil {
		return err
	}
	for {
		records, err := w.gather(ctx, unfinished)
		if err != nil {
			if ctx.Err() != nil {
				return nil // nothing was begun with what was gathered
			}
			return err
		}
		if err := w.write(work, records, unfinished); err != nil {
			return err
		}
		unfinished = nil
		if ctx.Err() != nil {
			return nil
		}
	}
}

// resume starts reading where the commit says and gives the intent that was
// committed with it: a block that may or may not have arrived.
func (w *writer) resume(ctx context.Context) (*intent, error) {
	committed, metadata := w.p.Committed()
	old, known := parseMark(metadata)
	w.mark = mark{Topic: w.p.TopicID()}
	if w.in.opt.withoutIntent {
		old.Intent = nil
	}
	if known && old.Topic != w.p.TopicID() {
		w.log.Error("the topic was deleted and made again: reading the new one from its start", "was", old.Topic, "is", w.p.TopicID())
		w.p.Start(-1)
		return nil, nil
	}
	w.mark.Incarnation = old.Incarnation
	_, trimmed, ahead := w.p.Start(committed)
	_, end := w.p.Bounds()
	i := old.Intent
	switch {
	case ahead > 0 || i != nil && i.Last >= end:
		// The log lost records that were read before, and gives their offsets
		// to others. From here on rows carry another origin; those that were
		// stored already are known by their ids.
		w.mark.Incarnation++
		w.log.Error("the log lost records that were read before: going on under a new incarnation", "incarnation", w.mark.Incarnation, "end", end, "committed", committed)
		from := min(committed, end)
		return nil, w.commit(ctx, from, nil)
	case i != nil && trimmed > 0:
		return nil, fmt.Errorf("%w: the records %d to %d of an unfinished block were trimmed before they were stored", eventlog.ErrStop, i.First, i.Last)
	}
	if i != nil {
		w.log.Info("finishing the block that was under way", "first", i.First, "last", i.Last, "block", i.Block, "of", i.Blocks)
	}
	return i, nil
}

// gather reads the next range: the very one of an unfinished intent, else
// until there are enough rows or the linger is over.
func (w *writer) gather(ctx context.Context, unfinished *intent) ([]eventlog.Record, error) {
	var out []eventlog.Record
	rows := 0
	take := func() bool { // moves pending records over; true when that is all
		for len(w.pending) > 0 {
			r := &w.pending[0]
			if unfinished != nil && r.Offset > unfinished.Last {
				return true
			}
			out = append(out, *r)
			rows += max(len(r.Events)+len(r.Quarantined), 1)
			last := r.Offset
			w.pending = w.pending[1:]
			if unfinished != nil {
				if last == unfinished.Last {
					return true
				}
			} else if rows >= w.in.opt.MaxRows {
				return true
			}
		}
		return false
	}
	var wait context.Context
	for !take() {
		rctx := ctx
		if len(out) > 0 && unfinished == nil {
			if wait == nil {
				var cancel context.CancelFunc
				wait, cancel = context.WithTimeout(ctx, w.in.opt.Linger)
				defer cancel()
			}
			rctx = wait
		}
		records, err := w.p.Read(rctx)
		if err != nil {
			if wait != nil && wait.Err() != nil && ctx.Err() == nil {
				return out, nil // the linger is over
			}
			return nil, err
		}
		w.pending = records
	}
	return out, nil
}

// write stores one range and commits behind it.
func (w *writer) write(ctx context.Context, records []eventlog.Record, unfinished *intent) error {
	began := time.Now()
	if len(records) == 0 {
		return fmt.Errorf("%w: the records %d to %d of an unfinished block are gone from the log", eventlog.ErrStop, unfinished.First, unfinished.Last)
	}
	r := eventstore.Range{TopicID: w.mark.origin(), Partition: uint32(w.p.ID()), First: records[0].Offset, Last: records[len(records)-1].Offset}
	plan, err := w.plan(ctx, records, r, unfinished != nil)
	if err != nil {
		return err
	}
	if unfinished != nil {
		again, err := w.compare(ctx, plan, r, *unfinished)
		if err != nil {
			return err
		}
		if again {
			// Another origin: what is stored already is known by its ids.
			w.mark.Incarnation++
			return w.write(ctx, records, nil)
		}
	}
	for k, b := range plan.blocks {
		i := newIntent(r, plan.blocks, k, 0)
		doubt := false
		switch {
		case unfinished != nil && k < unfinished.Block:
			continue // compare has seen it
		case unfinished != nil && k == unfinished.Block:
			i.Attempt, doubt = unfinished.Attempt, true
		default:
			if err := w.commit(ctx, r.First, &i); err != nil {
				return err
			}
		}
		if err := w.store(ctx, b, r, i, doubt); err != nil {
			return err
		}
	}
	if err := w.retry(ctx, "note the duplicates", func() error { return w.in.opt.Store.RecordDuplicates(ctx, r, plan.duplicates) }); err != nil {
		return err
	}
	if err := w.commit(ctx, r.Last+1, nil); err != nil {
		return err
	}
	w.account(records, plan, began)
	return nil
}

// compare checks a plan made anew against the intent of the one who began. It
// gives true when the log or the store has changed meanwhile so that it is
// another plan, and the ids have to decide; it stops when rows are wrong.
func (w *writer) compare(ctx context.Context, p *plan, r eventstore.Range, i intent) (again bool, err error) {
	matches := i.Block < len(p.blocks) && newIntent(r, p.blocks, i.Block, 0).same(i)
	if !matches {
		f, err := w.find(ctx, i.Table, i.Month, r)
		if err != nil {
			return false, err
		}
		if f.Rows != 0 && (f.Rows != uint64(i.Rows) || f.Sum != i.Sum) {
			return false, w.mismatch(r, i, f)
		}
		w.log.Warn("the range does not give the block that was intended: the ids decide", "first", i.First, "last", i.Last, "found", f.Rows, "intended", i.Rows)
		return true, nil
	}
	for k, b := range p.blocks[:i.Block] {
		f, err := w.find(ctx, b.Table(), b.Month(), r)
		if err != nil {
			return false, err
		}
		if f.Rows != uint64(b.Rows()) || f.Sum != b.Sum() {
			return false, w.mismatch(r, newIntent(r, p.blocks, k, 0), f)
		}
	}
	return false, nil
}

// store inserts one block whose intent is committed, and settles every doubt.
func (w *writer) store(ctx context.Context, b *eventstore.Block, r eventstore.Range, i intent, doubt bool) error {
	repeated := false // the current token was tried again since the doubt
	bo := 50 * time.Millisecond
	for {
		if doubt {
			w.in.m.doubts.Inc()
			f, err := w.find(ctx, i.Table, i.Month, r)
			switch {
			case err != nil:
				return err
			case f.Rows == uint64(i.Rows) && f.Sum == i.Sum:
				w.in.m.blocks.Inc()
				return nil
			case f.Rows != 0:
				return w.mismatch(r, i, f)
			case repeated:
				// The engine took the token for known and has no rows: it noted
				// the token and lost the part. Only a new token helps.
				i.Attempt++
				w.log.Warn("the store knows the token but not the rows: a new token", "first", i.First, "last", i.Last, "attempt", i.Attempt)
				if bo, err = pause(ctx, bo); err != nil {
					return err
				}
				if err := w.commit(ctx, i.First, &i); err != nil {
					return err
				}
			}
		}
		token := i.token(r)
		if w.in.opt.withoutToken {
			token += "/" + strconv.FormatUint(rand.Uint64(), 16)
		}
		err := w.in.opt.Store.Insert(ctx, b, token)
		if err == nil && !doubt {
			w.in.m.blocks.Inc()
			return nil
		}
		// Either it failed, or it succeeded where an insert before it may have
		// too: look.
		doubt, repeated = true, err == nil
		if err != nil {
			w.in.m.retries.Inc()
			w.log.Warn("an insert failed, looking whether it arrived", "first", i.First, "last", i.Last, "rows", i.Rows, "error", err)
			if bo, err = pause(ctx, bo); err != nil {
				return err
			}
		}
	}
}

func (w *writer) mismatch(r eventstore.Range, i intent, f eventstore.Found) error {
	return fmt.Errorf("%w: %s of topic %s partition %d offsets %d to %d month %d: the store holds %d rows (sum %016x), expected %d (sum %016x)",
		eventlog.ErrStop, i.Table, r.TopicID, r.Partition, r.First, r.Last, i.Month, f.Rows, f.Sum, i.Rows, i.Sum)
}

func (w *writer) find(ctx context.Context, t eventstore.Table, month int, r eventstore.Range) (f eventstore.Found, err error) {
	err = w.retry(ctx, "count the rows of a range", func() error {
		f, err = w.in.opt.Store.Find(ctx, t, month, r)
		return err
	})
	return f, err
}

func (w *writer) commit(ctx context.Context, offset int64, i *intent) error {
	if w.in.opt.withoutIntent && i != nil {
		return nil
	}
	m := w.mark
	m.Intent = i
	text, err := m.encode()
	if err != nil {
		return err
	}
	return w.p.Commit(ctx, offset, text)
}

// retry tries until it works or ctx ends: the store may be away for long, and
// the log keeps what waits.
func (w *writer) retry(ctx context.Context, what string, fn func() error) error {
	bo := 50 * time.Millisecond
	for {
		err := fn()
		if err == nil {
			return nil
		}
		w.in.m.retries.Inc()
		w.log.Warn("the event store failed, trying again", "at", what, "error", err)
		var perr error
		if bo, perr = pause(ctx, bo); perr != nil {
			return fmt.Errorf("%s: %w", what, errors.Join(perr, err))
		}
	}
}

// pause waits d, with jitter, and gives the next d.
func pause(ctx context.Context, d time.Duration) (time.Duration, error) {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return d, context.Cause(ctx)
	case <-t.C:
		return min(2*d, 5*time.Second), nil
	}
}

func (w *writer) account(records []eventlog.Record, p *plan, began time.Time) {
	m := &w.in.m
	rows := 0
	for _, b := range p.blocks {
		rows += b.Rows()
		m.rows.WithLabelValues(string(b.Table())).Add(float64(b.Rows()))
	}
	for _, d := range p.duplicates {
		m.duplicates.WithLabelValues(string(d.Table)).Add(float64(d.N))
	}
	m.poison.Add(float64(p.poison))
	m.batchRows.Observe(float64(rows))
	m.batchSecs.Observe(time.Since(began).Seconds())
	m.freshness.Observe(time.Since(records[0].Time).Seconds())
	m.filterBytes.Set(float64(w.in.opt.FilterBytes - w.in.budget.Load()))
}
