package runner

import (
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// process looks at an event for one entity. It returns the entity's open
// episode if the event was evidence for it.
func (l *lane) process(r *Runner, s *detect.Scope, n *entity, all []*entity, hour int64, by *episode) *episode {
	slot := l.slot(r, n, hour)
	l.scope(s, n, hour, slot)
	s.Explained = by != nil && by.entity != n
	w := &n.win[max(0, slot)]
	fresh, evidence, critical := false, false, false
	worst := 1.0
	for _, i := range r.byRole[n.role] {
		l.use(s, n, i)
		v := r.dets[i].Observe(s)
		if v.Evidence {
			w.count[i] += float64(s.Event.Count)
			if n.ep != nil && n.ep.parts&(1<<i) != 0 {
				evidence = true
			}
		}
		critical = critical || v.Critical
		worst = min(worst, v.P)
		if v.P < 1 && (w.raw[i] == 0 || v.P < w.raw[i]) {
			w.raw[i] = v.P
			in := input{det: uint8(i), model: v.P, n: -1, sens: 1}
			if v.P <= partP { // above, recalibrated or not, it is no evidence
				k := l.cal[n.role][i].At(v.P)
				in.mass, in.n, in.scale = k.Mass, k.N, k.Scale
				if sens := l.owner.rules.sens; sens != nil {
					in.sens = sens[i]
				}
			}
			if p := in.p(); w.det[i] == 0 || p < w.det[i] {
				w.det[i] = p
				w.keep(in)
				fresh = true
			}
		}
	}
	if s.FailedAuth || worst < suspicious {
		w.note(s.Event)
	}
	if fresh { // also for what is critical: the alert says the p-value of what it keeps
		w.p = combined(w.det)
	}
	if critical {
		l.critical(r, n, all, w, slot, s.Event)
		return n.ep
	}
	if fresh {
		if w.p <= findingP && !n.live {
			n.live = true
			l.live = append(l.live, n)
		}
		l.decide(r, n, all, w, slot, s.Event, by)
	}
	if n.ep != nil && (evidence || fresh && n.ep.last == s.Event.Time) {
		n.ep.feed(r, l, s.Event, evidence)
		return n.ep
	}
	return nil
}

// combined is the evidence of the detectors that tested a window.
func combined(det []float64) float64 {
	var ps [16]float64
	n := 0
	for _, p := range det {
		if p > 0 && n < len(ps) {
			ps[n] = p
			n++
		}
	}
	return baseline.Cauchy(ps[:n])
}

func (w *win) note(e *event.Event) {
	if w.first == 0 || e.Time < w.first {
		w.first = e.Time
	}
	if len(w.recent) < maxRecent {
		w.recent = append(w.recent, e.ID)
		return
	}
	// The first half stays, the rest moves on.
	copy(w.recent[maxRecent/2:], w.recent[maxRecent/2+1:])
	w.recent[maxRecent-1] = e.ID
}

// decide raises, folds or lets be.
func (l *lane) decide(r *Runner, n *entity, all []*entity, w *win, slot int, e *event.Event, by *episode) {
	top := strongest(w.det)
	if w.state == below && w.raw[top] <= findingP {
		// What an open alert on another entity of the event is about is told
		// there. Left below, it would teach the stream that attacks are usual.
		for _, o := range all {
			if o != nil && o != n && o.ep.tells(top) {
				w.state = o.ep.disposition()
			}
		}
	}
	if w.p > baseline.Ceiling(r.budget(l.owner)) {
		return
	}
	p := w.p
	if n.ep != nil {
		if l.surfaces(r, n, w, p, top, e) {
			l.budget.Alerts++
			n.ep.surface(r, l, w, e)
			n.ep.evidence(r, w, p, e)
			n.ep.refresh(r, l, n, max(0, slot))
			n.ep.emit(r, l, alert.Raised)
			return
		}
		if w.state == below {
			w.state = n.ep.disposition()
		}
		n.ep.evidence(r, w, p, e)
		return
	}
	if p > l.budget.Threshold(r.budget(l.owner)) {
		return
	}
	if by != nil && by.entity != n { // the event is told there already
		w.state = by.disposition()
		by.relate(n.public())
		return
	}
	for _, o := range all {
		if o != nil && o != n && o.ep.tells(top) {
			w.state = o.ep.disposition()
			o.ep.relate(n.public())
			return
		}
	}
	hidden := l.owner.rules.hides(n, r.dets[top].Name(), e)
	if hidden == "" {
		l.budget.Alerts++
	}
	l.raise(r, n, all, w, slot, p, e, false, hidden)
}

// surfaces reports whether a window of a hidden episode is an alert that no
// suppression covers: what is hidden is what matches, not all that happens
// meanwhile.
func (l *lane) surfaces(r *Runner, n *entity, w *win, p float64, top int, e *event.Event) bool {
	return n.ep.hidden != "" && (w.state == below || w.state == suppressed) &&
		l.owner.rules.hides(n, r.dets[top].Name(), e) == "" &&
		p <= l.budget.Threshold(r.budget(l.owner))
}

// tells reports whether an episode is an alert that detector i has a part in,
// so that the same on another entity of the event need not be told again. A
// hidden one of a whole tenant would swallow too much.
func (ep *episode) tells(i int) bool {
	return ep != nil && ep.parts&(1<<i) != 0 && (ep.hidden == "" || ep.entity.role != detect.Tenant)
}

// disposition is what a window told by the episode is counted as.
func (ep *episode) disposition() byte {
	if ep.hidden != "" {
		return suppressed
	}
	return folded
}

// critical raises or lifts an episode on confirmed evidence, whatever the
// budget.
func (l *lane) critical(r *Runner, n *entity, all []*entity, w *win, slot int, e *event.Event) {
	p := w.p
	ep := n.ep
	if ep == nil {
		for _, o := range all {
			if o != nil && o.ep != nil && o.ep.critical && o.ep.tells(strongest(w.det)) {
				o.ep.relate(n.public())
				w.state = o.ep.disposition()
				return
			}
		}
		l.raise(r, n, all, w, slot, p, e, true, l.owner.rules.hides(n, r.dets[strongest(w.det)].Name(), e))
		return
	}
	if ep.hidden != "" && l.owner.rules.hides(n, r.dets[strongest(w.det)].Name(), e) == "" {
		ep.surface(r, l, w, e)
	}
	ep.lift(r, l, w, p, e)
}

func strongest(det []float64) int {
	best := 0
	for i, p := range det {
		if p > 0 && (det[best] == 0 || p < det[best]) {
			best = i
		}
	}
	return best
}
