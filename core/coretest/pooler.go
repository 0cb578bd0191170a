package coretest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// findPooler is PgBouncer, where deploy/setup/pgbouncer.sh looks or puts it.
func findPooler() string {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	if wd, err := os.Getwd(); err == nil && !filepath.IsAbs(file) { // built with -trimpath
		root = filepath.Join(wd, "..")
	}
	inPath, _ := exec.LookPath("pgbouncer")
	for _, p := range []string{os.Getenv("TENANTWATCH_PGBOUNCER"), filepath.Join(root, "build", "pgbouncer", "pgbouncer"), inPath, "/usr/sbin/pgbouncer"} {
		if p == "" {
			continue
		}
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p
		}
	}
	return ""
}

// Pooler starts PgBouncer in transaction mode with so many connections before
// a database and gives the DSN of the service's role through it; it ends with
// the test. Without a PgBouncer the test is skipped, and fails when CI=true.
func (s *Server) Pooler(tb testing.TB, db Database, size int) string {
	tb.Helper()
	bin := findPooler()
	if bin == "" {
		const msg = "PgBouncer is missing: fetch it with `make pgbouncer`, or name one with TENANTWATCH_PGBOUNCER"
		if os.Getenv("CI") == "true" {
			tb.Fatal(msg)
		}
		tb.Skip(msg)
	}
	dir, err := os.MkdirTemp(s.dir, "pool")
	if err != nil {
		tb.Fatal(err)
	}
	// The program and its libraries go where the unprivileged user can read.
	for _, f := range append([]string{bin}, libraries(bin)...) {
		b, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o755) // #nosec G306 -- a program to run as another user
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	ini := fmt.Sprintf(`[databases]
* = host=%s
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = %s
auth_type = trust
auth_file = %[2]s/users
pool_mode = transaction
default_pool_size = %d
max_client_conn = 500
server_lifetime = 3600
ignore_startup_parameters = extra_float_digits
`, s.dir, dir, size)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "ini"), []byte(ini), 0o644), // #nosec G306 -- nothing in it is secret
		os.WriteFile(filepath.Join(dir, "users"), []byte("\"tenantwatch_service\" \"\"\n"), 0o644)); err != nil { // #nosec G306 -- as above
		tb.Fatal(err)
	}
	if s.cred != nil {
		if err := os.Chown(dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			tb.Fatal(err)
		}
	} else if err := os.Chmod(dir, 0o700); err != nil { // #nosec G302 -- a directory
		tb.Fatal(err)
	}
	dsn := strings.Replace(db.DSN, "host="+s.dir, "host="+dir+" port=6432", 1)
	s.runPooler(tb, dir, filepath.Base(bin), dsn)
	return dsn
}

// libraries are the shared ones that were unpacked beside the program.
func libraries(bin string) []string {
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(bin), "lib*.so.*"))
	if filepath.Base(filepath.Dir(bin)) != "pgbouncer" {
		return nil
	}
	return found
}

func (s *Server) runPooler(tb testing.TB, dir, name, dsn string) {
	tb.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), filepath.Join(dir, name), filepath.Join(dir, "ini"))
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin", "LD_LIBRARY_PATH=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Pdeathsig: syscall.SIGKILL, Setpgid: true}
	out, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the child dies with the thread that made it
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // killed below
		}
	}()
	if err := <-started; err != nil {
		tb.Fatalf("start PgBouncer: %v", err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = out.Close()
	})
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			_ = conn.Close(ctx)
			return
		}
		select {
		case <-done:
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
			continue
		}
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		tb.Fatalf("PgBouncer does not answer: %v\n%s", err, log)
	}
}
