package api

import (
	"context"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

type worldTriage world

func (w *worldTriage) find(id tenant.ID, alertID string) (StoredAlert, error) {
	for _, a := range w.alerts {
		if a.Tenant == id && a.ID == alertID {
			return a, nil
		}
	}
	return StoredAlert{}, ErrNotFound
}

func (w *worldTriage) History(_ context.Context, id tenant.ID, alertID string) ([]HistoryEntry, error) {
	a, err := w.find(id, alertID)
	return []HistoryEntry{{Version: 2, At: day, Actor: a.Title, Comment: a.Title, Changes: []FieldChange{{"status", "new", "closed"}}}}, err
}

func (w *worldTriage) Undo(_ context.Context, id tenant.ID, _ access.Actor, alertID string, _ int) (TriageState, error) {
	a, err := w.find(id, alertID)
	return a.Triage, err
}

func (w *worldTriage) Bulk(_ context.Context, id tenant.ID, _ access.Actor, ids []string, _ AlertFilter, _ TriageChange) (BulkOutcome, error) {
	out := BulkOutcome{Batch: "b"}
	for _, x := range ids {
		it := BulkItem{ID: x, Result: "changed", Version: 2}
		if _, err := w.find(id, x); err != nil {
			it = BulkItem{ID: x, Result: "not_found"}
		}
		out.Items = append(out.Items, it)
	}
	return out, nil
}

func (w *worldTriage) UndoBulk(_ context.Context, _ tenant.ID, _ access.Actor, batch string) (BulkOutcome, error) {
	if batch != "b" {
		return BulkOutcome{}, ErrNotFound
	}
	return BulkOutcome{}, nil
}

func (w *worldTriage) SLA(_ context.Context, scope []tenant.ID, _, _ time.Time) (out []SLAFigures, err error) {
	for _, id := range scope {
		out = append(out, SLAFigures{Tenant: id, Day: day, Severity: alert.High, Raised: 3, AckWithin: 1, AckP50: time.Minute})
	}
	return out, nil
}

func (w *worldTriage) SLATargets(context.Context, tenant.ID) ([]SLATarget, error) {
	return []SLATarget{{alert.High, 60, 1440}}, nil
}

func (w *worldTriage) SetSLATargets(context.Context, tenant.ID, access.Actor, []SLATarget) error {
	w.calls++
	return nil
}

type worldSuppressions world

func (w *worldSuppressions) of(id tenant.ID) Suppression {
	return Suppression{SuppressionScope: SuppressionScope{EntityType: "user", EntityID: "CANARY-" + id.String()}, ID: map[tenant.ID]string{alpha: alphaID, beta: betaID}[id], Tenant: id,
		From: day, Until: day.Add(time.Hour), Owner: "CANARY-" + id.String(), Reason: "r", CreatedAt: day}
}

func (w *worldSuppressions) List(_ context.Context, scope []tenant.ID) (out []Suppression, err error) {
	for _, id := range scope {
		out = append(out, w.of(id))
	}
	return out, nil
}

func (w *worldSuppressions) Preview(_ context.Context, id tenant.ID, _ SuppressionScope, _ time.Duration) (SuppressionPreview, error) {
	p := SuppressionPreview{From: day, To: day, Scanned: 1, Hidden: 1}
	for _, a := range w.alerts {
		if a.Tenant == id {
			p.Alerts = append(p.Alerts, a)
		}
	}
	return p, nil
}

func (w *worldSuppressions) Create(ctx context.Context, _ access.Actor, id tenant.ID, s Suppression) (Suppression, SuppressionPreview, error) {
	p, err := w.Preview(ctx, id, s.SuppressionScope, time.Hour)
	s.ID, s.Tenant, s.From, s.CreatedAt = noID, id, day, day
	return s, p, err
}

func (w *worldSuppressions) End(_ context.Context, _ access.Actor, id tenant.ID, suppressionID string) error {
	if w.of(id).ID != suppressionID {
		return ErrNotFound
	}
	return nil
}

func (w *worldSuppressions) Hidden(_ context.Context, scope []tenant.ID, suppressionID, _ string, _ int) (out []HiddenAlert, err error) {
	i := slices.IndexFunc(scope, func(id tenant.ID) bool { return w.of(id).ID == suppressionID })
	if i < 0 {
		return nil, ErrNotFound
	}
	for _, a := range w.alerts {
		if a.Tenant == scope[i] {
			out = append(out, HiddenAlert{a.Alert, suppressionID})
		}
	}
	return out, nil
}

func (w *worldWebhooks) change(id tenant.ID, hookID string, fn func(*WebhookInfo)) error {
	for i := range w.hooks {
		if w.hooks[i].Tenant == id && w.hooks[i].ID == hookID {
			fn(&w.hooks[i])
			return nil
		}
	}
	return ErrNotFound
}

func (w *worldWebhooks) SetActive(_ context.Context, _ access.Actor, id tenant.ID, hookID string, active bool) error {
	return w.change(id, hookID, func(h *WebhookInfo) { h.Status = map[bool]string{true: "active", false: "paused"}[active] })
}

func (w *worldWebhooks) SetMinSeverity(_ context.Context, _ access.Actor, id tenant.ID, hookID string, least alert.Severity) error {
	return w.change(id, hookID, func(h *WebhookInfo) { h.MinSeverity = least })
}

func (w *worldWebhooks) Rotate(_ context.Context, _ access.Actor, id tenant.ID, hookID string, _ time.Duration) (string, error) {
	return "whsec_y", w.change(id, hookID, func(*WebhookInfo) {})
}

func (w *worldWebhooks) Redeliver(_ context.Context, _ access.Actor, id tenant.ID, hookID string, seqs []uint64) (int64, error) {
	return int64(len(seqs)), w.change(id, hookID, func(*WebhookInfo) {})
}

func (w *worldWebhooks) Test(_ context.Context, _ access.Actor, id tenant.ID, hookID string) (Exchange, error) {
	return Exchange{Protocol: "HTTP/1.1", Request: "POST /", Response: "204", Latency: time.Millisecond}, w.change(id, hookID, func(*WebhookInfo) {})
}

func (w *worldWebhooks) Attempts(_ context.Context, id tenant.ID, hookID string, seq uint64) ([]AttemptInfo, error) {
	return []AttemptInfo{{Seq: seq, Attempt: 1, At: day, Status: 503, Latency: time.Millisecond, Error: "busy", Answer: "CANARY-" + id.String()}}, w.change(id, hookID, func(*WebhookInfo) {})
}
