// Package coretest starts a real PostgreSQL for tests and gives each test a
// database of its own, copied from one that is migrated once.
//
// Invariant: the server and its files are gone when Main returns, and die with
// the test process if that is killed. Only tests import the package.
package coretest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/seal"
)

// Server is a running PostgreSQL, reached over a Unix socket in its own
// directory.
type Server struct {
	dir  string
	bin  string
	cred *syscall.Credential
	cmd  *exec.Cmd
	done chan struct{} // closed once the process has ended
	n    atomic.Int64
}

// Database is one test's own database.
type Database struct {
	AdminDSN string // superuser
	DSN      string // tenantwatch_service
}

const template = "tenantwatch_template"

// Main is what a package's TestMain calls: it starts a server, hands it to
// use, runs the tests, stops the server, and returns the exit code. after, if
// not nil, runs last (e.g. a check for leaked goroutines).
func Main(m *testing.M, use func(*Server), after func() error) int {
	s, err := Start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "PostgreSQL for tests:", err)
		return 1
	}
	use(s)
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
		code = 1
	}
	if after != nil && code == 0 {
		if err := after(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// Start runs initdb and postgres and migrates the template database.
func Start(ctx context.Context) (*Server, error) {
	bin, err := findBin()
	if err != nil {
		return nil, err
	}
	// Not TMPDIR: the path of a socket must be short and another user must
	// reach it.
	dir, err := os.MkdirTemp("/tmp", "twpg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, done: make(chan struct{})}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func findBin() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(p), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errors.New("no initdb in PATH or /usr/lib/postgresql: install PostgreSQL 15 or later")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// start makes the cluster and runs it, as another user when this one is root.
func (s *Server) start(ctx context.Context) error {
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			if u, err = user.Lookup("nobody"); err != nil {
				return fmt.Errorf("PostgreSQL refuses to run as root, and there is no other user: %w", err)
			}
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2, os.Chown(s.dir, int(uid), int(gid))); err != nil {
			return err
		}
		s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	data := filepath.Join(s.dir, "data")
	if out, err := s.command(ctx, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.cmd = s.command(context.WithoutCancel(ctx), "postgres", "-D", data, "-k", s.dir, "-c", "listen_addresses=",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "shared_buffers=64MB",
		"-c", "autovacuum=off", "-c", "log_min_messages=warning")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	started := make(chan error, 1)
	go func() {
		// The child dies with the thread that made it, so the thread stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(s.done)
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	return s.ready(ctx)
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	return cmd
}

func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.dsn("postgres", "postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.done:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("postgres ended: %s", log)
		case <-ctx.Done():
			return fmt.Errorf("postgres is not ready: %w", err)
		case <-t.C:
		}
	}
}

func (s *Server) dsn(user, db string) string {
	return fmt.Sprintf("host=%s user=%s dbname=%s sslmode=disable", s.dir, user, db)
}

func (s *Server) prepare(ctx context.Context) error {
	if err := s.exec(ctx, "create database "+template); err != nil {
		return err
	}
	return core.Migrate(ctx, core.MigrateConfig{DSN: s.dsn("postgres", template)})
}

func (s *Server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.dsn("postgres", "postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// Stop ends the server and removes its files.
func (s *Server) Stop() error {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGINT) // fast shutdown
		select {
		case <-s.done:
		case <-time.After(20 * time.Second):
			_ = s.cmd.Process.Kill()
			<-s.done
		}
	}
	return os.RemoveAll(s.dir)
}

// Empty makes a database without any schema.
func (s *Server) Empty(tb testing.TB) Database { return s.database(tb, "template1") }

// Database makes a migrated, empty database.
func (s *Server) Database(tb testing.TB) Database { return s.database(tb, template) }

func (s *Server) database(tb testing.TB, from string) Database {
	tb.Helper()
	name := fmt.Sprintf("t%d", s.n.Add(1))
	if err := s.exec(context.Background(), "create database "+name+" template "+from); err != nil {
		tb.Fatalf("create database: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.exec(context.Background(), "drop database "+name+" with (force)"); err != nil {
			tb.Errorf("drop database: %v", err)
		}
	})
	return Database{AdminDSN: s.dsn("postgres", name), DSN: s.dsn("tenantwatch_service", name)}
}

// Open opens a core on a database of its own, with a fixed sealing key and
// cheap password hashing, and closes it with the test. change may be nil.
func (s *Server) Open(tb testing.TB, change func(*core.Config)) (*core.Core, Database) {
	tb.Helper()
	db := s.Database(tb)
	return OpenOn(tb, db, change), db
}

// OpenOn is Open on a given database.
func OpenOn(tb testing.TB, db Database, change func(*core.Config)) *core.Core {
	tb.Helper()
	key, err := seal.NewKey(make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	cfg := core.Config{DSN: db.DSN, MaxConns: 4, Sealer: key, AllowHTTPWebhooks: true,
		Password: core.PasswordCost{MemoryKiB: 64, Passes: 1, Lanes: 1}}
	if change != nil {
		change(&cfg)
	}
	c, err := core.Open(context.Background(), cfg)
	if err != nil {
		tb.Fatalf("open core: %v", err)
	}
	tb.Cleanup(c.Close)
	return c
}
