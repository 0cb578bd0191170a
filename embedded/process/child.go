package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// StopStep is one step of an ordered stop: a signal and how long to wait for
// the child to end before the next step.
type StopStep struct {
	Signal syscall.Signal
	Wait   time.Duration
}

// Options configure a Child. Name and Command are required.
type Options struct {
	// Name is the part's name in logs, metrics and status: a fixed word such
	// as "postgres".
	Name string
	// Command builds a fresh command for every start. It sets path, arguments,
	// environment and directory; output, descriptors above 2 and SysProcAttr
	// are the Child's.
	Command func() (*exec.Cmd, error)
	// Credential is the user to run as; nil is the user of this process.
	Credential *syscall.Credential
	// Probe reports nil once the child serves. It is called every
	// ProbeInterval with a context of at most ProbeTimeout. Nil means that a
	// started child is ready.
	Probe         func(ctx context.Context) error
	ProbeInterval time.Duration // default 25 ms
	ProbeTimeout  time.Duration // default 2 s
	// StartTimeout bounds one start until ready. Default 60 s.
	StartTimeout time.Duration
	// Stop is the ordered stop; SIGKILL always follows the last step. Default
	// SIGTERM and 10 s.
	Stop []StopStep
	// DeathSignal is what the child gets when this process dies (Linux).
	// Default SIGKILL.
	DeathSignal syscall.Signal
	// Lifeline gives the child a pipe that closes with this process; only for
	// children that call Lifeline.
	Lifeline bool
	// MinBackoff and MaxBackoff bound the wait before a restart, which doubles
	// from one to the other and starts over after a minute of readiness.
	// Defaults 200 ms and 15 s.
	MinBackoff, MaxBackoff time.Duration
	// FailAfter is the number of starts in a row that may fail before the
	// state says Failed. Default 5.
	FailAfter int
	// OnState is called after every change of state, from the goroutine that
	// made it; it must not block. Nil is none.
	OnState func(Status)
	// Level is the log level of a line that the child wrote. Default Info.
	Level func(line string) slog.Level

	Logger  *slog.Logger          // default slog.Default()
	Metrics prometheus.Registerer // nil: none
}

// Child is one supervised process. It is started once and stopped once.
type Child struct {
	opt  Options
	log  *slog.Logger
	stop chan struct{} // closed by Stop
	done chan struct{} // closed when supervision has ended

	restarts prometheus.Counter

	mu      sync.Mutex
	status  Status
	started bool
	stopped bool
	stopCtx context.Context // of the Stop call; set before stop is closed
}

// New validates the options, registers the metrics and starts nothing.
func New(opt Options) (*Child, error) {
	if opt.Name == "" || opt.Command == nil {
		return nil, errors.New("process: Name and Command are required")
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.Level == nil {
		opt.Level = func(string) slog.Level { return slog.LevelInfo }
	}
	if len(opt.Stop) == 0 {
		opt.Stop = []StopStep{{syscall.SIGTERM, 10 * time.Second}}
	}
	if opt.DeathSignal == 0 {
		opt.DeathSignal = syscall.SIGKILL
	}
	orDefault(&opt.ProbeInterval, 25*time.Millisecond)
	orDefault(&opt.ProbeTimeout, 2*time.Second)
	orDefault(&opt.StartTimeout, time.Minute)
	orDefault(&opt.MinBackoff, 200*time.Millisecond)
	orDefault(&opt.MaxBackoff, 15*time.Second)
	if opt.FailAfter <= 0 {
		opt.FailAfter = 5
	}
	c := &Child{
		opt:    opt,
		log:    opt.Logger.With("part", opt.Name),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
		status: Status{Part: opt.Name, State: Stopped, Since: time.Now()},
	}
	labels := prometheus.Labels{"part": opt.Name}
	c.restarts = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenantwatch_embedded_restarts_total", ConstLabels: labels,
		Help: "Restarts of an embedded part after it ended unasked.",
	})
	ready := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tenantwatch_embedded_ready", ConstLabels: labels,
		Help: "1 while an embedded part serves, else 0.",
	}, func() float64 {
		if c.Status().State == Ready {
			return 1
		}
		return 0
	})
	if opt.Metrics != nil {
		for _, m := range []prometheus.Collector{c.restarts, ready} {
			if err := opt.Metrics.Register(m); err != nil {
				return nil, fmt.Errorf("process: register metrics of %s: %w", opt.Name, err)
			}
		}
	}
	return c, nil
}

func orDefault(d *time.Duration, v time.Duration) {
	if *d <= 0 {
		*d = v
	}
}

// Status is a snapshot for /readyz.
func (c *Child) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Done is closed once Stop has ended the child, or Start has failed.
func (c *Child) Done() <-chan struct{} { return c.done }

func (c *Child) set(change func(*Status)) {
	c.mu.Lock()
	before := c.status.State
	change(&c.status)
	if c.status.State != before {
		c.status.Since = time.Now()
	}
	s := c.status
	c.mu.Unlock()
	if c.opt.OnState != nil {
		c.opt.OnState(s)
	}
}

// Start starts the child and returns when its probe succeeds; from then on the
// child is supervised until Stop. When the first start fails, nothing is left
// running and the error ends with the last lines that the child wrote.
func (c *Child) Start(ctx context.Context) error {
	c.mu.Lock()
	if c.started || c.stopped {
		c.mu.Unlock()
		return fmt.Errorf("%s: a child is started once", c.opt.Name)
	}
	c.started = true
	c.mu.Unlock()
	c.set(func(s *Status) { s.State = Starting })
	r, err := c.launch(ctx)
	if err != nil {
		c.set(func(s *Status) { s.State, s.LastError, s.PID = Failed, err.Error(), 0 })
		close(c.done)
		return err
	}
	go c.supervise(r) // #nosec G118 -- the child outlives the context of its start; Stop ends it
	return nil
}

// Stop ends the child by the ordered steps; when ctx is done before the child
// is, the child is killed. It returns when the process is gone.
func (c *Child) Stop(ctx context.Context) error {
	c.mu.Lock()
	first := !c.stopped
	c.stopped = true
	started := c.started
	if first {
		c.stopCtx = ctx
	}
	c.mu.Unlock()
	if first {
		close(c.stop)
	}
	if !started {
		return nil
	}
	<-c.done
	return nil
}

// supervise owns the child from its first readiness to its end.
func (c *Child) supervise(r *run) {
	defer close(c.done)
	backoff, failures := c.opt.MinBackoff, 0
	readyAt := time.Now()
	for {
		select {
		case <-c.stop:
			c.set(func(s *Status) { s.State = Stopping })
			c.terminate(c.stopContext(), r)
			c.set(func(s *Status) { s.State, s.PID = Stopped, 0 })
			return
		case <-r.exited:
		}
		if time.Since(readyAt) > time.Minute {
			backoff = c.opt.MinBackoff
		}
		err := r.exitError(c.opt.Name)
		for {
			c.restarts.Inc()
			failures++
			state := Restarting
			if failures > c.opt.FailAfter {
				state = Failed
			}
			c.log.Error("embedded part ended unasked: starting it again", "error", err, "backoff", backoff, "failures_in_a_row", failures)
			c.set(func(s *Status) {
				s.State, s.LastError, s.PID = state, err.Error(), 0
				s.Restarts++
			})
			if !c.pause(backoff) {
				c.set(func(s *Status) { s.State = Stopped })
				return
			}
			backoff = min(2*backoff, c.opt.MaxBackoff)
			if r, err = c.launch(context.Background()); err == nil {
				break
			}
			if c.stopping() {
				c.set(func(s *Status) { s.State = Stopped })
				return
			}
		}
		failures, readyAt = 0, time.Now()
		c.log.Warn("embedded part serves again", "pid", r.pid)
	}
}

func (c *Child) stopping() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

func (c *Child) stopContext() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopCtx
}

// pause waits d; false when Stop came first.
func (c *Child) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.stop:
		return false
	case <-t.C:
		return true
	}
}

// run is one life of the process.
type run struct {
	cmd      *exec.Cmd
	pid      int
	out      *tail
	lifeline *os.File // our end; nil without
	exited   chan struct{}
	err      error // of Wait; read after exited is closed
}

func (r *run) exitError(name string) error {
	msg := "ended with status 0"
	if r.err != nil {
		msg = r.err.Error()
	}
	if last := r.out.last(); last != "" {
		return fmt.Errorf("%s: %s; its last lines:\n%s", name, msg, last)
	}
	return fmt.Errorf("%s: %s; it wrote nothing", name, msg)
}
