package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"
)

// asset is one file of the web application, held whole and packed once.
type asset struct {
	data, packed []byte // packed is nil when it would not be smaller
	kind, etag   string
	immutable    bool // its name holds a hash of its content
}

// kinds by extension, so that an answer does not depend on the machine's table.
var assetKinds = map[string]string{".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".ico": "image/x-icon",
	".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json", ".woff2": "font/woff2", ".woff": "font/woff",
	".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm"}

func loadAssets(files fs.FS) (map[string]*asset, error) {
	out := map[string]*asset{}
	if files == nil {
		return out, nil
	}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		out["/"+name], err = newAsset(name, data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("api: web files: %w", err)
	}
	if out["/index.html"] == nil {
		return nil, fmt.Errorf("api: web files: index.html is missing")
	}
	return out, nil
}

func newAsset(name string, data []byte) (*asset, error) {
	sum := sha256.Sum256(data)
	a := &asset{data: data, kind: assetKinds[path.Ext(name)], etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		immutable: strings.HasPrefix(name, "assets/")}
	if a.kind == "" {
		a.kind = "application/octet-stream"
	}
	if strings.HasPrefix(a.kind, "image/") && a.kind != "image/svg+xml" || strings.HasPrefix(a.kind, "font/") || len(data) < worthPacking {
		return a, nil
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if b.Len() < len(data) {
		a.packed = b.Bytes()
	}
	return a, nil
}

// webHandler answers what no route does: files of the web application, its
// index for the addresses it makes up itself, and problems for the rest.
func (s *Server) webHandler(c *gin.Context) {
	p := c.Request.URL.Path
	read := c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead
	if !read || p == "/api" || strings.HasPrefix(p, "/api/") || p == "/graphql" || len(s.web) == 0 {
		s.fail(c, notFound())
		return
	}
	c.Set(keyRoute, "web")
	a := s.web[path.Clean(p)]
	// An address that ends like a file's name is one, but for the names of entities.
	if a == nil && (path.Ext(p) == "" || strings.HasPrefix(p, "/entities/")) {
		a = s.web["/index.html"]
	}
	if a == nil {
		s.fail(c, notFound())
		return
	}
	a.serve(c)
}

func (a *asset) serve(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", policyWeb)
	h.Set("Content-Type", a.kind)
	h.Add("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if a.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	data, tag := a.data, a.etag
	if a.packed != nil && accepts(c.GetHeader("Accept-Encoding"), "gzip") {
		data, tag = a.packed, strings.TrimSuffix(a.etag, `"`)+`-gz"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", tag)
	if matches(c.GetHeader("If-None-Match"), tag, true) {
		h.Del("Content-Type")
		h.Del("Content-Encoding")
		c.Writer.WriteHeader(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	c.Writer.WriteHeader(http.StatusOK)
	if c.Request.Method == http.MethodHead {
		c.Writer.WriteHeaderNow()
		return
	}
	_, _ = c.Writer.Write(data) // the client may be gone
}
