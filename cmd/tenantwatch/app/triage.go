package app

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// suppressionPolicies is the part the core's suppressions know.
func suppressionPolicies(s *core.Suppressions) policyPart {
	return func(ctx context.Context, into map[tenant.ID]*policy.Policy) error {
		all, err := s.InForce(ctx)
		if err != nil {
			return err
		}
		for id, list := range all {
			p := into[id]
			if p == nil {
				p = newPolicy()
				into[id] = p
			}
			p.Suppressions = list
		}
		return nil
	}
}

// eventLookup reads events by their ids.
type eventLookup interface {
	ByID(ctx context.Context, id tenant.ID, ids []string) ([]event.Event, error)
}

// matchEvents says whether one of the events fits a suppression's action,
// network and label, as the detectors take them.
func matchEvents(store eventLookup) core.EventMatcher {
	return func(ctx context.Context, id tenant.ID, ids []string, s policy.Suppression) (bool, error) {
		if len(ids) == 0 {
			return false, nil
		}
		events, err := store.ByID(ctx, id, ids)
		if err != nil {
			return false, err
		}
		for i := range events {
			if fits(&events[i], &s) {
				return true, nil
			}
		}
		return false, nil
	}
}

func fits(e *event.Event, s *policy.Suppression) bool {
	if prefix, star := strings.CutSuffix(s.Action, "*"); s.Action != "" && (star && !strings.HasPrefix(e.Action, prefix) || !star && e.Action != s.Action) {
		return false
	}
	if key, value, _ := strings.Cut(s.Label, "="); s.Label != "" && e.Label(key) != value {
		return false
	}
	if !s.Network.IsValid() {
		return true
	}
	a, err := netip.ParseAddr(e.SrcIP)
	return err == nil && s.Network.Contains(a.Unmap())
}

// allowedNetworks are the private ones the operator lets alerts be sent to:
// never link-local, which is where metadata services are.
func (a *App) allowedNetworks() (allow []netip.Prefix) {
	if !a.opts.Config.Webhooks.AllowPrivate {
		return nil
	}
	for _, p := range []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} {
		allow = append(allow, netip.MustParsePrefix(p))
	}
	return allow
}

func triageOf(t core.Triage) api.TriageState {
	out := api.TriageState{Status: string(t.Status), Verdict: string(t.Verdict), Assignee: t.Assignee, Version: t.Version, UpdatedAt: t.UpdatedAt,
		Tags: t.Tags, Severity: string(t.Severity), AcknowledgedAt: t.AcknowledgedAt, ClosedAt: t.ClosedAt}
	for _, l := range t.Links {
		out.Links = append(out.Links, api.Link(l))
	}
	return out
}

func triageChange(ch api.TriageChange) core.TriageChange {
	c := core.TriageChange{Assignee: ch.Assignee, Version: ch.Version, Tags: ch.Tags, AddTags: ch.AddTags, DropTags: ch.DropTags, Comment: ch.Comment}
	if ch.Status != nil {
		st := core.Status(*ch.Status)
		c.Status = &st
	}
	if ch.Verdict != nil {
		v := core.Verdict(*ch.Verdict)
		c.Verdict = &v
	}
	if ch.Severity != nil {
		v := alert.Severity(*ch.Severity)
		c.Severity = &v
	}
	if ch.Links != nil {
		links := []core.Link{}
		for _, l := range *ch.Links {
			links = append(links, core.Link(l))
		}
		c.Links = &links
	}
	return c
}

// triageStore is api.Triage on the core.
type triageStore struct{ a *core.Alerts }

func (s triageStore) History(ctx context.Context, id tenant.ID, alertID string) ([]api.HistoryEntry, error) {
	list, err := s.a.History(ctx, id, alertID)
	if err != nil {
		return nil, err
	}
	out := make([]api.HistoryEntry, 0, len(list))
	for _, e := range list {
		h := api.HistoryEntry{Version: e.Version, At: e.At, Actor: e.Actor.Name, Comment: e.Comment, Batch: e.Batch, Undoes: e.Undoes}
		for _, f := range []api.FieldChange{
			{Field: "status", From: string(e.From.Status), To: string(e.To.Status)}, {Field: "verdict", From: string(e.From.Verdict), To: string(e.To.Verdict)},
			{Field: "assignee", From: e.From.Assignee, To: e.To.Assignee}, {Field: "severity", From: string(e.From.Severity), To: string(e.To.Severity)},
			{Field: "tags", From: strings.Join(e.From.Tags, ", "), To: strings.Join(e.To.Tags, ", ")}, {Field: "links", From: linkText(e.From.Links), To: linkText(e.To.Links)},
		} {
			if f.From != f.To {
				h.Changes = append(h.Changes, f)
			}
		}
		out = append(out, h)
	}
	return out, nil
}

func linkText(links []core.Link) string {
	list := make([]string, len(links))
	for i, l := range links {
		list[i] = l.URL
	}
	return strings.Join(list, ", ")
}

func (s triageStore) Undo(ctx context.Context, id tenant.ID, by access.Actor, alertID string, version int) (api.TriageState, error) {
	t, err := s.a.Undo(ctx, id, by, alertID, version)
	return triageOf(t), err
}

func bulkOf(b core.Bulk) api.BulkOutcome {
	out := api.BulkOutcome{Batch: b.Batch}
	for _, r := range b.Results {
		it := api.BulkItem{ID: r.ID, Version: r.Version, Result: "unchanged"}
		switch {
		case errors.Is(r.Err, core.ErrNotFound):
			it.Result = "not_found"
		case r.Err != nil:
			it.Result = "conflict"
		case r.Changed:
			it.Result = "changed"
		}
		out.Items = append(out.Items, it)
	}
	return out
}

func (s triageStore) Bulk(ctx context.Context, id tenant.ID, by access.Actor, ids []string, f api.AlertFilter, ch api.TriageChange) (api.BulkOutcome, error) {
	cf := core.AlertFilter{Severity: f.Severity, Text: f.Text}
	for _, st := range f.Status {
		cf.Status = append(cf.Status, core.Status(st))
	}
	b, err := s.a.SetTriageBulk(ctx, id, by, ids, cf, triageChange(ch))
	return bulkOf(b), err
}

func (s triageStore) UndoBulk(ctx context.Context, id tenant.ID, by access.Actor, batch string) (api.BulkOutcome, error) {
	b, err := s.a.UndoBulk(ctx, id, by, batch)
	return bulkOf(b), err
}

func (s triageStore) SLA(ctx context.Context, scope []tenant.ID, from, to time.Time) ([]api.SLAFigures, error) {
	list, err := s.a.SLA(ctx, scope, from, to)
	out := make([]api.SLAFigures, 0, len(list))
	for _, f := range list {
		out = append(out, api.SLAFigures(f))
	}
	return out, err
}

func (s triageStore) SLATargets(ctx context.Context, id tenant.ID) (out []api.SLATarget, err error) {
	list, err := s.a.SLATargets(ctx, id)
	for _, t := range list {
		out = append(out, api.SLATarget(t))
	}
	return out, err
}

func (s triageStore) SetSLATargets(ctx context.Context, id tenant.ID, by access.Actor, targets []api.SLATarget) error {
	var list []core.SLATarget
	for _, t := range targets {
		list = append(list, core.SLATarget(t))
	}
	return s.a.SetSLATargets(ctx, id, by, list)
}

// suppressionStore is api.Suppressions on the core.
type suppressionStore struct {
	s     *core.Suppressions
	match core.EventMatcher
}

func policyScope(s api.SuppressionScope) policy.Suppression {
	return policy.Suppression{Detector: s.Detector, EntityType: s.EntityType, EntityID: s.EntityID, Action: s.Action, Label: s.Label, Network: s.Network}
}

func suppressionOf(s core.Suppression) api.Suppression {
	return api.Suppression{SuppressionScope: api.SuppressionScope{Detector: s.Detector, EntityType: s.EntityType, EntityID: s.EntityID, Action: s.Action, Label: s.Label, Network: s.Network},
		ID: s.ID, Tenant: s.Tenant, From: s.From, Until: s.Until, Owner: s.Owner, Reason: s.Reason, Override: s.Override, Author: s.CreatedBy, CreatedAt: s.CreatedAt,
		EndedAt: s.EndedAt, Hits: s.Hits, LastHit: s.LastHit}
}

func previewOf(p core.SuppressionPreview) api.SuppressionPreview {
	out := api.SuppressionPreview{From: p.From, To: p.To, Scanned: p.Scanned, Truncated: p.Truncated, Hidden: p.Hidden, Confirmed: p.Confirmed}
	for _, a := range p.Alerts {
		out.Alerts = append(out.Alerts, api.StoredAlert{Alert: a.Alert, Triage: triageOf(a.Triage)})
	}
	return out
}

func (s suppressionStore) List(ctx context.Context, scope []tenant.ID) ([]api.Suppression, error) {
	list, err := s.s.List(ctx, scope)
	out := make([]api.Suppression, 0, len(list))
	for _, x := range list {
		out = append(out, suppressionOf(x))
	}
	return out, err
}

func (s suppressionStore) Preview(ctx context.Context, id tenant.ID, scope api.SuppressionScope, period time.Duration) (api.SuppressionPreview, error) {
	p, err := s.s.Preview(ctx, id, policyScope(scope), period, s.match)
	return previewOf(p), err
}

func (s suppressionStore) Create(ctx context.Context, by access.Actor, id tenant.ID, n api.Suppression) (api.Suppression, api.SuppressionPreview, error) {
	scope := policyScope(n.SuppressionScope)
	scope.Until = n.Until
	x, p, err := s.s.Create(ctx, by, id, core.Suppression{Suppression: scope, Owner: n.Owner, Reason: n.Reason, Override: n.Override}, s.match)
	return suppressionOf(x), previewOf(p), err
}

func (s suppressionStore) End(ctx context.Context, by access.Actor, id tenant.ID, suppressionID string) error {
	return s.s.End(ctx, by, id, suppressionID)
}

func (s suppressionStore) Hidden(ctx context.Context, scope []tenant.ID, suppressionID, text string, limit int) ([]api.HiddenAlert, error) {
	list, err := s.s.Hidden(ctx, scope, suppressionID, text, limit)
	out := make([]api.HiddenAlert, 0, len(list))
	for _, h := range list {
		out = append(out, api.HiddenAlert{Alert: h.Alert, Suppression: h.Suppression})
	}
	return out, err
}

func (s webhookStore) SetActive(ctx context.Context, by access.Actor, id tenant.ID, webhookID string, active bool) error {
	if active {
		return s.w.Resume(ctx, by, id, webhookID)
	}
	return s.w.Pause(ctx, by, id, webhookID)
}

func (s webhookStore) SetMinSeverity(ctx context.Context, by access.Actor, id tenant.ID, webhookID string, least alert.Severity) error {
	return s.w.SetMinSeverity(ctx, by, id, webhookID, least)
}

func (s webhookStore) Rotate(ctx context.Context, by access.Actor, id tenant.ID, webhookID string, overlap time.Duration) (string, error) {
	secret, err := s.w.Rotate(ctx, by, id, webhookID, overlap)
	return secret.Reveal(), err
}

func (s webhookStore) Redeliver(ctx context.Context, by access.Actor, id tenant.ID, webhookID string, seqs []uint64) (int64, error) {
	return s.w.Redeliver(ctx, by, id, webhookID, seqs...)
}

func (s webhookStore) Test(ctx context.Context, by access.Actor, id tenant.ID, webhookID string) (api.Exchange, error) {
	// First whether there is such a webhook: a trail names nothing of another
	// tenant's, not even what somebody asked for.
	if _, err := s.w.Target(ctx, id, webhookID); err != nil {
		return api.Exchange{}, err
	}
	if err := s.audit.Record(ctx, id, by, "webhook.test", webhookID, nil); err != nil {
		return api.Exchange{}, err
	}
	r, err := s.test.Test(ctx, id, webhookID)
	if err != nil {
		return api.Exchange{}, err
	}
	x := api.Exchange{Protocol: "tcp", Request: text(r.Request, 16<<10), Error: r.Err, Latency: r.Latency}
	if r.Status != 0 {
		x.Protocol = "HTTP/1.1"
		x.Response = "HTTP/1.1 " + strconv.Itoa(r.Status) + " " + http.StatusText(r.Status) + "\r\n\r\n"
	}
	x.Response += text(string(r.Body), 4<<10)
	return x, nil
}

// text cuts to n bytes and keeps it printable as JSON.
func text(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "\uFFFD") }

func (s webhookStore) Attempts(ctx context.Context, id tenant.ID, webhookID string, seq uint64) ([]api.AttemptInfo, error) {
	list, err := s.w.Attempts(ctx, id, webhookID, seq)
	out := make([]api.AttemptInfo, 0, len(list))
	for _, a := range list {
		out = append(out, api.AttemptInfo{Seq: a.Seq, Attempt: a.Attempt, At: a.At, Status: a.Status, Latency: a.Latency, Error: a.Error, Answer: strings.ToValidUTF8(a.Answer, "\uFFFD")})
	}
	return out, err
}
