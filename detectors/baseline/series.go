package baseline

import "math"

// SX are experiment knobs.
var SX = []float64{200, 0.005, 4, 0.1, 0.01, 0.3, 300, 1, 0, 4, 1, 0.5, 0.5}

var fastA = [3]float64{0.3, 0.1, 0.03}

// Series scores a numeric time series one value at a time.
type Series struct {
	n      int
	last   float64
	fast   [3]float64
	slow   float64
	slots  [288]float64
	slotN  [288]float64
	errs   [6]float64
	scale  float64
	dev    [3]float64
	long   float64
	cal    [8]surprise
	tot    surprise
	sres   float64
	peak   float64
	peakAt int
}

// surprise ranks a statistic against its own past.
type surprise struct {
	n    float64
	bins [128]float64
}

func (s *surprise) p(z, pow float64) float64 {
	b := s.bin(z)
	above := 0.0
	for i := len(s.bins) - 1; i >= b; i-- {
		above += s.bins[i]
	}
	best := above
	acc := above
	for i := b - 1; i >= 0 && i >= b-40; i-- {
		acc += s.bins[i]
		if s.bins[i] > 0 {
			lo := Pow(2, float64(i)/4-8)
			if v := acc * Pow(lo/z, pow); v > best {
				best = v
			}
		}
	}
	return math.Min(1, (best+SX[3])/(s.n+1))
}

func (s *surprise) bin(z float64) int {
	if z < 1.0/256 {
		return 0
	}
	b := int(math.Floor(4 * (math.Log2(z) + 8)))
	return min(max(b, 0), len(s.bins)-1)
}

func (s *surprise) learn(z float64) { s.bins[s.bin(z)]++; s.n++ }

// Score takes the next value; t is Unix seconds.
func (s *Series) Score(t int64, v float64) float64 {
	if v != v || math.IsInf(v, 0) {
		return 0
	}
	slot := int(((t%86400)+86400)%86400) / int(SX[6])
	if s.n == 0 {
		s.last, s.slow = v, v
		s.fast = [3]float64{v, v, v}
		s.n = 1
		s.slots[slot], s.slotN[slot] = v, 1
		return 0
	}
	season := s.slow
	if s.slotN[slot] > 0 {
		season = s.slots[slot]
	}
	preds := [6]float64{s.last, s.fast[0], s.fast[1], s.slow, season, season + s.sres}
	best := 0
	for i := range preds {
		if s.errs[i] < s.errs[best] {
			best = i
		}
	}
	r := math.Abs(v - preds[best])
	floor := 1e-9 + SX[4]*math.Abs(s.slow)*0.1
	var z [8]float64
	k := 0
	add := func(x float64) { z[k] = x; k++ }
	add(r / (s.scale + floor))
	for i := range s.fast {
		add(math.Abs(s.fast[i]-s.slow) / (s.scale + floor))
	}
	for i := range s.dev {
		q := (s.dev[i] + floor) / (s.long + floor)
		if q < 1 {
			q = 1 / q
		}
		add(q)
	}
	if SX[8] > 0 {
		add(math.Abs(s.sres) / (s.scale + floor))
	}
	out := 0.0
	if s.n > 30 {
		S := 0.0
		ps := make([]float64, k)
		for i := range k {
			ps[i] = s.cal[i].p(z[i], SX[2])
			S -= Log(ps[i])
		}
		c := -Log(Cauchy(ps))
		S = SX[11]*S/float64(k) + SX[12]*c
		x := S
		if SX[10] > 0 {
			x = -Log(s.tot.p(S, SX[9]))
		}
		s.tot.learn(S)
		mem := s.peak * math.Pow(2, -float64(s.n-s.peakAt)/SX[0])
		if x > mem {
			out = x - mem
			s.peak, s.peakAt = x, s.n
			out = out / (out + 5)
		}
	}
	for i := range k {
		s.cal[i].learn(z[i])
	}
	w := math.Max(SX[1], 1/float64(s.n))
	for i := range preds {
		s.errs[i] += w * (math.Abs(v-preds[i]) - s.errs[i])
	}
	s.scale += w * (r - s.scale)
	d := math.Abs(v - s.last)
	for i := range s.dev {
		s.dev[i] += math.Max(fastA[i]/2, 1/float64(s.n)) * (d - s.dev[i])
	}
	s.long += w * (d - s.long)
	for i := range s.fast {
		s.fast[i] += math.Max(fastA[i], 1/float64(s.n)) * (v - s.fast[i])
	}
	s.sres += math.Max(0.1, 1/float64(s.n)) * (v - season - s.sres)
	s.slow += w * (v - s.slow)
	s.slotN[slot]++
	s.slots[slot] += math.Max(SX[5], 1/s.slotN[slot]) * (v - s.slots[slot])
	s.last = v
	s.n++
	return out
}
