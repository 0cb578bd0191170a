// Package silence notices that a log source of a tenant has stopped: somebody
// switched logging off, or something broke.
//
// Model: the events of a source in an hour are negative binomial around its
// own rate times its own shape of the day (working days and weekends apart,
// shrunk to the tenant's week). A gap is as improbable as none of the events
// expected in it, where hours close to one another share their fate; and never
// less probable than the source's own past gaps, weighed by how
// busy the hours were, with a power-law end: a holiday is a long gap that
// returns. The clock is that of the tenant's other sources, so that a tenant which is silent as a
// whole is noticed when anything speaks again. A silence is told once.
// Entity: the tenant; the source is named as related. Technique: T1562.008,
// Disable or Modify Cloud Logs. Memory: 0.6 KiB a source, 64 sources a tenant.
package silence

import (
	"fmt"
	"math"
	"slices"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

const (
	memory     = 14 * 24 // hours after which an hour weighs 1/e
	maxSources = 64
	dayHeft    = 2          // days that the tenant's week is worth
	known      = 48         // hours of a source before its silence says anything
	fate       = 6          // hours that share their fate: a morning, an evening
	every      = 600 * 1e9  // nanoseconds between two looks
	minGap     = 3600 * 1e9 // shorter gaps are not looked at
	again      = 10
	lived      = 1.5    // working or weekend days before the hours of such a day count
	maxGap     = 7 * 24 // hours: a source silent for longer is gone
)

// Detector is the silence detector; the zero value is ready.
type Detector struct{}

// Name is "silence".
func (Detector) Name() string { return "silence" }

// Version changes when a score could.
func (Detector) Version() string { return "1.0.0" }

// Roles are tenants.
func (Detector) Roles() []detect.Role { return []detect.Role{detect.Tenant} }

type source struct {
	name string
	rate baseline.CountRate
	day  baseline.Day
	gaps baseline.Population // expected share of a day that a gap took, in thousandths
	hour int64               // being counted
	n    float64
	last int64 // Unix nanoseconds
	told bool  // the present silence has been told
	p    float64
	seen float64 // p when last judged
}

type entity struct {
	sources []*source // by name
	next    int64     // Unix nanoseconds: not looked at before
	last    *source   // the last one found: derived, not part of the state
	win     [2]float64
}

type pool struct{}

// NewState is a tenant's memory.
func (Detector) NewState(detect.Role) detect.State { return &entity{} }

// NewPool is nothing: sources are too unlike one another.
func (Detector) NewPool(detect.Role) detect.State { return pool{} }

var prior = baseline.CountPrior{Mean: 1, Shape: 0.5, Phi: 1, Heft: 5}

func (x *source) shape(s *detect.Scope, hour int64) float64 {
	how := s.HourOfWeek(hour)
	return x.day.Shape(how, dayHeft, s.Season.Shape(how))
}

// exposure is the share of average hours between two times, at most a week of it.
func (x *source) exposure(s *detect.Scope, from, to int64) float64 {
	const hour = 3600e9
	sum := 0.0
	for h := max(from/hour, to/hour-maxGap); h <= to/hour; h++ {
		if x.day.Lived[baseline.DaySlot(s.HourOfWeek(h))/24] < lived {
			continue // its first weekend may be its habit
		}
		part := float64(min(to, (h+1)*hour)-max(from, h*hour)) / hour
		sum += float64(x.shape(s, h) * part)
	}
	return sum
}

// tail is the p-value of a silence from x.last until now.
func (x *source) tail(s *detect.Scope, now int64) (p, mean float64) {
	exposure := x.exposure(s, x.last, now)
	d := x.rate.Predict(prior, exposure)
	hours := float64(now-x.last) / 3600e9
	d.Size *= math.Max(1, hours/fate)
	p = baseline.Exp(-float64(d.Size * baseline.Log(1+d.Mean/d.Size)))
	// Until the source has shown its own, gaps of an hour's worth are believed
	// common, and longer ones rarer with the cube of their length.
	own := x.gaps.Tail(float64(exposure*1000/24), baseline.PopulationPrior{Scale: 40, Alpha: 3, Weight: 5})
	return baseline.ClampP(math.Max(p, own)), d.Mean
}

func (e *entity) find(name string) *source {
	if e.last != nil && e.last.name == name {
		return e.last
	}
	i, ok := slices.BinarySearchFunc(e.sources, name, func(x *source, n string) int {
		switch {
		case x.name < n:
			return -1
		case x.name > n:
			return 1
		}
		return 0
	})
	if ok {
		e.last = e.sources[i]
		return e.last
	}
	if len(e.sources) >= maxSources {
		return nil
	}
	x := &source{name: name}
	e.sources = slices.Insert(e.sources, i, x)
	return x
}

// heard counts an event of the source.
func (x *source) heard(s *detect.Scope) {
	t := s.Event.Time
	if x.hour == 0 {
		x.hour, x.last = s.Hour, t
	}
	if s.Hour > x.hour {
		gap := float64(s.Hour - x.hour)
		x.rate.Decay(baseline.Exp(-gap / memory))
		x.day.Decay(baseline.Exp(-gap / (2 * memory)))
		if s.Hour-x.hour > 1 {
			x.gaps.Decay(baseline.Exp(-gap / (4 * memory)))
			if !x.told {
				x.gaps.Learn(float64(x.exposure(s, x.last, t)*1000/24), 1)
			}
		} else {
			x.gaps.Learn(0, 1)
		}
		x.learn(s, x.hour, x.n)
		if !x.told { // a silence that was told is not the source's habit
			for h := max(x.hour+1, s.Hour-maxGap); h < s.Hour; h++ {
				x.learn(s, h, 0)
			}
		}
		x.hour, x.n, x.told = s.Hour, 0, false
	}
	x.n += float64(s.Event.Count)
	x.last = max(x.last, t)
	x.p, x.seen = 0, 1
}

func (x *source) learn(s *detect.Scope, hour int64, n float64) {
	how := s.HourOfWeek(hour)
	shape := x.shape(s, hour)
	x.day.Pass(how)
	// A burst says nothing about silences, and must not make the source look
	// so restless that none could be told: at most about double is learnt.
	n = math.Min(n, float64(2*x.rate.Rate(prior)*shape)+3)
	if n > 0 {
		x.day.Learn(how, math.Min(n/x.rate.Rate(prior), 48))
	}
	x.rate.Learn(n, shape, prior)
}

// Observe hears the event's source, and looks at the others now and then.
func (Detector) Observe(s *detect.Scope) detect.Verdict {
	e := s.State.(*entity)
	if s.Slot == 0 && s.Event.Source != event.TrailSource { // people of the platform come and go as they like
		if x := e.find(s.Event.Source); x != nil {
			x.heard(s)
		}
	}
	if s.Slot != 0 {
		return detect.Verdict{P: 1}
	}
	if now := s.Event.Time; now >= e.next {
		e.next = now + every
		for _, x := range e.sources {
			if x.told || now-x.last < minGap || x.rate.Exposure < known || now-x.last > maxGap*3600e9 {
				continue
			}
			x.p, _ = x.tail(s, now)
			// One silence is one observation, not one an hour: it is judged
			// when it has become ten times less probable.
			if x.p > float64(x.seen/again) {
				continue
			}
			x.seen = x.p
			// The sources are many tests of one tenant.
			p := math.Min(1, float64(x.p*float64(len(e.sources))))
			if e.win[0] == 0 || p < e.win[0] {
				e.win[0] = p
			}
		}
	}
	if e.win[0] == 0 {
		return detect.Verdict{P: 1}
	}
	return detect.Verdict{P: e.win[0]}
}

// Shift makes the newest window the one before.
func (Detector) Shift(st detect.State) {
	e := st.(*entity)
	e.win[1], e.win[0] = e.win[0], 0
}

// Close marks what was told, so that it is told once.
func (Detector) Close(s *detect.Scope) {
	e := s.State.(*entity)
	if s.Flagged && e.win[1] > 0 && e.win[1] < 0.01 {
		for _, x := range e.sources {
			if x.p > 0 && x.p < 0.01 {
				x.told = true
			}
		}
	}
	e.win[1] = 0
}

// Explain names the source that is silent most improbably.
func (Detector) Explain(s *detect.Scope) detect.Explanation {
	e := s.State.(*entity)
	x := detect.Explanation{P: e.win[max(0, s.Slot)], Unit: "events of a source", Title: "A log source has stopped", Technique: []string{"T1562.008"}}
	var top *source
	for _, v := range e.sources {
		if v.p > 0 && (top == nil || v.p < top.p) {
			top = v
		}
	}
	if x.P == 0 {
		x.P = 1
	}
	if top == nil {
		x.Reason = fmt.Sprintf("A log source of %s was silent, and speaks again.", s.Entity.ID)
		x.Counterfactual = "One event of the source would have broken the silence."
		return x
	}
	now := max(top.last, e.next-every)
	_, mean := top.tail(s, now)
	x.Expected = math.Round(mean)
	name := top.name
	if name == "" {
		name = "(no name)"
	}
	hours := detect.Plural(math.Round(float64(now-top.last)/3600e9), "hour")
	x.Unit = "events of " + name
	x.Title = fmt.Sprintf("Log source %s has been silent for %s", name, hours)
	x.Reason = fmt.Sprintf("Source %s sent nothing for %s after %s (UTC), while about %s events were expected of it and other sources went on.",
		name, hours, detect.Time(top.last), detect.Num(x.Expected))
	x.Counterfactual = "One event of the source would have broken the silence."
	x.Related = []alert.Entity{{Type: alert.Source, ID: top.name}}
	var w state.Writer
	top.rate.Encode(&w)
	w.F64s(mean, top.p)
	w.I64(top.last)
	x.Basis = w.Buf
	return x
}

func (e *entity) Encode(w *state.Writer) {
	w.U64(uint64(len(e.sources)))
	for _, x := range e.sources {
		w.Str(x.name)
		x.rate.Encode(w)
		x.day.Encode(w)
		x.gaps.Encode(w)
		w.I64(x.hour)
		w.F64(x.n)
		w.I64(x.last)
		w.Bool(x.told)
		w.F64s(x.p, x.seen)
	}
	w.I64(e.next)
	w.F64s(e.win[:]...)
}

func (e *entity) Decode(r *state.Reader) {
	e.sources, e.last = nil, nil
	n := r.Len(8)
	if n > maxSources {
		r.Fail()
		return
	}
	for range n {
		x := &source{name: r.Str()}
		x.rate.Decode(r)
		x.day.Decode(r)
		x.gaps.Decode(r)
		x.hour = r.I64()
		x.n = r.F64()
		x.last = r.I64()
		x.told = r.Bool()
		r.F64s(&x.p, &x.seen)
		e.sources = append(e.sources, x)
	}
	e.next = r.I64()
	r.F64s(&e.win[0], &e.win[1])
}

func (pool) Encode(*state.Writer) {}
func (pool) Decode(*state.Reader) {}
