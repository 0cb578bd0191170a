package otlp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // what exporters compress with
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// GRPCOptions set up a GRPC server.
type GRPCOptions struct {
	Listener net.Listener // required; the server closes it
	// Handler serves POST /v1/logs; required. Every call becomes such a
	// request, so that keys, quotas and limits are the same for both.
	Handler http.Handler
	TLS     *tls.Config // nil: plain text
	// MaxMessage bounds one message in bytes after decompression; default 16 MiB.
	MaxMessage int
	// Grace is how long calls may go on after ctx ended; default 10 s.
	Grace  time.Duration
	Logger *slog.Logger // nil: nothing is logged
}

// GRPC serves opentelemetry.proto.collector.logs.v1.LogsService.
type GRPC struct {
	o   GRPCOptions
	srv *grpc.Server
}

// NewGRPC checks the options; it starts nothing.
func NewGRPC(o GRPCOptions) (*GRPC, error) {
	if o.Listener == nil || o.Handler == nil {
		return nil, errors.New("otlp: a GRPC server needs a Listener and a Handler")
	}
	if o.MaxMessage <= 0 {
		o.MaxMessage = 16 << 20
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	opts := []grpc.ServerOption{
		grpc.ForceServerCodecV2(frames{}), grpc.MaxRecvMsgSize(o.MaxMessage), grpc.MaxConcurrentStreams(64), grpc.MaxHeaderListSize(16 << 10),
		grpc.ConnectionTimeout(10 * time.Second), grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 15 * time.Minute, Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if o.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(o.TLS)))
	}
	g := &GRPC{o: o, srv: grpc.NewServer(opts...)}
	g.srv.RegisterService(&grpc.ServiceDesc{
		ServiceName: "opentelemetry.proto.collector.logs.v1.LogsService", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Export", Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var in []byte
			if err := dec(&in); err != nil {
				return nil, err
			}
			return g.export(ctx, in)
		}}},
	}, nil)
	return g, nil
}

// Run serves until ctx is done, then finishes the calls in flight.
func (g *GRPC) Run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- g.srv.Serve(g.o.Listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("otlp: serve gRPC on %s: %w", g.o.Listener.Addr(), err)
	case <-ctx.Done():
	}
	done := make(chan struct{})
	go func() { g.srv.GracefulStop(); close(done) }()
	t := time.NewTimer(g.o.Grace)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		g.srv.Stop()
		<-done
	}
	<-failed
	return nil
}

// export hands one message to the HTTP handler and turns its answer into
// gRPC's.
func (g *GRPC) export(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/v1/logs", bytes.NewReader(body))
	if err != nil {
		return nil, status.Error(codes.Internal, "the request could not be made")
	}
	req.Header.Set("Content-Type", ProtobufType)
	md, _ := metadata.FromIncomingContext(ctx)
	for _, v := range md.Get("authorization") {
		req.Header.Add("Authorization", v)
	}
	if p, ok := peer.FromContext(ctx); ok {
		req.RemoteAddr = p.Addr.String()
	}
	w := &answer{header: http.Header{}, code: http.StatusOK}
	g.o.Handler.ServeHTTP(w, req)
	if w.code == http.StatusOK {
		return w.body.Bytes(), nil
	}
	st := &spb.Status{Message: http.StatusText(w.code)}
	_ = proto.Unmarshal(w.body.Bytes(), st) // else the text of the code says it
	st.Code = int32(Code(w.code))
	out := status.FromProto(st)
	if seconds, err := strconv.Atoi(w.header.Get("Retry-After")); err == nil {
		// Only with this may a client send again what came too fast.
		if with, err := out.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(seconds) * time.Second)}); err == nil {
			out = with
		}
	}
	return nil, out.Err()
}

// ProtobufType is the content type of the binary encoding.
const ProtobufType = "application/x-protobuf"

// Code is the gRPC status that tells a client the same as an HTTP status.
func Code(httpStatus int) codes.Code {
	switch httpStatus {
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return codes.Unavailable
	case 499:
		return codes.Canceled
	}
	if httpStatus >= 500 {
		return codes.Internal
	}
	return codes.InvalidArgument
}

// answer takes what the HTTP handler writes.
type answer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(code int)        { a.code = code }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// frames hands messages on as the bytes they are.
type frames struct{}

var _ encoding.CodecV2 = frames{}

func (frames) Name() string { return "proto" }

func (frames) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("otlp: cannot write a %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (frames) Unmarshal(data mem.BufferSlice, v any) error {
	p, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("otlp: cannot read into a %T", v)
	}
	var err error
	*p, err = io.ReadAll(data.Reader())
	return err
}
