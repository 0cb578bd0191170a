package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// command runs one command line in this process.
func command(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = Main(context.Background(), "test", args, Streams{In: strings.NewReader(stdin), Out: &o, Err: &e})
	return o.String(), e.String(), code
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestExitCodesAndMessages(t *testing.T) {
	f := func(code int, says string, args ...string) {
		t.Helper()
		_, stderr, got := command(t, "", args...)
		if got != code || !strings.Contains(stderr, says) {
			t.Errorf("%v: exit %d (want %d), says %q (want %q)", args, got, code, stderr, says)
		}
	}
	f(exitUsage, "there is no command", "frobnicate")
	f(exitUsage, "unknown flag", "version", "--nope")
	f(exitUsage, "takes no arguments", "version", "now")
	f(exitUsage, "at least one file", "score", "events")
	f(exitUsage, "no such file", "score", "events", "/does/not/exist")
	f(exitUsage, "--budget", "score", "events", "-", "--budget", "0")
	f(exitUsage, "--format", "score", "events", "-", "--format", "klingon")
	f(exitUsage, "--tenant is missing", "ingest", "-")
	f(exitUsage, "--tenant", "ingest", "-", "--tenant", "Not A Slug")
	f(exitFailed, "is `tenantwatch up` running", "alerts", "list", "--data-dir", t.TempDir())
	f(exitUsage, "TENANTWATCH_TOKEN", "alerts", "list", "--url", "http://127.0.0.1:1")
	f(exitUsage, "column 1", "search", "actr:x")
	f(exitUsage, "--role", "serve", "--role", "juggler")
	f(exitUsage, "listen.api", "up", "--listen-api", "nonsense")
	f(exitFailed, "is not set", "serve")
	f(exitUsage, "--start", "simulate", "--start", "yesterday")
	f(exitUsage, "--tenants 0", "simulate", "--tenants", "0")
	f(exitUsage, "--attacks", "simulate", "--attacks", "sharks")
	f(exitUsage, "--entity-type", "suppress", "create", "--tenant", "acme", "--entity", "x", "--preview")
	f(exitUsage, "--since", "search", "--tenant", "acme", "x", "--since", "-5m")
	f(exitUsage, "is a directory", "score", "events", t.TempDir())
	f(exitUsage, "tenantwatch: tenant rename needs", "tenant", "rename", "acme")
	f(exitUsage, "--limit -3", "alerts", "list", "--limit", "-3")
}

func TestAGroupRefusesWhatItDoesNotKnow(t *testing.T) {
	groups := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if !c.HasSubCommands() || !c.HasParent() {
			return
		}
		groups++
		path := strings.Fields(c.CommandPath())[1:]
		out, stderr, code := command(t, "", append(path, "frobnicate")...)
		if code != exitUsage || out != "" || !strings.Contains(stderr, `has no command "frobnicate"`) {
			t.Errorf("%v frobnicate: exit %d, %q, %q", path, code, out, stderr)
		}
		if out, _, code := command(t, "", path...); code != exitOK || !strings.Contains(out, "Available Commands") {
			t.Errorf("%v alone: exit %d, %q", path, code, out)
		}
	}
	walk((&cmdline{}).root())
	if groups < 8 {
		t.Fatalf("looked at %d groups", groups)
	}
	if out, _, code := command(t, "", "completion", "bash"); code != exitOK || !strings.Contains(out, "bash completion") {
		t.Errorf("completion bash: exit %d, %d bytes", code, len(out))
	}
	if _, stderr, _ := command(t, "", "tenant", "lisst"); !strings.Contains(stderr, `did you mean "list"?`) {
		t.Errorf("no hint: %q", stderr)
	}
}

func TestTablesAndRefusalsReadWell(t *testing.T) {
	v := row{"list": []any{"a", "b"}, "none": []any{}, "mixed": []any{"a", 1.0}, "n": 0.5}
	for path, want := range map[string]string{"list": "a, b", "none": "", "mixed": `["a",1]`, "n": "0.5", "absent": ""} {
		if got := at(v, path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	refusal := func(body string) string {
		return answerError(&http.Response{StatusCode: 400, Body: io.NopCloser(strings.NewReader(body))}).Error()
	}
	got := refusal(`{"type":"/problems/x","title":"No","detail":"status is none of a, b","errors":[{"field":"status","message":"is none of a, b"},{"field":"other","message":"is missing"}]}`)
	if want := "400 No: status is none of a, b\n  other: is missing"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := refusal(`{"type":"/problems/tenant-required","title":"Which tenant?","detail":"give tenant_id"}`); !strings.Contains(got, "--tenant") {
		t.Errorf("%q does not say which flag", got)
	}
	if got := refusal(`{"type":"/problems/tenant-not-allowed","title":"The credential has one tenant","detail":"leave tenant_id out"}`); !strings.Contains(got, "leave --tenant out") {
		t.Errorf("%q does not say which flag", got)
	}
}

// burst is a quiet week of three people and then a brute force on one.
func burst() string {
	var b strings.Builder
	for d := 2; d < 9; d++ {
		for h := 8; h < 17; h++ {
			for _, who := range []string{"alice", "bob", "carol"} {
				fmt.Fprintf(&b, `{"time":"2026-03-%02dT%02d:%02d:00Z","actor":"%s","action":"login","outcome":"success","src_ip":"192.0.2.7","country":"DE","id":"%s-%d-%d"}`+"\n", d, h, len(who)*7, who, who, d, h)
			}
		}
	}
	for i := range 200 {
		fmt.Fprintf(&b, `{"time":"2026-03-09T03:%02d:%02dZ","actor":"alice","action":"login","outcome":"failure","src_ip":"198.51.100.9","country":"RU","id":"bf-%d"}`+"\n", i/30, i%30*2, i)
	}
	return b.String()
}

func TestScoreEventsByTheContract(t *testing.T) {
	path := write(t, "log.ndjson", burst())
	out, stderr, code := command(t, "", "score", "events", path, "--tenant", "Any String!")
	if code != 0 || out == "" {
		t.Fatalf("exit %d, %q\n%s", code, out, stderr)
	}
	var keys []string
	for n, l := range strings.Split(strings.TrimSpace(out), "\n") {
		var a struct {
			ID       string
			TenantID string `json:"tenant_id"`
			Entity   struct{ Type, ID string }
			Raised   string `json:"raised_at_event_time"`
			Score    float64
			Seq      int
			State    string
			Detector []struct {
				Contribution int64
			} `json:"detectors"`
			EventIDs []string `json:"event_ids"`
		}
		if err := json.Unmarshal([]byte(l), &a); err != nil {
			t.Fatal(err)
		}
		var sum int64
		for _, d := range a.Detector {
			sum += d.Contribution
		}
		if a.TenantID != "Any String!" || a.Seq != n+1 || float64(sum)/1000 != a.Score || len(a.EventIDs) == 0 || len(a.EventIDs) > 100 || a.State == "retracted" {
			t.Errorf("line %d breaks the contract: %s", n+1, l)
		}
		keys = append(keys, a.Raised+a.ID)
	}
	if !sort.StringsAreSorted(keys) {
		t.Error("the alerts are not ordered by raised_at_event_time, then id")
	}
	if !strings.Contains(out, "198.51.100.9") {
		t.Errorf("nobody names the attacker:\n%s", out)
	}
	again, _, _ := command(t, burst(), "score", "events", "-", "--tenant", "Any String!")
	if again != out {
		t.Error("standard input gives other alerts than the file")
	}
	twice, _, _ := command(t, "", "score", "events", path, path, "--tenant", "Any String!")
	if twice != out {
		t.Error("the same file twice gives other alerts than once: an id was scored twice")
	}
}

func TestScoreEventsReadsTheTenantOfTheLine(t *testing.T) {
	lines := strings.ReplaceAll(burst(), `{"time"`, `{"tenant":"globex","time"`)
	out, _, code := command(t, lines, "score", "events", "-")
	if code != 0 || !strings.Contains(out, `"tenant_id":"globex"`) || strings.Contains(out, `"tenant_id":"default"`) {
		t.Fatalf("exit %d\n%s", code, out)
	}
}

func TestBadLinesAreSaidAndCounted(t *testing.T) {
	in := "{\"time\":\"2026-03-09T03:00:00Z\",\"actor\":\"a\",\"action\":\"login\"}\n{broken\n"
	_, stderr, code := command(t, in, "score", "events", "-")
	if code != 0 || !strings.Contains(stderr, "1 lines not readable") || !strings.Contains(stderr, "-:2") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if _, _, code = command(t, in, "score", "events", "-", "--strict"); code != exitPartial {
		t.Fatalf("--strict exits %d", code)
	}
}

func TestScoreSeries(t *testing.T) {
	var b strings.Builder
	b.WriteString("timestamp,value\n")
	for i := range 500 {
		v := 10 + float64(i%7)/10
		if i == 400 {
			v = 900
		}
		fmt.Fprintf(&b, "2026-03-01 %02d:%02d:00,%g\n", i/60, i%60, v)
	}
	out, stderr, code := command(t, b.String(), "score", "series", "-")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 501 || lines[0] != "timestamp,value,score" {
		t.Fatalf("exit %d, %d lines, first %q: %s", code, len(lines), lines[0], stderr)
	}
	var spike, usual float64
	fmt.Sscanf(lines[401][strings.LastIndex(lines[401], ",")+1:], "%g", &spike)
	fmt.Sscanf(lines[390][strings.LastIndex(lines[390], ",")+1:], "%g", &usual)
	if spike <= usual || spike > 1 || usual < 0 || !strings.HasPrefix(lines[401], "2026-03-01 06:40:00,900,") {
		t.Fatalf("spike %v against %v in %q", spike, usual, lines[401])
	}
	if _, stderr, code := command(t, "timestamp,value\n2026,1\nno comma\n", "score", "series", "-"); code == 0 || !strings.Contains(stderr, "line 3") {
		t.Fatalf("a bad row: exit %d, %s", code, stderr)
	}
}

func TestParseStopsAtItsLimit(t *testing.T) {
	line := `{"time":"2026-03-09T03:00:0%d.000Z","actor":"a","action":"login"}` + "\n"
	one := write(t, "one", fmt.Sprintf(line, 1)+fmt.Sprintf(line, 2)+fmt.Sprintf(line, 3))
	other := write(t, "other", fmt.Sprintf(line, 4))
	out, stderr, code := command(t, "", "parse", "--limit", "2", one, other)
	if code != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(stderr, ": 2 events") || strings.Contains(stderr, other) {
		t.Errorf("exit %d\n%s%s", code, out, stderr)
	}
	if out, _, _ = command(t, "", "parse", one, other); strings.Count(out, "\n") != 4 {
		t.Errorf("without a limit:\n%s", out)
	}
}

func TestConfigPrintsInEveryFormAndNoSecret(t *testing.T) {
	t.Setenv("TENANTWATCH_KAFKA_PASSWORD", "hunter2hunter2")
	for _, form := range []string{"table", "json", "ndjson", "csv"} {
		out, stderr, code := command(t, "", "config", "print", "-o", form)
		if code != exitOK || !strings.Contains(out, "kafka.password") || !strings.Contains(out, "[redacted]") || strings.Contains(out+stderr, "hunter2") {
			t.Errorf("-o %s: exit %d, %s", form, code, stderr)
		}
		if form == "json" {
			var rows []struct{ Setting, Value, From string }
			if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) < 20 {
				t.Errorf("%d rows: %v", len(rows), err)
			}
		}
	}
}

func TestSimulateIsReadableByScore(t *testing.T) {
	truth := filepath.Join(t.TempDir(), "truth.ndjson")
	out, _, code := command(t, "", "simulate", "--seed", "3", "--tenants", "1", "--users", "8", "--days", "3", "--attacks-per-week", "30", "--truth", truth)
	if code != 0 || out == "" {
		t.Fatalf("exit %d", code)
	}
	_, stderr, code := command(t, out, "score", "events", "-")
	if code != 0 || !strings.Contains(stderr, ", 0 repeated ids left out, 0 lines not readable") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if b, err := os.ReadFile(truth); err != nil || len(b) == 0 {
		t.Fatalf("no truth: %v", err)
	}
}

func TestTerminalIsNotSteered(t *testing.T) {
	if got := clean("a\x1b[31mb\u202ec\n"); strings.ContainsAny(got, "\x1b\n\u202e") {
		t.Fatalf("%q", got)
	}
}
