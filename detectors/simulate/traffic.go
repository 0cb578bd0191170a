package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// day adds what the company does on its local day d, counted from day.
func (s *sim) day(c *company, d int, day time.Time) {
	local := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, c.zone)
	weekend := local.Weekday() == time.Saturday || local.Weekday() == time.Sunday
	for _, p := range c.people {
		if d < p.firstDay || d > p.lastDay {
			continue
		}
		if (weekend || c.holidays[d]) && c.rng.Float64() > p.weekend {
			continue
		}
		if !weekend && c.rng.Float64() < 0.04 { // ill or on leave
			continue
		}
		s.personDay(c, p, d, local, weekend || c.holidays[d])
	}
	for i := range c.services {
		s.serviceDay(c, &c.services[i], local)
	}
}

// origin is where a session comes from.
type origin struct {
	ip, device, source string
	at                 place
	asn                uint32
}

func (c *company) origin(r *rand.Rand, p *person, d int) origin {
	o := origin{device: p.devices[0], at: c.office, asn: 64512 + uint32(c.index), ip: pick(r, c.officeIP), source: "webapp"}
	switch {
	case d >= p.tripFrom && d < p.tripTo:
		o.at, o.asn = p.trip, p.trip.isp
		o.ip = address(r, p.trip.isp)
	case r.Float64() < p.vpn:
		o.at, o.asn, o.ip = c.vpn, 64600+uint32(c.index), c.vpnIP
	case r.Float64() < p.remote || p.home != c.office:
		o.at, o.asn = p.home, p.home.isp
		if r.Float64() < 0.03 { // the provider hands out another address
			p.homeIP = address(r, p.home.isp)
		}
		o.ip = p.homeIP
	}
	if r.Float64() < p.mobile {
		o.device, o.asn, o.source = p.devices[1], o.at.mobile, "mobile"
		o.ip = address(r, o.at.mobile)
	}
	return o
}

func base(p *person, o origin) event.Event {
	return event.Event{
		Actor: p.name, ActorType: "user", Cohort: p.role, SrcIP: o.ip, Country: o.at.country, City: o.at.city,
		Latitude: o.at.lat, Longitude: o.at.lon, HasPosition: true, ASN: o.asn, UserAgent: o.device, Source: o.source,
		Outcome: event.OutcomeSuccess,
	}
}

func login(e event.Event, ok bool) event.Event {
	e.Class, e.Activity, e.Action, e.Status = event.ClassAuthentication, 1, "login", 200
	if !ok {
		e.Outcome, e.Status = event.OutcomeFailure, 401
	}
	return e
}

func (s *sim) personDay(c *company, p *person, d int, local time.Time, off bool) {
	r := c.rng
	mean := p.perDay
	if off {
		mean *= 0.2
	}
	if c.release[d] && p.role == "engineering" {
		mean *= 3
	}
	n := poisson(r, mean*math.Exp(0.4*r.NormFloat64())) // good days and bad days
	if n == 0 {
		return
	}
	sessions := 1 + poisson(r, 1.2)
	for k := range sessions {
		o := c.origin(r, p, d)
		t := local.Add(time.Duration((p.starts + p.hours*float64(k)/float64(sessions) + 0.5*r.NormFloat64()) * float64(time.Hour)))
		p.sessionCount++
		sid := fmt.Sprintf("%s-%d", p.name[:min(3, len(p.name))], p.sessionCount)
		t = s.signIn(c, r, p, o, t, sid)
		s.work(c, r, p, o, t, sid, max(1, n/sessions), p.hours/float64(sessions))
	}
}

// signIn adds a sign-in with the slips people make and returns when it worked.
func (s *sim) signIn(c *company, r *rand.Rand, p *person, o origin, t time.Time, sid string) time.Time {
	slips := 0
	switch x := r.Float64(); {
	case x < 0.002: // an expired password, tried again and again
		slips = 4 + r.IntN(6)
	case x < 0.06:
		slips = 1 + r.IntN(2)
	}
	for range slips {
		e := login(base(p, o), false)
		s.add(c, t, e)
		t = t.Add(time.Duration(4+r.IntN(25)) * time.Second)
	}
	e := login(base(p, o), true)
	e.Session = sid
	s.add(c, t, e)
	if r.Float64() < 0.5 {
		m := base(p, o)
		m.Class, m.Action, m.Session = event.ClassAuthentication, "mfa.challenge", sid
		s.add(c, t.Add(3*time.Second), m)
	}
	return t.Add(time.Duration(5+r.IntN(60)) * time.Second)
}

// work adds n actions in bursts over about hours.
func (s *sim) work(c *company, r *rand.Rand, p *person, o origin, t time.Time, sid string, n int, hours float64) {
	gap := hours * 3600 / float64(n+1)
	for range n {
		// Log-normal gaps: long pauses, then flurries.
		t = t.Add(time.Duration(logNormal(r, gap*0.35, 1.4) * float64(time.Second)))
		v := weighted(r, roleVerbs[p.role])
		s.add(c, t, s.action(c, r, p, o, v, sid))
	}
}

func (s *sim) action(c *company, r *rand.Rand, p *person, o origin, v verb, sid string) event.Event {
	e := base(p, o)
	e.Class, e.Action, e.Session, e.ResourceType = event.ClassAPIActivity, v.action, sid, v.kind
	e.Resource = c.resource(r, p, v.kind)
	e.HTTPMethod, e.Status = "GET", 200
	e.Duration = math.Round(logNormal(r, 40, 0.8)*100) / 100
	if v.bytes > 0 {
		e.BytesOut = uint64(logNormal(r, v.bytes, 1.1))
	}
	if x := r.Float64(); x < 0.01 {
		e.Outcome, e.Status = event.OutcomeFailure, 403
	} else if x < 0.025 {
		e.Outcome, e.Status = event.OutcomeFailure, 404
	}
	return e
}

// resource draws mostly favourites, by Zipf, and sometimes anything.
func (c *company) resource(r *rand.Rand, p *person, kind string) string {
	n := c.resMax[kind]
	if r.Float64() < 0.25 {
		return fmt.Sprintf("%s/%d", kind, r.IntN(n))
	}
	rank := int(math.Pow(r.Float64(), 2.5) * float64(len(p.favourites)))
	return fmt.Sprintf("%s/%d", kind, p.favourites[rank]%n)
}

func weighted(r *rand.Rand, vs []verb) verb {
	var sum float64
	for _, v := range vs {
		sum += v.weight
	}
	x := r.Float64() * sum
	for _, v := range vs {
		if x -= v.weight; x < 0 {
			return v
		}
	}
	return vs[len(vs)-1]
}

func (s *sim) serviceDay(c *company, sv *service, local time.Time) {
	r := c.rng
	at := local.Add(time.Duration(r.IntN(120)) * time.Second)
	if sv.batch {
		at = local.Add(2*time.Hour + time.Duration(r.IntN(600))*time.Second)
	}
	for end := local.Add(24 * time.Hour); at.Before(end); at = at.Add(sv.every) {
		t := at
		for range sv.events {
			e := sv.event()
			if r.Float64() < 0.004 {
				e.Outcome, e.Status = event.OutcomeFailure, 503
			}
			e.BytesOut = uint64(logNormal(r, 5e4, 0.5))
			e.Duration = math.Round(logNormal(r, 120, 0.5)*100) / 100
			s.add(c, t, e)
			t = t.Add(time.Duration(200+r.IntN(2500)) * time.Millisecond)
		}
	}
}

func (sv *service) event() event.Event {
	return event.Event{
		Actor: sv.name, ActorType: "service", Cohort: "service", SrcIP: sv.ip, Country: sv.place.country, City: sv.place.city,
		Latitude: sv.place.lat, Longitude: sv.place.lon, HasPosition: true, ASN: sv.place.isp, UserAgent: "tenantcorp-sdk/3.2",
		Source: "api", Class: event.ClassAPIActivity, Action: sv.action, Resource: sv.res, ResourceType: "integration",
		HTTPMethod: "POST", Status: 200, Outcome: event.OutcomeSuccess,
	}
}
