package delivery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tenantwatch/tenantwatch/core"
)

const (
	maxAnswer  = 64 << 10 // read of an answer
	keptAnswer = 1 << 10  // kept of it
	maxHeaders = 32 << 10
)

// newClient makes the client whose every connection is checked as it is
// dialled, after the name was resolved.
func newClient(o Options) *http.Client {
	var v4, v6 []netip.Prefix
	for _, p := range o.AllowNetworks {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dialer := &net.Dialer{Timeout: o.Timeout, Control: guard.Safe}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			Proxy:                  nil, // a proxy would be what is checked, not the endpoint
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			TLSHandshakeTimeout:    o.Timeout,
			ResponseHeaderTimeout:  o.Timeout,
			MaxResponseHeaderBytes: maxHeaders,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true, // a small answer could unpack to a large one
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is what came of one request.
type answer struct {
	status     int // 0: none
	body       string
	err        string // why it is no success; empty for 2xx
	latency    time.Duration
	retryAfter time.Time // zero: not asked for
}

// MessageID is the webhook-id of a revision for an endpoint: the same on each
// attempt, so that a receiver can drop repeats.
func MessageID(webhookID string, seq uint64) string {
	sum := sha256.Sum256([]byte(webhookID + " " + strconv.FormatUint(seq, 10)))
	return "msg_" + hex.EncodeToString(sum[:16])
}

// send makes one attempt. It fails only when ctx, the sender's own, is done.
func (w *Worker) send(ctx context.Context, owed core.Owed, e core.Endpoint, m core.OwedMessage) (answer, error) {
	at := w.o.Now()
	body, err := Body(m.Revision, w.o.Version)
	if err != nil {
		return answer{err: err.Error()}, nil
	}
	signer, err := standardwebhooks.NewWebhook(owed.Secret.Reveal())
	if err != nil {
		return answer{err: "the endpoint's secret is damaged"}, nil
	}
	id := MessageID(e.WebhookID, m.Seq)
	signature, err := signer.Sign(id, at, body)
	if err != nil {
		return answer{err: "sign: " + err.Error()}, nil
	}
	rctx, cancel := context.WithTimeout(ctx, w.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(rctx, http.MethodPost, owed.URL, bytes.NewReader(body))
	if err != nil {
		return answer{err: "url: " + err.Error()}, nil
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tenantwatch/"+w.o.Version)
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	req.Header.Set("Webhook-Signature", signature)

	start := time.Now()
	res, err := w.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return answer{}, ctx.Err()
		}
		return answer{err: reason(err), latency: time.Since(start)}, nil
	}
	defer func() { _ = res.Body.Close() }()
	text, readErr := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if ctx.Err() != nil {
		return answer{}, ctx.Err()
	}
	a := answer{status: res.StatusCode, body: string(text[:min(len(text), keptAnswer)]), latency: time.Since(start)}
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		a.err = fmt.Sprintf("%d: redirects are not followed; register the address they lead to", res.StatusCode)
	case res.StatusCode < 200 || res.StatusCode >= 300:
		a.err = http.StatusText(res.StatusCode)
		if a.err == "" {
			a.err = "status " + strconv.Itoa(res.StatusCode)
		}
	case readErr != nil:
		a.err = "the answer broke off: " + reason(readErr)
	}
	a.retryAfter = retryAfter(res.Header.Get("Retry-After"), at)
	return a, nil
}

// reason puts a transport's error for the endpoint's owner: without the url,
// which may hold a secret, and without the addresses of our own network.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrProhibitedPort):
		return "refused: the address is private, loopback, link-local or reserved; the operator may allow its network"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &dns):
		return "the host's name does not resolve"
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer in time"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}

// retryAfter reads the header, seconds or a date, as RFC 9110 defines it.
func retryAfter(s string, now time.Time) time.Time {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return now.Add(time.Duration(n) * time.Second)
	}
	if t, err := http.ParseTime(s); err == nil && t.After(now) {
		return t
	}
	return time.Time{}
}
