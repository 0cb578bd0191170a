package httppush

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/collectortest"
	"github.com/tenantwatch/tenantwatch/collector/otlp"
)

// ids are the different ids that were kept.
func (k *kept) ids() map[string]int {
	m := map[string]int{}
	for i := range k.events {
		m[k.events[i].ID]++
	}
	return m
}

// export makes a request of which every line is the body of a log record.
func export(lines ...string) *collogs.ExportLogsServiceRequest {
	sl := &logspb.ScopeLogs{}
	for _, l := range lines {
		sl.LogRecords = append(sl.LogRecords, &logspb.LogRecord{Body: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: l}}})
	}
	return &collogs.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{ScopeLogs: []*logspb.ScopeLogs{sl}}}}
}

func TestLogsAnswers(t *testing.T) {
	var k kept
	h := handler(t, Config{}, &k)
	ok, err := proto.Marshal(export(good, good))
	if err != nil {
		t.Fatal(err)
	}
	bad, _ := proto.Marshal(export(good, "just words"))
	const pb, js = "Content-Type: application/x-protobuf", "Content-Type: application/json"
	success := func(body []byte, headers ...string) *collogs.ExportLogsServiceResponse {
		t.Helper()
		w := post(h, "/v1/logs", bytes.NewReader(body), headers...)
		if w.Code != 200 || "Content-Type: "+w.Header().Get("Content-Type") != headers[0] {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		var a collogs.ExportLogsServiceResponse
		if headers[0] == pb {
			err = proto.Unmarshal(w.Body.Bytes(), &a)
		} else {
			var j struct {
				PartialSuccess *struct{ RejectedLogRecords, ErrorMessage string }
			}
			if err = json.Unmarshal(w.Body.Bytes(), &j); err == nil && j.PartialSuccess != nil {
				a.PartialSuccess = &collogs.ExportLogsPartialSuccess{ErrorMessage: j.PartialSuccess.ErrorMessage}
				fmt.Sscan(j.PartialSuccess.RejectedLogRecords, &a.PartialSuccess.RejectedLogRecords)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return &a
	}
	if a := success(ok, pb); a.PartialSuccess != nil {
		t.Fatalf("%v", a)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(ok)
	z.Close()
	success(zipped.Bytes(), pb, "Content-Encoding: gzip")
	enc, _ := zstd.NewWriter(nil)
	success(enc.EncodeAll(ok, nil), pb, "Content-Encoding: zstd")
	enc.Close()
	success([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"login","attributes":[{"key":"user.id","value":{"stringValue":"a"}}]}]}]}]}`), js)
	success(nil, pb)
	success([]byte(`{}`), js)
	if a := success(bad, pb); a.PartialSuccess.GetRejectedLogRecords() != 1 || !strings.Contains(a.PartialSuccess.ErrorMessage, "no actor") {
		t.Fatalf("%v", a)
	}
	if a := success([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"just words"}}]}]}]}`), js); a.PartialSuccess.GetRejectedLogRecords() != 1 {
		t.Fatalf("%v", a)
	}
	// The second identical record of a request is an event of its own; the same
	// request again is not.
	if n := len(k.ids()); n != 3 {
		t.Fatalf("%d ids: %v", n, k.ids())
	}

	failure := func(want int, code codes.Code, body []byte, headers ...string) {
		t.Helper()
		w := post(h, "/v1/logs", bytes.NewReader(body), headers...)
		var s spb.Status
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
			err = json.Unmarshal(w.Body.Bytes(), &s)
		} else {
			err = proto.Unmarshal(w.Body.Bytes(), &s)
		}
		if err != nil || w.Code != want || codes.Code(s.Code) != code || s.Message == "" {
			t.Fatalf("%d, want %d: %v %v", w.Code, want, &s, err)
		}
	}
	failure(401, codes.Unauthenticated, ok, pb, "Authorization: Bearer guess")
	failure(400, codes.InvalidArgument, ok[:len(ok)-2], pb)
	failure(400, codes.InvalidArgument, []byte(`{"resourceLogs":7}`), js)
	failure(400, codes.InvalidArgument, []byte("no gzip"), pb, "Content-Encoding: gzip")
	failure(415, codes.InvalidArgument, ok, "Content-Type: text/plain")
	failure(415, codes.InvalidArgument, ok, pb, "Content-Encoding: br")
	failure(413, codes.InvalidArgument, make([]byte, maxLogsBody+1), pb)
	k.err = collector.ErrUnavailable
	w := post(h, "/v1/logs", bytes.NewReader(ok), pb)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	// What is taken for large bodies is given back.
	if h.gate.bytes != 0 || h.gate.n != 0 {
		t.Fatalf("the gate holds %+v", &h.gate)
	}
	// Room for a large body is asked for.
	small := handler(t, Config{MaxInFlightBytes: RequestMemory}, &k)
	if w := post(small, "/v1/logs", bytes.NewReader(make([]byte, 4<<20)), pb); w.Code != 503 || small.gate.bytes != 0 {
		t.Fatalf("%d, %d bytes taken", w.Code, small.gate.bytes)
	}
}

// suite starts the handler under the contract; send pushes one body.
func logsContract(t *testing.T, start func(t *testing.T, h http.Handler) (send func(ctx context.Context, req *collogs.ExportLogsServiceRequest) bool, stop func())) {
	collectortest.Run(t, collectortest.Options{Start: func(t *testing.T, sink collector.Sink) collectortest.Source {
		h, err := New(Options{Keys: testKeys, Sink: sink})
		if err != nil {
			t.Fatal(err)
		}
		send, stop := start(t, h)
		return collectortest.Source{Stop: stop, Send: func(ctx context.Context, body string) bool {
			return send(ctx, export(strings.Split(strings.TrimSuffix(body, "\n"), "\n")...))
		}}
	}})
}

func TestLogsContractHTTP(t *testing.T) {
	logsContract(t, func(t *testing.T, h http.Handler) (func(context.Context, *collogs.ExportLogsServiceRequest) bool, func()) {
		url, client, stop := start(t, h, time.Minute)
		url = strings.Replace(url, "/v1/events", "/v1/logs", 1)
		return func(ctx context.Context, m *collogs.ExportLogsServiceRequest) bool {
			b, err := proto.Marshal(m)
			if err != nil {
				t.Error(err)
				return false
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
			if err != nil {
				t.Error(err)
				return false
			}
			req.Header.Set("Authorization", "Bearer secret")
			req.Header.Set("Content-Type", otlp.ProtobufType)
			resp, err := client.Do(req)
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return err == nil && resp.StatusCode == http.StatusOK
		}, stop
	})
}

// startGRPC serves a handler by gRPC and gives a client.
func startGRPC(t *testing.T, h http.Handler) (collogs.LogsServiceClient, func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := otlp.NewGRPC(otlp.GRPCOptions{Listener: ln, Handler: h, Grace: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	conn, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		conn.Close()
	}
	t.Cleanup(stop)
	return collogs.NewLogsServiceClient(conn), stop
}

func bearer(ctx context.Context, key string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
}

func TestLogsContractGRPC(t *testing.T) {
	logsContract(t, func(t *testing.T, h http.Handler) (func(context.Context, *collogs.ExportLogsServiceRequest) bool, func()) {
		client, stop := startGRPC(t, h)
		return func(ctx context.Context, m *collogs.ExportLogsServiceRequest) bool {
			_, err := client.Export(bearer(ctx, "secret"), m)
			return err == nil
		}, stop
	})
}

func TestLogsGRPCAnswers(t *testing.T) {
	var k kept
	client, stop := startGRPC(t, handler(t, Config{}, &k))
	defer stop()
	a, err := client.Export(bearer(t.Context(), "secret"), export(good, "just words"), grpc.UseCompressor(grpcgzip.Name))
	if err != nil || a.PartialSuccess.GetRejectedLogRecords() != 1 || len(k.ids()) != 1 {
		t.Fatalf("%v %v", a, err)
	}
	if _, err = client.Export(bearer(t.Context(), "guess"), export(good)); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "ingest key") {
		t.Fatal(err)
	}
	k.err = collector.ErrUnavailable
	_, err = client.Export(bearer(t.Context(), "secret"), export(good))
	s, _ := status.FromError(err)
	if s.Code() != codes.Unavailable || len(s.Details()) != 1 {
		t.Fatalf("%v %v", err, s.Details())
	}
	if info, ok := s.Details()[0].(*errdetails.RetryInfo); !ok || info.RetryDelay.AsDuration() <= 0 {
		t.Fatalf("%v", s.Details())
	}
}
