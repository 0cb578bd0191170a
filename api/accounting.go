package api

import (
	"context"
	"slices"
	"strings"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
)

const findingHours = 744 // a month

// GetFindingsAccounting adds up what became of findings.
func (h *handlers) GetFindingsAccounting(ctx context.Context, r rest.GetFindingsAccountingRequestObject) (rest.GetFindingsAccountingResponseObject, error) {
	ctx, k := callOf(ctx)
	from, to, err := span(r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	counts, err := h.s.opts.Findings.List(ctx, k.one, from, to)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(counts, func(a, b FindingCount) int {
		if c := a.Hour.Compare(b.Hour); c != 0 {
			return c
		}
		return strings.Compare(a.Detector, b.Detector)
	})
	out := rest.GetFindingsAccounting200JSONResponse{TenantId: k.one.String(), Hours: []rest.FindingHour{}}
	for _, n := range counts {
		c := rest.FindingCounts{Findings: n.Findings, Alerted: n.Alerted, Folded: n.Folded, Suppressed: n.Suppressed, BelowBudget: n.BelowBudget}
		hour := n.Hour.UTC()
		if len(out.Hours) == 0 || !out.Hours[len(out.Hours)-1].Hour.Equal(hour) {
			out.Hours = append(out.Hours, rest.FindingHour{Hour: hour, Detectors: []rest.DetectorFindings{}})
		}
		last := &out.Hours[len(out.Hours)-1]
		last.Detectors = append(last.Detectors, rest.DetectorFindings{Detector: n.Detector, Counts: c})
		addFindings(&last.Counts, c)
	}
	if len(out.Hours) > findingHours {
		out.Hours = out.Hours[len(out.Hours)-findingHours:]
	}
	for _, hour := range out.Hours {
		addFindings(&out.Total, hour.Counts)
	}
	return out, nil
}

func addFindings(sum *rest.FindingCounts, n rest.FindingCounts) {
	sum.Findings += n.Findings
	sum.Alerted += n.Alerted
	sum.Folded += n.Folded
	sum.Suppressed += n.Suppressed
	sum.BelowBudget += n.BelowBudget
}
