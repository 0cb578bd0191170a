package otlp

import (
	"encoding/hex"
	"io"
	"math"
	"strings"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tenantwatch/tenantwatch/collector/parse"
)

func str(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func kv(k string, v *common.AnyValue) *common.KeyValue { return &common.KeyValue{Key: k, Value: v} }

func trace(s string) []byte { b, _ := hex.DecodeString(s); return b }

// full is a request with something of everything.
func full() *collogs.ExportLogsServiceRequest {
	return &collogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{kv("service.name", str("shop"))}},
		ScopeLogs: []*logs.ScopeLogs{{
			Scope: &common.InstrumentationScope{Name: "lib"},
			LogRecords: []*logs.LogRecord{{
				TimeUnixNano: 1772356502000000001, SeverityNumber: logs.SeverityNumber_SEVERITY_NUMBER_WARN, EventName: "user.login",
				TraceId: trace("5b8efff798038103d269b633813fc60c"), SpanId: trace("eee19b7ec3c1b174"), Body: str("said \"hi\"\n\x01ü"),
				Attributes: []*common.KeyValue{
					kv("user.id", str("alice")),
					kv("n", &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: -5}}),
					kv("f", &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: math.Inf(1)}}),
					kv("a", &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{str("x"), {Value: &common.AnyValue_BoolValue{BoolValue: true}}}}}}),
					kv("m", &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{Values: []*common.KeyValue{kv("b", &common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: []byte{1, 2}}})}}}}),
					kv("none", nil),
				},
			}, {ObservedTimeUnixNano: 5, Body: str("plain")}},
		}},
	}}}
}

const fullLines = `{"timeUnixNano":"1772356502000000001","severityNumber":13,"eventName":"user.login","body":"said \"hi\"\n\u0001ü",` +
	`"attributes":{"user.id":"alice","n":-5,"f":"+Inf","a":["x",true],"m":{"b":"AQI="},"none":null},"resource":{"service.name":"shop"},"scope":"lib",` +
	`"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}` + "\n" +
	`{"observedTimeUnixNano":"5","body":"plain","resource":{"service.name":"shop"},"scope":"lib"}` + "\n"

func text(t *testing.T, body []byte, json bool) string {
	t.Helper()
	r, err := Decode(body, json)
	if err != nil {
		t.Fatal(err)
	}
	lines := r.Lines()
	defer lines.Close()
	b, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n != r.Records() {
		t.Fatalf("%d lines of %d records", n, r.Records())
	}
	return string(b)
}

func TestBothEncodingsGiveTheSameLines(t *testing.T) {
	b, err := proto.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, b, false); got != fullLines {
		t.Fatalf("\n got %s\nwant %s", got, fullLines)
	}
	// The JSON encoding as the protocol has it: ids in hex, numbers as text or
	// not, unknown fields ignored.
	const in = `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"future":{"x":[1]},
	"scopeLogs":[{"scope":{"name":"lib"},"logRecords":[{"timeUnixNano":"1772356502000000001","severityNumber":13,"eventName":"user.login","traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174",
	"body":{"stringValue":"said \"hi\"\n\u0001ü"},"droppedAttributesCount":1,"attributes":[{"key":"user.id","value":{"stringValue":"alice"}},{"key":"n","value":{"intValue":-5}},{"key":"f","value":{"doubleValue":"Infinity"}},
	{"key":"a","value":{"arrayValue":{"values":[{"stringValue":"x"},{"boolValue":true}]}}},{"key":"m","value":{"kvlistValue":{"values":[{"key":"b","value":{"bytesValue":"AQI="}}]}}},{"key":"none"}]},
	{"observedTimeUnixNano":5,"body":{"stringValue":"plain"}}]}]}]}`
	if got := text(t, []byte(in), true); got != fullLines {
		t.Fatalf("\n got %s\nwant %s", got, fullLines)
	}
	for _, empty := range []string{`{}`, `{"resourceLogs":null}`, `{"resourceLogs":[]}`, `{"resourceLogs":[{}]}`} {
		if got := text(t, []byte(empty), true); got != "" {
			t.Fatalf("%s gave %q", empty, got)
		}
	}
	if got := text(t, nil, false); got != "" {
		t.Fatalf("nothing gave %q", got)
	}
}

func TestDecodeRefusesWhole(t *testing.T) {
	good, _ := proto.Marshal(full())
	for name, b := range map[string][]byte{"cut": good[:len(good)-3], "garbage": []byte("hello"), "bad text": []byte("\x0a\x09\x12\x07\x12\x05\x2a\x03\x0a\x01\xff")} {
		if _, err := Decode(b, false); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, s := range []string{``, `[]`, `{"resourceLogs":{}}`, `{"resourceLogs":[1]}`, `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"x"}]}]}]}`, `{"resourceLogs":[{"resource":1}]}`, `{} {}`} {
		if _, err := Decode([]byte(s), true); err == nil {
			t.Errorf("%s: taken", s)
		}
	}
	large, _ := proto.Marshal(&collogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{{Body: str(strings.Repeat("x", maxRecord+1))}}}}}}})
	if _, err := Decode(large, false); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a record beyond the bound: %v", err)
	}
}

func TestAnswer(t *testing.T) {
	if a := Answer(0, nil); a.PartialSuccess != nil {
		t.Fatal("a whole success has no partial_success")
	}
	a := Answer(2, []parse.LineError{{Line: 3, Reason: "no action"}})
	if a.PartialSuccess.RejectedLogRecords != 2 || !strings.Contains(a.PartialSuccess.ErrorMessage, "record 3: no action") {
		t.Fatalf("%v", a)
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := proto.Marshal(full())
	f.Add(b, false)
	f.Add([]byte(`{"resourceLogs":[{"resource":{},"scopeLogs":[{"logRecords":[{"body":{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{}}}]}}}]}]}]}`), true)
	f.Fuzz(func(t *testing.T, body []byte, json bool) {
		r, err := Decode(body, json)
		if err != nil {
			return
		}
		lines := r.Lines()
		defer lines.Close()
		out, err := io.ReadAll(lines)
		if err != nil {
			t.Fatalf("checked, then: %v", err)
		}
		if n := strings.Count(string(out), "\n"); n != r.Records() {
			t.Fatalf("%d lines of %d records", n, r.Records())
		}
	})
}
