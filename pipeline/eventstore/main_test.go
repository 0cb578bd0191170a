package eventstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	engine "github.com/tenantwatch/tenantwatch/embedded/clickhouse"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"go.uber.org/goleak"
)

// The test binary is also the engine's process.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engine-child" {
		if err := engine.RunChildArgs(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if shared.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if err := shared.engine.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		cancel()
		os.RemoveAll(shared.dir) //nolint:errcheck // temporary
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// One engine serves all tests of the package, each in a database of its own.
var shared struct {
	mu     sync.Mutex
	names  map[testing.TB]string
	once   sync.Once
	engine *engine.Engine
	dir    string
	err    error
}

func startEngine(t testing.TB) *engine.Engine {
	t.Helper()
	lib := os.Getenv("TENANTWATCH_ENGINE_LIB")
	if lib == "" {
		lib = filepath.Join("..", "..", "build", "engine", "libchdb.so")
	}
	if abs, err := filepath.Abs(lib); err == nil {
		lib = abs
	}
	if _, err := os.Stat(lib); err != nil {
		msg := fmt.Sprintf("the ClickHouse engine library is missing (%v): fetch it with `make engine`, or set TENANTWATCH_ENGINE_LIB", err)
		if os.Getenv("CI") == "true" {
			t.Fatal(msg)
		}
		t.Skip(msg)
	}
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "eventstore"); shared.err != nil {
			return
		}
		exe, err := os.Executable()
		if err != nil {
			shared.err = err
			return
		}
		shared.engine, shared.err = engine.Start(context.Background(), engine.Options{Command: []string{exe, "engine-child"}, DataDir: filepath.Join(shared.dir, "ch"), LibPath: lib})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.engine
}

func config(t testing.TB) eventstore.Config {
	t.Helper()
	e := startEngine(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	name := shared.names[t]
	if name == "" { // one database a test, also with -count
		if shared.names == nil {
			shared.names = map[testing.TB]string{}
		}
		name = fmt.Sprintf("t_%s_%d", strings.NewReplacer("/", "_", "-", "_", "#", "_").Replace(t.Name()), len(shared.names))
		shared.names[t] = name
	}
	return eventstore.Config{Addr: []string{e.Addr()}, Database: name, Username: e.User(), Password: e.Password(), Dial: e.Dial}
}

// open makes a store with a fresh schema.
func open(t testing.TB) *eventstore.Store {
	t.Helper()
	s, err := eventstore.Open(t.Context(), config(t))
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	must(t, s.Migrate(t.Context()))
	return s
}

// raw is a connection of the test's own, to look behind the store.
func raw(t testing.TB) driver.Conn {
	t.Helper()
	c := config(t)
	conn, err := clickhouse.Open(&clickhouse.Options{Addr: c.Addr, Protocol: clickhouse.HTTP, DialContext: c.Dial,
		Auth: clickhouse.Auth{Database: c.Database, Username: c.Username, Password: c.Password}})
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close()) })
	return conn
}

func count(t testing.TB, sql string) (n uint64) {
	t.Helper()
	must(t, raw(t).QueryRow(context.Background(), sql).Scan(&n))
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
