// Package teams posts alerts to a Microsoft Teams workflow webhook as an
// Adaptive Card 1.4.
package teams

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/egress"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

const usual = "{reason}"

// Send implements dest.Sender. The token is the query of the workflow's
// address (its signature); settings: template, console.
func Send(ctx context.Context, out *egress.Egress, t dest.Target, m dest.Message) (dest.Result, error) {
	body, err := Body(t, m)
	if err != nil {
		return dest.Failed("%s", err), nil
	}
	address := t.URL
	if t.Token != "" {
		address += "?" + strings.TrimLeft(t.Token, "?")
	}
	return dest.Post(ctx, out, m, http.MethodPost, address, nil, body, t.Token)
}

// Body is the card in its envelope.
func Body(t dest.Target, m dest.Message) ([]byte, error) {
	a := &m.Alert
	fact := func(k, v string) map[string]any { return map[string]any{"title": k, "value": v} }
	color := map[alert.Severity]string{alert.Critical: "Attention", alert.High: "Attention", alert.Medium: "Warning"}[a.Severity]
	if color == "" {
		color = "Default"
	}
	card := map[string]any{"type": "AdaptiveCard", "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "version": "1.4", "body": []any{
		map[string]any{"type": "TextBlock", "text": a.Title, "weight": "Bolder", "size": "Medium", "wrap": true, "color": color},
		map[string]any{"type": "TextBlock", "text": dest.Text(t.Setting("template", usual), a), "wrap": true},
		map[string]any{"type": "FactSet", "facts": []any{fact("Severity", string(a.Severity)), fact("Score", dest.Points(a.Score)), fact("Tenant", a.Tenant.String()),
			fact(string(a.Entity.Type), a.Entity.ID), fact("State", string(a.State)), fact("Techniques", strings.Join(a.Technique, ", "))}}}}
	if link := t.Link(a); link != "" {
		card["actions"] = []any{map[string]any{"type": "Action.OpenUrl", "title": "Open", "url": link}}
	}
	return json.Marshal(map[string]any{"type": "message", "attachments": []any{map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}}})
}
