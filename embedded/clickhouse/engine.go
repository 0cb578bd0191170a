package clickhouse

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options says how the parent runs the engine.
type Options struct {
	// Command is the argv to execute, the hidden command that hands the
	// arguments it is given to RunChildArgs: {os.Executable(), "…"}.
	Command []string
	DataDir string // made when missing; belongs to one engine at a time
	LibPath string // libchdb.so
	// Addr is "127.0.0.1:port" or "unix:/path"; empty: 127.0.0.1 and any free
	// port. A supervisor that restarts the engine passes the Addr of the first.
	Addr string
	// Token is the secret of the user; empty: a random one. As Addr, kept over restarts.
	Token        string
	MemoryLimit  int64         // bytes for the whole process, at least 512 MiB; 0: DefaultMemoryLimit
	MaxQueries   int           // statements at once; 0: DefaultMaxQueries
	LogLevel     string        // of the child: debug, info, warn (default), error, off
	StartTimeout time.Duration // 0: a minute, enough to load the parts of a large store
	Logger       *slog.Logger
	Metrics      prometheus.Registerer
}

// Engine is a running child. It is never restarted by itself: watch Done.
type Engine struct {
	cmd      *exec.Cmd
	lifeline *os.File
	addr     string
	version  string
	token    string
	log      *slog.Logger

	stopping atomic.Bool
	done     chan struct{}
	err      error // why the child ended; set before done is closed

	mu         sync.Mutex
	last       string // last line the child wrote to its standard error
	over       bool   // the child has ended
	unregister func() // takes its metrics away, before done is closed
}

// Start spawns the child and returns when it answers. ctx bounds the start
// only; Stop ends the engine. A data directory or an address in use, a missing
// library and a child that dies are errors that say what to do.
func Start(ctx context.Context, o Options) (*Engine, error) {
	if len(o.Command) == 0 {
		return nil, errors.New("clickhouse engine: no command to run it with")
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.LogLevel == "" {
		o.LogLevel = "warn"
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	child := ChildOptions{LibPath: o.LibPath, DataDir: o.DataDir, Addr: o.Addr, MemoryLimit: o.MemoryLimit, MaxQueries: o.MaxQueries, LogLevel: o.LogLevel}
	if err := child.validate(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(o.LibPath); err != nil {
		return nil, fmt.Errorf("clickhouse engine: library: %w (fetch it with `make engine`)", err)
	}
	if o.Token == "" {
		o.Token = rand.Text()
	}
	if len(o.Token) < 16 || strings.ContainsAny(o.Token, "\r\n ") {
		return nil, errors.New("clickhouse engine: the secret must have at least 16 characters and no blanks")
	}
	began := time.Now()
	e := &Engine{token: o.Token, log: o.Logger, done: make(chan struct{})}
	report, err := e.spawn(o.Command, child)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	if err := e.awaitReady(ctx, report); err != nil {
		return nil, err
	}
	o.Logger.Info("clickhouse engine ready", "address", e.addr, "version", e.version, "pid", e.PID(), "took", time.Since(began).Round(time.Millisecond))
	if o.Metrics != nil {
		if err := e.register(o.Metrics, time.Since(began)); err != nil {
			e.kill()
			return nil, err
		}
	}
	return e, nil
}

// spawn starts the process with its three pipes: the lifeline on standard
// input, log lines on standard error, the status on descriptor 3.
func (e *Engine) spawn(command []string, child ChildOptions) (*os.File, error) {
	var files []*os.File
	fail := func(err error) (*os.File, error) {
		for _, f := range files {
			f.Close()
		}
		return nil, fmt.Errorf("clickhouse engine: start its process: %w", err)
	}
	pipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			files = append(files, r, w)
		}
		return r, w, err
	}
	stdin, lifeline, err := pipe()
	if err != nil {
		return fail(err)
	}
	stderrR, stderrW, err := pipe()
	if err != nil {
		return fail(err)
	}
	statusR, statusW, err := pipe()
	if err != nil {
		return fail(err)
	}
	e.cmd = exec.Command(command[0], append(append([]string{}, command[1:]...), child.args()...)...)
	// None of the parent's secrets, and no clock but UTC. The engine counts what
	// it uses, not what its allocator keeps of what was freed: left to itself
	// that doubled the memory under heavy statements (2.1 GiB under a limit of
	// one). Giving pages back at once cost more processor time than storing the
	// rows did (page faults: 2.6 against 0.9 CPU-s a million rows), so they go
	// back within a quarter of a second, by a thread of the allocator's own.
	e.cmd.Env = []string{
		"TZ=UTC", "LANG=C.UTF-8", "JE_MALLOC_CONF=narenas:4,background_thread:true,dirty_decay_ms:250,muzzy_decay_ms:0",
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
	}
	e.cmd.Stdin, e.cmd.Stderr = stdin, stderrW
	e.cmd.ExtraFiles = []*os.File{statusW}
	e.cmd.SysProcAttr = childAttributes()
	e.lifeline = lifeline

	started := make(chan error, 1)
	go func() {
		// The kernel's death signal fires when the *thread* that forked ends,
		// so this one lives as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := e.cmd.Start()
		stdin.Close()
		stderrW.Close()
		statusW.Close()
		started <- err
		if err != nil {
			return
		}
		e.pump(stderrR)
		e.ended(e.cmd.Wait())
	}()
	if err := <-started; err != nil {
		return fail(err)
	}
	// A broken or closed pipe is a child that has ended already: awaitReady says how.
	if _, err := io.WriteString(lifeline, e.token+"\n"); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) {
		e.kill()
		return fail(err)
	}
	return statusR, nil
}

// pump logs what the child writes to standard error until it ends.
func (e *Engine) pump(r *os.File) {
	defer r.Close()
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		if text := strings.TrimSpace(string(line)); text != "" {
			e.mu.Lock()
			e.last = text
			e.mu.Unlock()
			level := slog.LevelWarn
			if strings.HasPrefix(text, "Logging ") { // says where its own log is, at every start
				level = slog.LevelDebug
			}
			e.log.Log(context.Background(), level, "clickhouse engine", "line", text)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (e *Engine) ended(err error) {
	e.lifeline.Close()
	e.mu.Lock()
	last := e.last
	e.over = true
	if e.unregister != nil {
		e.unregister()
	}
	e.mu.Unlock()
	if !e.stopping.Load() {
		e.err = fmt.Errorf("clickhouse engine: its process (pid %d) ended: %s", e.cmd.Process.Pid, e.cmd.ProcessState)
		if last != "" {
			e.err = fmt.Errorf("%w; its last words: %s", e.err, last)
		}
	} else if err != nil {
		e.err = fmt.Errorf("clickhouse engine: its process did not stop well: %w", err)
	}
	close(e.done)
}

func (e *Engine) awaitReady(ctx context.Context, report *os.File) error {
	defer report.Close()
	off := context.AfterFunc(ctx, func() { _ = report.SetReadDeadline(time.Unix(1, 0)) })
	defer off()
	line, err := bufio.NewReader(io.LimitReader(report, 64<<10)).ReadBytes('\n')
	if err != nil {
		e.kill()
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("clickhouse engine: not ready in time: %w", ctx.Err())
		case e.err != nil:
			return e.err
		}
		return fmt.Errorf("clickhouse engine: its process closed the status pipe: %w", err)
	}
	var s status
	if err := json.Unmarshal(line, &s); err != nil {
		e.kill()
		return fmt.Errorf("clickhouse engine: unreadable status %.200q: %w", line, err)
	}
	if s.Error != "" {
		e.kill()
		return errors.New(s.Error)
	}
	e.addr, e.version = s.Addr, s.Version
	return nil
}

// kill ends the child at once and waits for it.
func (e *Engine) kill() {
	_ = e.cmd.Process.Kill()
	<-e.done
}

// Stop ends the engine in order: statements under way get a few seconds, the
// store is closed. When ctx ends first, the child is killed, which the store
// stands. It may be called more than once.
func (e *Engine) Stop(ctx context.Context) error {
	e.stopping.Store(true)
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.done:
		return e.err
	case <-ctx.Done():
		e.kill()
		return fmt.Errorf("clickhouse engine: killed, because it did not stop in time: %w", ctx.Err())
	}
}

// Done is closed when the child has ended, for whatever reason.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Wait blocks until the child has ended; nil only after a Stop that went well.
func (e *Engine) Wait() error {
	<-e.done
	return e.err
}

// Addr is where the engine answers: "127.0.0.1:port" or "unix:/path".
func (e *Engine) Addr() string { return e.addr }

// User is the name to sign in with.
func (e *Engine) User() string { return userName }

// Password is the secret to sign in with; it is written nowhere.
func (e *Engine) Password() string { return e.token }

// Version is the engine's own, such as 26.7.2.1.
func (e *Engine) Version() string { return e.version }

// PID is the child's process id.
func (e *Engine) PID() int { return e.cmd.Process.Pid }

// Dial connects to the engine whatever its kind of address; it fits the
// driver's Options.DialContext.
func (e *Engine) Dial(ctx context.Context, _ string) (net.Conn, error) {
	network, address, err := splitAddr(e.addr)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}
