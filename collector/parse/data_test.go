package parse

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// data is the path of a file of public data beside the project. Without it
// the test is skipped, but not in CI.
func data(t testing.TB, name string) string {
	t.Helper()
	p := filepath.Join("..", "..", "..", "shared", "data", name)
	if _, err := os.Stat(p); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the data of this test is missing: %v", err)
		}
		t.Skipf("the data of this test is missing: %v", err)
	}
	return p
}

func readFile(t *testing.T, path string, o Options) (Summary, []event.Event, []event.Quarantined) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, sum, events, bad := read(t, f, o)
	return sum, events, bad
}

// distinct checks that all ids differ and that a second reading gives the same.
func distinct(t *testing.T, path string, o Options, events []event.Event) {
	t.Helper()
	seen := make(map[string]bool, len(events))
	for i := range events {
		if seen[events[i].ID] {
			t.Fatalf("two events have the id %s: %s", events[i].ID, events[i].Raw)
		}
		seen[events[i].ID] = true
	}
	_, again, _ := readFile(t, path, o)
	for i := range events {
		if events[i].ID != again[i].ID {
			t.Fatalf("line %d has another id the second time", i)
		}
	}
}

func TestAuthLog(t *testing.T) {
	path := data(t, "web-and-ssh/auth.log")
	o := Options{Now: time.Date(2017, 6, 1, 0, 0, 0, 0, time.UTC)}
	sum, events, _ := readFile(t, path, o)
	if sum.Accepted != 7121 || sum.Quarantined != 0 || sum.Folded != 85 || sum.Format != "authlog" || sum.Confidence != 1 ||
		sum.FirstYear != 2017 || sum.LastYear != 2017 {
		t.Fatalf("%+v", sum)
	}
	distinct(t, path, o, events)
	var failed, accepted, other int
	lines := map[string]int{}
	hours, invalid := map[string]int{}, map[string]int{}
	for i := range events {
		e := &events[i]
		lines[e.Raw]++
		if e.Source != "ip-10-77-20-248" || e.Flags&event.FlagYearAssumed == 0 || e.Flags&event.FlagInvalidField != 0 {
			t.Fatalf("%s: source %q, flags %v", e.Raw, e.Source, e.Flags.Names())
		}
		if e.Action == "ssh.invalid_user" && e.SrcIP != "" {
			invalid[e.At().Format("2 Jan 15h")]++
		}
		if e.Class != event.ClassAuthentication || e.Action != "ssh.login" {
			continue
		}
		if e.SrcIP == "" || e.Actor == "" {
			t.Fatalf("a log-in without address or account: %s", e.Raw)
		}
		switch {
		case e.Outcome == event.OutcomeSuccess:
			accepted++
		case e.Label("auth_method") == "password":
			failed++
			hours[e.At().Format("2 Jan 15h")]++
		default:
			other++ // failed public keys
		}
	}
	if failed != 713 || accepted != 226 || other != 4 {
		t.Fatalf("%d failed, %d accepted, %d other log-ins", failed, accepted, other)
	}
	// The second burst is 86 lines: each attempt is one "Invalid user" and one
	// "Failed password", and only the latter is the failure.
	if hours["30 Mar 15h"] != 117 || hours["6 Apr 20h"] != 43 || invalid["6 Apr 20h"] != 43 {
		t.Fatalf("the bursts have %d and %d failures, %d of unknown names", hours["30 Mar 15h"], hours["6 Apr 20h"], invalid["6 Apr 20h"])
	}
	groups := 0
	for _, n := range lines {
		if n > 1 {
			groups++
		}
	}
	if groups != 5 {
		t.Fatalf("%d groups of identical lines, want 5", groups)
	}
}

func TestAccessLog(t *testing.T) {
	path := data(t, "web-and-ssh/apache_access.log")
	sum, events, _ := readFile(t, path, Options{})
	if sum.Accepted != 10000 || sum.Quarantined != 0 || sum.Format != "combined" || sum.Confidence != 1 {
		t.Fatalf("%+v", sum)
	}
	distinct(t, path, Options{}, events)
	clients := map[string]bool{}
	cut := 0
	for i := range events {
		clients[events[i].SrcIP] = true
		if events[i].Flags&event.FlagTruncated != 0 {
			cut++
		}
	}
	if len(clients) != 1753 || cut != 1 {
		t.Fatalf("%d clients, %d cut-off lines", len(clients), cut)
	}
}

func TestCloudTrailAttacks(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(data(t, "cloudtrail-attacks"), "*.json"))
	if err != nil || len(files) != 19 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	odd, total := 0, 0
	for _, path := range files {
		sum, events, bad := readFile(t, path, Options{})
		if len(bad) > 0 || sum.Format != "cloudtrail" || sum.Confidence != 1 {
			t.Fatalf("%s: %+v", path, sum)
		}
		total += len(events)
		invalid := false
		for i := range events {
			e := &events[i]
			if e.Flags&event.FlagGeneratedID != 0 || e.Actor == "" || e.ActorType == "" && e.Cohort == "" {
				t.Fatalf("%s: id %s, actor %q %q", path, e.ID, e.Actor, e.ActorType)
			}
			hasIP, labelled := e.SrcIP != "", e.Label("invalid.src_ip") != ""
			if hasIP == labelled || labelled != (e.Flags&event.FlagInvalidField != 0) {
				t.Fatalf("%s: address %q, label %q, flags %v", path, e.SrcIP, e.Label("invalid.src_ip"), e.Flags.Names())
			}
			invalid = invalid || labelled
		}
		if invalid {
			odd++
		}
	}
	if odd != 7 || total != 114 {
		t.Fatalf("%d files hold addresses that are none, %d events", odd, total)
	}
}

// TestAuditEventsCloudTrail reads the CloudTrail samples of the corpus: every
// one that has the members a record always has must become an event.
func TestAuditEventsCloudTrail(t *testing.T) {
	f, err := os.Open(data(t, "audit-events/events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	whole, other := 0, 0
	for in.Scan() {
		var row struct {
			Types []string        `json:"log_types"`
			Log   json.RawMessage `json:"log"`
		}
		if err := json.Unmarshal(in.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		if len(row.Types) == 0 || row.Types[0] != "AWS.CloudTrail" {
			continue
		}
		var must map[string]any // a struct would take "eventtime" for "eventTime"
		if err := json.Unmarshal(row.Log, &must); err != nil {
			t.Fatal(err)
		}
		_, sum, events, _ := read(t, bytes.NewReader(row.Log), Options{})
		if must["eventTime"] == nil || must["eventName"] == nil || must["eventSource"] == nil {
			other++ // another product's record, or one stripped by hand
			continue
		}
		whole++
		if sum.Accepted != 1 || sum.Format != "cloudtrail" || events[0].Actor == "" {
			t.Fatalf("%s\n%+v", row.Log, sum)
		}
	}
	if whole == 0 {
		t.Fatal("no CloudTrail record was found")
	}
	t.Logf("%d CloudTrail records read, %d of other shapes", whole, other)
}
