package baseline

import "math"

const (
	ln2Hi = 6.93147180369123816490e-01 // the upper 32 bits of ln 2
	ln2Lo = 1.90821492927058770002e-10
)

// Exp is e to the x, to about 2 units in the last place, with only operations
// that IEEE 754 rounds exactly (math.Exp has a different assembly form on each
// architecture). Below -708 it is 0, above 709 it is +Inf.
func Exp(x float64) float64 {
	switch {
	case x != x:
		return x
	case x < -708:
		return 0
	case x > 709:
		return math.Inf(1)
	}
	k := math.Floor(float64(x*1.4426950408889634) + 0.5)
	r := float64(x-float64(k*ln2Hi)) - float64(k*ln2Lo) // |r| <= ln2/2
	// Taylor by Horner, written out: the 14th term is below 1e-17. Halves,
	// quarters and eighths are exact, so they need no division.
	s := 1 + float64(r/13)
	s = 1 + float64(float64(r*s)/12)
	s = 1 + float64(float64(r*s)/11)
	s = 1 + float64(float64(r*s)/10)
	s = 1 + float64(float64(r*s)/9)
	s = 1 + float64(float64(r*s)*0.125)
	s = 1 + float64(float64(r*s)/7)
	s = 1 + float64(float64(r*s)/6)
	s = 1 + float64(float64(r*s)/5)
	s = 1 + float64(float64(r*s)*0.25)
	s = 1 + float64(float64(r*s)/3)
	s = 1 + float64(float64(r*s)*0.5)
	s = 1 + float64(r*s)
	// s 2^k: s is about 1 and |k| at most 1023, so the exponent has room.
	return math.Float64frombits(math.Float64bits(s) + uint64(int64(k))<<52)
}

// Log is the natural logarithm, to about 2 units in the last place, by
// ln m = 2 artanh((m-1)/(m+1)) after taking the exponent out. Log(0) is -Inf.
func Log(x float64) float64 {
	switch {
	case x != x || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case math.IsInf(x, 1):
		return x
	}
	m, e := frexp(x)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	f := (m - 1) / (m + 1) // |f| <= 0.1716
	q := float64(f * f)
	s := 1.0/21 + float64(q*(1.0/23))
	s = 1.0/19 + float64(q*s)
	s = 1.0/17 + float64(q*s)
	s = 1.0/15 + float64(q*s)
	s = 1.0/13 + float64(q*s)
	s = 1.0/11 + float64(q*s)
	s = 1.0/9 + float64(q*s)
	s = 1.0/7 + float64(q*s)
	s = 1.0/5 + float64(q*s)
	s = 1.0/3 + float64(q*s)
	s = 1 + float64(q*s)
	k := float64(e)
	return float64(k*ln2Hi) + (float64(k*ln2Lo) + float64(2*float64(f*s)))
}

// frexp is math.Frexp for x > 0, not infinite: x = m 2^e, m in [1/2,1).
func frexp(x float64) (m float64, e int) {
	b := math.Float64bits(x)
	if b < 1<<52 { // subnormal
		return math.Frexp(x)
	}
	return math.Float64frombits(b&(1<<52-1) | 1022<<52), int(b>>52) - 1022
}

// LogGamma is ln Γ(x) for x > 0: the recurrence up to x >= 10, then Stirling's
// series (Abramowitz and Stegun 6.1.41).
func LogGamma(x float64) float64 {
	if !(x > 0) {
		return math.NaN()
	}
	shift := 1.0
	for x < 10 {
		shift *= x
		x++
	}
	i := 1 / x
	q := float64(i * i)
	s := -691.0/360360 + float64(q*(1.0/156)) // the coefficients are B2k/(2k(2k-1))
	s = 1.0/1188 + float64(q*s)
	s = -1.0/1680 + float64(q*s)
	s = 1.0/1260 + float64(q*s)
	s = -1.0/360 + float64(q*s)
	s = 1.0/12 + float64(q*s)
	const halfLn2Pi = 0.91893853320467274178
	v := float64((x-0.5)*Log(x)) - x + halfLn2Pi + float64(i*s)
	if shift != 1 {
		v -= Log(shift)
	}
	return v
}

// RegIncBeta is the regularised incomplete beta function I_x(a, b) for a, b > 0
// and x in [0,1], by Lentz's evaluation of the continued fraction
// (Abramowitz and Stegun 26.5.8), on the side where it converges.
func RegIncBeta(a, b, x float64) float64 { return regIncBeta(a, b, x, 0) }

// regIncBeta is RegIncBeta where ln Γ(b) is known; 0 when it is not.
func regIncBeta(a, b, x, lnGammaB float64) float64 {
	switch {
	case x != x || !(a > 0) || !(b > 0):
		return math.NaN()
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	}
	if lnGammaB == 0 {
		lnGammaB = LogGamma(b)
	}
	front := LogGamma(a+b) - LogGamma(a) - lnGammaB + float64(a*Log(x)) + float64(b*Log(1-x))
	if x > (a+1)/(a+b+2) {
		return clamp01(1 - Exp(front)*betaFraction(b, a, 1-x)/b)
	}
	return clamp01(Exp(front) * betaFraction(a, b, x) / a)
}

func betaFraction(a, b, x float64) float64 {
	const tiny, eps = 1e-300, 1e-15
	safe := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c := 1.0
	d := 1 / safe(1-float64((a+b)*x)/(a+1))
	h := d
	for m := 1.0; m <= 10000; m++ {
		m2 := float64(2 * m)
		t := float64(float64(m*(b-m))*x) / float64((a+m2-1)*(a+m2))
		d = 1 / safe(1+float64(t*d))
		c = safe(1 + t/c)
		h = float64(float64(h*d) * c)
		t = -float64(float64((a+m)*(a+b+m))*x) / float64((a+m2)*(a+m2+1))
		d = 1 / safe(1+float64(t*d))
		c = safe(1 + t/c)
		step := float64(d * c)
		h = float64(h * step)
		if math.Abs(step-1) < eps {
			break
		}
	}
	return h
}

func clamp01(v float64) float64 {
	if v < 0 {
		return 0
	}
	if v > 1 {
		return 1
	}
	return v
}

// ClampP brings a probability into [MinP, 1]; NaN becomes 1, so that a failed
// computation never raises an alert.
func ClampP(p float64) float64 {
	switch {
	case p != p || p > 1:
		return 1
	case p < MinP:
		return MinP
	}
	return p
}
