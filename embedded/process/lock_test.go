package process

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestLockNamesDirectoryAndHolder(t *testing.T) {
	dir := t.TempDir()
	cmd, err := self("locker", map[string]string{"DIR": dir})()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line := readLine(t, out); line != "locked" {
		t.Fatalf("helper said %q", line)
	}
	_, err = Lock(dir)
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("want ErrLocked, got %v", err)
	}
	for _, want := range []string{dir, "process " + strconv.Itoa(cmd.Process.Pid), "--data-dir"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	// However the holder dies, the lock is free.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	_ = in.Close()
	l, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Fatalf("a second lock in one process: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Fatalf("second release: %v", err)
	}
	l, err = Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Release()
	if _, err := Lock(filepath.Join(dir, "absent")); err == nil || errors.Is(err, ErrLocked) {
		t.Fatalf("lock of an absent directory: %v", err)
	}
}

func TestListenSaysWhichFlag(t *testing.T) {
	ln, err := Listen(t.Context(), "127.0.0.1:0", "--api-addr")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, err = Listen(t.Context(), ln.Addr().String(), "--api-addr")
	if err == nil || !strings.Contains(err.Error(), "--api-addr") || !strings.Contains(err.Error(), ln.Addr().(*net.TCPAddr).String()) {
		t.Fatalf("busy port: %v", err)
	}
	if _, err := Listen(t.Context(), "192.0.2.1:80", "--api-addr"); err == nil || !strings.Contains(err.Error(), "--api-addr") {
		t.Fatalf("foreign address: %v", err)
	}
}

func TestLoopbackOnly(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:0": true, "[::1]:9092": true, "localhost:1": true, "127.9.9.9:1": true,
		"0.0.0.0:1": false, ":1": false, "[::]:1": false, "example.com:1": false, "10.0.0.1:1": false, "127.0.0.1": false,
	} {
		if err := LoopbackOnly(addr, "--x"); (err == nil) != ok {
			t.Errorf("%s: got %v, want allowed=%v", addr, err, ok)
		}
	}
}

func TestTailKeepsTheLastLines(t *testing.T) {
	ta := &tail{log: quiet(), level: func(string) slog.Level { return slog.LevelInfo }}
	for i := range 30 {
		for _, part := range []string{"li", "ne ", strconv.Itoa(i), "\r\n"} {
			if _, err := ta.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, _ = ta.Write([]byte("no newline"))
	lines := strings.Split(ta.last(), "\n")
	if len(lines) != tailLines || lines[len(lines)-1] != "no newline" || lines[0] != "line 11" {
		t.Fatalf("kept %d lines, first %q, last %q", len(lines), lines[0], lines[len(lines)-1])
	}
	_, _ = ta.Write([]byte(strings.Repeat("x", 3*maxLineSize)))
	if last := ta.last(); len(last) > (tailLines+1)*maxLineSize {
		t.Fatalf("a line without end was kept whole: %d bytes", len(last))
	}
}
