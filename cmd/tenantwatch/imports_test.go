package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/tenantwatch/tenantwatch/"

// leaves may be imported by everybody and import only each other.
var leaves = map[string][]string{
	"core/tenant":      nil,
	"core/access":      {"core/tenant"},
	"pipeline/event":   {"core/tenant"},
	"pipeline/query":   {"core/tenant", "pipeline/event"},
	"detectors/alert":  {"core/tenant"},
	"detectors/policy": nil,
	"core/egress":      nil,
}

// onlyHere names the one package (or tree) that may import a dependency.
var onlyHere = map[string][]string{
	"github.com/segmentio/kafka-go":          {"pipeline/eventlog"},
	"github.com/ClickHouse/clickhouse-go/v2": {"pipeline/eventstore", "embedded/clickhouse"},
	"github.com/gin-gonic/gin":               {"api"},
	"github.com/twmb/franz-go":               {"embedded/broker"},
	"github.com/jackc/pgx":                   {"core", "embedded/postgres"}, // the latter asks whether it is ready
	"github.com/ebitengine/purego":           {"embedded/clickhouse"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

// violations lists every import that runs against the direction of the data.
func violations(pkgs []pkg) (out []string) {
	within := func(p, tree string) bool { return p == tree || strings.HasPrefix(p, tree+"/") }
	for _, p := range pkgs {
		from, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		room, _, _ := strings.Cut(from, "/")
		for _, imp := range p.Imports {
			for dep, allowed := range onlyHere {
				if !within(imp, dep) {
					continue
				}
				ok := false
				for _, a := range allowed {
					ok = ok || within(from, a)
				}
				if !ok {
					out = append(out, from+" imports "+imp)
				}
			}
			to, ours := strings.CutPrefix(imp, module)
			if !ours {
				continue
			}
			if allowed, isLeaf := leaves[from]; isLeaf {
				ok := false
				for _, a := range allowed {
					ok = ok || a == to
				}
				if !ok {
					out = append(out, from+" is a leaf but imports "+to)
				}
				continue
			}
			if _, isLeaf := leaves[to]; isLeaf || room == "cmd" {
				continue
			}
			if toRoom, _, _ := strings.Cut(to, "/"); toRoom != room {
				out = append(out, from+" imports "+to)
			}
		}
	}
	return out
}

func TestImportsRunOneWay(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(b))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 10 {
		t.Fatalf("go list found %d packages only", len(pkgs))
	}
	for _, v := range violations(pkgs) {
		t.Error(v)
	}
}

// The control: each kind of wrong import is seen.
func TestImportViolationsAreSeen(t *testing.T) {
	for _, p := range []pkg{
		{module + "collector", []string{module + "pipeline/eventlog"}},
		{module + "detectors/rate", []string{module + "api"}},
		{module + "pipeline/event", []string{module + "detectors/alert"}},
		{module + "core", []string{"github.com/gin-gonic/gin"}},
		{module + "cmd/tenantwatch/cli", []string{"github.com/segmentio/kafka-go/sasl"}},
		{module + "api", []string{module + "cmd/tenantwatch/config"}},
	} {
		if len(violations([]pkg{p})) != 1 {
			t.Errorf("%s importing %v is not seen", p.ImportPath, p.Imports)
		}
	}
	if v := violations([]pkg{{module + "cmd/tenantwatch/cli", []string{module + "core", module + "embedded/broker"}}}); len(v) != 0 {
		t.Errorf("cmd may wire, but: %v", v)
	}
}
