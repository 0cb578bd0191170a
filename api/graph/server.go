package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// What one request may cost.
const (
	MaxTokens     = 2000     // of the query's text
	MaxDepth      = 10       // nested fields
	MaxComplexity = 50_000   // fields times the sizes of the lists around them
	MaxAliases    = 20       // fields given another name
	MaxRoots      = 20       // fields of the query itself
	MaxBody       = 64 << 10 // bytes
)

// Options are what New needs.
type Options struct {
	Backend Backend
	// Introspection lets clients read the schema from the server.
	Introspection bool
	// Owner names the caller of a request: whose persisted queries are found.
	Owner  func(context.Context) string
	Logger *slog.Logger // default: discard
}

// New makes the handler. Batches are not taken: one request is one operation.
func New(o Options) (http.Handler, error) {
	if o.Backend == nil || o.Owner == nil {
		return nil, errors.New("graph: Backend and Owner are required")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	cfg := Config{Resolvers: &Resolver{o.Backend}}
	costs(&cfg.Complexity)
	srv := handler.New(NewExecutableSchema(cfg))
	srv.AddTransport(transport.GET{})
	srv.AddTransport(transport.POST{})
	srv.SetQueryCache(lru.New[*ast.QueryDocument](512))
	srv.SetParserTokenLimit(MaxTokens)
	srv.SetDisableSuggestion(!o.Introspection) // "did you mean" would tell the schema
	srv.Use(extension.AutomaticPersistedQuery{Cache: ownCache{lru.New[string](4096), o.Owner}})
	srv.Use(shape{}) // first: what it refuses takes too long to be weighed
	srv.Use(extension.FixedComplexityLimit(MaxComplexity))
	if o.Introspection {
		srv.Use(extension.Introspection{})
	}
	srv.SetErrorPresenter(func(ctx context.Context, err error) *gqlerror.Error {
		return present(ctx, o.Logger, err)
	})
	srv.SetRecoverFunc(func(ctx context.Context, v any) error {
		o.Logger.ErrorContext(ctx, "panic in a field", "panic", fmt.Sprint(v))
		return &Problem{Type: "/problems/internal", Title: "Something broke on our side", Status: http.StatusInternalServerError}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		srv.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), loadersKey{}, newLoaders(o.Backend))))
	}), nil
}

// costs multiplies what a list holds by how much of it is asked for.
func costs(c *ComplexityRoot) {
	pages := func(child, first int) int { return 1 + child*max(1, min(first, 500)) }
	c.Query.Tenants = func(child, first int, _ *string) int { return pages(child, first) }
	c.Query.Webhooks = func(child int, _ *string, first int, _ *string) int { return pages(child, first) }
	c.Tenant.Alerts = func(child int, _ []Severity, _ []TriageStatus, first int, _ *string) int { return pages(child, first) }
	c.Query.Alerts = func(child int, _ *string, _ []Severity, _ []TriageStatus, _ *string, _ *bool, first int, _ *string) int {
		return pages(child, first)
	}
	c.Query.Events = func(child int, _, _ *string, _, _ *time.Time, _ *bool, first int, _ *string) int {
		return pages(child, first)
	}
	c.Query.Entities = func(child int, _ EntityType, _, _ *string, _, _ *time.Time, first int, _ *string) int {
		return pages(child, first)
	}
	c.Alert.Events = func(child int) int { return 1 + 10*child }
}

// present writes a refusal as REST would: the same words, the problem beside
// it. What is nobody's fault but ours is told to the log alone.
func present(ctx context.Context, log *slog.Logger, err error) *gqlerror.Error {
	e := graphql.DefaultErrorPresenter(ctx, err)
	var p *Problem
	if errors.As(err, &p) {
		e.Message = p.Error()
		e.Extensions = map[string]any{"type": p.Type, "title": p.Title, "status": p.Status}
		if p.Instance != "" {
			e.Extensions["instance"] = p.Instance
		}
		if len(p.Errors) > 0 {
			e.Extensions["errors"] = p.Errors
		}
		return e
	}
	var own *gqlerror.Error
	if errors.As(err, &own) && own.Err == nil {
		return e // of the query's own text
	}
	if strings.HasSuffix(err.Error(), "introspection disabled") {
		e.Extensions = map[string]any{"type": "/problems/forbidden", "status": http.StatusForbidden}
		return e
	}
	if e.Path != nil {
		log.ErrorContext(ctx, "field failed", "path", e.Path.String(), "error", err)
		e.Message = "It has been noted."
		e.Extensions = map[string]any{"type": "/problems/internal", "status": http.StatusInternalServerError}
	}
	return e
}

// ownCache keeps each caller's persisted queries apart: the text of one holds
// what somebody looked for.
type ownCache struct {
	c     graphql.Cache[string]
	owner func(context.Context) string
}

func (o ownCache) Get(ctx context.Context, key string) (string, bool) {
	return o.c.Get(ctx, o.owner(ctx)+"\x00"+key)
}

func (o ownCache) Add(ctx context.Context, key, value string) {
	o.c.Add(ctx, o.owner(ctx)+"\x00"+key, value)
}

// shape bounds depth, aliases and the fields of the query itself.
type shape struct{}

func (shape) ExtensionName() string                   { return "Shape" }
func (shape) Validate(graphql.ExecutableSchema) error { return nil }
func (shape) MutateOperationContext(_ context.Context, c *graphql.OperationContext) *gqlerror.Error {
	op := c.Doc.Operations.ForName(c.OperationName)
	if op == nil {
		return nil // the executor says so
	}
	var n measure
	n.walk(op.SelectionSet, 1, 0)
	for what, v := range map[string][2]int{"levels deep": {n.depth, MaxDepth}, "aliases": {n.aliases, MaxAliases}, "fields at its root": {n.roots, MaxRoots}, "fields": {n.fields, 4 * MaxTokens}} {
		if v[0] > v[1] {
			e := gqlerror.Errorf("the query has %d %s: at most %d are allowed", v[0], what, v[1])
			e.Extensions = map[string]any{"type": "/problems/bad-request", "status": http.StatusBadRequest}
			return e
		}
	}
	return nil
}

type measure struct{ depth, aliases, roots, fields int }

// walk follows fragments, too, as often as they are spread, and gives up once
// a bound is far behind.
func (m *measure) walk(set ast.SelectionSet, depth, spreads int) {
	if m.fields > 4*MaxTokens || spreads > MaxDepth {
		m.fields = 4*MaxTokens + 1
		return
	}
	m.depth = max(m.depth, depth)
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			m.fields++
			if depth == 1 {
				m.roots++
			}
			if s.Alias != s.Name {
				m.aliases++
			}
			if len(s.SelectionSet) > 0 {
				m.walk(s.SelectionSet, depth+1, spreads)
			}
		case *ast.InlineFragment:
			m.walk(s.SelectionSet, depth, spreads)
		case *ast.FragmentSpread:
			if s.Definition != nil {
				m.walk(s.Definition.SelectionSet, depth, spreads+1)
			}
		}
	}
}
