package httppush

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest zstd window accepted, what zstd -19 writes.
const maxWindow = 8 << 20

var (
	errTooLarge = errors.New("the body is too large")
	errCorrupt  = errors.New("the compressed body is damaged")
)

// checkType accepts what bodies of events are sent as. Also the type curl
// --data-binary states when told none.
func checkType(header string) error {
	if header == "" {
		return nil
	}
	t, _, err := mime.ParseMediaType(header)
	if err != nil {
		t = strings.ToLower(strings.TrimSpace(header))
	}
	switch t {
	case "application/json", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
		"application/json-lines", "application/octet-stream", "application/x-www-form-urlencoded",
		"application/gzip", "application/zstd":
		return nil
	}
	if strings.HasPrefix(t, "text/") && t != "text/html" && t != "text/xml" || strings.HasSuffix(t, "+json") {
		return nil
	}
	return fmt.Errorf("content type %.64q is not taken: send application/x-ndjson, application/json or text/plain", t)
}

// encodingOf is the body's content encoding: identity, gzip or zstd.
func encodingOf(h http.Header) (string, error) {
	switch e := strings.ToLower(strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ","))); e {
	case "", "identity":
		return "identity", nil
	case "gzip", "x-gzip":
		return "gzip", nil
	case "zstd":
		return "zstd", nil
	default:
		return "", fmt.Errorf("content encoding %.64q is not taken: send gzip, zstd or none", e)
	}
}

// wire reads the body as it comes over the network: a sender that falls silent
// is given up, and its error is remembered to tell it from damaged data.
type wire struct {
	r      io.Reader
	before func()
	err    error
}

func (w *wire) Read(p []byte) (int, error) {
	w.before()
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// open undoes the encoding. close must be called.
func open(w *wire, encoding string) (r io.Reader, close func(), err error) {
	switch encoding {
	case "gzip":
		z, err := gzip.NewReader(w)
		if err != nil {
			return nil, nil, decodeError(w, err)
		}
		return z, func() { _ = z.Close() }, nil
	case "zstd":
		z, err := zstd.NewReader(w, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, decodeError(w, err)
		}
		return z, z.Close, nil
	}
	return w, func() {}, nil
}

func decodeError(w *wire, err error) error {
	if w.err != nil {
		return w.err
	}
	return fmt.Errorf("%w: %w", errCorrupt, err)
}

// body is the decompressed body: bounded, metered, and slowed down when it is
// a stream over its quota.
type body struct {
	ctx   context.Context
	r     io.Reader
	wire  *wire
	left  int64 // -1: no bound
	meter func(n int) time.Duration
}

func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		// Only a body that goes on is too large.
		var one [1]byte
		if n, err := b.r.Read(one[:]); n == 0 {
			return 0, b.explain(err)
		}
		return 0, errTooLarge
	}
	if b.left > 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
	}
	if d := b.meter(n); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-b.ctx.Done():
			return n, b.ctx.Err()
		}
	}
	return n, b.explain(err)
}

func (b *body) explain(err error) error {
	if err == nil || err == io.EOF || b.wire.err != nil {
		return err
	}
	return decodeError(b.wire, err)
}
