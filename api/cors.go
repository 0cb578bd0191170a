package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// What scripts of other sites may send and see, once their origin is allowed.
const (
	corsMethods = "GET, POST, PATCH, PUT, DELETE"
	corsHeaders = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID"
	corsExposed = "ETag, X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Content-Disposition, Idempotency-Replayed, Deprecation, Sunset"
)

// cors lets scripts of the origins the operator named read answers. Credentials
// of the browser stay out of it: such a script brings a token of its own.
func (s *Server) cors(c *gin.Context) {
	origin := c.GetHeader("Origin")
	path := c.Request.URL.Path
	if origin == "" || !strings.HasPrefix(path, "/api/") && path != "/graphql" && path != "/openapi.json" {
		c.Next()
		return
	}
	h := c.Writer.Header()
	h.Add("Vary", "Origin")
	if !slices.Contains(s.opts.Origins, origin) {
		c.Next()
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", corsExposed)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", "600")
		c.AbortWithStatus(http.StatusNoContent)
		return
	}
	c.Next()
}
