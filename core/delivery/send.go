package delivery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/egress"
)

// keptAnswer is how many bytes of an answer are kept with the attempt.
const keptAnswer = 1 << 10

// MessageID is the webhook-id of a revision for an endpoint: the same on each
// attempt, so that a receiver can drop repeats.
func MessageID(webhookID string, seq uint64) string {
	sum := sha256.Sum256([]byte(webhookID + " " + strconv.FormatUint(seq, 10)))
	return "msg_" + hex.EncodeToString(sum[:16])
}

// send makes one attempt. It fails only when ctx, the sender's own, is done.
func (w *Worker) send(ctx context.Context, owed core.Owed, e core.Endpoint, m core.OwedMessage) (egress.Answer, error) {
	at := w.o.Now()
	body, err := Body(m.Revision, w.o.Version)
	if err != nil {
		return egress.Answer{Err: err.Error()}, nil
	}
	signer, err := standardwebhooks.NewWebhook(owed.Secret.Reveal())
	if err != nil {
		return egress.Answer{Err: "the endpoint's secret is damaged"}, nil
	}
	id := MessageID(e.WebhookID, m.Seq)
	signature, err := signer.Sign(id, at, body)
	if err != nil {
		return egress.Answer{Err: "sign: " + err.Error()}, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, owed.URL, bytes.NewReader(body))
	if err != nil {
		return egress.Answer{Err: "url: " + err.Error()}, nil
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tenantwatch/"+w.o.Version)
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	req.Header.Set("Webhook-Signature", signature)
	return w.out.Do(ctx, req, at)
}
