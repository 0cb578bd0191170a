package runner

import (
	"sort"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
)

// View is what is known of an entity, for people.
type View struct {
	Entity    alert.Entity        `json:"entity"`
	Cohort    string              `json:"cohort,omitempty"`
	AsOf      string              `json:"as_of"`           // event time of its tenant's clock, RFC 3339
	Expected  []float64           `json:"expected_hourly"` // events expected in each of the next 24 hours
	Known     map[string][]string `json:"known,omitempty"` // values by dimension
	Risk      float64             `json:"risk"`            // decayed sum of -log10 p
	OpenAlert string              `json:"open_alert,omitempty"`
}

// Baseline shows an entity's baseline; ok is false when it is not known. Of
// several clocks the one that runs ahead answers.
func (r *Runner) Baseline(id tenant.ID, ent alert.Entity) (v View, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tenants[id]
	role, known := map[alert.EntityType]detect.Role{
		alert.User: detect.Actor, alert.Service: detect.Actor, alert.Address: detect.Address, alert.Tenant: detect.Tenant,
	}[ent.Type]
	if t == nil || !known {
		return View{}, false
	}
	lanes := append([]*lane(nil), t.lanes...)
	sort.SliceStable(lanes, func(i, j int) bool { return lanes[i].mark > lanes[j].mark })
	for _, l := range lanes {
		n := l.entities[role][ent.ID]
		if n == nil {
			continue
		}
		hour := hourOf(l.mark)
		v = View{Entity: n.public(), Cohort: n.cohort, AsOf: at(l.mark).Format("2006-01-02T15:04:05Z07:00"), Risk: n.risk.Level(hour, riskHalf)}
		if n.ep != nil {
			v.OpenAlert = n.ep.id
		}
		var s detect.Scope
		for i, st := range n.states {
			if st == nil {
				continue
			}
			if d, is := r.dets[i].(interface {
				PerHour(*detect.Scope) float64
			}); is {
				for h := range int64(24) {
					l.scope(&s, n, hour+h, 0)
					l.use(&s, n, i)
					v.Expected = append(v.Expected, d.PerHour(&s))
				}
			}
			if d, is := r.dets[i].(interface {
				Known(*detect.Scope) map[string][]string
			}); is {
				l.scope(&s, n, hour, 0)
				l.use(&s, n, i)
				v.Known = d.Known(&s)
			}
		}
		return v, true
	}
	return View{}, false
}
