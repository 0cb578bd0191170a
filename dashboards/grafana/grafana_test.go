package grafana

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

var update = flag.Bool("update", false, "write the files instead of comparing them")

func TestFiles(t *testing.T) {
	want, err := files()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		if *update {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil { //nolint:gosec // a document
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != text {
			t.Errorf("%s is not what the tables make (%v): run `go test ./dashboards/grafana -update` and commit it", name, err)
		}
	}
	for _, pattern := range []string{"*.json", "*.yaml"} {
		have, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range have {
			if _, made := want[name]; !made {
				t.Errorf("%s is made by no table", name)
			}
		}
	}
}

// Every query is read by Prometheus' own parser; the control shows that it can refuse.
func TestQueriesParse(t *testing.T) {
	all := Queries()
	if len(all) < 30 {
		t.Fatalf("only %d queries", len(all))
	}
	for _, q := range all {
		if _, err := parser.ParseExpr(q); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
	if _, err := parser.ParseExpr("sum by (rate(x[5m])"); err == nil {
		t.Error("the parser takes anything")
	}
}

// Ids and names are the handles that links and silences hold on to.
func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range boards {
		if seen[b.uid] {
			t.Errorf("dashboard %s is there twice", b.uid)
		}
		seen[b.uid] = true
	}
	for _, r := range rules {
		if seen[r.name] || r.summary == "" || r.todo == "" {
			t.Errorf("rule %s is there twice, or does not say what to do", r.name)
		}
		seen[r.name] = true
	}
}
