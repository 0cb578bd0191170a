package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// packer is one way to pack an answer.
type packer interface {
	Write([]byte) (int, error)
	Flush() error
	Close() error
}

// packings are the ways we know, the better first.
var packings = []struct {
	name string
	open func(http.ResponseWriter) (packer, error)
}{
	{"zstd", func(w http.ResponseWriter) (packer, error) {
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10))
	}},
	{"gzip", func(w http.ResponseWriter) (packer, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) }},
}

// compress packs text for clients that take zstd or gzip. Sessions stay plain: their
// answer holds a secret beside what the client sent, whose packed length would
// tell about it.
func (s *Server) compress(c *gin.Context) {
	if !strings.HasPrefix(c.Request.URL.Path, "/api/") && c.Request.URL.Path != "/graphql" || c.Request.URL.Path == "/api/v1/session" {
		c.Next()
		return
	}
	c.Writer.Header().Add("Vary", "Accept-Encoding")
	w := &packedWriter{ResponseWriter: c.Writer, way: -1}
	for i, p := range packings {
		if accepts(c.GetHeader("Accept-Encoding"), p.name) {
			w.way = i
			break
		}
	}
	if w.way < 0 {
		c.Next()
		return
	}
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

// accepts reads Accept-Encoding as far as one packing goes.
func accepts(header, packing string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), packing) {
			continue
		}
		weight, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return !ok || err == nil && q > 0
	}
	return false
}

// packedWriter decides with the first bytes whether packing pays.
type packedWriter struct {
	gin.ResponseWriter
	way     int // of packings
	gz      packer
	decided bool
}

const worthPacking = 1024 // bytes

func (w *packedWriter) Write(b []byte) (int, error) {
	if !w.decided {
		w.decided = true
		h := w.Header()
		kind := h.Get("Content-Type")
		long := len(b) >= worthPacking || h.Get("Trailer") != "" // exports come in pieces
		if long && h.Get("Content-Encoding") == "" && !strings.HasPrefix(kind, "text/event-stream") &&
			(strings.HasPrefix(kind, "text/") || strings.Contains(kind, "json")) {
			h.Set("Content-Encoding", packings[w.way].name)
			h.Del("Content-Length")
			w.gz, _ = packings[w.way].open(w.ResponseWriter) // fails only for options that are none
		}
	}
	if w.gz != nil {
		return w.gz.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

func (w *packedWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// Flush sends what is there, packed or not.
func (w *packedWriter) Flush() {
	if w.gz != nil {
		_ = w.gz.Flush() // a client that is gone shows at the next write
	}
	w.ResponseWriter.Flush()
}

// Unwrap lets deadlines through to the connection.
func (w *packedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
