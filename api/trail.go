package api

import (
	"context"
	"errors"
	"slices"

	"github.com/gin-gonic/gin"

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
	if k.route.Permission == access.EventsExport {
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
