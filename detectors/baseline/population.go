package baseline

import "math"

// Population is the distribution of a count per active window over all
// entities of a kind: what a member nobody knows yet may do, and what a
// known one may do when it changes its role. Counts fall into half-octave
// bins; a prior of Weight pseudo-windows with the tail min(1, (Scale/n)^Alpha)
// speaks while little was seen, and beyond what was seen the tail goes on as a
// power law with the same exponent (a generalised Pareto tail of shape
// 1/Alpha; Pickands 1975).
type Population struct {
	Bins [48]float64
	N    float64
}

// PopulationPrior is the prior's tail.
type PopulationPrior struct{ Scale, Alpha, Weight float64 }

func bin(n float64) int {
	if n < 1 {
		return 0
	}
	m, e := math.Frexp(n) // n = m 2^e, m in [1/2,1)
	b := 2 * (e - 1)
	if m >= math.Sqrt2/2 {
		b++
	}
	return min(b, 47)
}

// binLow is the lower edge of a bin.
func binLow(b int) float64 {
	v := math.Ldexp(1, b/2)
	if b%2 == 1 {
		v *= math.Sqrt2
	}
	return v
}

// Decay multiplies all that is remembered by f in [0,1].
func (p *Population) Decay(f float64) {
	p.N *= f
	for i := range p.Bins {
		p.Bins[i] *= f
	}
}

// Learn adds one window of n events with the given weight.
func (p *Population) Learn(n, weight float64) {
	p.Bins[bin(n)] += weight
	p.N += weight
}

// Tail is P(N >= n) for a window of an unknown member.
func (p *Population) Tail(n float64, prior PopulationPrior) float64 {
	if n <= 1 {
		return 1
	}
	b := bin(n)
	above, reach := 0.0, 0.0
	for i := len(p.Bins) - 1; i >= 0; i-- {
		above += p.Bins[i]
		if i == b {
			reach = above // the whole bin of n counts: never too small
		}
		if i < b && above > 0 {
			// What lies above the edge of bin i, carried on to n.
			if v := above * Pow(binLow(i)/n, prior.Alpha); v > reach {
				reach = v
			}
		}
	}
	g := 1.0
	if n > prior.Scale {
		g = Pow(prior.Scale/n, prior.Alpha)
	}
	return ClampP((float64(prior.Weight*g) + reach) / (prior.Weight + p.N))
}

// Pow is x^y for x > 0.
func Pow(x, y float64) float64 { return Exp(float64(y * Log(x))) }
