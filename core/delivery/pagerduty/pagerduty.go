// Package pagerduty sends alerts to PagerDuty's Events API v2. All revisions of
// an alert share a dedup_key; a retracted one resolves it.
package pagerduty

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/egress"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

var severity = map[alert.Severity]string{alert.Critical: "critical", alert.High: "error", alert.Medium: "warning", alert.Low: "info", alert.Informational: "info"}

// Send implements dest.Sender. The token is the integration's routing key.
func Send(ctx context.Context, out *egress.Egress, t dest.Target, m dest.Message) (dest.Result, error) {
	body, err := Body(t, m)
	if err != nil {
		return dest.Failed("%s", err), nil
	}
	address := strings.TrimRight(t.URL, "/")
	if !strings.HasSuffix(address, "/v2/enqueue") {
		address += "/v2/enqueue"
	}
	return dest.Post(ctx, out, m, http.MethodPost, address, nil, body, t.Token)
}

// Body is the event.
func Body(t dest.Target, m dest.Message) ([]byte, error) {
	a := &m.Alert
	e := map[string]any{"routing_key": t.Token, "dedup_key": "tenantwatch/" + a.Tenant.String() + "/" + a.ID, "event_action": "trigger"}
	if a.State == alert.Retracted {
		e["event_action"] = "resolve"
		return json.Marshal(e)
	}
	title := a.Title
	if r := []rune(title); len(r) > 1000 { // 1024 is the most
		title = string(r[:1000]) + "…"
	}
	e["payload"] = map[string]any{"summary": title, "source": a.Entity.ID, "severity": severity[a.Severity], "timestamp": a.RaisedAt.UTC().Format(time.RFC3339),
		"component": a.Tenant.String(), "class": strings.Join(a.Technique, " "),
		"custom_details": map[string]any{"reason": a.Reason, "score": dest.Points(a.Score), "count": a.Count, "counterfactual": a.Counterfactual, "revision": a.Revision}}
	if link := t.Link(a); link != "" {
		e["links"] = []any{map[string]any{"href": link, "text": "Open in tenantwatch"}}
	}
	return json.Marshal(e)
}
