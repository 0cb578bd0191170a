package baseline

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func TestStudentTailAgainstGonum(t *testing.T) {
	for _, v := range []float64{1, 3, 4.5, 12, 90} {
		d := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: v}
		for _, x := range []float64{-6, -1, 0, 0.3, 2, 5, 20} {
			if got, want := StudentTail(x, v), d.Survival(x); math.Abs(got-want) > 1e-9*(1+want) && math.Abs(got/want-1) > 1e-6 {
				t.Errorf("tail of %v at %v degrees of freedom is %v, want %v", x, v, got, want)
			}
		}
	}
}

// Mean and variance drawn from the belief, a few amounts learnt, the next one
// tested; control: the deviation believed is half the true one, and believed
// firmly.
func TestAmountIsCalibrated(t *testing.T) {
	r := source(t)
	pr := AmountPrior{Mean: 14, Dev: 1.5, Heft: 1, Freedom: 4}
	var right, wrong []float64
	for i := range draws {
		sd := pr.Dev * math.Sqrt(pr.Freedom/distuv.ChiSquared{K: pr.Freedom, Src: r}.Rand())
		mu := pr.Mean + sd*r.NormFloat64()/math.Sqrt(pr.Heft)
		var a Amount
		for range i % 12 {
			a.Learn(mu + sd*r.NormFloat64())
		}
		x := mu + sd*r.NormFloat64()
		right = append(right, a.Tail(x, pr))
		wrong = append(wrong, a.Tail(x, AmountPrior{Mean: 14, Dev: 0.75, Heft: 1, Freedom: 400}))
	}
	check(t, "amount", right, wrong)
}
