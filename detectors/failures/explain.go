package failures

import (
	"fmt"
	"math"
	"slices"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

// kind is how the failures are spread.
type kind uint8

const (
	bruteForce kind = iota // many tries on few accounts: T1110.001
	spraying               // few tries on many accounts that exist: T1110.003
	stuffing               // about one try on many accounts, most unknown here, or from many addresses: T1110.004
	fatigue                // a second factor asked for again and again: T1621
)

// classify tells the attacks apart. No log holds the passwords, so it goes by
// the shape: tries an account, how many accounts, whether the tenant knows
// them, and how many addresses take part.
func classify(r detect.Role, w *window) kind {
	fan := w.others.Count()
	if w.mfa > w.fail/2 && fan < 5 {
		return fatigue
	}
	if r == detect.Actor { // one account from many addresses
		return bruteForce
	}
	if fan < 5 || w.fail/fan > 4 {
		return bruteForce
	}
	if w.fail/fan <= 1.5 && (w.strange >= w.fail/2 || w.sources.Count() >= fan/3) {
		return stuffing
	}
	return spraying
}

func (k kind) technique() string {
	return [...]string{"T1110.001", "T1110.003", "T1110.004", "T1621"}[k]
}

func (k kind) title() string {
	return [...]string{"Brute force", "Password spraying", "Credential stuffing", "MFA fatigue"}[k]
}

// Explain describes a window of failures, or the day when that is what is odd.
func (Detector) Explain(s *detect.Scope) detect.Explanation {
	e := s.State.(*entity)
	w := &e.win[max(0, s.Slot)]
	y := e.judge(s, w, false)
	span, over := detect.Window(s.Hour), "1 h"
	if s.Slot == 0 && e.win[1].fail > 0 {
		both := e.win[1].with(w)
		if b := e.judge(s, &both, false); 2*b.p < y.p {
			both.critical, both.p = w.critical, w.p
			w, y = &both, b
			span = detect.Start(s.Hour-1).Format("15:04") + "–" + detect.Start(s.Hour+1).Format("15:04") + " UTC on " + detect.Start(s.Hour).Format("2 January 2006")
			over = "2 h"
		}
	}
	if e.day.fail > 2*w.fail {
		if d := e.judge(s, &e.day, true); d.p < y.p {
			w2 := e.day
			w2.critical, w2.p = w.critical, w.p
			w, y = &w2, d
			span, over = detect.Start(s.Hour).Format("2 January 2006")+" (UTC)", "1 day"
		}
	}
	fan := w.others.Count()
	k := classify(s.Role, w)
	x := detect.Explanation{
		Observed: w.fail, Expected: round(y.expected.Mean), Unit: "failed sign-ins in " + over, P: w.p,
		Lower: y.expected.Quantile(0.025), Upper: y.expected.Quantile(0.975),
		Technique: []string{k.technique()},
	}
	if x.P == 0 {
		x.P = 1
	}
	names, taken := w.names()
	x.Title, x.Reason = sentence(s, w, k, names, span, fan)
	who := map[detect.Role]string{detect.Address: "this address", detect.Actor: "this account", detect.Tenant: "this tenant"}[s.Role]
	switch {
	case e.rate.Exposure >= trust:
		x.Reason += fmt.Sprintf("; %s normally fails %s times in %s", who, detect.Num(x.Expected), over)
		if x.Upper >= 1 {
			x.Reason += ", up to " + detect.Num(x.Upper)
		}
		x.Reason += "."
	default:
		x.Reason += fmt.Sprintf("; %s is hardly known yet, and of its like with failures %s would reach that count.", who, detect.Chance(y.count))
	}
	if len(taken) > 0 {
		x.Technique = append(x.Technique, "T1078")
		x.Title += ", then a successful sign-in"
		if s.Role == detect.Actor {
			x.Reason += fmt.Sprintf(" Then the sign-in succeeded from %s.", detect.List(taken, 0))
		} else {
			x.Reason += fmt.Sprintf(" Then %s signed in from the same address.", detect.List(taken, 0))
		}
	}
	typ := alert.User
	if s.Role == detect.Actor {
		typ = alert.Address
	}
	for i, n := range names {
		if i < 20 && n != "" {
			x.Related = append(x.Related, alert.Entity{Type: typ, ID: n})
		}
	}
	x.Counterfactual = e.counterfactual(s, w, over == "1 day", over)
	x.Plot = e.plot(s)
	var b state.Writer
	e.rate.Encode(&b)
	b.F64s(y.expected.Mean, y.expected.Size, y.count, y.fan, y.share, y.a, y.b, w.fail, w.ok, fan)
	x.Basis = b.Buf
	return x
}

// sentence is the title and the first half of the reason.
func sentence(s *detect.Scope, w *window, k kind, names []string, span string, fan float64) (title, reason string) {
	shown := make([]string, 0, len(names))
	for _, n := range names {
		if n == "" {
			n = "an empty name"
		}
		shown = append(shown, n)
	}
	fails := detect.Plural(w.fail, "failed sign-in")
	switch s.Role {
	case detect.Actor:
		return fmt.Sprintf("%s on %s from %s", k.title(), s.Entity.ID, detect.Plural(fan, "address")),
			fmt.Sprintf("%s had %s from %s (%s) in %s", s.Entity.ID, fails, detect.Plural(fan, "address"), detect.List(shown, int(fan)), span)
	case detect.Tenant:
		return fmt.Sprintf("%s across the tenant", k.title()),
			fmt.Sprintf("%s on %s (%s) from %s in %s", fails, detect.Plural(fan, "account"), detect.List(shown, int(fan)),
				detect.Plural(w.sources.Count(), "address"), span)
	}
	on := detect.Plural(fan, "account")
	if fan == 1 && len(shown) == 1 {
		on = shown[0]
	}
	title = fmt.Sprintf("%s on %s from %s", k.title(), on, s.Entity.ID)
	if fan > 1 {
		on += " (" + detect.List(shown, int(fan)) + ")"
	}
	return title, fmt.Sprintf("%s failed %s as %s in %s", s.Entity.ID, detect.Plural(w.fail, "sign-in"), on, span)
}

// names are the targets, most tried first, and those that gave way.
func (w *window) names() (names, taken []string) {
	ts := slices.Clone(w.targets)
	slices.SortStableFunc(ts, func(a, b target) int {
		switch {
		case a.n > b.n:
			return -1
		case a.n < b.n:
			return 1
		}
		return 0
	})
	for _, t := range ts {
		names = append(names, t.name)
		if t.taken {
			taken = append(taken, t.name)
		}
	}
	return names, taken
}

// counterfactual is the smallest count, at this fan-out in proportion, that
// would still have been one in a hundred.
func (e *entity) counterfactual(s *detect.Scope, w *window, day bool, over string) string {
	lo, hi := 1.0, w.fail
	for hi-lo > 1 {
		mid := math.Floor((lo + hi) / 2)
		t := window{fail: mid, ok: w.ok, mfa: w.mfa * mid / math.Max(1, w.fail)}
		if e.judge(s, &t, day).count <= 0.01 {
			hi = mid
		} else {
			lo = mid
		}
	}
	return fmt.Sprintf("Fewer than %s failed sign-ins in %s would not have been a finding by count.", detect.Num(hi), over)
}

func (e *entity) plot(s *detect.Scope) *alert.Plot {
	p := &alert.Plot{Detector: "failures", Title: "Failed sign-ins per hour", Unit: "failed sign-ins", StepSec: 3600}
	pd := e.rate.Predict(tenantPool(s).prior(), 1)
	lower, upper := pd.Quantile(0.025), pd.Quantile(0.975)
	slot := max(0, s.Slot)
	for h := s.Hour - ring + 1; h <= s.Hour; h++ {
		v := 0.0
		switch {
		case h == s.Hour:
			v = e.win[slot].fail
		case h <= e.ringEnd && h > e.ringEnd-ring:
			v = e.ring[at(h)]
		case h == s.Hour-1 && slot == 0:
			v = e.win[1].fail
		}
		p.Points = append(p.Points, alert.PlotPoint{
			Time: detect.Start(h), Observed: v, Expected: round(pd.Mean), Lower: lower, Upper: upper,
		})
	}
	return p
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }
