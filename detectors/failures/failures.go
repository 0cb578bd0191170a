// Package failures notices failed sign-ins that are no mistyped passwords, and
// tells brute force, password spraying, credential stuffing and MFA fatigue apart by how
// many accounts and addresses take part. A success after such a burst is
// critical evidence.
//
// Model, for each address, account and tenant: the failures of an hour are
// negative binomial around the entity's own rate, mixed with the distribution
// over all entities of the tenant; the distinct accounts (for an account: the
// addresses) that failed have a distribution of their own; both again over the
// UTC day, for the slow ones. A beta–binomial test of the share that failed
// can only exonerate: an office behind one address fails often because it
// signs in often.
//
// An account is judged only when at least three addresses failed on it, a
// tenant when at least five on five accounts: less than that is the address's
// doing and told there. Techniques: T1110.001, T1110.003, T1110.004, T1621, T1078.
// Memory: 0.3 KiB an entity, up to 2 KiB while it is under attack.
package failures

import (
	"math"
	"strings"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
)

const (
	memory   = 14 * 24 // hours after which a window weighs 1/e
	poolDays = 30
	ring     = 36
	trust    = 24 // hours of own history that weigh as much as the population's
	// maxTargets is how many accounts or addresses a window names; beyond that
	// they are counted.
	maxTargets = 32
	// A fan-in or fan-out that small is not looked at for accounts and tenants.
	minAccountFan, minTenantFan = 3, 5
	// burst is the p-value of a window of failures after which a success is
	// taken for the attacker's.
	burst = 1e-4
	// pressed is the same when a second factor was asked for from a place that
	// the account never signed in from: then the password is known already.
	pressed = 1e-3
	// certain is the same for an account that was known to sign in from there:
	// the owner who mistypes many times is no attacker.
	certain = 1e-5
	// ripe is for how many hours a success is taken for the fruit of a burst.
	ripe = 24
	// targeted is how many failures make an account a target.
	targeted = 3
	maxKnown = 1 << 16 // accounts and pairs remembered by a tenant
)

// Detector is the failures detector; the zero value is ready.
type Detector struct{}

// Name is "failures".
func (Detector) Name() string { return "failures" }

// Version changes when a score could.
func (Detector) Version() string { return "1.1.0" }

// Roles are all three.
func (Detector) Roles() []detect.Role {
	return []detect.Role{detect.Address, detect.Actor, detect.Tenant}
}

// target is an account seen from an address, or an address seen from an
// account.
type target struct {
	hash  uint64
	n     float64
	name  string
	taken bool // a success after the failures
}

// window is an hour or a day of sign-ins.
type window struct {
	fail, ok float64
	strange  float64 // failures on accounts that never signed in
	mfa      float64 // failures of a second factor
	others   baseline.Fan
	sources  baseline.Fan // tenants only: addresses
	targets  []target
	p        float64 // smallest so far, 0 = none yet
	next     float64 // failures at which to look again
	critical bool
}

type entity struct {
	rate    baseline.CountRate // failures an hour
	fails   float64            // decayed failures and successes, for the share
	oks     float64
	since   int64
	win     [2]window
	day     window
	dayAt   int64
	ring    [ring]float64
	ringEnd int64
	// struck are the targets of the last burst that is over, until its fruit
	// can no longer be expected.
	struck   []target
	struckP  float64
	struckAt int64
}

// pool is what a tenant knows of one role's sign-ins.
type pool struct {
	rate            baseline.CountRate
	fails, oks      float64
	hour, hourFan   baseline.Population
	failing, second float64 // windows with failures, and those mostly of a second factor
	daily, dailyFan baseline.Population
	day             int64
	accounts, pairs map[uint64]int64 // last success, in days
}

// NewState is an entity's memory.
func (Detector) NewState(detect.Role) detect.State { return &entity{} }

// NewPool is a group's memory.
func (Detector) NewPool(detect.Role) detect.State {
	return &pool{accounts: map[uint64]int64{}, pairs: map[uint64]int64{}}
}

// The prior tails: how often benign entities fail how much, in hours with at
// least one failure. People mistype a few times and clients give up after a
// few tries; 50 windows of belief wear off as the tenant shows its own.
func countPrior(r detect.Role, day bool) baseline.PopulationPrior {
	p := baseline.PopulationPrior{Scale: 3, Alpha: 4, Weight: 50}
	if r == detect.Tenant {
		p.Scale = 15
	}
	if day {
		p.Scale *= 3
	}
	return p
}

func fanPrior(r detect.Role, day bool) baseline.PopulationPrior {
	p := baseline.PopulationPrior{Scale: 2, Alpha: 4, Weight: 50}
	if r == detect.Tenant {
		p.Scale = 10
	}
	if day {
		p.Scale *= 2
	}
	return p
}

// tenantPool is the widest pool: whom the tenant knows.
func tenantPool(s *detect.Scope) *pool { return s.Pools[len(s.Pools)-1].(*pool) }

func (p *pool) prior() baseline.CountPrior {
	global := baseline.CountPrior{Mean: 0.05, Shape: 1, Phi: 2, Heft: 5}
	return baseline.CountPrior{
		Mean: p.rate.Rate(global), Shape: 0.5, Phi: math.Max(0.5, p.rate.Phi(global)), Heft: 5,
	}
}

// share is the beta belief in the share of sign-ins that fail: the tenant's,
// worth six attempts, and the entity's own.
func (e *entity) share(p *pool) (a, b float64) {
	mu := (3 + p.fails) / (20 + p.fails + p.oks)
	return float64(6*mu) + e.fails, float64(6*(1-mu)) + e.oks
}

// parts are the tail probabilities behind a window's p.
type parts struct {
	count, fan, share float64
	p                 float64
	expected          baseline.NegBin
	a, b              float64
}

// judge computes the p-value of a window. It falls with every failure.
func (e *entity) judge(s *detect.Scope, w *window, day bool) parts {
	pl := tenantPool(s)
	counts, fans := &pl.hour, &pl.hourFan
	if day {
		counts, fans = &pl.daily, &pl.dailyFan
	}
	x := parts{fan: 1, share: 1, expected: e.rate.Predict(pl.prior(), 1)}
	pop := counts.Tail(w.fail, countPrior(s.Role, day))
	strange := 1 / (1 + float64(e.rate.Exposure/trust)*float64(e.rate.Exposure/trust))
	if day {
		x.expected = e.rate.Predict(pl.prior(), 24)
	}
	own := x.expected.TailActive(w.fail)
	x.count = float64((1-strange)*own) + float64(strange*pop)
	x.a, x.b = e.share(pl)
	d := baseline.BetaBinomial{N: w.fail + w.ok, A: x.a, B: x.b}
	if w.ok > 0 {
		x.share = math.Min(1, d.Tail(w.fail)/d.Tail(1))
	}
	fan := w.others.Count()
	if s.Role == detect.Tenant {
		fan = math.Min(fan, w.sources.Count())
	}
	if w.mfa > w.fail/2 {
		// Who mistypes a password seldom fails the second factor: the window is
		// one of a rare kind besides.
		x.count *= (1 + pl.second) / (5 + pl.failing)
	}
	x.p = x.count
	if fan > 1 { // one account is no fan-out, and was not tested for it
		x.fan = fans.Tail(fan, fanPrior(s.Role, day))
		// Half the threshold each: the smaller counts twice.
		x.p = math.Min(1, 2*math.Min(x.count, x.fan))
	}
	if w.fail < w.ok+w.fail/2 { // most sign-ins worked: the share must be odd as well
		x.p = math.Max(x.p, x.share)
	}
	switch {
	case s.Role == detect.Actor && fan < minAccountFan,
		s.Role == detect.Tenant && fan < minTenantFan:
		x.p = 1
	}
	return x
}

// Observe counts a sign-in.
func (Detector) Observe(s *detect.Scope) detect.Verdict {
	e := s.State.(*entity)
	if !s.Auth {
		return detect.Verdict{P: 1}
	}
	n := float64(s.Event.Count)
	e.turn(s)
	if s.Slot < 0 {
		if s.FailedAuth {
			e.rate.Count += n
			e.fails += n
		} else {
			e.oks += n
		}
		return detect.Verdict{P: 1}
	}
	w := &e.win[s.Slot]
	account, address := s.Event.Actor, s.Event.SrcIP
	if account == address {
		account = "" // the address stands in where the log names nobody
	}
	if !s.FailedAuth {
		return e.success(s, w, n, account, address)
	}
	if s.Explained && s.Role != detect.Address {
		return detect.Verdict{P: 1}
	}
	stranger := !s.Common.(*pool).knows(account)
	e.day.add(s.Role, n, account, address, stranger)
	w.add(s.Role, n, account, address, stranger)
	if secondFactor(s.Event.Action) {
		e.day.mfa += n
		w.mfa += n
	}
	if w.p == 0 {
		w.p = 1
	}
	if w.fail >= w.next && w.fail >= 2 || e.day.fail >= e.day.next && e.day.fail >= 2 {
		p := e.judge(s, w, false).p
		if s.Slot == 0 && e.win[1].fail > 0 {
			// A burst does not mind the full hour: it is looked at as one with
			// the hour before too, which counts as a second look.
			both := e.win[1].with(w)
			p = math.Min(p, 2*e.judge(s, &both, false).p)
		}
		if e.day.fail > w.fail {
			p = math.Min(p, 2*e.judge(s, &e.day, true).p)
		}
		w.p = math.Min(w.p, p)
		w.next = w.fail + math.Max(1, math.Floor(w.fail/16))
		e.day.next = e.day.fail + math.Max(1, math.Floor(e.day.fail/16))
	}
	return detect.Verdict{P: w.p, Evidence: true}
}

// success looks whether a sign-in that worked is the fruit of a burst: on an
// account that was a target, or that never before signed in from there.
func (e *entity) success(s *detect.Scope, w *window, n float64, account, address string) detect.Verdict {
	w.ok += n
	e.day.ok += n
	v := detect.Verdict{P: 1}
	if w.p != 0 {
		v.P = w.p
	}
	if account == "" || address == "" {
		return v
	}
	common := s.Common.(*pool)
	if s.Role == detect.Tenant { // the last role to see the event: now it is known
		common.remember(account, address, s.Hour/24)
		return v
	}
	known := common.paired(account, address)
	worst := v.P
	if o := e.win[1].p; s.Slot == 0 && o != 0 {
		worst = math.Min(worst, o)
	}
	if s.Hour-e.struckAt > ripe {
		e.struck, e.struckP = nil, 1
	}
	if len(e.struck) > 0 {
		worst = math.Min(worst, e.struckP)
	}
	limit := burst
	if !known && (w.mfa > w.fail/2 || s.Slot == 0 && e.win[1].mfa > e.win[1].fail/2) {
		limit = pressed
	}
	if worst > limit {
		return v
	}
	other := account
	if s.Role == detect.Actor {
		other = address
	}
	h := baseline.Hash(other)
	for i := range e.win {
		for j := range e.win[i].targets {
			t := &e.win[i].targets[j]
			if t.hash != h || known && (t.n < targeted || worst > certain) {
				continue
			}
			t.taken = true
			e.win[i].critical, v.Critical, v.Evidence, v.P = true, true, true, worst
		}
	}
	for i := range e.struck {
		t := &e.struck[i]
		if t.hash == h && !(known && (t.n < targeted || worst > certain)) {
			v.Critical, v.Evidence, v.P = true, true, worst
		}
	}
	if v.Critical {
		return v
	}
	if s.Role == detect.Actor && !known && w.others.Count() >= minAccountFan {
		w.targets = append(w.targets, target{hash: h, name: other, taken: true})
		w.critical, v.Critical, v.Evidence, v.P = true, true, true, worst
	}
	return v
}

// secondFactor reports whether an action asks for a second factor.
func secondFactor(action string) bool {
	for _, w := range [...]string{"mfa", "factor", "push", "otp", "2fa", "challenge", "duo", "webauthn"} {
		for i := 0; i+len(w) <= len(action); i++ {
			if strings.EqualFold(action[i:i+len(w)], w) {
				return true
			}
		}
	}
	return false
}

func (w *window) add(r detect.Role, n float64, account, address string, stranger bool) {
	w.fail += n
	if stranger {
		w.strange += n
	}
	name := account
	if r == detect.Actor {
		name = address
	}
	h := baseline.Hash(name)
	w.others.Add(h)
	if r == detect.Tenant {
		w.sources.Add(baseline.Hash(address))
	}
	for i := range w.targets {
		if w.targets[i].hash == h {
			w.targets[i].n += n
			return
		}
	}
	if len(w.targets) < maxTargets {
		w.targets = append(w.targets, target{hash: h, n: n, name: name})
	}
}

// with is two windows taken for one; distinct values are those of the one that
// has more.
func (w *window) with(o *window) window {
	b := window{fail: w.fail + o.fail, ok: w.ok + o.ok, strange: w.strange + o.strange, mfa: w.mfa + o.mfa, others: w.others, sources: w.sources}
	if o.others.Count() > w.others.Count() {
		b.others, b.sources = o.others, o.sources
	}
	b.targets = append(b.targets, w.targets...)
next:
	for _, t := range o.targets {
		for i := range b.targets {
			if b.targets[i].hash == t.hash {
				b.targets[i].n += t.n
				b.targets[i].taken = b.targets[i].taken || t.taken
				continue next
			}
		}
		b.targets = append(b.targets, t)
	}
	return b
}
