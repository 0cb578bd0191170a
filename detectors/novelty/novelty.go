// Package novelty notices that an actor does, or comes from, what it never
// did: a country, network (ASN), client, address range, action or resource
// that is new for it AND improbable among its cohort and tenant.
//
// Model: Pitman–Yor processes with back-off actor → cohort → tenant, one a
// dimension; a value counts once an actor and day. The p-value is the mass of
// all values that are no more probable. Novelties of one event are
// grouped (where from, with what, what): within a group they combine as
// dependent, across groups as a truncated product; a new network that comes
// with a new client counts only for what the tenant's new clients do not bring
// along anyway. An address range is tested
// only where the network is not known. Who changes networks or resources all the time has a
// large mass for the new by itself. Failed sign-ins are not the actor's doing
// and are not looked at. Memory: 16 bytes a known value, at most 24 values a
// dimension.
package novelty

import (
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// The dimensions; never renumber, they are in checkpoints.
const (
	country = iota
	network
	client
	place
	action
	resource
	dims
)

var dimName = [dims]string{"country", "network", "client", "address range", "action", "resource"}

// group says which kind of evidence a dimension belongs to: where from, with
// what, what. Dimensions of one group move together; the groups hardly do.
var group = [dims]int{country: 0, network: 0, place: 0, client: 1, action: 2, resource: 2}

const groups = 3

const (
	memoryDays = 90
	best       = 6 // novelties kept of a window for the explanation
)

// Detector is the novelty detector; the zero value is ready.
type Detector struct{}

// Name is "novelty".
func (Detector) Name() string { return "novelty" }

// Version changes when a score could.
func (Detector) Version() string { return "1.2.0" }

// Roles are actors.
func (Detector) Roles() []detect.Role { return []detect.Role{detect.Actor} }

type find struct {
	dim  int
	hash uint64
	p    float64
	mass float64 // the actor's own probability of something new, then
	tail float64 // the p-value among its peers, then
}

type window struct {
	p     float64
	tests float64
	finds []find // most improbable first
}

type entity struct {
	known [dims]baseline.Palette
	day   int64
	win   [2]window
	// The last client and place and what they were made of: derived, and so
	// not part of the state.
	lastASN                                           uint32
	lastNetwork                                       string
	lastUA, lastDevice, lastClient, lastIP, lastPlace string
	lastHash                                          [place + 1]uint64
}

type pool struct {
	known [dims]baseline.Table
	day   int64
	// How often somebody known had a new client in an event that told d, and
	// how often d was new in it too. Decayed; of the tenant's pool only.
	clients, along [dims]float64
	spare          [][]find // of the tenant's own pool: room for finds; not part of the state
}

// settled is how many observations of clients make somebody known.
const settled = 3

// together is the chance that d is new where the client is: a phone brings a
// network of its own, so the two are one novelty and not two. One of each is
// believed before the tenant has shown its own.
func (p *pool) together(d int) float64 { return (1 + p.along[d]) / (2 + p.clients[d]) }

// NewState is an actor's memory.
func (Detector) NewState(detect.Role) detect.State { return &entity{} }

// NewPool is a group's memory.
func (Detector) NewPool(detect.Role) detect.State { return &pool{} }

// values are the event's values by dimension; "" where there is none.
func (n *entity) values(e *event.Event) (v [dims]string) {
	v[country] = e.Country
	if e.ASN != 0 {
		if e.ASN != n.lastASN {
			n.lastASN, n.lastNetwork = e.ASN, "AS"+strconv.FormatUint(uint64(e.ASN), 10)
			n.lastHash[network] = baseline.Hash(n.lastNetwork)
		}
		v[network] = n.lastNetwork
	}
	if e.UserAgent != n.lastUA || e.Device != n.lastDevice {
		n.lastUA, n.lastDevice, n.lastClient = e.UserAgent, e.Device, Client(e)
		n.lastHash[client] = baseline.Hash(n.lastClient)
	}
	if e.SrcIP != n.lastIP {
		n.lastIP, n.lastPlace = e.SrcIP, Place(e.SrcIP)
		n.lastHash[place] = baseline.Hash(n.lastPlace)
	}
	v[client], v[place] = n.lastClient, n.lastPlace
	v[action] = e.Action
	v[resource] = e.Resource
	return v
}

// hash is that of a value that values gave.
func (n *entity) hash(s *detect.Scope, d int, v string) uint64 {
	switch d {
	case network, client, place:
		return n.lastHash[d]
	case action:
		return s.ActionHash()
	case resource:
		return s.ResourceHash()
	}
	return baseline.Hash(v)
}

// Client is the device, else the kind of client a user agent names, without
// its versions, so that an update is no new client: "Firefox on Windows" for a
// browser, the first product ("curl", "aws-cli") for a program.
func Client(e *event.Event) string {
	ua := e.UserAgent
	switch {
	case e.Device != "":
		return e.Device
	case ua == "":
		return ""
	case !strings.HasPrefix(ua, "Mozilla/"):
		if i := strings.IndexAny(ua, "/ "); i > 0 {
			ua = ua[:i]
		}
		return ua
	}
	browser, system := "browser", ""
	for _, b := range [...][2]string{ // the first that fits: later ones claim to be all the others
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox", "Firefox"}, {"FxiOS", "Firefox"},
		{"CriOS", "Chrome"}, {"Chrome", "Chrome"}, {"Safari", "Safari"}, {"bot", "bot"}, {"Trident", "Internet Explorer"},
	} {
		if strings.Contains(ua, b[0]) {
			browser = b[1]
			break
		}
	}
	for _, s := range [...][2]string{
		{"Windows", "Windows"}, {"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	} {
		if strings.Contains(ua, s[0]) {
			system = " on " + s[1]
			break
		}
	}
	return browser + system
}

// Place is the range an address belongs to: /24, or /48 for IPv6.
func Place(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	a = a.Unmap()
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	var text [64]byte
	return string(p.AppendTo(text[:0]))
}

// Observe tests and learns the event's values.
func (Detector) Observe(s *detect.Scope) detect.Verdict {
	if s.FailedAuth {
		return detect.Verdict{P: 1}
	}
	e := s.State.(*entity)
	day := s.Hour / 24
	e.turn(day)
	var (
		ps    [groups][]float64
		store [groups][dims]float64
		there [groups]bool
		n     int
		finds [dims]find
		told  [dims]bool
		isNew [dims]bool
	)
	known := e.known[client].N >= settled
	for d, v := range e.values(s.Event) {
		if v == "" {
			continue
		}
		there[group[d]] = true
		told[d] = true
		h := e.hash(s, d, v)
		k := &e.known[d]
		if at := k.Find(h); at >= 0 {
			if k.Again(at, int32(day)) {
				learnPools(s, d, h, v, day)
			}
			continue
		}
		if d == place && s.Event.ASN != 0 {
			// The network is tested: a new range within a known one is what
			// providers hand out, and within a new one says nothing more.
			k.Learn(h, int32(day))
			learnPools(s, d, h, v, day)
			continue
		}
		prob, tail := 0.0, 1.0
		for i := len(s.Pools) - 1; i >= 0; i-- { // from the tenant down
			prob, tail = s.Pools[i].(*pool).known[d].Look(h, prob, tail)
		}
		f := find{dim: d, hash: h, mass: k.NewMass(), tail: tail, p: k.Tail(prob, tail)}
		finds[n] = f
		n++
		isNew[d] = true
		k.Learn(h, int32(day))
		learnPools(s, d, h, v, day)
	}
	if n == 0 {
		w := &e.win[max(0, s.Slot)]
		if s.Slot < 0 || w.p == 0 {
			return detect.Verdict{P: 1}
		}
		return detect.Verdict{P: w.p}
	}
	if isNew[client] {
		top := s.Pools[len(s.Pools)-1].(*pool)
		for i := range finds[:n] {
			if f := &finds[i]; group[f.dim] == group[network] && f.mass > 0 {
				// Given the new client, the new is as likely as it comes with one.
				f.p = math.Min(1, float64(f.p*math.Max(1, top.together(f.dim)/f.mass)))
			}
		}
		if known {
			for d := range told {
				if told[d] && d != client {
					top.clients[d]++
					if isNew[d] {
						top.along[d]++
					}
				}
			}
		}
	}
	for i := range finds[:n] {
		g := group[finds[i].dim]
		store[g][len(ps[g])] = finds[i].p
		ps[g] = store[g][:len(ps[g])+1]
	}
	// Within a group the dimensions depend on one another; groups that were
	// there but held nothing new were tested too.
	var each [groups]float64
	tested, present := 0, 0
	for g := range groups {
		if there[g] {
			present++
		}
		if len(ps[g]) > 0 {
			each[tested] = baseline.Cauchy(ps[g])
			tested++
		}
	}
	one := 1.0
	for _, v := range each[:tested] {
		one = math.Min(one, v)
	}
	// The best of two looks, the strongest group alone and all together, each
	// paid for.
	p := 2 * math.Min(float64(one*float64(present)), baseline.TruncatedProduct(each[:tested], present, 0.05))
	// Who sees a hundred new things in an hour is tested a hundred times: the
	// m-th test of a window is worth an m-th.
	w := &e.win[max(0, s.Slot)]
	w.tests++
	p = baseline.ClampP(p * w.tests)
	if w.p == 0 || p < w.p {
		w.p = p
	}
	if c := s.Common.(*pool); w.finds == nil && len(c.spare) > 0 {
		w.finds = c.spare[len(c.spare)-1]
		c.spare = c.spare[:len(c.spare)-1]
	}
	for _, f := range finds[:n] {
		w.keep(f)
	}
	return detect.Verdict{P: w.p, Evidence: p < 0.05}
}

func learnPools(s *detect.Scope, d int, h uint64, v string, day int64) {
	for _, p := range s.Pools {
		p := p.(*pool)
		if p.day != 0 && day > p.day {
			f := baseline.Exp(-float64(day-p.day) / memoryDays)
			for i := range p.known {
				p.known[i].Decay(f)
				p.clients[i] *= f
				p.along[i] *= f
			}
		}
		p.day = max(p.day, day)
		p.known[d].Learn(h)
	}
	s.Names.Remember(h, v)
}

func (e *entity) turn(day int64) {
	if e.day != 0 && day > e.day {
		f := baseline.Exp(-float64(day-e.day) / memoryDays)
		for i := range e.known {
			e.known[i].Decay(f)
		}
	}
	e.day = max(e.day, day)
}

func (w *window) keep(f find) {
	for i, o := range w.finds {
		if o.dim == f.dim { // the most improbable of each dimension
			if f.p < o.p {
				w.finds = append(w.finds[:i], w.finds[i+1:]...)
				break
			}
			return
		}
	}
	i := 0
	for i < len(w.finds) && w.finds[i].p <= f.p {
		i++
	}
	w.finds = append(w.finds, find{})
	copy(w.finds[i+1:], w.finds[i:])
	w.finds[i] = f
	if len(w.finds) > best {
		w.finds = w.finds[:best]
	}
}

// Shift makes the newest window the one before.
func (Detector) Shift(st detect.State) {
	e := st.(*entity)
	e.win[1], e.win[0] = e.win[0], window{}
}

// Close forgets the window; its values were learnt as they came.
func (Detector) Close(s *detect.Scope) {
	w := &s.State.(*entity).win[1]
	if c := s.Common.(*pool); cap(w.finds) > 0 && len(c.spare) < maxSpare {
		c.spare = append(c.spare, w.finds[:0])
	}
	*w = window{}
}

// maxSpare bounds what is kept for reuse: 80 KiB a tenant.
const maxSpare = 256
