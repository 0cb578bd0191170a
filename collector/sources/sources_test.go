package sources

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Every kind's example is a valid entry, and a misspelt option is not.
func TestExamplesAreValid(t *testing.T) {
	for _, k := range Kinds() {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(k.Example), &o); err != nil {
			t.Fatal(err)
		}
		c := source.Config{Name: "x", Type: k.Type, Tenant: "acme", Options: o}
		if err := Check([]source.Config{c}); err != nil {
			t.Errorf("%s: %v", k.Type, err)
		}
		if k.Promise == "" || k.Title == "" || len(k.Options) == 0 {
			t.Errorf("%s says too little", k.Type)
		}
		for _, op := range k.Options {
			if op.Name == "" || op.Doc == "" {
				t.Errorf("%s: option %+v", k.Type, op)
			}
		}
		o["misspelt"] = 1
		if err := Check([]source.Config{c}); err == nil || !strings.Contains(err.Error(), "misspelt") {
			t.Errorf("%s: a misspelt option gave %v", k.Type, err)
		}
	}
}

func TestCheckReportsAll(t *testing.T) {
	err := Check([]source.Config{{Type: "smoke"}, {Name: "a", Type: "file", Tenant: "No", Format: "xml", Zone: "Mars"}, {Name: "a", Type: "syslog", Options: map[string]any{"listen": "udp://:1"}}})
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"sources[0]: name", "want one of syslog, file", "source a: tenant", "xml", "Mars", "paths is missing", "another source has this name"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	// Only a certificate can name the tenant instead.
	if _, err := New(source.Config{Name: "a", Type: "syslog", Options: map[string]any{"listen": "tcp://127.0.0.1:0"}}, source.Env{}, metrics(t)); err == nil || !strings.Contains(err.Error(), "tenant") {
		t.Error(err)
	}
}

func metrics(t *testing.T) *source.Metrics {
	m, err := source.NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
