//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A log nobody can read is quarantined whole, grouped, described by a mapping,
// read again, and stored once: neither a second replay nor a push of the same
// file by then adds anything.
func TestIntegrationReplay(t *testing.T) {
	dir := dataDir(t)
	i := up(t, dir)
	key := i.tenant("acme")
	const n = 20
	var log strings.Builder
	for k := range n {
		fmt.Fprintf(&log, "2026-03-01T09:00:%02dZ door=lab badge bob from 203.0.113.7 granted\n", k/2) // each line twice
	}
	p, err := i.push(key, "?source=doors", strings.NewReader(log.String()))
	if err != nil || p.Quarantined != n || p.Accepted != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	if a := i.received("acme", n); a.Quarantined != n {
		t.Fatalf("%+v", a)
	}
	yaml := "name: door\npattern: '%{ISO8601:at} door=%{WORD:door} badge %{USER:who} from %{IP:ip} %{WORD:result}'\nfields:\n  time: at\n  actor: who\n  action: {const: door.open}\n  outcome: {from: result, table: {granted: success}}\n  src_ip: ip\n  resource: door\n"
	file := filepath.Join(t.TempDir(), "door.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	var groups struct {
		Items []struct {
			Pattern, Source string
			Lines           int
			ExampleID       string `json:"example_id"`
		}
	}
	i.get(i.token, "/api/v1/quarantine/groups?tenant_id=acme", &groups)
	if len(groups.Items) != 1 || groups.Items[0].Lines != n || groups.Items[0].Source != "doors" {
		t.Fatalf("%+v", groups)
	}
	var line struct {
		Raw        string
		ReplayedAt string `json:"replayed_at"`
		Events     int
	}
	i.get(i.token, "/api/v1/quarantine/"+groups.Items[0].ExampleID+"?tenant_id=acme", &line)
	if !strings.Contains(line.Raw, "door=lab") || line.ReplayedAt != "" {
		t.Fatalf("%+v", line)
	}
	replay := func(body map[string]any) (out struct{ Selected, Replayed, Events, Failed int }) {
		t.Helper()
		body["tenant_id"] = "acme"
		code, b := i.call(i.token, "POST", "/api/v1/quarantine/replay", body)
		if code != 200 {
			t.Fatalf("%d %s", code, b)
		}
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	// As it is it still cannot be read, and a dry run changes nothing.
	if got := replay(map[string]any{"source": "doors"}); got.Failed != n || got.Replayed != 0 {
		t.Fatalf("%+v", got)
	}
	if got := replay(map[string]any{"source": "doors", "mapping": yaml, "dry_run": true}); got.Replayed != n || got.Events != n {
		t.Fatalf("%+v", got)
	}
	if got := replay(map[string]any{"source": "doors", "mapping": yaml}); got.Replayed != n || got.Events != n {
		t.Fatalf("%+v", got)
	}
	if a := i.received("acme", 2*n); a.Stored != n || a.Duplicates != 0 || a.Quarantined != n {
		t.Fatalf("after the replay: %+v", a)
	}
	i.get(i.token, "/api/v1/quarantine/"+groups.Items[0].ExampleID+"?tenant_id=acme", &line)
	if line.ReplayedAt == "" || line.Events != 1 {
		t.Fatalf("%+v", line)
	}
	// The group is done: nothing is open; by id a line can be replayed again.
	if got := replay(map[string]any{"source": "doors", "mapping": yaml}); got.Selected != 0 {
		t.Fatalf("%+v", got)
	}
	if got := replay(map[string]any{"ids": []string{groups.Items[0].ExampleID}, "mapping": yaml}); got.Events != 1 {
		t.Fatalf("%+v", got)
	}
	i.received("acme", 2*n+1)
	// The same file by the command, with the mapping: all of it is known.
	logFile := filepath.Join(t.TempDir(), "door.log")
	if err := os.WriteFile(logFile, []byte(log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := run(t, nil, "ingest", logFile, "--tenant", "acme", "--source", "doors", "--format", "mapping:"+file, "--data-dir", dir)
	if code != 0 || !strings.Contains(out, "stored 0 new events, 20 were there already") {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
	if a := i.received("acme", 3*n+1); a.Stored != n || a.Duplicates != n+1 {
		t.Fatalf("in the end: %+v", a)
	}
	out, errs, code = run(t, nil, "quarantine", "list", "--tenant", "acme", "--state", "replayed", "--data-dir", dir)
	if code != 0 || !strings.Contains(out, "doors") {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
}
