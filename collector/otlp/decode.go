// Package otlp is what the collector knows of the OpenTelemetry protocol
// (OTLP 1.x, logs): it turns an ExportLogsServiceRequest, protobuf or JSON,
// into lines that the parser of the same name reads, writes the answers as the
// protocol has them, and serves OTLP/gRPC in front of the handler that serves
// OTLP/HTTP, so that both go through one door.
//
// Invariant: memory is bounded by the request's bytes: records are decoded one
// at a time, whatever small encodings claim to hold. A request is either whole
// or refused before anything in it is handed on.
package otlp

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
)

// maxRecord bounds one log record's encoding in bytes: what a parser takes.
const maxRecord = parse.MaxRecord

// maxAttributes bounds the encodings of a resource and of a scope.
const maxAttributes = 64 << 10

// Request is one request whose framing and records were checked.
type Request struct {
	body []byte
	json bool
	n    int
}

// Records is the number of log records in it.
func (r Request) Records() int { return r.n }

// Decode checks a request's body, all of it; json says which encoding it is.
// The body must not change while the Request is used.
func Decode(body []byte, json bool) (Request, error) {
	r := Request{body: body, json: json}
	for _, err := range r.lines() {
		if err != nil {
			return r, fmt.Errorf("the body is no OTLP ExportLogsServiceRequest: %w", err)
		}
		r.n++
	}
	return r, nil
}

// Lines reads the records as lines of JSON, each written when it is asked for.
// Close it.
func (r Request) Lines() io.ReadCloser {
	next, stop := iter.Pull2(r.lines())
	return &lineReader{next: next, stop: stop}
}

type lineReader struct {
	next func() ([]byte, error, bool)
	stop func()
	rest []byte
}

func (l *lineReader) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		line, err, ok := l.next()
		if !ok {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		l.rest = line
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *lineReader) Close() error { l.stop(); return nil }

// lines yields a line per record, valid until the next, or the first error.
func (r Request) lines() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		w := &writer{yield: yield}
		var err error
		if r.json {
			err = w.jsonRequest(string(r.body))
		} else {
			err = w.request(r.body)
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

// errEnough ends a walk whose reader wants no more.
var errEnough = errors.New("enough")

// fields walks the fields of a protobuf message that are length-delimited;
// others are checked and skipped.
func fields(b []byte, fn func(num protowire.Number, v []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return protowire.ParseError(n)
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := fn(num, v); err != nil {
			return err
		}
	}
	return nil
}

// request walks resource_logs = 1 { resource = 1, scope_logs = 2 { scope = 1,
// log_records = 2 } }. A resource may come behind its records, so it is looked
// for first; of repeated ones the last counts, as protobuf has it.
func (w *writer) request(b []byte) error {
	return fields(b, func(num protowire.Number, rl []byte) error {
		if num != 1 {
			return nil
		}
		var res resource.Resource
		if err := last(rl, &res); err != nil {
			return fmt.Errorf("resource: %w", err)
		}
		w.setResource(&res)
		return fields(rl, func(num protowire.Number, sl []byte) error {
			if num != 2 {
				return nil
			}
			var scope common.InstrumentationScope
			if err := last(sl, &scope); err != nil {
				return fmt.Errorf("scope: %w", err)
			}
			w.scope = scope.GetName()
			return fields(sl, func(num protowire.Number, b []byte) error {
				if num != 2 {
					return nil
				}
				if len(b) > maxRecord {
					return fmt.Errorf("a log record of %d bytes: at most %d are taken", len(b), maxRecord)
				}
				var rec logs.LogRecord
				if err := proto.Unmarshal(b, &rec); err != nil {
					return err
				}
				return w.record(&rec)
			})
		})
	})
}

// last decodes field 1 of b into m.
func last(b []byte, m proto.Message) error {
	return fields(b, func(num protowire.Number, v []byte) error {
		if num != 1 {
			return nil
		}
		if len(v) > maxAttributes {
			return fmt.Errorf("%d bytes: at most %d are taken", len(v), maxAttributes)
		}
		return proto.Unmarshal(v, m)
	})
}

var errNoArray = errors.New("a repeated field is no array")

// jsonRequest walks the JSON encoding the same way.
func (w *writer) jsonRequest(body string) error {
	return member(body, "resourceLogs", func(rl string) error {
		var res resource.Resource
		if v, ok := record.Member(rl, "resource"); ok {
			if err := fromJSON(v, &res); err != nil {
				return fmt.Errorf("resource: %w", err)
			}
		}
		w.setResource(&res)
		return member(rl, "scopeLogs", func(sl string) error {
			var scope common.InstrumentationScope
			if v, ok := record.Member(sl, "scope"); ok {
				if err := fromJSON(v, &scope); err != nil {
					return fmt.Errorf("scope: %w", err)
				}
			}
			w.scope = scope.GetName()
			return member(sl, "logRecords", func(text string) error {
				if len(text) > maxRecord {
					return fmt.Errorf("a log record of %d bytes: at most %d are taken", len(text), maxRecord)
				}
				var rec logs.LogRecord
				if err := unmarshal.Unmarshal([]byte(text), &rec); err != nil {
					return err
				}
				rec.TraceId, rec.SpanId = hexID(rec.TraceId), hexID(rec.SpanId)
				return w.record(&rec)
			})
		})
	})
}

// member walks the objects of an array that is a member of an object.
func member(object, name string, fn func(string) error) error {
	return record.Each(object, func(key string, v record.Value) error {
		switch {
		case key != name || v.Kind == record.Null:
			return nil
		case v.Kind != record.Array:
			return fmt.Errorf("%s: %w", name, errNoArray)
		}
		return record.EachElement(v.Text, func(e record.Value) error {
			if e.Kind != record.Object {
				return fmt.Errorf("an element of %s is no object", name)
			}
			return fn(e.Text)
		})
	})
}

var unmarshal = protojson.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: 100}

func fromJSON(v record.Value, m proto.Message) error {
	switch {
	case v.Kind == record.Null:
		return nil
	case v.Kind != record.Object:
		return errors.New("no object")
	case len(v.Text) > maxAttributes:
		return fmt.Errorf("%d bytes: at most %d are taken", len(v.Text), maxAttributes)
	}
	return unmarshal.Unmarshal([]byte(v.Text), m)
}

// hexID undoes what protojson did to an id: OTLP writes ids in hexadecimal
// where protobuf's JSON would write base64, and both alphabets agree.
func hexID(b []byte) []byte {
	if id, err := hex.DecodeString(base64.StdEncoding.EncodeToString(b)); err == nil && len(b) > 0 {
		return id
	}
	return b
}

// Answer is the protocol's answer to a request of which so many records were
// set aside: they are kept, but no event was made of them, and the sender is
// told so. It is a partial success, which a client does not send again.
func Answer(quarantined uint64, reasons []parse.LineError) *collogs.ExportLogsServiceResponse {
	a := &collogs.ExportLogsServiceResponse{}
	if quarantined == 0 {
		return a
	}
	text := fmt.Sprintf("%d log records are in quarantine, no event was made of them", quarantined)
	if len(reasons) > 0 {
		text += fmt.Sprintf("; record %d: %s", reasons[0].Line, reasons[0].Reason)
	}
	a.PartialSuccess = &collogs.ExportLogsPartialSuccess{RejectedLogRecords: int64(quarantined), ErrorMessage: text}
	return a
}
