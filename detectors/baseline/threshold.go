package baseline

import "math"

// Ceiling is the largest p-value worth an alert: who asks for more alerts is
// shown what is less certain, in proportion.
func Ceiling(budget float64) float64 {
	return math.Min(MostP, float64(MaxP*math.Max(1, budget/PlainBudget)))
}

// Budget holds the expected number of false alerts a day at or below a
// ceiling. With N tests a day whose p-values satisfy P(p <= u) <= u, a
// threshold of budget/N gives at most budget expected false alerts whatever
// the dependence (linearity of expectation; no independence is needed). N is
// the larger of the forgetting mean of past days, today's count so far, and a
// floor for the first day. It is a ceiling, never a quota: the threshold is
// also at most Ceiling however few the tests are.
type Budget struct {
	Tests  float64 // forgetting mean of tests a day
	Today  float64 // tests on the day so far
	Alerts float64 // alerts on the day so far, critical ones apart
	Days   float64 // days completed, at most 1000
	Rate   float64 // forgetting mean of alerts a day
	Heat   float64 // ln of the tightening learnt from days over budget, >= 0
}

const (
	// MaxP is the largest p-value that is ever worth an alert to somebody who
	// asked for at most PlainBudget a day; see Ceiling.
	MaxP, PlainBudget = 1e-3, 5
	// MostP is the same whatever was asked for.
	MostP = 0.05
	// FirstDayTests is the number of tests assumed for a first day.
	FirstDayTests = 500
	// Safety is the share of the budget planned to be spent, because the
	// tests of a day are not known before its end.
	Safety = 0.5
)

// Test counts one test.
func (b *Budget) Test() { b.Today++ }

// EndDay closes a day and takes n days in all (n-1 empty ones follow).
func (b *Budget) EndDay(budget float64, n int64) {
	for i := int64(0); i < min(n, 30); i++ {
		w := 1.0 / math.Min(b.Days+1, 7)
		b.Tests += float64(w * (b.Today - b.Tests))
		b.Rate += (b.Alerts - b.Rate) / 7
		b.Days = math.Min(b.Days+1, 1000)
		if b.Alerts > budget {
			b.Heat = math.Min(6, b.Heat+Log(b.Alerts/budget))
		} else {
			b.Heat *= 0.9
		}
		b.Today, b.Alerts = 0, 0
	}
}

// Threshold is the p-value at or below which an alert is raised now. Once the
// day's budget is spent every further alert must be ten times rarer, and at
// twice the budget there are no more (0) on that day, but for critical ones.
func (b *Budget) Threshold(budget float64) float64 {
	if b.Alerts >= float64(2*budget) {
		return 0
	}
	p := b.Affords(budget)
	if over := b.Alerts - budget + 1; over > 0 {
		p *= Pow(10, -over)
	}
	return p
}

// Affords is the threshold as long as the day's budget is not spent: what the
// budget can pay for, 0 when there is none.
func (b *Budget) Affords(budget float64) float64 {
	if !(budget > 0) {
		return 0
	}
	tests := math.Max(b.Tests, b.Today)
	if b.Days < 1 {
		tests = math.Max(tests, FirstDayTests)
	}
	p := math.Min(Ceiling(budget), float64(Safety*budget)/math.Max(1, tests))
	return p * Exp(-b.Heat)
}

// Risk is an entity's accumulated evidence, halving every Half hours.
type Risk struct {
	Value float64 // sum of -log10 p
	At    int64   // Unix hours
}

// Add brings the risk to hour and adds evidence of p.
func (r *Risk) Add(hour int64, p, half float64) {
	r.Value = float64(r.Level(hour, half)) - Log(ClampP(p))/math.Ln10
	r.At = max(r.At, hour)
}

// Level is the risk at hour.
func (r Risk) Level(hour int64, half float64) float64 {
	if hour <= r.At {
		return r.Value
	}
	return r.Value * Exp(-math.Ln2*float64(hour-r.At)/half)
}
