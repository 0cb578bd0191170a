// Package peers notices an account that behaves like somebody else: its day is
// explained better by what the others of its tenant do than by its own
// past.
//
// Model: a day is the values that an actor uses in it, each once: where from
// (network, address range), with what (client), when (hour), what (action) and on what
// (resource), hashed into a few dozen places a dimension. Under the actor's
// own model a value is drawn from a Dirichlet–multinomial of its past days
// around its cohort's; under the rival's from what the others do. The
// ratio of the two chances, multiplied over a day, is a test martingale: by
// Ville's inequality (1939) it exceeds 1/p with a chance of at most p, however
// often it is looked at. What was drawn is not drawn again that day: both models are
// renormalised over what is left. A dimension is tempered to half its weight,
// since the values of a session come together. Technique: T1078. Memory: 0.8
// KiB an actor.
package peers

import (
	"fmt"
	"math"
	"strings"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/novelty"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

// The dimensions and their places; never renumber, they are in checkpoints.
const (
	network = iota
	place
	client
	when
	action
	resource
	dims
)

var (
	size = [dims]int{32, 32, 32, 8, 32, 64} // powers of two
	from = [dims]int{0, 32, 64, 96, 104, 136}
	name = [dims]string{"network", "address range", "client", "hours", "actions", "resources"}
)

const (
	buckets    = 200
	memoryDays = 30
	alpha      = 2.0 // draws that the belief in the cohort's habits is worth
	again      = 10
	temper     = 0.5
	weak       = 0.05 // a larger p is no evidence
	most       = 4.0  // ln: what one value may add, so that no single one decides
	settled    = 3    // own days before an account can behave like somebody else
)

// Detector is the peers detector; the zero value is ready.
type Detector struct{}

// Name is "peers".
func (Detector) Name() string { return "peers" }

// Version changes when a score could.
func (Detector) Version() string { return "1.0.0" }

// Roles are actors.
func (Detector) Roles() []detect.Role { return []detect.Role{detect.Actor} }

type entity struct {
	seen    [buckets]float32 // decayed days on which the actor drew from a place
	sum     [dims]float32
	today   [4]uint64 // places drawn today, a bit each
	used    [dims]float64
	usedAll [dims]float64
	ln      [dims]float64 // evidence of today by dimension
	top     float64       // largest sum today
	day     int64
	days    float64
	told    float64 // p that counted last
	win     [2]float64
	flagged bool
	// The last values and their places: derived, not part of the state.
	lastIP, lastUA, lastDevice string
	lastPlace, lastClient      uint64
}

type pool struct {
	seen [buckets]float64
	sum  [dims]float64
	day  int64
}

// NewState is an actor's memory.
func (Detector) NewState(detect.Role) detect.State { return &entity{} }

// NewPool is a group's memory.
func (Detector) NewPool(detect.Role) detect.State { return &pool{} }

// draw is one value's place in a dimension, -1 where the event has none.
func (e *entity) draw(s *detect.Scope) (at [dims]int) {
	ev := s.Event
	if ev.SrcIP != e.lastIP {
		e.lastIP, e.lastPlace = ev.SrcIP, baseline.Hash(novelty.Place(ev.SrcIP))
	}
	if ev.UserAgent != e.lastUA || ev.Device != e.lastDevice {
		e.lastUA, e.lastDevice, e.lastClient = ev.UserAgent, ev.Device, baseline.Hash(novelty.Client(ev))
	}
	put := func(d int, has bool, h uint64) {
		at[d] = -1
		if has {
			at[d] = from[d] + int(h>>17&uint64(size[d]-1))
		}
	}
	put(network, ev.ASN != 0, uint64(ev.ASN)*0x9E3779B97F4A7C15)
	put(place, ev.SrcIP != "", e.lastPlace)
	put(client, ev.UserAgent != "" || ev.Device != "", e.lastClient)
	at[when] = from[when] + int((s.Hour%24+24)%24)/3
	put(action, true, s.ActionHash())
	at[resource] = -1
	if ev.Resource != "" {
		put(resource, true, s.ResourceHash())
	}
	return at
}

// chance is a place's share in the pool, of whatever dimension.
func (p *pool) chance(b, d int) float64 {
	return (p.seen[b] + 1/float64(size[d])) / (p.sum[d] + 1)
}

// own is a place's chance under the actor's past, shrunk to its nearest pool.
func (e *entity) own(s *detect.Scope, b, d int) float64 {
	c := s.Pools[0].(*pool).chance(b, d)
	return (float64(e.seen[b]) + float64(alpha*c)) / (float64(e.sum[d]) + alpha)
}

// other is its chance among the others of the tenant.
func (e *entity) other(s *detect.Scope, b, d int) float64 {
	p := s.Pools[len(s.Pools)-1].(*pool)
	return (max(0, p.seen[b]-float64(e.seen[b])) + 1/float64(size[d])) / (max(0, p.sum[d]-float64(e.sum[d])) + 1)
}

// Observe draws the event's values that are new today.
func (Detector) Observe(s *detect.Scope) detect.Verdict {
	e := s.State.(*entity)
	quiet := detect.Verdict{P: 1}
	if s.Slot >= 0 && e.win[s.Slot] > 0 {
		quiet.P = e.win[s.Slot]
	}
	if s.FailedAuth || s.Slot < 0 {
		return quiet
	}
	e.turn(s)
	if s.Hour/24 != e.day {
		return quiet
	}
	grown := false
	for d, b := range e.draw(s) {
		if b < 0 || e.today[b>>6]&(1<<(b&63)) != 0 {
			continue
		}
		e.today[b>>6] |= 1 << (b & 63)
		mine, theirs := e.own(s, b, d), e.other(s, b, d)
		if e.days >= settled {
			ratio := baseline.Log(theirs/max(1e-9, 1-e.usedAll[d])) - baseline.Log(mine/max(1e-9, 1-e.used[d]))
			e.ln[d] += max(-most, min(most, ratio))
			grown = true
		}
		e.used[d] += mine
		e.usedAll[d] += theirs
	}
	if !grown {
		return quiet
	}
	total := 0.0
	for _, v := range e.ln {
		total += float64(temper * v)
	}
	e.top = max(e.top, total)
	if p := baseline.Exp(-e.top); p <= e.told/again && p <= weak {
		e.told = p
		if w := &e.win[s.Slot]; *w == 0 || p < *w {
			*w = p
		}
		return detect.Verdict{P: e.win[s.Slot], Evidence: p <= 0.05}
	}
	return quiet
}

// turn learns the day that is over.
func (e *entity) turn(s *detect.Scope) {
	day := s.Hour / 24
	if day <= e.day {
		return
	}
	if e.day != 0 {
		f := float32(baseline.Exp(-float64(day-e.day) / memoryDays))
		for b := range e.seen {
			e.seen[b] *= f
		}
		for d := range e.sum {
			e.sum[d] *= f
		}
		e.days *= float64(f)
		weight := float32(1)
		if e.flagged {
			weight = 0.1
		}
		for d := range dims {
			for b := from[d]; b < from[d]+size[d]; b++ {
				if e.today[b>>6]&(1<<(b&63)) == 0 {
					continue
				}
				e.seen[b] += weight
				e.sum[d] += weight
				for _, p := range s.Pools {
					p := p.(*pool)
					p.seen[b] += float64(weight)
					p.sum[d] += float64(weight)
				}
			}
		}
		e.days++
		for _, p := range s.Pools {
			p.(*pool).turn(day)
		}
	}
	e.today, e.used, e.usedAll, e.ln = [4]uint64{}, [dims]float64{}, [dims]float64{}, [dims]float64{}
	e.top, e.told, e.day, e.flagged = 0, 1, day, false
}

func (p *pool) turn(day int64) {
	if p.day != 0 && day > p.day {
		f := baseline.Exp(-float64(day-p.day) / memoryDays)
		for b := range p.seen {
			p.seen[b] *= f
		}
		for d := range p.sum {
			p.sum[d] *= f
		}
	}
	p.day = max(p.day, day)
}

// Shift makes the newest window the one before.
func (Detector) Shift(st detect.State) {
	e := st.(*entity)
	e.win[1], e.win[0] = e.win[0], 0
}

// Close remembers whether the day had an alert, so that it is hardly learnt.
func (Detector) Close(s *detect.Scope) {
	e := s.State.(*entity)
	if s.Flagged && s.Hour/24 == e.day {
		e.flagged = true
	}
	e.win[1] = 0
}

// Explain says in what the day is another's.
func (Detector) Explain(s *detect.Scope) detect.Explanation {
	e := s.State.(*entity)
	x := detect.Explanation{
		P: e.win[max(0, s.Slot)], Observed: math.Round(e.top*1000) / 1000, Unit: "evidence for another's behaviour (ln)",
		Upper: 3, Technique: []string{"T1078"},
	}
	if x.P == 0 {
		x.P = 1
	}
	var what []string
	left := e.ln
	for range 3 {
		best := -1
		for d, v := range left {
			if v > 0.7 && (best < 0 || v > left[best]) {
				best = d
			}
		}
		if best < 0 {
			break
		}
		what = append(what, name[best])
		left[best] = 0
	}
	in := "the whole of its day"
	if len(what) > 0 {
		in = "its " + strings.Join(what, ", ")
	}
	who := detect.Called(s.Entity)
	x.Title = who + " behaves like somebody else"
	x.Reason = fmt.Sprintf("%s behaves in %s less like itself than like others of its tenant on %s: its day is %s times as probable for another as for it, after %s of its own.",
		who, in, detect.Start(s.Hour).Format("2 January 2006"), detect.Num(math.Round(baseline.Exp(min(40, e.top)))), detect.Plural(math.Round(e.days), "day"))
	x.Counterfactual = fmt.Sprintf("Had %s kept to %s as on the days before, it would not have been a finding.", s.Entity.ID, in)
	var b state.Writer
	b.F64s(e.ln[:]...)
	b.F64s(e.top, e.days)
	x.Basis = b.Buf
	return x
}

func (e *entity) Encode(w *state.Writer) {
	n := 0
	for _, v := range e.seen {
		if v != 0 {
			n++
		}
	}
	w.U64(uint64(n))
	for b, v := range e.seen {
		if v != 0 {
			w.U64(uint64(b))
			w.F64(float64(v))
		}
	}
	for d := range dims {
		w.F64s(float64(e.sum[d]), e.used[d], e.usedAll[d], e.ln[d])
	}
	for _, v := range e.today {
		w.Fixed(v)
	}
	w.F64s(e.top, e.days, e.told, e.win[0], e.win[1])
	w.I64(e.day)
	w.Bool(e.flagged)
}

func (e *entity) Decode(r *state.Reader) {
	e.seen = [buckets]float32{}
	for range r.Len(2) {
		b, v := r.U64(), r.F64()
		if b >= buckets {
			r.Fail()
			return
		}
		e.seen[b] = float32(v)
	}
	for d := range dims {
		e.sum[d] = float32(r.F64())
		r.F64s(&e.used[d], &e.usedAll[d], &e.ln[d])
	}
	for i := range e.today {
		e.today[i] = r.Fixed()
	}
	r.F64s(&e.top, &e.days, &e.told, &e.win[0], &e.win[1])
	e.day = r.I64()
	e.flagged = r.Bool()
}

func (p *pool) Encode(w *state.Writer) { w.F64s(p.seen[:]...); w.F64s(p.sum[:]...); w.I64(p.day) }

func (p *pool) Decode(r *state.Reader) {
	for b := range p.seen {
		p.seen[b] = r.F64()
	}
	for d := range p.sum {
		p.sum[d] = r.F64()
	}
	p.day = r.I64()
}
