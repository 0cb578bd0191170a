package offline

import (
	"bufio"
	"container/heap"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// EventsOptions are the settings of ScoreEvents.
type EventsOptions struct {
	// Runner are the runner's own settings (the budget among them). OneClock
	// is always set: the files are merged in event time.
	Runner runner.Options
	// All writes retracted alerts too.
	All bool
	// Plots writes each alert's plots as well, 36 points a detector.
	Plots bool
	// Progress, when set, is called now and then with the events read so far.
	Progress func(events uint64)
	// Workers score tenants side by side, each tenant by one of them; the
	// output is the same. 0: as many as there are processors. A budget for the
	// whole queue needs one.
	Workers int
}

// EventsSummary says what became of the events.
type EventsSummary struct {
	Events   uint64
	Alerts   int
	Counters runner.Counters
	Findings runner.FindingCount // totals over tenants, detectors and hours
}

// Events is a file's events in the order of its lines. An error ends the run.
type Events = iter.Seq2[event.Event, error]

type head struct {
	e    event.Event
	i    int // the file's place on the command line
	next func() (event.Event, error, bool)
}

type heads []*head

func (h heads) Len() int { return len(h) }
func (h heads) Less(i, j int) bool {
	if h[i].e.Time != h[j].e.Time {
		return h[i].e.Time < h[j].e.Time
	}
	return h[i].i < h[j].i
}
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *heads) Push(x any)   { *h = append(*h, x.(*head)) }
func (h *heads) Pop() any     { x := (*h)[len(*h)-1]; *h = (*h)[:len(*h)-1]; return x }

// batch is how many events go to the runner at once.
const batch = 1024

// ScoreEvents merges the files in event time (a file that is itself out of
// order is read as it comes), scores every event, and writes each alert in its
// final state as one line of JSON, ordered by raised_at_event_time, then id.
// seq is the line's number. Memory is that of the runner and of the alerts.
func ScoreEvents(w io.Writer, o EventsOptions, files ...Events) (EventsSummary, error) {
	var sum EventsSummary
	o.Runner.OneClock = true
	pool, err := newWorkers(o)
	if err != nil {
		return sum, err
	}
	defer pool.stop()
	var h heads
	for i, f := range files {
		next, stop := iter.Pull2(f)
		defer stop()
		n := &head{i: i, next: next}
		if ok, err := n.advance(); err != nil {
			return sum, err
		} else if ok {
			h = append(h, n)
		}
	}
	heap.Init(&h)
	var final []alert.Alert
	take := func(em []runner.Emission) {
		for _, x := range em {
			switch {
			case x.Count != nil:
				sum.Findings.Findings += x.Count.Findings
				sum.Findings.Alerted += x.Count.Alerted
				sum.Findings.Folded += x.Count.Folded
				sum.Findings.Suppressed += x.Count.Suppressed
				sum.Findings.BelowBudget += x.Count.BelowBudget
			case x.Alert != nil && x.Final && (o.All || x.Alert.State != alert.Retracted):
				a := *x.Alert
				a.Kept = nil
				if !o.Plots {
					a.Plots = nil
				}
				final = append(final, a)
			}
		}
	}
	for len(h) > 0 {
		n := h[0]
		pool.give(&n.e)
		sum.Events++
		if ok, err := n.advance(); err != nil {
			return sum, err
		} else if ok {
			heap.Fix(&h, 0)
		} else {
			heap.Pop(&h)
		}
		if o.Progress != nil && (sum.Events%batch == 0 || len(h) == 0) {
			o.Progress(sum.Events)
		}
	}
	for _, w := range pool.finish() {
		take(w.kept)
		sum.Counters.Add(w.r.Counters())
	}
	slices.SortFunc(final, func(a, b alert.Alert) int {
		if c := a.RaisedAt.Compare(b.RaisedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for i := range final {
		final[i].Seq = uint64(i + 1)
		if err := enc.Encode(&final[i]); err != nil {
			return sum, fmt.Errorf("write alert %s: %w", final[i].ID, err)
		}
	}
	sum.Alerts = len(final)
	if err := out.Flush(); err != nil {
		return sum, fmt.Errorf("write alerts: %w", err)
	}
	return sum, nil
}

func (n *head) advance() (bool, error) {
	e, err, ok := n.next()
	if err != nil {
		return false, fmt.Errorf("read events: %w", err)
	}
	// The files' own clock counts: what is ahead of the machine's is no error.
	e.Flags &^= event.FlagFuture
	n.e = e
	return ok, nil
}
