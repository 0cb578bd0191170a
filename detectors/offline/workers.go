package offline

import (
	"runtime"
	"sync"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// worker scores the tenants that fall to it.
type worker struct {
	r    *runner.Runner
	in   chan []event.Event
	next []event.Event     // being filled by the reader
	kept []runner.Emission // counts, and alerts in their final state
}

// workers share the tenants; while they score, the reader reads on.
type workers struct {
	all  []*worker
	wg   sync.WaitGroup
	once sync.Once
}

func newWorkers(o EventsOptions) (*workers, error) {
	n := o.Workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	if o.Runner.QueueBudget > 0 {
		n = 1
	}
	p := &workers{}
	for range n {
		r, err := runner.New(o.Runner)
		if err != nil {
			return nil, err
		}
		p.all = append(p.all, &worker{r: r, in: make(chan []event.Event, 4)})
	}
	for _, w := range p.all {
		p.wg.Go(func() {
			for b := range w.in {
				w.take(w.r.Apply(b))
			}
		})
	}
	return p, nil
}

func (w *worker) take(em []runner.Emission) {
	for i := range em {
		if em[i].Count != nil || em[i].Final {
			w.kept = append(w.kept, em[i])
		}
	}
}

// give hands an event to its tenant's worker.
func (p *workers) give(e *event.Event) {
	w := p.all[0]
	if n := uint64(len(p.all)); n > 1 {
		w = p.all[baseline.Hash(e.Tenant.String())%n]
	}
	if w.next = append(w.next, *e); len(w.next) == batch {
		w.in <- w.next
		w.next = make([]event.Event, 0, batch)
	}
}

// stop ends the workers without what was not handed on yet.
func (p *workers) stop() {
	p.once.Do(func() {
		for _, w := range p.all {
			close(w.in)
		}
	})
	p.wg.Wait()
}

// finish hands on the rest, closes every window and episode, and gives the
// workers with what they kept.
func (p *workers) finish() []*worker {
	for _, w := range p.all {
		if len(w.next) > 0 {
			w.in <- w.next
			w.next = nil
		}
	}
	p.stop()
	for _, w := range p.all {
		w.take(w.r.Flush())
	}
	return p.all
}
