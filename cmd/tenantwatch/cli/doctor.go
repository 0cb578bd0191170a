package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/app"
	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/config"
	"github.com/tenantwatch/tenantwatch/collector/buffer"
	"github.com/tenantwatch/tenantwatch/collector/enrich"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/embedded/postgres"
)

func (a *cmdline) doctorCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check what `up` needs on this machine, and what runs", Args: noArgs,
		Long: "Checks the configuration, the parts that `up` starts, the ports and the data\ndirectory, and asks a running instance how it is. Exits 1 when something is wrong.",
		RunE: func(c *cobra.Command, _ []string) error { return a.doctor(c) },
	}
	config.Flags(cmd.Flags())
	return cmd
}

func (a *cmdline) doctor(c *cobra.Command) error {
	wrong := 0
	say := func(ok bool, what, detail string) {
		mark := "ok  "
		if !ok {
			mark = "FAIL"
			wrong++
		}
		fmt.Fprintf(a.Out, "%s  %-24s %s\n", mark, what, detail)
	}
	cfg, err := a.load(c)
	if err != nil {
		return err
	}
	say(true, "configuration", "valid")
	if lib, err := app.EngineLib(cfg.Engine.Lib); err != nil {
		say(false, "ClickHouse engine", err.Error())
	} else {
		say(true, "ClickHouse engine", lib)
	}
	ctx, cancel := context.WithTimeout(c.Context(), 20*time.Second)
	defer cancel()
	if in, err := postgres.Locate(ctx, postgres.Search{BinDir: cfg.Postgres.BinDir, BundleDir: app.BesideBinary("postgres")}); err != nil {
		say(false, "PostgreSQL", err.Error())
	} else {
		say(true, "PostgreSQL", fmt.Sprintf("%s in %s", in.Version, in.BinDir))
		if w := in.SecurityWarning(); w != "" {
			say(false, "PostgreSQL is old", w)
		}
	}
	if err := writable(cfg.DataDir); err != nil {
		say(false, "data directory", err.Error())
	} else {
		say(true, "data directory", cfg.DataDir)
	}
	if n, _, err := buffer.Inspect(app.BufferDir(cfg.DataDir)); err != nil {
		say(false, "buffer on disk", err.Error())
	} else if n > 0 {
		say(n < cfg.Collector.BufferBytes, "buffer on disk", fmt.Sprintf("%d of %d bytes wait for Kafka", n, cfg.Collector.BufferBytes))
	} else {
		say(true, "buffer on disk", "empty")
	}
	for _, s := range enrich.New(enrich.Options{CityDB: cfg.Enrich.CityDB, ASNDB: cfg.Enrich.ASNDB}).Status() {
		what := "places by address"
		if s.Database == "asn" {
			what = "ASN by address"
		}
		switch {
		case s.Loaded:
			say(true, what, fmt.Sprintf("%s of %s", s.Path, s.Built.Format("2 January 2006")))
		case s.Path == "":
			say(true, what, s.Problem+"; events keep what their records say")
		default:
			say(false, what, s.Problem)
		}
	}
	if dir := cfg.Collector.Mappings; dir != "" {
		if _, err := mapping.OpenDir(dir, slog.New(slog.DiscardHandler)); err != nil {
			say(false, "described formats", err.Error())
		} else {
			say(true, "described formats", dir)
		}
	}
	op, err := app.ReadOperator(cfg.DataDir)
	running := err == nil && op.API != "" && answers(ctx, "http://"+cfg.Listen.Ops+"/livez")
	if running {
		say(answers(ctx, "http://"+cfg.Listen.Ops+"/readyz"), "running instance", op.API+" (details: http://"+cfg.Listen.Ops+"/readyz)")
	} else {
		for flag, addr := range map[string]string{"--listen-api": cfg.Listen.API, "--listen-collector": cfg.Listen.Collector, "--listen-ops": cfg.Listen.Ops} {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				say(false, "port "+addr, fmt.Sprintf("in use: choose another with %s", flag))
				continue
			}
			_ = l.Close()
			say(true, "port "+addr, "free")
		}
	}
	if wrong > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of the checks failed", wrong)}
	}
	return nil
}

// writable tries the directory, or the first parent that exists.
func writable(dir string) error {
	for d := dir; ; d = filepath.Dir(d) {
		st, err := os.Stat(d)
		if os.IsNotExist(err) && d != filepath.Dir(d) {
			continue
		}
		if err != nil {
			return err
		}
		if !st.IsDir() {
			return fmt.Errorf("%s is no directory: choose another with --data-dir", d)
		}
		f, err := os.CreateTemp(d, ".tenantwatch-doctor-*")
		if err != nil {
			return fmt.Errorf("%s cannot be written: choose another with --data-dir", d)
		}
		name := f.Name()
		return firstError(f.Close(), os.Remove(name))
	}
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (a *cmdline) migrateCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring an outside PostgreSQL and ClickHouse to this version's schema", Args: noArgs,
		Long: "Applies the schemas that `serve` needs. PostgreSQL: TENANTWATCH_POSTGRES_OWNER_DSN signs in as\nthe owner; ClickHouse: --clickhouse-addr. `up` does this by itself. Running it twice is no harm.",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.load(c)
			if err != nil {
				return err
			}
			if cfg.Postgres.OwnerDSN == "" && cfg.ClickHouse.Addr == "" {
				return usageError("nothing to migrate: set TENANTWATCH_POSTGRES_OWNER_DSN, --clickhouse-addr, or both")
			}
			log := a.logger(cfg.Log)
			if cfg.Postgres.OwnerDSN != "" {
				if err := core.Migrate(c.Context(), core.MigrateConfig{DSN: string(cfg.Postgres.OwnerDSN), Logger: log}); err != nil {
					return fmt.Errorf("PostgreSQL: %w", err)
				}
				fmt.Fprintln(a.Out, "PostgreSQL is up to date")
			}
			if cfg.ClickHouse.Addr != "" {
				if err := app.MigrateStore(c.Context(), cfg, log); err != nil {
					return fmt.Errorf("ClickHouse: %w", err)
				}
				fmt.Fprintln(a.Out, "ClickHouse is up to date")
			}
			return nil
		},
	}
	config.Flags(cmd.Flags())
	return cmd
}
