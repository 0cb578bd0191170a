package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"
)

// compress packs text for clients that take gzip. Sessions stay plain: their
// answer holds a secret beside what the client sent, whose packed length would
// tell about it.
func (s *Server) compress(c *gin.Context) {
	if !strings.HasPrefix(c.Request.URL.Path, "/api/") && c.Request.URL.Path != "/graphql" || c.Request.URL.Path == "/api/v1/session" {
		c.Next()
		return
	}
	c.Writer.Header().Add("Vary", "Accept-Encoding")
	if !acceptsGzip(c.GetHeader("Accept-Encoding")) {
		c.Next()
		return
	}
	w := &gzipWriter{ResponseWriter: c.Writer}
	c.Writer = w
	defer func() {
		c.Writer = w.ResponseWriter
		if v := recover(); v != nil {
			panic(v) // cut off: no proper end for what is none
		}
		if w.gz != nil {
			_ = w.gz.Close() // the client may be gone
		}
	}()
	c.Next()
}

// acceptsGzip reads Accept-Encoding as far as gzip goes.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		weight, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return !ok || err == nil && q > 0
	}
	return false
}

// gzipWriter decides with the first bytes whether packing pays.
type gzipWriter struct {
	gin.ResponseWriter
	gz      *gzip.Writer
	decided bool
}

const worthPacking = 1024 // bytes

func (w *gzipWriter) Write(b []byte) (int, error) {
	if !w.decided {
		w.decided = true
		h := w.Header()
		kind := h.Get("Content-Type")
		long := len(b) >= worthPacking || h.Get("Trailer") != "" // exports come in pieces
		if long && h.Get("Content-Encoding") == "" && !strings.HasPrefix(kind, "text/event-stream") &&
			(strings.HasPrefix(kind, "text/") || strings.Contains(kind, "json")) {
			h.Set("Content-Encoding", "gzip")
			h.Del("Content-Length")
			w.gz, _ = gzip.NewWriterLevel(w.ResponseWriter, gzip.BestSpeed) // fails only for a level that is none
		}
	}
	if w.gz != nil {
		return w.gz.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

func (w *gzipWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// Flush sends what is there, packed or not.
func (w *gzipWriter) Flush() {
	if w.gz != nil {
		_ = w.gz.Flush() // a client that is gone shows at the next write
	}
	w.ResponseWriter.Flush()
}

// Unwrap lets deadlines through to the connection.
func (w *gzipWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
