// Package buffer keeps what the event log cannot take just now: a bounded
// queue on disk between a source and its sink.
//
// Invariants: Deliver returns nil only when the delivery is in the sink, or
// written and fsynced here. What is here goes to the sink before anything that
// was delivered later, one tenant's deliveries in their order. Nothing is ever
// dropped: when the bounds are reached Deliver fails, and what the sink will
// never take is set aside in a file and counted. A process killed at any point
// loses nothing that was acknowledged; it may hand on some of it twice, which
// the events' ids settle.
//
// The package must not know what the sink is.
package buffer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/collector"
)

// Options set up a Buffer.
type Options struct {
	Dir  string         // required; made when it is not there
	Sink collector.Sink // required
	// MaxBytes bounds what waits, in bytes; default 1 GiB. Of the disk it may
	// take one segment more.
	MaxBytes int64
	// MaxAge bounds how long the oldest delivery may have waited before no
	// further is taken; default 24 h. It is never dropped for its age.
	MaxAge time.Duration
	// Patience is how long the sink may take before the buffer takes over;
	// default 5 s.
	Patience time.Duration
	// SegmentBytes is when a file is closed and the next begun; default 16
	// MiB, at most an eighth of MaxBytes.
	SegmentBytes int64
	Logger       *slog.Logger          // nil: nothing is logged
	Metrics      prometheus.Registerer // nil: nothing is counted
	Now          func() time.Time      // nil: time.Now
}

// ErrFull says that the bounds are reached; it is a collector.ErrUnavailable.
var ErrFull = fmt.Errorf("the buffer is full: %w", collector.ErrUnavailable)

// Status is a buffer's fill.
type Status struct {
	Entries  int
	Bytes    int64
	MaxBytes int64
	Oldest   time.Time // of what waits; zero when nothing does
	Full     bool
}

// Buffer is a collector.PlacingSink. It is safe for concurrent use.
type Buffer struct {
	o    Options
	log  *slog.Logger
	m    *metrics
	lock *os.File

	mu      sync.Mutex
	write   *segment // nil: none is open
	nextSeq uint64
	queue   []entry // what waits, in order, without its bytes
	bytes   int64
	written uint64 // appends so far
	doubt   uint64 // appends up to here may have been lost by a failed fsync
	closed  bool
	wake    chan struct{} // a token when something waits

	syncMu sync.Mutex
	synced uint64 // appends that are on disk
}

// entry is where a delivery stands on disk.
type entry struct {
	seq    uint64
	offset int64
	size   int64 // of the frame
	at     int64 // when it came: Unix nanoseconds
}

// Open reads what an earlier process left. Close it.
func Open(o Options) (*Buffer, error) {
	if o.Dir == "" || o.Sink == nil {
		return nil, errors.New("buffer: Dir and Sink are required")
	}
	if o.MaxBytes < 0 || o.MaxAge < 0 || o.Patience < 0 || o.SegmentBytes < 0 {
		return nil, errors.New("buffer: bounds must not be negative")
	}
	def(&o.MaxBytes, 1<<30)
	def(&o.MaxAge, 24*time.Hour)
	def(&o.Patience, 5*time.Second)
	def(&o.SegmentBytes, 16<<20)
	o.SegmentBytes = max(min(o.SegmentBytes, o.MaxBytes/8), 4<<10)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("buffer: %w", err)
	}
	b := &Buffer{o: o, log: o.Logger, wake: make(chan struct{}, 1), nextSeq: 1}
	lock, err := os.OpenFile(filepath.Join(o.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("buffer: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("buffer: %s is in use by another process: %w", o.Dir, err), lock.Close())
	}
	b.lock = lock
	if b.m, err = newMetrics(o.Metrics, b.Status); err != nil {
		return nil, errors.Join(fmt.Errorf("buffer: register metrics: %w", err), lock.Close())
	}
	if err := b.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("buffer: read %s: %w", o.Dir, err), lock.Close())
	}
	if len(b.queue) > 0 {
		b.log.Info("events wait in the buffer from before", "deliveries", len(b.queue), "bytes", b.bytes)
		b.wake <- struct{}{}
	}
	return b, nil
}

func def[T int64 | time.Duration](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// Deliver makes d durable in the sink or here.
func (b *Buffer) Deliver(ctx context.Context, d collector.Delivery) error {
	_, err := b.DeliverPlaced(ctx, d)
	return err
}

// DeliverPlaced makes d durable and says where.
func (b *Buffer) DeliverPlaced(ctx context.Context, d collector.Delivery) (collector.Place, error) {
	if !b.waiting() {
		try, cancel := context.WithTimeout(ctx, b.o.Patience)
		err := b.o.Sink.Deliver(try, d)
		late := try.Err() != nil
		cancel()
		switch {
		case err == nil:
			return collector.PlaceLog, nil
		case ctx.Err() != nil:
			return collector.PlaceNone, err
		case !late && !errors.Is(err, collector.ErrUnavailable):
			return collector.PlaceNone, err
		}
		b.log.Debug("the sink is away, the buffer takes over", "err", err)
	}
	if err := b.append(d); err != nil {
		return collector.PlaceNone, err
	}
	return collector.PlaceBuffer, nil
}

// waiting says that something is here, so that what comes has to queue.
func (b *Buffer) waiting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) > 0
}

// Status is the fill as of now.
func (b *Buffer) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{Entries: len(b.queue), Bytes: b.bytes, MaxBytes: b.o.MaxBytes}
	if s.Entries > 0 {
		s.Oldest = time.Unix(0, b.queue[0].at)
	}
	s.Full = b.full(0)
	return s
}

// Ready fails while nothing more would be taken.
func (b *Buffer) Ready(context.Context) error {
	if s := b.Status(); s.Full {
		return fmt.Errorf("full: %d of %d bytes, the oldest since %s: senders are refused until the event log is back", s.Bytes, s.MaxBytes, s.Oldest.UTC().Format(time.RFC3339))
	}
	return nil
}

// full says that size more bytes do not fit. The caller holds mu.
func (b *Buffer) full(size int64) bool {
	return b.bytes+size > b.o.MaxBytes || len(b.queue) > 0 && b.o.Now().Sub(time.Unix(0, b.queue[0].at)) > b.o.MaxAge
}

// append writes d at the end and returns when it is on disk.
func (b *Buffer) append(d collector.Delivery) error {
	now := b.o.Now().UnixNano()
	frames, err := encode(d, now)
	if err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	var size int64
	for _, f := range frames {
		size += int64(len(f))
	}
	b.mu.Lock()
	switch {
	case b.closed:
		b.mu.Unlock()
		return fmt.Errorf("buffer: closed: %w", collector.ErrUnavailable)
	case b.full(size):
		b.mu.Unlock()
		b.m.refused.Inc()
		return ErrFull
	}
	err = b.writeFrames(frames, now)
	mine := b.written
	b.mu.Unlock()
	if err == nil {
		err = b.sync(mine)
	}
	if err != nil {
		b.m.refused.Inc()
		b.log.Error("the buffer cannot be written", "dir", b.o.Dir, "err", err)
		return fmt.Errorf("buffer: write: %w: %w", collector.ErrUnavailable, err)
	}
	b.m.buffered.Add(float64(len(d.Events) + len(d.Quarantined)))
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return nil
}

// writeFrames appends whole frames to the open segment. The caller holds mu.
func (b *Buffer) writeFrames(frames [][]byte, now int64) error {
	for _, f := range frames {
		if b.write != nil && b.write.size+int64(len(f)) > b.o.SegmentBytes && b.write.size > int64(len(segmentMagic)) {
			if err := b.closeSegment(); err != nil {
				return err
			}
		}
		if b.write == nil {
			s, err := createSegment(b.o.Dir, b.nextSeq)
			if err != nil {
				return err
			}
			b.nextSeq++
			b.write = s
		}
		at := b.write.size
		if err := b.write.append(f); err != nil {
			// What stands behind at is not acknowledged; the next frame must
			// not follow a torn one.
			return errors.Join(err, b.closeSegment())
		}
		b.queue = append(b.queue, entry{b.write.seq, at, int64(len(f)), now})
		b.bytes += int64(len(f))
		b.written++
	}
	return nil
}

// closeSegment syncs and closes the open segment. The caller holds mu.
func (b *Buffer) closeSegment() error {
	s := b.write
	b.write = nil
	err := s.f.Sync()
	if err != nil {
		b.doubt = b.written
	}
	return errors.Join(err, s.f.Close())
}

// sync returns when append number n is on disk; concurrent appends share one
// fsync. A segment that was closed meanwhile was synced as it was.
func (b *Buffer) sync(n uint64) error {
	b.syncMu.Lock()
	defer b.syncMu.Unlock()
	if b.synced >= n {
		return nil
	}
	b.mu.Lock()
	upTo, s := b.written, b.write
	b.mu.Unlock()
	var err error
	if s != nil {
		if err = s.f.Sync(); errors.Is(err, os.ErrClosed) {
			err = nil // closed meanwhile, and synced before that
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil { // what a failed fsync left behind nobody knows
		b.doubt = max(b.doubt, upTo)
		if b.write == s {
			_ = b.closeSegment()
		}
	}
	if n <= b.doubt {
		return errors.Join(errors.New("fsync failed"), err)
	}
	b.synced = upTo
	return nil
}

// Close ends the buffer; what waits stays on disk. Run must have ended.
func (b *Buffer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	var err error
	if b.write != nil {
		err = b.closeSegment()
	}
	return errors.Join(err, b.lock.Close())
}
