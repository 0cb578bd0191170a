package httppush

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServerOptions set up a Server.
type ServerOptions struct {
	Listener net.Listener // required; the Server closes it
	Handler  http.Handler // required
	TLS      *tls.Config  // nil: plain text
	// Grace is how long requests may go on after ctx ended; what is not done
	// by then is cut off, unacknowledged. Default 10 s.
	Grace  time.Duration
	Logger *slog.Logger // nil: nothing is logged
}

// Server serves a Handler with limits against slow and idle peers.
type Server struct {
	o   ServerOptions
	srv *http.Server
}

// NewServer checks the options; it starts nothing.
func NewServer(o ServerOptions) (*Server, error) {
	if o.Listener == nil || o.Handler == nil {
		return nil, errors.New("httppush: a Server needs a Listener and a Handler")
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.TLS != nil {
		o.TLS = o.TLS.Clone()
		o.TLS.NextProtos = []string{"h2", "http/1.1"}
	}
	return &Server{o: o, srv: &http.Server{
		Handler:           o.Handler,
		TLSConfig:         o.TLS,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}}, nil
}

// Run serves until ctx is done, then finishes the requests in flight.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() {
		if s.o.TLS != nil {
			failed <- s.srv.ServeTLS(s.o.Listener, "", "")
			return
		}
		failed <- s.srv.Serve(s.o.Listener)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("httppush: serve %s: %w", s.o.Listener.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), s.o.Grace)
	defer cancel()
	err := s.srv.Shutdown(grace)
	if err != nil {
		err = fmt.Errorf("httppush: requests were cut off after %s: %w", s.o.Grace, errors.Join(err, s.srv.Close()))
	}
	<-failed // Serve has returned
	return err
}
