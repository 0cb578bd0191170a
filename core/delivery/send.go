package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/egress"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
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
	k, ok := kindOf(owed.Kind)
	if !ok {
		return egress.Answer{Err: "kind " + owed.Kind + " is not known here"}, nil
	}
	msg, err := message(MessageID(e.WebhookID, m.Seq), m.Revision, w.o.Now(), w.o.Version)
	if err != nil {
		return egress.Answer{Err: err.Error()}, nil
	}
	r, err := k.Send(ctx, w.out, target(owed), msg)
	return r.Answer, err
}

// sampleRevision is a revision outside any feed.
func sampleRevision(a alert.Alert) (core.Revision, error) {
	doc, err := json.Marshal(&a)
	zero := make([]byte, sha256.Size)
	return core.Revision{Seq: a.Seq, Document: doc, PrevHash: zero, Hash: core.ChainHash(zero, doc)}, err
}
