package clickhouse

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"go.uber.org/goleak"
)

// The test binary is also the child, and the parent of a child that is to die
// with it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "engine-child":
			if err := RunChildArgs(context.Background(), os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case "engine-parent":
			os.Exit(actAsParent(os.Args[2], os.Args[3]))
		}
	}
	goleak.VerifyTestMain(m)
}

// actAsParent starts an engine, prints its pid and address, and waits to be killed.
func actAsParent(lib, dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	e, err := Start(ctx, Options{Command: childCommand(), DataDir: dir, LibPath: lib})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(e.PID(), e.Addr())
	<-ctx.Done()
	return 0
}

func childCommand() []string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return []string{exe, "engine-child"}
}

// libPath finds the engine library or skips the test; on CI it must be there.
func libPath(t testing.TB) string {
	t.Helper()
	path := os.Getenv("TENANTWATCH_ENGINE_LIB")
	if path == "" {
		_, file, _, _ := runtime.Caller(0)
		path = filepath.Join(filepath.Dir(file), "..", "..", "build", "engine", "libchdb.so")
	}
	if _, err := os.Stat(path); err != nil {
		msg := fmt.Sprintf("the ClickHouse engine library is missing (%v): fetch it with `make engine`, or set TENANTWATCH_ENGINE_LIB", err)
		if os.Getenv("CI") == "true" {
			t.Fatal(msg)
		}
		t.Skip(msg)
	}
	return path
}

func startEngine(t testing.TB, change func(*Options)) *Engine {
	t.Helper()
	o := Options{Command: childCommand(), DataDir: filepath.Join(t.TempDir(), "ch"), LibPath: libPath(t)}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	e, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		select {
		case <-e.Done(): // the test ended it
		default:
			if err := e.Stop(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	return e
}

func connect(t testing.TB, e *Engine, change func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	o := &clickhouse.Options{
		Protocol:     clickhouse.HTTP,
		Addr:         []string{"clickhouse"},
		Auth:         clickhouse.Auth{Username: e.User(), Password: e.Password()},
		DialContext:  e.Dial,
		MaxOpenConns: 32,
		Compression:  &clickhouse.Compression{Method: clickhouse.CompressionLZ4},
	}
	if change != nil {
		change(o)
	}
	c, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func mustExec(t testing.TB, c driver.Conn, sql string, args ...any) {
	t.Helper()
	if err := c.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func one[T any](t testing.TB, c driver.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := c.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}
