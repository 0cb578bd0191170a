package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// trailStore is api.Trail on the core.
type trailStore struct{ a *core.Audit }

func (s trailStore) Note(ctx context.Context, by access.Principal, ids []tenant.ID, n api.Noted) error {
	return s.a.Note(ctx, core.Note{By: by.Actor(), Tenants: ids, Action: n.Action, Target: n.Target, What: n.Operation, Address: n.Address, Role: by.Role})
}

func (s trailStore) List(ctx context.Context, id tenant.ID, before string, limit int) ([]api.TrailEntry, error) {
	read := func() ([]core.AuditEntry, error) { return s.a.List(ctx, id, before, limit) }
	if id.IsZero() {
		read = func() ([]core.AuditEntry, error) { return s.a.ListOperator(ctx, before, limit) }
	}
	rows, err := read()
	out := make([]api.TrailEntry, 0, len(rows))
	for _, e := range rows {
		out = append(out, api.TrailEntry{ID: e.ID, Time: e.Time, Tenant: e.Tenant, Actor: e.Actor, Action: e.Action, Target: e.Target, Detail: e.Detail})
	}
	return out, err
}

// trailRelay turns the rows of the trails into events in the same pipeline as
// everybody's, under the tenant that each concerns. It runs in the collector's
// role: only the collector's principal may write the event topics. A row's id
// is its event's, so that handing it on twice makes one event.
type trailRelay struct {
	audit    *core.Audit
	send     func(ctx context.Context, id tenant.ID, source string, events []event.Event, quarantined []event.Quarantined) error
	operator tenant.ID // gets the operator's own trail; zero: nobody does
	log      *slog.Logger
	now      func() time.Time
	relayed  prometheus.Counter
}

const (
	relayBatch = 500
	relayEvery = 500 * time.Millisecond
)

func newTrailRelay(audit *core.Audit, send func(context.Context, tenant.ID, string, []event.Event, []event.Quarantined) error, operator tenant.ID, log *slog.Logger, reg prometheus.Registerer) (*trailRelay, error) {
	r := &trailRelay{audit: audit, send: send, operator: operator, log: log, now: time.Now,
		relayed: prometheus.NewCounter(prometheus.CounterOpts{Name: "tenantwatch_trail_relayed_total", Help: "Rows of the audit trails that became events."})}
	return r, reg.Register(r.relayed)
}

// Run relays until ctx is done. What cannot be sent stays where it is.
func (r *trailRelay) Run(ctx context.Context) error {
	pause := relayEvery
	for {
		n, err := r.once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			r.log.Warn("the audit trail waits: its rows cannot be made events just now", "error", err, "next_try_in", pause)
			pause = min(2*pause, 15*time.Second)
		default:
			pause = relayEvery
			r.relayed.Add(float64(n))
		}
		if n == relayBatch {
			continue
		}
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

func (r *trailRelay) once(ctx context.Context) (int, error) {
	n, err := r.audit.Relay(ctx, relayBatch, r.hand)
	if err != nil || r.operator.IsZero() {
		return n, err
	}
	m, err := r.audit.RelayOperator(ctx, relayBatch, func(ctx context.Context, entries []core.AuditEntry) error {
		for i := range entries {
			entries[i].Tenant = r.operator
		}
		return r.hand(ctx, entries)
	})
	return max(n, m), err
}

// hand sends the entries, those of one tenant together.
func (r *trailRelay) hand(ctx context.Context, entries []core.AuditEntry) error {
	byTenant := map[tenant.ID][]event.Event{}
	var order []tenant.ID
	for _, e := range entries {
		if byTenant[e.Tenant] == nil {
			order = append(order, e.Tenant)
		}
		byTenant[e.Tenant] = append(byTenant[e.Tenant], trailEvent(e, r.now()))
	}
	for _, id := range order {
		if err := r.send(ctx, id, event.TrailSource, byTenant[id], nil); err != nil {
			return fmt.Errorf("trail of %s: %w", id, err)
		}
	}
	return nil
}

// verbs are the OCSF classes and activities of what the trail knows; an action
// that is not here is API activity, by its last word.
var verbs = map[string]struct {
	class    event.Class
	activity uint8
	outcome  event.Outcome
}{
	"session.start":   {event.ClassAuthentication, 1, event.OutcomeSuccess}, // Logon
	"session.refuse":  {event.ClassAuthentication, 1, event.OutcomeFailure},
	"session.end":     {event.ClassAuthentication, 2, event.OutcomeSuccess}, // Logoff
	"session.end_all": {event.ClassAuthentication, 2, event.OutcomeSuccess},
	"user.create":     {event.ClassAccountChange, 1, event.OutcomeSuccess}, // Create
	"user.enable":     {event.ClassAccountChange, 2, event.OutcomeSuccess}, // Enable
	"user.password":   {event.ClassAccountChange, 3, event.OutcomeSuccess}, // Password Change
	"user.reset":      {event.ClassAccountChange, 4, event.OutcomeSuccess}, // Password Reset
	"user.disable":    {event.ClassAccountChange, 5, event.OutcomeSuccess}, // Disable
	"user.delete":     {event.ClassAccountChange, 6, event.OutcomeSuccess}, // Delete
	"operator.grant":  {event.ClassAccountChange, 7, event.OutcomeSuccess}, // Attach Policy
	"user.role":       {event.ClassAccountChange, 7, event.OutcomeSuccess},
	// Detach Policy
	"operator.ungrant": {event.ClassAccountChange, 8, event.OutcomeSuccess},
	"user.lock":        {event.ClassAccountChange, 9, event.OutcomeSuccess},  // Lock
	"mfa.enable":       {event.ClassAccountChange, 10, event.OutcomeSuccess}, // MFA Factor Enable
	"mfa.disable":      {event.ClassAccountChange, 11, event.OutcomeSuccess}, // MFA Factor Disable
	"access.deny":      {event.ClassAPIActivity, 2, event.OutcomeFailure},    // Read
	core.ReadAction:    {event.ClassAPIActivity, 2, event.OutcomeSuccess},
	"audit.export":     {event.ClassAPIActivity, 2, event.OutcomeSuccess},
}

// activityOf is OCSF's activity_id of API Activity by the verb.
func activityOf(action string) uint8 {
	verb := action[strings.LastIndexByte(action, '.')+1:]
	switch {
	case slices.Contains([]string{"create", "add", "start"}, verb):
		return 1
	case slices.Contains([]string{"read", "view", "list"}, verb):
		return 2
	case slices.Contains([]string{"delete", "revoke", "remove", "end"}, verb):
		return 4
	}
	return 3 // Update
}

// trailEvent is the event of one row. Its time is the row's.
func trailEvent(e core.AuditEntry, now time.Time) event.Event {
	out := event.Event{Tenant: e.Tenant, ID: "trail-" + e.ID, Time: e.Time.UnixNano(), IngestedAt: now.UnixNano(),
		Class: event.ClassAPIActivity, Activity: activityOf(e.Action), Action: e.Action, Outcome: event.OutcomeSuccess, Severity: 1,
		Actor: e.Actor.Name, ActorType: "user", Resource: e.Target, Source: event.TrailSource, Format: event.TrailSource, Count: 1}
	if v, ok := verbs[e.Action]; ok {
		out.Class, out.Activity, out.Outcome = v.class, v.activity, v.outcome
	}
	if e.Actor.Name == "" {
		out.Actor = e.Actor.ID
	}
	switch e.Actor.Kind {
	case access.KindToken, access.KindOperatorToken, access.KindIngestKey, access.KindSystem:
		out.ActorType = "service"
	}
	out.ResourceType, _, _ = strings.Cut(e.Action, ".")
	if e.Action == "access.deny" {
		out.Status = 403
	}
	out.AddLabel("actor_kind", string(e.Actor.Kind))
	out.AddLabel("actor_id", e.Actor.ID)
	var detail map[string]any
	_ = json.Unmarshal(e.Detail, &detail) // core wrote it; without it the event is poorer
	for k, v := range detail {
		text, ok := v.(string)
		if !ok {
			b, _ := json.Marshal(v) // came out of JSON
			text = string(b)
		}
		switch k {
		case "address":
			out.SrcIP = text
		case "user_agent":
			out.UserAgent = text
		case "count":
			if n, ok := v.(float64); ok && n >= 1 {
				out.Count = uint32(min(n, 1<<31))
			}
		case "role":
			out.Cohort = text
		default:
			out.AddLabel(k, text)
		}
	}
	slices.SortFunc(out.Labels, func(a, b event.Label) int { return strings.Compare(a.Key, b.Key) })
	if raw, err := json.Marshal(e); err == nil {
		out.Raw = string(raw)
	}
	return out
}
