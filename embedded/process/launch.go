package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// launch starts the process and waits until it serves. On error nothing is
// left running.
func (c *Child) launch(ctx context.Context) (*run, error) {
	cmd, err := c.opt.Command()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.opt.Name, err)
	}
	r := &run{cmd: cmd, exited: make(chan struct{}), out: &tail{log: c.log, level: c.opt.Level}}
	cmd.Stdout, cmd.Stderr = r.out, r.out
	// A grandchild may hold the output open: do not wait for it for ever.
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = sysProcAttr(c.opt.DeathSignal, c.opt.Credential)
	var childEnd *os.File
	if c.opt.Lifeline {
		childEnd, r.lifeline, err = os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("%s: lifeline: %w", c.opt.Name, err)
		}
		if cmd.Env == nil {
			cmd.Env = os.Environ()
		}
		cmd.Env = append(cmd.Env, LifelineEnv+"="+strconv.Itoa(3+len(cmd.ExtraFiles)))
		cmd.ExtraFiles = append(cmd.ExtraFiles, childEnd)
	}
	started := make(chan error, 1)
	go func() {
		// The parent-death signal is sent when the *thread* that forked dies,
		// and the runtime ends idle threads as it likes. So this goroutine
		// keeps its thread for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(r.exited)
		if err := cmd.Start(); err != nil {
			r.err = err
			started <- err
			return
		}
		started <- nil
		r.err = cmd.Wait()
	}()
	err = <-started
	if childEnd != nil {
		_ = childEnd.Close()
	}
	if err != nil {
		if r.lifeline != nil {
			_ = r.lifeline.Close()
		}
		<-r.exited
		return nil, fmt.Errorf("%s: start %s: %w", c.opt.Name, cmd.Path, err)
	}
	r.pid = cmd.Process.Pid
	c.set(func(s *Status) { s.PID = r.pid })
	if err := c.awaitReady(ctx, r); err != nil {
		c.terminate(ctx, r)
		return nil, err
	}
	c.set(func(s *Status) { s.State, s.LastError = Ready, "" })
	return r, nil
}

// awaitReady probes until the child serves, ends, or time is up.
func (c *Child) awaitReady(ctx context.Context, r *run) error {
	if c.opt.Probe == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.opt.StartTimeout,
		fmt.Errorf("not ready after %s", c.opt.StartTimeout))
	defer cancel()
	tick := time.NewTicker(c.opt.ProbeInterval)
	defer tick.Stop()
	for {
		pctx, pcancel := context.WithTimeout(ctx, c.opt.ProbeTimeout)
		perr := c.opt.Probe(pctx)
		pcancel()
		if perr == nil {
			return nil
		}
		select {
		case <-r.exited:
			return r.exitError(c.opt.Name)
		case <-c.stop:
			return fmt.Errorf("%s: stopped while it was starting", c.opt.Name)
		case <-ctx.Done():
			err := fmt.Errorf("%s: %w: last probe: %w", c.opt.Name, context.Cause(ctx), perr)
			if last := r.out.last(); last != "" {
				err = fmt.Errorf("%w; its last lines:\n%s", err, last)
			}
			return err
		case <-tick.C:
		}
	}
}

// terminate ends the process by the ordered steps, then by SIGKILL, and returns
// when it is gone. A done ctx skips to the kill.
func (c *Child) terminate(ctx context.Context, r *run) {
	defer func() {
		if r.lifeline != nil {
			_ = r.lifeline.Close()
		}
	}()
	for _, step := range c.opt.Stop {
		if err := r.cmd.Process.Signal(step.Signal); errors.Is(err, os.ErrProcessDone) {
			<-r.exited
			return
		}
		t := time.NewTimer(step.Wait)
		select {
		case <-r.exited:
			t.Stop()
			return
		case <-ctx.Done():
		case <-t.C:
			c.log.Warn("embedded part did not end in time", "signal", step.Signal.String(), "waited", step.Wait)
		}
		t.Stop()
	}
	// The whole group, so that nothing the child started stays behind.
	_ = syscall.Kill(-r.pid, syscall.SIGKILL)
	_ = r.cmd.Process.Kill()
	<-r.exited
}

// Output runs a short-lived command as cred (nil: the user of this process) and
// returns all that it wrote. Like a Child, the command dies with this process.
func Output(cmd *exec.Cmd, cred *syscall.Credential) ([]byte, error) {
	runtime.LockOSThread() // see launch
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = sysProcAttr(syscall.SIGKILL, cred)
	cmd.WaitDelay = 5 * time.Second
	return cmd.CombinedOutput()
}
