package clickhouse

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func alive(pid int) bool {
	// A zombie that nobody has waited for is dead, too.
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// What was acknowledged before a kill -9 is there after it.
func TestKillAndRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ch")
	reg := prometheus.NewRegistry()
	var addr, token string
	var stored uint64
	for round := range 4 {
		e := startEngine(t, func(o *Options) {
			o.DataDir, o.Metrics = dir, reg
			if round > 0 {
				o.Addr, o.Token = addr, token // as a supervisor does
			}
		})
		addr, token = e.Addr(), e.Password()
		c := connect(t, e, nil)
		if round == 0 {
			mustExec(t, c, "CREATE DATABASE tw")
			mustExec(t, c, "CREATE TABLE tw.k (a UInt64, s String) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1, fsync_part_directory = 1")
		}
		if n := one[uint64](t, c, "SELECT count() FROM tw.k"); n < stored || n > stored+1 {
			t.Fatalf("round %d: %d rows, %d were acknowledged", round, n, stored)
		} else {
			stored = n
		}
		if round == 3 {
			if families, err := reg.Gather(); err != nil || len(families) != 3 {
				t.Errorf("%d metrics, %v", len(families), err)
			}
			continue
		}
		acked := make(chan uint64)
		go func() {
			n := uint64(0)
			defer func() { acked <- n }()
			for {
				if c.Exec(context.WithoutCancel(t.Context()), fmt.Sprintf("INSERT INTO tw.k VALUES (%d, 'x')", n)) != nil {
					return
				}
				n++
			}
		}()
		eventually(t, "rows are stored", func() bool { return one[uint64](t, c, "SELECT count() FROM tw.k") > stored+20 })
		if err := syscall.Kill(e.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-e.Done()
		if err := e.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("reason of the end: %v", err)
		}
		stored += <-acked
	}
}

// The parent is killed in a way that leaves it no time to do anything.
func TestChildDiesWithParent(t *testing.T) {
	lib := libPath(t)
	cmd := exec.Command(childCommand()[0], "engine-parent", lib, filepath.Join(t.TempDir(), "ch"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var pid int
	var addr string
	if _, err := fmt.Fscan(bufio.NewReader(out), &pid, &addr); err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Fatal("the child is not there")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child is gone", func() bool { return !alive(pid) })
	eventually(t, "its address is free", func() bool {
		ln, err := net.Listen("tcp", addr)
		if err == nil {
			ln.Close()
		}
		return err == nil
	})
}

// Each of the two ties works alone: here the pipe, without the kernel's signal.
func TestLifeline(t *testing.T) {
	args := ChildOptions{LibPath: libPath(t), DataDir: filepath.Join(t.TempDir(), "ch"), Addr: "127.0.0.1:0", MemoryLimit: DefaultMemoryLimit, MaxQueries: 2, LogLevel: "warn"}.args()
	cmd := exec.Command(childCommand()[0], append([]string{"engine-child"}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	fmt.Fprintln(stdin, "a-secret-of-some-length")
	if line, err := bufio.NewReader(r).ReadString('\n'); err != nil || !strings.Contains(line, `"addr":"127.0.0.1:`) {
		t.Fatalf("%q %v", line, err)
	}
	began := time.Now()
	stdin.Close()
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != exitOrphaned {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %s to notice", took)
	}
}

func TestStartErrors(t *testing.T) {
	e := startEngine(t, func(o *Options) { o.Addr = "unix:" + filepath.Join(t.TempDir(), "s") })
	running := connect(t, e, nil)
	if err := running.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(strings.TrimPrefix(e.Addr(), "unix:")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v %v", st.Mode(), err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := filepath.Dir(strings.TrimSuffix(dirOf(t, e), "/"))
	notALib := filepath.Join(t.TempDir(), "lib.so")
	if err := os.WriteFile(notALib, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"directory in use":  {func(o *Options) { o.DataDir = dir }, fmt.Sprintf("is in use by another process (pid %d)", e.PID())},
		"port in use":       {func(o *Options) { o.Addr = taken.Addr().String() }, "is in use by another process"},
		"socket in use":     {func(o *Options) { o.Addr = e.Addr() }, "is in use by another process"},
		"no library":        {func(o *Options) { o.LibPath = "/nowhere/libchdb.so" }, "make engine"},
		"not a library":     {func(o *Options) { o.LibPath = notALib }, "make engine"},
		"open to the world": {func(o *Options) { o.Addr = "0.0.0.0:0" }, "loopback"},
		"bad address":       {func(o *Options) { o.Addr = "here" }, "127.0.0.1:port"},
		"no directory":      {func(o *Options) { o.DataDir = "" }, "no data directory"},
		"little memory":     {func(o *Options) { o.MemoryLimit = 1 << 20 }, "at least"},
		"short secret":      {func(o *Options) { o.Token = "short" }, "16 characters"},
		"no command":        {func(o *Options) { o.Command = nil }, "no command"},
		"other command":     {func(o *Options) { o.Command = []string{"/bin/false"} }, "exit status 1"},
		"command that hangs": {func(o *Options) {
			o.Command, o.StartTimeout = []string{"/bin/sh", "-c", "exec cat"}, 200*time.Millisecond
		}, "not ready in time"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Command: childCommand(), DataDir: filepath.Join(t.TempDir(), "ch"), LibPath: libPath(t)}
			tc.change(&o)
			e, err := Start(t.Context(), o)
			if err == nil {
				_ = e.Stop(t.Context())
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v; want %q", err, tc.want)
			}
		})
	}
	if err := running.Ping(t.Context()); err != nil {
		t.Error("the running engine suffered:", err)
	}
}

// dirOf asks the engine where its store is.
func dirOf(t *testing.T, e *Engine) string {
	return one[string](t, connect(t, e, nil), "SELECT path FROM system.disks WHERE name = 'default'")
}

// Stop waits for what runs, kills what does not end, and closes the store.
func TestStop(t *testing.T) {
	e := startEngine(t, nil)
	c := connect(t, e, nil)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- c.Exec(context.WithoutCancel(t.Context()), "SELECT sleepEachRow(0.5) FROM numbers(2) SETTINGS max_block_size = 1")
	}()
	eventually(t, "the statement runs", func() bool {
		return one[uint64](t, c, "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%'") > 1
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error("the statement under way was broken off:", err)
	}
	if err := e.Wait(); err != nil {
		t.Error(err)
	}
	if alive(e.PID()) {
		t.Error("the child is still there")
	}
}

// The engine's log tells of faults, not of statements: those hold event data.
func TestEngineLog(t *testing.T) {
	dir := t.TempDir()
	e := startEngine(t, func(o *Options) { o.DataDir = dir })
	c := connect(t, e, nil)
	if err := c.Exec(t.Context(), "SELECT 'personal-data' FROM nowhere"); codeOf(t, err) != 60 {
		t.Error(err)
	}
	mustExec(t, c, "SELECT 'personal-data'")
	b, err := os.ReadFile(layout{dir}.log())
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 10<<10 || strings.Contains(string(b), "personal-data") {
		t.Errorf("%d bytes: %.500s", len(b), b)
	}
	if st, err := os.Stat(layout{dir}.log()); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("mode of the log: %v %v", st.Mode(), err)
	}
}
