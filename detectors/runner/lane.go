package runner

import (
	"math"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

const (
	// findingP is the tail probability from which a detector's window is a
	// finding: alerted, folded, suppressed or below budget.
	findingP = 0.01
	// partP is up to which p a detector has a part in an alert's score.
	partP = 0.05
	// riskHalf is the half-life of an entity's risk in hours.
	riskHalf = 24
	maxNames = 1 << 16
	// maxCohorts bounds the pools of a tenant; more cohorts share the tenant's.
	maxCohorts = 256
	// suspicious is a p that says "worth remembering the event's id".
	suspicious = 0.2
)

type poolKey struct {
	role   detect.Role
	cohort string
}

// lane is the detection of one tenant on one clock.
type lane struct {
	tenant   tenant.ID
	owner    *tenantState
	start    int64 // time of its first event
	mark     int64 // largest event time
	season   baseline.Week
	pools    map[poolKey][]detect.State
	kinds    map[poolKey][][]detect.State           // by the nearest pool: the pools of its members, shared by them
	common   []detect.State                         // the tenant's own pools, by detector
	cal      [detect.NumRoles][]baseline.Calibrator // by detector of the table
	budget   baseline.Budget
	names    names
	entities [detect.NumRoles]map[string]*entity
	live     []*entity
	open     []*episode
}

type names map[uint64]string

// Name is the text of a hash, "?" if it was forgotten.
func (n names) Name(h uint64) string {
	if s, ok := n[h]; ok {
		return s
	}
	return "?"
}

// Remember keeps the text of a hash while there is room.
func (n names) Remember(h uint64, s string) {
	if _, ok := n[h]; !ok && len(n) < maxNames {
		n[h] = s
	}
}

func newLane(r *Runner, t *tenantState, at int64) *lane {
	l := &lane{
		tenant: t.id, owner: t, start: at, mark: at,
		pools: make(map[poolKey][]detect.State), names: make(names),
	}
	l.common = l.pool(r, poolKey{role: detect.Tenant})
	for i := range l.entities {
		l.entities[i] = make(map[string]*entity)
	}
	for i := range l.cal {
		l.cal[i] = make([]baseline.Calibrator, len(r.dets))
	}
	l.season.Pass(t.rules.setting.HourOfWeek(hourOf(at)))
	return l
}

func (l *lane) pool(r *Runner, k poolKey) []detect.State {
	p := l.pools[k]
	if p == nil {
		p = make([]detect.State, len(r.dets))
		for i, d := range r.dets {
			p[i] = d.NewPool(k.role)
		}
		l.pools[k] = p
	}
	return p
}

// scope fills s for an entity; the detector's states are put in by use.
func (l *lane) scope(s *detect.Scope, n *entity, hour int64, slot int) {
	s.Role, s.Entity, s.Hour, s.Slot = n.role, n.public(), hour, slot
	s.Season, s.Names, s.Setting = &l.season, l.names, l.owner.rules.setting
}

// use puts detector i's states into s.
func (l *lane) use(s *detect.Scope, n *entity, i int) {
	s.State, s.Pools, s.Common = n.states[i], n.pools[i], l.common[i]
	s.Episode = n.ep != nil && n.ep.parts&(1<<i) != 0
}

// join finds the pools of an entity's kind, when it is new or its kind has
// changed.
func (l *lane) join(r *Runner, n *entity) {
	var all [][]detect.State
	k := poolKey{role: n.role}
	if n.role == detect.Actor {
		own := poolKey{n.role, string(n.typ) + "/" + n.cohort}
		if _, ok := l.pools[own]; ok || len(l.pools) < maxCohorts {
			all = append(all, l.pool(r, own))
			k = own
		}
	}
	if n.pools = l.kinds[k]; n.pools != nil {
		return
	}
	all = append(all, l.pool(r, poolKey{role: n.role}))
	n.pools = make([][]detect.State, len(r.dets))
	for i := range r.dets {
		for _, p := range all {
			n.pools[i] = append(n.pools[i], p[i])
		}
	}
	if l.kinds == nil {
		l.kinds = make(map[poolKey][][]detect.State)
	}
	l.kinds[k] = n.pools
}

// signIn reports whether an event is an attempt to sign in, and whether it
// failed.
func signIn(e *event.Event) (auth, failed bool) {
	const logoff = 2 // OCSF Authentication: activity_id 2
	auth = e.Class == event.ClassAuthentication && e.Activity != logoff && e.Outcome != event.OutcomeUnknown
	return auth, auth && e.Outcome == event.OutcomeFailure
}

func (l *lane) apply(r *Runner, e *event.Event) {
	hour := hourOf(e.Time)
	if e.Time > l.mark {
		before := hourOf(l.mark)
		if d := dayOf(e.Time) - dayOf(l.mark); d > 0 {
			l.endDays(r, d)
		}
		l.mark = e.Time
		if hour > before {
			for h := max(before+1, hour-baseline.WeekHours); h <= hour; h++ {
				l.season.Pass(l.owner.rules.setting.HourOfWeek(h))
			}
			l.sweep(r, hour)
		}
	}
	s := &r.scope // one at a time: the runner is locked
	*s = detect.Scope{Event: e}
	s.Auth, s.FailedAuth = signIn(e)
	// Who is looked at first explains the event to the others: a sign-in is
	// the address's doing (somebody says who he is), anything else the actor's.
	order := [...]detect.Role{detect.Actor, detect.Address, detect.Tenant}
	if s.Auth {
		order = [...]detect.Role{detect.Address, detect.Actor, detect.Tenant}
	}
	var all [detect.NumRoles]*entity
	for _, role := range order {
		all[role] = l.entityFor(r, role, e)
	}
	var by *episode
	for _, role := range order {
		if n := all[role]; n != nil {
			if ep := l.process(r, s, n, all[:], hour, by); ep != nil && by == nil {
				by = ep
			}
		}
	}
}

func (l *lane) endDays(r *Runner, n int64) {
	l.budget.EndDay(r.budget(l.owner), n)
	f := baseline.Exp(-float64(n) / 30)
	l.season.Decay(f)
	for i := range l.cal {
		for j := range l.cal[i] {
			l.cal[i][j].Decay(f)
		}
	}
}

// slot finds the window of an hour, opening it if it may be.
func (l *lane) slot(r *Runner, n *entity, hour int64) int {
	switch {
	case n.win[0].hour == hour:
		return 0
	case n.win[1].hour == hour:
		return 1
	case n.win[0].hour == 0 || hour > n.win[0].hour:
		if n.win[0].hour == 0 && n.win[1].hour >= hour {
			return -1
		}
		l.roll(r, n, hour)
		n.win[0].open(hour, len(r.dets))
		l.budget.Test()
		// The hours people keep are learnt from who acts: accounts, or where
		// none is named, addresses.
		if e := r.scope.Event; n.role == detect.Actor || n.role == detect.Address && e != nil && e.Actor == e.SrcIP {
			l.season.Learn(l.owner.rules.setting.HourOfWeek(hour), 1)
		}
		return 0
	case n.win[1].hour == 0 && hour == n.win[0].hour-1:
		n.win[1].open(hour, len(r.dets))
		l.budget.Test()
		return 1
	}
	return -1
}

// roll makes room for a new window: what is older than the hour before it is
// learnt.
func (l *lane) roll(r *Runner, n *entity, hour int64) {
	if n.win[0].hour != 0 {
		if n.win[1].hour != 0 {
			l.close(r, n)
		}
		for i, st := range n.states {
			if st != nil {
				r.dets[i].Shift(st)
			}
		}
		n.win[0], n.win[1] = n.win[1], n.win[0]
		n.win[0].hour = 0
	}
	if n.win[1].hour != 0 && n.win[1].hour < hour-1 {
		l.close(r, n)
	}
}

// close learns an entity's older window and accounts for its findings.
func (l *lane) close(r *Runner, n *entity) {
	w := &n.win[1]
	if n.ep != nil {
		n.ep.refresh(r, l, n, 1)
	}
	s := &r.closing
	*s = detect.Scope{}
	l.scope(s, n, w.hour, 1)
	s.Flagged = w.state != below
	for i, st := range n.states {
		if st == nil {
			continue
		}
		l.use(s, n, i)
		r.dets[i].Close(s)
		if w.det[i] > 0 && w.det[i] <= findingP {
			l.account(r, i, w)
		}
	}
	for _, i := range r.byRole[n.role] {
		p := w.raw[i]
		if p == 0 {
			p = 1
		}
		switch w.state {
		case below:
			l.cal[n.role][i].Learn(p, false)
		case alerted:
			// While alerts take up little of the budget they teach nothing;
			// see Calibrator.
			if l.budget.Rate > r.budget(l.owner)/2 {
				l.cal[n.role][i].Learn(p, true)
			}
		}
	}
	w.hour = 0
}

func (l *lane) account(r *Runner, i int, w *win) {
	c := &FindingCount{Tenant: l.tenant, Detector: r.dets[i].Name(), Hour: w.hour, Findings: 1}
	switch {
	case w.state == below:
		c.BelowBudget = 1
	case w.state == suppressed:
		c.Suppressed = 1
	case w.state == alerted && w.raised&(1<<i) != 0:
		c.Alerted = 1
	default:
		c.Folded = 1
	}
	r.out = append(r.out, Emission{Count: c})
}

// sweep closes what the lane's clock has left behind: windows with findings,
// so that they are accounted for, and quiet episodes.
func (l *lane) sweep(r *Runner, hour int64) {
	keep := l.live[:0]
	for _, n := range l.live {
		if n.win[0].hour <= hour-2 {
			l.roll(r, n, hour)
		}
		if n.win[0].hour == 0 && n.win[1].hour == 0 {
			n.live = false
			continue
		}
		keep = append(keep, n)
	}
	clear(l.live[len(keep):])
	l.live = keep
	still := l.open[:0]
	for _, ep := range l.open {
		if l.mark-ep.last >= r.opt.Quiet*hourNanos || l.mark-ep.raisedAt >= 24*hourNanos {
			ep.close(r, l)
			continue
		}
		still = append(still, ep)
	}
	clear(l.open[len(still):])
	l.open = still
}

// flush closes all windows and episodes.
func (l *lane) flush(r *Runner) {
	for _, n := range r.ordered(l) {
		l.roll(r, n, math.MaxInt64)
	}
	for _, n := range l.live {
		n.live = false
	}
	l.live = nil
	for _, ep := range l.open {
		ep.close(r, l)
	}
	l.open = nil
}

// ordered lists a lane's entities from the least to the most recently seen.
func (r *Runner) ordered(l *lane) []*entity {
	size := 0
	for _, m := range l.entities {
		size += len(m)
	}
	out := make([]*entity, 0, size)
	if r.lru == nil {
		return out
	}
	for e := r.lru.newer; ; e = e.newer {
		if e.lane == l {
			out = append(out, e)
		}
		if e == r.lru {
			return out
		}
	}
}
