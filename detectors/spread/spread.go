// Package spread notices an actor or address that touches far more different
// resources than it does, in an hour or over the UTC day: enumeration,
// scraping, mass download.
//
// Model: the logarithm of the number of distinct resources of an active hour,
// and of an active day, is Student-t around the entity's own mean, with its
// cohort's, else its tenant's, as the prior. The numbers are exact to 64 and
// HyperLogLog beyond. The smaller p of the two counts twice. Fewer than ten
// are not looked at. Techniques: T1087 when most of the calls failed (guessing
// what there is), else T1213. Memory: 0.2 KiB an entity, up to 1.5 KiB on a busy day.
package spread

import (
	"fmt"
	"math"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

const (
	memoryDays = 30
	least      = 10 // fewer distinct resources are no spread
	growth     = 1.0 / 16
	again      = 10   // a day counts again when ten times less probable
	enough     = 20   // hours or days a pool must have seen to speak
	weak       = 0.05 // a larger p is no evidence
	// ordinary is a deviation whose p is above 0.11 whatever the degrees of
	// freedom (those of the normal distribution are the least): neither an hour
	// nor a day counts from such a p, so it need not be known.
	ordinary = 1.2
)

// Detector is the spread detector; the zero value is ready.
type Detector struct{}

// Name is "spread".
func (Detector) Name() string { return "spread" }

// Version changes when a score could.
func (Detector) Version() string { return "1.0.0" }

// Roles are actors and addresses.
func (Detector) Roles() []detect.Role { return []detect.Role{detect.Actor, detect.Address} }

// span is the distinct resources of one hour or day.
type span struct {
	fan       baseline.Fan
	n, failed float64
	next      float64 // distinct resources at which to look again
	p         float64 // smallest so far, 0 = none yet
	day       float64 // of an hour: the p of the day that counts in it
}

type entity struct {
	hours, days baseline.Amount
	win         [2]span
	day         span
	dayAt       int64
	seen        float64
	flagged     bool
}

type pool struct {
	hours, days baseline.Amount
	day         int64
	spare       [][]uint64 // of the tenant's own pool: room for fans; not part of the state
}

// NewState is an entity's memory.
func (Detector) NewState(detect.Role) detect.State { return &entity{seen: 1} }

// NewPool is a group's memory.
func (Detector) NewPool(detect.Role) detect.State { return &pool{} }

// prior is the belief of the nearest pool that can speak; before any can, a
// dozen resources give or take a factor of five.
func prior(s *detect.Scope, day bool) baseline.AmountPrior {
	pr := baseline.AmountPrior{Mean: 2.5, Dev: 1.6, Heft: 1, Freedom: 4}
	for i := len(s.Pools) - 1; i >= 0; i-- {
		a := &s.Pools[i].(*pool).hours
		if day {
			a = &s.Pools[i].(*pool).days
		}
		if a.N < enough && i < len(s.Pools)-1 {
			continue
		}
		c, scale, _ := a.Predict(pr)
		pr = baseline.AmountPrior{Mean: c, Dev: max(scale, 0.5), Heft: 1, Freedom: 4}
	}
	return pr
}

func (x *span) add(s *detect.Scope, h uint64) {
	e := s.Event
	if x.n == 0 {
		if c := s.Common.(*pool); len(c.spare) > 0 {
			x.fan.Exact = c.spare[len(c.spare)-1]
			c.spare = c.spare[:len(c.spare)-1]
		}
	}
	x.n++
	if e.Outcome == event.OutcomeFailure {
		x.failed++
	}
	x.fan.Add(h)
}

// maxSpare bounds what is kept for reuse: 128 KiB a tenant.
const maxSpare = 256

// empty forgets the resources and keeps their room for others.
func (x *span) empty(s *detect.Scope) {
	if c := s.Common.(*pool); cap(x.fan.Exact) > 0 && len(c.spare) < maxSpare {
		c.spare = append(c.spare, x.fan.Exact[:0])
	}
	*x = span{}
}

// look judges a number that has grown, and only then.
func (x *span) look(s *detect.Scope, a *baseline.Amount, day bool) {
	k := x.fan.Count()
	if k < least || k < x.next {
		return
	}
	x.next = k + max(1, k*growth)
	c, scale, v := a.Predict(prior(s, day))
	t := (baseline.Log(k) - c) / scale
	if t < ordinary {
		return
	}
	if p := baseline.StudentTail(t, v); x.p == 0 || p < x.p {
		x.p = p
	}
}

// Observe adds the event's resource.
func (Detector) Observe(s *detect.Scope) detect.Verdict {
	if s.FailedAuth || s.Explained || s.Event.Resource == "" || s.Slot < 0 {
		return detect.Verdict{P: 1}
	}
	e := s.State.(*entity)
	e.turn(s)
	h := s.ResourceHash()
	w := &e.win[s.Slot]
	w.add(s, h)
	w.look(s, &e.hours, false)
	p := 1.0
	if w.p > 0 {
		p = w.p
	}
	if s.Hour/24 == e.dayAt {
		e.day.add(s, h)
		e.day.look(s, &e.days, true)
		if e.day.p > 0 && e.day.p <= e.seen/again {
			e.seen, w.day = e.day.p, e.day.p
		}
		if w.day > 0 {
			p = min(p, w.day)
		}
	}
	if p *= 2; p > weak {
		return detect.Verdict{P: 1}
	}
	return detect.Verdict{P: p, Evidence: true}
}

// turn learns the day that is over.
func (e *entity) turn(s *detect.Scope) {
	d := s.Hour / 24
	if d <= e.dayAt {
		return
	}
	if e.dayAt != 0 {
		if k := e.day.fan.Count(); k > 0 {
			ln := bounded(baseline.Log(k), &e.days, prior(s, true), e.flagged)
			e.days.Learn(ln)
			for _, p := range s.Pools {
				p.(*pool).days.Learn(ln)
			}
		}
		f := baseline.Exp(-float64(d-e.dayAt) / memoryDays)
		e.days.Decay(f)
		e.hours.Decay(f)
	}
	for _, p := range s.Pools {
		if p := p.(*pool); d > p.day {
			if p.day != 0 {
				f := baseline.Exp(-float64(d-p.day) / memoryDays)
				p.days.Decay(f)
				p.hours.Decay(f)
			}
			p.day = d
		}
	}
	e.day.empty(s)
	e.dayAt, e.seen, e.flagged = d, 1, false
}

// bounded keeps an attack from becoming the baseline.
func bounded(ln float64, a *baseline.Amount, pr baseline.AmountPrior, flagged bool) float64 {
	if !flagged {
		return ln
	}
	c, scale, _ := a.Predict(pr)
	return min(ln, c+float64(2*scale))
}

// Shift makes the newest window the one before.
func (Detector) Shift(st detect.State) {
	e := st.(*entity)
	e.win[1], e.win[0] = e.win[0], span{}
}

// Close learns the hour that is over.
func (Detector) Close(s *detect.Scope) {
	e := s.State.(*entity)
	k := e.win[1].fan.Count()
	e.win[1].empty(s)
	if s.Flagged && s.Hour/24 == e.dayAt {
		e.flagged = true
	}
	if k == 0 {
		return
	}
	ln := bounded(baseline.Log(k), &e.hours, prior(s, false), s.Flagged)
	e.hours.Learn(ln)
	for _, p := range s.Pools {
		p.(*pool).hours.Learn(ln)
	}
}

// Explain describes the hour, or the day when that is what is odd.
func (Detector) Explain(s *detect.Scope) detect.Explanation {
	e := s.State.(*entity)
	w, a, over, span, day := &e.win[max(0, s.Slot)], &e.hours, "1 h", detect.Window(s.Hour), false
	if s.Hour/24 == e.dayAt && e.day.p > 0 && (w.p == 0 || e.day.p < w.p) {
		w, a, over, day = &e.day, &e.days, "1 day", true
		span = "the day up to " + detect.Start(s.Hour+1).Format("15:04") + " UTC on " + detect.Start(s.Hour).Format("2 January 2006")
	}
	pr := prior(s, day)
	c, scale, v := a.Predict(pr)
	lo, hi := 0.0, 64.0 // the upper end of the 95 % interval, by bisection
	for range 40 {
		if mid := (lo + hi) / 2; baseline.StudentTail(mid, v) > 0.025 {
			lo = mid
		} else {
			hi = mid
		}
	}
	k := w.fan.Count()
	x := detect.Explanation{
		Observed: k, Expected: math.Round(baseline.Exp(c)*10) / 10, Unit: "distinct resources in " + over, P: min(1, 2*w.p),
		Lower: math.Round(baseline.Exp(c - float64(hi*scale))), Upper: math.Round(baseline.Exp(min(40, c+float64(hi*scale)))),
		Technique: []string{"T1213"},
	}
	if w.p == 0 {
		x.P = 1
	}
	failed := ""
	if w.failed > w.n/2 {
		x.Technique = []string{"T1087"}
		failed = fmt.Sprintf("; %s of %s calls failed", detect.Num(w.failed), detect.Num(w.n))
	}
	who := detect.Called(s.Entity)
	x.Title = fmt.Sprintf("%s touched %s in %s", who, detect.Plural(k, "different resource"), over)
	x.Reason = fmt.Sprintf("%s touched %s in %s, while %s in %s is usual and up to %s would be ordinary%s.",
		who, detect.Plural(k, "different resource"), span, detect.Num(x.Expected), over, detect.Num(x.Upper), failed)
	enough := 1.0
	for enough < k && 2*a.Tail(baseline.Log(enough), pr) > 0.01 {
		enough++
	}
	x.Counterfactual = fmt.Sprintf("Fewer than %s different resources in %s would not have been a finding of spread.", detect.Num(enough), over)
	var b state.Writer
	a.Encode(&b)
	b.F64s(pr.Mean, pr.Dev, pr.Heft, pr.Freedom, k, c, scale, v)
	x.Basis = b.Buf
	return x
}

func (x *span) encode(w *state.Writer) {
	x.fan.Encode(w)
	w.F64s(x.n, x.failed, x.next, x.p, x.day)
}

func (x *span) decode(r *state.Reader) {
	x.fan.Decode(r)
	r.F64s(&x.n, &x.failed, &x.next, &x.p, &x.day)
}

func (e *entity) Encode(w *state.Writer) {
	e.hours.Encode(w)
	e.days.Encode(w)
	e.win[0].encode(w)
	e.win[1].encode(w)
	e.day.encode(w)
	w.I64(e.dayAt)
	w.F64(e.seen)
	w.Bool(e.flagged)
}

func (e *entity) Decode(r *state.Reader) {
	e.hours.Decode(r)
	e.days.Decode(r)
	e.win[0].decode(r)
	e.win[1].decode(r)
	e.day.decode(r)
	e.dayAt = r.I64()
	e.seen = r.F64()
	e.flagged = r.Bool()
}

func (p *pool) Encode(w *state.Writer) { p.hours.Encode(w); p.days.Encode(w); w.I64(p.day) }
func (p *pool) Decode(r *state.Reader) { p.hours.Decode(r); p.days.Decode(r); p.day = r.I64() }
