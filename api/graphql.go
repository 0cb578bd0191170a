package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/tenantwatch/tenantwatch/api/graph"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// asker is whose GraphQL request is in a context.
type asker struct {
	k *call
	c *gin.Context
}

type askerKey struct{}

// graphql answers /graphql. The credential is looked at here, and again by
// every operation that a field asks.
func (s *Server) graphql() (gin.HandlerFunc, error) {
	h, err := graph.New(graph.Options{Backend: graphBackend{s}, Introspection: s.opts.Introspection, Logger: s.log, Owner: func(ctx context.Context) string {
		p := ctx.Value(askerKey{}).(asker).k.principal
		return string(p.Kind) + ":" + p.ID
	}})
	if err != nil {
		return nil, err
	}
	return func(c *gin.Context) {
		c.Set(keyRoute, "/graphql")
		defer s.deadline(c)()
		k := &call{route: Route{Method: c.Request.Method, Path: "/graphql", Operation: "graphql"}}
		if err := s.admitGraph(c, k); err != nil {
			s.fail(c, err)
			return
		}
		// Read here, since a transport would answer 200 to what is too large.
		b, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, graph.MaxBody))
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			s.fail(c, err)
			return
		} else if err != nil {
			s.fail(c, newProblem(kindBadRequest, "the body could not be read"))
			return
		}
		c.Request.Body = io.NopCloser(bytes.NewReader(b))
		h.ServeHTTP(c.Writer, c.Request.WithContext(context.WithValue(c.Request.Context(), askerKey{}, asker{k, c})))
	}, nil
}

func (s *Server) admitGraph(c *gin.Context, k *call) error {
	if err := s.authenticate(c, k); err != nil {
		return err
	}
	p := k.principal
	c.Set(keyPrincipal, string(p.Kind)+":"+p.ID)
	if wait, ok := s.principals.take(string(p.Kind) + ":" + p.ID); !ok {
		return tooMany(wait, "requests with your credential")
	}
	if p.MustChange {
		return newProblem(kindMustChange, "Your password is one that an administrator set: change it first, with POST /api/v1/session/password.")
	}
	if k.token == "" {
		return nil
	}
	if err := s.sameSite(c); err != nil {
		return err
	}
	if c.Request.Method != http.MethodGet && !validCSRF(k.session.CSRF, c.GetHeader("X-CSRF-Token")) {
		return newProblem(kindCSRF, "The header X-CSRF-Token is missing or does not belong to this session.")
	}
	return nil
}

// graphBackend lets GraphQL ask the REST operations.
type graphBackend struct{ s *Server }

// passed are the headers by which a caller is known.
var passed = []string{"Authorization", "Cookie", "X-Csrf-Token", "Origin", "Sec-Fetch-Site", "X-Forwarded-For", "User-Agent"}

// Do asks one operation through the same table and guard as from outside.
func (g graphBackend) Do(ctx context.Context, method, path string, query url.Values, header http.Header, body any) (json.RawMessage, error) {
	from := ctx.Value(askerKey{}).(asker).c.Request
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(b)
	}
	target := path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, in)
	if err != nil {
		return nil, err
	}
	if in == nil {
		r.Body = http.NoBody
	}
	for _, name := range passed {
		if v := from.Header.Values(name); len(v) > 0 {
			r.Header[name] = v
		}
	}
	for name, v := range header {
		r.Header[name] = v
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.RemoteAddr, r.Host, r.TLS = from.RemoteAddr, from.Host, from.TLS
	w := &memory{header: http.Header{}}
	g.s.engine.ServeHTTP(w, r)
	if w.status >= 400 {
		p := &graph.Problem{Status: w.status}
		_ = json.Unmarshal(w.body.Bytes(), p) // a status without a document says enough
		return nil, p
	}
	return w.body.Bytes(), nil
}

// Events reads the events that alerts of one tenant name, as listAlertEvents
// would for each.
func (g graphBackend) Events(ctx context.Context, of string, ids []string) (json.RawMessage, error) {
	a := ctx.Value(askerKey{}).(asker)
	k := &call{principal: a.k.principal, gin: a.c}
	i := slices.IndexFunc(routes, func(r route) bool { return r.Operation == "listAlertEvents" })
	k.route = routes[i].Route
	if !k.principal.Can(k.route.Permission) {
		return nil, asProblem(newProblem(kindForbidden, "The role %s does not hold %s.", k.principal.Role, k.route.Permission))
	}
	q := url.Values{}
	if !k.principal.Single() {
		q.Set("tenant_id", of)
	}
	if err := g.s.tenants(k, http.MethodGet, "", q, nil); err != nil {
		return nil, asProblem(notFound())
	}
	if err := k.verify(); err != nil {
		return nil, err
	}
	if id, err := tenant.Parse(of); err != nil || id != k.one {
		return nil, asProblem(notFound())
	}
	if err := g.s.saw(ctx, k, k.one); err != nil {
		return nil, err
	}
	events, err := g.s.opts.Events.ByID(ctx, k.one, ids)
	if err != nil {
		return nil, err
	}
	out := []byte{'['}
	for i := range events {
		if i > 0 {
			out = append(out, ',')
		}
		out = event.AppendJSON(out, &events[i])
	}
	return append(out, ']'), nil
}

func asProblem(p *problem) *graph.Problem {
	return &graph.Problem{Type: "/problems/" + p.kind.slug, Title: p.kind.title, Status: p.kind.status, Detail: p.detail}
}

// memory takes an answer within the process.
type memory struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (m *memory) Header() http.Header { return m.header }

func (m *memory) WriteHeader(status int) {
	if m.status == 0 {
		m.status = status
	}
}

func (m *memory) Write(b []byte) (int, error) {
	m.WriteHeader(http.StatusOK)
	return m.body.Write(b)
}
