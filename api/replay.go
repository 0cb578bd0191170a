package api

import (
	"context"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// ReplayResult is what came out of computing an alert's number again.
type ReplayResult struct {
	Same         bool
	Note         string // why not
	Score        alert.Points
	Severity     alert.Severity
	PValue       float64
	BaselineHash string
	Detectors    []ReplayedDetector // in the alert's order
}

// ReplayedDetector is one detector's part.
type ReplayedDetector struct {
	Name, Version string
	Model         float64 // its own p-value, before recalibration
	FromModel     bool
	PValue        float64
	Contribution  int64 // thousandths of a point
	Same          bool
}

// ReplayAlert computes an alert's number again.
func (h *handlers) ReplayAlert(ctx context.Context, r rest.ReplayAlertRequestObject) (rest.ReplayAlertResponseObject, error) {
	ctx, k := callOf(ctx)
	a, err := h.alert(ctx, k, r.Id)
	if err != nil {
		return nil, err
	}
	res := ReplayResult{Note: "replay is not built into this process"}
	if h.s.opts.Replay != nil {
		res = h.s.opts.Replay(&a.Alert)
	}
	out := rest.ReplayAlert200JSONResponse{AlertId: a.ID, TenantId: a.Tenant.String(), Revision: int64(a.Revision), Reproduced: res.Same, Note: res.Note,
		Score: points(a.Score), ReplayedScore: points(res.Score), Severity: rest.Severity(a.Severity), ReplayedSeverity: string(res.Severity),
		PValue: a.PValue, ReplayedPValue: res.PValue, BaselineHash: a.BaselineHash, ReplayedBaselineHash: res.BaselineHash, Detectors: []rest.ReplayDetector{}}
	for i, d := range res.Detectors {
		v := rest.ReplayDetector{Name: d.Name, Version: d.Version, ModelPValue: d.Model, FromModel: d.FromModel, ReplayedPValue: d.PValue,
			ReplayedContribution: d.Contribution, Same: d.Same}
		if i < len(a.Detectors) {
			v.PValue, v.Contribution = a.Detectors[i].PValue, a.Detectors[i].Contribution
		}
		out.Detectors = append(out.Detectors, v)
	}
	return out, nil
}

// points is a score as people read it.
func points(p alert.Points) float64 { return float64(p) / 1000 }
