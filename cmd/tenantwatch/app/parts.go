package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/config"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/embedded/broker"
	"github.com/tenantwatch/tenantwatch/embedded/clickhouse"
	"github.com/tenantwatch/tenantwatch/embedded/postgres"
	"github.com/tenantwatch/tenantwatch/embedded/process"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// backends say how to reach the three services, wherever they run.
type backends struct {
	log      eventlog.Config
	store    eventstore.Config
	core     core.Config
	ownerDSN string
	password core.Secret // of the service role, when we may set it
	warning  string      // for the operator, at start
}

// The consumer groups; the embedded broker keeps what any has yet to read.
const (
	ingestGroup   = "tenantwatch-ingest"
	detectorGroup = "tenantwatch-detectors"
)

const database = "tenantwatch"

// startEmbedded starts the zero-install parts in order, each ready before the
// next, and registers how they end.
func (a *App) startEmbedded(ctx context.Context) (b backends, err error) {
	lib, err := EngineLib(a.opts.Config.Engine.Lib)
	if err != nil {
		return b, fmt.Errorf("ClickHouse engine: %w", err) // before anything is made
	}
	dir := a.opts.Config.DataDir
	if err := os.MkdirAll(dir, 0o711); err != nil { // #nosec G301 -- the unprivileged PostgreSQL user passes through it
		return b, fmt.Errorf("data directory: %w", err)
	}
	lock, err := process.Lock(dir)
	if err != nil {
		return b, err
	}
	a.life.add("lock", func(context.Context) error { return lock.Release() })

	a.progress("starting PostgreSQL")
	pg, err := postgres.Start(ctx, postgres.Options{
		DataDir: filepath.Join(dir, "postgres"),
		Search:  postgres.Search{BinDir: a.opts.Config.Postgres.BinDir, BundleDir: BesideBinary("postgres")},
		TCP:     a.opts.Config.Postgres.Addr,
		Logger:  a.log.With("part", "postgres"), Metrics: a.reg,
	})
	if err != nil {
		return b, fmt.Errorf("PostgreSQL: %w", err)
	}
	a.life.add("postgres", pg.Stop)
	a.check("postgres", func(context.Context) error { return running(pg.Status()) })
	if err := pg.EnsureDatabase(ctx, database, pg.Superuser()); err != nil {
		return b, err
	}
	b.warning = pg.SecurityWarning()
	b.ownerDSN = pg.DSN("", database)
	b.password = core.Secret(pg.RolePassword("tenantwatch_service"))
	b.core = core.Config{DSN: pg.DSN("tenantwatch_service", database)}

	a.progress("starting the ClickHouse engine")
	eng, err := a.startEngine(ctx, lib, filepath.Join(dir, "clickhouse"))
	if err != nil {
		return b, fmt.Errorf("ClickHouse engine: %w", err)
	}
	b.store = eventstore.Config{
		Addr: []string{"clickhouse"}, Database: database, Username: eng.first.User(), Password: eng.first.Password(),
		Dial: eng.dial,
	}

	a.progress("starting the Kafka broker")
	br, err := broker.Start(ctx, broker.Options{
		DataDir: filepath.Join(dir, "broker"),
		Groups: map[string][]string{
			eventlog.EventsTopic:     {ingestGroup, detectorGroup},
			eventlog.QuarantineTopic: {ingestGroup},
		},
		Sync: broker.SyncMode(a.opts.Config.Broker.Sync), Listen: a.opts.Config.Broker.Addr,
		Logger: a.log.With("part", "broker"), Metrics: a.reg,
	})
	if err != nil {
		return b, fmt.Errorf("broker: %w", err)
	}
	a.life.run("broker", br.Run)
	a.check("broker", func(context.Context) error { return br.Ready() })
	b.log = eventlog.Config{Brokers: br.Addrs(), Dial: br.Dial}
	return b, nil
}

func running(s process.Status) error {
	if s.State == process.Ready {
		return nil
	}
	return fmt.Errorf("%v since %s: %v", s.State, s.Since.UTC().Format(time.RFC3339), s.LastError)
}

// engine is the ClickHouse child with whoever replaces it after a crash.
type engine struct {
	first   *clickhouse.Engine
	current atomic.Pointer[clickhouse.Engine]
}

func (e *engine) dial(ctx context.Context, addr string) (net.Conn, error) {
	return e.current.Load().Dial(ctx, addr)
}

func (a *App) startEngine(ctx context.Context, lib, dir string) (*engine, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	opts := clickhouse.Options{
		Command: []string{exe, EngineCommand}, DataDir: dir, LibPath: lib,
		MemoryLimit: a.opts.Config.Engine.Memory, Logger: a.log.With("part", "clickhouse"), Metrics: a.reg,
	}
	first, err := clickhouse.Start(ctx, opts)
	if err != nil {
		return nil, err
	}
	e := &engine{first: first}
	e.current.Store(first)
	opts.Addr, opts.Token = first.Addr(), first.Password()
	a.life.run("clickhouse", func(ctx context.Context) error { return a.superviseEngine(ctx, e, opts) })
	a.check("clickhouse", func(context.Context) error {
		select {
		case <-e.current.Load().Done():
			return errors.New("the engine has ended and is being restarted")
		default:
			return nil
		}
	})
	return e, nil
}

// superviseEngine restarts the child when it crashes, with a growing pause,
// and ends it in order when ctx is done.
func (a *App) superviseEngine(ctx context.Context, e *engine, opts clickhouse.Options) error {
	pause := 100 * time.Millisecond
	for {
		started := time.Now()
		select {
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			return e.current.Load().Stop(stop)
		case <-e.current.Load().Done():
		}
		if time.Since(started) > time.Minute {
			pause = 100 * time.Millisecond
		}
		a.log.Error("the ClickHouse engine ended, starting it again", "cause", e.current.Load().Wait(), "pause", pause)
		for {
			if !sleep(ctx, pause) {
				return nil
			}
			pause = min(2*pause, 15*time.Second)
			next, err := clickhouse.Start(ctx, opts)
			if err == nil {
				e.current.Store(next)
				a.log.Info("the ClickHouse engine is back", "pid", next.PID())
				break
			}
			a.log.Error("the ClickHouse engine does not start", "err", err, "next_try_in", pause)
		}
	}
}

// sleep waits for d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// BesideBinary finds a directory that `make` filled: build/NAME beside bin/.
func BesideBinary(name string) string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return ""
	}
	for _, d := range []string{filepath.Join(filepath.Dir(exe), name), filepath.Join(filepath.Dir(exe), "..", "build", name), filepath.Join(filepath.Dir(exe), "..", "lib", "tenantwatch", name)} {
		if st, err := os.Stat(d); err == nil && st.IsDir() {
			return d
		}
	}
	return ""
}

// EngineLib finds the engine's library.
func EngineLib(configured string) (string, error) {
	if configured != "" {
		if _, err := os.Stat(configured); err != nil {
			return "", fmt.Errorf("engine.lib: %w", err)
		}
		return configured, nil
	}
	if d := BesideBinary("engine"); d != "" {
		for _, n := range []string{"libchdb.so", "libchdb.dylib"} {
			if p := filepath.Join(d, n); fileExists(p) {
				return p, nil
			}
		}
	}
	return "", errors.New("the engine's library libchdb.so is not there: run `make engine`, or name it with --engine-lib")
}

func fileExists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

// MigrateStore applies the ClickHouse schema of an outside server.
func MigrateStore(ctx context.Context, c config.Config, log *slog.Logger) error {
	sc := outsideStore(c)
	sc.Logger = log
	s, err := eventstore.Open(ctx, sc)
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(ctx), s.Close())
}

// outsideStore is the ClickHouse of the configuration.
func outsideStore(c config.Config) eventstore.Config {
	sc := eventstore.Config{Addr: strings.Split(c.ClickHouse.Addr, ","), Database: c.ClickHouse.Database, Username: c.ClickHouse.Username,
		Password: string(c.ClickHouse.Password), Native: c.ClickHouse.Protocol == "native"}
	if c.ClickHouse.TLS {
		sc.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return sc
}
