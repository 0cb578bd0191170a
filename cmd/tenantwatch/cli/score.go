package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/collector/file"
	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/offline"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func (a *cmdline) scoreCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "score", Short: "Score files offline, with nothing else running"}
	cmd.AddCommand(a.scoreEventsCmd(), a.scoreSeriesCmd())
	return cmd
}

type scoreFlags struct {
	tenant, format, tz string
	year               int
	budget             float64
	all, plots, strict bool
}

func (a *cmdline) scoreEventsCmd() *cobra.Command {
	var f scoreFlags
	cmd := &cobra.Command{
		Use:   "events FILE…",
		Short: "Read logs, print alerts as JSON lines",
		Long: `Reads log files (gzip and zstd too; - is standard input), merges them in event time,
scores every event by the same detectors as a running tenantwatch, and prints each
alert in its final state as one line of JSON, ordered by raised_at_event_time, then id.
The tenant is the line's own key "tenant", else --tenant. Counts go to stderr.

Formats: ` + formatNames() + `. auto recognises them.`,
		Example: "  tenantwatch score events /var/log/auth.log | jq -r '.severity + \" \" + .reason'\n  tenantwatch simulate --seed 7 | tenantwatch score events -",
		Args:    minArgs(1, "at least one file, or - for standard input"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.scoreEvents(f, args) },
	}
	fl := cmd.Flags()
	fl.Float64Var(&f.budget, "budget", 5, "alerts a tenant may expect a UTC day without an attack: a ceiling")
	fl.StringVar(&f.tenant, "tenant", "default", "tenant of lines that name none")
	fl.StringVar(&f.format, "format", parse.Auto, "format of the lines, or mapping:FILE")
	fl.IntVar(&f.year, "year", 0, "year of the first line, for formats that write none (default: the latest not in the future)")
	fl.StringVar(&f.tz, "tz", "", "time zone of times that state none (default: UTC)")
	fl.BoolVar(&f.all, "all", false, "print retracted alerts too")
	fl.BoolVar(&f.plots, "plots", false, "print the observed-against-expected points of each alert too")
	fl.BoolVar(&f.strict, "strict", false, "exit with 3 when lines could not be read")
	return cmd
}

// errStopped ends a file whose reader wants no more.
var errStopped = errors.New("stopped")

func (a *cmdline) scoreEvents(f scoreFlags, paths []string) error {
	if f.budget <= 0 {
		return usageError("--budget %v: want more than 0", f.budget)
	}
	if f.tenant == "" {
		return usageError("--tenant is empty")
	}
	format, mappings, err := describedFormat(f.format)
	if err != nil {
		return err
	}
	zone, err := checkInput(format, f.tz, paths, mappings...)
	if err != nil {
		return err
	}
	o := parse.Options{Tenant: tenant.Verbatim(f.tenant), TenantKey: true, Format: format, Mappings: mappings, Now: time.Now(), Year: f.year, Zone: zone}
	var bad uint64
	var files []offline.Events
	for _, p := range paths {
		files = append(files, func(yield func(event.Event, error) bool) {
			first := uint64(0)
			sum, err := file.Read(p, a.In, o, parse.Handler{
				Event: func(e *event.Event) error {
					if !yield(*e, nil) {
						return errStopped
					}
					return nil
				},
				Quarantined: func(q *event.Quarantined) error {
					if first++; first <= 3 {
						fmt.Fprintf(a.Err, "%s:%d is left out: %s\n", p, q.Line, q.Reason)
					}
					return nil
				},
			})
			bad += sum.Quarantined
			if err != nil && !errors.Is(err, errStopped) {
				yield(event.Event{}, fmt.Errorf("%s: %w", p, err))
			}
		})
	}
	w := bufio.NewWriterSize(a.Out, 1<<16)
	eo := offline.EventsOptions{Runner: runner.Options{Budget: f.budget}, All: f.all, Plots: f.plots}
	if isTerminal(a.Err) {
		eo.Progress = func(n uint64) { fmt.Fprintf(a.Err, "\r%d events…", n) }
	}
	sum, err := offline.ScoreEvents(w, eo, files...)
	if eo.Progress != nil {
		fmt.Fprint(a.Err, "\r\033[K")
	}
	if err = firstError(err, w.Flush()); err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "%d events scored, %d repeated ids left out, %d lines not readable: %d alerts\n", sum.Counters.Scored, sum.Counters.Duplicate, bad, sum.Alerts)
	fmt.Fprintf(a.Err, "%d findings = %d alerted + %d folded + %d suppressed + %d below budget\n",
		sum.Findings.Findings, sum.Findings.Alerted, sum.Findings.Folded, sum.Findings.Suppressed, sum.Findings.BelowBudget)
	if f.strict && bad > 0 {
		return &exitError{exitPartial, fmt.Errorf("%d lines could not be read", bad)}
	}
	return nil
}

func (a *cmdline) scoreSeriesCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "series FILE.csv",
		Short: "Score a numeric series: timestamp,value in, timestamp,value,score out",
		Long: `Reads lines timestamp,value (a header is recognised; - is standard input) and prints
timestamp,value,score with a score from 0 (usual) to 1 (as unusual as it gets).
One pass, no look-ahead, no setting.`,
		Example: "  tenantwatch score series cpu.csv | awk -F, '$3 > 0.99'",
		Args:    exactArgs(1, "one CSV file, or - for standard input"),
		RunE: func(_ *cobra.Command, args []string) error {
			in := a.In
			if args[0] != file.Stdin {
				f, err := os.Open(args[0])
				if err != nil {
					return usageError("%w", err)
				}
				defer f.Close() //nolint:errcheck // read only
				in = f
			}
			w := bufio.NewWriterSize(a.Out, 1<<16)
			sum, err := offline.ScoreSeries(in, w)
			if err = firstError(w.Flush(), err); err != nil {
				return err
			}
			if sum.Missing > 0 {
				fmt.Fprintf(a.Err, "%d of %d rows have no value and score 0\n", sum.Missing, sum.Rows)
			}
			return nil
		},
	}
}
