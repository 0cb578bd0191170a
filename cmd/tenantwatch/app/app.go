// Package app is the wiring: which role needs which part, in what order they
// start, and how they end. `up` and `serve` run the same roles over the same
// code; up brings the three services along. Only cmd imports it.
package app

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/api/ops"
	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/config"
	"github.com/tenantwatch/tenantwatch/collector/enrich"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/delivery"
	"github.com/tenantwatch/tenantwatch/dashboards"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/embedded/process"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/ingest"
)

// EngineCommand is the hidden command that becomes the ClickHouse child.
const EngineCommand = "engine-child"

// Roles is the table of roles, in the order they start.
var Roles = []struct{ Name, Does string }{
	{"pipeline", "moves events from Kafka into ClickHouse, exactly once"},
	{"detectors", "scores events and raises alerts"},
	{"notifier", "delivers alerts to webhooks"},
	{"api", "serves the API and the dashboard"},
	{"collector", "takes events in"},
}

// Options are what a run is made of.
type Options struct {
	Config   config.Config
	Version  string
	Logger   *slog.Logger
	Roles    []string // names of Roles; empty: all
	Embedded bool     // bring Kafka, ClickHouse and Postgres along
	Demo     bool     // demo tenants, logins and traffic; needs Embedded
	// Progress is told what a slow start is doing. It may be nil.
	Progress func(step string)
	// Ready is called once when everything answers.
	Ready func(Info)
}

// Info is what a person needs to know when it runs.
type Info struct {
	API, Collector, Ops string // base URLs
	DataDir             string
	Logins              []Login
	Token               string // path of the operator's credential
	Warning             string
}

// Login is one account to sign in with.
type Login struct{ Role, Tenant, Email, Password string }

// App is one run.
type App struct {
	opts     Options
	log      *slog.Logger
	reg      *prometheus.Registry
	life     *lifecycle
	checks   []ops.Check
	enricher *enrich.Enricher // made by the first part that needs it
}

func (a *App) progress(step string) {
	if a.opts.Progress != nil {
		a.opts.Progress(step)
	}
	a.log.Debug(step)
}

func (a *App) check(name string, probe func(context.Context) error) {
	a.checks = append(a.checks, ops.Check{Name: name, Probe: probe})
}

func (a *App) has(role string) bool {
	return len(a.opts.Roles) == 0 || slices.Contains(a.opts.Roles, role)
}

// Run starts everything, waits for ctx or the first failure, and stops in the
// reverse order.
func Run(ctx context.Context, opts Options) (err error) {
	a := &App{opts: opts, log: opts.Logger, reg: prometheus.NewRegistry(), life: newLifecycle(opts.Logger)}
	a.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() { err = errors.Join(err, a.life.stop()) }()
	info, err := a.start(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while starting
		}
		return err
	}
	if opts.Ready != nil {
		opts.Ready(info)
	}
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
		return nil
	case err := <-a.life.failed:
		return err
	}
}

// listeners are opened before anything heavy, so that a busy port is said at
// once.
type listeners struct{ api, collector, ops, otlp net.Listener }

func (a *App) listen(ctx context.Context) (l listeners, err error) {
	c := a.opts.Config.Listen
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.ops, err = process.Listen(ctx, c.Ops, "--listen-ops"); err != nil {
		return l, err
	}
	if a.has("api") {
		if l.api, err = process.Listen(ctx, c.API, "--listen-api"); err != nil {
			return l, err
		}
	}
	if a.has("collector") {
		if l.collector, err = process.Listen(ctx, c.Collector, "--listen-collector"); err == nil && c.OTLP != "" {
			l.otlp, err = process.Listen(ctx, c.OTLP, "--listen-otlp")
		}
	}
	return l, err
}

func (l *listeners) close() {
	for _, ln := range []net.Listener{l.api, l.collector, l.ops, l.otlp} {
		if ln != nil {
			_ = ln.Close() // closing twice is no harm
		}
	}
}

func baseURL(ln net.Listener) string {
	if ln == nil {
		return ""
	}
	return "http://" + ln.Addr().String()
}

func (a *App) start(ctx context.Context) (info Info, err error) {
	ls, err := a.listen(ctx)
	if err != nil {
		return info, err
	}
	a.life.add("listeners", func(context.Context) error { ls.close(); return nil })
	info = Info{API: baseURL(ls.api), Collector: baseURL(ls.collector), Ops: baseURL(ls.ops), DataDir: a.opts.Config.DataDir}
	if a.opts.Config.Collector.TLSCert != "" && info.Collector != "" {
		info.Collector = "https" + strings.TrimPrefix(info.Collector, "http")
	}
	if a.opts.Config.Web.TLSCert != "" {
		info.API = strings.Replace(info.API, "http:", "https:", 1)
	}
	if a.opts.Config.Web.PublicURL != "" {
		info.API = strings.TrimRight(a.opts.Config.Web.PublicURL, "/")
	}

	b, err := a.backends(ctx)
	if err != nil {
		return info, err
	}
	info.Warning = b.warning
	c, store, err := a.open(ctx, b)
	if err != nil {
		return info, err
	}
	if err := a.startRoles(ctx, b, c, store, ls); err != nil {
		return info, err
	}
	if a.opts.Embedded {
		if err := a.operator(ctx, c, &info); err != nil {
			return info, err
		}
	}
	if a.opts.Demo {
		if err := a.startDemo(ctx, c, &info); err != nil {
			return info, err
		}
	}
	o, err := ops.New(ops.Options{Logger: a.log.With("part", "ops"), Gatherer: a.reg, Checks: a.checks, Version: a.opts.Version})
	if err != nil {
		return info, err
	}
	a.life.run("ops", func(ctx context.Context) error { return o.Run(ctx, ls.ops) })
	return info, nil
}

// backends are the embedded parts, or the outside ones of the configuration.
func (a *App) backends(ctx context.Context) (backends, error) {
	if a.opts.Embedded {
		return a.startEmbedded(ctx)
	}
	c := a.opts.Config
	var missing []error
	for key, v := range map[string]string{"postgres.dsn": string(c.Postgres.DSN), "clickhouse.addr": c.ClickHouse.Addr, "kafka.brokers": c.Kafka.Brokers} {
		if v == "" {
			missing = append(missing, fmt.Errorf("%s is not set: serve needs an outside service (use `tenantwatch up` for the embedded ones)", key))
		}
	}
	if err := errors.Join(missing...); err != nil {
		return backends{}, err
	}
	b := backends{
		log:   eventlog.Config{Brokers: strings.Split(c.Kafka.Brokers, ","), SASL: eventlog.SASL{Username: c.Kafka.Username, Password: string(c.Kafka.Password)}},
		store: outsideStore(c),
		core:  core.Config{DSN: string(c.Postgres.DSN), PgBouncer: c.Postgres.PgBouncer, RequireFixed: !c.Postgres.AllowOld},
	}
	if c.Kafka.TLS {
		b.log.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return b, nil
}

// open brings the schemas up to date where we may, and opens the stores.
func (a *App) open(ctx context.Context, b backends) (*core.Core, *eventstore.Store, error) {
	if b.ownerDSN != "" {
		a.progress("applying the PostgreSQL schema")
		if err := core.Migrate(ctx, core.MigrateConfig{DSN: b.ownerDSN, ServicePassword: b.password, Logger: a.log.With("part", "core")}); err != nil {
			return nil, nil, fmt.Errorf("PostgreSQL schema: %w", err)
		}
	}
	cfg := b.core
	cfg.MaxConns = a.opts.Config.Postgres.MaxConns
	cfg.KeyFile = filepath.Join(a.opts.Config.DataDir, "keys", "seal.key")
	q := a.opts.Config.Quotas
	cfg.Quotas = core.Quotas{EventsPerSecond: q.EventsPerSecond, EventsPerDay: q.EventsPerDay, BytesPerDay: q.BytesPerDay, RequestsPerSecond: q.RequestsPerSecond}
	cfg.SessionIdle, cfg.SessionLife = a.opts.Config.Auth.SessionIdle, a.opts.Config.Auth.SessionLife
	cfg.AllowHTTPWebhooks = a.opts.Config.Webhooks.AllowPrivate
	cfg.CheckDestination = delivery.Check
	cfg.Logger, cfg.Metrics = a.log.With("part", "core"), a.reg
	if err := os.MkdirAll(filepath.Dir(cfg.KeyFile), 0o700); err != nil {
		return nil, nil, fmt.Errorf("key directory: %w", err)
	}
	c, err := core.Open(ctx, cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("core: %w", err)
	}
	a.life.add("core", func(context.Context) error { c.Close(); return nil })
	a.life.run("core", c.Run)
	a.check("core", c.Ping)

	a.progress("applying the ClickHouse schema")
	sc := b.store
	sc.Logger, sc.Metrics = a.log.With("part", "eventstore"), a.reg
	store, err := eventstore.Open(ctx, sc)
	if err != nil {
		return nil, nil, err
	}
	a.life.add("eventstore", func(context.Context) error { return store.Close() })
	if err := store.Migrate(ctx); err != nil {
		return nil, nil, fmt.Errorf("ClickHouse schema: %w", err)
	}
	a.check("eventstore", store.Ready)
	return c, store, nil
}

// logConfig is the log for one client; clients have metrics of their own.
func (a *App) logConfig(b backends, client string) eventlog.Config {
	c := b.log
	c.ClientID = "tenantwatch-" + client
	c.Partitions = a.opts.Config.Kafka.Partitions
	c.Logger = a.log.With("part", client)
	c.Metrics = prometheus.WrapRegistererWith(prometheus.Labels{"client": client}, a.reg)
	return c
}

func (a *App) startRoles(ctx context.Context, b backends, c *core.Core, store *eventstore.Store, ls listeners) error {
	a.progress("creating the Kafka topics")
	if err := a.ensureTopics(ctx, b); err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	cfg := a.opts.Config
	if a.has("pipeline") {
		in, err := ingest.New(ingest.Options{Log: a.logConfig(b, "ingest"), Store: store, Group: ingestGroup, Linger: cfg.Pipeline.FlushEvery, MaxRows: cfg.Pipeline.FlushRows,
			Logger: a.log.With("part", "ingest"), Metrics: a.reg})
		if err != nil {
			return err
		}
		a.life.run("pipeline", in.Run)
		keeper, err := newRetention(c, store, a.log.With("part", "retention"), a.reg)
		if err != nil {
			return err
		}
		a.life.run("retention", keeper.Run)
		a.life.run("sealer", sealer{store, a.log.With("part", "sealer")}.Run)
	}
	if a.has("detectors") {
		d := newDetection(a.log.With("part", "detectors"), a.reg, store, c, runner.Options{Budget: cfg.Detectors.Budget}, cfg.Detectors.CheckpointEvery)
		d.policies = a.policyBook(c)
		a.life.run("policies", d.policies.Run)
		if err := a.startBacktests(c, store); err != nil {
			return err
		}
		con, err := eventlog.NewConsumer(a.logConfig(b, "detectors"), eventlog.ConsumerOptions{Group: detectorGroup, Topics: []string{eventlog.EventsTopic}, Handler: d.handle})
		if err != nil {
			return err
		}
		a.life.run("detectors", con.Run)
	}
	if a.has("notifier") {
		w, err := delivery.New(delivery.Options{Core: c, AllowNetworks: a.allowedNetworks(), Version: a.opts.Version, Logger: a.log.With("part", "notifier"), Metrics: a.reg})
		if err != nil {
			return err
		}
		a.life.run("notifier", w.Run)
		if err := a.startStreams(c, store); err != nil {
			return err
		}
	}
	if a.has("api") {
		if err := a.startAPI(b, c, store, ls.api); err != nil {
			return err
		}
	}
	if a.has("collector") {
		return a.startCollector(b, c, store, ls)
	}
	return nil
}

func (a *App) startAPI(b backends, c *core.Core, store *eventstore.Store, ln net.Listener) error {
	key, err := keyFile(filepath.Join(a.opts.Config.DataDir, "keys", "cursor.key"))
	if err != nil {
		return err
	}
	trust, err := trusted(a.opts.Config.Auth.File)
	if err != nil {
		return err
	}
	tester, err := delivery.NewTester(delivery.Options{Core: c, AllowNetworks: a.allowedNetworks(), Version: a.opts.Version})
	if err != nil {
		return err
	}
	a.life.add("tester", func(context.Context) error { tester.Close(); return nil })
	lines, err := a.lineStore(b, c, store)
	if err != nil {
		return err
	}
	s, err := api.New(api.Options{
		Logger: a.log.With("part", "api"), Metrics: a.reg,
		Auth: authStore{c, trust}, Account: accountStore{c.Identity}, Users: userStore{c.Identity}, Usage: usageStore{c.Usage, store},
		SignIn: providerStore{c, trust}, PublicURL: a.opts.Config.Web.PublicURL,
		Alerts: alertStream{alertStore{c.Alerts}, c}, Events: a.eventStore(b, store), Lines: lines, Findings: findingStore{c.Findings},
		Tenants: tenantStore{c.Tenants}, Keys: keyStore{c.Keys}, Webhooks: webhookStore{c.Webhooks, c.Audit, tester}, Trail: trailStore{c.Audit},
		Insight: insightStore{store}, Searches: searchStore{c.Searches}, Backtests: backtestStore{c.Backtests(), a.policyBook(c)}, Replay: replay, Exports: exportStore{c.Exports}, Streams: logStreamStore{c.Streams, store, a.opts.Config.Webhooks.AllowPrivate}, ExportDir: filepath.Join(a.opts.Config.DataDir, "exports"),
		Triage: triageStore{c.Alerts}, Suppressions: suppressionStore{c.Suppressions, matchEvents(eventStore{s: store})},
		Detectors: detectorCatalogue(), Introspection: a.opts.Config.Web.GraphQL,
		TLSCert: a.opts.Config.Web.TLSCert, TLSKey: a.opts.Config.Web.TLSKey, Origins: origins(a.opts.Config.Web.Origins),
		Classify: classify, Web: dashboards.Web(), CursorKey: key, AlertBudget: a.opts.Config.Detectors.Budget,
		SecureCookies: strings.HasPrefix(a.opts.Config.Web.PublicURL, "https://"),
	})
	if err != nil {
		return err
	}
	a.life.run("api", func(ctx context.Context) error { return s.Run(ctx, ln) })
	return nil
}

// keyFile reads a random key, made at the first start, readable by us alone.
func keyFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path) //nolint:gosec // a fixed name in the data directory
	if err == nil && len(b) >= 32 {
		return b, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	b = make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return b, writeFile(path, b)
}

// writeFile replaces a file whole, mode 0600.
func writeFile(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
