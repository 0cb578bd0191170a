// Package slack posts alerts to a Slack incoming webhook as blocks. What an
// alert says is escaped, so that nothing in it becomes a mention or a link.
package slack

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/egress"
)

const usual = "*{title}*\n{reason}\n_{severity} · score {score} · {tenant} · {entity_type} {entity} · {techniques} · {state}_"

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Send implements dest.Sender. The token is the webhook's path, e.g.
// T000/B000/XXXX, when the address ends before it; settings: template, console.
func Send(ctx context.Context, out *egress.Egress, t dest.Target, m dest.Message) (dest.Result, error) {
	body, err := Body(t, m)
	if err != nil {
		return dest.Failed("%s", err), nil
	}
	address := t.URL
	if t.Token != "" {
		address = strings.TrimRight(address, "/") + "/" + strings.TrimLeft(t.Token, "/")
	}
	return dest.Post(ctx, out, m, http.MethodPost, address, nil, body, t.Token)
}

// Body is the message.
func Body(t dest.Target, m dest.Message) ([]byte, error) {
	a := m.Alert
	for _, s := range []*string{&a.Title, &a.Reason, &a.Counterfactual, &a.Entity.ID} {
		*s = escape.Replace(*s)
	}
	text := dest.Text(t.Setting("template", usual), &a)
	if r := []rune(text); len(r) > 2900 { // a section holds 3000 characters
		text = string(r[:2900]) + "…"
	}
	blocks := []any{map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": text}}}
	if link := t.Link(&a); link != "" {
		blocks = append(blocks, map[string]any{"type": "actions", "elements": []any{map[string]any{"type": "button",
			"text": map[string]any{"type": "plain_text", "text": "Open"}, "url": link}}})
	}
	return json.Marshal(map[string]any{"text": a.Title, "blocks": blocks})
}
