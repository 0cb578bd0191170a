// Package privilege notices acts that change who may do what, or who would
// see it, by an actor who does not do such things: rare grants, new
// credentials and accounts, a second factor removed, logging switched off,
// something opened to the outside, running code changed, secrets read, data
// destroyed; and accounts that act again after a long rest, or although
// somebody ended them.
//
// Model: an act's kind is told by the words of its action, whatever the
// product. The p-value of a kind new to an actor is how often, per active
// hour, actors of its cohort (else of its tenant, else of all) did a kind for the first
// time: birth rates, shrunk from the global one down. Several new kinds in one
// hour count as dependent: each further one is at most five times rarer. The
// rest of an account is judged among the rests of its tenant, with a power-law
// end, and by whether those who come back do so from another network.
// Techniques: T1098.001, T1098.003, T1136, T1556.006, T1562.008, T1537, T1578,
// T1552, T1485, T1078. Memory: about 0.2 KiB an actor.
package privilege

import (
	"fmt"
	"math"
	"strings"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

const (
	memoryDays = 90
	// How many active hours the belief from one level up is worth.
	tenantHeft, cohortHeft = 150, 60
	// further is the least chance believed of another new kind in an hour that
	// has one: acts of administration come together.
	further = 0.2
	rested  = 5    // days of rest before a return is looked at
	settled = 3    // active days that make an account one that rests
	formerP = 1e-4 // an ended account acts: mostly a mistaken name
	maxSeen = 4096 // actions and ended accounts remembered by a tenant
	minutes = 5    // after its end an account may finish what it began
)

// Detector is the privilege detector; the zero value is ready.
type Detector struct{}

// Name is "privilege".
func (Detector) Name() string { return "privilege" }

// Version changes when a score could.
func (Detector) Version() string { return "1.0.0" }

// Roles are actors.
func (Detector) Roles() []detect.Role { return []detect.Role{detect.Actor} }

type window struct {
	done   uint16 // kinds, a bit each
	fresh  uint16 // those that were new to the actor
	p      float64
	rest   float64 // days of rest that ended here, 0: none
	restP  float64
	former bool
	res    [kinds]uint64 // the resource of the first act of a kind
	act    [kinds]uint64 // its action
}

type entity struct {
	last  [kinds]int32 // day a kind was last done, 0: never
	day   int32        // last active day
	days  float64      // active days
	where uint64       // last network
	win   [2]window
}

type pool struct {
	hours         float64        // active hours
	births        [kinds]float64 // first times
	rests         baseline.Population
	returns, away float64
	day           int32
	ended         map[uint64]int64 // accounts ended by somebody, Unix nanoseconds
	kind          map[string]int   // of actions: derived, not part of the state
}

// NewState is an actor's memory.
func (Detector) NewState(detect.Role) detect.State { return &entity{} }

// NewPool is a group's memory.
func (Detector) NewPool(detect.Role) detect.State {
	return &pool{ended: map[uint64]int64{}, kind: map[string]int{}}
}

const ends = 100 // in pool.kind: the action ends an account

func (p *pool) classify(action string) int {
	k, ok := p.kind[action]
	if !ok {
		if k = classify(action); k < 0 && offboards(action) {
			k = ends
		}
		if len(p.kind) < maxSeen {
			p.kind[action] = k
		}
	}
	return k
}

// rate is how often, per active hour, an actor who never did the kind does it.
func rate(s *detect.Scope, kind int) float64 {
	r, heft := kindInfo[kind].rate, float64(tenantHeft)
	for i := len(s.Pools) - 1; i >= 0; i-- {
		p := s.Pools[i].(*pool)
		r = (float64(r*heft) + p.births[kind]) / (heft + p.hours)
		heft = cohortHeft
	}
	return r
}

// Observe looks at the event's kind, and at the rest before it.
func (Detector) Observe(s *detect.Scope) detect.Verdict {
	if s.FailedAuth {
		return detect.Verdict{P: 1}
	}
	e, common := s.State.(*entity), s.Common.(*pool)
	ev := s.Event
	if s.Slot < 0 {
		return detect.Verdict{P: 1}
	}
	w := &e.win[s.Slot]
	day := int32(s.Hour / 24)
	counted := false
	if day > e.day {
		e.back(s, w, day)
	}
	k := common.classify(ev.Action)
	if s.Auth && k < 0 && ev.Label("mfa") == "false" {
		k = weak
	}
	switch {
	case k == ends:
		common.end(ev.Resource, ev.Time)
	case k >= 0 && w.done&(1<<k) == 0:
		w.done |= 1 << k
		w.res[k], w.act[k] = s.ResourceHash(), s.ActionHash()
		s.Names.Remember(w.res[k], ev.Resource)
		s.Names.Remember(w.act[k], ev.Action)
		if e.last[k] == 0 || day-e.last[k] > memoryDays {
			w.fresh |= 1 << k
			w.judge(s)
		}
	}
	counted = k >= 0 && k < kinds && w.fresh&(1<<k) != 0
	if !w.former && len(common.ended) > 0 {
		if t, ok := common.ended[s.ActorHash()]; ok && ev.Time > t+minutes*60e9 && ev.Action != "" {
			w.former, counted = true, true
			w.judge(s)
		}
	}
	if w.p == 0 {
		return detect.Verdict{P: 1}
	}
	return detect.Verdict{P: w.p, Evidence: counted || w.former || w.restP > 0 && w.restP <= 0.01}
}

// end notes that an account was ended; it is named by the resource, in full or
// after the last slash or colon.
func (p *pool) end(resource string, t int64) {
	names := []string{resource}
	if i := strings.LastIndexAny(resource, "/:"); i >= 0 {
		names = append(names, resource[i+1:])
	}
	for _, n := range names {
		if n != "" && len(p.ended) < maxSeen {
			p.ended[baseline.Hash(n)] = t
		}
	}
}

// back judges a return, once, on the first event of a day.
func (e *entity) back(s *detect.Scope, w *window, day int32) {
	net := baseline.Hash(fmt.Sprint(s.Event.ASN, s.Event.Country))
	if s.Event.ASN == 0 && s.Event.Country == "" {
		net = 0
	}
	if e.day != 0 && e.days >= settled {
		top := s.Pools[len(s.Pools)-1].(*pool)
		gap := float64(day - e.day)
		if gap >= rested {
			w.rest = gap
			w.restP = top.rests.Tail(gap, baseline.PopulationPrior{Scale: 4, Alpha: 2, Weight: 30})
			moved := net != 0 && e.where != 0 && net != e.where
			if moved {
				w.restP *= (1 + top.away) / (4 + top.returns)
				top.away++
			}
			top.returns++
			w.judge(s)
		}
		top.rests.Learn(gap, 1)
	}
	e.days = math.Min(e.days+1, 1000)
	e.day = day
	if net != 0 {
		e.where = net
	}
}

// judge computes the window's p.
func (w *window) judge(s *detect.Scope) {
	p, rarest := 1.0, -1
	for k := range kinds {
		if w.fresh&(1<<k) != 0 {
			if r := rate(s, k); rarest < 0 || r < p {
				p, rarest = r, k
			}
		}
	}
	for k := range kinds {
		if w.fresh&(1<<k) != 0 && k != rarest {
			p *= math.Max(further, rate(s, k))
		}
	}
	looks := 1.0
	if rarest >= 0 && w.restP > 0 {
		// Both: somebody comes back and does what he never did.
		p, looks = math.Min(p*math.Max(further, w.restP), w.restP), 2
	} else if w.restP > 0 {
		p = w.restP
	}
	if w.former {
		p = math.Min(p, formerP)
	}
	p = baseline.ClampP(math.Min(1, float64(looks*p)))
	if w.p == 0 || p < w.p {
		w.p = p
	}
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
	day := int32(s.Hour / 24)
	weight := 1.0
	if s.Flagged {
		weight = 0.25 // an attack must not make its kind usual
	}
	for _, p := range s.Pools {
		p := p.(*pool)
		if day > p.day {
			if p.day != 0 {
				f := baseline.Exp(-float64(day-p.day) / memoryDays)
				p.hours *= f
				p.returns *= f
				p.away *= f
				p.rests.Decay(f)
				for k := range p.births {
					p.births[k] *= f
				}
			}
			p.day = day
		}
		p.hours++
		for k := range kinds {
			if w.fresh&(1<<k) != 0 {
				p.births[k] += weight
			}
		}
	}
	for k := range kinds {
		if w.done&(1<<k) != 0 && !(s.Flagged && w.fresh&(1<<k) != 0) {
			e.last[k] = day
		}
	}
}

// Explain says what was done, and how often such things happen.
func (Detector) Explain(s *detect.Scope) detect.Explanation {
	e := s.State.(*entity)
	w := &e.win[max(0, s.Slot)]
	x := detect.Explanation{P: w.p, Unit: "kinds of privileged acts new to it in 1 h", Title: "A privileged act"}
	if w.p == 0 {
		x.P = 1
		return x
	}
	var did []string
	rarest, least := -1, 2.0
	var b state.Writer
	for k := range kinds {
		if w.fresh&(1<<k) == 0 {
			continue
		}
		r := rate(s, k)
		b.U64(uint64(k))
		b.F64(r)
		x.Observed++
		x.Expected += r
		if r < least {
			rarest, least = k, r
		}
		did = append(did, fmt.Sprintf("%s (%s)", kindInfo[k].name, s.Names.Name(w.act[k])))
		x.Technique = append(x.Technique, kindInfo[k].technique)
		if n := s.Names.Name(w.res[k]); n != "" && n != "?" {
			x.Related = append(x.Related, alert.Entity{Type: alert.Resource, ID: n})
		}
	}
	x.Expected, x.Upper = math.Round(x.Expected*1e4)/1e4, 1
	b.F64s(w.rest, w.restP, w.p)
	x.Basis = b.Buf
	who := detect.Called(s.Entity)
	if rarest >= 0 {
		x.Title = who + " " + kindInfo[rarest].name
		x.Reason = fmt.Sprintf("%s %s in %s, for the first time; an account like it begins to do so in 1 of %s active hours.",
			who, detect.List(did, 0), detect.Window(s.Hour), detect.Num(math.Round(1/least)))
		x.Counterfactual = fmt.Sprintf("It would not have been a finding had %s done so within the last %d days, or had more than 1 in 100 active hours of its peers a first time like it.", s.Entity.ID, memoryDays)
	}
	if w.restP > 0 && w.restP < 0.05 {
		back := fmt.Sprintf("%s acts again after %s of rest", who, detect.Plural(w.rest, "day"))
		if rarest < 0 {
			x.Title = back
			x.Counterfactual = "Had it rested for less than a week, it would not have been a finding."
			x.Observed, x.Expected, x.Unit = w.rest, 1, "days without activity"
		}
		x.Reason = strings.TrimSpace(x.Reason + " " + back + fmt.Sprintf("; returns this late and from there make up 1 in %s of those of the tenant.", detect.Num(math.Round(1/w.restP))))
		x.Technique = append(x.Technique, "T1078")
	}
	if w.former {
		x.Title = who + " acts although the account was ended"
		x.Reason = strings.TrimSpace(x.Reason + " " + x.Title + " before.")
		x.Counterfactual = "Had nobody deleted or disabled the account, it would not have been a finding."
		x.Technique = append(x.Technique, "T1078")
	}
	if x.Reason == "" {
		x.Reason = who + " did nothing new in this hour."
	}
	return x
}
