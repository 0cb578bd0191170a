package eventstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
)

// Config says how to reach ClickHouse and what a read may cost.
type Config struct {
	Addr     []string // host:port, at least one
	Database string   // default "tenantwatch"; made by Migrate when missing
	Username string   // default "default"
	Password string
	TLS      *tls.Config // nil: plain text
	Native   bool        // the native protocol; default is HTTP, the only one the embedded engine speaks
	// Dial opens connections instead of the network's own dialer; the embedded
	// engine hands in one that reaches its socket.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	ReadTimeout  time.Duration // of one read by a user; default 30 s
	ReadMemory   uint64        // bytes the engine may use for one; default 1 GiB
	WriteTimeout time.Duration // of one insert or lookup by the pipeline; default 60 s
	MaxConns     int           // default 16

	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // nil: none
}

// ErrNotReady is wrapped when the store does not answer.
var ErrNotReady = errors.New("event store is not available")

var databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// Store is a pool of connections to one database. It is safe for concurrent use.
type Store struct {
	cfg  Config
	conn driver.Conn
	in   *inserter
	log  *slog.Logger
	m    metrics
	gate *gate

	// Set by tests only: each takes one of the two guards of a read away, to
	// show that the other one holds alone.
	withoutBinding, withoutFilter bool
}

// Open checks the configuration and makes the pool; it connects at the first
// use. Call Migrate before anything else.
func Open(_ context.Context, cfg Config) (*Store, error) {
	if len(cfg.Addr) == 0 {
		return nil, errors.New("event store: no address given: want at least one host:port")
	}
	if cfg.Database == "" {
		cfg.Database = "tenantwatch"
	}
	if !databaseName.MatchString(cfg.Database) {
		return nil, fmt.Errorf("event store: database name %q: want letters, digits and _, at most 63", cfg.Database)
	}
	if cfg.Username == "" {
		cfg.Username = "default"
	}
	if cfg.ReadTimeout <= 0 {
		cfg.ReadTimeout = 30 * time.Second
	}
	if cfg.ReadMemory == 0 {
		cfg.ReadMemory = 1 << 30
	}
	if cfg.WriteTimeout <= 0 {
		cfg.WriteTimeout = time.Minute
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = 16
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(cfg.options(cfg.Database))
	if err != nil {
		return nil, fmt.Errorf("event store: %w", err)
	}
	// A quarter of the connections is the pipeline's own: readers cannot hold it up.
	return &Store{cfg: cfg, conn: conn, in: newInserter(cfg), log: cfg.Logger, m: m, gate: newGate(cfg.MaxConns-cfg.MaxConns/4, readsPerTenant)}, nil
}

func (c Config) options(database string) *clickhouse.Options {
	o := &clickhouse.Options{
		Addr:            c.Addr,
		Auth:            clickhouse.Auth{Database: database, Username: c.Username, Password: c.Password},
		TLS:             c.TLS,
		DialContext:     c.Dial,
		DialTimeout:     10 * time.Second,
		ReadTimeout:     max(c.ReadTimeout, c.WriteTimeout) + 10*time.Second,
		MaxOpenConns:    c.MaxConns,
		MaxIdleConns:    c.MaxConns,
		ConnMaxLifetime: time.Hour,
		Protocol:        clickhouse.HTTP,
	}
	if c.Native {
		o.Protocol = clickhouse.Native
		o.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	}
	return o
}

// Close releases the connections.
func (s *Store) Close() error {
	s.in.close()
	return s.conn.Close()
}

// Ready reports whether the store answers and its schema is the one this
// program needs; the error says what is wrong.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	want, err := migrations()
	if err != nil {
		return err
	}
	var have uint64
	if err := s.conn.QueryRow(ctx, "SELECT uniqExact(version) FROM schema_migrations").Scan(&have); err != nil {
		return fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	if have < uint64(len(want)) {
		return fmt.Errorf("%w: its schema has %d of %d migrations: run `tenantwatch migrate`", ErrNotReady, have, len(want))
	}
	return nil
}

// Stats are the sizes of the store.
type Stats struct {
	Events      uint64 // rows
	Quarantined uint64 // rows
	Bytes       uint64 // on disk, compressed
	Parts       uint64 // active parts of all tables
}

// Stats reads the sizes, over all tenants: for operators.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	var st Stats
	err := s.conn.QueryRow(ctx, `SELECT sumIf(rows, table = 'events'), sumIf(rows, table = 'quarantine'), sum(bytes_on_disk), count()
		FROM system.parts WHERE active AND database = {db:String}`, clickhouse.Named("db", s.cfg.Database)).
		Scan(&st.Events, &st.Quarantined, &st.Bytes, &st.Parts)
	if err != nil {
		return Stats{}, fmt.Errorf("read the sizes of the event store: %w", err)
	}
	return st, nil
}

// work is the context of the pipeline's own statements.
func (s *Store) work(ctx context.Context, extra clickhouse.Settings) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.WriteTimeout)
	set := clickhouse.Settings{"max_execution_time": int(s.cfg.WriteTimeout / time.Second), "max_query_size": 64 << 20}
	for k, v := range extra {
		set[k] = v
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(set)), cancel
}
