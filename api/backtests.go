package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
)

// maxBacktestDays is the longest period of a backtest.
const maxBacktestDays = 90

// BacktestInfo is a backtest as it stands.
type BacktestInfo struct {
	ID, Name              string
	Tenant                tenant.ID
	From, To              time.Time
	Labels                []string
	Status                string // queued, running, done or failed
	Done, Total           int64
	Error                 string
	CreatedBy             string
	CreatedAt             time.Time
	StartedAt, FinishedAt time.Time       // zero: not yet
	Results               json.RawMessage // a list, one a label; nil: not yet, or not asked for
}

// BacktestVariant is what a backtest changes about the tenant's settings.
type BacktestVariant struct {
	Label        string
	Budget       *int
	Sensitivity  map[string]float64
	Suppressions []policy.Suppression
	Without      bool // the present suppressions are left out
}

// NewBacktest is what somebody wants to be tried.
type NewBacktest struct {
	Name     string
	From, To time.Time
	Variants []BacktestVariant
}

// Backtests are the jobs that try settings on stored events. Lists are whole,
// newest first.
type Backtests interface {
	List(ctx context.Context, scope []tenant.ID) ([]BacktestInfo, error)
	Get(ctx context.Context, scope []tenant.ID, id string) (BacktestInfo, error)
	Create(ctx context.Context, by access.Actor, id tenant.ID, n NewBacktest) (BacktestInfo, error)
	Delete(ctx context.Context, by access.Actor, id tenant.ID, backtestID string) error
}

func backtestView(b BacktestInfo) (rest.Backtest, error) {
	out := rest.Backtest{Id: b.ID, TenantId: b.Tenant.String(), Name: b.Name, From: b.From.UTC(), To: b.To.UTC(), Labels: b.Labels,
		Status: rest.BacktestStatus(b.Status), Done: b.Done, Total: b.Total, Error: b.Error, CreatedBy: b.CreatedBy, CreatedAt: b.CreatedAt.UTC(),
		StartedAt: ptr(b.StartedAt), FinishedAt: ptr(b.FinishedAt)}
	if out.Labels == nil {
		out.Labels = []string{}
	}
	if b.Results != nil {
		var list []rest.BacktestResult
		if err := json.Unmarshal(b.Results, &list); err != nil {
			return out, fmt.Errorf("results of backtest %s: %w", b.ID, err)
		}
		out.Results = &list
	}
	return out, nil
}

// ListBacktests lists them without their results.
func (h *handlers) ListBacktests(ctx context.Context, _ rest.ListBacktestsRequestObject) (rest.ListBacktestsResponseObject, error) {
	ctx, k := callOf(ctx)
	out := rest.ListBacktests200JSONResponse{Items: []rest.Backtest{}}
	if k.empty() {
		return out, nil
	}
	all, err := h.s.opts.Backtests.List(ctx, k.scope)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if err := h.s.saw(ctx, k, b.Tenant); err != nil {
			return nil, err
		}
		v, err := backtestView(b)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, v)
	}
	return out, nil
}

// GetBacktest shows one.
func (h *handlers) GetBacktest(ctx context.Context, r rest.GetBacktestRequestObject) (rest.GetBacktestResponseObject, error) {
	ctx, k := callOf(ctx)
	if k.empty() {
		return nil, notFound()
	}
	b, err := h.s.opts.Backtests.Get(ctx, k.scope, r.Id)
	if err != nil {
		return nil, err
	}
	if err := h.s.saw(ctx, k, b.Tenant); err != nil {
		return nil, err
	}
	v, err := backtestView(b)
	return rest.GetBacktest200JSONResponse(v), err
}

// CreateBacktest queues one.
func (h *handlers) CreateBacktest(ctx context.Context, r rest.CreateBacktestRequestObject) (rest.CreateBacktestResponseObject, error) {
	ctx, k := callOf(ctx)
	n := NewBacktest{From: r.Body.From.UTC(), To: r.Body.To.UTC()}
	if r.Body.Name != nil {
		n.Name = *r.Body.Name
	}
	switch {
	case !n.To.After(n.From):
		return nil, badField("to", "want a time after from")
	case n.To.Sub(n.From) > maxBacktestDays*24*time.Hour:
		return nil, badField("to", "want at most 90 days after from")
	}
	if r.Body.Variants != nil {
		for i, v := range *r.Body.Variants {
			x, err := variantOf(i, v, n)
			if err != nil {
				return nil, err
			}
			n.Variants = append(n.Variants, x)
		}
	}
	b, err := h.s.opts.Backtests.Create(ctx, k.principal.Actor(), k.one, n)
	if err != nil {
		return nil, err
	}
	v, err := backtestView(b)
	return rest.CreateBacktest201JSONResponse(v), err
}

func variantOf(i int, v rest.BacktestVariant, n NewBacktest) (BacktestVariant, error) {
	x := BacktestVariant{Label: "variant " + strconv.Itoa(i+1), Budget: v.Budget}
	if v.Label != nil && *v.Label != "" {
		x.Label = *v.Label
	}
	if v.WithoutSuppressions != nil {
		x.Without = *v.WithoutSuppressions
	}
	if v.Sensitivity != nil {
		x.Sensitivity = map[string]float64{}
		for _, s := range *v.Sensitivity {
			x.Sensitivity[s.Detector] = float64(s.Factor)
		}
	}
	if v.Suppressions == nil {
		return x, nil
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	for j, s := range *v.Suppressions {
		field := fmt.Sprintf("variants.%d.suppressions.%d", i, j)
		p := policy.Suppression{ID: text(s.Id), Detector: text(s.Detector), EntityType: text(s.EntityType), EntityID: text(s.EntityId),
			Action: text(s.Action), Label: text(s.Label), From: n.From.AddDate(-1, 0, 0), Until: n.To.AddDate(1, 0, 0)}
		if p.ID == "" {
			p.ID = "suppression " + strconv.Itoa(j+1)
		}
		if s.Network != nil {
			prefix, err := netip.ParsePrefix(*s.Network)
			if err != nil {
				addr, aerr := netip.ParseAddr(*s.Network)
				if aerr != nil {
					return x, badField(field+".network", "want a range such as 203.0.113.0/24, or an address")
				}
				prefix = netip.PrefixFrom(addr, addr.BitLen())
			}
			p.Network = prefix.Masked()
		}
		if p.EntityType == "" && p.EntityID == "" && p.Action == "" && p.Label == "" && !p.Network.IsValid() {
			return x, badField(field, "want an entity, an action, a network or a label: this would hide all")
		}
		x.Suppressions = append(x.Suppressions, p)
	}
	return x, nil
}

// DeleteBacktest removes one.
func (h *handlers) DeleteBacktest(ctx context.Context, r rest.DeleteBacktestRequestObject) (rest.DeleteBacktestResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := h.s.opts.Backtests.Delete(ctx, k.principal.Actor(), k.one, r.Id); err != nil {
		return nil, err
	}
	return rest.DeleteBacktest204Response{}, nil
}
