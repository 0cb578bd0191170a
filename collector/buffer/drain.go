package buffer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// window is how many deliveries are read at once; those of different tenants
// are handed on side by side.
const (
	window      = 64
	windowBytes = 8 << 20
)

// refusals is how often a sink may refuse a delivery for good before it is set
// aside.
const refusals = 3

// Run hands on what waits until ctx is done.
func (b *Buffer) Run(ctx context.Context) error {
	const first, most = 100 * time.Millisecond, 5 * time.Second
	pause := first
	var failing bool
	for {
		n, err := b.drain(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil && n > 0 {
			pause = first
			if failing = failing && b.waiting(); !b.waiting() {
				b.log.Info("the buffer is empty again")
			}
			continue
		}
		var wake <-chan struct{}
		wait := time.NewTimer(pause)
		if err != nil {
			if !failing {
				b.log.Warn("events wait in the buffer until the event log is back", "err", err)
			}
			failing = true
			pause = min(2*pause, most)
		} else {
			wake = b.wake // nothing waits
		}
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wake:
		case <-wait.C:
		}
		wait.Stop()
	}
}

// drain hands on one window and says how many entries it was.
func (b *Buffer) drain(ctx context.Context) (int, error) {
	b.mu.Lock()
	n, bytes := 0, int64(0)
	for n < len(b.queue) && n < window && (n == 0 || bytes+b.queue[n].size <= windowBytes) {
		bytes += b.queue[n].size
		n++
	}
	batch := b.queue[:n:n]
	b.mu.Unlock()
	if n == 0 {
		return 0, nil
	}
	groups, order, err := b.load(batch)
	if err != nil {
		return 0, err
	}
	errs := make([]error, len(order))
	var wg sync.WaitGroup
	for i, id := range order {
		wg.Go(func() {
			for _, d := range groups[id] {
				if errs[i] = b.handOn(ctx, d); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	return n, b.done(n)
}

// load reads entries and joins those of one tenant and source that follow one
// another.
func (b *Buffer) load(batch []entry) (groups map[tenant.ID][]collector.Delivery, order []tenant.ID, err error) {
	groups = map[tenant.ID][]collector.Delivery{}
	var f *os.File
	var seq uint64
	defer func() {
		if f != nil {
			_ = f.Close()
		}
	}()
	for _, e := range batch {
		if f == nil || seq != e.seq {
			if f != nil {
				_ = f.Close()
			}
			if f, err = os.Open(segmentName(b.o.Dir, e.seq)); err != nil {
				return nil, nil, err
			}
			seq = e.seq
		}
		d, err := readEntry(f, e)
		if errors.Is(err, errDamaged) {
			b.m.damaged.Inc()
			b.log.Error("an entry of the buffer is damaged and cannot be handed on", "file", segmentName(b.o.Dir, e.seq), "offset", e.offset, "err", err)
			if err := b.setAside(f, e); err != nil {
				return nil, nil, err
			}
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		g, known := groups[d.Tenant]
		if !known {
			order = append(order, d.Tenant)
		}
		if n := len(g); n > 0 && g[n-1].Source == d.Source && len(g[n-1].Events)+len(d.Events) <= 4*collector.DefaultBatchEvents {
			g[n-1].Events = append(g[n-1].Events, d.Events...)
			g[n-1].Quarantined = append(g[n-1].Quarantined, d.Quarantined...)
			continue
		}
		groups[d.Tenant] = append(g, d)
	}
	return groups, order, nil
}

// handOn delivers to the sink; what it refuses for good is set aside, so that
// it does not hold up the rest for ever.
func (b *Buffer) handOn(ctx context.Context, d collector.Delivery) error {
	for try := 1; ; try++ {
		err := b.o.Sink.Deliver(ctx, d)
		if err == nil {
			b.m.drained.Add(float64(len(d.Events) + len(d.Quarantined)))
			return nil
		}
		if !errors.Is(err, collector.ErrRefused) {
			return err
		}
		if try < refusals {
			continue
		}
		b.m.setAside.Add(float64(len(d.Events) + len(d.Quarantined)))
		b.log.Error("the event log refuses events for good: they are kept in the folder refused", "dir", b.o.Dir, "tenant", d.Tenant.String(), "events", len(d.Events), "err", err)
		frames, err := encode(d, b.o.Now().UnixNano())
		if err != nil {
			return err
		}
		for _, f := range frames {
			if err := b.keep(f); err != nil {
				return err
			}
		}
		return nil
	}
}

// setAside copies an entry's bytes as they are.
func (b *Buffer) setAside(f *os.File, e entry) error {
	raw := make([]byte, e.size)
	if _, err := f.ReadAt(raw, e.offset); err != nil {
		return err
	}
	return b.keep(raw)
}

// keep appends bytes to the file of what could not be handed on.
func (b *Buffer) keep(raw []byte) error {
	dir := filepath.Join(b.o.Dir, "refused")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "entries"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	return errors.Join(err, f.Sync(), f.Close())
}

// done forgets the first n entries and the segments they emptied.
func (b *Buffer) done(n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.queue[n-1]
	for _, e := range b.queue[:n] {
		b.bytes -= e.size
	}
	first := b.queue[0].seq
	b.queue = b.queue[n:]
	var keepFrom uint64
	if len(b.queue) > 0 {
		keepFrom = b.queue[0].seq
	} else {
		b.queue = nil
		if b.write != nil { // all of it was handed on: begin anew
			keepFrom = b.write.seq + 1
			if err := b.closeSegment(); err != nil {
				b.log.Warn("closing a file of the buffer", "err", err)
			}
		} else {
			keepFrom = last.seq + 1
		}
	}
	if err := writePosition(b.o.Dir, last.seq, last.offset+last.size); err != nil {
		return fmt.Errorf("note the position: %w", err)
	}
	for seq := first; seq < keepFrom; seq++ {
		if err := os.Remove(segmentName(b.o.Dir, seq)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
