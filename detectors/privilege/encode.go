package privilege

import (
	"maps"
	"slices"

	"github.com/tenantwatch/tenantwatch/detectors/state"
)

func (e *entity) Encode(w *state.Writer) {
	for _, d := range e.last {
		w.I64(int64(d))
	}
	w.I64(int64(e.day))
	w.F64(e.days)
	w.Fixed(e.where)
	for _, v := range e.win {
		w.U64(uint64(v.done))
		w.U64(uint64(v.fresh))
		w.F64s(v.p, v.rest, v.restP)
		w.Bool(v.former)
		for k := range kinds {
			if v.done&(1<<k) != 0 {
				w.Fixed(v.res[k])
				w.Fixed(v.act[k])
			}
		}
	}
}

func (e *entity) Decode(r *state.Reader) {
	for k := range e.last {
		e.last[k] = int32(r.I64())
	}
	e.day = int32(r.I64())
	e.days = r.F64()
	e.where = r.Fixed()
	for i := range e.win {
		v := &e.win[i]
		*v = window{done: uint16(r.U64()), fresh: uint16(r.U64())}
		r.F64s(&v.p, &v.rest, &v.restP)
		v.former = r.Bool()
		for k := range kinds {
			if v.done&(1<<k) != 0 {
				v.res[k], v.act[k] = r.Fixed(), r.Fixed()
			}
		}
	}
}

func (p *pool) Encode(w *state.Writer) {
	w.F64(p.hours)
	w.F64s(p.births[:]...)
	p.rests.Encode(w)
	w.F64s(p.returns, p.away)
	w.I64(int64(p.day))
	w.U64(uint64(len(p.ended)))
	for _, h := range slices.Sorted(maps.Keys(p.ended)) {
		w.Fixed(h)
		w.I64(p.ended[h])
	}
}

func (p *pool) Decode(r *state.Reader) {
	p.hours = r.F64()
	for k := range p.births {
		p.births[k] = r.F64()
	}
	p.rests.Decode(r)
	r.F64s(&p.returns, &p.away)
	p.day = int32(r.I64())
	n := r.Len(9)
	p.ended = make(map[uint64]int64, n)
	for range n {
		h := r.Fixed()
		p.ended[h] = r.I64()
	}
}
