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
	m, e := frexp(n) // n = m 2^e, m in [1/2,1)
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

// lows are the lower edges of the bins.
var lows = func() (v [48]float64) {
	for b := range v {
		v[b] = binLow(b)
	}
	return v
}()

// Tail is P(N >= n) for a window of an unknown member.
func (p *Population) Tail(n float64, prior PopulationPrior) float64 {
	if n <= 1 {
		return 1
	}
	b := bin(n)
	above := 0.0
	for i := len(p.Bins) - 1; i >= b; i-- {
		above += p.Bins[i]
	}
	reach := above // the whole bin of n counts: never too small
	// What lies above the edge of each lower bin is carried on to n, and the
	// most that any brings counts. Which one may be it is told by a cheap power
	// that is right to 1e-12; only those are computed to the last bit.
	rough, most := [48]float64{}, reach*(1-slackPow)
	for i := b - 1; i >= 0; i-- {
		above += p.Bins[i]
		if above > 0 {
			rough[i] = above * roughPow(lows[i]/n, prior.Alpha)
			most = max(most, rough[i])
		}
	}
	most *= 1 - slackPow
	above = reach
	for i := b - 1; i >= 0; i-- {
		above += p.Bins[i]
		if above > 0 && !(rough[i] < most) {
			if v := above * Pow(lows[i]/n, prior.Alpha); v > reach {
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

// slackPow is far more than roughPow and Pow differ by.
const slackPow = 1e-9

// roughPow is about x^y for x in (0,1] where y is a multiple of 1/2 up to 4, by
// multiplication; otherwise Pow.
func roughPow(x, y float64) float64 {
	switch y {
	case 1:
		return x
	case 1.5:
		return x * math.Sqrt(x)
	case 2:
		return x * x
	case 3:
		return x * x * x
	case 4:
		return (x * x) * (x * x)
	}
	return Pow(x, y)
}

// Pow is x^y for x > 0.
func Pow(x, y float64) float64 { return Exp(float64(y * Log(x))) }
