package baseline

import (
	"math"

	"github.com/tenantwatch/tenantwatch/detectors/state"
)

// Amount is what is remembered of positive amounts (bytes of a day): their
// logarithms, normal with unknown mean and variance under the conjugate
// normal–inverse-gamma belief, so that the next one's logarithm is Student-t
// distributed (Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.3).
// On the scale of the amounts that is heavier than a log-normal and than any
// power law.
type Amount struct {
	N, Sum, Sq float64 // decayed number, sum and sum of squares of ln x
}

// AmountPrior is what is believed of an amount not yet seen: the mean and
// deviation of ln x, and how many observations the two are worth.
type AmountPrior struct{ Mean, Dev, Heft, Freedom float64 }

// Decay multiplies all that is remembered by f in [0,1].
func (a *Amount) Decay(f float64) { a.N *= f; a.Sum *= f; a.Sq *= f }

// Learn adds an amount above 0 by its logarithm.
func (a *Amount) Learn(ln float64) {
	a.N++
	a.Sum += ln
	a.Sq += float64(ln * ln)
}

// Predict is the centre, scale and freedom of the next logarithm.
func (a Amount) Predict(p AmountPrior) (centre, scale, freedom float64) {
	k, v := p.Heft+a.N, p.Freedom+a.N
	centre = (float64(p.Heft*p.Mean) + a.Sum) / k
	ss := float64(p.Freedom * float64(p.Dev*p.Dev))
	if a.N > 0 {
		m := a.Sum / a.N
		ss += max(0, a.Sq-float64(a.Sum*m)) + float64(float64(p.Heft*a.N/k)*float64((m-p.Mean)*(m-p.Mean)))
	}
	return centre, math.Sqrt(ss / v * (1 + 1/k)), v
}

// Tail is P(ln X >= ln).
func (a Amount) Tail(ln float64, p AmountPrior) float64 {
	c, s, v := a.Predict(p)
	return StudentTail((ln-c)/s, v)
}

var lnGammaHalf = LogGamma(0.5)

// StudentTail is P(T >= t) of Student's t with v degrees of freedom, by the
// incomplete beta function (Abramowitz and Stegun 26.7.1).
func StudentTail(t, v float64) float64 {
	half := 0.5 * regIncBeta(v/2, 0.5, v/(v+float64(t*t)), lnGammaHalf)
	if t < 0 {
		return ClampP(1 - half)
	}
	return ClampP(half)
}

// Encode writes a.
func (a *Amount) Encode(w *state.Writer) { w.F64s(a.N, a.Sum, a.Sq) }

// Decode reads what Encode wrote.
func (a *Amount) Decode(r *state.Reader) { r.F64s(&a.N, &a.Sum, &a.Sq) }
