package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/embedded/process"
)

// Options configure a Server. Only DataDir is required.
type Options struct {
	// DataDir is a directory for this server alone; it is made when absent.
	DataDir string
	// Search says where the binaries are.
	Search Search
	// RunAs is the user to run as when this process is root. Default: the
	// first of "postgres" and "nobody" that exists.
	RunAs string
	// TCP is a loopback address (127.0.0.1:5433) to listen on besides the
	// socket; empty is none.
	TCP string
	// SharedBuffers and MaxConnections size the server. Defaults "64MB", 100.
	SharedBuffers  string
	MaxConnections int
	// StartTimeout bounds a start, crash recovery included. Default 60 s.
	StartTimeout time.Duration
	// OnState is told every change of state; it must not block.
	OnState func(process.Status)

	Logger  *slog.Logger          // default slog.Default()
	Metrics prometheus.Registerer // nil: none
}

// Server is a running PostgreSQL.
type Server struct {
	opt       Options
	log       *slog.Logger
	install   Install
	account   *account // nil: the user of this process
	lock      *process.DirLock
	child     *process.Child
	password  string
	socketDir string
	tcpHost   string
	tcpPort   string
}

// Start finds, initialises and starts PostgreSQL, and returns when it answers
// queries. On error nothing is left running. The server is then supervised
// until Stop, whatever becomes of ctx.
func Start(ctx context.Context, opt Options) (*Server, error) {
	s, err := prepare(ctx, opt)
	if err != nil {
		return nil, fmt.Errorf("embedded postgres: %w", err)
	}
	if err := s.start(ctx); err != nil {
		s.dropSocketDir()
		return nil, fmt.Errorf("embedded postgres: %w", errors.Join(err, s.lock.Release()))
	}
	return s, nil
}

// prepare does all that needs no process and ends with the lock held.
func prepare(ctx context.Context, opt Options) (*Server, error) {
	if opt.DataDir == "" {
		return nil, errors.New("option DataDir is required")
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.SharedBuffers == "" {
		opt.SharedBuffers = "64MB"
	}
	if opt.MaxConnections == 0 {
		opt.MaxConnections = 100
	}
	if opt.MaxConnections < 10 {
		return nil, fmt.Errorf("option MaxConnections is %d: want at least 10", opt.MaxConnections)
	}
	if opt.StartTimeout == 0 {
		opt.StartTimeout = time.Minute
	}
	s := &Server{opt: opt, log: opt.Logger}
	var err error
	if s.opt.DataDir, err = filepath.Abs(opt.DataDir); err != nil {
		return nil, err
	}
	if opt.TCP != "" {
		if err := process.LoopbackOnly(opt.TCP, "--postgres-addr"); err != nil {
			return nil, err
		}
		if s.tcpHost, s.tcpPort, err = net.SplitHostPort(opt.TCP); err != nil {
			return nil, err
		}
		if n, err := strconv.Atoi(s.tcpPort); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("--postgres-addr: port %q: want 1 to 65535", s.tcpPort)
		}
	}
	if s.install, err = Locate(ctx, opt.Search); err != nil {
		return nil, err
	}
	if w := s.SecurityWarning(); w != "" {
		s.log.Warn(w)
	}
	if s.account, err = chooseAccount(opt.RunAs); err != nil {
		return nil, err
	}
	if err := s.makeDataDir(); err != nil {
		return nil, err
	}
	if s.lock, err = process.Lock(s.opt.DataDir); err != nil {
		return nil, err
	}
	return s, nil
}

// makeDataDir makes the data directory, owned by the account and closed to
// others, and checks that the account can get there and to the binaries.
func (s *Server) makeDataDir() error {
	if err := os.MkdirAll(filepath.Dir(s.opt.DataDir), 0o755); err != nil { // #nosec G301 -- the unprivileged PostgreSQL user must pass through
		return fmt.Errorf("make the data directory: %w", err)
	}
	if err := os.Mkdir(s.opt.DataDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if err := s.account.reach(s.opt.DataDir); err != nil {
		return err
	}
	if err := s.account.reach(filepath.Join(s.install.BinDir, "postgres")); err != nil {
		return err
	}
	return s.account.own(s.opt.DataDir)
}

func (s *Server) start(ctx context.Context) error {
	if err := s.initialise(ctx); err != nil {
		return err
	}
	if err := s.readPassword(); err != nil {
		return err
	}
	if err := s.makeSocketDir(); err != nil {
		return err
	}
	if s.opt.TCP != "" {
		// PostgreSQL would say it too, but not which flag to change.
		ln, err := process.Listen(ctx, s.opt.TCP, "--postgres-addr")
		if err != nil {
			return err
		}
		_ = ln.Close()
	}
	child, err := process.New(process.Options{
		Name:       "postgres",
		Command:    s.command,
		Credential: s.account.credential(),
		Probe:      s.probe,
		// Immediate shutdown: the postmaster takes its backends with it and the
		// next start replays the log. SIGKILL would leave backends to notice
		// by themselves.
		DeathSignal:  syscall.SIGQUIT,
		Stop:         []process.StopStep{{Signal: syscall.SIGINT, Wait: 20 * time.Second}, {Signal: syscall.SIGQUIT, Wait: 7 * time.Second}},
		StartTimeout: s.opt.StartTimeout,
		OnState:      s.opt.OnState,
		Level:        logLevel,
		Logger:       s.log,
		Metrics:      s.opt.Metrics,
	})
	if err != nil {
		return err
	}
	if err := child.Start(ctx); err != nil {
		return err
	}
	s.child = child
	s.log.Info("postgres is ready", "version", s.install.Version.String(), "bin", s.install.BinDir, "socket", s.socketDir, "data", s.opt.DataDir)
	return nil
}

// command is called before every start, restarts included: what a crash of the
// postmaster left has to be cleared each time.
func (s *Server) command() (*exec.Cmd, error) {
	pgdata := filepath.Join(s.opt.DataDir, clusterDir)
	ctx, cancel := context.WithTimeout(context.Background(), s.opt.StartTimeout)
	defer cancel()
	if err := clearStale(ctx, s.log, pgdata, s.socketDir); err != nil {
		return nil, err
	}
	port, listen := strconv.Itoa(socketPort), ""
	if s.opt.TCP != "" {
		port, listen = s.tcpPort, s.tcpHost
	}
	args := []string{"-D", pgdata}
	for _, kv := range []string{
		"listen_addresses=" + listen,
		"port=" + port,
		"unix_socket_directories=" + s.socketDir,
		"unix_socket_permissions=0700",
		"shared_buffers=" + s.opt.SharedBuffers,
		"max_connections=" + strconv.Itoa(s.opt.MaxConnections),
		"fsync=on", "full_page_writes=on", "synchronous_commit=on",
		"max_wal_size=512MB",
		"wal_level=replica",
		"max_wal_senders=0",
		// A small server of short queries: workers and compilation cost more
		// than they give, and a container's /dev/shm is small.
		"max_parallel_workers_per_gather=0",
		"jit=off",
		"logging_collector=off", "log_destination=stderr", "log_line_prefix=",
		"timezone=UTC", "log_timezone=UTC",
		"password_encryption=scram-sha-256",
		"cluster_name=tenantwatch",
	} {
		args = append(args, "-c", kv)
	}
	cmd := exec.Command(filepath.Join(s.install.BinDir, "postgres"), args...)
	cmd.Env, cmd.Dir = environment(s.install), "/"
	return cmd, nil
}

func (s *Server) probe(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.DSN("", "postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "select 1")
	return errors.Join(err, conn.Close(ctx))
}

// logLevel reads the severity that PostgreSQL puts in front.
func logLevel(line string) slog.Level {
	if strings.HasPrefix(line, "FATAL:  the database system is ") { // starting up, shutting down: said to our own probe
		return slog.LevelDebug
	}
	for prefix, l := range map[string]slog.Level{
		"LOG:": slog.LevelDebug, "DETAIL:": slog.LevelDebug, "HINT:": slog.LevelInfo, "STATEMENT:": slog.LevelDebug,
		"NOTICE:": slog.LevelDebug, "INFO:": slog.LevelInfo, "WARNING:": slog.LevelWarn,
		"ERROR:": slog.LevelWarn, "FATAL:": slog.LevelWarn, "PANIC:": slog.LevelError,
	} {
		if strings.HasPrefix(line, prefix) {
			return l
		}
	}
	return slog.LevelDebug
}

// Superuser is the name of the bootstrap role.
func (s *Server) Superuser() string { return superuser }

// RolePassword is the password that this server gives to role: the superuser's
// is random, all others are derived from it, so that a role made once can be
// used again after a restart without another secret file.
func (s *Server) RolePassword(role string) string {
	if role == "" || role == superuser {
		return s.password
	}
	m := hmac.New(sha256.New, []byte(s.password))
	m.Write([]byte("tenantwatch role password\x00" + role))
	return hex.EncodeToString(m.Sum(nil))
}

// DSN is the connection string of role user (empty: the superuser) to database
// db, for pgx. It holds the password: never log it.
func (s *Server) DSN(user, db string) string {
	if user == "" {
		user = superuser
	}
	port := strconv.Itoa(socketPort)
	if s.opt.TCP != "" {
		port = s.tcpPort
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, s.RolePassword(user)), Path: "/" + db}
	q := url.Values{"host": {s.socketDir}, "port": {port}, "sslmode": {"disable"}}
	u.RawQuery = q.Encode()
	return u.String()
}

// EnsureRole makes the login role name, without any privilege, or resets its
// password to RolePassword(name) and its dangerous attributes to off.
func (s *Server) EnsureRole(ctx context.Context, name string) error {
	return s.admin(ctx, func(conn *pgx.Conn) error {
		id := pgx.Identifier{name}.Sanitize()
		var there bool
		if err := conn.QueryRow(ctx, "select exists(select from pg_roles where rolname = $1)", name).Scan(&there); err != nil {
			return fmt.Errorf("look for role %s: %w", name, err)
		}
		verb := "create"
		if there {
			verb = "alter"
		}
		// Hexadecimal: nothing to escape.
		sql := fmt.Sprintf("%s role %s login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password '%s'", verb, id, s.RolePassword(name))
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s role %s: %w", verb, name, err)
		}
		return nil
	})
}

// EnsureDatabase makes the database name, owned by role owner, unless it is
// there.
func (s *Server) EnsureDatabase(ctx context.Context, name, owner string) error {
	return s.admin(ctx, func(conn *pgx.Conn) error {
		var there bool
		if err := conn.QueryRow(ctx, "select exists(select from pg_database where datname = $1)", name).Scan(&there); err != nil {
			return fmt.Errorf("look for database %s: %w", name, err)
		}
		if there {
			return nil
		}
		id := pgx.Identifier{name}.Sanitize()
		if _, err := conn.Exec(ctx, fmt.Sprintf("create database %s owner %s", id, pgx.Identifier{owner}.Sanitize())); err != nil {
			return fmt.Errorf("create database %s: %w", name, err)
		}
		return nil
	})
}

func (s *Server) admin(ctx context.Context, fn func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.DSN("", "postgres"))
	if err != nil {
		return fmt.Errorf("embedded postgres: connect as superuser: %w", err)
	}
	return errors.Join(fn(conn), conn.Close(context.WithoutCancel(ctx)))
}

// Version is that of the binaries.
func (s *Server) Version() Version { return s.install.Version }

// SecurityWarning is for the operator; empty when there is nothing to say.
func (s *Server) SecurityWarning() string { return s.install.SecurityWarning() }

// Status is for /readyz.
func (s *Server) Status() process.Status { return s.child.Status() }

// Done is closed when the server has been stopped.
func (s *Server) Done() <-chan struct{} { return s.child.Done() }

// Stop ends the server by a fast shutdown, in at most 27 s or when ctx is done,
// and gives the data directory back.
func (s *Server) Stop(ctx context.Context) error {
	err := s.child.Stop(ctx)
	s.dropSocketDir()
	return errors.Join(err, s.lock.Release())
}
