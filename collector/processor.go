package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// The bounds of one Delivery.
const (
	DefaultBatchEvents = 1000
	DefaultBatchBytes  = 1 << 20
)

// linger is how long a record of a slow stream waits for company.
const linger = 250 * time.Millisecond

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// ProcessorOptions set up a Processor.
type ProcessorOptions struct {
	Sink Sink // required
	// BatchEvents and BatchBytes bound a Delivery by its records and by the
	// bytes of their originals; 0 is the default. One record may exceed the
	// bytes, so a Delivery holds less than BatchBytes + parse.MaxRecord.
	BatchEvents int
	BatchBytes  int
}

// Processor turns streams into deliveries. It keeps no state between streams
// and may be used by many goroutines.
type Processor struct{ o ProcessorOptions }

// NewProcessor checks the options.
func NewProcessor(o ProcessorOptions) (*Processor, error) {
	if o.Sink == nil {
		return nil, errors.New("collector: a Processor needs a Sink")
	}
	if o.BatchEvents < 0 || o.BatchBytes < 0 {
		return nil, errors.New("collector: batch bounds must not be negative")
	}
	if o.BatchEvents == 0 {
		o.BatchEvents = DefaultBatchEvents
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = DefaultBatchBytes
	}
	return &Processor{o: o}, nil
}

// Stream describes one stream to be processed.
type Stream struct {
	Tenant tenant.ID // required
	// Source names the log source whatever the lines say, "" lets the lines
	// decide; DefaultSource is for those that name none.
	Source, DefaultSource string
	Format                string // "" or a name of parse.Formats, or parse.Auto, or "mapping:NAME"
	Mappings              []*mapping.Mapping
	Now                   time.Time
	Year                  int
	Zone                  *time.Location
	// Place and Offset say where in something that is read piece by piece this
	// piece stands; see parse.Options.
	Place  string
	Offset uint64
	At     func(uint64) uint64
}

// Result is what became of a stream. Without an error all that was read is
// durable; with one, Durable and DurableQuarantined count what certainly is,
// and Summary describes what had been read by then.
type Result struct {
	parse.Summary
	Durable            uint64 // events acknowledged by the sink
	DurableQuarantined uint64 // quarantined lines acknowledged by the sink
	Buffered           uint64 // of both, those that are in the buffer on disk
}

// batch is a Delivery being filled, and what came of it.
type batch struct {
	d     Delivery
	bytes int
	err   error
}

func (b *batch) reset() {
	clear(b.d.Events) // let go of the strings
	clear(b.d.Quarantined)
	b.d.Events, b.d.Quarantined, b.bytes = b.d.Events[:0], b.d.Quarantined[:0], 0
}

// Process reads r to its end and delivers what it holds. While one batch is on
// its way the next is being filled; there are never more than these two, and
// they are delivered in order. The first error ends it: of the reader (what
// was read before is still delivered), of the sink, or of ctx.
func (p *Processor) Process(ctx context.Context, r io.Reader, s Stream) (Result, error) {
	if s.Tenant.IsZero() {
		return Result{}, tenant.ErrZero
	}
	var res Result
	source := s.Source
	if source == "" {
		source = s.DefaultSource
	}
	work, free := make(chan *batch), make(chan *batch, 2)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		var failed error
		for b := range work {
			var place Place
			if failed == nil {
				place, failed = DeliverTo(ctx, p.o.Sink, b.d)
			}
			if failed == nil {
				if place == PlaceBuffer {
					res.Buffered += uint64(len(b.d.Events) + len(b.d.Quarantined))
				}
				res.Durable += uint64(len(b.d.Events))
				res.DurableQuarantined += uint64(len(b.d.Quarantined))
			}
			b.err = failed
			free <- b
		}
	}()
	newBatch := func() *batch { return &batch{d: Delivery{Tenant: s.Tenant, Source: source}} }
	cur := newBatch()
	free <- newBatch()
	flush := func() error {
		if len(cur.d.Events)+len(cur.d.Quarantined) == 0 {
			return nil
		}
		work <- cur
		cur = <-free
		cur.reset()
		return cur.err
	}
	full := func(n int) error {
		cur.bytes += n
		if len(cur.d.Events)+len(cur.d.Quarantined) >= p.o.BatchEvents || cur.bytes >= p.o.BatchBytes {
			return flush()
		}
		return nil
	}
	// A slow sender must not keep events waiting for company: what is older
	// than linger goes out when the parser asks for more.
	var oldest time.Time
	slow := readerFunc(func(b []byte) (int, error) {
		if len(cur.d.Events)+len(cur.d.Quarantined) == 0 {
			oldest = time.Time{}
		} else if oldest.IsZero() {
			oldest = time.Now()
		} else if time.Since(oldest) > linger {
			oldest = time.Time{}
			if err := flush(); err != nil {
				return 0, err
			}
		}
		return r.Read(b)
	})
	sum, err := parse.Stream(slow, parse.Options{
		Tenant: s.Tenant, Source: s.Source, DefaultSource: s.DefaultSource, Format: s.Format,
		Now: s.Now, Year: s.Year, Zone: s.Zone, Mappings: s.Mappings, Place: s.Place, Offset: s.Offset, At: s.At,
	}, parse.Handler{
		Event: func(e *event.Event) error {
			cur.d.Events = append(cur.d.Events, *e)
			return full(len(e.Raw))
		},
		Quarantined: func(q *event.Quarantined) error {
			cur.d.Quarantined = append(cur.d.Quarantined, *q)
			return full(len(q.Raw))
		},
	})
	// Also after an error of the reader: whole records came before it.
	ferr := flush()
	close(work)
	<-stopped
	for len(free) > 0 && ferr == nil {
		ferr = (<-free).err
	}
	res.Summary = sum
	switch {
	case ferr != nil:
		return res, fmt.Errorf("collector: deliver events of tenant %s: %w", s.Tenant, ferr)
	case err != nil:
		return res, err
	}
	return res, nil
}
