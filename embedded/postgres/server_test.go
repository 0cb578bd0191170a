package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/embedded/process"
)

func TestStartQueryStopRestart(t *testing.T) {
	in := needPostgres(t)
	dir := dataDir(t)
	s := start(t, Options{DataDir: dir})
	if s.Version() != in.Version || s.Status().State != process.Ready {
		t.Fatalf("version %s, status %+v", s.Version(), s.Status())
	}
	dsn := s.DSN("", "postgres")
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on",
		"shared_buffers": "64MB", "max_connections": "100", "listen_addresses": "", "server_encoding": "UTF8",
		"password_encryption": "scram-sha-256", "TimeZone": "UTC", "unix_socket_permissions": "0700",
	} {
		if got := query(t, dsn, "show "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	if got := query(t, dsn, "select datcollate from pg_database where datname = 'template1'"); got != "C.UTF-8" && got != "C" {
		t.Errorf("collation %q", got)
	}
	if got := query(t, dsn, "create table t (v text)", "insert into t values ('kept')", "select v from t"); got != "kept" {
		t.Fatalf("read %q", got)
	}
	// Nobody else's files, and nobody else's socket.
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, passwordFile): 0o600, s.socketDir: 0o700} {
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", path, fi.Mode().Perm(), want)
		}
	}
	if os.Geteuid() == 0 {
		var st syscall.Stat_t
		if err := syscall.Stat("/proc/"+strconv.Itoa(s.Status().PID), &st); err != nil {
			t.Fatal(err)
		}
		if st.Uid == 0 || int(st.Uid) != s.account.uid {
			t.Errorf("the postmaster runs as uid %d, want %d (%s)", st.Uid, s.account.uid, s.account.name)
		}
	}
	// The password matters.
	wrong := strings.Replace(dsn, s.password, "wrong", 1)
	if conn, err := pgx.Connect(t.Context(), wrong); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a wrong password was accepted")
	}
	// A second start on the directory.
	if _, err := Start(t.Context(), Options{DataDir: dir, Logger: quiet()}); !errors.Is(err, process.ErrLocked) {
		t.Errorf("second start: %v", err)
	}
	pid := s.Status().PID
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("the postmaster outlived Stop")
	}
	if _, err := os.Stat(filepath.Join(dir, clusterDir, "postmaster.pid")); err == nil {
		t.Error("the stop was not in order: postmaster.pid is there")
	}
	s = start(t, Options{DataDir: dir})
	if got := query(t, s.DSN("", "postgres"), "select v from t"); got != "kept" {
		t.Fatalf("after restart: %q", got)
	}
}

func TestRolesAndDatabases(t *testing.T) {
	needPostgres(t)
	s := start(t, Options{DataDir: dataDir(t)})
	for range 2 { // idempotent
		if err := s.EnsureRole(t.Context(), "owner"); err != nil {
			t.Fatal(err)
		}
		if err := s.EnsureDatabase(t.Context(), "tenantwatch", "owner"); err != nil {
			t.Fatal(err)
		}
	}
	if got := query(t, s.DSN("owner", "tenantwatch"), "select current_user || ':' || current_database()"); got != "owner:tenantwatch" {
		t.Fatalf("connected as %s", got)
	}
	if got := query(t, s.DSN("", "postgres"), "select concat(rolsuper, rolbypassrls, rolcreaterole, rolcreatedb) from pg_roles where rolname = 'owner'"); got != "ffff" {
		t.Fatalf("privileges of the role: %s", got)
	}
	if s.RolePassword("owner") == s.RolePassword("other") || s.RolePassword("owner") == s.password {
		t.Fatal("role passwords are not distinct")
	}
}

// kill -9 of the parent: the postmaster goes too, a start right after it works,
// and what was committed is there.
func TestParentKilled(t *testing.T) {
	needPostgres(t)
	dir := dataDir(t)
	for round := range 3 {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), parentEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatalf("helper: %v: %q", err, line)
		}
		var pid int
		var dsn string
		if _, err := fmt.Sscan(line, &pid, &dsn); err != nil {
			t.Fatalf("helper said %q", line)
		}
		query(t, dsn, "create table if not exists t (v int)", "insert into t values ("+strconv.Itoa(round)+")", "select 'x'")
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		// No wait here: the start has to cope with a postmaster about to end.
		s := start(t, Options{DataDir: dir})
		if err := syscall.Kill(pid, 0); err == nil {
			pids, _ := holders(filepath.Join(dir, clusterDir))
			for _, p := range pids {
				if p == pid {
					t.Fatalf("round %d: the old postmaster %d is there beside the new one", round, pid)
				}
			}
		}
		if got := query(t, s.DSN("", "postgres"), "select count(*)::text from t"); got != strconv.Itoa(round+1) {
			t.Fatalf("round %d: %s rows", round, got)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// kill -9 of the postmaster alone: its backends linger, the supervisor clears
// them away and starts again on the same data.
func TestPostmasterKilled(t *testing.T) {
	needPostgres(t)
	states := make(chan process.Status, 64)
	s := start(t, Options{DataDir: dataDir(t), OnState: func(st process.Status) { states <- st }})
	dsn := s.DSN("", "postgres")
	query(t, dsn, "create table t (v text)", "insert into t values ('kept')", "select v from t")
	// A backend in the middle of something.
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	busy := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "select pg_sleep(60)")
		busy <- err
	}()
	old := s.Status().PID
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	timeout := time.After(40 * time.Second)
	for restarted := false; ; {
		select {
		case st := <-states:
			if st.State == process.Restarting {
				restarted = true
			}
			if st.State != process.Ready || !restarted {
				continue
			}
			if st.PID == old || st.Restarts < 1 {
				t.Fatalf("status %+v", st)
			}
		case <-timeout:
			t.Fatalf("not restarted: %+v", s.Status())
		}
		break
	}
	if err := <-busy; err == nil {
		t.Error("the old backend finished its query")
	}
	if got := query(t, dsn, "select v from t"); got != "kept" {
		t.Fatalf("read %q", got)
	}
}

func TestTwoInstances(t *testing.T) {
	needPostgres(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	busy := ln.Addr().String()
	dir := dataDir(t)
	if _, err := Start(t.Context(), Options{DataDir: dir, TCP: busy, Logger: quiet()}); err == nil || !strings.Contains(err.Error(), "--postgres-addr") {
		t.Fatalf("busy port: %v", err)
	}
	_ = ln.Close()
	a := start(t, Options{DataDir: dir, TCP: busy})
	b := start(t, Options{DataDir: dataDir(t)})
	query(t, a.DSN("", "postgres"), "create table only_a ()", "select 'x'")
	if got := query(t, b.DSN("", "postgres"), "select count(*)::text from pg_class where relname = 'only_a'"); got != "0" {
		t.Fatal("two instances share their data")
	}
	tcp := fmt.Sprintf("postgres://%s:%s@%s/postgres?sslmode=disable", superuser, a.password, busy)
	if got := query(t, tcp, "select 'over tcp'"); got != "over tcp" {
		t.Fatal(got)
	}
	if _, err := Start(t.Context(), Options{DataDir: dataDir(t), TCP: "0.0.0.0:5433", Logger: quiet()}); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Fatalf("an open address: %v", err)
	}
}

func TestLongDataDirUsesAShortSocketDir(t *testing.T) {
	needPostgres(t)
	dir := filepath.Join(filepath.Dir(dataDir(t)), strings.Repeat("long", 25), "postgres")
	s := start(t, Options{DataDir: dir})
	if filepath.Dir(s.socketDir) != filepath.Clean(os.TempDir()) || len(socketPath(s.socketDir)) > maxSocketPath {
		t.Fatalf("socket directory %s", s.socketDir)
	}
	if got := query(t, s.DSN("", "postgres"), "select 'reached'"); got != "reached" {
		t.Fatal(got)
	}
	// A socket directory that a kill left behind is removed by the next start.
	left := s.socketDir + "x"
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.socketDir); err == nil {
		t.Error("Stop left the socket directory")
	}
	if err := writeFileSync(filepath.Join(dir, socketDirFile), left+"\n"); err != nil {
		t.Fatal(err)
	}
	s = start(t, Options{DataDir: dir})
	if _, err := os.Stat(left); err == nil {
		_ = os.Remove(left)
		t.Error("the start did not remove the old socket directory")
	}
	_ = s
}

func TestClosedParentDirectory(t *testing.T) {
	needPostgres(t)
	if os.Geteuid() != 0 {
		t.Skip("only root changes the user")
	}
	dir := filepath.Join(t.TempDir(), "postgres") // under a directory of mode 0700
	_, err := Start(t.Context(), Options{DataDir: dir, Logger: quiet()})
	if !errors.Is(err, errUnreachable) || !strings.Contains(err.Error(), "--data-dir") || !strings.Contains(err.Error(), "chmod o+x") {
		t.Fatalf("want an error that says what to do, got %v", err)
	}
}

func TestUnfinishedInitIsDoneAgain(t *testing.T) {
	needPostgres(t)
	dir := dataDir(t)
	left := filepath.Join(dir, initPrefix+"1")
	if err := os.MkdirAll(filepath.Join(left, "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{DataDir: dir})
	if _, err := os.Stat(left); err == nil {
		t.Error("the unfinished cluster is still there")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A cluster of another major version is refused with words.
	if err := os.WriteFile(filepath.Join(dir, clusterDir, "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{DataDir: dir, Logger: quiet()}); err == nil || !strings.Contains(err.Error(), "made by PostgreSQL 9") {
		t.Fatalf("foreign version: %v", err)
	}
}
