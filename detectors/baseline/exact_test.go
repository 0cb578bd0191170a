package baseline_test

import (
	"encoding/binary"
	"math"
	"math/bits"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
)

// The fast forms must give the bits of the plain ones: alerts keep the numbers
// they were raised from.

func plainExp(x float64) float64 {
	k := math.Floor(float64(x*1.4426950408889634) + 0.5)
	r := float64(x-float64(k*6.93147180369123816490e-01)) - float64(k*1.90821492927058770002e-10)
	s := 1.0
	for i := 13; i >= 1; i-- {
		s = 1 + float64(float64(r*s)/float64(i))
	}
	return math.Ldexp(s, int(k))
}

func plainLog(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	f := (m - 1) / (m + 1)
	q := float64(f * f)
	s := 1.0 / 23
	for i := 21; i >= 1; i -= 2 {
		s = 1/float64(i) + float64(q*s)
	}
	k := float64(e)
	return float64(k*6.93147180369123816490e-01) + (float64(k*1.90821492927058770002e-10) + float64(2*float64(f*s)))
}

func plainTail(p *baseline.Population, n float64, prior baseline.PopulationPrior) float64 {
	if n <= 1 {
		return 1
	}
	var one baseline.Population
	one.Learn(n, 1)
	b := 0
	for one.Bins[b] == 0 {
		b++
	}
	above, reach := 0.0, 0.0
	for i := len(p.Bins) - 1; i >= 0; i-- {
		above += p.Bins[i]
		if i == b {
			reach = above
		}
		if i < b && above > 0 {
			low := math.Ldexp(1, i/2)
			if i%2 == 1 {
				low *= math.Sqrt2
			}
			if v := above * baseline.Pow(low/n, prior.Alpha); v > reach {
				reach = v
			}
		}
	}
	g := 1.0
	if n > prior.Scale {
		g = baseline.Pow(prior.Scale/n, prior.Alpha)
	}
	return baseline.ClampP((float64(prior.Weight*g) + reach) / (prior.Weight + p.N))
}

func plainHash(s string) uint64 {
	const k0, k1 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
	h := uint64(len(s))*k0 ^ k1
	for len(s) >= 8 {
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64([]byte(s[:8])), k0)
		h = hi ^ lo ^ k1
		s = s[8:]
	}
	var b [8]byte
	copy(b[:], s)
	hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(b[:]), k1)
	h = hi ^ lo
	h ^= h >> 29
	h *= k0
	return h ^ h>>32
}

func TestFastIsPlain(t *testing.T) {
	same := func(rt *rapid.T, what string, got, want float64) {
		if math.Float64bits(got) != math.Float64bits(want) {
			rt.Fatalf("%s = %v, the plain form gives %v", what, got, want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		for _, x := range rapid.SliceOfN(rapid.Float64Range(-708, 709), 1, 50).Draw(rt, "x") {
			same(rt, "Exp", baseline.Exp(x), plainExp(x))
			same(rt, "Exp", baseline.Exp(x/1000), plainExp(x/1000))
		}
		for _, x := range rapid.SliceOfN(rapid.Float64Range(0, math.MaxFloat64), 1, 50).Draw(rt, "y") {
			if x*1e-300 > 0 {
				same(rt, "Log", baseline.Log(x), plainLog(x))
				same(rt, "Log", baseline.Log(x*1e-300), plainLog(x*1e-300))
			}
		}
		s := rapid.String().Draw(rt, "s")
		if got, want := baseline.Hash(s), plainHash(s); got != want {
			rt.Fatalf("Hash(%q) = %x, want %x", s, got, want)
		}
		var p baseline.Population
		scale := rapid.Float64Range(1, 1e5).Draw(rt, "scale")
		for _, v := range rapid.SliceOfN(rapid.Float64Range(0, 1), 0, 60).Draw(rt, "counts") {
			p.Decay(0.97)
			p.Learn(v*v*v*scale, 1-v/2)
		}
		prior := baseline.PopulationPrior{
			Scale: 40, Weight: rapid.Float64Range(0.1, 50).Draw(rt, "weight"),
			Alpha: rapid.SampledFrom([]float64{1, 1.5, 2, 3, 4, 0.7}).Draw(rt, "alpha"),
		}
		for n := 0.5; n < 3*scale; n *= 1.37 {
			same(rt, "Tail", p.Tail(n, prior), plainTail(&p, n, prior))
		}
	})
	for _, x := range []float64{-708, 709, 0, 1e-310, -1e-310, 1, -1, math.SmallestNonzeroFloat64} {
		if got, want := baseline.Exp(x), plainExp(x); got != want {
			t.Errorf("Exp(%v) = %v, want %v", x, got, want)
		}
	}
	for _, x := range []float64{math.SmallestNonzeroFloat64, 1e-310, 0x1p-1022, 1, math.MaxFloat64, math.Sqrt2 / 2} {
		if got, want := baseline.Log(x), plainLog(x); got != want {
			t.Errorf("Log(%v) = %v, want %v", x, got, want)
		}
	}
}
