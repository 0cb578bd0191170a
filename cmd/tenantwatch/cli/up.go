package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/app"
	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/config"
	"github.com/tenantwatch/tenantwatch/embedded/clickhouse"
)

func (a *cmdline) upCmd() *cobra.Command {
	var demo bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything on this machine, on embedded parts",
		Long: `Starts Kafka, ClickHouse and PostgreSQL as parts of this process tree, then the
collector, the pipeline, the detectors, the notifier, the API and the dashboard.
Everything is stored in --data-dir and survives a stop, a kill and a restart.
All listeners are on the loopback address unless you say otherwise.

Stop it with Ctrl-C; to begin anew, remove the data directory.`,
		Example: "  tenantwatch up --demo\n  tenantwatch up --data-dir ./data --listen-api 127.0.0.1:9000",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.serve(c, app.Options{Embedded: true, Demo: demo})
		},
	}
	config.Flags(cmd.Flags())
	cmd.Flags().BoolVar(&demo, "demo", false, "make demo tenants, logins and live traffic with attacks")
	return cmd
}

func (a *cmdline) serveCmd() *cobra.Command {
	var roles []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run roles against outside Kafka, ClickHouse and PostgreSQL",
		Long:  "Runs any of the roles against outside services, named by --kafka-brokers,\n--clickhouse-addr and TENANTWATCH_POSTGRES_DSN. Run `tenantwatch migrate` first.\n\nRoles:\n" + roleList(),
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, r := range roles {
				if !strings.Contains(roleList(), "  "+r+" ") {
					return usageError("--role %q does not exist. Roles:\n%s", r, roleList())
				}
			}
			return a.serve(c, app.Options{Roles: roles})
		},
	}
	config.Flags(cmd.Flags())
	cmd.Flags().StringSliceVar(&roles, "role", nil, "roles to run, comma-separated (default: all)")
	return cmd
}

func roleList() string {
	var b strings.Builder
	for _, r := range app.Roles {
		fmt.Fprintf(&b, "  %-10s %s\n", r.Name, r.Does)
	}
	return b.String()
}

func (a *cmdline) serve(c *cobra.Command, o app.Options) error {
	cfg, err := a.load(c)
	if err != nil {
		return err
	}
	if !c.Flags().Changed("log-level") && o.Embedded && isTerminal(a.Err) {
		cfg.Log.Level = "warn" // a person is looking: the block below is enough
	}
	o.Config, o.Version, o.Logger = cfg, a.version, a.logger(cfg.Log)
	began := time.Now()
	tty := isTerminal(a.Err)
	if o.Embedded {
		o.Progress = func(step string) {
			if tty {
				fmt.Fprintf(a.Err, "\r\033[K%s…", step)
			}
		}
	}
	o.Ready = func(i app.Info) {
		if tty && o.Embedded {
			fmt.Fprint(a.Err, "\r\033[K")
		}
		if o.Embedded {
			a.block(a.Out, i, o.Demo, time.Since(began))
		} else {
			fmt.Fprintf(a.Err, "tenantwatch %s: ready after %.1f s\n", a.version, time.Since(began).Seconds())
		}
	}
	return app.Run(c.Context(), o)
}

// block is what `up` prints once: where, who, how to go on, how to stop.
func (a *cmdline) block(w io.Writer, i app.Info, demo bool, took time.Duration) {
	line := strings.Repeat("─", 78)
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	p("%s", line)
	p("  tenantwatch %s is up (%.1f s)", a.version, took.Seconds())
	p("")
	p("  Dashboard   %s", i.API)
	p("  Events in   %s/v1/events", i.Collector)
	p("  Health      %s/readyz   metrics: /metrics", i.Ops)
	p("  Data        %s", i.DataDir)
	p("")
	p("  Sign in as")
	for _, l := range i.Logins {
		who := l.Role
		if l.Tenant != "" {
			who += " of " + l.Tenant
		}
		pw := l.Password
		if pw == "" {
			pw = "(the password you set)"
		}
		p("    %-28s %-34s %s", who, l.Email, pw)
	}
	p("")
	if demo {
		p("  Demo traffic is flowing; the first alerts appear within half a minute.")
		p("  Your own log:  tenantwatch ingest /var/log/auth.log --tenant mine --create --data-dir %s", i.DataDir)
	} else {
		p("  To get data in:")
		p("    a file        tenantwatch ingest /var/log/auth.log --tenant acme --create --data-dir %s", i.DataDir)
		p("    a tenant      tenantwatch tenant create acme --data-dir %s", i.DataDir)
		p("    an ingest key tenantwatch key create --tenant acme --name web --data-dir %s", i.DataDir)
		p("    one line      curl %s/v1/events -H \"Authorization: Bearer $KEY\" \\", i.Collector)
		p("                    -d '{\"time\":\"%s\",\"actor\":\"alice\",\"action\":\"login\",\"outcome\":\"success\",\"src_ip\":\"203.0.113.7\"}'", time.Now().UTC().Format(time.RFC3339))
		p("    a live file   tail -F app.log | tenantwatch ingest - --tenant acme --data-dir %s", i.DataDir)
	}
	if i.Warning != "" {
		p("")
		p("  Warning: %s", i.Warning)
	}
	p("")
	p("  Single-machine broker: for more than one machine see `tenantwatch serve --help`.")
	p("  Stop with Ctrl-C. Data stays; remove the directory to begin anew.")
	p("%s", line)
}

// engineCmd is what `up` executes for the ClickHouse child.
func (a *cmdline) engineCmd() *cobra.Command {
	return &cobra.Command{
		Use: app.EngineCommand, Hidden: true, DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if err := clickhouse.RunChildArgs(context.WithoutCancel(c.Context()), args); err != nil {
				return errors.Join(errSilent, err)
			}
			return nil
		},
	}
}
