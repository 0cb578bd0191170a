//go:build integration

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// request is one call of the matrix.
type request struct {
	method, path string
	query        url.Values
	header       map[string]string
	body         map[string]any
	as           caller
	stream       bool
}

func (r request) String() string {
	return fmt.Sprintf("%s %s?%s body %v header %v as %s", r.method, r.path, r.query.Encode(), r.body, r.header, r.as.name)
}

// send makes a request, and again when it came too fast. A stream is read for
// a moment.
func (w *world) send(r request) (int, http.Header, []byte) {
	for {
		status, h, body := w.once(r)
		if status != http.StatusTooManyRequests {
			return status, h, body
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (w *world) once(r request) (int, http.Header, []byte) {
	w.t.Helper()
	w.asked++
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	var b io.Reader
	if r.body != nil {
		raw, err := json.Marshal(r.body)
		if err != nil {
			w.t.Fatal(err)
		}
		b = bytes.NewReader(raw)
	}
	target := w.api + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	q, err := http.NewRequestWithContext(ctx, r.method, target, b)
	if err != nil {
		w.t.Fatal(err)
	}
	if b != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	if r.as.bearer != "" {
		q.Header.Set("Authorization", "Bearer "+r.as.bearer)
	}
	if r.as.cookie != "" {
		q.AddCookie(&http.Cookie{Name: "tw_session", Value: r.as.cookie})
		q.Header.Set("X-CSRF-Token", r.as.csrf)
	}
	for k, v := range r.header {
		q.Header.Set(k, v)
	}
	resp, err := w.http.Do(q)
	if err != nil {
		w.t.Fatalf("%v: %v", r, err)
	}
	defer resp.Body.Close()
	if r.stream { // read for a moment, once it has begun
		time.AfterFunc(150*time.Millisecond, cancel)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil && !(r.stream && errors.Is(err, context.Canceled)) {
		w.t.Fatalf("%v: %v", r, err)
	}
	return resp.StatusCode, resp.Header, body
}

// What differs between two equal answers: the request's id, and figures that
// move by themselves, such as when a key was last used or how often a dead
// endpoint was tried.
var (
	requestIDs = regexp.MustCompile(`urn:request:[0-9a-f-]{36}`)
	clock      = regexp.MustCompile(`-\d{8}-\d{6}\.`) // in an export's file name
	// The platform's own trail grows with every look.
	trailFigure = regexp.MustCompile(`"trail":\d+`)
	moving      = regexp.MustCompile(`"(last_used_at|failing_since|failures|attempts|finished_at|updated_at|trail|queries|age_seconds|lag_seconds|in_flight|received)":("[^"]*"|null|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)`)
)

// same reduces an answer to what must be equal for a foreign and for a missing
// id. sent is what only this request said and might hear back.
func same(status int, h http.Header, body []byte, sent string) string {
	h = h.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	h.Del("RateLimit") // what is left of the caller's own limit
	if status < 300 {  // lengths and tags of lists that move
		h.Del("Content-Length")
	}
	text := moving.ReplaceAllString(requestIDs.ReplaceAllString(string(body), "REQUEST"), `"$1":0`)
	if sent != "" {
		text = strings.ReplaceAll(text, sent, "SENT")
	}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(h)) {
		lines = append(lines, k+": "+clock.ReplaceAllString(strings.Join(h[k], ", "), "-TIME."))
	}
	return fmt.Sprintf("%d\n%s\n%s", status, strings.Join(lines, "\n"), text)
}
