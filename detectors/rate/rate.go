// Package rate notices that an entity does far more in an hour than it does.
//
// Model: the count of an hour is negative binomial around the entity's own
// rate times its hour-of-week shape, with a power-law end, mixed with the distribution over all
// entities of its cohort for the case that it is new or has changed its role.
// Entities: actors, addresses, the tenant itself. Failed sign-ins are not
// counted: nobody proved to be that actor, and `failures` looks at them.
// Memory: about 0.6 KiB an entity.
package rate

import (
	"fmt"
	"math"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

const (
	memory   = 14 * 24 // hours after which a window weighs 1/e
	poolDays = 30      // days, likewise, for a pool
	ring     = 36      // hours a plot shows
	dayHeft  = 2       // days that the tenant's season is worth
	trust    = 12      // hours of exposure after which own history weighs as much as the population's
)

// Detector is the rate detector; the zero value is ready.
type Detector struct{}

// Name is "rate".
func (Detector) Name() string { return "rate" }

// Version changes when a score could.
func (Detector) Version() string { return "1.0.0" }

// Roles are all three.
func (Detector) Roles() []detect.Role {
	return []detect.Role{detect.Actor, detect.Address, detect.Tenant}
}

type window struct {
	n    float64 // events
	p    float64 // smallest p so far, 0 = none yet
	next float64 // the count at which to look again
}

type entity struct {
	rate    baseline.CountRate
	day     baseline.Day
	since   int64 // hours before this one are learnt; 0: nothing is
	win     [2]window
	ring    [ring]float64 // counts of the hours up to ringEnd
	ringEnd int64
}

type pool struct {
	rate baseline.CountRate
	all  baseline.Population
	day  int64
}

// NewState is an entity's memory.
func (Detector) NewState(detect.Role) detect.State { return &entity{} }

// NewPool is a group's memory.
func (Detector) NewPool(detect.Role) detect.State { return &pool{} }

func tailPrior(r detect.Role) baseline.PopulationPrior {
	switch r {
	case detect.Tenant: // no other member to learn from: heavy
		return baseline.PopulationPrior{Scale: 1000, Alpha: 1, Weight: 20}
	case detect.Address:
		return baseline.PopulationPrior{Scale: 100, Alpha: 1, Weight: 20}
	}
	return baseline.PopulationPrior{Scale: 60, Alpha: 1.5, Weight: 20}
}

// nearest is the closest pool that has seen enough to speak.
func nearest(s *detect.Scope) *pool {
	for _, p := range s.Pools {
		if p := p.(*pool); p.all.N >= 30 {
			return p
		}
	}
	return s.Pools[len(s.Pools)-1].(*pool)
}

func prior(p *pool) baseline.CountPrior {
	global := baseline.CountPrior{Mean: 1, Shape: 1, Phi: 1, Heft: 5}
	return baseline.CountPrior{
		Mean: p.rate.Rate(global), Shape: 0.5, Phi: max(0.1, p.rate.Phi(global)), Heft: 5,
	}
}

func (e *entity) shape(s *detect.Scope, hour int64) float64 {
	how := s.HourOfWeek(hour)
	return e.day.Shape(how, dayHeft, s.Season.Shape(how))
}

// tail is the p-value of n events in the scope's hour.
func (e *entity) tail(s *detect.Scope, n float64) float64 {
	pl := nearest(s)
	strange := 1 / (1 + float64(e.rate.Exposure/trust)*float64(e.rate.Exposure/trust))
	own := 1.0
	if strange < 1 { // else it has no weight
		own = e.rate.Predict(prior(pl), e.shape(s, s.Hour)).TailHeavy(n)
	}
	pop := pl.all.Tail(n, tailPrior(s.Role))
	return baseline.ClampP(float64((1-strange)*own) + float64(strange*pop))
}

// Observe counts the event.
func (Detector) Observe(s *detect.Scope) detect.Verdict {
	e := s.State.(*entity)
	if s.FailedAuth || s.Explained {
		return detect.Verdict{P: 1}
	}
	n := float64(s.Event.Count)
	if s.Slot < 0 {
		e.rate.Count += n
		return detect.Verdict{P: 1}
	}
	w := &e.win[s.Slot]
	w.n += n
	if w.p == 0 {
		w.p = 1
		// Up to half above the mean there is nothing to see.
		w.next = max(2, math.Floor(float64(1.5*e.rate.Rate(prior(nearest(s)))*e.shape(s, s.Hour))))
	}
	// The tail is looked at again when the count has grown by a sixteenth:
	// counts only grow, so p only falls, and what is judged is the whole
	// window's distribution, which one look or many cannot fool.
	if w.n >= w.next {
		w.p = min(w.p, e.tail(s, w.n))
		w.next = w.n + max(1, math.Floor(w.n/16))
	}
	return detect.Verdict{P: w.p, Evidence: w.p <= 0.05}
}

// Shift makes the newest window the one before.
func (Detector) Shift(st detect.State) {
	e := st.(*entity)
	e.win[1], e.win[0] = e.win[0], window{}
}

// Close learns the window that is over.
func (Detector) Close(s *detect.Scope) {
	e := s.State.(*entity)
	w := e.win[1]
	e.win[1] = window{}
	if w.n == 0 {
		return
	}
	own := s.Pools[len(s.Pools)-1].(*pool)
	pr := prior(nearest(s))
	if e.since == 0 {
		e.since = s.Hour
	}
	if gap := s.Hour - e.since; gap > 0 {
		e.rate.Decay(baseline.Exp(-float64(gap) / memory))
		e.day.Decay(baseline.Exp(-float64(gap) / (2 * memory)))
		for h := max(e.since, s.Hour-baseline.WeekHours); h < s.Hour; h++ {
			e.rate.Learn(0, e.shape(s, h), pr)
			e.day.Pass(s.HourOfWeek(h))
		}
	}
	n := w.n
	weight := 1.0
	shape := e.shape(s, s.Hour)
	if s.Flagged {
		// An attack must not become the baseline: what is learnt of a flagged
		// window is the most that would have been ordinary.
		n = min(n, max(1, e.rate.Predict(pr, shape).Quantile(0.99)))
		weight = 0.25
	}
	for _, p := range s.Pools {
		p := p.(*pool)
		p.turn(s.Hour / 24)
		p.all.Learn(n, weight)
		p.rate.Learn(n, 1, prior(own))
		p.rate.Exposure += min(23, float64(max(0, s.Hour-e.since))) // its quiet hours
	}
	e.day.Pass(s.HourOfWeek(s.Hour))
	e.day.Learn(s.HourOfWeek(s.Hour), min(n/e.rate.Rate(pr), 48))
	e.rate.Learn(n, shape, pr)
	e.since = s.Hour + 1
	e.push(s.Hour, w.n)
}

func (p *pool) turn(day int64) {
	if p.day != 0 && day > p.day {
		f := baseline.Exp(-float64(day-p.day) / poolDays)
		p.all.Decay(f)
		p.rate.Decay(f)
	}
	p.day = max(p.day, day)
}

func at(hour int64) int { return int((hour%ring + ring) % ring) }

// push puts an hour's count into the ring.
func (e *entity) push(hour int64, n float64) {
	if hour-e.ringEnd >= ring {
		e.ring = [ring]float64{}
		e.ringEnd = hour
	}
	for e.ringEnd < hour {
		e.ringEnd++
		e.ring[at(e.ringEnd)] = 0
	}
	if e.ringEnd-hour < ring {
		e.ring[at(hour)] = n
	}
}

// Explain describes a window.
func (Detector) Explain(s *detect.Scope) detect.Explanation {
	e := s.State.(*entity)
	slot := max(0, s.Slot)
	n := e.win[slot].n
	pl := nearest(s)
	pr := prior(pl)
	pd := e.rate.Predict(pr, e.shape(s, s.Hour))
	x := detect.Explanation{
		Observed: n, Expected: round(pd.Mean), Unit: "events in 1 h", P: e.win[slot].p,
		Lower: pd.Quantile(0.025), Upper: pd.Quantile(0.975),
	}
	if x.P == 0 {
		x.P = 1
	}
	who := detect.Called(s.Entity)
	known := "is usual for its peers, as it is hardly known yet"
	if e.rate.Exposure >= trust {
		known = "is usual for it at this hour of the week"
	}
	x.Title = fmt.Sprintf("%s made %s in an hour", who, detect.Plural(n, "event"))
	x.Reason = fmt.Sprintf("%s made %s in %s, while %s %s and up to %s would be ordinary.",
		who, detect.Plural(n, "event"), detect.Window(s.Hour), detect.Num(x.Expected), known, detect.Num(x.Upper))
	lo, hi := 1.0, n // the smallest count that is as rare as one in a hundred
	for hi-lo > 1 {
		mid := math.Floor((lo + hi) / 2)
		if e.tail(s, mid) <= 0.01 {
			hi = mid
		} else {
			lo = mid
		}
	}
	x.Counterfactual = fmt.Sprintf("Fewer than %s events in that hour would not have been a finding of rate.", detect.Num(hi))
	x.Plot = e.plot(s, n, pr)
	var w state.Writer
	e.rate.Encode(&w)
	w.F64s(pd.Mean, pd.Size, pr.Mean, pr.Shape, pr.Phi, pl.all.N, n)
	x.Basis = w.Buf
	return x
}

func (e *entity) plot(s *detect.Scope, n float64, pr baseline.CountPrior) *alert.Plot {
	p := &alert.Plot{Detector: "rate", Title: "Events per hour", Unit: "events", StepSec: 3600}
	for h := s.Hour - ring + 1; h <= s.Hour; h++ {
		pd := e.rate.Predict(pr, e.shape(s, h))
		v := 0.0
		switch {
		case h == s.Hour:
			v = n
		case h <= e.ringEnd && h > e.ringEnd-ring:
			v = e.ring[at(h)]
		case h == s.Hour-1 && s.Slot == 0:
			v = e.win[1].n
		}
		if h == s.Hour-1 && s.Slot == 0 && h > e.ringEnd {
			v = e.win[1].n
		}
		p.Points = append(p.Points, alert.PlotPoint{
			Time: detect.Start(h), Observed: v, Expected: round(pd.Mean),
			Lower: pd.Quantile(0.025), Upper: pd.Quantile(0.975),
		})
	}
	return p
}

// round keeps three decimals: what people read, and short in JSON.
func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// PerHour is the expected count of an hour of the week, for the API.
func (Detector) PerHour(s *detect.Scope) float64 {
	e := s.State.(*entity)
	return round(e.rate.Predict(prior(nearest(s)), e.shape(s, s.Hour)).Mean)
}

func (e *entity) Encode(w *state.Writer) {
	e.rate.Encode(w)
	e.day.Encode(w)
	w.I64(e.since)
	for _, v := range e.win {
		w.F64s(v.n, v.p, v.next)
	}
	w.I64(e.ringEnd)
	w.F64s(e.ring[:]...)
}

func (e *entity) Decode(r *state.Reader) {
	e.rate.Decode(r)
	e.day.Decode(r)
	e.since = r.I64()
	for i := range e.win {
		r.F64s(&e.win[i].n, &e.win[i].p, &e.win[i].next)
	}
	e.ringEnd = r.I64()
	for i := range e.ring {
		e.ring[i] = r.F64()
	}
}

func (p *pool) Encode(w *state.Writer) { p.rate.Encode(w); p.all.Encode(w); w.I64(p.day) }
func (p *pool) Decode(r *state.Reader) { p.rate.Decode(r); p.all.Decode(r); p.day = r.I64() }
