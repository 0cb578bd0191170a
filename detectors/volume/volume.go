// Package volume notices that an actor takes out far more bytes than it does,
// in an hour or over the UTC day: mass download, and exfiltration that is slow
// but larger than the account's days.
//
// Model: the logarithm of the bytes sent to the actor in an active hour, and
// in an active day, is Student-t around the actor's own mean with a prior of
// its cohort, else the tenant. The smaller of the two counts twice. Failed
// sign-ins and what an open alert on another entity explains are not counted.
// Technique: T1530, Data from Cloud Storage. Memory: about 0.2 KiB an actor.
package volume

import (
	"fmt"
	"math"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

const (
	memoryDays = 30 // days after which a day weighs 1/e
	again      = 10
	// growth is by how much a sum must grow before it is looked at again.
	growth = 1.0 / 16
	// enough is how many days or hours a pool must have seen to speak.
	enough = 20
)

// Detector is the volume detector; the zero value is ready.
type Detector struct{}

// Name is "volume".
func (Detector) Name() string { return "volume" }

// Version changes when a score could.
func (Detector) Version() string { return "1.0.0" }

// Roles are actors.
func (Detector) Roles() []detect.Role { return []detect.Role{detect.Actor} }

// sum is the bytes of one hour or day.
type sum struct {
	bytes float64
	next  float64 // at which to look again
	p     float64 // smallest so far, 0 = none yet
	day   float64 // of an hour: the p of the day that counts in it, 0 = none
}

type entity struct {
	hours, days baseline.Amount
	win         [2]sum
	day         sum
	dayAt       int64
	seen        float64 // the day's p when it last counted
	flagged     bool    // the day had a window that raised or fed an alert
}

type pool struct {
	hours, days baseline.Amount
	day         int64
}

// NewState is an actor's memory.
func (Detector) NewState(detect.Role) detect.State { return &entity{} }

// NewPool is a group's memory.
func (Detector) NewPool(detect.Role) detect.State { return &pool{} }

// prior is the belief about an actor of the nearest pool that can speak. A
// pool mixes the differences between its members with those within one, so
// its deviation errs on the wide side.
func prior(s *detect.Scope, day bool) baseline.AmountPrior {
	// Nobody has been seen: within six orders of magnitude around a megabyte.
	pr := baseline.AmountPrior{Mean: 14, Dev: 3, Heft: 1, Freedom: 4}
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

// look judges a sum that has grown, and only then.
func (x *sum) look(s *detect.Scope, a *baseline.Amount, day bool) {
	if x.bytes < x.next {
		return
	}
	x.next = x.bytes * (1 + growth)
	c, scale, v := a.Predict(prior(s, day))
	t := (baseline.Log(x.bytes) - c) / scale
	if t <= 0 { // p is at least a half and counts twice: no evidence, whatever it is
		if x.p == 0 {
			x.p = 1
		}
		return
	}
	if p := baseline.StudentTail(t, v); x.p == 0 || p < x.p {
		x.p = p
	}
}

// Observe adds the event's bytes.
func (Detector) Observe(s *detect.Scope) detect.Verdict {
	if s.FailedAuth || s.Explained || s.Event.BytesOut == 0 {
		return detect.Verdict{P: 1}
	}
	e := s.State.(*entity)
	e.turn(s)
	if s.Slot < 0 {
		return detect.Verdict{P: 1}
	}
	n := float64(s.Event.BytesOut)
	w := &e.win[s.Slot]
	w.bytes += n
	w.look(s, &e.hours, false)
	p := w.p
	if s.Hour/24 == e.dayAt {
		e.day.bytes += n
		e.day.look(s, &e.days, true)
		// A day is one observation, not one an hour: it counts in the window
		// in which it has become ten times less probable.
		if e.day.p <= e.seen/again {
			e.seen = e.day.p
			w.day = e.day.p
		}
		if w.day > 0 {
			p = min(p, w.day)
		}
	}
	p = min(1, 2*p)
	return detect.Verdict{P: p, Evidence: p <= 0.05}
}

// turn learns the day that is over.
func (e *entity) turn(s *detect.Scope) {
	d := s.Hour / 24
	if d <= e.dayAt {
		return
	}
	if e.dayAt != 0 {
		if e.day.bytes > 0 {
			ln := bounded(baseline.Log(e.day.bytes), &e.days, prior(s, true), e.flagged)
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
	e.dayAt, e.day, e.seen, e.flagged = d, sum{}, 1, false
}

// bounded keeps an attack from becoming the baseline: of a flagged window at
// most two deviations are learnt.
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
	e.win[1], e.win[0] = e.win[0], sum{}
}

// Close learns the hour that is over.
func (Detector) Close(s *detect.Scope) {
	e := s.State.(*entity)
	w := e.win[1]
	e.win[1] = sum{}
	if s.Flagged && s.Hour/24 == e.dayAt {
		e.flagged = true
	}
	if w.bytes == 0 {
		return
	}
	ln := bounded(baseline.Log(w.bytes), &e.hours, prior(s, false), s.Flagged)
	e.hours.Learn(ln)
	for _, p := range s.Pools {
		p.(*pool).hours.Learn(ln)
	}
}

// Explain describes the hour, or the day when that is what is odd.
func (Detector) Explain(s *detect.Scope) detect.Explanation {
	e := s.State.(*entity)
	w := e.win[max(0, s.Slot)]
	a, over, span, day := &e.hours, "1 h", detect.Window(s.Hour), false
	if s.Hour/24 == e.dayAt && e.day.p > 0 && (w.p == 0 || e.day.p < w.p) {
		w, a, over, day = e.day, &e.days, "1 day", true
		span = "the day up to " + detect.Start(s.Hour+1).Format("15:04") + " UTC on " + detect.Start(s.Hour).Format("2 January 2006")
	}
	pr := prior(s, day)
	c, scale, v := a.Predict(pr)
	// The 95 % interval of Student's t, by bisection on its tail.
	lo, hi := 0.0, 64.0
	for range 40 {
		if mid := (lo + hi) / 2; baseline.StudentTail(mid, v) > 0.025 {
			lo = mid
		} else {
			hi = mid
		}
	}
	x := detect.Explanation{
		Observed: w.bytes, Expected: math.Round(baseline.Exp(c)), Unit: "bytes out in " + over,
		P: min(1, 2*w.p), Lower: math.Round(baseline.Exp(c - float64(hi*scale))), Upper: math.Round(baseline.Exp(c + float64(hi*scale))),
		Technique: []string{"T1530"},
	}
	if w.p == 0 {
		x.P = 1
	}
	who := "it"
	if a.N < 3 {
		who = "its peers"
	}
	x.Title = fmt.Sprintf("%s took out %s in %s", detect.Called(s.Entity), detect.Bytes(w.bytes), over)
	x.Reason = fmt.Sprintf("%s took out %s in %s, while %s in %s is usual for %s and up to %s would be ordinary.",
		detect.Called(s.Entity), detect.Bytes(w.bytes), span, detect.Bytes(x.Expected), over, who, detect.Bytes(x.Upper))
	x.Counterfactual = fmt.Sprintf("Less than %s in %s would not have been a finding of volume.",
		detect.Bytes(threshold(a, pr)), over)
	var b state.Writer
	a.Encode(&b)
	b.F64s(pr.Mean, pr.Dev, pr.Heft, pr.Freedom, w.bytes, c, scale, v)
	x.Basis = b.Buf
	return x
}

// threshold is the amount that would have been a finding: p of one in a
// hundred, both looks paid for.
func threshold(a *baseline.Amount, pr baseline.AmountPrior) float64 {
	lo, hi := 0.0, 60.0
	for range 40 {
		if mid := (lo + hi) / 2; 2*a.Tail(mid, pr) > 0.01 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return baseline.Exp(hi)
}

func (x *sum) encode(w *state.Writer) { w.F64s(x.bytes, x.next, x.p, x.day) }
func (x *sum) decode(r *state.Reader) { r.F64s(&x.bytes, &x.next, &x.p, &x.day) }

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
