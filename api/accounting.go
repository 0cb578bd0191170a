package api

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// ListQuarantine pages through the lines no parser could take.
func (h *handlers) ListQuarantine(ctx context.Context, r rest.ListQuarantineRequestObject) (rest.ListQuarantineResponseObject, error) {
	ctx, k := callOf(ctx)
	after, err := open[QuarantinePosition](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	page, err := h.s.opts.Events.Quarantine(ctx, k.one, after, pageSize(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	out := rest.ListQuarantine200JSONResponse{Items: []rest.QuarantinedLine{}, Next: next(h.s, k, page.Next)}
	for _, q := range page.Lines {
		line := rest.QuarantinedLine{Id: q.ID, TenantId: q.Tenant.String(), Source: q.Source, Format: q.Format, Reason: q.Reason, Line: int64(q.Line),
			Offset: int64(q.Offset), ReceivedAt: time.Unix(0, q.ReceivedAt).UTC(), Raw: strings.ToValidUTF8(string(q.Raw), "\uFFFD")}
		if !utf8.Valid(q.Raw) {
			line.RawBase64 = &q.Raw
		}
		out.Items = append(out.Items, line)
	}
	return out, nil
}

// GetIngestAccounting adds up what came in.
func (h *handlers) GetIngestAccounting(ctx context.Context, r rest.GetIngestAccountingRequestObject) (rest.GetIngestAccountingResponseObject, error) {
	ctx, k := callOf(ctx)
	from, to, err := span(r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	sources, err := h.s.opts.Events.Accounting(ctx, k.one, from, to)
	if err != nil {
		return nil, err
	}
	out := rest.GetIngestAccounting200JSONResponse{TenantId: k.one.String(), Sources: []rest.SourceCounts{}}
	slices.SortFunc(sources, func(a, b SourceAccount) int { return strings.Compare(a.Source, b.Source) })
	for _, a := range sources {
		if a.Source == event.TrailSource { // nobody sent these
			out.Trail = int64(a.Stored)
			continue
		}
		c := rest.SourceCounts{Source: a.Source, Stored: int64(a.Stored), Occurrences: int64(a.Occurrences), Duplicates: int64(a.Duplicates), Quarantined: int64(a.Quarantined), First: ptr(a.First), Last: ptr(a.Last)}
		out.Sources = append(out.Sources, c)
		out.Stored += c.Stored
		out.Expired += int64(a.Expired)
		out.Erased += int64(a.Erased)
		out.Occurrences += c.Occurrences
		out.Duplicates += c.Duplicates
		out.Quarantined += c.Quarantined
	}
	out.Live = out.Stored - out.Expired - out.Erased
	out.Received = out.Stored + out.Duplicates + out.Quarantined
	return out, nil
}

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
