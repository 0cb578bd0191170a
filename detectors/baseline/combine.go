package baseline

import "math"

// Cauchy combines p-values that may depend on one another in any way: the
// tail of the mean of tan((1/2-p)π) is about that of a standard Cauchy
// (Liu and Xie 2020, doi:10.1080/01621459.2018.1554485), and for small p it is
// n times the smallest, or less when several agree. p-values are cut to 0.99,
// so that a discrete one of 1 cannot cancel strong evidence; it still weighs
// against weak evidence, so what was not tested should be left out. An empty list is 1.
func Cauchy(ps []float64) float64 {
	if len(ps) == 0 {
		return 1
	}
	if len(ps) == 1 {
		return ClampP(ps[0])
	}
	sum := 0.0
	for _, p := range ps {
		sum += cot(math.Min(ClampP(p), 0.99))
	}
	return ClampP(acot(sum / float64(len(ps))))
}

// cot is 1/tan(pπ) for p in (0,1), by the series near 0 and sine and cosine
// series elsewhere.
func cot(p float64) float64 {
	if p < 1e-9 {
		return 1 / (math.Pi * p)
	}
	if p > 0.5 {
		return -cot(1 - p)
	}
	x := float64(math.Pi * p) // in (0, π/2]
	s, c, t := 0.0, 0.0, 1.0
	for i := 0; i < 24; i += 2 { // both Taylor series in one pass
		c += t
		t = float64(t*x) / float64(i+1)
		s += t
		t = -float64(t*x) / float64(i+2)
	}
	return c / s
}

// acot is the p in (0,1) with 1/tan(pπ) = v.
func acot(v float64) float64 {
	if v < 0 {
		return 1 - acot(-v)
	}
	if v > 1 {
		return atanSeries(1/v) / math.Pi
	}
	return 0.5 - atanSeries(v)/math.Pi
}

// atanSeries is arctan for x in [0,1]: two halvings of the angle, then the
// series.
func atanSeries(x float64) float64 {
	for range 2 {
		x = x / (1 + math.Sqrt(1+float64(x*x)))
	}
	q := float64(x * x) // at most 0.04
	s := 0.0
	for i := 23; i >= 1; i -= 2 {
		s = 1/float64(i) - float64(q*s)
	}
	return float64(4*x) * s
}

// Points spreads total over the weights in whole numbers by the method of the
// largest remainder (Hamilton); ties go to the earlier. The parts sum to total
// exactly. Weights that are all zero share evenly.
func Points(total int64, weights []float64) []int64 {
	out := make([]int64, len(weights))
	if len(weights) == 0 {
		return out
	}
	sum := 0.0
	for _, w := range weights {
		sum += math.Max(0, w)
	}
	rest := make([]float64, len(weights))
	left := total
	for i, w := range weights {
		share := 1 / float64(len(weights))
		if sum > 0 {
			share = math.Max(0, w) / sum
		}
		exact := float64(float64(total) * share)
		whole := math.Floor(exact)
		out[i], rest[i] = int64(whole), exact-whole
		left -= int64(whole)
	}
	for ; left > 0; left-- {
		best := 0
		for i := range rest {
			if rest[i] > rest[best] {
				best = i
			}
		}
		out[best]++
		rest[best] = -1
	}
	for ; left < 0; left++ { // rounding up of the shares: take from the largest
		best := 0
		for i := range out {
			if out[i] > out[best] {
				best = i
			}
		}
		out[best]--
	}
	return out
}

// TruncatedProduct combines independent p-values of which some were not
// tested: w is the product of those at or below tau, n the number of all. Its
// tail is Σ_k C(n,k) (1-τ)^(n-k) P(product of k uniforms below τ <= w)
// (Zaykin et al. 2002, doi:10.1002/gepi.0042). Evidence of several kinds at
// once counts for more than the strongest of them alone.
func TruncatedProduct(ps []float64, n int, tau float64) float64 {
	lnw, any := 0.0, false
	for _, p := range ps {
		if p <= tau {
			lnw += Log(ClampP(p))
			any = true
		}
	}
	if !any || n < 1 {
		return 1
	}
	lnTau := Log(tau)
	sum, choose := 0.0, 1.0
	for k := 1; k <= n; k++ {
		choose = choose * float64(n-k+1) / float64(k)
		rest := 1.0
		for range n - k {
			rest *= 1 - tau
		}
		// P(product of k uniforms on (0,τ) <= w), without the τ^k.
		part := Exp(float64(float64(k) * lnTau))
		if gap := float64(float64(k)*lnTau) - lnw; gap > 0 {
			term, inner := 1.0, 0.0
			for s := range k {
				inner += term
				term = term * gap / float64(s+1)
			}
			part = Exp(lnw) * inner
		}
		sum += float64(float64(choose*rest) * part)
	}
	return ClampP(sum)
}
