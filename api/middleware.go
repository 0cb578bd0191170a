package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// Keys of gin's per-request map.
const (
	keyRequestID = "tw.request"
	keyRoute     = "tw.route"
	keyPrincipal = "tw.principal"
)

func requestID(c *gin.Context) string { return c.GetString(keyRequestID) }

// observe gives the request its id, and logs and counts the answer. The query
// is not logged: it may hold what a person searched for.
func (s *Server) observe(c *gin.Context) {
	id := uuid.Must(uuid.NewV7()).String() // fails only without randomness, when nothing can be trusted
	c.Set(keyRequestID, id)
	c.Header("X-Request-Id", id)
	start := s.now()
	s.metrics.inFlight.Inc()
	defer func() {
		s.metrics.inFlight.Dec()
		route := c.GetString(keyRoute)
		streams := strings.HasPrefix(route, "~")
		route = strings.TrimPrefix(route, "~")
		if route == "" {
			route = "other"
		}
		took, status := s.now().Sub(start), c.Writer.Status()
		s.metrics.requests.WithLabelValues(route, methodLabel(c.Request.Method), strconv.Itoa(status/100)+"xx").Inc()
		if !streams {
			s.metrics.seconds.WithLabelValues(route).Observe(took.Seconds())
		}
		level := slog.LevelDebug
		if status >= 500 {
			level = slog.LevelWarn
		}
		s.log.LogAttrs(c.Request.Context(), level, "request", slog.String("request_id", id), slog.String("method", c.Request.Method),
			slog.String("path", logPath(c)), slog.Int("status", status), slog.Duration("took", took),
			slog.Int("bytes", max(c.Writer.Size(), 0)), slog.String("principal", c.GetString(keyPrincipal)))
	}()
	c.Next()
}

// logPath is the path as far as it may be logged: ids that are a tenant's own
// text stay out, ids of ours are what one looks for.
func logPath(c *gin.Context) string {
	for _, own := range []string{"/api/v1/audit/events/", "/api/v1/entities/"} {
		if strings.HasPrefix(c.Request.URL.Path, own) {
			return own + "…"
		}
	}
	return c.Request.URL.Path
}

// methodLabel keeps invented methods out of the metrics.
func methodLabel(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

func levelOf(p *problem) slog.Level {
	if p.kind == kindUnavailable {
		return slog.LevelWarn
	}
	return slog.LevelError
}

func requestAttrs(c *gin.Context, err error) []slog.Attr {
	return []slog.Attr{slog.String("request_id", requestID(c)), slog.String("method", c.Request.Method), slog.String("path", logPath(c)), slog.Any("error", err)}
}

// recover turns a panic into an answer and a log entry.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v) // meant to cut the connection
		}
		s.log.LogAttrs(c.Request.Context(), slog.LevelError, "panic", append(requestAttrs(c, fmt.Errorf("%v", v)), slog.String("stack", string(debug.Stack())))...)
		s.writeProblem(c, newProblem(kindInternal, "It has been noted under this request's id."))
	}()
	c.Next()
}

// Policies for the browser. The web application's styles are set by script
// (style elements made by its component library), so inline styles have to be
// allowed; scripts only come from this server, and none is inline.
const (
	policyAPI = "default-src 'none'; frame-ancestors 'none'"
	policyWeb = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; " +
		"connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

// secure sets the headers every answer carries and bounds how long it may take.
func (s *Server) secure(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Content-Security-Policy", policyAPI)
	if c.Request.TLS != nil || s.opts.SecureCookies {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if strings.HasPrefix(c.Request.URL.Path, "/api/") || c.Request.URL.Path == "/graphql" {
		h.Set("Cache-Control", "no-store")
	}
	s.extend(c)
	c.Next()
}

// extend gives the answer another while to be written; streams call it again
// and again, so that only a client that stopped reading is cut off.
func (s *Server) extend(c *gin.Context) {
	// Not every writer has deadlines (tests); then there is nothing to extend.
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(s.opts.Limits.RequestTimeout + 30*time.Second))
}

// deadline bounds the work of one request.
func (s *Server) deadline(c *gin.Context) context.CancelFunc {
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.opts.Limits.RequestTimeout)
	c.Request = c.Request.WithContext(ctx)
	return cancel
}
