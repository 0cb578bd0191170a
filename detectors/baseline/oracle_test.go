package baseline

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

func close(t testing.TB, what string, got, want, rel float64) {
	t.Helper()
	if got == want {
		return
	}
	if d := math.Abs(got-want) / math.Max(math.Abs(want), 1e-290); !(d <= rel) {
		t.Fatalf("%s = %v, the oracle says %v (off by %.2g)", what, got, want, d)
	}
}

func TestElementaryFunctions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := rapid.Float64Range(-700, 700).Draw(rt, "x")
		close(t, "Exp", Exp(x), math.Exp(x), 1e-13)
		y := rapid.Float64Range(1e-300, 1e300).Draw(rt, "y")
		if d := math.Abs(Log(y) - math.Log(y)); d > 1e-13*math.Max(1, math.Abs(math.Log(y))) {
			t.Fatalf("Log(%v) is off by %v", y, d)
		}
		g := rapid.Float64Range(1e-3, 1e6).Draw(rt, "g")
		want, _ := math.Lgamma(g)
		if d := math.Abs(LogGamma(g) - want); d > 1e-12*math.Max(1, math.Abs(want)) {
			t.Fatalf("LogGamma(%v) = %v, want %v", g, LogGamma(g), want)
		}
	})
	for _, x := range []float64{0, 1, math.E, 1e-300} {
		close(t, "Log", Log(x), math.Log(x), 1e-13)
	}
	if !math.IsNaN(Log(-1)) || !math.IsInf(Log(0), -1) || Exp(-1e9) != 0 || !math.IsInf(Exp(1e9), 1) {
		t.Fatal("the edges are wrong")
	}
}

// Oracle: gonum's mathext (Cephes).
func TestRegIncBeta(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := rapid.Float64Range(0.05, 5000).Draw(rt, "a")
		b := rapid.Float64Range(0.05, 5000).Draw(rt, "b")
		x := rapid.Float64Range(0, 1).Draw(rt, "x")
		got, want := RegIncBeta(a, b, x), mathext.RegIncBeta(a, b, x)
		if want > 1e-250 {
			close(t, "RegIncBeta", got, want, 1e-8)
		}
	})
}

// The negative binomial against the sum of its own terms, and in the limit of
// a large size against gonum's Poisson.
func TestNegBinTail(t *testing.T) {
	for _, d := range []NegBin{{3, 0.5}, {0.2, 1.5}, {40, 7}} {
		below := 0.0
		for n := 0.0; n < 100; n++ {
			if want := 1 - below; want > 1e-6 {
				close(t, "Tail", d.Tail(n), want, 1e-6)
			}
			lp := LogGamma(n+d.Size) - LogGamma(n+1) - LogGamma(d.Size) + d.Size*math.Log(d.Size/(d.Size+d.Mean)) + n*math.Log(d.Mean/(d.Size+d.Mean))
			below += math.Exp(lp)
		}
	}
	p := distuv.Poisson{Lambda: 4}
	for n := 1.0; n < 15; n++ {
		close(t, "limit", NegBin{4, 1e8}.Tail(n), 1-p.CDF(n-1), 1e-5)
	}
	// With size 2 the tail has a closed form: q^k (1 + k p), p = r/(r+m).
	for k := 1.0; k < 40; k++ {
		close(t, "size 2", NegBin{5, 2}.Tail(k), math.Pow(5.0/7, k)*(1+k*2/7), 1e-10)
	}
}

func TestQuantileIsTheInverseOfTheTail(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := NegBin{rapid.Float64Range(0.01, 500).Draw(rt, "mean"), rapid.Float64Range(0.1, 50).Draw(rt, "size")}
		q := rapid.Float64Range(0.01, 0.99).Draw(rt, "q")
		n := d.Quantile(q)
		if 1-d.Tail(n+1) < q-1e-12 || n > 0 && 1-d.Tail(n) >= q+1e-12 {
			rt.Fatalf("quantile %v of %v is %v", q, d, n)
		}
	})
}

// The beta–binomial against its definition: the binomial tail integrated over
// the beta density.
func TestBetaBinomialTail(t *testing.T) {
	d := BetaBinomial{N: 12, A: 1.5, B: 6}
	beta := distuv.Beta{Alpha: d.A, Beta: d.B}
	for f := 1.0; f <= 12; f++ {
		sum := 0.0
		const steps = 20000
		for i := range steps {
			x := (float64(i) + 0.5) / steps
			sum += mathext.RegIncBeta(f, d.N-f+1, x) * beta.Prob(x) / steps
		}
		close(t, "Tail", d.Tail(f), sum, 1e-4)
	}
	if d.Tail(0) != 1 || d.Tail(13) != MinP {
		t.Fatal("the ends are wrong")
	}
}

func TestCauchyAgainstTheClosedForm(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ps := rapid.SliceOfN(rapid.Float64Range(1e-12, 0.9), 2, 6).Draw(rt, "p")
		sum := 0.0
		for _, p := range ps {
			sum += math.Tan((0.5 - p) * math.Pi)
		}
		want := 0.5 - math.Atan(sum/float64(len(ps)))/math.Pi
		if got := Cauchy(ps); math.Abs(got-want) > 1e-6*want+1e-11 {
			rt.Fatalf("Cauchy(%v) = %v, want %v", ps, got, want)
		}
	})
	if Cauchy(nil) != 1 || Cauchy([]float64{0.3}) != 0.3 {
		t.Fatal("one is itself and none is 1")
	}
	// Far out it is n times the smallest.
	close(t, "Cauchy", Cauchy([]float64{1e-200, 0.5}), 2e-200, 1e-6)
}

func TestPointsSumExactly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		total := rapid.Int64Range(0, 100_000).Draw(rt, "total")
		ws := rapid.SliceOfN(rapid.Float64Range(0, 1e6), 1, 9).Draw(rt, "weights")
		sum := int64(0)
		for _, p := range Points(total, ws) {
			if p < 0 {
				rt.Fatalf("a part is %d", p)
			}
			sum += p
		}
		if sum != total {
			rt.Fatalf("parts sum to %d, want %d", sum, total)
		}
	})
}

// The standard error is 6.5 %; 60 values of each size within 4 of it.
func TestFanCounts(t *testing.T) {
	for _, n := range []int{1, 16, 64, 65, 200, 1000, 20000} {
		var f Fan
		for i := range n {
			for range 2 {
				f.Add(Hash("value " + string(rune(i)) + string(rune(i>>8))))
			}
		}
		got := f.Count()
		if n <= 64 && got != float64(n) || math.Abs(got-float64(n)) > 0.26*float64(n) {
			t.Errorf("%d values are counted as %v", n, got)
		}
	}
}
