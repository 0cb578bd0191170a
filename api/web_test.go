package api

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
)

func textLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestWebApplication(t *testing.T) {
	files := fstest.MapFS{"index.html": {Data: []byte("<!doctype html><title>app</title>")}, "assets/app-1a2b.js": {Data: []byte(strings.Repeat("console.log(1);", 200))},
		"favicon.svg": {Data: []byte("<svg/>")}}
	s := newWorld().server(t, func(o *Options) { o.Web = files })
	f := func(path, kind, cache, contains string) {
		t.Helper()
		rec := ask{path: path}.want(t, s, 200)
		h := rec.Header()
		if h.Get("Content-Type") != kind || h.Get("Cache-Control") != cache || !strings.Contains(rec.Body.String(), contains) {
			t.Errorf("%s: %v %s", path, h, rec.Body)
		}
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self';") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %s", path, csp)
		}
		if rec = (ask{path: path, header: map[string]string{"If-None-Match": h.Get("ETag")}}).want(t, s, 304); rec.Body.Len() > 0 {
			t.Errorf("%s: 304 with a body", path)
		}
	}
	f("/", "text/html; charset=utf-8", "no-cache", "app")
	f("/alerts/0195", "text/html; charset=utf-8", "no-cache", "app") // the application's own addresses
	f("/assets/app-1a2b.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "console")
	f("/favicon.svg", "image/svg+xml", "no-cache", "svg")
	f("/x/../favicon.svg", "image/svg+xml", "no-cache", "svg")
	f("/entities/address/203.0.113.7", "text/html; charset=utf-8", "no-cache", "app")
	for _, missing := range []string{"/assets/gone-1.js", "/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v2/alerts", "/.env", "/../../etc/passwd.txt", "/problems/unheard-of"} {
		ask{path: missing}.wantProblem(t, s, "not-found")
	}
	ask{path: "/", method: "POST"}.wantProblem(t, s, "not-found")
	packed := ask{path: "/assets/app-1a2b.js", header: map[string]string{"Accept-Encoding": "gzip"}}.want(t, s, 200)
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, z); got != string(files["assets/app-1a2b.js"].Data) {
		t.Error("the packed file is another one")
	}
	if head := (ask{path: "/", method: http.MethodHead}).want(t, s, 200); head.Body.Len() != 0 || head.Header().Get("Content-Length") != "33" {
		t.Errorf("HEAD: %v %s", head.Header(), head.Body)
	}
	if _, err := loadAssets(fstest.MapFS{"a.js": {}}); err == nil {
		t.Error("an application without an index was taken")
	}
	ask{path: "/"}.wantProblem(t, newWorld().server(t), "not-found")
}

// TestPages: everything a browser reads is ours, and nothing on a page comes
// from elsewhere.
func TestPages(t *testing.T) {
	s := newWorld().server(t)
	docs := ask{path: "/docs"}.want(t, s, 200).Body.String()
	for _, r := range Routes() {
		if !strings.Contains(docs, r.Path) {
			t.Errorf("%s is not on the page", r.Path)
		}
	}
	if strings.Contains(docs, "<script") || strings.Contains(docs, "style=") || strings.Contains(docs, "//cdn") {
		t.Error("the page needs what its policy forbids")
	}
	for _, k := range problemKinds {
		page := ask{path: "/problems/" + k.slug}.want(t, s, 200)
		if !strings.Contains(page.Body.String(), k.slug) || page.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("page of %s: %s", k.slug, page.Body)
		}
	}
	ask{path: "/docs.css"}.want(t, s, 200)
	spec := into[map[string]any](t, ask{path: "/openapi.json"}.want(t, s, 200))
	if spec["openapi"] != "3.1.0" || spec["paths"].(map[string]any)["/api/v1/alerts"] == nil {
		t.Error("openapi.json is not the contract")
	}
}

// TestSecurityHeaders: every answer carries them, refusals too.
func TestSecurityHeaders(t *testing.T) {
	s := newWorld().server(t)
	for _, path := range []string{"/docs", "/openapi.json", "/api/v1/alerts", "/nothing"} {
		h := ask{path: path}.do(t, s).Header()
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Content-Security-Policy": "default-src 'none'"} {
			if !strings.Contains(h.Get(name), want) {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if h.Get("X-Request-Id") == "" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}
