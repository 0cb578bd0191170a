// Package sentinel sends alerts to Microsoft Sentinel through the Logs
// Ingestion API: a JSON array of one record to a stream of a data collection
// rule, with a token from the client-credentials grant (RFC 6749, 4.4).
package sentinel

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/egress"
)

const apiVersion = "2023-01-01"

// record has the columns that docs/destinations.md tells to make.
type record struct {
	TimeGenerated  string          `json:"TimeGenerated"`
	TenantID       string          `json:"SourceTenant"`
	AlertID        string          `json:"AlertId"`
	Revision       uint32          `json:"Revision"`
	Sequence       uint64          `json:"Sequence"`
	State          string          `json:"State"`
	Severity       string          `json:"Severity"`
	Score          float64         `json:"Score"`
	Title          string          `json:"Title"`
	Reason         string          `json:"Reason"`
	EntityType     string          `json:"EntityType"`
	Entity         string          `json:"Entity"`
	Techniques     []string        `json:"Techniques"`
	FirstSeen      string          `json:"FirstSeen"`
	LastSeen       string          `json:"LastSeen"`
	EventCount     uint64          `json:"EventCount"`
	AdditionalData json.RawMessage `json:"AdditionalData"`
}

// Send implements dest.Sender. The address is the collection endpoint's; the
// token is the application's secret; settings are rule (the immutable id),
// stream, directory, client and, for other clouds, login.
func Send(ctx context.Context, out *egress.Egress, t dest.Target, m dest.Message) (dest.Result, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {t.Settings["client"]}, "client_secret": {t.Token},
		"scope": {t.Setting("scope", "https://monitor.azure.com/.default")}}
	login := strings.TrimRight(t.Setting("login", "https://login.microsoftonline.com"), "/") + "/" + url.PathEscape(t.Settings["directory"]) + "/oauth2/v2.0/token"
	got, err := dest.Post(ctx, out, m, http.MethodPost, login, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode()),
		t.Token, url.QueryEscape(t.Token))
	if err != nil {
		return got, err
	}
	var grant struct {
		Token string `json:"access_token"`
	}
	if got.Err == "" && (json.Unmarshal(got.Body, &grant) != nil || grant.Token == "") {
		got.Err = "the answer holds no access_token"
	}
	if got.Err != "" {
		got.Err = "sign in: " + got.Err
		got.Body = nil // may hold a token
		return got, nil
	}
	body, err := Body(m)
	if err != nil {
		return dest.Failed("%s", err), nil
	}
	address := strings.TrimRight(t.URL, "/") + "/dataCollectionRules/" + url.PathEscape(t.Settings["rule"]) + "/streams/" + url.PathEscape(t.Settings["stream"]) +
		"?api-version=" + apiVersion
	r, err := dest.Post(ctx, out, m, http.MethodPost, address, http.Header{"Authorization": {"Bearer " + grant.Token}}, body, grant.Token)
	r.Request = got.Request + "\r\n\r\n" + r.Request
	return r, err
}

// Body is the array of one record.
func Body(m dest.Message) ([]byte, error) {
	a := &m.Alert
	return json.Marshal([]record{{a.RaisedAt.UTC().Format(time.RFC3339Nano), a.Tenant.String(), a.ID, a.Revision, m.Seq, string(a.State), string(a.Severity),
		float64(a.Score) / 1000, a.Title, a.Reason, string(a.Entity.Type), a.Entity.ID, append([]string{}, a.Technique...),
		a.FirstSeen.UTC().Format(time.RFC3339Nano), a.LastSeen.UTC().Format(time.RFC3339Nano), a.Count, m.Document}})
}
