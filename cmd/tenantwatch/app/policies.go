package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
)

// policyEvery is how often the tenants' wishes are read again: a change takes
// effect within seconds.
const policyEvery = 2 * time.Second

// policyPart adds what one store knows of the tenants to their policies; a
// tenant it meets first is added as newPolicy.
type policyPart func(ctx context.Context, into map[tenant.ID]*policy.Policy) error

// policyView is what all tenants ask for at one time, as JSON, "" for one
// that asks for nothing special, and the share of it that the analyst's queue
// has room for.
type policyView struct {
	by    map[tenant.ID]string
	share float64
}

// policyBook keeps the newest view.
type policyBook struct {
	log   *slog.Logger
	parts []policyPart
	queue float64 // alerts a day over all tenants; 0: no ceiling
	own   float64 // the budget of who names none
	now   atomic.Pointer[policyView]
}

// newPolicy is that of a tenant that said nothing.
func newPolicy() *policy.Policy { return &policy.Policy{Budget: -1} }

// tenantPolicies is the part the core's tenants know.
func tenantPolicies(t *core.Tenants) policyPart {
	return func(ctx context.Context, into map[tenant.ID]*policy.Policy) error {
		all, err := t.All(ctx)
		if err != nil {
			return err
		}
		for _, x := range all {
			p := into[x.ID]
			if p == nil {
				p = newPolicy()
				into[x.ID] = p
			}
			// A tenant that was never asked has the usual number: the
			// installation's own counts.
			if x.Settings.AlertBudget != policy.DefaultBudget {
				p.Budget = x.Settings.AlertBudget
			}
			if x.Settings.TimeZone != "UTC" {
				p.TimeZone = x.Settings.TimeZone
			}
			for _, h := range x.Settings.Calendar.Holidays {
				p.Holidays = append(p.Holidays, h.Date)
			}
			for _, n := range x.Settings.Networks {
				p.Networks = append(p.Networks, policy.Network{Name: n.Name, Prefix: n.Prefix, Kind: policy.NetworkKind(n.Kind)})
			}
		}
		return nil
	}
}

func (b *policyBook) read(ctx context.Context) error {
	all := map[tenant.ID]*policy.Policy{}
	for _, part := range b.parts {
		if err := part(ctx, all); err != nil {
			return fmt.Errorf("reading the tenants' policies: %w", err)
		}
	}
	v := &policyView{by: make(map[tenant.ID]string, len(all)), share: 1}
	asked := 0.0
	for id, p := range all {
		if p.Budget < 0 {
			asked += b.own
		} else {
			asked += float64(p.Budget)
		}
		text, err := policyText(p)
		if err != nil {
			return fmt.Errorf("policy of tenant %s: %w", id, err)
		}
		v.by[id] = text
	}
	if b.queue > 0 && asked > b.queue {
		v.share = b.queue / asked
	}
	b.now.Store(v)
	return nil
}

// policyText is a policy in the form policies are compared in.
func policyText(p *policy.Policy) (string, error) {
	j, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	if string(j) == `{"budget":-1}` {
		return "", nil
	}
	return string(j), nil
}

// Run reads the policies again and again until ctx is done.
func (b *policyBook) Run(ctx context.Context) error {
	for sleep(ctx, policyEvery) {
		if err := b.read(ctx); err != nil && ctx.Err() == nil {
			b.log.Warn("the tenants' policies could not be read, the last ones stay in force", "err", err)
		}
	}
	return nil
}

// view is the newest view; it waits for the first.
func (b *policyBook) view(ctx context.Context) (*policyView, error) {
	for {
		if v := b.now.Load(); v != nil {
			return v, nil
		}
		if err := b.read(ctx); err != nil {
			b.log.Warn("the tenants' policies cannot be read yet, trying again", "err", err)
			if !sleep(ctx, time.Second) {
				return nil, fmt.Errorf("waiting for the tenants' policies: %w", ctx.Err())
			}
		}
	}
}
