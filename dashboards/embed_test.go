package dashboards

import (
	"io/fs"
	"strings"
	"testing"
)

// Web must always have a page, built or not, and the not-built page must say
// what to run.
func TestWebHasAnIndex(t *testing.T) {
	b, err := fs.ReadFile(Web(), "index.html")
	if err != nil {
		t.Fatalf("index.html: %v", err)
	}
	page := string(b)
	if !strings.Contains(page, "make web") && !strings.Contains(page, `<div id="root">`) {
		t.Fatalf("index.html is neither the application nor the page that tells how to build it:\n%s", page)
	}
}
