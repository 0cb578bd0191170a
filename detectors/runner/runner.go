package runner

import (
	"sync"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

const (
	hourNanos = int64(3600) * 1e9
	dayHours  = 24
	// lateness is how far behind its source an event may be, and how far
	// apart sources may be that share a clock: 7 days.
	lateness = 7 * 24 * hourNanos
	// idDays is for how many days of event time an id is remembered.
	idDays = 8
	// maxLanes bounds the clocks of a tenant.
	maxLanes = 16
	// maxSources bounds the sources of a tenant whose clocks are kept; more
	// share the clock named "".
	maxSources = 1024
)

// FindingCount accounts for the findings of one detector in one hour:
// Findings = Alerted + Folded + Suppressed + BelowBudget. Counts are
// increments: add them up.
type FindingCount struct {
	Tenant      tenant.ID
	Detector    string
	Hour        int64 // Unix hours of event time
	Findings    uint64
	Alerted     uint64
	Folded      uint64
	Suppressed  uint64
	BelowBudget uint64
}

// Emission is what Apply hands out: an alert revision, a hidden one, or a
// finding count.
type Emission struct {
	Alert *alert.Alert  // nil when this is a count
	Final bool          // the alert's episode is closed: no revision follows
	Count *FindingCount // nil when this is an alert
	// Hidden is an alert that a suppression keeps from being one: a finding
	// with the state suppressed, to be counted and searched. Alert and Count
	// are nil beside it.
	Hidden *Hidden
}

// Hidden is what would have been an alert. Its revisions count like an
// alert's; when evidence arrives that the suppression does not cover, an alert
// with an id of its own follows.
type Hidden struct {
	Alert       alert.Alert
	Suppression string // the id of the one that hid it
}

// Counters say what became of the events.
type Counters struct {
	Scored    uint64
	Duplicate uint64
	TooLate   uint64 // more than 7 days behind their source
	Future    uint64 // flagged as in the future and 7 days ahead of their source; not scored
	Invalid   uint64
	Forgotten uint64 // entities forgotten for want of room
}

// Add adds another runner's.
func (c *Counters) Add(o Counters) {
	c.Scored += o.Scored
	c.Duplicate += o.Duplicate
	c.TooLate += o.TooLate
	c.Future += o.Future
	c.Invalid += o.Invalid
	c.Forgotten += o.Forgotten
}

// Runner is the detection of a set of tenants. Its methods may be called from
// several goroutines; they take turns.
type Runner struct {
	mu      sync.Mutex
	opt     Options
	config  string
	dets    []detect.Detector
	byRole  [detect.NumRoles][]int // detectors that look at a role
	tenants map[tenant.ID]*tenantState
	count   Counters
	size    int     // entities
	lru     *entity // most recently seen; circular
	out     []Emission
	scope   detect.Scope
	closing detect.Scope // the one of close, which happens in the midst of an event
	from    []int        // while restoring: where each of the snapshot's detectors is now, -1: gone
	share   float64      // of every tenant's budget, see SetShare
	asked   float64      // sum of the tenants' budgets, -1: not known
}

type tenantState struct {
	id    tenant.ID
	rules rules
	seen  ids
	lanes []*lane
	of    map[string]*clock // by source
}

// clock is a source's own watermark and the lane it runs in.
type clock struct {
	mark int64 // largest event time seen
	lane *lane
}

// New is a runner that knows nobody.
func New(o Options) (*Runner, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Runner{opt: o, config: o.configHash(), dets: o.Detectors, tenants: make(map[tenant.ID]*tenantState), share: 1, asked: -1}
	for i, d := range r.dets {
		for _, role := range d.Roles() {
			r.byRole[role] = append(r.byRole[role], i)
		}
	}
	return r, nil
}

// Apply takes events in the order of the log and returns what follows from
// them, in order. It keeps no reference to the slice; strings of the events
// may be kept. Alerts returned are copies and belong to the caller.
func (r *Runner) Apply(events []event.Event) []Emission {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = nil
	for i := range events {
		r.apply(&events[i])
	}
	return r.out
}

// Flush closes every window and episode, as at the end of a file. The runner
// may go on afterwards, but it is no longer the run without the flush.
func (r *Runner) Flush() []Emission {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = nil
	for _, id := range r.tenantIDs() {
		for _, l := range r.tenants[id].lanes {
			l.flush(r)
		}
	}
	return r.out
}

// Counters are the totals since New; they are part of a snapshot.
func (r *Runner) Counters() Counters {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

func (r *Runner) apply(e *event.Event) {
	if e.Validate() != nil {
		r.count.Invalid++
		return
	}
	t := r.tenant(e.Tenant)
	old := t.of[r.source(e)]
	if old != nil && e.Flags&event.FlagFuture != 0 && e.Time > old.mark+lateness {
		// One wrong date must not make everything after it late.
		r.count.Future++
		return
	}
	c := old
	if c == nil {
		c = t.clock(r, e)
	}
	if e.Time < c.mark-lateness {
		r.count.TooLate++
		return
	}
	if !r.opt.KeepDuplicates && !t.seen.add(e.ID, dayOf(e.Time)) {
		r.count.Duplicate++
		return
	}
	if e.Time > c.mark {
		if dayOf(e.Time) > dayOf(c.mark) {
			t.forgetIDs(c, e.Time)
		}
		c.mark = e.Time
	}
	r.count.Scored++
	c.lane.apply(r, e)
}

// clock finds the clock of the event's source, and for a new source its lane.
func (t *tenantState) clock(r *Runner, e *event.Event) *clock {
	src := r.source(e)
	if c := t.of[src]; c != nil {
		return c
	}
	if len(t.of) >= maxSources {
		src = ""
		if c := t.of[src]; c != nil {
			return c
		}
	}
	var best *lane
	for _, l := range t.lanes {
		if d := l.mark - e.Time; d <= lateness && d >= -lateness && (best == nil || l.mark > best.mark) {
			best = l
		}
	}
	if best == nil && len(t.lanes) >= maxLanes {
		best = t.lanes[len(t.lanes)-1]
	}
	if best == nil {
		best = newLane(r, t, e.Time)
		t.lanes = append(t.lanes, best)
	}
	c := &clock{mark: e.Time, lane: best}
	t.of[src] = c
	return c
}

func (r *Runner) source(e *event.Event) string {
	if r.opt.OneClock {
		return ""
	}
	return e.Source
}

// forgetIDs drops the days of ids that no source can repeat any more.
func (t *tenantState) forgetIDs(moved *clock, to int64) {
	t.seen.drop(func(day int64) bool {
		if d := dayOf(to); day <= d && day > d-idDays {
			return false
		}
		for _, c := range t.of {
			if c == moved {
				continue
			}
			if d := dayOf(c.mark); day <= d && day > d-idDays {
				return false
			}
		}
		return true
	})
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func hourOf(nanos int64) int64 { return floorDiv(nanos, hourNanos) }
func dayOf(nanos int64) int64  { return floorDiv(nanos, 24*hourNanos) }
