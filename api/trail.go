package api

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Noted is one thing for the trail. Stores may fold what the same principal
// does again within a minute into a count.
type Noted struct {
	Action    string // see the constants
	Operation string
	Target    string // the address that was asked for, as in the contract
	Address   string // of the client
}

// What the API itself writes into trails; everything else is written by the
// stores, in the transaction of the deed.
const (
	NoteRead   = "operator.read" // an operator's person or token was shown a tenant's data
	NoteDeny   = "access.deny"   // 403
	NoteExport = "audit.export"
)

// Trail is where the API writes what people look at and what they are refused.
type Trail interface {
	// Note writes into the trail of each tenant, or into the operator's own
	// when there is none. When it returns nil the fact is durable.
	Note(ctx context.Context, by access.Principal, ids []tenant.ID, n Noted) error
	// List reads the trail of a tenant, or the operator's own when id is zero,
	// newest first, from before the entry of that id ("": from the newest).
	List(ctx context.Context, id tenant.ID, before string, limit int) ([]TrailEntry, error)
}

// TrailEntry is one row of a trail; Detail is a JSON object.
type TrailEntry struct {
	ID             string
	Time           time.Time
	Tenant         tenant.ID // zero in the operator's own
	Actor          access.Actor
	Action, Target string
	Detail         []byte
}

// ListTrail pages through a trail.
func (h *handlers) ListTrail(ctx context.Context, r rest.ListTrailRequestObject) (rest.ListTrailResponseObject, error) {
	ctx, k := callOf(ctx)
	after, err := open[offset](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	id, err := k.whose()
	if err != nil {
		return nil, err
	}
	before, limit := "", pageSize(r.Params.Limit)
	if after != nil {
		before = after.Key
	}
	rows, err := h.s.opts.Trail.List(ctx, id, before, limit+1)
	if err != nil {
		return nil, err
	}
	out := rest.ListTrail200JSONResponse{Items: []rest.TrailEntry{}}
	if len(rows) > limit {
		rows = rows[:limit]
		out.Next = next(h.s, k, &offset{rows[limit-1].ID})
	}
	for _, e := range rows {
		v := rest.TrailEntry{Id: e.ID, Time: e.Time.UTC(), TenantId: orNil(e.Tenant.String()), Action: e.Action, Target: e.Target,
			Actor: rest.TrailActor{Kind: string(e.Actor.Kind), Id: e.Actor.ID, Name: e.Actor.Name}, Detail: map[string]any{}}
		if len(e.Detail) > 0 {
			if err := json.Unmarshal(e.Detail, &v.Detail); err != nil {
				return nil, err
			}
		}
		out.Items = append(out.Items, v)
	}
	return out, nil
}

// shown are the permissions whose use by the operator's people a tenant is
// told of: they show the tenant's own data, not figures about it.
var shown = []access.Permission{access.EventsRead, access.EventsExport, access.QuarantineRead, access.AlertsRead, access.AuditRead,
	access.WebhooksRead, access.KeysRead, access.UsersRead}

func ofOperator(p access.Principal) bool {
	return p.Kind == access.KindOperator || p.Kind == access.KindOperatorToken
}

// note writes the operation's address as the contract has it: what somebody put
// into it may be another tenant's, and no trail says what is not its own.
func (s *Server) note(ctx context.Context, k *call, action string, ids []tenant.ID) error {
	return s.opts.Trail.Note(ctx, k.principal, ids, Noted{Action: action, Operation: k.route.Operation, Target: k.route.Path, Address: k.gin.ClientIP()})
}

// saw writes down that an operator is about to be shown data of these tenants;
// each id is written once a request. Handlers whose operation reads a set call
// it with the tenants whose data are in the answer; for a request narrowed to
// one tenant the guard has done so.
func (s *Server) saw(ctx context.Context, k *call, ids ...tenant.ID) error {
	if !ofOperator(k.principal) {
		return nil
	}
	var fresh []tenant.ID
	for _, id := range ids {
		if !id.IsZero() && !slices.Contains(k.seen, id) {
			k.seen = append(k.seen, id)
			fresh = append(fresh, id)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return s.note(ctx, k, NoteRead, fresh)
}

// noteNarrowed writes down a read of one named tenant, before it happens, and
// everybody's export.
func (s *Server) noteNarrowed(c *gin.Context, k *call) error {
	k.gin = c
	if k.one.IsZero() || !slices.Contains(shown, k.route.Permission) || k.route.Operation == "getOverview" {
		return nil
	}
	if k.route.Operation == "exportEvents" {
		k.seen = append(k.seen, k.one)
		return s.note(c.Request.Context(), k, NoteExport, []tenant.ID{k.one})
	}
	return s.saw(c.Request.Context(), k, k.one)
}

// noteDenied writes down that a known principal was refused something.
func (s *Server) noteDenied(c *gin.Context, k *call, err error) {
	var p *problem
	if !errors.As(err, &p) || p.kind != kindForbidden && p.kind != kindCSRF || k.principal.ID == "" {
		return
	}
	k.gin = c
	var ids []tenant.ID
	if k.principal.Single() {
		ids = []tenant.ID{k.principal.Tenant}
	} else if id, err := tenant.Parse(c.Query("tenant_id")); err == nil && k.principal.Sees(id) {
		ids = []tenant.ID{id}
	}
	if err := s.note(c.Request.Context(), k, NoteDeny, ids); err != nil {
		s.log.Error("a refusal could not be written into the trail", "error", err, "request_id", requestID(c))
	}
}
