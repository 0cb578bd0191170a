package app

import (
	"context"
	"net/netip"
	"strings"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// suppressionPolicies is the part the core's suppressions know.
func suppressionPolicies(s *core.Suppressions) policyPart {
	return func(ctx context.Context, into map[tenant.ID]*policy.Policy) error {
		all, err := s.InForce(ctx)
		if err != nil {
			return err
		}
		for id, list := range all {
			p := into[id]
			if p == nil {
				p = newPolicy()
				into[id] = p
			}
			p.Suppressions = list
		}
		return nil
	}
}

// eventLookup reads events by their ids.
type eventLookup interface {
	ByID(ctx context.Context, id tenant.ID, ids []string) ([]event.Event, error)
}

// matchEvents says whether one of the events fits a suppression's action,
// network and label, as the detectors take them.
func matchEvents(store eventLookup) core.EventMatcher {
	return func(ctx context.Context, id tenant.ID, ids []string, s policy.Suppression) (bool, error) {
		if len(ids) == 0 {
			return false, nil
		}
		events, err := store.ByID(ctx, id, ids)
		if err != nil {
			return false, err
		}
		for i := range events {
			if fits(&events[i], &s) {
				return true, nil
			}
		}
		return false, nil
	}
}

func fits(e *event.Event, s *policy.Suppression) bool {
	if prefix, star := strings.CutSuffix(s.Action, "*"); s.Action != "" && (star && !strings.HasPrefix(e.Action, prefix) || !star && e.Action != s.Action) {
		return false
	}
	if key, value, _ := strings.Cut(s.Label, "="); s.Label != "" && e.Label(key) != value {
		return false
	}
	if !s.Network.IsValid() {
		return true
	}
	a, err := netip.ParseAddr(e.SrcIP)
	return err == nil && s.Network.Contains(a.Unmap())
}
