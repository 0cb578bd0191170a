package edges

import (
	"maps"
	"slices"

	"github.com/tenantwatch/tenantwatch/detectors/state"
)

func (c *cell) encode(w *state.Writer) {
	w.F64s(float64(c.now), float64(c.mean))
	w.I64(int64(c.at))
}

func (c *cell) decode(r *state.Reader) {
	c.now, c.mean = float32(r.F64()), float32(r.F64())
	c.at = int32(r.I64())
}

func (e *entity) Encode(w *state.Writer) {
	e.cell.encode(w)
	for _, v := range e.win {
		w.F64s(v.burst, v.next, v.count, v.mean, v.crowd, v.p, v.newP)
		w.Fixed(v.edge)
		w.Fixed(v.at)
	}
	w.I64(e.day)
	w.Bool(e.old)
}

func (e *entity) Decode(r *state.Reader) {
	e.cell.decode(r)
	for i := range e.win {
		v := &e.win[i]
		r.F64s(&v.burst, &v.next, &v.count, &v.mean, &v.crowd, &v.p, &v.newP)
		v.edge, v.at = r.Fixed(), r.Fixed()
	}
	e.day = r.I64()
	e.old = r.Bool()
}

func (p *pool) Encode(w *state.Writer) {
	w.Bool(p.rows[0] != nil)
	for _, row := range p.rows {
		n := 0
		for i := range row {
			if row[i].at != 0 {
				n++
			}
		}
		w.U64(uint64(n))
		for i := range row {
			if row[i].at != 0 {
				w.U64(uint64(i))
				row[i].encode(w)
			}
		}
	}
	p.bursts.Encode(w)
	p.crowds.Encode(w)
	w.F64s(p.births, p.seen)
	w.I64(p.day)
	w.I64(p.first)
	w.I64(p.hour)
	w.U64(uint64(len(p.meet)))
	for _, h := range slices.Sorted(maps.Keys(p.meet)) {
		w.Fixed(h)
		w.F64(p.meet[h])
	}
}

func (p *pool) Decode(r *state.Reader) {
	has := r.Bool()
	for i := range p.rows {
		p.rows[i] = nil
		if has {
			p.rows[i] = make([]cell, columns)
		}
		for range r.Len(4) {
			k := r.U64()
			if k >= uint64(len(p.rows[i])) {
				r.Fail()
				return
			}
			p.rows[i][k].decode(r)
		}
	}
	p.bursts.Decode(r)
	p.crowds.Decode(r)
	r.F64s(&p.births, &p.seen)
	p.day, p.first = r.I64(), r.I64()
	p.hour = r.I64()
	n := r.Len(9)
	p.meet = nil
	if n > 0 {
		p.meet = make(map[uint64]float64, n)
	}
	for range n {
		h := r.Fixed()
		p.meet[h] = r.F64()
	}
}
