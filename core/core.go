package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/tenantwatch/tenantwatch/core/seal"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Config is what Open needs. DSN and one of KeyFile and Sealer are required.
type Config struct {
	// DSN signs in as tenantwatch_service (or a role granted the same three
	// memberships): a URL or keyword string as libpq reads it.
	DSN string
	// MaxConns bounds the pool; default 10.
	MaxConns int32
	// PgBouncer is set when DSN leads to a pooler in transaction mode without
	// max_prepared_statements: nothing is prepared then.
	PgBouncer bool
	// KeyFile holds the key that seals webhook secrets; created when missing.
	KeyFile string
	// Sealer replaces KeyFile, e.g. with a KMS.
	Sealer seal.Sealer
	// RequireFixed refuses a server older than the release that closed the
	// leaks through ON CONFLICT; otherwise Open only warns.
	RequireFixed bool
	// AllowHTTPWebhooks accepts http:// endpoints; otherwise only https://.
	// CheckDestination says whether a destination of another kind than webhook
	// can be sent to, and completes its address; nil knows webhooks only.
	CheckDestination  func(kind, address string, settings map[string]string, token string) error
	AllowHTTPWebhooks bool
	// SessionIdle and SessionLife end a session after so long without a
	// request, and in any case; default 2 h and 12 h.
	SessionIdle, SessionLife time.Duration
	// Quotas bound what each tenant may use; default: no bound.
	Quotas Quotas
	// Password sets the cost of hashing; default 64 MiB, 2 passes, 1 lane.
	Password PasswordCost
	// Poll is how often Run looks for alerts stored by other processes;
	// default 1 s. Those of this process are announced at once.
	Poll time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time

	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

// Core is the open service. Its fields are its parts; all are safe for
// concurrent use.
type Core struct {
	Tenants  *Tenants
	Identity *Identity
	Keys     *Keys
	Alerts   *Alerts
	Findings *Findings
	Webhooks *Webhooks
	Searches *Searches
	Exports  *Exports
	Streams  *Streams
	Audit    *Audit
	Usage    *Usage

	Suppressions *Suppressions

	cfg     Config
	pool    *pgxpool.Pool
	log     *slog.Logger
	now     func() time.Time
	sealer  seal.Sealer
	tenants *cache[string, tenantRow]
	hub     *hub
	changes *changeHub
	metrics *metrics
	server  ServerInfo
	close   sync.Once
}

const credentialTTL = 5 * time.Second // how long a revocation may take to be felt

// Open connects, checks server, role and schema version, and starts nothing:
// call Run to keep last-used times and subscriptions going, and Close at the
// end.
func Open(ctx context.Context, cfg Config) (*Core, error) {
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 10
	}
	if cfg.SessionIdle == 0 {
		cfg.SessionIdle = 2 * time.Hour
	}
	if cfg.SessionLife == 0 {
		cfg.SessionLife = 12 * time.Hour
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Password = cfg.Password.orDefault()
	if cfg.MaxConns < 0 || cfg.SessionIdle < 0 || cfg.SessionLife < cfg.SessionIdle || cfg.Poll < 0 {
		return nil, errors.New("core: MaxConns and Poll must be positive, SessionLife at least SessionIdle")
	}
	sealer := cfg.Sealer
	if sealer == nil {
		if cfg.KeyFile == "" {
			return nil, errors.New("core: give KeyFile or Sealer: webhook secrets are sealed with it")
		}
		k, err := seal.KeyFile(cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("core: %w", err)
		}
		sealer = k
	}
	pc, err := pgxpool.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, fmt.Errorf("core: DSN: %w", err)
	}
	pc.MaxConns = cfg.MaxConns
	if cfg.PgBouncer {
		pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
		pc.ConnConfig.StatementCacheCapacity = 0
		pc.ConnConfig.DescriptionCacheCapacity = 0
	}
	m, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("core: metrics: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("core: connect: %w", err)
	}
	c := &Core{
		cfg: cfg, pool: pool, log: cfg.Logger, now: cfg.Now, sealer: sealer, metrics: m,
		tenants: newCache[string, tenantRow](20_000, credentialTTL, cfg.Now),
		hub:     newHub(),
		changes: newChangeHub(),
	}
	c.Tenants = &Tenants{c}
	if c.Identity, err = newIdentity(c); err != nil {
		pool.Close()
		return nil, fmt.Errorf("core: %w", err)
	}
	c.Keys = newKeys(c)
	c.Alerts = &Alerts{c}
	c.Findings = &Findings{c}
	c.Suppressions = &Suppressions{c}
	c.Webhooks = &Webhooks{c}
	c.Searches = &Searches{c}
	c.Exports = &Exports{c}
	c.Streams = &Streams{c}
	c.Audit = &Audit{c: c, notes: notes{byKey: make(map[noteKey]*folded)}}
	c.Usage = &Usage{c: c, allowed: newCache[tenant.ID, Allowance](20_000, credentialTTL, c.now), counted: make(map[usageKey]UsageCounts)}
	if err := c.check(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return c, nil
}

// check refuses to work where row-level security would not hold.
func (c *Core) check(ctx context.Context) error {
	info, err := serverInfo(ctx, c.pool)
	if err != nil {
		return fmt.Errorf("core: connect: %w", err)
	}
	c.server = info
	if info.Num < minServer {
		return fmt.Errorf("core: PostgreSQL %s is too old: 15 or later is needed", info.Version)
	}
	if info.Warning != "" {
		if c.cfg.RequireFixed {
			return fmt.Errorf("core: %s", info.Warning)
		}
		c.log.Warn(info.Warning)
	}
	var user string
	var above, owner bool
	err = c.pool.QueryRow(ctx, `select current_user, r.rolsuper or r.rolbypassrls,
		exists (select from pg_catalog.pg_namespace n where n.nspname = 'tenantwatch' and pg_has_role(n.nspowner, 'usage'))
		from pg_catalog.pg_roles r where r.rolname = current_user`).Scan(&user, &above, &owner)
	if err != nil {
		return fmt.Errorf("core: look at the connection's role: %w", err)
	}
	if above || owner {
		return fmt.Errorf("core: role %q is above row-level security (superuser, BYPASSRLS or owner of the tables): "+
			"connect as tenantwatch_service", user)
	}
	want, err := schemaVersions()
	if err != nil {
		return err
	}
	var have []int64
	err = c.InPlatform(ctx, OpSchema, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select coalesce(array_agg(distinct version_id), '{}') from goose_db_version where is_applied and version_id > 0`).Scan(&have)
	})
	if err != nil {
		return fmt.Errorf("core: read the schema's version (has it been migrated?): %w", err)
	}
	for _, v := range want {
		if !slices.Contains(have, v) {
			return fmt.Errorf("core: the schema lacks version %d of those this program needs: run migrate", v)
		}
	}
	if newest := slices.Max(append(have, 0)); newest > want[len(want)-1] {
		return fmt.Errorf("core: the schema is at version %d, this program knows %d: use the newer program", newest, want[len(want)-1])
	}
	return nil
}

// Server tells what the database server is.
func (c *Core) Server() ServerInfo { return c.server }

// Ping reports whether the database answers.
func (c *Core) Ping(ctx context.Context) error {
	if err := c.pool.Ping(ctx); err != nil {
		return fmt.Errorf("core: %w", err)
	}
	return nil
}

// Run keeps what must happen in the background until ctx is done: last-used
// times of keys, announcing alerts stored by other processes, and pruning.
func (c *Core) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.Keys.flushLoop(ctx) })
	g.Go(func() error { return c.Audit.flushLoop(ctx) })
	g.Go(func() error { return c.Usage.flushLoop(ctx) })
	g.Go(func() error { return c.watchLoop(ctx) })
	g.Go(func() error { return c.pruneLoop(ctx) })
	return g.Wait()
}

// Close writes what is still to be written and closes the pool.
func (c *Core) Close() {
	c.close.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.Keys.flush(ctx); err != nil {
			c.log.Warn("last-used times of keys are lost", "error", err)
		}
		if err := c.Usage.Flush(ctx); err != nil {
			c.log.Warn("what tenants used last is not counted", "error", err)
		}
		if err := c.Audit.FlushNotes(ctx, true); err != nil {
			c.log.Warn("the trail's last counts are lost", "error", err)
		}
		c.pool.Close()
	})
}

// attemptsKept is how long delivery attempts can be looked at.
const attemptsKept = 30 * 24 * time.Hour

func (c *Core) pruneLoop(ctx context.Context) error {
	t := time.NewTicker(10 * time.Minute)
	defer t.Stop()
	for {
		if err := c.Prune(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("prune", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Prune removes expired sessions and delivery attempts older than 30 days.
func (c *Core) Prune(ctx context.Context) error {
	now := c.now()
	return c.InPlatform(ctx, OpPrune, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `delete from sessions where expires_at < $1 or idle_until < $1`, now); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from outbox where state = 'delivered' and finished_at < $1`, now.Add(-attemptsKept)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `delete from delivery_attempts where at < $1`, now.Add(-attemptsKept))
		return err
	})
}
