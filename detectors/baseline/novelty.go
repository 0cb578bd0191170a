package baseline

import (
	"math"
	"slices"
)

// The novelty model is a hierarchy of Pitman–Yor processes (Teh 2006,
// "A hierarchical Bayesian language model based on Pitman–Yor processes"):
// the next value is an old one with probability (c-d)/(θ+n), or drawn from the
// parent with probability (θ+dK)/(θ+n), where n observations of K values were
// seen. A value is counted once per unit (the callers take an entity and a
// day), so that a thousand requests of one session are one observation.
//
// The p-value of a value is the probability that the next one is as improbable
// or more so: the mass of all values that are not more probable.
const (
	// Concentration is θ, Discount is d.
	Concentration = 0.5
	Discount      = 0.3
)

// Seen is one value in a Palette.
type Seen struct {
	Hash   uint64
	Weight float64
	Day    int32 // the last unit in which it was counted
}

// Palette is what one entity is known to use: the last PaletteSize values.
type Palette struct {
	N      float64 // decayed observations
	Births float64 // decayed first sightings
	Values []Seen  // oldest sighting first
}

// PaletteSize bounds a palette: one that is full forgets its stalest value.
const PaletteSize = 24

// NewMass is the probability that the next value is one not seen before.
func (p *Palette) NewMass() float64 {
	return (Concentration + float64(discount(p.Births, p.N)*p.Births)) / (Concentration + p.N)
}

// discount is d: values of a Pitman–Yor process grow as n^d in number, so who
// keeps meeting new ones shows a larger d than is believed at first.
func discount(births, n float64) float64 {
	if births < 12 || n <= births {
		if births < 12 {
			return Discount
		}
		return 1
	}
	return math.Max(Discount, Log(births)/Log(n))
}

// Find is the index of a value, or -1.
func (p *Palette) Find(h uint64) int {
	for i := range p.Values {
		if p.Values[i].Hash == h {
			return i
		}
	}
	return -1
}

// Decay multiplies all that is remembered by f and forgets what has faded.
func (p *Palette) Decay(f float64) {
	p.N *= f
	p.Births *= f
	keep := p.Values[:0]
	for _, v := range p.Values {
		if v.Weight *= f; v.Weight > 0.02 {
			keep = append(keep, v)
		}
	}
	p.Values = keep
}

// Learn counts a value in a unit; a second time in the same unit is nothing.
// It reports whether it was counted.
func (p *Palette) Learn(h uint64, day int32) bool {
	i := p.Find(h)
	if i < 0 {
		if len(p.Values) >= PaletteSize {
			stale := 0
			for j := range p.Values {
				if p.Values[j].Day < p.Values[stale].Day {
					stale = j
				}
			}
			p.Values = append(p.Values[:stale], p.Values[stale+1:]...)
		}
		p.Values = append(p.Values, Seen{h, 1, day})
		p.N++
		p.Births++
		return true
	}
	return p.Again(i, day)
}

// Again is Learn for the value that Find found at i.
func (p *Palette) Again(i int, day int32) bool {
	v := &p.Values[i]
	if day <= v.Day {
		return false
	}
	v.Weight++
	v.Day = day
	p.N++
	return true
}

// Tail is the p-value of a value new to p, given its probability and p-value
// one level up.
func (p *Palette) Tail(prob, tail float64) float64 {
	mass := p.NewMass()
	own := float64(mass * prob)
	sum := float64(mass * tail)
	for _, v := range p.Values {
		if w := (v.Weight - Discount) / (Concentration + p.N); w <= own && w > 0 {
			sum += w
		}
	}
	return ClampP(sum)
}

// Table is what a group (a cohort, a tenant) is known to use, by value.
type Table struct {
	N      float64
	Births float64
	Values map[uint64]float64
	bins   [48]float64 // mass by the half-octave of the weight
}

// TableSize bounds a table: a full one stops taking new values, while their
// births are still counted, so that an endless set of values is known as such.
const TableSize = 4096

// NewMass is the probability that the next value is new to the group.
func (t *Table) NewMass() float64 {
	return (Concentration + float64(discount(t.Births, t.N)*t.Births)) / (Concentration + t.N)
}

// Learn counts a value.
func (t *Table) Learn(h uint64) {
	t.N++
	w, ok := t.Values[h]
	if !ok {
		t.Births++
		if len(t.Values) >= TableSize {
			return
		}
		if t.Values == nil {
			t.Values = make(map[uint64]float64)
		}
	} else {
		t.bins[bin(w*4)] -= w
	}
	t.Values[h] = w + 1
	t.bins[bin((w+1)*4)] += w + 1
}

// Decay multiplies all that is remembered by f and forgets what has faded.
func (t *Table) Decay(f float64) {
	t.N *= f
	t.Births *= f
	for h, w := range t.Values {
		if w *= f; w < 0.05 {
			delete(t.Values, h)
		} else {
			t.Values[h] = w
		}
	}
	t.Rebin()
}

// Rebin computes the bins anew, in the order of the hashes, so that the sums
// are the same bits whatever the map's order.
func (t *Table) Rebin() {
	t.bins = [48]float64{}
	for _, h := range t.Keys() {
		w := t.Values[h]
		t.bins[bin(w*4)] += w
	}
}

// Keys are the hashes, sorted.
func (t *Table) Keys() []uint64 {
	ks := make([]uint64, 0, len(t.Values))
	for h := range t.Values {
		ks = append(ks, h)
	}
	slices.Sort(ks)
	return ks
}

// Look is the probability of a value and its p-value in the group, given those
// one level up (a group without a parent passes 0 and 1: among values never
// seen none is odder than another).
func (t *Table) Look(h uint64, prob, tail float64) (float64, float64) {
	mass := t.NewMass()
	w, ok := t.Values[h]
	if !ok {
		return float64(mass * prob), ClampP(float64(mass * tail))
	}
	own := w / (Concentration + t.N)
	sum := 0.0
	for i := 0; i <= bin(w*4); i++ {
		if t.bins[i] > 0 {
			sum += t.bins[i]
		}
	}
	return own, ClampP(mass + sum/(Concentration+t.N))
}
