// Package cli holds the commands: flags in, data to stdout, logs and progress
// to stderr, one exit code. Each command is thin; what it does lives in the
// package it calls. Nothing but main may import it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/config"
)

// The exit codes, documented in the README.
const (
	exitOK       = 0
	exitFailed   = 1 // it was tried and did not work
	exitUsage    = 2 // flags, arguments or configuration are wrong
	exitPartial  = 3 // with --strict: done, but some input was quarantined
	exitRefused  = 4 // the credential does not allow it
	exitNotFound = 5 // what was named does not exist
)

// Streams are the standard streams, handed in so that tests run commands in
// their own process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// exitError carries an exit code with its error.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// cmdline is what the commands share.
type cmdline struct {
	Streams
	version    string
	configPath string
}

// Main runs one command line and returns its exit code.
func Main(ctx context.Context, version string, args []string, s Streams) int {
	a := &cmdline{Streams: s, version: version}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var ee *exitError
	code := exitFailed
	if errors.As(err, &ee) {
		code = ee.code
	}
	if !errors.Is(err, errSilent) {
		fmt.Fprintf(s.Err, "tenantwatch: %v\n", err)
	}
	return code
}

// errSilent ends a command whose output has already said what is wrong.
var errSilent = errors.New("")

func (a *cmdline) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tenantwatch",
		Short: "Security analytics for multi-tenant SaaS",
		Long: `tenantwatch takes the access logs of many tenants, scores each tenant's behaviour
against its own baseline, and serves alerts to analysts and audit views to tenants.

Start here:   tenantwatch up --demo
Your own log: tenantwatch ingest /var/log/auth.log --tenant acme --create
No server:    tenantwatch score events /var/log/auth.log

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 (with --strict) done but
some lines were quarantined, 4 not allowed, 5 not found.`,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError("there is no command %q: see `tenantwatch --help`", args[0])
		}
		return c.Help()
	}
	root.Args = cobra.ArbitraryArgs
	root.PersistentFlags().StringVar(&a.configPath, "config", os.Getenv("TENANTWATCH_CONFIG"), "configuration file (YAML)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError("%w\nSee `%s --help`.", err, c.CommandPath())
	})
	root.AddCommand(a.upCmd(), a.serveCmd(), a.ingestCmd(), a.parseCmd(), a.quarantineCmd(), a.scoreCmd(), a.alertsCmd(), a.searchCmd(), a.tenantCmd(), a.keyCmd(), a.userCmd(), a.usageCmd(), a.trailCmd(), a.webhookCmd(), a.suppressCmd(), a.doctorCmd(), a.migrateCmd(), a.engineCmd(), a.versionCmd(), a.configCmd(), a.simulateCmd(), a.backtestCmd())
	root.SetOut(a.Out) // the completion command keeps what it is now
	root.InitDefaultCompletionCmd()
	refuseUnknown(root)
	return root
}

// refuseUnknown makes a group of commands refuse a word it does not know:
// left alone, cobra shows the group's help and reports success, which a script
// with a slip of the pen would take for done.
func refuseUnknown(group *cobra.Command) {
	for _, c := range group.Commands() {
		if c.HasSubCommands() && !c.Runnable() {
			c.Args = cobra.ArbitraryArgs
			c.DisableFlagsInUseLine = true
			c.SuggestionsMinimumDistance = 2
			c.RunE = func(c *cobra.Command, args []string) error {
				if len(args) == 0 {
					return c.Help()
				}
				hint := ""
				if like := c.SuggestionsFor(args[0]); len(like) > 0 {
					hint = fmt.Sprintf("; did you mean %q?", like[0])
				}
				return usageError("%s has no command %q%s\nSee `%s --help`.", named(c), args[0], hint, c.CommandPath())
			}
		}
		refuseUnknown(c)
	}
}

// named is a command without the program's name, which messages begin with.
func named(c *cobra.Command) string {
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
}

func (a *cmdline) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.Out, "tenantwatch %s\n", a.version)
			return err
		},
	}
}

// noArgs and friends give cobra's argument errors the usage exit code.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("%q: %s takes no arguments\nSee `%s --help`.", args[0], named(c), c.CommandPath())
	}
	return nil
}

func minArgs(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return usageError("%s needs %s\nSee `%s --help`.", named(c), what, c.CommandPath())
		}
		return nil
	}
}

func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError("%s needs %s\nSee `%s --help`.", named(c), what, c.CommandPath())
		}
		return nil
	}
}

// load reads the configuration of a command whose flags include config.Flags.
func (a *cmdline) load(c *cobra.Command) (config.Config, error) {
	cfg, _, err := config.Load(a.configPath, os.Environ(), c.Flags())
	if err != nil {
		return cfg, usageError("the configuration has problems:\n%w", err)
	}
	return cfg, nil
}

// logger writes to stderr as configured.
func (a *cmdline) logger(l config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Level)) // checked by Validate
	opts := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.Err, opts))
	}
	return slog.New(slog.NewTextHandler(a.Err, opts))
}

// isTerminal reports whether w is a terminal, where progress may be shown.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
