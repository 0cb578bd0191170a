package novelty

import "github.com/tenantwatch/tenantwatch/detectors/state"

func (e *entity) Encode(w *state.Writer) {
	for i := range e.known {
		e.known[i].Encode(w)
	}
	w.I64(e.day)
	for _, v := range e.win {
		w.F64s(v.p, v.tests)
		w.U64(uint64(len(v.finds)))
		for _, f := range v.finds {
			w.U64(uint64(f.dim))
			w.Fixed(f.hash)
			w.F64s(f.p, f.mass, f.tail)
		}
	}
}

func (e *entity) Decode(r *state.Reader) {
	for i := range e.known {
		e.known[i].Decode(r)
	}
	e.day = r.I64()
	for i := range e.win {
		v := &e.win[i]
		r.F64s(&v.p, &v.tests)
		v.finds = nil
		for range r.Len(12) {
			f := find{dim: int(r.U64()), hash: r.Fixed()}
			r.F64s(&f.p, &f.mass, &f.tail)
			if f.dim < 0 || f.dim >= dims {
				r.Fail()
				return
			}
			v.finds = append(v.finds, f)
		}
	}
}

func (p *pool) Encode(w *state.Writer) {
	for i := range p.known {
		p.known[i].Encode(w)
	}
	w.I64(p.day)
	w.F64s(p.clients[:]...)
	w.F64s(p.along[:]...)
}

func (p *pool) Decode(r *state.Reader) {
	for i := range p.known {
		p.known[i].Decode(r)
	}
	p.day = r.I64()
	for i := range p.clients {
		p.clients[i] = r.F64()
	}
	for i := range p.along {
		p.along[i] = r.F64()
	}
}
