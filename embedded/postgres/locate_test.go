package postgres

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for out, want := range map[string]Version{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": {15, 18},
		"postgres (PostgreSQL) 18.4\n":                           {18, 4},
		"postgres (PostgreSQL) 19beta2\n":                        {19, 0},
	} {
		got, err := parseVersion(out)
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v", out, got, err)
		}
	}
	for _, out := range []string{"", "psql 15", "postgres (EnterpriseDB) 15.1"} {
		if v, err := parseVersion(out); err == nil {
			t.Errorf("%q was read as %v", out, v)
		}
	}
}

func TestSecurityWarning(t *testing.T) {
	for v, warn := range map[Version]bool{
		{14, 23}: true, {15, 18}: true, {15, 19}: true, {15, 20}: false, {15, 21}: false,
		{16, 15}: true, {16, 16}: false, {17, 11}: true, {17, 12}: false, {18, 5}: true, {18, 6}: false, {19, 0}: false,
	} {
		if got := SecurityWarning(v); (got != "") != warn {
			t.Errorf("%s: %q, want a warning: %v", v, got, warn)
		}
	}
	if w := SecurityWarning(Version{15, 18}); !strings.Contains(w, "15.20") || !strings.Contains(w, "postgresql-15") {
		t.Errorf("the warning does not say what to install: %s", w)
	}
}

// fake makes a directory with a postgres that reports a version.
func fake(t *testing.T, dir, version string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho 'postgres (PostgreSQL) "+version+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLocatePrefersTheNewest(t *testing.T) {
	t.Setenv("PATH", fake(t, t.TempDir(), "99.1")+":/usr/bin:/bin")
	in, err := Locate(t.Context(), Search{})
	if err != nil || in.Version != (Version{99, 1}) || in.Source != "path" {
		t.Fatalf("got %+v, %v", in, err)
	}
	// The configured directory is used whatever else is there.
	conf := fake(t, t.TempDir(), "16.3")
	in, err = Locate(t.Context(), Search{BinDir: conf})
	if err != nil || in.BinDir != conf || in.Version != (Version{16, 3}) {
		t.Fatalf("got %+v, %v", in, err)
	}
}

func TestLocateBundle(t *testing.T) {
	none := []string{} // as on a machine without any
	t.Setenv("PATH", "/nonexistent")
	_, err := Locate(t.Context(), Search{BundleDir: t.TempDir(), globs: none})
	if !errors.Is(err, ErrNotInstalled) {
		t.Fatalf("want ErrNotInstalled, got %v", err)
	}
	for _, want := range []string{"--postgres-bin-dir", "make postgres"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if !strings.Contains(advice(0), "apt-get install") || !strings.Contains(advice(1000), "without root") {
		t.Error("the advice does not tell root from an ordinary user")
	}
	bundle := t.TempDir()
	t.Setenv("PATH", "/usr/bin:/bin")
	bin := fake(t, filepath.Join(bundle, "native", "bin"), "17.12")
	in, err := Locate(t.Context(), Search{BundleDir: bundle, globs: none})
	if err != nil || in.BinDir != bin || in.Source != "bundle" || in.LibDir != filepath.Join(bundle, "native", "lib") {
		t.Fatalf("got %+v, %v", in, err)
	}
	old := fake(t, t.TempDir(), "14.9")
	if _, err := Locate(t.Context(), Search{BinDir: old}); !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), "14.9") {
		t.Fatalf("an old version: %v", err)
	}
}
