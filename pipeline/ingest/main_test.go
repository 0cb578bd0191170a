package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	engine "github.com/tenantwatch/tenantwatch/embedded/clickhouse"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/ingest"
	"github.com/twmb/franz-go/pkg/kfake"
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

var shared struct {
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
		if shared.dir, shared.err = os.MkdirTemp("", "ingest"); shared.err != nil {
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

var databases atomic.Int64 // so that -count works

// rig is a broker, a store with a database of its own, and a producer.
type rig struct {
	t        testing.TB
	broker   *kfake.Cluster
	log      eventlog.Config
	store    *eventstore.Store
	producer *eventlog.Producer
	raw      driver.Conn
	sent     map[string]bool // ids acknowledged by the log
	mu       sync.Mutex
	sentinel int
}

func newRig(t testing.TB, partitions int) *rig {
	t.Helper()
	e := startEngine(t)
	database := "t_" + strings.NewReplacer("/", "_", "-", "_", "#", "_", "=", "_").Replace(t.Name()) + fmt.Sprintf("_%d", databases.Add(1))
	r := &rig{t: t, sent: map[string]bool{}}
	var err error
	r.broker, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second))
	must(t, err)
	t.Cleanup(r.broker.Close)
	r.log = eventlog.Config{Brokers: r.broker.ListenAddrs(), Partitions: partitions}
	if os.Getenv("TENANTWATCH_TEST_LOG") != "" {
		r.log.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	must(t, eventlog.EnsureTopics(t.Context(), r.log))
	r.store, err = eventstore.Open(t.Context(), eventstore.Config{Addr: []string{e.Addr()}, Database: database, Username: e.User(), Password: e.Password(), Dial: e.Dial})
	must(t, err)
	t.Cleanup(func() { must(t, r.store.Close()) })
	must(t, r.store.Migrate(t.Context()))
	r.producer, err = eventlog.NewProducer(r.log, eventlog.ProducerOptions{RecordBytes: 8 << 10})
	must(t, err)
	t.Cleanup(func() { must(t, r.producer.Close()) })
	r.raw, err = clickhouse.Open(&clickhouse.Options{Addr: []string{e.Addr()}, Protocol: clickhouse.HTTP, DialContext: e.Dial,
		Auth: clickhouse.Auth{Database: database, Username: e.User(), Password: e.Password()}})
	must(t, err)
	t.Cleanup(func() { must(t, r.raw.Close()) })
	return r
}

func (r *rig) options(s ingest.Store) ingest.Options {
	return ingest.Options{Log: r.log, Store: s, Linger: 20 * time.Millisecond, MaxRows: 500, Grace: 50 * time.Millisecond, SessionTimeout: time.Second, RebalanceTimeout: 2 * time.Second}
}

// start runs an instance until stop; when the test ends it is stopped too.
func (r *rig) start(opt ingest.Options) (stop func()) {
	r.t.Helper()
	in, err := ingest.New(opt)
	must(r.t, err)
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("ingest: %v", err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

var noon = time.Date(2026, 3, 31, 23, 59, 0, 0, time.UTC)

// batch makes n events of a tenant; every third one arrives in the next month,
// so that a range makes two blocks.
func batch(id tenant.ID, from, n int) []event.Event {
	out := make([]event.Event, n)
	for i := range out {
		k := from + i
		out[i] = event.Event{Tenant: id, ID: fmt.Sprintf("%s-%d", id, k), Time: noon.Add(time.Duration(k) * time.Second).UnixNano(), IngestedAt: noon.Add(time.Duration(k%3) * time.Minute).UnixNano(),
			Action: "login", Actor: fmt.Sprintf("user%d", k%10), Count: 1, Source: "web", Raw: strings.Repeat("x", 100)}
	}
	return out
}

func (r *rig) send(id tenant.ID, events []event.Event) {
	must(r.t, r.producer.Produce(context.Background(), id, "test", events, nil))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range events {
		r.sent[events[i].ID] = true
	}
}

// drained waits until one more event of every tenant, sent now, is stored:
// then everything sent before it has been dealt with.
func (r *rig) drained(tenants ...tenant.ID) {
	r.t.Helper()
	r.mu.Lock()
	r.sentinel++
	n := r.sentinel
	r.mu.Unlock()
	for _, id := range tenants {
		e := batch(id, 0, 1)
		e[0].ID = fmt.Sprintf("%s-sentinel-%d", id, n)
		e[0].IngestedAt = noon.AddDate(0, 2, 0).UnixNano() // the last block of its range
		r.send(id, e)
	}
	r.until(fmt.Sprintf("sentinel %d", n), func() bool {
		return r.count(fmt.Sprintf("SELECT uniqExact(id) FROM events WHERE id LIKE '%%-sentinel-%d'", n)) == uint64(len(tenants))
	})
}

func (r *rig) until(what string, cond func() bool) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("timed out waiting for %s; rows %d of %d", what, r.count("SELECT count() FROM events"), len(r.sent))
		}
	}
}

func (r *rig) count(sql string) (n uint64) {
	r.t.Helper()
	must(r.t, r.raw.QueryRow(context.Background(), sql).Scan(&n))
	return n
}

// tally is what the checker sees: rows, different ids, different places in the
// log, and acknowledged events that are missing.
type tally struct {
	rows, ids, places uint64
	missing           int
}

func (r *rig) tally() (c tally) {
	r.t.Helper()
	must(r.t, r.raw.QueryRow(context.Background(), "SELECT count(), uniqExact(tenant_id, id), uniqExact(kafka_topic_id, kafka_partition, kafka_offset, kafka_index) FROM events").Scan(&c.rows, &c.ids, &c.places))
	rows, err := r.raw.Query(context.Background(), "SELECT id FROM events")
	must(r.t, err)
	defer rows.Close() //nolint:errcheck // read only
	have := map[string]bool{}
	for rows.Next() {
		var id string
		must(r.t, rows.Scan(&id))
		have[id] = true
	}
	must(r.t, rows.Err())
	for id := range r.sent {
		if !have[id] {
			c.missing++
		}
	}
	return c
}

// exactly fails the test unless every acknowledged event is there once.
func (r *rig) exactly() {
	r.t.Helper()
	n := uint64(len(r.sent))
	if got := r.tally(); got != (tally{n, n, n, 0}) {
		r.t.Errorf("acknowledged %d events, the store holds %+v", n, got)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// crashing is the real store, reached by a process that dies at a chosen
// operation: before or after it took effect. Once dead nothing reaches the
// store, and the writer cannot get on to a commit.
type crashing struct {
	ingest.Store
	mu    sync.Mutex
	ops   int
	at    int    // die at this operation, counted from 1; 0: never
	only  string // count only this kind of operation; empty: all that write
	after bool   // the operation takes effect, its answer is lost
	dead  chan struct{}
}

var errCrash = errors.New("crashed")

func newCrashing(s ingest.Store, at int, only string, after bool) *crashing {
	return &crashing{Store: s, at: at, only: only, after: after, dead: make(chan struct{})}
}

func (c *crashing) do(ctx context.Context, kind string, fn func() error) error {
	select {
	case <-c.dead:
		<-ctx.Done()
		return errCrash
	default:
	}
	c.mu.Lock()
	dies := false
	if c.only == "" || c.only == kind {
		c.ops++
		dies = c.ops == c.at
	}
	c.mu.Unlock()
	if !dies {
		return fn()
	}
	if c.after {
		if err := fn(); err != nil {
			return err
		}
	}
	close(c.dead)
	<-ctx.Done()
	return errCrash
}

func (c *crashing) Insert(ctx context.Context, b *eventstore.Block, token string) error {
	return c.do(ctx, "insert", func() error { return c.Store.Insert(ctx, b, token) })
}

func (c *crashing) RecordDuplicates(ctx context.Context, r eventstore.Range, d []eventstore.Duplicates) error {
	return c.do(ctx, "duplicates", func() error { return c.Store.RecordDuplicates(ctx, r, d) })
}

func (c *crashing) Find(ctx context.Context, t eventstore.Table, month int, r eventstore.Range) (f eventstore.Found, err error) {
	err = c.do(ctx, "find", func() error { f, err = c.Store.Find(ctx, t, month, r); return err })
	return f, err
}

func (c *crashing) Known(ctx context.Context, table eventstore.Table, t tenant.ID, refs []eventstore.Ref, except eventstore.Range) (m map[string]struct{}, err error) {
	err = c.do(ctx, "known", func() error { m, err = c.Store.Known(ctx, table, t, refs, except); return err })
	return m, err
}
