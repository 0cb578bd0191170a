// Package elastic writes alerts into Elasticsearch in the Elastic Common
// Schema through the bulk API: an index action whose _id is that of the
// message, so that a repeat replaces and never duplicates.
package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/egress"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// Send implements dest.Sender. The token is an API key; settings: index
// (tenantwatch-alerts unless said otherwise).
func Send(ctx context.Context, out *egress.Egress, t dest.Target, m dest.Message) (dest.Result, error) {
	body, err := Body(t, m)
	if err != nil {
		return dest.Failed("%s", err), nil
	}
	h := http.Header{"Content-Type": {"application/x-ndjson"}}
	if t.Token != "" {
		h.Set("Authorization", "ApiKey "+t.Token)
	}
	r, err := dest.Post(ctx, out, m, http.MethodPost, strings.TrimRight(t.URL, "/")+"/_bulk", h, body, t.Token)
	if err != nil || r.Err != "" {
		return r, err
	}
	// 200 says that the request was understood, not that anything was kept.
	var said struct {
		Errors bool
		Items  []map[string]struct {
			Status int
			Error  struct{ Type, Reason string }
		}
	}
	if json.Unmarshal(r.Body, &said) != nil || len(said.Items) == 0 {
		r.Err = "the answer is none of the bulk API"
		return r, nil
	}
	for _, it := range said.Items[0] {
		if said.Errors || it.Status >= 300 {
			r.Err = "not indexed: " + it.Error.Type + ": " + it.Error.Reason
			r.Status = it.Status
		}
	}
	return r, nil
}

// Body is the action and the document, each on a line.
func Body(t dest.Target, m dest.Message) ([]byte, error) {
	a := &m.Alert
	doc := map[string]any{
		"@timestamp": a.RaisedAt.UTC().Format(time.RFC3339Nano), "message": a.Title, "ecs": map[string]any{"version": "8.17.0"},
		"event": map[string]any{"kind": "alert", "category": []string{"intrusion_detection"}, "type": []string{"info"}, "id": m.ID, "module": "tenantwatch",
			"dataset": "tenantwatch.alert", "severity": dest.Level(a.Severity), "risk_score": float64(a.Score) / 1000, "sequence": m.Seq, "reason": a.Reason,
			"start": a.FirstSeen.UTC().Format(time.RFC3339Nano), "end": a.LastSeen.UTC().Format(time.RFC3339Nano), "action": "alert-" + string(a.State)},
		"observer":     map[string]any{"vendor": "tenantwatch", "product": "tenantwatch", "version": m.Version},
		"organization": map[string]any{"id": a.Tenant.String()},
		"rule":         map[string]any{"id": rule(a), "name": a.Title},
		"tenantwatch":  map[string]any{"alert": m.Document},
	}
	if len(a.Technique) > 0 {
		doc["threat"] = map[string]any{"framework": "MITRE ATT&CK", "technique": map[string]any{"id": a.Technique}}
	}
	related := map[string][]string{}
	for _, e := range append([]alert.Entity{a.Entity}, a.Related...) {
		switch e.Type {
		case alert.User, alert.Service:
			related["user"] = append(related["user"], e.ID)
		case alert.Address:
			related["ip"] = append(related["ip"], e.ID)
		case alert.Device:
			related["hosts"] = append(related["hosts"], e.ID)
		}
	}
	if len(related) > 0 {
		doc["related"] = related
	}
	switch a.Entity.Type {
	case alert.User, alert.Service:
		doc["user"] = map[string]any{"name": a.Entity.ID}
	case alert.Address:
		doc["source"] = map[string]any{"address": a.Entity.ID}
	case alert.Device:
		doc["host"] = map[string]any{"name": a.Entity.ID}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // ends each value with a line's end
	if err := enc.Encode(map[string]any{"index": map[string]any{"_index": t.Setting("index", "tenantwatch-alerts"), "_id": m.ID}}); err != nil {
		return nil, err
	}
	err := enc.Encode(doc)
	return b.Bytes(), err
}

func rule(a *alert.Alert) string {
	if len(a.Detectors) == 0 {
		return "tenantwatch"
	}
	return a.Detectors[0].Name
}
