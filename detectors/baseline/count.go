package baseline

import "math"

// NegBin is the negative binomial distribution of a count with the given mean
// and size r: P(N=n) = Γ(n+r)/(n! Γ(r)) (r/(r+m))^r (m/(r+m))^n. It is the
// predictive distribution of a Poisson count whose rate is gamma distributed
// (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6); its variance
// is m + m²/r.
type NegBin struct{ Mean, Size float64 }

// Tail is P(N >= n) = I_{m/(r+m)}(n, r).
func (d NegBin) Tail(n float64) float64 {
	if n <= 0 || !(d.Mean > 0) {
		return 1
	}
	return ClampP(RegIncBeta(n, d.Size, d.Mean/(d.Mean+d.Size)))
}

// TailActive is P(N >= n | N >= 1): a window is looked at only because
// something happened in it, so that one event alone is no evidence.
func (d NegBin) TailActive(n float64) float64 {
	if n <= 1 {
		return 1
	}
	some := 1 - Exp(-float64(d.Size*Log(1+d.Mean/d.Size)))
	if some < 1e-12 { // the limit for a rate of zero
		some = 1e-12
	}
	return ClampP(d.Tail(n) / some)
}

// TailHeavy is TailActive with a heavier end: what people and machines do in
// an hour has power-law bursts that no two parameters fitted to the body
// foresee. From two deviations above the mean on, the tail is at least
// 0.05 ((m+2s+1)/n)³, a generalised Pareto tail of shape 1/3 spliced on at
// about the 95th percentile.
func (d NegBin) TailHeavy(n float64) float64 {
	if n <= 1 {
		return 1
	}
	knee := d.Mean + float64(2*math.Sqrt(d.Mean+float64(d.Mean*d.Mean)/d.Size)) + 1
	q := min(1, knee/n)
	return ClampP(max(d.TailActive(n), float64(0.05*float64(q*float64(q*q)))))
}

// Quantile is the smallest n with P(N <= n) >= q, by bisection; for the band
// of a plot.
func (d NegBin) Quantile(q float64) float64 {
	if !(d.Mean > 0) {
		return 0
	}
	hi := 1.0
	for d.Tail(hi+1) > 1-q && hi < 1e12 {
		hi *= 2
	}
	lo := -1.0 // P(N <= lo) < q
	for hi-lo > 1 {
		mid := math.Floor((lo + hi) / 2)
		if 1-d.Tail(mid+1) >= q {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

// CountRate is what is remembered of one entity's counts per window: sums
// under exponential forgetting. A window's exposure is its share of the
// season (1 on average). The relative dispersion phi (the variance beyond
// Poisson, in units of the squared mean) is estimated by moments, each window
// weighted by m²/(1+m)², so that quiet windows, which know little about it,
// count little.
type CountRate struct {
	Count    float64 // decayed sum of counts
	Exposure float64 // decayed sum of exposures
	Excess   float64 // decayed sum of ((n-m)²-m)/(1+m)²
	Weight   float64 // decayed sum of m²/(1+m)²
}

// CountPrior is what is believed of an entity not yet seen.
type CountPrior struct {
	Mean  float64 // expected count at exposure 1
	Shape float64 // gamma shape: how many events the belief is worth
	Phi   float64 // relative dispersion
	Heft  float64 // how many busy windows the belief in Phi is worth
}

// Decay multiplies all that is remembered by f in [0,1].
func (r *CountRate) Decay(f float64) {
	r.Count *= f
	r.Exposure *= f
	r.Excess *= f
	r.Weight *= f
}

// Learn adds a window of n events at the given exposure.
func (r *CountRate) Learn(n, exposure float64, prior CountPrior) {
	m := r.Rate(prior) * exposure
	s := float64((1 + m) * (1 + m))
	d := float64((n - m) * (n - m))
	r.Excess += (d - m) / s
	r.Weight += float64(m*m) / s
	r.Count += n
	r.Exposure += exposure
}

// Rate is the posterior mean count at exposure 1.
func (r CountRate) Rate(p CountPrior) float64 {
	return (p.Shape + r.Count) / (p.Shape/p.Mean + r.Exposure)
}

// Phi is the relative dispersion, shrunk to the prior's, in [0.02, 20].
func (r CountRate) Phi(p CountPrior) float64 {
	phi := (r.Excess + float64(p.Phi*p.Heft)) / (r.Weight + p.Heft)
	return min(20, max(0.02, phi))
}

// Predict is the distribution of the count of a window of the given exposure.
// Doubt about the rate and the rate's own restlessness add as relative
// variances: 1/size = 1/shape + phi.
func (r CountRate) Predict(p CountPrior, exposure float64) NegBin {
	shape := p.Shape + r.Count
	return NegBin{Mean: float64(r.Rate(p) * exposure), Size: 1 / (1/shape + r.Phi(p))}
}

// BetaBinomial is the distribution of the failures in N attempts when the
// probability of failing is Beta(A, B) distributed.
type BetaBinomial struct{ N, A, B float64 }

// Tail is P(F >= f), summed from f upwards by the ratio of neighbouring terms
// until they no longer matter.
func (d BetaBinomial) Tail(f float64) float64 {
	if f <= 0 {
		return 1
	}
	if f > d.N {
		return MinP
	}
	lb := func(a, b float64) float64 { return LogGamma(a) + LogGamma(b) - LogGamma(a+b) }
	choose := LogGamma(d.N+1) - LogGamma(f+1) - LogGamma(d.N-f+1)
	first := Exp(choose + lb(f+d.A, d.N-f+d.B) - lb(d.A, d.B))
	sum, term := 0.0, 1.0
	for k := f; ; k++ {
		sum += term
		if k >= d.N || term < float64(1e-16*sum) {
			break
		}
		term *= float64((d.N-k)*(k+d.A)) / float64((k+1)*(d.N-k-1+d.B))
	}
	return ClampP(first * sum)
}

// Mean is N A/(A+B).
func (d BetaBinomial) Mean() float64 { return d.N * d.A / (d.A + d.B) }
