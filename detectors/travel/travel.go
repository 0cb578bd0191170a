// Package travel notices an account that acts from two places which nobody
// can have travelled between in the time.
//
// Model: the great-circle distance (haversine) between an actor's consecutive
// places over the time between them, with slack for clocks and for how coarse
// positions are; beyond the speed of an airliner it is a jump. People jump
// without travelling, too: private VPNs, phones whose network comes out of the
// ground elsewhere. So a jump is judged by how often the actor, its tenant and everybody
// jump: its p-value is the chance of a jump on an active day, for a place where the actor
// has been before and for a new one apart. Networks that the tenant named as its own
// (office, VPN, mobile, cloud), and networks that at least three accounts use, are
// nobody's place. Where an event has no position its country's is used, with the
// country's size as slack. Technique: T1078. Memory: about 0.2 KiB an actor.
package travel

import (
	"fmt"
	"math"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

const (
	memoryDays = 60
	airliner   = 900.0 // km/h
	nearest    = 300.0 // km: less is no travel
	slackHours = 0.25  // by which clocks may differ
	slackKM    = 100.0 // by which a position may be wrong
	same       = 300.0 // km within which a place is one been to before
	maxPlaces  = 8
	shared     = 3    // accounts that make a network nobody's place
	maxNets    = 8192 // networks whose users a tenant counts
	earth      = 6371.0
	// How many active days the belief from one level up is worth.
	tenantHeft, ownHeft = 200, 15
)

// believed are the chances of a jump on an active day before anything was
// seen: to a place known of the actor, and to a new one.
var believed = [2]float64{0.01, 0.001}

// Detector is the travel detector; the zero value is ready.
type Detector struct{}

// Name is "travel".
func (Detector) Name() string { return "travel" }

// Version changes when a score could.
func (Detector) Version() string { return "1.0.0" }

// Roles are actors.
func (Detector) Roles() []detect.Role { return []detect.Role{detect.Actor} }

type place struct {
	lat, lon, slack float64
	day             int64
}

type jump struct {
	from, to   uint64 // names
	km, hours  float64
	been       bool
	p, rate    float64
	since, now int64
}

type entity struct {
	last   place
	at     int64 // Unix nanoseconds; 0: nowhere yet
	ip     uint64
	name   uint64
	home   place // where the last jump began
	jumped int64 // and when; Unix nanoseconds
	places []place
	day    int64
	days   float64
	jumps  [2]float64
	win    [2]jump
}

type pool struct {
	days  float64
	jumps [2]float64
	day   int64
	nets  map[uint64]*net // of the tenant's own pool
}

// net is a network and the accounts seen in it, up to the number that counts.
type net struct{ users [shared]uint64 }

// NewState is an actor's memory.
func (Detector) NewState(detect.Role) detect.State { return &entity{} }

// NewPool is a group's memory.
func (Detector) NewPool(detect.Role) detect.State { return &pool{nets: map[uint64]*net{}} }

// distance is the great-circle distance in kilometres (haversine formula,
// Sinnott 1984), of positions in degrees.
func distance(a, b place) float64 {
	const rad = math.Pi / 180
	sin := func(x float64) float64 { // by its series, the same bits everywhere
		for x > math.Pi {
			x -= 2 * math.Pi
		}
		for x < -math.Pi {
			x += 2 * math.Pi
		}
		t, s := x, x
		for i := 2.0; i < 30; i += 2 {
			t = -float64(t*float64(x*x)) / float64(i*(i+1))
			s += t
		}
		return s
	}
	cos := func(x float64) float64 { return sin(x + math.Pi/2) }
	u, v := sin((b.lat-a.lat)*rad/2), sin((b.lon-a.lon)*rad/2)
	h := float64(u*u) + float64(float64(cos(a.lat*rad)*cos(b.lat*rad))*float64(v*v))
	// asin(√h) by halving atan's argument; h in [0,1].
	h = math.Min(1, math.Max(0, h))
	y, x := math.Sqrt(h), math.Sqrt(1-h)
	angle := 0.0
	switch {
	case x == 0:
		angle = math.Pi / 2
	case y > x:
		angle = math.Pi/2 - atan(x/y)
	default:
		angle = atan(y / x)
	}
	return 2 * earth * angle
}

// atan is arctan on [0,1].
func atan(x float64) float64 {
	for range 2 {
		x = x / (1 + math.Sqrt(1+float64(x*x)))
	}
	q, s := float64(x*x), 0.0
	for i := 23; i >= 1; i -= 2 {
		s = 1/float64(i) - float64(q*s)
	}
	return 4 * float64(x*s)
}

// where is the event's place; ok is false when it says none.
func where(s *detect.Scope) (p place, ok bool) {
	e := s.Event
	if e.HasPosition {
		return place{lat: e.Latitude, lon: e.Longitude, slack: slackKM}, true
	}
	c, ok := countries[e.Country]
	return place{lat: c[0], lon: c[1], slack: slackKM + c[2]}, ok
}

// nobodys reports whether the event's network is an egress that several
// accounts share, and counts its account.
func nobodys(s *detect.Scope) bool {
	if _, own := s.Setting.Network(s.Event.SrcIP); own {
		return true
	}
	common := s.Common.(*pool)
	h, who := s.AddressHash(), s.ActorHash()
	n := common.nets[h]
	if n == nil {
		if len(common.nets) >= maxNets {
			clear(common.nets) // begins anew; an office is known again within minutes
		}
		n = &net{}
		common.nets[h] = n
	}
	for i, u := range n.users {
		if u == who {
			return n.users[shared-1] != 0
		}
		if u == 0 {
			n.users[i] = who
			return i == shared-1
		}
	}
	return true
}

// rate is the chance of a jump of the class on an active day.
func (e *entity) rate(s *detect.Scope, class int) float64 {
	r, heft := believed[class], float64(tenantHeft)
	for i := len(s.Pools) - 1; i >= 0; i-- {
		p := s.Pools[i].(*pool)
		r = (float64(r*heft) + p.jumps[class]) / (heft + p.days)
		heft = tenantHeft / 2
	}
	return (float64(r*ownHeft) + e.jumps[class]) / (ownHeft + e.days)
}

// Observe follows the actor.
func (Detector) Observe(s *detect.Scope) detect.Verdict {
	quiet := detect.Verdict{P: 1}
	if s.Slot >= 0 {
		if w := &s.State.(*entity).win[s.Slot]; w.p > 0 {
			quiet.P = w.p
		}
	}
	ev := s.Event
	if s.FailedAuth || s.Slot < 0 || ev.SrcIP == "" {
		return quiet
	}
	e := s.State.(*entity)
	e.turn(s)
	ip := s.AddressHash()
	if ip == e.ip && e.at != 0 { // still there
		e.at = max(e.at, ev.Time)
		return quiet
	}
	here, ok := where(s)
	if !ok || nobodys(s) {
		return quiet
	}
	name := ev.City
	if name == "" {
		name = ev.Country
	}
	if name == "" {
		name = fmt.Sprintf("%.1f°, %.1f°", here.lat, here.lon)
	}
	h := baseline.Hash(name)
	s.Names.Remember(h, name)
	v := quiet
	before, since := e.last, e.at
	if since != 0 && ev.Time < since-int64(slackHours*3600e9) {
		return quiet // late: its place is history
	}
	been := e.been(here, s.Hour/24)
	if since != 0 {
		km := distance(before, here)
		hours := math.Abs(float64(ev.Time-since)) / 3600e9
		need := km - before.slack - here.slack
		// Back where a jump began: the same story, told already.
		back := e.jumped != 0 && ev.Time-e.jumped < 24*3600e9 && distance(e.home, here) <= same+here.slack-slackKM
		if !back && km > nearest && need > 0 && need/(hours+slackHours) > airliner {
			class := 1
			if been {
				class = 0
			}
			r := e.rate(s, class)
			p := 1 - baseline.Exp(-r) // at least one on a day
			w := &e.win[s.Slot]
			if w.p == 0 || p < w.p {
				*w = jump{from: e.name, to: h, km: km, hours: hours, been: been, p: p, rate: r, since: since, now: ev.Time}
			}
			v = detect.Verdict{P: w.p, Evidence: true}
			e.home, e.jumped = before, ev.Time
			e.jumps[class]++
			for _, q := range s.Pools {
				q.(*pool).jumps[class]++
			}
		}
	}
	e.last, e.at, e.ip, e.name = here, max(ev.Time, e.at), ip, h
	return v
}

// been reports whether the actor was near the place before, and notes it.
func (e *entity) been(here place, day int64) bool {
	for i := range e.places {
		if distance(e.places[i], here) <= same+here.slack-slackKM {
			e.places[i].day = day
			return true
		}
	}
	here.day = day
	if len(e.places) < maxPlaces {
		e.places = append(e.places, here)
		return false
	}
	stale := 0
	for i := range e.places {
		if e.places[i].day < e.places[stale].day {
			stale = i
		}
	}
	e.places[stale] = here
	return false
}

func (e *entity) turn(s *detect.Scope) {
	day := s.Hour / 24
	if day <= e.day {
		return
	}
	if e.day != 0 {
		f := baseline.Exp(-float64(day-e.day) / memoryDays)
		e.days *= f
		e.jumps[0] *= f
		e.jumps[1] *= f
	}
	e.day = day
	e.days++
	for _, q := range s.Pools {
		p := q.(*pool)
		if day > p.day {
			if p.day != 0 {
				f := baseline.Exp(-float64(day-p.day) / memoryDays)
				p.days *= f
				p.jumps[0] *= f
				p.jumps[1] *= f
			}
			p.day = day
		}
		p.days++
	}
}

// Shift makes the newest window the one before.
func (Detector) Shift(st detect.State) {
	e := st.(*entity)
	e.win[1], e.win[0] = e.win[0], jump{}
}

// Close forgets the window; a jump that raised an alert is not taken for a
// habit.
func (Detector) Close(s *detect.Scope) {
	e := s.State.(*entity)
	if w := &e.win[1]; s.Flagged && w.p > 0 {
		class := 1
		if w.been {
			class = 0
		}
		e.jumps[class] = math.Max(0, e.jumps[class]-0.75)
		for _, q := range s.Pools {
			p := q.(*pool)
			p.jumps[class] = math.Max(0, p.jumps[class]-0.75)
		}
	}
	e.win[1] = jump{}
}

// Explain tells the journey.
func (Detector) Explain(s *detect.Scope) detect.Explanation {
	e := s.State.(*entity)
	w := &e.win[max(0, s.Slot)]
	x := detect.Explanation{P: w.p, Unit: "km/h", Title: "Impossible travel", Technique: []string{"T1078"}}
	if w.p == 0 {
		x.P = 1
		return x
	}
	x.Observed = math.Round(w.km / math.Max(w.hours, 1.0/60))
	x.Upper = airliner
	from, to := s.Names.Name(w.from), s.Names.Name(w.to)
	minutes := math.Round(w.hours * 60)
	x.Title = fmt.Sprintf("%s was in %s and %s within %s", detect.Called(s.Entity), from, to, detect.Plural(minutes, "minute"))
	kind := "a place new to it"
	if w.been {
		kind = "a place it was in before"
	}
	x.Reason = fmt.Sprintf("%s acted from %s at %s and from %s, %s km away, %s later (UTC); %s. It jumps so on 1 of %s active days.",
		detect.Called(s.Entity), from, detect.Time(w.since), to, detect.Num(math.Round(w.km)), detect.Plural(minutes, "minute"), kind,
		detect.Num(math.Max(1, math.Round(1/w.rate))))
	x.Counterfactual = fmt.Sprintf("Had %s passed in between, or were one of the two networks known as an office or a VPN, it would not have been a finding.",
		detect.Plural(math.Ceil(w.km/airliner), "hour"))
	var b state.Writer
	b.F64s(w.km, w.hours, w.p, w.rate, e.days, e.jumps[0], e.jumps[1])
	x.Basis = b.Buf
	return x
}
