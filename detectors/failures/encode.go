package failures

import (
	"maps"
	"slices"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

func (w *window) encode(s *state.Writer) {
	s.F64s(w.fail, w.ok, w.strange, w.mfa, w.p, w.next)
	s.Bool(w.critical)
	w.others.Encode(s)
	w.sources.Encode(s)
	encodeTargets(s, w.targets)
}

func encodeTargets(s *state.Writer, ts []target) {
	s.U64(uint64(len(ts)))
	for _, t := range ts {
		s.Fixed(t.hash)
		s.F64(t.n)
		s.Str(t.name)
		s.Bool(t.taken)
	}
}

func decodeTargets(r *state.Reader) (ts []target) {
	for range r.Len(11) {
		ts = append(ts, target{r.Fixed(), r.F64(), r.Str(), r.Bool()})
	}
	return ts
}

func (w *window) decode(r *state.Reader) {
	r.F64s(&w.fail, &w.ok, &w.strange, &w.mfa, &w.p, &w.next)
	w.critical = r.Bool()
	w.others.Decode(r)
	w.sources.Decode(r)
	w.targets = decodeTargets(r)
}

func (e *entity) Encode(s *state.Writer) {
	e.rate.Encode(s)
	s.F64s(e.fails, e.oks)
	s.I64(e.since)
	e.win[0].encode(s)
	e.win[1].encode(s)
	e.day.encode(s)
	s.I64(e.dayAt)
	s.I64(e.ringEnd)
	s.F64s(e.ring[:]...)
	encodeTargets(s, e.struck)
	s.F64(e.struckP)
	s.I64(e.struckAt)
}

func (e *entity) Decode(r *state.Reader) {
	e.rate.Decode(r)
	r.F64s(&e.fails, &e.oks)
	e.since = r.I64()
	e.win[0].decode(r)
	e.win[1].decode(r)
	e.day.decode(r)
	e.dayAt = r.I64()
	e.ringEnd = r.I64()
	for i := range e.ring {
		e.ring[i] = r.F64()
	}
	e.struck = decodeTargets(r)
	e.struckP = r.F64()
	e.struckAt = r.I64()
}

func (p *pool) Encode(s *state.Writer) {
	p.rate.Encode(s)
	s.F64s(p.fails, p.oks, p.failing, p.second)
	for _, q := range []*baseline.Population{&p.hour, &p.hourFan, &p.daily, &p.dailyFan} {
		q.Encode(s)
	}
	s.I64(p.day)
	for _, m := range []map[uint64]int64{p.accounts, p.pairs} {
		s.U64(uint64(len(m)))
		for _, h := range slices.Sorted(maps.Keys(m)) {
			s.Fixed(h)
			s.I64(m[h])
		}
	}
}

func (p *pool) Decode(r *state.Reader) {
	p.rate.Decode(r)
	r.F64s(&p.fails, &p.oks, &p.failing, &p.second)
	for _, q := range []*baseline.Population{&p.hour, &p.hourFan, &p.daily, &p.dailyFan} {
		q.Decode(r)
	}
	p.day = r.I64()
	for _, m := range []*map[uint64]int64{&p.accounts, &p.pairs} {
		n := r.Len(9)
		*m = make(map[uint64]int64, n)
		for range n {
			h := r.Fixed()
			(*m)[h] = r.I64()
		}
	}
}
