package api

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// LogStream sends a tenant's events on.
type LogStream struct {
	ID                       string
	Tenant                   tenant.ID
	Name, Kind               string
	Config                   json.RawMessage // without its secret
	Query, Format, Status    string
	Sent, Batches, Behind    uint64
	Lag                      time.Duration
	Failures                 int
	LastError                string
	LastSentAt, FailingSince time.Time // zero: never, it works
	CheckedAt                time.Time
	CreatedBy                string
	CreatedAt                time.Time
}

// LogStreams are the log streams. Lists are whole: a tenant has few.
type LogStreams interface {
	List(ctx context.Context, scope []tenant.ID) ([]LogStream, error)
	Get(ctx context.Context, scope []tenant.ID, id string) (LogStream, error)
	// Create checks the config, ErrInvalid when it cannot work. beginning
	// sends everything stored first.
	Create(ctx context.Context, by access.Actor, id tenant.ID, s LogStream, secret string, beginning bool) (LogStream, error)
	SetStatus(ctx context.Context, by access.Actor, id tenant.ID, streamID, status string) error
	Delete(ctx context.Context, by access.Actor, id tenant.ID, streamID string) error
}

func logStreamView(s LogStream) rest.LogStream {
	v := rest.LogStream{Id: s.ID, TenantId: s.Tenant.String(), Name: s.Name, Kind: rest.LogStreamKind(s.Kind), Config: map[string]any{}, Query: s.Query, Format: rest.LogStreamFormat(s.Format),
		Status: rest.LogStreamStatus(s.Status), Sent: int64(s.Sent), Batches: int64(s.Batches), Behind: int64(s.Behind), LagSeconds: s.Lag.Seconds(), Failures: int64(s.Failures),
		LastError: orNil(s.LastError), LastSentAt: ptr(s.LastSentAt), FailingSince: ptr(s.FailingSince), CheckedAt: ptr(s.CheckedAt), CreatedBy: s.CreatedBy, CreatedAt: s.CreatedAt.UTC()}
	_ = json.Unmarshal(s.Config, &v.Config) // it was an object when it was stored
	return v
}

// ListStreams pages through log streams, newest first.
func (h *handlers) ListStreams(ctx context.Context, r rest.ListStreamsRequestObject) (rest.ListStreamsResponseObject, error) {
	ctx, k := callOf(ctx)
	after, err := open[offset](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	out := rest.ListStreams200JSONResponse{Items: []rest.LogStream{}}
	if k.empty() {
		return out, nil
	}
	all, err := h.s.opts.Streams.List(ctx, k.scope)
	if err != nil {
		return nil, err
	}
	key := func(s LogStream) string { return newestFirst(s.CreatedAt, s.ID) }
	slices.SortFunc(all, func(a, b LogStream) int { return strings.Compare(key(a), key(b)) })
	page, last := cut(all, key, after, pageSize(r.Params.Limit))
	for _, s := range page {
		if err := h.s.saw(ctx, k, s.Tenant); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, logStreamView(s))
	}
	out.Next = next(h.s, k, last)
	return out, nil
}

// GetStream reads one.
func (h *handlers) GetStream(ctx context.Context, r rest.GetStreamRequestObject) (rest.GetStreamResponseObject, error) {
	ctx, k := callOf(ctx)
	if k.empty() {
		return nil, notFound()
	}
	s, err := h.s.opts.Streams.Get(ctx, k.scope, r.Id)
	if err == nil {
		err = h.s.saw(ctx, k, s.Tenant)
	}
	return rest.GetStream200JSONResponse(logStreamView(s)), err
}

// CreateStream registers one. Who may not export may not have events sent,
// either.
func (h *handlers) CreateStream(ctx context.Context, r rest.CreateStreamRequestObject) (rest.CreateStreamResponseObject, error) {
	ctx, k := callOf(ctx)
	if !k.principal.Can(access.EventsExport) {
		return nil, newProblem(kindForbidden, "The role %s does not hold %s.", k.principal.Role, access.EventsExport)
	}
	q, err := h.parseQuery(r.Body.Query)
	if err != nil {
		return nil, err
	}
	s := LogStream{Name: r.Body.Name, Kind: string(r.Body.Kind), Query: q.String(), Format: "ndjson"}
	if _, err := h.parseQuery(&s.Query); err != nil { // its canonical form may be longer than a query may be
		return nil, badField("query", "is too long when it is written out")
	}
	if r.Body.Format != nil {
		s.Format = string(*r.Body.Format)
	}
	if s.Config, err = json.Marshal(r.Body.Config); err != nil {
		return nil, err
	}
	secret := ""
	if r.Body.Secret != nil {
		secret = *r.Body.Secret
	}
	s, err = h.s.opts.Streams.Create(ctx, k.principal.Actor(), k.one, s, secret, r.Body.Start != nil && *r.Body.Start == rest.Beginning)
	return rest.CreateStream201JSONResponse(logStreamView(s)), err
}

// UpdateStream pauses one, or lets it go on.
func (h *handlers) UpdateStream(ctx context.Context, r rest.UpdateStreamRequestObject) (rest.UpdateStreamResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := h.s.opts.Streams.SetStatus(ctx, k.principal.Actor(), k.one, r.Id, string(r.Body.Status)); err != nil {
		return nil, err
	}
	s, err := h.s.opts.Streams.Get(ctx, k.scope, r.Id)
	return rest.UpdateStream200JSONResponse(logStreamView(s)), err
}

// DeleteStream ends one.
func (h *handlers) DeleteStream(ctx context.Context, r rest.DeleteStreamRequestObject) (rest.DeleteStreamResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := h.s.opts.Streams.Delete(ctx, k.principal.Actor(), k.one, r.Id); err != nil {
		return nil, err
	}
	return rest.DeleteStream204Response{}, nil
}
