package cli

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/delivery/webhook"
)

// TestListen: the receiver says what is wrong with each message.
func TestListen(t *testing.T) {
	const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	var out bytes.Buffer
	now := time.Unix(1_800_000_000, 0)
	rc := newReceiver(secret, &out, func() time.Time { return now })
	prev := make([]byte, 32)
	send := func(seq int, with, scheme, says string, status int, change func(string) string) {
		t.Helper()
		alert := fmt.Sprintf(`{"id":"a%d"}`, seq)
		hash := core.ChainHash(prev, []byte(alert))
		body := fmt.Sprintf(`{"message":"m","metadata":{"tenant_uid":"acme"},"unmapped":{"alert":%s,"chain":{"seq":%d,"prev_hash":"%x","hash":"%s"}}}`, alert, seq, prev, hex.EncodeToString(hash))
		if change != nil {
			body = change(body)
		}
		signature, err := webhook.Sign([]string{with}, scheme, "msg", now, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		req.Header = http.Header{"Webhook-Id": {"msg"}, "Webhook-Timestamp": {fmt.Sprint(now.Unix())}, "Webhook-Signature": {signature}}
		rec := httptest.NewRecorder()
		out.Reset()
		rc.ServeHTTP(rec, req)
		if rec.Code != status || !strings.Contains(out.String(), says) {
			t.Errorf("seq %d: %d %s, want %d and %q", seq, rec.Code, out.String(), status, says)
		}
		if status == 204 && change == nil {
			prev = hash
		}
	}
	send(1, secret, "v1", "first seen", 204, nil)
	send(2, secret, "v1a", `"sequence":"ok"`, 204, nil)
	send(5, secret, "v1", "gap: 2 missing; get them with after_seq=2", 204, nil)
	send(5, secret, "v1", "repeat", 204, nil)
	send(6, "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q=", "v1", "does not fit", 401, nil)
	send(6, secret, "v1", "does not have the hash", 204, func(b string) string { return strings.Replace(b, `"id":"a6"`, `"id":"b6"`, 1) })
	prev = make([]byte, 32)
	send(6, secret, "v1", "does not follow the one before", 204, nil)
}
