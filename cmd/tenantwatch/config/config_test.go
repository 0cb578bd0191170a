package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPrecedence(t *testing.T) {
	path := write(t, "c.yaml", "listen:\n  api: 127.0.0.1:1\n  collector: 127.0.0.1:1\n  ops: 127.0.0.1:1\npipeline:\n  flush_every: 2s\n")
	fs := pflag.NewFlagSet("t", pflag.ContinueOnError)
	Flags(fs)
	if err := fs.Parse([]string{"--listen-api", "127.0.0.1:3"}); err != nil {
		t.Fatal(err)
	}
	c, from, err := Load(path, []string{"TENANTWATCH_LISTEN_API=127.0.0.1:2", "TENANTWATCH_LISTEN_COLLECTOR=127.0.0.1:2", "HOME=/x"}, fs)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != (Listen{API: "127.0.0.1:3", Collector: "127.0.0.1:2", Ops: "127.0.0.1:1"}) {
		t.Fatalf("flag > environment > file is broken: %+v", c.Listen)
	}
	if c.Pipeline.FlushEvery != 2*time.Second || c.Detectors.Budget != 5 {
		t.Fatalf("file or default lost: %+v %+v", c.Pipeline, c.Detectors)
	}
	if from["listen.api"] != FromFlag || from["listen.collector"] != FromEnv || from["listen.ops"] != FromFile || from["detectors.budget"] != FromDefault {
		t.Fatalf("origins: %v", from)
	}
}

func TestUnknownKeysAndAllProblemsAtOnce(t *testing.T) {
	path := write(t, "c.yaml", "listen:\n  apii: x\nlog:\n  level: loud\n")
	_, _, err := Load(path, []string{"TENANTWATCH_NONSENSE=1", "TENANTWATCH_DETECTORS_BUDGET=-1"}, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"listen.apii: unknown key", "did you mean listen.api", "TENANTWATCH_NONSENSE", "log.level", "detectors.budget"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %q:\n%v", want, err)
		}
	}
}

func TestSecrets(t *testing.T) {
	p := write(t, "pw", "hunter2\n")
	c, _, err := Load("", []string{"TENANTWATCH_CLICKHOUSE_PASSWORD_FILE=" + p}, nil)
	if err != nil || c.ClickHouse.Password != "hunter2" {
		t.Fatalf("%q, %v", string(c.ClickHouse.Password), err)
	}
	if s := fmt.Sprintf("%v %s %+v", c.ClickHouse.Password, c.ClickHouse.Password, c); strings.Contains(s, "hunter2") {
		t.Fatalf("the secret prints itself: %s", s)
	}
	fs := pflag.NewFlagSet("t", pflag.ContinueOnError)
	Flags(fs)
	if fs.Lookup("clickhouse-password") != nil {
		t.Fatal("a secret has a flag: every user of the machine could read it")
	}
}

func TestDefaultIsValid(t *testing.T) {
	d := Default()
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, k := range Keys() {
		if k.Doc == "" {
			t.Errorf("%s has no doc", k.Name)
		}
	}
}

// Sources stand in the file, are read strictly, and all problems are said.
func TestSources(t *testing.T) {
	load := func(text string) (Config, error) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := Load(path, nil, nil)
		return c, err
	}
	c, err := load("sources:\n  - name: logs\n    type: file\n    tenant: acme\n    options:\n      paths: [/var/log/*.log]\n      poll: 2s\n")
	if err != nil || len(c.Sources) != 1 || c.Sources[0].Name != "logs" {
		t.Fatal(c.Sources, err)
	}
	_, err = load("sources:\n  - name: logs\n    type: file\n    options:\n      path: /x\n")
	if err == nil || !strings.Contains(err.Error(), "tenant") || !strings.Contains(err.Error(), "path") {
		t.Fatal(err)
	}
	if _, err = load("sources:\n  - name: logs\n    kind: file\n"); err == nil || !strings.Contains(err.Error(), "kind") {
		t.Fatal(err)
	}
}
