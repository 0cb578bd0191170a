package process

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestChildStartsServesAndStopsInOrder(t *testing.T) {
	dir := t.TempDir()
	ready, ended := filepath.Join(dir, "ready"), filepath.Join(dir, "ended")
	reg := prometheus.NewRegistry()
	c, err := New(Options{
		Name: "part", Logger: quiet(), Metrics: reg, Probe: exists(ready), Lifeline: true,
		Command: self("serve", map[string]string{"READY": ready, "ENDED": ended}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := c.Status()
	if s.State != Ready || s.PID == 0 || s.Restarts != 0 {
		t.Fatalf("status after start: %+v", s)
	}
	if err := c.Start(t.Context()); err == nil {
		t.Fatal("a second Start succeeded")
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ended); err != nil {
		t.Fatalf("the child was not asked to end: %v", err)
	}
	gone(t, s.PID)
	if s := c.Status(); s.State != Stopped {
		t.Fatalf("status after stop: %+v", s)
	}
}

func TestChildThatIgnoresTheSignalIsKilled(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	c, err := New(Options{
		Name: "part", Logger: quiet(), Probe: exists(ready),
		Command: self("stubborn", map[string]string{"READY": ready}),
		Stop:    []StopStep{{syscall.SIGTERM, 20 * time.Millisecond}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := c.Status().PID
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
}

func TestChildThatDoesNotComeUp(t *testing.T) {
	c, err := New(Options{
		Name: "part", Logger: quiet(), Command: self("broken", nil),
		Probe: exists(filepath.Join(t.TempDir(), "never")),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "cannot open the thing") {
		t.Fatalf("want the exit status and the last line, got: %v", err)
	}
	<-c.Done()
	if s := c.Status(); s.State != Failed || s.LastError == "" {
		t.Fatalf("status: %+v", s)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestChildThatNeverAnswersTimesOut(t *testing.T) {
	c, err := New(Options{
		Name: "part", Logger: quiet(), Command: self("serve", nil), StartTimeout: 50 * time.Millisecond,
		Probe: exists(filepath.Join(t.TempDir(), "never")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "not ready after 50ms") {
		t.Fatalf("want a timeout, got: %v", err)
	}
	gone(t, c.Status().PID)
}

func TestCrashedChildIsStartedAgain(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	states := make(chan Status, 64)
	reg := prometheus.NewRegistry()
	c, err := New(Options{
		Name: "part", Logger: quiet(), Metrics: reg, Probe: exists(ready),
		Command:    self("serve", map[string]string{"READY": ready}),
		MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond,
		OnState: func(s Status) { states <- s },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, states, Ready)
	for i := 1; i <= 3; i++ {
		pid := c.Status().PID
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if s := await(t, states, Restarting); s.Restarts != i || !strings.Contains(s.LastError, "signal: killed") {
			t.Fatalf("status after crash %d: %+v", i, s)
		}
		if s := await(t, states, Ready); s.PID == pid || s.PID == 0 {
			t.Fatalf("status after restart %d: %+v, old pid %d", i, s, pid)
		}
	}
	if got := testutil.ToFloat64(c.restarts); got != 3 {
		t.Errorf("restarts counted: %v, want 3", got)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestStopDuringBackoff(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	states := make(chan Status, 64)
	c, err := New(Options{
		Name: "part", Logger: quiet(), Probe: exists(ready),
		Command:    self("serve", map[string]string{"READY": ready}),
		MinBackoff: time.Hour, MaxBackoff: time.Hour,
		OnState: func(s Status) { states <- s },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(c.Status().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, states, Restarting)
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := c.Status(); s.State != Stopped {
		t.Fatalf("status: %+v", s)
	}
}

// A crash loop becomes Failed, and keeps trying.
func TestCrashLoopIsFailed(t *testing.T) {
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready")
	states := make(chan Status, 256)
	first := true
	c, err := New(Options{
		Name: "part", Logger: quiet(), FailAfter: 2,
		Probe:      exists(ready),
		MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond,
		OnState: func(s Status) { states <- s },
		Command: func() (*exec.Cmd, error) {
			if first {
				first = false
				return self("serve", map[string]string{"READY": ready})()
			}
			_ = os.Remove(ready)
			return self("broken", nil)()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(c.Status().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if s := await(t, states, Failed); !strings.Contains(s.LastError, "cannot open the thing") {
		t.Fatalf("status: %+v", s)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// kill -9 of the parent leaves no child, even one that ignores SIGTERM.
func TestChildDiesWithItsParent(t *testing.T) {
	for range 3 {
		cmd, err := self("parent", map[string]string{"READY": filepath.Join(t.TempDir(), "ready")})()
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
		line := readLine(t, out)
		pid, err := strconv.Atoi(line)
		if err != nil {
			t.Fatalf("helper said %q", line)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		gone(t, pid)
	}
}

func TestLifelineEndsWithTheParent(t *testing.T) {
	dir := t.TempDir()
	ready, ended := filepath.Join(dir, "ready"), filepath.Join(dir, "ended")
	c, err := New(Options{
		Name: "part", Logger: quiet(), Lifeline: true, Probe: exists(ready),
		Command: self("lifeline", map[string]string{"READY": ready, "ENDED": ended}),
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.launch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// What the kernel does with our end when this process is gone.
	if err := r.lifeline.Close(); err != nil {
		t.Fatal(err)
	}
	<-r.exited
	if r.err != nil {
		t.Fatalf("the child ended with %v: %s", r.err, r.out.last())
	}
	if _, err := os.Stat(ended); err != nil {
		t.Fatalf("the child did not see the lifeline close: %v", err)
	}
}

func await(t *testing.T, states <-chan Status, want State) Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		select {
		case s := <-states:
			if s.State == want {
				return s
			}
		case <-ctx.Done():
			t.Fatalf("state %s did not come", want)
		}
	}
}
