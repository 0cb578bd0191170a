package runner

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// rules are a tenant's policy made ready. The zero value is a tenant that said
// nothing.
type rules struct {
	said     bool // a policy was set
	policy   policy.Policy
	setting  *detect.Setting
	sens     []float64 // by detector of the table; nil: all 1
	suppress []suppression
}

// suppression is one with its pieces taken apart.
type suppression struct {
	policy.Suppression
	action     string
	prefix     bool // action ends in '*'
	label      [2]string
	from, till int64
}

// SetPolicy says what a tenant asks for from the next event on. It is part of
// a snapshot. Open alerts are graded by the new budget at their next revision.
func (r *Runner) SetPolicy(id tenant.ID, p policy.Policy) error {
	u, err := compile(&p, r.dets)
	if err != nil {
		return fmt.Errorf("policy of tenant %s: %w", id, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tenant(id)
	t.rules = u
	r.asked = -1
	for _, l := range t.lanes {
		for _, ep := range l.open {
			ep.grade = l.grade(r)
			ep.changed = true
		}
	}
	return nil
}

// PolicyOf is what was set for a tenant; ok is false when nothing was.
func (r *Runner) PolicyOf(id tenant.ID) (p policy.Policy, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tenants[id]; t != nil {
		return t.rules.policy, t.rules.said
	}
	return policy.Policy{}, false
}

// SetShare scales the budget of every tenant by a factor in [0,1], so that the
// queue of an analyst who watches them all keeps a ceiling of its own. It is
// part of a snapshot.
func (r *Runner) SetShare(f float64) error {
	if !(f >= 0 && f <= 1) {
		return fmt.Errorf("share of the budgets is %v: want 0 to 1", f)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.share = f
	return nil
}

// Share is the factor SetShare set; 1 at first.
func (r *Runner) Share() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.share
}

func (r *Runner) tenant(id tenant.ID) *tenantState {
	t := r.tenants[id]
	if t == nil {
		t = &tenantState{id: id, of: make(map[string]*clock)}
		r.tenants[id] = t
		r.asked = -1
	}
	return t
}

// budget is how many alerts a tenant may expect today: what it asks for,
// within its part of the analyst's queue.
func (r *Runner) budget(t *tenantState) float64 {
	b := r.own(t)
	if r.opt.QueueBudget > 0 {
		if r.asked < 0 {
			r.asked = 0
			for _, id := range r.tenantIDs() {
				r.asked += r.own(r.tenants[id])
			}
		}
		if r.asked > r.opt.QueueBudget {
			b *= r.opt.QueueBudget / r.asked
		}
	}
	return float64(b * r.share)
}

func (r *Runner) own(t *tenantState) float64 {
	if t.rules.said && t.rules.policy.Budget >= 0 {
		return float64(t.rules.policy.Budget)
	}
	return r.opt.Budget
}

func compile(p *policy.Policy, dets []detect.Detector) (u rules, err error) {
	if p.Budget > 10_000 {
		return u, fmt.Errorf("budget of %d alerts a day: want at most 10000", p.Budget)
	}
	u = rules{said: true, policy: *p}
	if u.setting, err = detect.NewSetting(p); err != nil {
		return u, err
	}
	for _, name := range slices.Sorted(maps.Keys(p.Sensitivity)) {
		v := p.Sensitivity[name]
		if !(v >= policy.MinSensitivity && v <= policy.MaxSensitivity) {
			return u, fmt.Errorf("sensitivity of %s is %v: want %v to %v", name, v, policy.MinSensitivity, policy.MaxSensitivity)
		}
		for i, d := range dets { // a name unknown here is another version's
			if d.Name() == name && v != 1 {
				if u.sens == nil {
					u.sens = slices.Repeat([]float64{1}, len(dets))
				}
				u.sens[i] = v
			}
		}
	}
	for _, s := range p.Suppressions {
		if s.EntityType == "" && s.EntityID == "" && s.Action == "" && !s.Network.IsValid() && s.Label == "" {
			return u, fmt.Errorf("suppression %s has no scope: it would hide all", s.ID)
		}
		c := suppression{Suppression: s, from: s.From.UnixNano(), till: s.Until.UnixNano()}
		c.action, c.prefix = strings.CutSuffix(s.Action, "*")
		c.label[0], c.label[1], _ = strings.Cut(s.Label, "=")
		u.suppress = append(u.suppress, c)
	}
	return u, nil
}

// hides is the id of the first suppression that matches an alert on n whose
// strongest detector is named, raised or fed by e; "" when none does.
func (u *rules) hides(n *entity, detector string, e *event.Event) string {
	for i := range u.suppress {
		s := &u.suppress[i]
		if e.Time >= s.from && e.Time < s.till && s.match(n, detector, e) {
			return s.ID
		}
	}
	return ""
}

func (s *suppression) match(n *entity, detector string, e *event.Event) bool {
	switch {
	case s.Detector != "" && s.Detector != detector,
		s.EntityType != "" && s.EntityType != string(n.typ),
		s.EntityID != "" && s.EntityID != n.id,
		s.Label != "" && !hasLabel(e, s.label):
		return false
	case s.prefix && !strings.HasPrefix(e.Action, s.action), !s.prefix && s.action != "" && s.action != e.Action:
		return false
	}
	if s.Network.IsValid() {
		a, err := netip.ParseAddr(e.SrcIP)
		return err == nil && s.Network.Contains(a.Unmap())
	}
	return true
}

func hasLabel(e *event.Event, want [2]string) bool {
	for _, l := range e.Labels {
		if l.Key == want[0] && l.Value == want[1] {
			return true
		}
	}
	return false
}

// encode is the policy as JSON, "" when none was set.
func (u *rules) encode() []byte {
	if !u.said {
		return nil
	}
	b, err := json.Marshal(&u.policy)
	if err != nil { // it was made of plain values
		panic(fmt.Sprintf("detectors: a policy does not encode: %v", err))
	}
	return b
}

func decodeRules(b []byte, dets []detect.Detector) (rules, error) {
	if len(b) == 0 {
		return rules{}, nil
	}
	var p policy.Policy
	if err := json.Unmarshal(b, &p); err != nil {
		return rules{}, err
	}
	return compile(&p, dets)
}
