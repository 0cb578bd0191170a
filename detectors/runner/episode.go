package runner

import (
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

const (
	headIDs, strongIDs, tailIDs = 40, 20, 40
	maxRelated                  = 50
)

// part is one detector's share in an episode: its strongest window.
type part struct {
	P    float64
	Hour int64
	X    detect.Explanation
	In   input
}

// episode is an alert in the making: an entity's oddity from its first
// evidence until it has been quiet.
type episode struct {
	entity   *entity
	id       string
	raisedAt int64
	first    int64
	last     int64
	count    float64
	parts    uint32  // bit per detector with a part
	part     []part  // by detector of the table
	p        float64 // combined, recalibrated, the smallest so far
	critical bool
	fruit    string // who got in, from where
	related  []alert.Entity
	head     []string
	strong   []string
	tail     []string
	sent     alert.Alert // the last revision handed out
	sentAt   float64     // count then
	changed  bool        // since then
	grade    float64     // the p-value the severities are measured by
	inputs   []input     // of the window whose combination is p
	hidden   string      // the suppression that keeps it from being an alert
}

// raise opens an episode and hands out its alert.
func (l *lane) raise(r *Runner, n *entity, all []*entity, w *win, slot int, p float64, e *event.Event, critical bool, hidden string) {
	ep := &episode{
		entity: n, raisedAt: e.Time, first: e.Time, last: e.Time,
		part: make([]part, len(r.dets)), p: p, critical: critical,
		grade: l.grade(r), hidden: hidden,
	}
	if w.first != 0 && w.first < ep.first {
		ep.first = w.first
	}
	if critical {
		ep.fruit = fruit(e)
	}
	ep.id = uuid7(e.Time, l.tenant.String(), n, ep.first, r.config)
	n.ep = ep
	l.open = append(l.open, ep)
	w.state = alerted
	if hidden != "" {
		w.state = suppressed
	}
	for _, o := range all {
		if o != nil && o != n && o.role != detect.Tenant {
			ep.relate(o.public())
		}
	}
	ep.inputs = append(ep.inputs, w.inputs...)
	ep.evidence(r, w, p, e)
	w.raised = ep.parts
	ep.head = append(ep.head, w.recent...)
	if len(ep.head) == 0 || ep.head[len(ep.head)-1] != e.ID {
		ep.head = append(ep.head, e.ID)
	}
	n.risk.Add(hourOf(e.Time), p, riskHalf)
	ep.refresh(r, l, n, max(0, slot))
	// The count is of occurrences; what a detector observed may be bytes.
	ep.count = float64(e.Count)
	for i := range ep.part {
		if ep.parts&(1<<i) != 0 {
			ep.count = max(ep.count, w.count[i])
		}
	}
	ep.emit(r, l, alert.Raised)
}

// evidence takes a window's p-values into the episode.
func (ep *episode) evidence(r *Runner, w *win, p float64, e *event.Event) {
	if p < ep.p {
		if p < ep.p/10 && len(ep.strong) < strongIDs {
			ep.strong = append(ep.strong, e.ID)
		}
		ep.p = p
		ep.changed = true
		ep.inputs = append(ep.inputs[:0], w.inputs...)
	}
	top := strongest(w.det) // is always a part
	for i, d := range w.det {
		if d == 0 || d > partP && i != top {
			continue
		}
		if q := &ep.part[i]; ep.parts&(1<<i) == 0 || d < q.P {
			ep.parts |= 1 << i
			q.P, q.Hour, q.In = d, w.hour, w.input(i)
			ep.changed = true
		}
	}
	ep.last = max(ep.last, e.Time)
}

// lift makes an open episode critical.
func (ep *episode) lift(r *Runner, l *lane, w *win, p float64, e *event.Event) {
	if w.state == below {
		w.state = ep.disposition()
	}
	ep.evidence(r, w, min(p, ep.p), e)
	if len(ep.strong) < strongIDs {
		ep.strong = append(ep.strong, e.ID)
	}
	ep.count += float64(e.Count)
	first := !ep.critical
	if first {
		ep.fruit = fruit(e)
	}
	ep.critical, ep.changed = true, true
	for slot := range ep.entity.win { // the success belongs to the burst's window
		ep.refresh(r, l, ep.entity, slot)
	}
	if first {
		ep.emit(r, l, alert.Amended)
	}
}

func fruit(e *event.Event) string { return e.Actor + " from " + e.SrcIP }

// feed counts an event into the episode and amends the alert when it has
// doubled or grown graver: the number of revisions grows with the logarithm of
// the events.
func (ep *episode) feed(r *Runner, l *lane, e *event.Event, counted bool) {
	if counted {
		ep.count += float64(e.Count)
		ep.changed = true
		ep.last = max(ep.last, e.Time)
		ep.first = min(ep.first, e.Time)
		if len(ep.head) < headIDs {
			ep.head = append(ep.head, e.ID)
		} else {
			if len(ep.tail) == tailIDs {
				copy(ep.tail, ep.tail[1:])
				ep.tail = ep.tail[:tailIDs-1]
			}
			ep.tail = append(ep.tail, e.ID)
		}
	}
	if ep.count >= 2*ep.sentAt || ep.severity() != ep.sent.Severity {
		for slot := range ep.entity.win {
			ep.refresh(r, l, ep.entity, slot)
		}
		ep.emit(r, l, alert.Amended)
	}
}

func (ep *episode) relate(o alert.Entity) {
	if o == ep.entity.public() || len(ep.related) >= maxRelated || o.ID == "" {
		return
	}
	for _, have := range ep.related {
		if have == o {
			return
		}
	}
	ep.related = append(ep.related, o)
	ep.changed = true
}

// refresh explains again the parts whose strongest window is in slot.
func (ep *episode) refresh(r *Runner, l *lane, n *entity, slot int) {
	w := &n.win[slot]
	if w.hour == 0 {
		return
	}
	var s detect.Scope
	for i := range ep.part {
		if ep.parts&(1<<i) == 0 || ep.part[i].Hour != w.hour || n.states[i] == nil {
			continue
		}
		l.scope(&s, n, w.hour, slot)
		l.use(&s, n, i)
		x := r.dets[i].Explain(&s)
		x.P = ep.part[i].P
		if x.Observed < ep.part[i].X.Observed {
			// The peak was told, and what made it up has left the windows
			// since: the sentence stays with the strongest.
			continue
		}
		ep.part[i].X = x
		for _, o := range x.Related {
			ep.relate(o)
		}
	}
}

// close hands out the final revision.
func (ep *episode) close(r *Runner, l *lane) {
	for slot := range ep.entity.win {
		ep.refresh(r, l, ep.entity, slot)
	}
	ep.entity.ep = nil
	if ep.changed {
		ep.emit(r, l, alert.Amended)
	} else {
		ep.hand(r, ep.sent)
	}
	r.out[len(r.out)-1].Final = true
}

// surface makes a hidden episode an alert of its own from here on.
func (ep *episode) surface(r *Runner, l *lane, w *win, e *event.Event) {
	ep.hidden, ep.sent, ep.sentAt = "", alert.Alert{}, 0
	ep.raisedAt, ep.changed = e.Time, true
	ep.id = uuid7(e.Time, l.tenant.String(), ep.entity, ep.first, r.config)
	w.state = alerted
	w.raised = ep.parts
}
