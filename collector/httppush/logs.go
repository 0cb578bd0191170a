package httppush

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/otlp"
)

const logsPath = "/v1/logs"

// maxLogsBody bounds an OTLP request after decompression: it is held whole,
// because it is taken whole or not at all.
const maxLogsBody = 16 << 20

// logsWriter answers as OTLP/HTTP has it: in the encoding of the request, with
// a google.rpc.Status where something is wrong.
type logsWriter struct {
	http.ResponseWriter
	json bool
}

func newLogsWriter(w http.ResponseWriter, r *http.Request) *logsWriter {
	t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // bad ones are refused later, in protobuf
	return &logsWriter{w, t == "application/json"}
}

// Unwrap lets a ResponseController reach the connection.
func (w *logsWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *logsWriter) message(code int, m proto.Message) int {
	contentType, marshal := otlp.ProtobufType, proto.Marshal
	if w.json {
		contentType, marshal = "application/json", protojson.Marshal
	}
	b, err := marshal(m)
	if err != nil {
		http.Error(w.ResponseWriter, "the answer could not be written", http.StatusInternalServerError)
		return http.StatusInternalServerError
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(b) // a sender that went away learns nothing
	return code
}

// problem answers an error. A sender that was too slow may come back, which
// OTLP clients do after 503 and never after 408.
func (w *logsWriter) problem(code int, detail string) int {
	if code == http.StatusRequestTimeout {
		code = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	return w.message(code, &spb.Status{Code: int32(otlp.Code(code)), Message: detail})
}

// logsEncoding checks the content type of a request for logs.
func logsEncoding(r *http.Request) (json bool, err error) {
	switch t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t {
	case otlp.ProtobufType:
		return false, nil
	case "application/json":
		return true, nil
	default:
		return false, fmt.Errorf("content type %.64q is not taken: send application/x-protobuf or application/json", t)
	}
}

// readLogs reads a whole body, taking room for what will be made of it as it
// grows. leave gives the room back.
func (h *Handler) readLogs(b io.Reader) (body []byte, leave func(), err error) {
	var taken int64
	leave = func() { h.gate.give(taken) }
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
			// The first MiB is within the request's own memory.
			if more := 4*int64(cap(body)) - 4<<20 - taken; more > 0 {
				if !h.gate.take(more) {
					return nil, leave, errBusy
				}
				taken += more
			}
		}
		n, err := b.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, leave, nil
		}
		if err != nil {
			return nil, leave, err
		}
	}
}

var errBusy = errors.New("too many bytes are being worked on")

// receiveLogs takes one ExportLogsServiceRequest.
func (h *Handler) receiveLogs(ctx context.Context, w *logsWriter, r *http.Request, key collector.IngestKey, p params, in *wire, b *body) int {
	raw, leave, err := h.readLogs(b)
	defer leave()
	if errors.Is(err, errBusy) {
		w.Header().Set("Retry-After", "1")
		return w.problem(http.StatusServiceUnavailable, err.Error()+": try again shortly")
	}
	if err != nil {
		return h.refuse(w, r, in, err, &collector.Result{}, key)
	}
	req, err := otlp.Decode(raw, w.json)
	if err != nil {
		return w.problem(http.StatusBadRequest, err.Error())
	}
	lines := req.Lines()
	defer lines.Close() //nolint:errcheck // it has none
	proc, err := h.processor(func(n int) { h.use(key, 0, n) })
	if err != nil {
		return w.problem(http.StatusInternalServerError, "the collector is set up wrongly")
	}
	res, err := proc.Process(ctx, lines, h.stream(key, p, "otlp"))
	h.m.processed(&res, p.encoding)
	if err != nil {
		return h.refuse(w, r, in, err, &res, key)
	}
	return w.message(http.StatusOK, otlp.Answer(res.Quarantined, res.Errors))
}

// stream says how a request's lines are to be read.
func (h *Handler) stream(key collector.IngestKey, p params, format string) collector.Stream {
	name := key.Name
	if name == "" {
		name = key.ID
	}
	return collector.Stream{
		Tenant: key.Tenant, Source: p.source, DefaultSource: name, Format: format,
		Now: h.now(), Year: p.year, Zone: p.zone, Mappings: p.mappings,
	}
}
