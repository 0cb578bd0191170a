// Package splunk sends alerts to Splunk's HTTP Event Collector: one JSON
// object a revision with time, host, source, sourcetype and event, to
// /services/collector/event. Each revision is an event of its own.
package splunk

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/egress"
)

type event struct {
	Time       json.Number       `json:"time"` // seconds since 1970
	Host       string            `json:"host"`
	Source     string            `json:"source"`
	SourceType string            `json:"sourcetype"`
	Index      string            `json:"index,omitempty"`
	Event      json.RawMessage   `json:"event"`
	Fields     map[string]string `json:"fields"`
}

// Send implements dest.Sender. The token is the collector's; settings are
// index and sourcetype (tenantwatch:alert unless said otherwise).
func Send(ctx context.Context, out *egress.Egress, t dest.Target, m dest.Message) (dest.Result, error) {
	body, err := Body(t, m)
	if err != nil {
		return dest.Failed("%s", err), nil
	}
	address := strings.TrimRight(t.URL, "/")
	if !strings.HasSuffix(address, "/services/collector/event") {
		address += "/services/collector/event"
	}
	return dest.Post(ctx, out, m, http.MethodPost, address, http.Header{"Authorization": {"Splunk " + t.Token}}, body, t.Token)
}

// Body is the event.
func Body(t dest.Target, m dest.Message) ([]byte, error) {
	return json.Marshal(event{Time: json.Number(seconds(m)), Host: "tenantwatch", Source: "tenantwatch:" + m.Alert.Tenant.String(),
		SourceType: t.Setting("sourcetype", "tenantwatch:alert"), Index: t.Settings["index"], Event: m.Document,
		Fields: map[string]string{"tenant_id": m.Alert.Tenant.String(), "severity": string(m.Alert.Severity), "message_id": m.ID}})
}

func seconds(m dest.Message) string {
	return strconv.FormatFloat(float64(m.Alert.RaisedAt.UnixMilli())/1000, 'f', 3, 64)
}
