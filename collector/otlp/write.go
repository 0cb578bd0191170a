package otlp

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
	"unicode/utf8"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
)

// writer makes lines of log records. The same record gives the same bytes, so
// that a request sent again gives the same event ids.
type writer struct {
	yield    func([]byte, error) bool
	buf      []byte
	resource []byte
	scope    string
}

func (w *writer) setResource(r *resource.Resource) {
	w.resource = appendAttributes(w.resource[:0], r.GetAttributes(), 0)
}

func (w *writer) record(r *logs.LogRecord) error {
	b := append(w.buf[:0], '{')
	number := func(name string, n uint64) {
		if n != 0 {
			b = append(appendKey(b, name), '"')
			b = append(strconv.AppendUint(b, n, 10), '"')
		}
	}
	text := func(name, s string) {
		if s != "" {
			b = appendString(appendKey(b, name), s)
		}
	}
	number("timeUnixNano", r.GetTimeUnixNano())
	number("observedTimeUnixNano", r.GetObservedTimeUnixNano())
	if n := r.GetSeverityNumber(); n != 0 {
		b = strconv.AppendInt(appendKey(b, "severityNumber"), int64(n), 10)
	}
	text("severityText", r.GetSeverityText())
	text("eventName", r.GetEventName())
	if v := r.GetBody(); v.GetValue() != nil {
		b = appendValue(appendKey(b, "body"), v, 0)
	}
	if as := r.GetAttributes(); len(as) > 0 {
		b = appendAttributes(appendKey(b, "attributes"), as, 0)
	}
	if len(w.resource) > 2 {
		b = append(appendKey(b, "resource"), w.resource...)
	}
	text("scope", w.scope)
	text("traceId", hex.EncodeToString(r.GetTraceId()))
	text("spanId", hex.EncodeToString(r.GetSpanId()))
	b = append(b, '}', '\n')
	w.buf = b
	if !w.yield(b, nil) {
		return errEnough
	}
	return nil
}

func appendKey(b []byte, key string) []byte {
	if n := len(b); b[n-1] != '{' {
		b = append(b, ',')
	}
	return append(appendString(b, key), ':')
}

func appendAttributes(b []byte, as []*common.KeyValue, depth int) []byte {
	b = append(b, '{')
	for _, kv := range as {
		b = appendValue(appendKey(b, kv.GetKey()), kv.GetValue(), depth+1)
	}
	return append(b, '}')
}

// maxDepth bounds nesting well below what a parser takes.
const maxDepth = 32

func appendValue(b []byte, v *common.AnyValue, depth int) []byte {
	if depth > maxDepth {
		return append(b, `"nested too deep"`...)
	}
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return appendString(b, v.StringValue)
	case *common.AnyValue_BoolValue:
		return strconv.AppendBool(b, v.BoolValue)
	case *common.AnyValue_IntValue:
		return strconv.AppendInt(b, v.IntValue, 10)
	case *common.AnyValue_DoubleValue:
		if math.IsNaN(v.DoubleValue) || math.IsInf(v.DoubleValue, 0) {
			return appendString(b, strconv.FormatFloat(v.DoubleValue, 'g', -1, 64))
		}
		return strconv.AppendFloat(b, v.DoubleValue, 'g', -1, 64)
	case *common.AnyValue_BytesValue:
		return appendString(b, base64.StdEncoding.EncodeToString(v.BytesValue))
	case *common.AnyValue_ArrayValue:
		b = append(b, '[')
		for i, e := range v.ArrayValue.GetValues() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, e, depth+1)
		}
		return append(b, ']')
	case *common.AnyValue_KvlistValue:
		return appendAttributes(b, v.KvlistValue.GetValues(), depth)
	}
	return append(b, "null"...)
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string; what is no UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}
