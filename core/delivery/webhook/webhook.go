// Package webhook sends an OCSF Detection Finding as Standard Webhooks say:
// signed with HMAC-SHA256 (v1) and, on demand, ed25519 (v1a), by each of two
// secrets while one rotates.
//
// Protocol: https://www.standardwebhooks.com. The signed content is
// "id.timestamp.body". The ed25519 key is made of the same secret: its seed is
// SHA-256("tenantwatch ed25519" || key).
package webhook

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/egress"
)

// Send implements dest.Sender. The setting signature is "v1" (the default),
// "v1a" or "v1 v1a".
func Send(ctx context.Context, out *egress.Egress, t dest.Target, m dest.Message) (dest.Result, error) {
	signature, err := Sign(t.Secrets, t.Setting("signature", "v1"), m.ID, m.At, m.Finding)
	if err != nil {
		return dest.Failed("%s", err), nil
	}
	h := http.Header{"Webhook-Id": {m.ID}, "Webhook-Timestamp": {strconv.FormatInt(m.At.Unix(), 10)}, "Webhook-Signature": {signature}}
	return dest.Post(ctx, out, m, http.MethodPost, t.URL, h, m.Finding)
}

// Sign is the header webhook-signature: a signature of each scheme by each
// secret, separated by blanks.
func Sign(secrets []string, schemes, id string, at time.Time, body []byte) (string, error) {
	var list []string
	for _, s := range secrets {
		key, err := Key(s)
		if err != nil {
			return "", err
		}
		signed := []byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "." + string(body))
		for scheme := range strings.FieldsSeq(schemes) {
			switch scheme {
			case "v1":
				mac := hmac.New(sha256.New, key)
				mac.Write(signed)
				list = append(list, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
			case "v1a":
				list = append(list, "v1a,"+base64.StdEncoding.EncodeToString(ed25519.Sign(private(key), signed)))
			}
		}
	}
	if len(list) == 0 {
		return "", errors.New("there is no secret to sign with")
	}
	return strings.Join(list, " "), nil
}

// Key is the bytes of a secret "whsec_<base64>".
func Key(secret string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < 16 {
		return nil, errors.New("the endpoint's secret is damaged")
	}
	return key, nil
}

func private(key []byte) ed25519.PrivateKey {
	seed := sha256.Sum256(append([]byte("tenantwatch ed25519"), key...))
	return ed25519.NewKeyFromSeed(seed[:])
}

// PublicKey is what a receiver checks v1a with: "whpk_<base64>".
func PublicKey(secret string) (string, error) {
	key, err := Key(secret)
	if err != nil {
		return "", err
	}
	return "whpk_" + base64.StdEncoding.EncodeToString(private(key).Public().(ed25519.PublicKey)), nil
}

// Verify holds a message against one secret: nil when a signature fits and the
// timestamp is within tolerance of now.
func Verify(secret string, h http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	id, stamp := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	sec, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || id == "" {
		return errors.New("webhook-id or webhook-timestamp is missing")
	}
	if d := now.Sub(time.Unix(sec, 0)); d > tolerance || d < -tolerance {
		return errors.New("the timestamp is too old or in the future")
	}
	key, err := Key(secret)
	if err != nil {
		return err
	}
	signed := []byte(id + "." + stamp + "." + string(body))
	mac := hmac.New(sha256.New, key)
	mac.Write(signed)
	want := mac.Sum(nil)
	for s := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		scheme, text, _ := strings.Cut(s, ",")
		given, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		if scheme == "v1" && hmac.Equal(given, want) || scheme == "v1a" && ed25519.Verify(private(key).Public().(ed25519.PublicKey), signed, given) {
			return nil
		}
	}
	return errors.New("the signature does not fit")
}
