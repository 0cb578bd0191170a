package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// Limits are the caps of the server; zero fields take the defaults.
type Limits struct {
	RequestTimeout   time.Duration // for everything but streams and exports; default 30 s
	DrainTimeout     time.Duration // how long Run waits for requests at the end; default 15 s
	RequestsPerSec   float64       // of one principal; default 50, in bursts of four times as many
	AddressPerSec    float64       // from one network; default eight times RequestsPerSec, at least 50
	SignInsPerMinute float64       // from one network; default 20, in bursts of 10
	Streams          int           // live streams at once; default 512
	Exports          int           // exports at once; default 8
	Heartbeat        time.Duration // between comments on a stream; default 15 s
}

// Options are what a server is made of. All stores are required.
type Options struct {
	Logger  *slog.Logger          // default: discard
	Metrics prometheus.Registerer // nil: not exposed

	Auth      Auth
	Alerts    Alerts
	Events    Events
	Lines     Quarantine
	Findings  Findings
	Tenants   Tenants
	Keys      Keys
	Webhooks  Webhooks
	Trail     Trail
	Insight   Insight
	Searches  Searches
	Backtests Backtests
	// Replay computes an alert's number again; nil: what was kept is answered
	// as not reproducible.
	Replay       func(*alert.Alert) ReplayResult
	Exports      Exports
	Streams      LogStreams
	Triage       Triage
	Suppressions Suppressions
	// ExportDir is where large exports are kept for a day; empty: there are no
	// export jobs.
	ExportDir string
	// TLSCert and TLSKey are files with the certificate chain and its key in
	// PEM; with them Run speaks TLS and HTTP/2. They are read again when they
	// change.
	TLSCert, TLSKey string
	// Origins are the origins of other sites whose scripts may call the API
	// with a token, such as https://portal.example; none by default, and never
	// with this site's cookie.
	Origins []string
	// Introspection lets clients of /graphql read its schema from there.
	Introspection bool
	// Detectors are those of the program.
	Detectors []DetectorEntry
	Account   Account
	Users     Users
	Usage     Usage
	// SignIn are the OpenID Connect providers; nil: there are none.
	SignIn SignInProviders

	// Classify turns a store's error into one of this package's, or nil.
	Classify func(error) error
	// Web holds the built web application with index.html at its root; nil
	// serves none.
	Web fs.FS
	// CursorKey signs cursors: at least 32 random bytes, the same in every
	// process that answers, kept across restarts.
	CursorKey []byte
	// AlertBudget is shown in the overview: alerts per tenant and day.
	AlertBudget float64
	// SecureCookies marks cookies Secure even when the connection itself is
	// plain, for a server behind a proxy that ends TLS.
	SecureCookies bool
	// PublicURL is where browsers reach this server; empty: what they asked for.
	// Providers send them back there.
	PublicURL string
	// TrustedProxies are addresses or networks whose X-Forwarded-For is
	// believed; none by default.
	TrustedProxies []string
	Limits         Limits
	Now            func() time.Time // default time.Now
}

// Server answers the API. It is an http.Handler.
type Server struct {
	opts    Options
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time
	engine  *gin.Engine
	spec    *specification
	web     map[string]*asset

	cursors      cursors
	principals   *limiter
	signIns      *limiter
	failures     *limiter // refused credentials, by network
	addresses    *limiter // all requests, by network
	tenantLimits *limiter // each tenant at its own rate
	idempotency  *idempotency
	streams      chan struct{} // one slot a stream
	exports      chan struct{} // one slot an export

	exportWake chan struct{} // a job was queued here

	drain     chan struct{} // closed when the server is told to stop
	drainOnce sync.Once

	unguarded []tenant.ID // tests only: the scope of everybody, when the tenancy check is away
	// unverified takes the second guard away, tests only.
	unverified bool
}

// New checks the options and builds the handler. It starts nothing.
func New(o Options) (*Server, error) {
	var missing []error
	for name, absent := range map[string]bool{"Auth": o.Auth == nil, "Alerts": o.Alerts == nil, "Events": o.Events == nil, "Lines": o.Lines == nil, "Findings": o.Findings == nil,
		"Tenants": o.Tenants == nil, "Keys": o.Keys == nil, "Webhooks": o.Webhooks == nil, "Trail": o.Trail == nil,
		"Insight": o.Insight == nil, "Searches": o.Searches == nil, "Backtests": o.Backtests == nil, "Exports": o.Exports == nil, "Streams": o.Streams == nil,
		"Triage": o.Triage == nil, "Suppressions": o.Suppressions == nil,
		"Account": o.Account == nil, "Users": o.Users == nil, "Usage": o.Usage == nil} {
		if absent {
			missing = append(missing, fmt.Errorf("api: option %s is missing", name))
		}
	}
	if len(o.CursorKey) < 32 {
		missing = append(missing, fmt.Errorf("api: CursorKey has %d bytes: want at least 32", len(o.CursorKey)))
	}
	if err := errors.Join(missing...); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Limits = o.Limits.withDefaults()
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("api: metrics: %w", err)
	}
	spec, err := loadSpecification()
	if err != nil {
		return nil, err
	}
	web, err := loadAssets(o.Web)
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts: o, log: o.Logger, metrics: m, now: o.Now, spec: spec, web: web,
		cursors:      cursors{o.CursorKey},
		principals:   newLimiter(o.Limits.RequestsPerSec, int(4*o.Limits.RequestsPerSec)+1, o.Now),
		signIns:      newLimiter(o.Limits.SignInsPerMinute/60, 10, o.Now),
		failures:     newLimiter(1, 60, o.Now),
		addresses:    newLimiter(o.Limits.AddressPerSec, int(4*o.Limits.AddressPerSec)+1, o.Now),
		tenantLimits: newLimiter(1, 1, o.Now),
		idempotency:  newIdempotency(o.Now),
		streams:      make(chan struct{}, o.Limits.Streams),
		exports:      make(chan struct{}, o.Limits.Exports),
		drain:        make(chan struct{}),
		exportWake:   make(chan struct{}, 1),
	}
	if s.engine, err = s.build(); err != nil {
		return nil, err
	}
	return s, nil
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&l.RequestTimeout, 30*time.Second)
	set(&l.DrainTimeout, 15*time.Second)
	set(&l.Heartbeat, 15*time.Second)
	if l.RequestsPerSec <= 0 {
		l.RequestsPerSec = 50
	}
	if l.AddressPerSec <= 0 {
		l.AddressPerSec = max(8*l.RequestsPerSec, 50)
	}
	if l.SignInsPerMinute <= 0 {
		l.SignInsPerMinute = 20
	}
	if l.Streams <= 0 {
		l.Streams = 512
	}
	if l.Exports <= 0 {
		l.Exports = 8
	}
	return l
}

var pathParameter = regexp.MustCompile(`\{([a-z_]+)\}`)

// build assembles the engine: global middleware, the table of operations, and
// the pages around them.
func (s *Server) build() (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.ContextWithFallback = true
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	e.UseEscapedPath, e.UnescapePathValues = true, false // ids may hold a slash; the guard unescapes them, once
	if err := e.SetTrustedProxies(s.opts.TrustedProxies); err != nil {
		return nil, fmt.Errorf("api: trusted proxies: %w", err)
	}
	e.Use(s.observe, s.recover, s.secure, s.cors, s.compress)
	badRequest := func(c *gin.Context, err error) { s.fail(c, newProblem(kindBadRequest, "%s", err)) }
	strict := rest.NewStrictHandlerWithOptions(&handlers{s}, nil, rest.StrictGinServerOptions{
		RequestErrorHandlerFunc:  badRequest,
		HandlerErrorFunc:         s.fail,
		ResponseErrorHandlerFunc: s.fail,
	})
	w := &rest.ServerInterfaceWrapper{Handler: strict, ErrorHandler: func(c *gin.Context, err error, _ int) { badRequest(c, err) }}
	for _, r := range routes {
		op, err := s.spec.operation(r.Route)
		if err != nil {
			return nil, err
		}
		handle := r.handle
		e.Handle(r.Method, pathParameter.ReplaceAllString(r.Path, ":$1"), s.guard(r.Route, op), func(c *gin.Context) { handle(w, c) })
	}
	graphql, err := s.graphql()
	if err != nil {
		return nil, err
	}
	e.GET("/graphql", graphql)
	e.POST("/graphql", graphql)
	e.GET("/openapi.json", s.openapiHandler)
	e.GET("/docs", s.docsHandler)
	e.GET("/docs.css", s.stylesHandler)
	e.GET("/problems/:slug", s.problemHandler)
	e.NoRoute(s.webHandler)
	e.NoMethod(func(c *gin.Context) {
		s.fail(c, newProblem(kindMethod, "This address does not take %s.", c.Request.Method))
	})
	return e, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// Run serves on ln until ctx is done, then lets requests finish within
// Limits.DrainTimeout; live streams are told to end at once. It closes ln.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	background, stopBackground := context.WithCancel(ctx)
	jobs := make(chan error, 1)
	go func() { // ends with background
		if s.opts.ExportDir == "" {
			jobs <- nil
			return
		}
		jobs <- s.runExports(background)
	}()
	defer func() {
		stopBackground()
		if jobErr := <-jobs; jobErr != nil {
			s.log.Error("exports are not run", "error", jobErr)
		}
	}()
	stopped := make(chan error, 1)
	serve := func() error { return srv.Serve(ln) }
	if s.opts.TLSCert != "" {
		cert, err := newCertificate(s.opts.TLSCert, s.opts.TLSKey, s.log)
		if err != nil {
			_ = ln.Close() // the error that matters is the other one
			return err
		}
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get}
		serve = func() error { return srv.ServeTLS(ln, "", "") }
	}
	go func() { stopped <- serve() }() // ends with Shutdown or Close below
	select {
	case err := <-stopped:
		return fmt.Errorf("api: serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	s.drainOnce.Do(func() { close(s.drain) })
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Limits.DrainTimeout)
	defer cancel()
	err := srv.Shutdown(deadline)
	if err != nil {
		err = errors.Join(fmt.Errorf("api: requests were still running after %s: %w", s.opts.Limits.DrainTimeout, err), srv.Close())
	}
	<-stopped
	return err
}
