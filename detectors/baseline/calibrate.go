package baseline

import "math"

// Calibrator turns a model's p-value into one that held true on this stream:
// the rank of the statistic x = -ln p among those of past windows
// (conformal: (1+#{past >= x})/(1+n), Vovk et al. 2005) where that resolves,
// and beyond it an exponential tail of x, that is a power law of p, the
// generalised Pareto tail of 1/p (Pickands 1975) with its scale fitted to the
// excesses. Windows that raised an alert may be counted as censored at their
// threshold. The runner does so only while alerts take up much of the budget:
// an attack must not teach the stream that attacks are normal, but a model
// that is wrong every day must be found out.
type Calibrator struct {
	Bins     [96]float64 // windows by x, CalStep apart
	N        float64
	Excess   float64 // decayed sum of excesses over CalFrom
	Resolved float64 // decayed number of uncensored excesses
}

const (
	// CalStep is the width of a bin of -ln p.
	CalStep = 0.25
	// CalFrom is the -ln p from which excesses are fitted: p = 0.004.
	CalFrom = 5.5
	// calHeft is how many excesses the belief "the model is right, or nearly"
	// is worth, and calScale the scale believed.
	calHeft, calScale = 4.0, 1.25
)

// Decay multiplies all that is remembered by f in [0,1].
func (c *Calibrator) Decay(f float64) {
	c.N *= f
	c.Excess *= f
	c.Resolved *= f
	for i := range c.Bins {
		c.Bins[i] *= f
	}
}

// Learn adds the smallest p-value of a window. When the window raised an
// alert, censored is true and p is where the alert was raised.
func (c *Calibrator) Learn(p float64, censored bool) {
	x := -Log(ClampP(p))
	i := min(int(x/CalStep), len(c.Bins)-1)
	c.Bins[i]++
	c.N++
	if x > CalFrom {
		c.Excess += x - CalFrom
		if !censored {
			c.Resolved++
		}
	}
}

// Scale is the fitted scale of the excesses, at least 1: a stream may show
// that a model is too sure, never that it is not sure enough.
func (c *Calibrator) Scale() float64 {
	return math.Max(1, (float64(calHeft*calScale)+c.Excess)/(calHeft+c.Resolved))
}

// Calibration is what a Calibrator knows about one p-value: enough to
// recalibrate it again.
type Calibration struct {
	Mass  float64 // weight of the windows at least as odd; beyond CalFrom: of those beyond it
	N     float64 // weight of all windows
	Scale float64 // of the tail
}

// At is the calibration of a model's p-value.
func (c *Calibrator) At(p float64) Calibration {
	x := -Log(ClampP(p))
	k := Calibration{N: c.N}
	if x > CalFrom {
		for j := int(CalFrom / CalStep); j < len(c.Bins); j++ {
			k.Mass += c.Bins[j]
		}
		k.Scale = c.Scale()
		return k
	}
	// The whole bin: rather too large than too small.
	for j := len(c.Bins) - 1; j >= min(int(x/CalStep), len(c.Bins)-1); j-- {
		k.Mass += c.Bins[j]
	}
	return k
}

var calBelief = float64(calHeft * Exp(-CalFrom) * 10)

// P is the recalibrated p-value; never below the model's own.
func (k Calibration) P(p float64) float64 {
	p = ClampP(p)
	x := -Log(p)
	tail := 1.0
	if x > CalFrom {
		pu := (k.Mass + calBelief) / (k.N + calHeft*10)
		tail = math.Min(1, pu) * Exp(-(x-CalFrom)/k.Scale)
	} else {
		tail = (k.Mass + 1) / (k.N + 1)
	}
	return math.Max(p, ClampP(tail))
}

// P is the recalibrated p-value; never below the model's own.
func (c *Calibrator) P(p float64) float64 { return c.At(p).P(p) }
