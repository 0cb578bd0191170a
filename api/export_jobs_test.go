package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestExportJobs queues a job, lets the server run it, and downloads its file
// whole and in parts by its link alone; a cancelled one leaves no file.
func TestExportJobs(t *testing.T) {
	w := newWorld()
	w.jobs = nil
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gone_alpha.csv"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := run(t, w, func(o *Options) { o.ExportDir = dir })
	send := func(method, path, body, token string, header map[string]string) (*http.Response, []byte) {
		t.Helper()
		r, err := http.NewRequest(method, l.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		r.Header.Set("Content-Type", "application/json")
		for k, v := range header {
			r.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, b
	}
	type job struct {
		ID, State, Query string
		Rows             int
		Bytes            int64
		Progress         float64
		SHA256, Download string
	}
	read := func(id string) (j job) {
		t.Helper()
		resp, b := send("GET", "/api/v1/exports/"+id, "", "token-admin", nil)
		if err := json.Unmarshal(b, &j); resp.StatusCode != 200 || err != nil {
			t.Fatalf("%d %s", resp.StatusCode, b)
		}
		return j
	}
	resp, b := send("POST", "/api/v1/exports", `{"format":"ndjson","query":"time:-24h OR -a"}`, "token-admin", nil)
	var made job
	if err := json.Unmarshal(b, &made); resp.StatusCode != 201 || err != nil || !strings.Contains(made.Query, "2026-03-01T12:00:00") {
		t.Fatalf("%d %s", resp.StatusCode, b)
	}
	var done job
	for deadline := time.Now().Add(time.Minute); done.State != "done"; done = read(made.ID) {
		if time.Now().After(deadline) {
			t.Fatalf("the job does not end: %+v", done)
		}
	}
	if done.Rows != 3 || done.Progress != 1 || done.Download == "" {
		t.Fatalf("%+v", done)
	}
	resp, whole := send("GET", done.Download, "", "", nil)
	sum := sha256.Sum256(whole)
	if resp.StatusCode != 200 || hex.EncodeToString(sum[:]) != done.SHA256 || int64(len(whole)) != done.Bytes {
		t.Errorf("%d, %d bytes of %d", resp.StatusCode, len(whole), done.Bytes)
	}
	resp, part := send("GET", done.Download, "", "", map[string]string{"Range": "bytes=10-"})
	if resp.StatusCode != 206 || string(part) != string(whole[10:]) {
		t.Errorf("a part: %d, %d bytes", resp.StatusCode, len(part))
	}
	// the link is of this file alone, and ends
	for _, bad := range []string{strings.Replace(done.Download, "token=", "token=x", 1), strings.Replace(done.Download, made.ID, "job9", 1)} {
		if resp, b := send("GET", bad, "", "", nil); resp.StatusCode != 404 {
			t.Errorf("%s: %d %s", bad, resp.StatusCode, b)
		}
	}
	w.mu.Lock()
	w.now = w.now.Add(exportKept)
	w.mu.Unlock()
	if resp, b := send("GET", done.Download, "", "", nil); resp.StatusCode != 404 {
		t.Errorf("after its time: %d %s", resp.StatusCode, b)
	}
	if resp, _ := send("DELETE", "/api/v1/exports/"+made.ID, "", "token-admin", nil); resp.StatusCode != 204 {
		t.Errorf("cancel: %d", resp.StatusCode)
	}
	if j := read(made.ID); j.State != "cancelled" || j.Download != "" {
		t.Errorf("%+v", j)
	}
	if _, err := os.Stat(filepath.Join(dir, "gone_alpha.csv")); !os.IsNotExist(err) {
		t.Errorf("a file that nobody knows stays: %v", err)
	}
	// without a directory there are no jobs
	ask{who: "admin", method: "POST", path: "/api/v1/exports", body: `{"format":"csv"}`}.wantProblem(t, newWorld().server(t, func(o *Options) { o.ExportDir = "" }), "unavailable")
}
