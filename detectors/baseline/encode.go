package baseline

import "github.com/tenantwatch/tenantwatch/detectors/state"

// Encode writes r.
func (r *CountRate) Encode(w *state.Writer) { w.F64s(r.Count, r.Exposure, r.Excess, r.Weight) }

// Decode reads what Encode wrote.
func (r *CountRate) Decode(d *state.Reader) { d.F64s(&r.Count, &r.Exposure, &r.Excess, &r.Weight) }

func encodeSparse(w *state.Writer, vs []float64) {
	n := 0
	for _, v := range vs {
		if v != 0 {
			n++
		}
	}
	w.U64(uint64(n))
	for i, v := range vs {
		if v != 0 {
			w.U64(uint64(i))
			w.F64(v)
		}
	}
}

func decodeSparse(d *state.Reader, vs []float64) {
	clear(vs)
	for range d.Len(2) {
		i := d.U64()
		v := d.F64()
		if i >= uint64(len(vs)) {
			d.Fail()
			return
		}
		vs[i] = v
	}
}

// Encode writes p.
func (p *Population) Encode(w *state.Writer) { w.F64(p.N); encodeSparse(w, p.Bins[:]) }

// Decode reads what Encode wrote.
func (p *Population) Decode(d *state.Reader) { p.N = d.F64(); decodeSparse(d, p.Bins[:]) }

// Encode writes w.
func (w *Week) Encode(s *state.Writer) {
	s.F64s(w.Total, w.Spent)
	encodeSparse(s, w.Hours[:])
	encodeSparse(s, w.Passed[:])
}

// Decode reads what Encode wrote.
func (w *Week) Decode(d *state.Reader) {
	d.F64s(&w.Total, &w.Spent)
	decodeSparse(d, w.Hours[:])
	decodeSparse(d, w.Passed[:])
}

// Encode writes d.
func (d *Day) Encode(s *state.Writer) {
	s.F64s(d.Total, d.Lived[0], d.Lived[1])
	encodeSparse(s, d.Slots[:])
}

// Decode reads what Encode wrote.
func (d *Day) Decode(r *state.Reader) {
	r.F64s(&d.Total, &d.Lived[0], &d.Lived[1])
	decodeSparse(r, d.Slots[:])
}

// Encode writes c.
func (c *Calibrator) Encode(s *state.Writer) {
	s.F64s(c.N, c.Excess, c.Resolved)
	encodeSparse(s, c.Bins[:])
}

// Decode reads what Encode wrote.
func (c *Calibrator) Decode(r *state.Reader) {
	r.F64s(&c.N, &c.Excess, &c.Resolved)
	decodeSparse(r, c.Bins[:])
}

// Encode writes b.
func (b *Budget) Encode(s *state.Writer) { s.F64s(b.Tests, b.Today, b.Alerts, b.Days, b.Rate, b.Heat) }

// Decode reads what Encode wrote.
func (b *Budget) Decode(r *state.Reader) {
	r.F64s(&b.Tests, &b.Today, &b.Alerts, &b.Days, &b.Rate, &b.Heat)
}

// Encode writes f.
func (f *Fan) Encode(s *state.Writer) {
	s.Bytes(f.Regs)
	s.U64(uint64(len(f.Exact)))
	for _, h := range f.Exact {
		s.Fixed(h)
	}
}

// Decode reads what Encode wrote.
func (f *Fan) Decode(r *state.Reader) {
	f.Regs, f.Exact, f.count = nil, nil, 0
	if regs := r.Raw(); len(regs) == 256 {
		f.Regs = append([]byte(nil), regs...)
	} else if len(regs) != 0 {
		r.Fail()
	}
	for range r.Len(8) {
		f.Exact = append(f.Exact, r.Fixed())
	}
}

// Encode writes p.
func (p *Palette) Encode(s *state.Writer) {
	s.F64s(p.N, p.Births)
	s.U64(uint64(len(p.Values)))
	for _, v := range p.Values {
		s.Fixed(v.Hash)
		s.F64(v.Weight)
		s.I64(int64(v.Day))
	}
}

// Decode reads what Encode wrote.
func (p *Palette) Decode(r *state.Reader) {
	r.F64s(&p.N, &p.Births)
	p.Values = nil
	for range r.Len(10) {
		p.Values = append(p.Values, Seen{r.Fixed(), r.F64(), int32(r.I64())})
	}
}

// Encode writes t, sorted by hash.
func (t *Table) Encode(s *state.Writer) {
	s.F64s(t.N, t.Births)
	encodeSparse(s, t.bins[:])
	s.U64(uint64(len(t.Values)))
	for _, h := range t.Keys() {
		s.Fixed(h)
		s.F64(t.Values[h])
	}
}

// Decode reads what Encode wrote.
func (t *Table) Decode(r *state.Reader) {
	r.F64s(&t.N, &t.Births)
	decodeSparse(r, t.bins[:])
	n := r.Len(9)
	t.Values = make(map[uint64]float64, n)
	for range n {
		h := r.Fixed()
		t.Values[h] = r.F64()
	}
}
