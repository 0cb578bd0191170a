//go:build integration

package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/api/client"
)

// TestIntegrationAuditor goes through an auditor's work on the running binary:
// find, complete, compare, export with its checksum, ask GraphQL, stream
// events on, and the same from the command line and the client packages.
func TestIntegrationAuditor(t *testing.T) {
	i := up(t, dataDir(t), "--webhooks-allow-private")
	key := i.tenant("acme")
	admin := i.key("acme", map[string]any{"kind": "api", "role": "tenant_admin", "name": "auditor"})
	var mu sync.Mutex
	got := map[string]bool{}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for lines := bufio.NewScanner(z); lines.Scan(); {
			var e struct{ ID string }
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				got[e.ID] = true
			}
		}
	}))
	t.Cleanup(receiver.Close)
	if code, b := i.call(admin, "POST", "/api/v1/streams", map[string]any{"name": "siem", "kind": "http", "query": "actor:alice*", "config": map[string]any{"url": receiver.URL}}); code != 201 {
		t.Fatalf("stream: %d %s", code, b)
	}
	const n = 400
	var b bytes.Buffer
	for k := range n {
		fmt.Fprintf(&b, `{"id":"e%d","time":%q,"actor":%q,"action":"file.download","outcome":"success","resource":"file/%d","country":%q,"bytes":%d,"team":"blue"}`+"\n",
			k, time.Date(2026, 3, 1+k%2, 9, 0, k, 0, time.UTC).Format(time.RFC3339), []string{"alice@acme.example", "bob"}[k%2], k%7, []string{"DE", "FR"}[k%2], k)
	}
	if p, err := i.push(key, "?source=web", &b); err != nil || p.Accepted != n {
		t.Fatalf("%+v, %v", p, err)
	}
	eventually(t, 60*time.Second, "rows", func() bool { return i.account("acme").Stored == n })

	var suggest struct{ Items []struct{ Text string } }
	i.get(admin, "/api/v1/audit/suggest?q=actor:al", &suggest)
	if len(suggest.Items) != 1 || suggest.Items[0].Text != "alice@acme.example" {
		t.Errorf("suggest: %+v", suggest)
	}
	var entity struct {
		Totals struct{ Events int }
		Week   struct{ Events []int }
	}
	i.get(admin, "/api/v1/entities/file%2F3?type=resource", &entity)
	if entity.Totals.Events == 0 || len(entity.Week.Events) != 168 {
		t.Errorf("entity: %+v", entity)
	}
	var diff struct {
		Fields []struct {
			Values []struct{ Value, Kind string }
		}
	}
	i.get(admin, "/api/v1/audit/diff?before_from=2026-03-01T00:00:00Z&before_to=2026-03-02T00:00:00Z&after_from=2026-03-02T00:00:00Z&after_to=2026-03-03T00:00:00Z&fields=country", &diff)
	if len(diff.Fields) != 1 || len(diff.Fields[0].Values) != 2 || diff.Fields[0].Values[0].Kind == diff.Fields[0].Values[1].Kind {
		t.Errorf("diff: %+v", diff)
	}
	if code, b := i.call(admin, "POST", "/graphql", map[string]any{"query": `{ events(q: "actor:bob", first: 2) { pageInfo { hasNextPage } edges { node { id labels } } } }`}); code != 200 || !strings.Contains(string(b), `"team":"blue"`) || strings.Contains(string(b), "errors") {
		t.Errorf("graphql: %d %s", code, b)
	}

	// a job, downloaded by its link alone, is what its manifest says
	type job struct {
		ID, State, SHA256, Download string
		Rows                        int
	}
	code, raw := i.call(admin, "POST", "/api/v1/exports", map[string]any{"format": "parquet", "query": "source:web"})
	var j job
	if err := json.Unmarshal(raw, &j); code != 201 || err != nil {
		t.Fatalf("export: %d %s", code, raw)
	}
	eventually(t, 60*time.Second, "the export", func() bool { i.get(admin, "/api/v1/exports/"+j.ID, &j); return j.State == "done" })
	resp, err := http.Get(i.api + j.Download)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	file, err := io.ReadAll(resp.Body)
	if sum := sha256.Sum256(file); err != nil || hex.EncodeToString(sum[:]) != j.SHA256 || j.Rows != n || !bytes.HasPrefix(file, []byte("PAR1")) {
		t.Errorf("%d bytes, %d rows: %v", len(file), j.Rows, err)
	}

	eventually(t, 90*time.Second, "the stream", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == n/2 })

	// the command line, with an address and a token
	remote := []string{"--address", i.api, "--token", admin}
	out, stderr, exit := run(t, nil, append([]string{"search", "actor:bob country:FR", "-o", "csv", "--limit", "0"}, remote...)...)
	if exit != 0 || strings.Count(out, "\n") != n/2+1 || !strings.HasPrefix(out, "time,actor,") {
		t.Errorf("search: %d %s %.200s", exit, stderr, out)
	}
	if out, _, exit = run(t, nil, append([]string{"__complete", "search", "actor:al"}, remote...)...); exit != 0 {
		t.Errorf("completion: %d %s", exit, out)
	}
	if out, _, exit = run(t, nil, "search", "--explain", "actor:alice time:-24h"); exit != 0 || !strings.Contains(out, "actor is") {
		t.Errorf("explain: %d %s", exit, out)
	}
	i.followed(t, key, remote)

	// the client packages
	c, err := client.New(i.api, admin)
	if err != nil {
		t.Fatal(err)
	}
	query := "actor:alice*"
	found, err := c.SearchEventsWithResponse(t.Context(), &client.SearchEventsParams{Q: &query})
	if err != nil || found.JSON200 == nil || len(found.JSON200.Items) != 50 || found.JSON200.Next == nil {
		t.Errorf("the Go client: %v %s", err, found.Body)
	}
	bad := "actr:x"
	if refused, err := c.SearchEventsWithResponse(t.Context(), &client.SearchEventsParams{Q: &bad}); err != nil || client.Refused(refused.StatusCode(), refused.Body) == nil {
		t.Errorf("a refusal: %v", err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Log("node is not installed: the JavaScript example is not run")
		return
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join(root(t), "api", "client", "example.mjs"))
	cmd.Env = append(os.Environ(), "TENANTWATCH_URL="+i.api, "TENANTWATCH_TOKEN="+admin, "TENANTWATCH_QUERY=actor:bob")
	if js, err := cmd.CombinedOutput(); err != nil || strings.Count(string(js), " bob file.download\n") != 50 {
		t.Errorf("the JavaScript example: %v %.300s", err, js)
	}
}

// followed shows an event that comes in while a search is followed.
func (i *instance) followed(t *testing.T, key string, remote []string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), append([]string{"search", "actor:carol", "--follow", "-o", "ndjson"}, remote...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if p, err := i.push(key, "?source=web", strings.NewReader(`{"id":"live","time":"2026-03-03T00:00:00Z","actor":"carol","action":"login"}`+"\n")); err != nil || p.Accepted != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	seen := false
	for lines := bufio.NewScanner(out); lines.Scan() && !seen; {
		seen = strings.Contains(lines.Text(), `"live"`)
	}
	cancel()
	_ = cmd.Wait() // it was told to end
	if !seen {
		t.Error("the event that came in was not shown")
	}
}
