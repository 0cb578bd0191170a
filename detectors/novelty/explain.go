package novelty

import (
	"fmt"
	"math"
	"strings"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

// technique is what a novelty of a dimension points to.
func technique(d int, value string) []string {
	switch d {
	case country, network, place, client:
		return []string{"T1078"} // Valid Accounts
	case action:
		v := strings.ToLower(value)
		for _, t := range actionTechniques {
			for _, w := range t.words {
				if strings.Contains(v, w) {
					return []string{t.id}
				}
			}
		}
	}
	return nil
}

// actionTechniques name the technique an action would belong to if it were
// hostile; the first match wins. They label, they do not score.
var actionTechniques = []struct {
	id    string
	words []string
}{
	{"T1098.001", []string{"createaccesskey", "createloginprofile", "updateloginprofile", "key.create", "createservicespecificcredential"}},
	{"T1098.003", []string{"attachrolepolicy", "attachuserpolicy", "putuserpolicy", "putrolepolicy", "updateassumerolepolicy", "addusertogroup", "role.grant", "grant"}},
	{"T1136.003", []string{"createuser", "createrole", "user.create"}},
	{"T1562.008", []string{"stoplogging", "deletetrail", "puteventselectors", "deleteflowlogs", "deletequeryloggingconfig", "disassociateresolverquerylogconfig"}},
	{"T1556.006", []string{"deactivatemfa", "mfa.disable", "mfa.remove", "deletevirtualmfa"}},
	{"T1537", []string{"modifysnapshotattribute", "modifyimageattribute", "modifydbsnapshotattribute"}},
	{"T1562.007", []string{"authorizesecuritygroupingress"}},
	{"T1552", []string{"getpassworddata", "getsecretvalue", "getparameter"}},
	{"T1578.002", []string{"runinstances"}},
	{"T1580", []string{"describeinstanceattribute"}},
	{"T1525", []string{"updatefunctioncode", "publishlayerversion"}},
}

// Explain describes the most improbable novelties of the window.
func (Detector) Explain(s *detect.Scope) detect.Explanation {
	e := s.State.(*entity)
	w := &e.win[max(0, s.Slot)]
	x := detect.Explanation{P: w.p, Unit: "chance of the most unusual first-time value", Title: "Something never seen before"}
	if len(w.finds) == 0 {
		x.P = 1
		return x
	}
	top := w.finds[0]
	var what []string
	var b state.Writer
	for _, f := range w.finds {
		b.U64(uint64(f.dim))
		b.Fixed(f.hash)
		b.F64s(f.p, f.mass, f.tail)
		if f.p > math.Max(0.05, float64(100*top.p)) {
			continue
		}
		what = append(what, dimName[f.dim]+" "+s.Names.Name(f.hash))
		for _, t := range technique(f.dim, s.Names.Name(f.hash)) {
			if !contains(x.Technique, t) {
				x.Technique = append(x.Technique, t)
			}
		}
		if f.dim == resource {
			x.Related = append(x.Related, alert.Entity{Type: alert.Resource, ID: s.Names.Name(f.hash)})
		}
	}
	x.Basis = b.Buf
	x.Observed, x.Expected = float64(len(w.finds)), round(top.mass*float64(len(w.finds)))
	x.Unit = "first-time values in 1 h"
	x.Upper = float64(len(w.finds))
	x.Title = detect.Called(s.Entity) + " used " + detect.List(what[:min(2, len(what))], 0) + " for the first time"
	if top.dim == action {
		x.Title = fmt.Sprintf("%s did %s for the first time", detect.Called(s.Entity), s.Names.Name(top.hash))
	}
	usual := e.usual(s, top.dim, top.hash)
	days := detect.Num(math.Max(1, math.Round(e.known[top.dim].N)))
	// The dashboard lists what this sentence names: keep its shape.
	x.Reason = fmt.Sprintf("%s used %s for the first time in %s; ", detect.Called(s.Entity), detect.List(what, 0), detect.Window(s.Hour))
	if usual != "" {
		x.Reason += fmt.Sprintf("the %s seen before: %s (about %s observations). ", dimPlural(top.dim), usual, days)
	} else {
		x.Reason += fmt.Sprintf("no %s was known of it before. ", dimName[top.dim])
	}
	x.Reason += fmt.Sprintf("A new %s has a chance of %s for it, and one this rare among its peers of %s.",
		dimName[top.dim], detect.Chance(top.mass), detect.Chance(top.tail))
	x.Counterfactual = fmt.Sprintf("It would not have been a finding had %s used %s %s before, or had at least 1 in %s of the observations of its peers shown it.",
		s.Entity.ID, dimName[top.dim], s.Names.Name(top.hash), detect.Num(math.Max(2, math.Round(top.mass/0.01))))
	return x
}

func dimPlural(d int) string {
	return [dims]string{"countries", "networks", "clients", "address ranges", "actions", "resources"}[d]
}

// usual lists up to three values known in a dimension but for one.
func (e *entity) usual(s *detect.Scope, d int, but uint64) string {
	var names []string
	for {
		bestW, at := 0.0, -1
		for i, v := range e.known[d].Values {
			if v.Hash != but && v.Weight > bestW && !contains(names, s.Names.Name(v.Hash)) {
				bestW, at = v.Weight, i
			}
		}
		if at < 0 || len(names) == 3 {
			break
		}
		names = append(names, s.Names.Name(e.known[d].Values[at].Hash))
	}
	return detect.List(names, len(e.known[d].Values)-1)
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// Known lists what the actor is known to use, by dimension, for the API.
func (Detector) Known(s *detect.Scope) map[string][]string {
	e := s.State.(*entity)
	out := make(map[string][]string)
	for d := range e.known {
		for _, v := range e.known[d].Values {
			out[dimName[d]] = append(out[dimName[d]], s.Names.Name(v.Hash))
		}
	}
	return out
}
