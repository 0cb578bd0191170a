package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/config"
	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/collector/sources"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

var updateDocs = flag.Bool("update", false, "write the generated parts of docs/ instead of comparing them")

const (
	generatedBegin = "<!-- generated: go test ./cmd/tenantwatch/cli -run TestReferenceDocs -update -->\n"
	generatedEnd   = "<!-- end of generated -->\n"
)

// TestReferenceDocs holds the tables of docs/ to the code they describe.
func TestReferenceDocs(t *testing.T) {
	for name, want := range map[string]string{
		"configuration.md":  settingsTable(),
		"roles.md":          rolesTable(),
		"query-language.md": fieldsTable(),
		"formats.md":        formatsTables(),
		"sources.md":        sourcesTables(),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("..", "..", "..", "docs", name)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			head, rest, ok := strings.Cut(string(b), generatedBegin)
			got, tail, ok2 := strings.Cut(rest, generatedEnd)
			if !ok || !ok2 {
				t.Fatalf("%s lacks the markers around its generated part:\n%s%s", path, generatedBegin, generatedEnd)
			}
			if got == want {
				return
			}
			if !*updateDocs {
				t.Fatalf("%s does not say what the code does: run `go test ./cmd/tenantwatch/cli -run TestReferenceDocs -update` and commit it", path)
			}
			if err := os.WriteFile(path, []byte(head+generatedBegin+want+generatedEnd+tail), 0o644); err != nil { //nolint:gosec // a document
				t.Fatal(err)
			}
		})
	}
}

// sourcesTables describes the kinds of sources that can be configured.
func sourcesTables() string {
	var rows [][]string
	var b strings.Builder
	for _, k := range sources.Kinds() {
		rows = append(rows, []string{code(k.Type), k.Title, string(k.Promise)})
		fmt.Fprintf(&b, "\n## `%s`: %s\n\n```yaml\nsources:\n  - name: example\n    type: %s\n    tenant: acme\n    options:\n", k.Type, k.Title, k.Type)
		for _, l := range strings.Split(strings.TrimSpace(k.Example), "\n") {
			b.WriteString("      " + l + "\n")
		}
		b.WriteString("```\n\n")
		var options [][]string
		for _, o := range k.Options {
			options = append(options, []string{code(o.Name), o.Doc})
		}
		b.WriteString(table([]string{"Option", "Meaning"}, options))
	}
	return table([]string{"Type", "Takes in", "Promise"}, rows) + b.String()
}

// table writes a Markdown table.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---"
	}
	line(head)
	line(rule)
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func codes(ss []string) string {
	out := make([]string, len(ss))
	for i, s := range ss {
		out[i] = code(s)
	}
	return strings.Join(out, ", ")
}

func settingsTable() string {
	var rows [][]string
	for _, k := range config.Keys() {
		flag, def := "`--"+k.Flag+"`", code(fmt.Sprint(k.Default))
		env := code(k.Env)
		if k.Secret {
			flag, env = "none: a secret", env+" or "+code(k.Env+"_FILE")
		}
		if k.Name == "data_dir" { // depends on who runs it
			def = "`/var/lib/tenantwatch` for root, else `$XDG_DATA_HOME/tenantwatch`, else `~/.local/share/tenantwatch`"
		}
		rows = append(rows, []string{code(k.Name), flag, env, def, k.Doc})
	}
	return table([]string{"YAML key", "Flag", "Environment", "Default", "Meaning"}, rows)
}

func rolesTable() string {
	roles := access.Table()
	head := []string{"Permission"}
	scope := []string{"*holds for*"}
	var order []access.Permission
	seen := map[access.Permission]bool{}
	for _, r := range roles {
		head = append(head, code(string(r.Role)))
		scope = append(scope, "*"+string(r.Scope)+"*")
		for _, p := range r.Permissions {
			if !seen[p] {
				seen[p] = true
				order = append(order, p)
			}
		}
	}
	rows := [][]string{scope}
	for _, p := range order {
		row := []string{code(string(p))}
		for _, r := range roles {
			mark := ""
			if r.Role.Can(p) {
				mark = "yes"
			}
			row = append(row, mark)
		}
		rows = append(rows, row)
	}
	return table(head, rows)
}

func fieldsTable() string {
	var rows [][]string
	for _, f := range query.Fields() {
		doc := f.Doc
		if len(f.Values) > 0 {
			doc += ": " + codes(f.Values)
		}
		rows = append(rows, []string{code(f.Name), codes(f.Aliases), string(f.Type), doc, code(f.Example)})
	}
	return table([]string{"Field", "Also", "Type", "Meaning", "Example"}, rows)
}

func formatsTables() string {
	var b strings.Builder
	var rows [][]string
	for _, f := range parse.Formats() {
		rows = append(rows, []string{code(f.Name), f.Title, code(f.Example)})
	}
	b.WriteString("## Formats\n\n" + table([]string{"`--format`", "What it is", "One record"}, rows))

	classes := map[event.Class]string{
		event.ClassAccountChange: "Account Change 3001", event.ClassAuthentication: "Authentication 3002",
		event.ClassHTTPActivity: "HTTP Activity 4002", event.ClassAPIActivity: "API Activity 6003",
	}
	type group struct {
		class    event.Class
		activity uint8
	}
	rows = nil
	var last group
	for _, w := range record.ActionWords() {
		g, words := group{w.Class, w.Activity}, code(strings.Join(w.Words, " "))
		if len(rows) > 0 && g == last { // neighbours of one meaning share a row; the order is kept
			rows[len(rows)-1][0] += ", " + words
			continue
		}
		rows, last = append(rows, []string{words, classes[w.Class], fmt.Sprint(w.Activity)}), g
	}
	b.WriteString("\n## Action words\n\n" + table([]string{"Words", "Class", "OCSF activity"}, rows))
	return b.String()
}
