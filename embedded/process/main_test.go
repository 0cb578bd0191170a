package process

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const roleEnv = "PROCESS_TEST_ROLE"

// TestMain lets the test binary play the processes that the tests supervise.
func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		goleak.VerifyTestMain(m)
	case "serve": // serves until told to end
		sig := make(chan os.Signal, 1)
		signal.Notify(sig, syscall.SIGTERM)
		touch(os.Getenv("READY"))
		fmt.Fprintln(os.Stderr, "serving")
		<-sig
		touch(os.Getenv("ENDED"))
	case "stubborn": // ignores SIGTERM
		signal.Ignore(syscall.SIGTERM)
		touch(os.Getenv("READY"))
		select {}
	case "broken":
		fmt.Fprintln(os.Stderr, "cannot open the thing")
		os.Exit(3)
	case "lifeline":
		gone, ok, err := Lifeline()
		if err != nil || !ok {
			fmt.Fprintln(os.Stderr, "no lifeline:", ok, err)
			os.Exit(4)
		}
		fmt.Fprintln(os.Stderr, "holding")
		touch(os.Getenv("READY"))
		<-gone
		touch(os.Getenv("ENDED"))
	case "parent": // supervises a child and prints its pid, to be killed by the test
		c, err := New(Options{Name: "inner", Logger: quiet(), Command: self("stubborn", map[string]string{"READY": os.Getenv("READY")}), Probe: exists(os.Getenv("READY"))})
		if err == nil {
			err = c.Start(context.Background())
		}
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(5)
		}
		fmt.Println(c.Status().PID)
		select {}
	case "locker":
		if _, err := Lock(os.Getenv("DIR")); err != nil {
			fmt.Println("error:", err)
			os.Exit(6)
		}
		fmt.Println("locked")
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

func touch(path string) {
	if path != "" {
		_ = os.WriteFile(path, nil, 0o600)
	}
}

// self is a command that runs this test binary in a role.
func self(role string, env map[string]string) func() (*exec.Cmd, error) {
	return func() (*exec.Cmd, error) {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), roleEnv+"="+role)
		for k, v := range env {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		return cmd, nil
	}
}

func exists(path string) func(context.Context) error {
	return func(context.Context) error {
		_, err := os.Stat(path)
		return err
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func readLine(t *testing.T, r io.Reader) string {
	t.Helper()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("read a line from the helper: %v (got %q)", err, line)
	}
	return line[:len(line)-1]
}

// gone waits until pid is no living process (a zombie of a dead parent counts
// as gone: it runs no more).
func gone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "stat"))
		if err != nil {
			return
		}
		var p int
		var comm string
		var state string
		if n, _ := fmt.Sscanf(string(b), "%d %s %s", &p, &comm, &state); n == 3 && state == "Z" {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("process %d is still there: %s", pid, b)
		case <-tick.C:
		}
	}
}
