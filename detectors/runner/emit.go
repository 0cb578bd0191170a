package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
)

// The score of a recalibrated p-value: with s = -log10 p it is 100 s/(s+4), so
// that 1 in 10,000 is 50 and no evidence is beyond all measure. Critical
// evidence starts at 90, and keeps a tenth of the score.
func (ep *episode) score() alert.Points { return scoreOf(ep.p, ep.critical) }

func scoreOf(p float64, critical bool) alert.Points {
	s := -baseline.Log(baseline.ClampP(p)) / math.Ln10
	v := float64(100*s) / (s + 4)
	if critical {
		v = 90 + v/10
	}
	return alert.Points(math.Round(v * 1000))
}

// The severities follow the budget: grade is the p-value from which a tenant's
// budget affords an alert at all, so that medium is what is worth one, and high
// what is expected once in a thousand times as long without an attack. An
// alert stands below medium only when the budget has been lowered since.
// Critical is confirmed, or beyond what chance could ever do.
const (
	highShare   = 1e-3
	lowShare    = 20
	beyondDoubt = 1e-36
)

func (ep *episode) severity() alert.Severity { return severityOf(ep.p, ep.grade, ep.critical) }

func severityOf(p, grade float64, critical bool) alert.Severity {
	switch {
	case critical, p <= beyondDoubt:
		return alert.Critical
	case p <= highShare*grade:
		return alert.High
	case p <= grade:
		return alert.Medium
	case p <= lowShare*grade:
		return alert.Low
	}
	return alert.Informational
}

// grade is the p-value from which the tenant's budget affords an alert.
func (l *lane) grade(r *Runner) float64 { return l.budget.Affords(r.budget(l.owner)) }

// emit hands out a revision.
func (ep *episode) emit(r *Runner, l *lane, st alert.State) {
	a := ep.build(r, l)
	a.State = st
	a.Revision = ep.sent.Revision + 1
	if a.Revision == 1 {
		a.State = alert.Raised
	}
	ep.sent, ep.sentAt, ep.changed = a, ep.count, false
	ep.hand(r, a)
}

// hand hands out a revision as what it is: an alert, or a hidden one.
func (ep *episode) hand(r *Runner, a alert.Alert) {
	if ep.hidden != "" {
		r.out = append(r.out, Emission{Hidden: &Hidden{Alert: a, Suppression: ep.hidden}})
		return
	}
	r.out = append(r.out, Emission{Alert: &a})
}

func (ep *episode) build(r *Runner, l *lane) alert.Alert {
	type ranked struct {
		i      int
		weight float64
	}
	var order []ranked
	for i := range ep.part {
		if ep.parts&(1<<i) != 0 {
			order = append(order, ranked{i, -baseline.Log(baseline.ClampP(ep.part[i].P))})
		}
	}
	slices.SortStableFunc(order, func(a, b ranked) int {
		switch {
		case a.weight > b.weight:
			return -1
		case a.weight < b.weight:
			return 1
		}
		return 0
	})
	score := ep.score()
	weights := make([]float64, len(order))
	names := make([]string, len(order))
	for j, o := range order {
		weights[j], names[j] = o.weight, r.dets[o.i].Name()
	}
	weigh(weights, names, ep.critical)
	a := alert.Alert{
		ID: ep.id, Tenant: l.tenant, Entity: ep.entity.public(),
		Related:   append([]alert.Entity{}, ep.related...),
		FirstSeen: at(ep.first), LastSeen: at(ep.last), RaisedAt: at(ep.raisedAt),
		Score: score, Severity: ep.severity(), PValue: ep.p,
		Count: uint64(math.Max(1, ep.count)), EventIDs: ep.eventIDs(), Technique: []string{},
	}
	for j, points := range baseline.Points(int64(score), weights) {
		i := order[j].i
		x := ep.part[i].X
		a.Detectors = append(a.Detectors, alert.Contribution{
			Name: r.dets[i].Name(), Version: r.dets[i].Version(), Contribution: points,
			Observed: x.Observed, Expected: x.Expected, PValue: ep.part[i].P, Unit: x.Unit,
		})
		for _, t := range x.Technique {
			if !slices.Contains(a.Technique, t) {
				a.Technique = append(a.Technique, t)
			}
		}
		if x.Plot != nil {
			a.Plots = append(a.Plots, *x.Plot)
		}
		switch j {
		case 0:
			a.Title, a.Reason, a.Counterfactual = x.Title, x.Reason, x.Counterfactual
		case 1:
			a.Reason += " Also: " + x.Reason
		}
	}
	a.Kept = ep.kept(r)
	for _, o := range order {
		c := &l.cal[ep.entity.role][o.i]
		a.Kept.Parts = append(a.Kept.Parts, keptPart(r.dets[o.i], &ep.part[o.i], [2]float64{c.N, c.Scale()}))
	}
	a.BaselineHash = baselineHash(a.Kept, ep.p)
	if ep.critical && !slices.Contains(a.Technique, "T1078") {
		a.Technique = append(a.Technique, "T1078")
		a.Title += ", then a successful sign-in"
		a.Reason += " Later a sign-in as " + ep.fruit + " succeeded."
	}
	if len(a.Detectors) > 0 && float64(a.Count) > a.Detectors[0].Observed && ep.last-ep.first > hourNanos {
		a.Reason += fmt.Sprintf(" In all %d events of this kind between %s and %s UTC.", a.Count,
			a.FirstSeen.Format("2 January 15:04"), a.LastSeen.Format("2 January 15:04"))
	}
	return a
}

// eventIDs are the first, the strongest and the last, at most 100, each once.
func (ep *episode) eventIDs() []string {
	out := make([]string, 0, len(ep.head)+len(ep.strong)+len(ep.tail))
	seen := make(map[string]bool, cap(out))
	for _, list := range [][]string{ep.head, ep.strong, ep.tail} {
		for _, id := range list {
			if !seen[id] && len(out) < alert.MaxEventIDs {
				seen[id] = true
				out = append(out, id)
			}
		}
	}
	return out
}

func at(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }

// uuid7 is an id in UUIDv7 layout (RFC 9562, 5.7): 48 bits of milliseconds,
// then a hash in place of the random bits, so that a repeated run gives the
// same id.
func uuid7(raised int64, tenantID string, n *entity, start int64, config string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s%d:%s%d:%s%d %s", len(tenantID), tenantID, len(n.typ), n.typ, len(n.id), n.id, start, config)
	sum := h.Sum(nil)
	var u [16]byte
	ms := uint64(floorDiv(raised, 1e6))
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i))
	}
	copy(u[6:], sum)
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	s := hex.EncodeToString(u[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
