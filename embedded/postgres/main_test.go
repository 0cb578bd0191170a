package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

const parentEnv = "POSTGRES_TEST_PARENT_DIR"

// TestMain lets the test binary play a parent that is then killed.
func TestMain(m *testing.M) {
	dir := os.Getenv(parentEnv)
	if dir == "" {
		goleak.VerifyTestMain(m)
		return
	}
	s, err := Start(context.Background(), Options{DataDir: dir, Logger: quiet()})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(5)
	}
	fmt.Printf("%d %s\n", s.Status().PID, s.DSN("", "postgres"))
	select {}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// dataDir is a place that the unprivileged user can reach, which t.TempDir is
// not when the tests run as root.
func dataDir(t *testing.T) string {
	t.Helper()
	base, err := os.MkdirTemp("", "twpg")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	return filepath.Join(base, "postgres")
}

// needPostgres skips where there is none to test with; CI must have one.
func needPostgres(t *testing.T) Install {
	t.Helper()
	in, err := Locate(t.Context(), Search{})
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return in
}

func start(t *testing.T, opt Options) *Server {
	t.Helper()
	if opt.Logger == nil {
		opt.Logger = quiet()
	}
	s, err := Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

// query runs statements on a connection of its own and returns the last value.
func query(t *testing.T, dsn string, sqls ...string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var out string
	for i, sql := range sqls {
		if i < len(sqls)-1 {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			continue
		}
		if err := conn.QueryRow(t.Context(), sql).Scan(&out); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return out
}
