package clickhouse

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// ChildOptions says what the child process serves and where.
type ChildOptions struct {
	LibPath     string // libchdb.so
	DataDir     string // made when missing; one child at a time
	Addr        string // "127.0.0.1:port" (0: any free one) or "unix:/path"
	MemoryLimit int64  // bytes for the whole process, at least 512 MiB; 0: DefaultMemoryLimit
	MaxQueries  int    // statements at once; 0: DefaultMaxQueries
	LogLevel    string // debug, info, warn (default), error, off: the engine's own log, a rotated file in DataDir
	Logger      *slog.Logger

	// Lifeline gives the secret as its first line; its end is the parent's
	// death, at which the process exits at once. Nil: os.Stdin.
	Lifeline io.Reader
	// Status takes one line of JSON when the child serves, or why it can't.
	// Nil: file descriptor 3.
	Status io.Writer
}

// exitOrphaned is the exit status of a child whose parent is gone.
const exitOrphaned = 86

// status is the line that the child writes once.
type status struct {
	Addr    string `json:"addr,omitempty"`
	Version string `json:"version,omitempty"`
	Error   string `json:"error,omitempty"`
}

// RunChildArgs is RunChild with the command line that Start appends to
// Options.Command; the hidden command hands its arguments over unread.
func RunChildArgs(ctx context.Context, args []string) error {
	var o ChildOptions
	fs := flag.NewFlagSet("clickhouse engine", flag.ContinueOnError)
	fs.StringVar(&o.LibPath, "lib", "", "engine library")
	fs.StringVar(&o.DataDir, "data-dir", "", "data directory")
	fs.StringVar(&o.Addr, "listen", "", "address")
	fs.Int64Var(&o.MemoryLimit, "memory-limit", DefaultMemoryLimit, "bytes")
	fs.IntVar(&o.MaxQueries, "max-queries", DefaultMaxQueries, "statements at once")
	fs.StringVar(&o.LogLevel, "log-level", "warn", "log level")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("arguments of the engine's process: %w", err)
	}
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(o.LogLevel))
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	// The parent asks for an orderly end by SIGTERM; an interrupt typed at a
	// terminal is the parent's to act on.
	signal.Ignore(os.Interrupt)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	return RunChild(ctx, o)
}

func (o ChildOptions) args() []string {
	return []string{
		"--lib=" + o.LibPath, "--data-dir=" + o.DataDir, "--listen=" + o.Addr,
		fmt.Sprintf("--memory-limit=%d", o.MemoryLimit), fmt.Sprintf("--max-queries=%d", o.MaxQueries), "--log-level=" + o.LogLevel,
	}
}

func (o *ChildOptions) validate() error {
	if o.LibPath == "" {
		return errors.New("clickhouse engine: no library given: set the path of libchdb.so (fetch it with `make engine`)")
	}
	if o.DataDir == "" {
		return errors.New("clickhouse engine: no data directory given")
	}
	if o.MemoryLimit == 0 {
		o.MemoryLimit = DefaultMemoryLimit
	}
	if o.MemoryLimit < minMemoryLimit {
		return fmt.Errorf("clickhouse engine: memory limit of %d bytes: want at least %d", o.MemoryLimit, minMemoryLimit)
	}
	if o.MaxQueries == 0 {
		o.MaxQueries = DefaultMaxQueries
	}
	if o.MaxQueries < 1 || o.MaxQueries > maxMaxQueries {
		return fmt.Errorf("clickhouse engine: %d statements at once: want 1 to %d", o.MaxQueries, maxMaxQueries)
	}
	if _, _, err := splitAddr(o.Addr); err != nil {
		return err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// splitAddr reads "unix:/path" or a loopback host:port.
func splitAddr(addr string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		// sun_path holds 108 bytes with the closing zero.
		if path == "" || len(path) > 107 {
			return "", "", fmt.Errorf("clickhouse engine: socket path of %d bytes: want 1 to 107", len(path))
		}
		return "unix", path, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", "", fmt.Errorf("clickhouse engine: address %q: want 127.0.0.1:port or unix:/path", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", "", fmt.Errorf("clickhouse engine: address %q is not on the loopback interface: the embedded engine serves this machine only", addr)
	}
	return "tcp", addr, nil
}

// RunChild loads the library, starts the engine and serves until ctx ends,
// SIGTERM's way of asking, or until the lifeline breaks, which exits the
// process. It must be the only thing its process does.
func RunChild(ctx context.Context, o ChildOptions) error {
	if o.Lifeline == nil {
		o.Lifeline = os.Stdin
	}
	if o.Status == nil {
		o.Status = os.NewFile(3, "status")
	}
	err := runChild(ctx, o)
	if err != nil {
		// The parent, if it still waits, shows this instead of an exit status.
		_ = writeStatus(o.Status, status{Error: err.Error()})
	}
	return err
}

func writeStatus(w io.Writer, s status) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func runChild(ctx context.Context, o ChildOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	lifeline := bufio.NewReader(o.Lifeline)
	token, err := lifeline.ReadString('\n')
	token = strings.TrimSpace(token)
	if err != nil || len(token) < 16 {
		return errors.New("clickhouse engine: no secret of at least 16 characters on standard input: this command is started by tenantwatch itself")
	}
	go func() {
		// Nothing is sent: the read ends when the parent does. Not an orderly
		// end: there is nobody left to wait for it, and the store stands it.
		_, _ = io.Copy(io.Discard, lifeline)
		os.Exit(exitOrphaned)
	}()
	// The Go side only moves bytes; the engine needs the memory.
	debug.SetGCPercent(50)

	// The engine makes its files readable for all; they are nobody else's.
	syscall.Umask(0o077)
	dirs := layout{o.DataDir}
	if dirs.dir, err = filepath.Abs(o.DataDir); err != nil {
		return fmt.Errorf("clickhouse engine: data directory: %w", err)
	}
	if err := os.MkdirAll(dirs.store(), 0o700); err != nil {
		return fmt.Errorf("clickhouse engine: make the data directory: %w", err)
	}
	lock, err := lockDir(dirs)
	if err != nil {
		return err
	}
	defer lock.Close()
	ln, err := listen(o.Addr)
	if err != nil {
		return err
	}
	defer ln.Close()
	if err := writeConfig(dirs, o); err != nil {
		return err
	}
	// What a killed engine left half done is of no use to the next.
	_ = os.RemoveAll(filepath.Join(dirs.store(), "tmp"))
	lib, err := loadLibrary(o.LibPath)
	if err != nil {
		return err
	}
	f, err := newFront(lib, sessionArgs(dirs, o), token, o.MaxQueries, 5*time.Second, o.Logger)
	if err != nil {
		return fmt.Errorf("%w (its log: %s)", err, dirs.log())
	}
	return serve(ctx, f, ln, o)
}

// lockDir takes the data directory for this process. A parent that was killed
// leaves a child that is about to exit: that one is waited for.
func lockDir(l layout) (*os.File, error) {
	file, err := os.OpenFile(l.lock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("clickhouse engine: open the lock of the data directory: %w", err)
	}
	deadline := time.Now().Add(2 * time.Second)
	for {
		if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("clickhouse engine: lock %s: %w", l.lock(), err)
		}
		if time.Now().After(deadline) {
			pid, _ := io.ReadAll(io.LimitReader(file, 20))
			file.Close()
			return nil, fmt.Errorf("clickhouse engine: data directory %s is in use by another process (pid %s): stop it, or choose another directory", l.dir, strings.TrimSpace(string(pid)))
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = file.Truncate(0)
	if _, err := file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		file.Close()
		return nil, fmt.Errorf("clickhouse engine: write %s: %w", l.lock(), err)
	}
	return file, nil
}

func listen(addr string) (net.Listener, error) {
	network, address, err := splitAddr(addr)
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		if c, err := net.Dial(network, address); err == nil {
			c.Close()
			return nil, fmt.Errorf("clickhouse engine: socket %s is in use by another process", address)
		}
		_ = os.Remove(address)
	}
	ln, err := net.Listen(network, address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("clickhouse engine: address %s is in use by another process: stop it, or choose another port", address)
	}
	if err != nil {
		return nil, fmt.Errorf("clickhouse engine: listen on %s: %w", addr, err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o600); err != nil {
			ln.Close()
			return nil, fmt.Errorf("clickhouse engine: protect the socket: %w", err)
		}
	}
	return ln, nil
}

// stopGrace is how long statements under way may go on after ctx has ended.
const stopGrace = 5 * time.Second

func serve(ctx context.Context, f *front, ln net.Listener, o ChildOptions) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler:           f,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    2 * maxSQL,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	addr := ln.Addr().String()
	if ln.Addr().Network() == "unix" {
		addr = "unix:" + addr
	}
	if err := writeStatus(o.Status, status{Addr: addr, Version: f.version}); err != nil {
		srv.Close()
		<-served
		return fmt.Errorf("clickhouse engine: tell the parent: %w", err)
	}
	select {
	case err := <-served:
		return fmt.Errorf("clickhouse engine: serve: %w", err)
	case <-ctx.Done():
	}
	grace, done := context.WithTimeout(context.Background(), stopGrace)
	defer done()
	if srv.Shutdown(grace) != nil {
		cancel() // kills what still runs
		last, done := context.WithTimeout(context.Background(), stopGrace)
		defer done()
		if err := srv.Shutdown(last); err != nil {
			<-served
			return fmt.Errorf("clickhouse engine: statements did not end: %w", err)
		}
	}
	<-served
	f.close()
	return nil
}
