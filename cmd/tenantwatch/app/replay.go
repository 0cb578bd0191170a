package app

import (
	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
)

// replay is api.Options.Replay by the runner's detectors.
func replay(a *alert.Alert) api.ReplayResult {
	r := runner.Replay(a, runner.Table())
	out := api.ReplayResult{Same: r.Same, Note: r.Note, Score: r.Score, Severity: r.Severity, PValue: r.PValue, BaselineHash: r.BaselineHash}
	for _, d := range r.Detectors {
		out.Detectors = append(out.Detectors, api.ReplayedDetector(d))
	}
	return out
}
