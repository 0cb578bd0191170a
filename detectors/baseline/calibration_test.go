package baseline

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func source(t testing.TB) *rand.Rand {
	s := rand.Uint64()
	if v := os.Getenv("TENANTWATCH_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		s = n
	}
	t.Logf("TENANTWATCH_SEED=%d", s)
	return rand.New(rand.NewPCG(s, 1))
}

// valid reports the largest z of "P(p <= u) <= u" over a few u. A right model
// exceeds 5 at one of six u with a chance below 2e-6, the test's stated rate
// of false failures.
func valid(ps []float64) float64 {
	worst := math.Inf(-1)
	for _, u := range []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.3} {
		n := 0.0
		for _, p := range ps {
			if p <= u {
				n++
			}
		}
		worst = math.Max(worst, (n-u*float64(len(ps)))/math.Sqrt(u*(1-u)*float64(len(ps))))
	}
	return worst
}

func check(t *testing.T, name string, right, wrong []float64) {
	t.Helper()
	if z := valid(right); z > 5 {
		t.Errorf("%s: P(p<=u) exceeds u by %.1f standard errors", name, z)
	}
	if z := valid(wrong); z <= 5 {
		t.Errorf("%s: the wrong model passes (z = %.1f): the test sees nothing", name, z)
	}
}

const draws = 40_000

func poisson(r *rand.Rand, m float64) float64 {
	return distuv.Poisson{Lambda: math.Max(m, 1e-12), Src: r}.Rand()
}

// Counts drawn from the model (a rate from the gamma posterior, a Poisson count
// from the rate) against the model; control: the rate taken as known.
func TestCountsAreCalibrated(t *testing.T) {
	r := source(t)
	var right, wrong []float64
	for range draws {
		shape, mean := 0.5+4*r.Float64(), 0.5+20*r.Float64()
		rate := distuv.Gamma{Alpha: shape, Beta: shape / mean, Src: r}.Rand()
		n := poisson(r, rate)
		right = append(right, NegBin{mean, shape}.Tail(n))
		wrong = append(wrong, NegBin{mean, 1e6}.Tail(n))
	}
	check(t, "negative binomial", right, wrong)
}

// A window is looked at only when something happened in it.
func TestActiveCountsAreCalibrated(t *testing.T) {
	r := source(t)
	var right, wrong []float64
	for len(right) < draws {
		d := NegBin{0.05 + 2*r.Float64(), 0.3 + 3*r.Float64()}
		n := poisson(r, distuv.Gamma{Alpha: d.Size, Beta: d.Size / d.Mean, Src: r}.Rand())
		if n == 0 {
			continue
		}
		right = append(right, d.TailActive(n))
		wrong = append(wrong, d.Tail(n))
	}
	check(t, "active windows", right, wrong)
}

func TestFailuresAreCalibrated(t *testing.T) {
	r := source(t)
	var right, wrong []float64
	for range draws {
		d := BetaBinomial{N: float64(1 + r.IntN(40)), A: 0.5 + 2*r.Float64(), B: 1 + 8*r.Float64()}
		q := distuv.Beta{Alpha: d.A, Beta: d.B, Src: r}.Rand()
		f := distuv.Binomial{N: d.N, P: q, Src: r}.Rand()
		right = append(right, d.Tail(f))
		wrong = append(wrong, BetaBinomial{N: d.N, A: 1000 * d.A, B: 1000 * d.B}.Tail(f))
	}
	check(t, "beta–binomial", right, wrong)
}

// Values drawn from the Pitman–Yor process itself: an actor's next value is
// one of its own or comes from the table. Control: a back-off that calls every
// new value impossible.
func TestNoveltyIsCalibrated(t *testing.T) {
	r := source(t)
	var right, wrong []float64
	for range 20 { // tables: one alone may know a single value and test nothing
		a, b := fromOneTable(r)
		right, wrong = append(right, a...), append(wrong, b...)
	}
	check(t, "novelty", right, wrong)
}

func fromOneTable(r *rand.Rand) (right, wrong []float64) {
	var tab Table
	fresh := uint64(1)
	fromTable := func() uint64 {
		u := r.Float64() * (Concentration + tab.N)
		for _, h := range tab.Keys() {
			if u -= tab.Values[h] - Discount; u < 0 {
				return h
			}
		}
		fresh++
		return Hash(strconv.FormatUint(fresh, 10))
	}
	for range 400 {
		tab.Learn(fromTable())
	}
	for range 20 {
		var p Palette
		for day := range int32(40) {
			u := r.Float64() * (Concentration + p.N)
			var h uint64
			for _, v := range p.Values {
				if u -= v.Weight - Discount; u < 0 {
					h = v.Hash
					break
				}
			}
			pv := 1.0
			if h == 0 {
				h = fromTable()
				if p.Find(h) < 0 {
					prob, tail := tab.Look(h, 0, 1)
					pv = p.Tail(prob, tail)
				}
			}
			w := pv
			if pv < 1 {
				w = pv * pv * 1e-2
			}
			right, wrong = append(right, pv), append(wrong, w)
			p.Learn(h, day+1)
		}
	}
	return right, wrong
}

func TestTruncatedProductIsCalibrated(t *testing.T) {
	r := source(t)
	var right, wrong []float64
	for range draws {
		ps := []float64{r.Float64(), r.Float64(), r.Float64()}
		right = append(right, TruncatedProduct(ps, 3, 0.05))
		wrong = append(wrong, TruncatedProduct(ps, 1, 0.05))
	}
	check(t, "truncated product", right, wrong)
}

// Cauchy's combination of dependent p-values holds in the tail, where it is
// used, for independent and for nearly equal ones; the control is the smallest
// of them.
func TestCauchyIsCalibrated(t *testing.T) {
	r := source(t)
	for _, rho := range []float64{0, 0.5, 0.99} {
		var right, wrong []float64
		for range draws {
			shared := r.NormFloat64()
			ps := make([]float64, 3)
			low := 1.0
			for i := range ps {
				z := math.Sqrt(rho)*shared + math.Sqrt(1-rho)*r.NormFloat64()
				ps[i] = math.Erfc(z/math.Sqrt2) / 2
				low = math.Min(low, ps[i])
			}
			// Liu and Xie: asymptotically exact; at p = 0.01 within a few per cent.
			right = append(right, math.Min(1, 1.25*Cauchy(ps)))
			wrong = append(wrong, low)
		}
		tail := func(ps []float64) (out []float64) {
			for _, p := range ps {
				if p > 0.06 {
					p = 1
				}
				out = append(out, p)
			}
			return out
		}
		if z := valid(tail(right)); z > 5 {
			t.Errorf("correlation %v: P(p<=u) exceeds u by %.1f standard errors", rho, z)
		}
		if z := valid(wrong); rho < 0.9 && z <= 5 {
			t.Errorf("correlation %v: the smallest passes: the test sees nothing", rho)
		}
	}
}

// A model whose p-values are too small by a power is found out: after some
// days the recalibrated ones hold, while the model's own do not.
func TestCalibratorFindsAWrongModelOut(t *testing.T) {
	r := source(t)
	var c Calibrator
	var right, wrong []float64
	for i := range 2 * draws {
		p := math.Pow(r.Float64(), 2) // twice the evidence there is
		if i > 2000 {
			right, wrong = append(right, c.P(p)), append(wrong, p)
		}
		c.Learn(p, false)
	}
	check(t, "recalibration", right, wrong)
}

// With valid p-values the alerts of a day stay within the budget in the mean,
// whatever the budget and the number of tests; the control, a threshold that
// does not know of the budget, does not.
func TestBudgetIsACeiling(t *testing.T) {
	r := source(t)
	for _, budget := range []float64{1, 5, 20} {
		var b Budget
		alerts, control := 0.0, 0.0
		const days = 300
		for range days {
			for range 8000 + r.IntN(8000) {
				b.Test()
				p := r.Float64()
				if p <= b.Threshold(budget) {
					b.Alerts++
					alerts++
				}
				if p <= 0.01 {
					control++
				}
			}
			b.EndDay(budget, 1)
		}
		if alerts/days > budget {
			t.Errorf("budget %v: %.2f alerts a day", budget, alerts/days)
		}
		if budget >= 5 && alerts/days < budget/20 {
			t.Errorf("budget %v: only %.2f alerts a day: the threshold is needlessly tight", budget, alerts/days)
		}
		if control/days <= budget {
			t.Errorf("budget %v: the control stays within it", budget)
		}
	}
}
