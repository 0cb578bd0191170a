// Package ops is the operations port: metrics, liveness, readiness and, when
// asked for, profiles. It is for the operator's machines, not for users: keep
// it off public networks.
//
// Invariant: nothing it answers holds a tenant's data. It must not be needed
// for the product to work.
package ops

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one thing readiness depends on.
type Check struct {
	Name string
	// Probe is nil when the thing works. It has CheckTimeout.
	Probe func(ctx context.Context) error
	// Detail, when set, says more whether it works or not.
	Detail func() string
}

// Options are what the port shows.
type Options struct {
	Logger       *slog.Logger // default: discard
	Gatherer     prometheus.Gatherer
	Checks       []Check
	CheckTimeout time.Duration // default 2 s
	Pprof        bool          // serve /debug/pprof/
	Version      string
}

// Server answers the operations port. It is an http.Handler.
type Server struct {
	opts     Options
	mux      *http.ServeMux
	mu       sync.Mutex
	draining bool
}

// New checks the options. It starts nothing.
func New(o Options) (*Server, error) {
	if o.Gatherer == nil {
		return nil, errors.New("ops: Gatherer is missing")
	}
	for _, c := range o.Checks {
		if c.Name == "" || c.Probe == nil {
			return nil, fmt.Errorf("ops: check %q needs a name and a probe", c.Name)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.CheckTimeout = cmp.Or(o.CheckTimeout, 2*time.Second)
	s := &Server{opts: o, mux: http.NewServeMux()}
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: 8, Timeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn)}))
	s.mux.HandleFunc("GET /livez", s.live)
	s.mux.HandleFunc("GET /readyz", s.ready)
	if o.Pprof {
		s.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		s.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		s.mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		s.mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r)
}

// Drain makes the process not ready, so that no new work is sent to it.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// health is the body of /livez and /readyz.
type health struct {
	Status  string        `json:"status"` // ok, failing or draining
	Version string        `json:"version,omitempty"`
	Checks  []checkResult `json:"checks,omitempty"`
}

type checkResult struct {
	Name   string  `json:"name"`
	OK     bool    `json:"ok"`
	Error  string  `json:"error,omitempty"`
	Detail string  `json:"detail,omitempty"`
	TookMS float64 `json:"took_ms"`
}

func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, health{Status: "ok", Version: s.opts.Version})
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	h := health{Status: "ok", Version: s.opts.Version, Checks: s.probe(r.Context())}
	status := http.StatusOK
	if slices.ContainsFunc(h.Checks, func(c checkResult) bool { return !c.OK }) {
		h.Status, status = "failing", http.StatusServiceUnavailable
	}
	s.mu.Lock()
	if s.draining {
		h.Status, status = "draining", http.StatusServiceUnavailable
	}
	s.mu.Unlock()
	write(w, status, h)
}

// probe runs all checks at once; one that does not come back in time has
// failed, but is still waited for, so it has to heed its context.
func (s *Server) probe(ctx context.Context) []checkResult {
	ctx, cancel := context.WithTimeout(ctx, s.opts.CheckTimeout)
	defer cancel()
	out := make([]checkResult, len(s.opts.Checks))
	var wg sync.WaitGroup
	for i, c := range s.opts.Checks {
		wg.Go(func() {
			start := time.Now()
			err := c.Probe(ctx)
			out[i] = checkResult{Name: c.Name, OK: err == nil, TookMS: float64(time.Since(start).Microseconds()) / 1000}
			if err != nil {
				out[i].Error = err.Error()
			}
			if c.Detail != nil {
				out[i].Detail = c.Detail()
			}
		})
	}
	wg.Wait()
	return out
}

func write(w http.ResponseWriter, status int, h health) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h) // the client may be gone
}

// Run serves on ln until ctx is done, which also makes the process not ready.
// It closes ln.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 2 * time.Minute,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug)}
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Serve(ln) }() // ends with Shutdown or Close below
	select {
	case err := <-stopped:
		return fmt.Errorf("ops: serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	s.Drain()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := srv.Shutdown(deadline)
	if err != nil {
		err = errors.Join(fmt.Errorf("ops: %w", err), srv.Close())
	}
	<-stopped
	return err
}
