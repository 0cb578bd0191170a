// Package pull is what the sources share that ask a product's API for its
// audit log: the loop, the cursor, the rate limits. Each product is a small
// package below that knows its API only.
//
// Invariant: a cursor is stored after the sink acknowledged all that came
// before it. What a product publishes late is looked for again within the
// connector's overlap, and known records are left out by their ids. Requests
// carry the credential to the configured host only.
package pull

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Page is an answer of a product.
type Page struct {
	Records []string // JSON objects
	Cursor  string   // where to go on; of the connector's own making
	More    bool     // go on at once
}

// Connector knows one product's API.
type Connector interface {
	// Feeds are the streams that are read one beside the other, each with a
	// cursor of its own.
	Feeds() []string
	// Fetch gets the page at a cursor, "" at the very beginning. since is
	// where a source without a cursor begins.
	Fetch(ctx context.Context, feed, cursor string, since time.Time) (Page, error)
}

// Options are what all connectors share; they embed it inline.
type Options struct {
	Poll  time.Duration
	Since time.Duration
}

// Defaults fills in and checks.
func (o *Options) Defaults() error {
	if o.Poll == 0 {
		o.Poll = time.Minute
	}
	if o.Since == 0 {
		o.Since = 24 * time.Hour
	}
	if o.Poll < 0 || o.Since < 0 {
		return errors.New("poll and since must not be negative")
	}
	return nil
}

// Source is the loop.
type Source struct {
	env    source.Env
	c      Connector
	o      Options
	format string
	id     string // the member of a record that is its id
	mem    map[string]string
	moved  int // how often a cursor moved
	recent recent
}

// New makes the loop around a connector. format names the parser, id the
// member of a record that tells it from all others.
func New(e source.Env, c Connector, o Options, format, id string) *Source {
	if e.Format != "" {
		format = e.Format
	}
	return &Source{env: e, c: c, o: o, format: format, id: id, recent: recent{known: map[string]bool{}}}
}

const stateFile = "cursor.json"

// Run asks until ctx is done.
func (s *Source) Run(ctx context.Context) error {
	s.mem = map[string]string{}
	if err := s.env.Load(stateFile, func(b []byte) error { return json.Unmarshal(b, &s.mem) }); err != nil {
		return err
	}
	first := min(time.Second, s.o.Poll)
	pause := first
	for {
		before := s.moved
		err := s.round(ctx)
		wait := s.o.Poll
		if err == nil || s.moved > before {
			pause = first
		}
		if err != nil {
			s.env.Meter.Errors.Inc()
			wait = min(pause, max(s.o.Poll, 10*time.Minute))
			pause *= 2
			var limit *Limit
			if errors.As(err, &limit) {
				wait = max(limit.Wait, 0)
			}
			s.env.Logger.Warn("the audit log could not be read or handed on, trying again", "err", err, "in", wait)
		}
		if !source.Sleep(ctx, wait) {
			return nil
		}
	}
}

// round reads every feed to its end. One that fails does not keep the others
// from being read, but for a rate limit, which is of all.
func (s *Source) round(ctx context.Context) error {
	var errs []error
	for _, feed := range s.c.Feeds() {
		for more := true; more && ctx.Err() == nil; {
			p, err := s.c.Fetch(ctx, feed, s.mem[feed], s.env.Now().Add(-s.o.Since))
			if err == nil {
				err = s.take(ctx, feed, p)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", feed, err))
				var limit *Limit
				if errors.As(err, &limit) {
					return errors.Join(errs...)
				}
				break
			}
			more = p.More
		}
	}
	return errors.Join(errs...)
}

// take hands a page on and moves the cursor.
func (s *Source) take(ctx context.Context, feed string, p Page) error {
	var buf []byte
	var ids []string
	for _, r := range p.Records {
		id := ""
		if v, ok := record.Member(r, strings.Split(s.id, ".")...); ok {
			id, _ = v.Scalar()
		}
		if id != "" && s.recent.known[id] {
			continue
		}
		ids = append(ids, id)
		buf = append(buf, strings.ReplaceAll(r, "\n", " ")...)
		buf = append(buf, '\n')
	}
	if len(buf) > 0 {
		if _, err := s.env.Process(ctx, source.Piece{Reader: bytes.NewReader(buf), Format: s.format}); err != nil {
			return err
		}
		for _, id := range ids {
			s.recent.add(id)
		}
	}
	if p.Cursor == s.mem[feed] {
		return nil
	}
	s.mem[feed] = p.Cursor
	s.moved++
	b, err := json.Marshal(s.mem)
	if err != nil {
		return err
	}
	return s.env.Save(stateFile, b)
}

// recent knows the last ids; what it forgot the store still knows.
type recent struct {
	known map[string]bool
	order []string
}

const maxRecent = 50_000

func (r *recent) add(id string) {
	if id == "" || r.known[id] {
		return
	}
	if len(r.order) >= maxRecent {
		for _, old := range r.order[:maxRecent/10] {
			delete(r.known, old)
		}
		r.order = append(r.order[:0:0], r.order[maxRecent/10:]...)
	}
	r.known[id] = true
	r.order = append(r.order, id)
}

// Limit says that the product asks to wait.
type Limit struct{ Wait time.Duration }

func (l *Limit) Error() string {
	return fmt.Sprintf("the product's rate limit is reached: it asks to wait %s", l.Wait.Round(time.Second))
}

// Client asks one host.
type Client struct {
	HTTP *http.Client
	Base *url.URL
	// Auth adds the credential to a request.
	Auth func(ctx context.Context, r *http.Request) error
}

// NewClient checks the base address.
func NewClient(base string, auth func(context.Context, *http.Request) error) (*Client, error) {
	u, err := Base(base)
	if err != nil {
		return nil, err
	}
	c := &Client{Base: u, Auth: auth}
	c.HTTP = &http.Client{Timeout: 2 * time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// Base checks an address.
func Base(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" {
		return nil, fmt.Errorf("url %q: want https://HOST", s)
	}
	return u, nil
}

// Get asks for a path below the base, or for an address the product gave.
func (c *Client) Get(ctx context.Context, ref string) ([]byte, http.Header, error) {
	return c.Do(ctx, http.MethodGet, ref)
}

// maxAnswer bounds one answer in bytes.
const maxAnswer = 64 << 20

// Do sends a request without a body and reads the answer. What says "slow
// down" becomes a Limit.
func (c *Client) Do(ctx context.Context, method, ref string) ([]byte, http.Header, error) {
	u, err := c.Base.Parse(ref)
	if err != nil {
		return nil, nil, err
	}
	if u.Host != c.Base.Host || u.Scheme != c.Base.Scheme {
		return nil, nil, fmt.Errorf("the answer leads to another host (%s): not followed", u.Host)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "tenantwatch")
	if err := c.Auth(ctx, req); err != nil {
		return nil, nil, fmt.Errorf("credential: %w", err)
	}
	return send(c.HTTP, req)
}

func send(cl *http.Client, req *http.Request) ([]byte, http.Header, error) {
	resp, err := cl.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, err
	}
	if len(b) > maxAnswer {
		return nil, nil, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	if d, limited := retryAfter(resp, time.Now()); limited {
		return nil, nil, &Limit{d}
	}
	if resp.StatusCode/100 != 2 {
		return b, resp.Header, &Status{resp.StatusCode, string(b[:min(len(b), 300)])}
	}
	return b, resp.Header, nil
}

// Status is an answer that is none.
type Status struct {
	Code int
	Body string
}

func (s *Status) Error() string {
	hint := ""
	if s.Code == http.StatusUnauthorized || s.Code == http.StatusForbidden {
		hint = " (check the credential and what it may read)"
	}
	return fmt.Sprintf("status %d%s: %s", s.Code, hint, s.Body)
}

// retryAfter reads how products say it: Retry-After in seconds or as a date,
// X-Rate-Limit-Reset and X-RateLimit-Reset in seconds since 1970.
func retryAfter(r *http.Response, now time.Time) (time.Duration, bool) {
	h := r.Header
	limited := r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusForbidden && (h.Get("X-RateLimit-Remaining") == "0" || h.Get("Retry-After") != "")
	if !limited && (r.StatusCode != http.StatusServiceUnavailable || h.Get("Retry-After") == "") {
		return 0, false
	}
	if s := h.Get("Retry-After"); s != "" {
		if n, err := strconv.Atoi(s); err == nil {
			return bound(time.Duration(n) * time.Second), true
		}
		if t, err := http.ParseTime(s); err == nil {
			return bound(t.Sub(now)), true
		}
	}
	for _, k := range []string{"X-Rate-Limit-Reset", "X-RateLimit-Reset"} {
		if n, err := strconv.ParseInt(h.Get(k), 10, 64); err == nil {
			return bound(time.Unix(n, 0).Sub(now)), true
		}
	}
	return time.Minute, true
}

func bound(d time.Duration) time.Duration { return min(max(d, 0), time.Hour) }

// Next is the address of a Link header's rel="next", "" without one.
func Next(h http.Header) string {
	for _, line := range h.Values("Link") {
		for _, link := range strings.Split(line, ",") {
			ref, params, ok := strings.Cut(strings.TrimSpace(link), ">")
			if ok && strings.HasPrefix(ref, "<") && strings.Contains(params, `rel="next"`) {
				return ref[1:]
			}
		}
	}
	return ""
}

// Array gives the objects of a JSON array.
func Array(text string) ([]string, error) {
	var out []string
	err := record.EachElement(text, func(v record.Value) error {
		if v.Kind != record.Object {
			return errors.New("an element of the answer is no object")
		}
		out = append(out, v.Text)
		return nil
	})
	return out, err
}

// Items gives the objects of an array that is a member of an object; a missing
// one is empty.
func Items(object, member string) ([]string, error) {
	v, ok := record.Member(object, member)
	if !ok || v.Kind == record.Null {
		var any map[string]json.RawMessage
		return nil, json.Unmarshal([]byte(object), &any) // an answer that is cut short is no empty one
	}
	return Array(v.Text)
}

// Window is the cursor of products that are asked for a span of time: Page
// goes on within it, and at its end the next begins Overlap before, for what
// is published late.
type Window struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Page  string    `json:"page,omitempty"`
}

// Open reads a cursor, or begins a window that ends now, at most longest long.
func Open(cursor string, since, now time.Time, longest time.Duration) (Window, error) {
	w := Window{Since: since}
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &w); err != nil {
			return w, fmt.Errorf("cursor: %w", err)
		}
	}
	if w.Page == "" {
		if w.Until = now; longest > 0 && now.Sub(w.Since) > longest {
			w.Until = w.Since.Add(longest)
		}
	}
	return w, nil
}

// Step is the cursor behind a page: within the window, or the next one.
func (w Window) Step(page string, overlap time.Duration, now time.Time) (cursor string, more bool) {
	n := w
	if n.Page = page; page != "" {
		more = true
	} else {
		more = w.Until.Before(now.Add(-time.Minute)) // not there yet
		if n = (Window{Since: w.Until.Add(-overlap)}); n.Since.Before(w.Since) {
			n.Since = w.Since
		}
	}
	b, err := json.Marshal(n)
	if err != nil {
		return "", false
	}
	return string(b), more
}
