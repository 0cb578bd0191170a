//go:build integration

package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver takes webhooks: it refuses the first two and keeps the rest.
type receiver struct {
	mu      sync.Mutex
	refused int
	got     []webhookCall
}

type webhookCall struct {
	head http.Header
	body []byte
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || r.refused < 2 {
		r.refused++
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	r.got = append(r.got, webhookCall{req.Header.Clone(), body})
}

func (r *receiver) calls() []webhookCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// verify follows Standard Webhooks: HMAC-SHA256 over "id.timestamp.body" with
// the base64 after whsec_, among the space-separated signatures.
func verify(secret string, c webhookCall) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	at, err := strconv.ParseInt(c.head.Get("Webhook-Timestamp"), 10, 64)
	if err != nil {
		return err
	}
	if d := time.Since(time.Unix(at, 0)); d.Abs() > 5*time.Minute {
		return fmt.Errorf("the timestamp is %v away", d)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", c.head.Get("Webhook-Id"), at, c.body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, s := range strings.Fields(c.head.Get("Webhook-Signature")) {
		if hmac.Equal([]byte(s), []byte(want)) {
			return nil
		}
	}
	return fmt.Errorf("no signature of %q matches", c.head.Get("Webhook-Signature"))
}

// An alert reaches a registered endpoint that was away at first, signed.
func TestIntegrationWebhook(t *testing.T) {
	r := &receiver{}
	srv := httptest.NewServer(r)
	defer srv.Close()
	i := up(t, dataDir(t), "--webhooks-allow-private", "--detectors-checkpoint-every", "1s")
	l := load{tenants: 1, perTenant: 5000}
	key := i.tenant(l.name(0))
	code, b := i.call(i.token, http.MethodPost, "/api/v1/webhooks", map[string]any{"tenant_id": l.name(0), "name": "siem", "url": srv.URL})
	var made struct {
		Webhook struct{ ID string }
		Secret  string
	}
	if err := json.Unmarshal(b, &made); code != 201 || err != nil || !strings.HasPrefix(made.Secret, "whsec_") {
		t.Fatalf("%d %s", code, b)
	}
	var body bytes.Buffer
	for n := range l.perTenant {
		l.event(&body, 0, n)
	}
	if p, err := i.push(key, "", &body); err != nil || p.Accepted != uint64(l.perTenant) {
		t.Fatalf("%+v, %v", p, err)
	}
	settle(t, i)
	as := i.alerts(l.name(0))
	if len(as) == 0 {
		t.Fatal("a password was guessed at and no alert arose")
	}
	revisions := 0
	for _, a := range as {
		revisions += a.Revision
	}
	eventually(t, 90*time.Second, "all revisions are delivered", func() bool { return len(r.calls()) >= revisions })
	told := map[string]int{}
	for _, c := range r.calls() {
		if err := verify(made.Secret, c); err != nil {
			t.Error(err)
		}
		if err := verify("whsec_"+base64.StdEncoding.EncodeToString(make([]byte, 32)), c); err == nil {
			t.Error("a signature verifies with any secret")
		}
		var f struct {
			ClassUID int `json:"class_uid"`
			Metadata struct {
				Tenant string `json:"tenant_uid"`
			}
			Unmapped struct{ Alert storedAlert }
		}
		if err := json.Unmarshal(c.body, &f); err != nil || f.ClassUID != 2004 || f.Metadata.Tenant != l.name(0) {
			t.Errorf("%v: %s", err, c.body)
		}
		told[f.Unmapped.Alert.ID] = max(told[f.Unmapped.Alert.ID], f.Unmapped.Alert.Revision)
	}
	for _, a := range as {
		if told[a.ID] != a.Revision {
			t.Errorf("alert %s: revision %d was delivered, %d is the last", a.ID, told[a.ID], a.Revision)
		}
	}
	if r.refused != 2 {
		t.Errorf("%d were refused, want 2", r.refused)
	}
	var deliveries struct {
		Items []struct {
			Status   string
			Attempts int
		}
	}
	eventually(t, 10*time.Second, "the deliveries are recorded", func() bool {
		i.get(i.token, "/api/v1/webhooks/"+made.Webhook.ID+"/deliveries?tenant_id="+l.name(0), &deliveries)
		attempts := 0
		for _, d := range deliveries.Items {
			if d.Status != "delivered" {
				return false
			}
			attempts += d.Attempts
		}
		return len(deliveries.Items) == revisions && attempts == revisions+2
	})
}
