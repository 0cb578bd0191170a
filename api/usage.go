package api

import (
	"context"
	"time"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// UsageCounts are what a tenant used.
type UsageCounts struct{ Events, Bytes, Queries, Refused int64 }

// UsageDay is one UTC day.
type UsageDay struct {
	Day time.Time
	UsageCounts
}

// UsageReport is what a tenant used by day, oldest first, and on how many days
// events arrived that are still stored.
type UsageReport struct {
	Days       []UsageDay
	StoredDays int
}

// Usage is what tenants use.
type Usage interface {
	// Report reads the days in [from, to).
	Report(ctx context.Context, id tenant.ID, from, to time.Time) (UsageReport, error)
	// Query counts a request that touched the tenant's data, or was refused by
	// a limit. It does not wait for anything.
	Query(id tenant.ID, refused bool)
	// RequestsPerSecond is the tenant's quota; 0: no bound.
	RequestsPerSecond(ctx context.Context, id tenant.ID) (float64, error)
}

const usageDays = 31

// GetUsage reads what a tenant used.
func (h *handlers) GetUsage(ctx context.Context, r rest.GetUsageRequestObject) (rest.GetUsageResponseObject, error) {
	ctx, k := callOf(ctx)
	from, to, err := span(r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	const day = 24 * time.Hour
	if to.IsZero() {
		to = h.s.now().UTC().Truncate(day).Add(day)
	}
	if from.IsZero() {
		from = to.Add(-usageDays * day)
	}
	if to.Sub(from) > 3000*day {
		return nil, badField("from", "lies too far back: at most 3000 days are read at a time")
	}
	got, err := h.s.opts.Usage.Report(ctx, k.one, from.Truncate(day), to)
	if err != nil {
		return nil, err
	}
	out := rest.GetUsage200JSONResponse{TenantId: k.one.String(), Days: []rest.UsageDay{}, StoredDays: got.StoredDays}
	for _, d := range got.Days {
		c := rest.UsageCounts{Events: d.Events, Bytes: d.Bytes, Queries: d.Queries, Refused: d.Refused}
		out.Days = append(out.Days, rest.UsageDay{Day: openapi_types.Date{Time: d.Day}, Counts: c})
		out.Total.Events += c.Events
		out.Total.Bytes += c.Bytes
		out.Total.Queries += c.Queries
		out.Total.Refused += c.Refused
	}
	return out, nil
}
