package httppush

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/otlp"
	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Handler serves POST /v1/events and POST /v1/logs. It is safe for concurrent use and holds no
// goroutine of its own.
type Handler struct {
	c         Config
	keys      collector.Keys
	sink      collector.Sink
	log       *slog.Logger
	m         *metrics
	now       func() time.Time
	durableIn string
	mappings  func(tenant.ID, string) []*mapping.Mapping
	tallied   func(tenant.ID, string, uint64)
	gate      gate
	quota     quota
	tenants   quota // events, each tenant at its own rate
	refused   quota // credentials that were refused, by network
	meter     collector.Meter
}

// New checks the options; it starts nothing.
func New(o Options) (*Handler, error) {
	c, err := o.Config.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.Keys == nil || o.Sink == nil {
		return nil, errors.New("httppush: Keys and Sink are required")
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("httppush: register metrics: %w", err)
	}
	h := &Handler{c: c, keys: o.Keys, sink: o.Sink, log: o.Logger, m: m, now: o.Now, durableIn: o.DurableIn, mappings: o.Mappings, tallied: o.Refused}
	if h.tallied == nil {
		h.tallied = func(tenant.ID, string, uint64) {}
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.now == nil {
		h.now = time.Now
	}
	if h.durableIn == "" {
		h.durableIn = "kafka"
	}
	if _, err := h.processor(nil); err != nil {
		return nil, err
	}
	h.gate = gate{byKey: map[string]int{}, maxN: c.MaxInFlight, maxPerKey: c.MaxInFlightPerKey, maxBytes: c.MaxInFlightBytes}
	h.quota = quota{buckets: map[string]*bucket{}, bytesPerSec: c.BytesPerSecond, perSec: c.EventsPerSecond, burst: c.Burst, now: h.now}
	h.tenants = quota{buckets: map[string]*bucket{}, burst: c.Burst, now: h.now}
	h.refused = quota{buckets: map[string]*bucket{}, perSec: refusedPerSecond, burst: refusedBurst, now: h.now}
	h.meter = o.Meter
	return h, nil
}

// processor makes the request's own, whose sink meters the events.
func (h *Handler) processor(meter func(events int)) (*collector.Processor, error) {
	return collector.NewProcessor(collector.ProcessorOptions{
		Sink: meteredSink{h.sink, meter}, BatchEvents: h.c.BatchEvents, BatchBytes: h.c.BatchBytes,
	})
}

type meteredSink struct {
	collector.Sink
	meter func(events int)
}

func (s meteredSink) DeliverPlaced(ctx context.Context, d collector.Delivery) (collector.Place, error) {
	s.meter(len(d.Events) + len(d.Quarantined))
	return collector.DeliverTo(ctx, s.Sink, d)
}

// answer is the body of 202.
type answer struct {
	Accepted    uint64            `json:"accepted"`
	Quarantined uint64            `json:"quarantined"`
	Repeats     uint64            `json:"repeats"`
	Folded      uint64            `json:"folded"`
	Errors      []parse.LineError `json:"errors"`
	DurableIn   string            `json:"durable_in"`
	Occurrences uint64            `json:"occurrences"`
	Bytes       uint64            `json:"bytes"`
	Format      string            `json:"format,omitempty"`
	Confidence  float64           `json:"confidence"`
	Years       []int             `json:"assumed_years,omitempty"`
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	h.m.inFlight.Inc()
	code := h.serve(w, r)
	h.m.inFlight.Dec()
	h.m.answered(code, h.now().Sub(start))
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) (code int) {
	logs := r.URL.Path == logsPath
	if logs {
		w = newLogsWriter(w, r)
	} else if r.URL.Path != "/v1/events" {
		return problem(w, http.StatusNotFound, "there is nothing here: events go to POST /v1/events, OpenTelemetry logs to POST /v1/logs", nil)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return problem(w, http.StatusMethodNotAllowed, "events are sent with POST", nil)
	}
	const size = RequestMemory
	if !h.gate.enter(size) {
		return busy(w, http.StatusServiceUnavailable, time.Second, "too many requests are being worked on: try again shortly")
	}
	defer h.gate.leave(size)

	from := network(r.RemoteAddr)
	if d := h.refused.wait(from); d > 0 { // whoever guesses waits; nobody else does who is not refused
		return busy(w, http.StatusTooManyRequests, d, "too many credentials from your address were refused")
	}
	key, code := h.authenticate(w, r)
	if code != 0 {
		if code == http.StatusUnauthorized {
			h.refused.use(from, 0, 1)
		}
		return code
	}
	if !h.gate.enterKey(key.ID) {
		return busy(w, http.StatusTooManyRequests, time.Second,
			fmt.Sprintf("this key already has %d requests in flight: wait for their answers", h.c.MaxInFlightPerKey))
	}
	defer h.gate.leaveKey(key.ID)
	if code := h.allow(w, key); code != 0 {
		h.tallied(key.Tenant, key.Name, 0)
		return code
	}
	p, code := h.params(w, r, key)
	if code != 0 {
		return code
	}
	return h.receive(w, r, key, p)
}

func (h *Handler) authenticate(w http.ResponseWriter, r *http.Request) (collector.IngestKey, int) {
	const hint = `send the header "Authorization: Bearer <ingest key>"; an ingest key is made with "tenantwatch key create" or on the keys page`
	refuse := func(why string) (collector.IngestKey, int) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="tenantwatch ingest"`)
		return collector.IngestKey{}, problem(w, http.StatusUnauthorized, why+": "+hint, nil)
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 512 {
		return refuse("no ingest key was given")
	}
	key, err := h.keys.ResolveIngestKey(r.Context(), token)
	switch {
	case errors.Is(err, collector.ErrUnauthorized):
		return refuse("the ingest key is not known, or was revoked")
	case errors.Is(err, collector.ErrSuspended):
		return key, problem(w, http.StatusForbidden, "the tenant of this ingest key is suspended, so nothing was taken: ask the operator of the platform", nil)
	case err != nil:
		h.log.Warn("ingest key could not be checked", "err", err)
		return key, busy(w, http.StatusServiceUnavailable, 2*time.Second, "the ingest key cannot be checked just now: try again")
	case key.Tenant.IsZero():
		h.log.Error("an ingest key without a tenant was resolved", "key", key.ID)
		return key, problem(w, http.StatusInternalServerError, "the ingest key belongs to no tenant", nil)
	}
	return key, 0
}

// params are the parameters of a request.
type params struct {
	format, source, encoding string
	year                     int
	zone                     *time.Location
	stream                   bool
	mappings                 []*mapping.Mapping
}

func (h *Handler) params(w http.ResponseWriter, r *http.Request, key collector.IngestKey) (p params, code int) {
	bad := func(status int, err error) (params, int) { return p, problem(w, status, err.Error(), nil) }
	var err error
	if r.URL.Path == logsPath {
		_, err = logsEncoding(r)
	} else {
		err = checkType(r.Header.Get("Content-Type"))
	}
	if err != nil {
		return bad(http.StatusUnsupportedMediaType, err)
	}
	if p.encoding, err = encodingOf(r.Header); err != nil {
		w.Header().Set("Accept-Encoding", "gzip, zstd")
		return bad(http.StatusUnsupportedMediaType, err)
	}
	q := r.URL.Query()
	if p.format = q.Get("format"); p.format == "" {
		p.format = r.Header.Get("X-Log-Format")
	}
	if p.source = q.Get("source"); len(p.source) > 256 || strings.ToValidUTF8(p.source, "") != p.source {
		return bad(http.StatusBadRequest, errors.New("source must be text of at most 256 bytes"))
	}
	if p.mappings, err = h.mappingsOf(key, p.source, r.Header.Get(mappingHeader)); err != nil {
		return bad(http.StatusBadRequest, err)
	}
	if err := parse.CheckFormat(p.format, p.mappings...); err != nil {
		return bad(http.StatusBadRequest, err)
	}
	if s := q.Get("year"); s != "" {
		if p.year, err = strconv.Atoi(s); err != nil || p.year < 1970 || p.year > 2261 {
			return bad(http.StatusBadRequest, fmt.Errorf("year %.16q: want 1970 to 2261", s))
		}
	}
	if s := q.Get("tz"); s != "" {
		if p.zone, err = time.LoadLocation(s); err != nil || s == "Local" {
			return bad(http.StatusBadRequest, fmt.Errorf("tz %.64q is not known: give a name such as Europe/Berlin or UTC", s))
		}
	}
	switch s := q.Get("stream"); s {
	case "", "false", "0":
	case "true", "1":
		p.stream = true
	default:
		return bad(http.StatusBadRequest, fmt.Errorf("stream %.16q: want true or false", s))
	}
	if !p.stream && p.encoding == "identity" && r.ContentLength > h.c.MaxBody {
		return p, h.tooLarge(w, nil)
	}
	return p, 0
}

func (h *Handler) tooLarge(w http.ResponseWriter, res *collector.Result) int {
	if _, ok := w.(*logsWriter); ok {
		return problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request has more than %d bytes after decompression: export smaller batches", min(h.c.MaxBody, maxLogsBody)), res)
	}
	return problem(w, http.StatusRequestEntityTooLarge,
		fmt.Sprintf("the body has more than %d bytes after decompression: send it in parts, or as one stream with ?stream=true", h.c.MaxBody), res)
}

// receive reads the body and hands it on.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, key collector.IngestKey, p params) int {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	conn := http.NewResponseController(w)
	// Deadlines are the real clock's, whatever clock dates the events.
	last := time.Now().Add(h.c.MaxDuration)
	in := &wire{r: r.Body, before: func() {
		d := time.Now().Add(h.c.ReadTimeout)
		if !p.stream && last.Before(d) {
			d = last
		}
		_ = conn.SetReadDeadline(d) // not every server can: then its own limits hold
	}}
	plain, closeBody, err := open(in, p.encoding)
	if err != nil {
		if in.err == nil && errors.Is(err, io.EOF) {
			if l, ok := w.(*logsWriter); ok {
				return l.message(http.StatusOK, otlp.Answer(0, nil))
			}
			return h.acknowledge(w, &collector.Result{}) // an empty body
		}
		return h.refuse(w, r, in, err, &collector.Result{}, key)
	}
	defer closeBody()
	left := h.c.MaxBody
	if p.stream {
		if left = h.c.MaxStream; left == 0 {
			left = -1
		}
	}
	b := &body{ctx: ctx, r: plain, wire: in, left: left, meter: func(n int) time.Duration {
		wait := h.use(key, n, 0)
		if p.stream {
			return wait
		}
		return 0
	}}
	if l, ok := w.(*logsWriter); ok {
		b.left = min(h.c.MaxBody, maxLogsBody)
		return h.receiveLogs(ctx, l, r, key, p, in, b)
	}
	proc, err := h.processor(func(n int) { h.use(key, 0, n) })
	if err != nil {
		return problem(w, http.StatusInternalServerError, "the collector is set up wrongly", nil)
	}
	res, err := proc.Process(ctx, b, h.stream(key, p, p.format))
	h.m.processed(&res, p.encoding)
	if err != nil {
		return h.refuse(w, r, in, err, &res, key)
	}
	return h.acknowledge(w, &res)
}

func (h *Handler) acknowledge(w http.ResponseWriter, res *collector.Result) int {
	a := answer{
		Accepted: res.Accepted, Quarantined: res.Quarantined, Repeats: res.Repeats, Folded: res.Folded,
		Errors: res.Errors, DurableIn: h.durableIn, Occurrences: res.Occurrences, Bytes: res.Bytes,
		Format: res.Format, Confidence: res.Confidence,
	}
	if res.Buffered > 0 {
		a.DurableIn = "buffer"
	}
	if a.Errors == nil {
		a.Errors = []parse.LineError{}
	}
	if res.FirstYear != 0 {
		a.Years = []int{res.FirstYear, res.LastYear}
	}
	return writeJSON(w, http.StatusAccepted, "application/json", a)
}

// refuse answers a request that could not be taken to its end.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, in *wire, err error, res *collector.Result, key collector.IngestKey) int {
	var timeout net.Error
	h.tallied(key.Tenant, key.Name, res.Accepted+res.Quarantined-min(res.Durable+res.DurableQuarantined, res.Accepted+res.Quarantined))
	switch {
	case errors.Is(err, errTooLarge):
		return h.tooLarge(w, res)
	case errors.Is(err, errCorrupt):
		return problem(w, http.StatusBadRequest, err.Error()+": send it again", res)
	case errors.As(in.err, &timeout) && timeout.Timeout():
		// Before the next case: net/http ends the context with the read too.
		return problem(w, http.StatusRequestTimeout, "the body came too slowly: send it again, in smaller parts", res)
	case r.Context().Err() != nil:
		return 499 // the sender is gone: nobody reads an answer
	case in.err != nil && errors.Is(err, in.err):
		return problem(w, http.StatusBadRequest, "the body ended before its time: send it again", res)
	}
	h.log.Warn("events could not be handed on", "tenant", key.Tenant.String(), "key", key.ID, "durable", res.Durable, "err", err)
	w.Header().Set("Retry-After", "2")
	return problem(w, http.StatusServiceUnavailable,
		"the events could not be made durable just now: send the same body again, what was stored already is not stored twice", res)
}
