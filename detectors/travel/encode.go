package travel

import (
	"maps"
	"slices"

	"github.com/tenantwatch/tenantwatch/detectors/state"
)

func (p *place) encode(w *state.Writer) { w.F64s(p.lat, p.lon, p.slack); w.I64(p.day) }
func (p *place) decode(r *state.Reader) { r.F64s(&p.lat, &p.lon, &p.slack); p.day = r.I64() }

func (e *entity) Encode(w *state.Writer) {
	e.last.encode(w)
	w.I64(e.at)
	w.Fixed(e.ip)
	w.Fixed(e.name)
	e.home.encode(w)
	w.I64(e.jumped)
	w.U64(uint64(len(e.places)))
	for i := range e.places {
		e.places[i].encode(w)
	}
	w.I64(e.day)
	w.F64s(e.days, e.jumps[0], e.jumps[1])
	for _, v := range e.win {
		w.Bool(v.p > 0)
		if v.p == 0 {
			continue
		}
		w.Fixed(v.from)
		w.Fixed(v.to)
		w.F64s(v.km, v.hours, v.p, v.rate)
		w.Bool(v.been)
		w.I64(v.since)
		w.I64(v.now)
	}
}

func (e *entity) Decode(r *state.Reader) {
	e.last.decode(r)
	e.at = r.I64()
	e.ip, e.name = r.Fixed(), r.Fixed()
	e.home.decode(r)
	e.jumped = r.I64()
	e.places = nil
	for range r.Len(4) {
		var p place
		p.decode(r)
		e.places = append(e.places, p)
	}
	e.day = r.I64()
	r.F64s(&e.days, &e.jumps[0], &e.jumps[1])
	for i := range e.win {
		v := &e.win[i]
		*v = jump{}
		if !r.Bool() {
			continue
		}
		v.from, v.to = r.Fixed(), r.Fixed()
		r.F64s(&v.km, &v.hours, &v.p, &v.rate)
		v.been = r.Bool()
		v.since, v.now = r.I64(), r.I64()
	}
}

func (p *pool) Encode(w *state.Writer) {
	w.F64s(p.days, p.jumps[0], p.jumps[1])
	w.I64(p.day)
	w.U64(uint64(len(p.nets)))
	for _, h := range slices.Sorted(maps.Keys(p.nets)) {
		w.Fixed(h)
		for _, u := range p.nets[h].users {
			w.Fixed(u)
		}
	}
}

func (p *pool) Decode(r *state.Reader) {
	r.F64s(&p.days, &p.jumps[0], &p.jumps[1])
	p.day = r.I64()
	n := r.Len(8 + 8*shared)
	p.nets = make(map[uint64]*net, n)
	for range n {
		h, v := r.Fixed(), &net{}
		for i := range v.users {
			v.users[i] = r.Fixed()
		}
		p.nets[h] = v
	}
}
