// Package edges notices bursts between actors and resources that last minutes
// and drown in an hour's count: scans, floods, hammering; and crowds of
// accounts nobody knows that meet at one resource.
//
// Model: for an actor, and for its edge to a resource, the count of the
// present minute over what its active minutes held before (kept for edges in a
// sketch of two rows, as in MIDAS, Bhatia et al. 2020), and the number of unknown actors that
// touched the same resource in this hour. The largest of an actor's
// hour is ranked among those of all actor-hours of the tenant (conformal),
// with a power-law end. An actor new to the tenant is besides as improbable as new ones are rare
// among the actor-days of the tenant. The three looks are paid for.
// Techniques: T1046 for one actor, T1498 for a crowd. Memory: 0.2 KiB an actor, 48
// KiB a tenant.
package edges

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

const (
	columns    = 2048 // of a row of the sketch; a power of two
	memoryDays = 14
	habit      = 0.2 // weight of the newest active minute in the mean
	looks      = 3
	weak       = 0.05 // a larger p is no evidence
	growth     = 1.0 / 16
)

// Detector is the edges detector; the zero value is ready.
type Detector struct{}

// Name is "edges".
func (Detector) Name() string { return "edges" }

// Version changes when a score could.
func (Detector) Version() string { return "1.0.0" }

// Roles are actors.
func (Detector) Roles() []detect.Role { return []detect.Role{detect.Actor} }

// cell counts the present minute and remembers the mean of the active ones.
type cell struct {
	now, mean float32
	at        int32 // minute of now, Unix minutes
}

// add counts n in a minute and returns the count and the mean before.
func (c *cell) add(minute int32, n float32) (now, mean float32) {
	if minute > c.at {
		if c.at != 0 {
			if c.mean == 0 {
				c.mean = c.now
			} else {
				c.mean += habit * (c.now - c.mean)
			}
		}
		c.now, c.at = 0, minute
	}
	c.now += n
	return c.now, c.mean
}

type window struct {
	burst, next float64 // largest ratio, and the one at which to look again
	count, mean float64 // behind it
	edge        uint64  // resource of it; 0: all resources
	crowd       float64 // unknown actors at one resource
	at          uint64  // that resource
	p           float64
	newP        float64
}

type entity struct {
	cell cell
	win  [2]window
	day  int64
	old  bool // the actor was there on an earlier day
}

type pool struct {
	rows         [2][]cell
	bursts       baseline.Population
	crowds       baseline.Population
	births, seen float64 // actors' first days, and actor-days
	day, first   int64
	hour         int64 // of meet
	meet         map[uint64]float64
}

// NewState is an actor's memory.
func (Detector) NewState(detect.Role) detect.State { return &entity{} }

// NewPool is a group's memory.
func (Detector) NewPool(detect.Role) detect.State { return &pool{} }

// edge counts an edge in the sketch: the row that has seen less of it says how
// much it is.
func (p *pool) edge(h uint64, minute int32, n float32) (now, mean float32) {
	if p.rows[0] == nil {
		p.rows[0], p.rows[1] = make([]cell, columns), make([]cell, columns)
	}
	now, mean = p.rows[0][h&(columns-1)].add(minute, n)
	hi, _ := bits.Mul64(h, 0xD6E8FEB86659FD93)
	if a, b := p.rows[1][hi&(columns-1)].add(minute, n); a < now {
		now, mean = a, b
	}
	return now, mean
}

var (
	burstPrior = baseline.PopulationPrior{Scale: 30, Alpha: 1.5, Weight: 20}
	crowdPrior = baseline.PopulationPrior{Scale: 10, Alpha: 1.5, Weight: 20}
)

// Observe counts the event's minute.
func (Detector) Observe(s *detect.Scope) detect.Verdict {
	e := s.State.(*entity)
	if s.FailedAuth || s.Slot < 0 || s.Explained {
		return detect.Verdict{P: 1}
	}
	c := s.Common.(*pool)
	w := &e.win[s.Slot]
	minute, n := int32(s.Event.Time/60e9), float32(s.Event.Count)
	look := false
	day := s.Hour / 24
	c.turn(day)
	if day > e.day {
		if c.first == 0 {
			c.first = day
		}
		if day > c.first { // on the first day everybody is new
			c.seen++
		}
		if e.day == 0 {
			w.newP = min(1, (1+c.births)/(10+c.seen))
			look = true
		} else {
			e.old = true
		}
		e.day = day
	}
	if s.Slot == 0 {
		now, mean := e.cell.add(minute, n)
		look = w.grow(float64(now), float64(mean), 0) || look
		if res := s.Event.Resource; res != "" {
			h := s.ResourceHash()
			now, mean := c.edge(h^s.ActorHash()*0x9E3779B97F4A7C15, minute, n)
			if w.grow(float64(now), float64(mean), h) {
				s.Names.Remember(h, res)
				look = true
			}
			if !e.old && w.at != h {
				if s.Hour > c.hour {
					c.hour = s.Hour
					c.meet = nil
				}
				if c.meet == nil {
					c.meet = make(map[uint64]float64)
				}
				if _, ok := c.meet[h]; ok || len(c.meet) < columns {
					c.meet[h]++
				}
				if w.newP > 0 && c.meet[h] == 1 && day > c.first {
					c.births++ // a crowd is one appearance, not many
				}
				if c.meet[h] > w.crowd {
					w.crowd, w.at = c.meet[h], h
					s.Names.Remember(h, res)
					look = true
				}
			}
		}
	}
	if look {
		p := c.bursts.Tail(w.burst, burstPrior)
		if w.crowd > 1 {
			p = min(p, c.crowds.Tail(w.crowd, crowdPrior))
		}
		if w.newP > 0 {
			// Unknown, and in a burst or a crowd: one story with two parts.
			p = min(w.newP, p*max(0.2, w.newP))
		}
		p = baseline.ClampP(min(1, looks*p))
		if w.p == 0 || p < w.p {
			w.p = p
		}
	}
	if w.p == 0 || w.p > weak { // to say "no" aloud would only drown the others
		return detect.Verdict{P: 1}
	}
	return detect.Verdict{P: w.p, Evidence: true}
}

// grow takes a minute's count over its habit; true: look again.
func (w *window) grow(now, mean float64, edge uint64) bool {
	r := now / (1 + mean)
	if r <= w.burst {
		return false
	}
	w.burst, w.count, w.mean, w.edge = r, now, mean, edge
	if r < w.next {
		return false
	}
	w.next = r*(1+growth) + 0.5
	return r >= 2
}

func (p *pool) turn(day int64) {
	if p.day != 0 && day > p.day {
		f := baseline.Exp(-float64(day-p.day) / memoryDays)
		p.bursts.Decay(f)
		p.crowds.Decay(f)
		p.births *= f
		p.seen *= f
	}
	p.day = max(p.day, day)
}

// Shift makes the newest window the one before.
func (Detector) Shift(st detect.State) {
	e := st.(*entity)
	e.win[1], e.win[0] = e.win[0], window{}
}

// Close learns the hour that is over.
func (Detector) Close(s *detect.Scope) {
	e := s.State.(*entity)
	w := e.win[1]
	e.win[1] = window{}
	c := s.Common.(*pool)
	weight := 1.0
	if s.Flagged {
		weight = 0.1
		if w.newP > 0 { // who came in an attack is no new colleague
			c.births = max(0, c.births-0.9)
		}
	}
	if w.burst > 0 {
		c.bursts.Learn(w.burst, weight)
	}
	c.crowds.Learn(max(1, w.crowd), weight)
}

// Explain says what burst.
func (Detector) Explain(s *detect.Scope) detect.Explanation {
	e, c := s.State.(*entity), s.Common.(*pool)
	w := &e.win[max(0, s.Slot)]
	who := detect.Called(s.Entity)
	x := detect.Explanation{P: w.p, Observed: w.count, Expected: math.Round(w.mean*1000) / 1000, Unit: "events in 1 min", Technique: []string{"T1046"}}
	if x.P == 0 {
		x.P = 1
	}
	burst, crowd := c.bursts.Tail(w.burst, burstPrior), 1.0
	if w.crowd > 1 {
		crowd = c.crowds.Tail(w.crowd, crowdPrior)
	}
	x.Upper = max(x.Expected, math.Round(w.mean+2*math.Sqrt(w.mean+1)))
	on := ""
	if w.edge != 0 {
		on = " on " + s.Names.Name(w.edge)
		x.Related = append(x.Related, alert.Entity{Type: alert.Resource, ID: s.Names.Name(w.edge)})
	}
	switch {
	case crowd < burst:
		name := s.Names.Name(w.at)
		x.Title = fmt.Sprintf("A crowd of unknown accounts at %s, %s among them", name, s.Entity.ID)
		x.Reason = fmt.Sprintf("%s is one of %s not seen before that touched %s in %s.", who, detect.Plural(w.crowd, "account"), name, detect.Window(s.Hour))
		x.Observed, x.Expected, x.Upper, x.Unit = w.crowd, 1, 2, "unknown accounts at a resource in 1 h"
		x.Technique = []string{"T1498"}
		x.Related = []alert.Entity{{Type: alert.Resource, ID: name}}
		x.Counterfactual = "Had it come alone, or been known, it would not have been a finding."
	case burst < 0.05:
		x.Title = fmt.Sprintf("%s made %s in a minute%s", who, detect.Plural(w.count, "event"), on)
		x.Reason = fmt.Sprintf("%s made %s in one minute%s in %s, where its active minutes hold %s; of the actor-hours of the tenant 1 in %s has such a burst.",
			who, detect.Plural(w.count, "event"), on, detect.Window(s.Hour), detect.Num(x.Expected), detect.Num(math.Round(1/burst)))
		x.Counterfactual = fmt.Sprintf("Fewer than %s events in that minute would not have been a finding.", detect.Num(c.least(w.mean)))
	default:
		x.Title = who + " was never seen here before"
		x.Reason = fmt.Sprintf("%s appeared in %s for the first time; of the active accounts of a day about 1 in %s is new here.", who, detect.Window(s.Hour), detect.Num(max(1, math.Round(1/max(1e-9, w.newP)))))
		x.Counterfactual = "Had it been active on any day before, it would not have been a finding."
		x.Technique = nil
	}
	var b state.Writer
	b.F64s(w.burst, w.count, w.mean, w.crowd, w.newP, burst, crowd, c.bursts.N)
	x.Basis = b.Buf
	return x
}

// least is the count of a minute that would have been a finding.
func (p *pool) least(mean float64) float64 {
	lo, hi := 1.0, 1e7
	for hi-lo > 1 {
		mid := math.Floor((lo + hi) / 2)
		if looks*p.bursts.Tail(mid/(1+mean), burstPrior) <= 0.01 {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}
