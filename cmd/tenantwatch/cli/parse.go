package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/collector/file"
	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

type parseFlags struct {
	tenant, format, tz, out string
	year, limit             int
	explain, strict         bool
}

func (a *cmdline) parseCmd() *cobra.Command {
	var f parseFlags
	cmd := &cobra.Command{
		Use:   "parse FILE…",
		Short: "Show what a log becomes: its events, or each field with where it came from",
		Long: `Reads log files (gzip and zstd too; - is standard input) and prints the events they
become, without anything running. The format that was recognised and how surely goes to
stderr, with the lines that could not be read and why.

--explain shows each record field by field: the value, where in the record it stood, and
what of the record was not used.

Formats: ` + formatNames() + `; auto recognises them.
mapping:FILE reads a format that you describe in YAML (docs/mapping.md).`,
		Example: "  tenantwatch parse audit.json -o table\n  tenantwatch parse --explain --limit 1 audit.json\n  tenantwatch parse --format mapping:billing.yaml billing.log",
		Args:    minArgs(1, "at least one file, or - for standard input"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.parse(f, args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", parse.Auto, "format of the lines, or mapping:FILE")
	fl.StringVarP(&f.out, "output", "o", "ndjson", "table, json or ndjson")
	fl.BoolVar(&f.explain, "explain", false, "show where each field came from, and what was not used (default output: table)")
	fl.IntVar(&f.limit, "limit", 0, "stop after so many events; 0: all")
	fl.StringVar(&f.tenant, "tenant", "default", "tenant of lines that name none")
	fl.IntVar(&f.year, "year", 0, "year of the first line, for formats that write none (default: the latest not in the future)")
	fl.StringVar(&f.tz, "tz", "", "time zone of times that state none (default: UTC)")
	fl.BoolVar(&f.strict, "strict", false, "exit with 3 when lines could not be read")
	cmd.PreRun = func(c *cobra.Command, _ []string) {
		if f.explain && !c.Flags().Changed("output") {
			f.out = "table"
		}
	}
	return cmd
}

// describedFormat reads the mapping of "mapping:FILE"; the format to go on
// with names it.
func describedFormat(format string) (string, []*mapping.Mapping, error) {
	path, ok := strings.CutPrefix(format, mapping.Prefix)
	if !ok {
		return format, nil, nil
	}
	m, err := mapping.Load(path)
	if err != nil {
		return "", nil, usageError("--format: %w", err)
	}
	return m.Format(), []*mapping.Mapping{m}, nil
}

// eventPrinter prints events one after the other.
type eventPrinter struct {
	w     *bufio.Writer
	table *tabwriter.Writer
	out   string
	n     int
}

func newEventPrinter(w io.Writer, out string, head string) *eventPrinter {
	p := &eventPrinter{w: bufio.NewWriterSize(w, 1<<16), out: out}
	switch out {
	case "table":
		p.table = tabwriter.NewWriter(p.w, 0, 8, 2, ' ', 0)
		if head != "" {
			fmt.Fprintln(p.table, head)
		}
	case "json":
		fmt.Fprint(p.w, "[")
	}
	return p
}

// json prints one value as JSON.
func (p *eventPrinter) json(b []byte) error {
	if p.out == "json" {
		if p.n > 0 {
			fmt.Fprint(p.w, ",")
		}
		fmt.Fprint(p.w, "\n  ")
	}
	p.n++
	_, err := p.w.Write(b)
	if p.out == "ndjson" {
		err = firstError(err, p.w.WriteByte('\n'))
	}
	return err
}

func (p *eventPrinter) close() error {
	if p.table != nil {
		if err := p.table.Flush(); err != nil {
			return err
		}
	}
	if p.out == "json" {
		fmt.Fprint(p.w, "\n]\n")
	}
	return p.w.Flush()
}

func (a *cmdline) parse(f parseFlags, paths []string) error {
	if f.out != "table" && f.out != "json" && f.out != "ndjson" {
		return usageError("--output %q: want table, json or ndjson", f.out)
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
	traced := map[string]string{}
	o := parse.Options{Tenant: tenant.Verbatim(f.tenant), TenantKey: true, Format: format, Mappings: mappings, Now: time.Now(), Year: f.year, Zone: zone}
	head := "TIME\tACTION\tOUTCOME\tACTOR\tSRC_IP\tRESOURCE\tFORMAT"
	if f.explain {
		o.Trace, head = func(field, path string) { traced[field] = path }, ""
	}
	p := newEventPrinter(a.Out, f.out, head)
	full := func(p *eventPrinter) bool { return f.limit > 0 && p.n >= f.limit }
	var bad uint64
	for _, path := range paths {
		source := path
		shown := 0
		sum, err := file.Read(path, a.In, o, parse.Handler{
			Event: func(e *event.Event) error {
				defer clear(traced)
				if p.table != nil {
					p.n++
				}
				if err := a.printEvent(p, f, e, traced); err != nil {
					return err
				}
				if full(p) {
					return errStopped // at once: the next line may be long in coming
				}
				return nil
			},
			Quarantined: func(q *event.Quarantined) error {
				clear(traced)
				if shown++; shown <= 10 {
					fmt.Fprintf(a.Err, "%s:%d: %s\n", source, q.Line, q.Reason)
				}
				return nil
			},
		})
		if err != nil && !errors.Is(err, errStopped) {
			return fmt.Errorf("%s: %w", path, err)
		}
		bad += sum.Quarantined
		a.sayFormat(path, sum)
		if full(p) {
			break
		}
	}
	if err := p.close(); err != nil {
		return err
	}
	if f.strict && bad > 0 {
		return &exitError{exitPartial, fmt.Errorf("%d lines could not be read", bad)}
	}
	return nil
}

// sayFormat reports what a file was taken for.
func (a *cmdline) sayFormat(path string, sum parse.Summary) {
	fmt.Fprintf(a.Err, "%s: %d events", path, sum.Accepted)
	if sum.Format != "" {
		fmt.Fprintf(a.Err, ", format %s, confidence %.0f %%", sum.Format, 100*sum.Confidence)
	}
	if len(sum.Formats) > 1 {
		var more []string
		for name, n := range sum.Formats {
			if name != sum.Format {
				more = append(more, fmt.Sprintf("%s %d", name, n))
			}
		}
		slices.Sort(more)
		fmt.Fprintf(a.Err, " (also %s)", strings.Join(more, ", "))
	}
	if sum.Quarantined > 0 {
		fmt.Fprintf(a.Err, ", %d lines could not be read", sum.Quarantined)
	}
	if sum.FirstYear != 0 {
		fmt.Fprintf(a.Err, ", year %s assumed (--year says otherwise)", years([]int{sum.FirstYear, sum.LastYear}))
	}
	fmt.Fprintln(a.Err)
}

func (a *cmdline) printEvent(p *eventPrinter, f parseFlags, e *event.Event, traced map[string]string) error {
	switch {
	case !f.explain && p.table != nil:
		_, err := fmt.Fprintf(p.table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.At().Format("2006-01-02T15:04:05.000Z"), oneLine(e.Action, 48), e.Outcome,
			oneLine(e.Actor, 48), e.SrcIP, oneLine(e.Resource, 60), e.Format)
		return err
	case !f.explain:
		return p.json(event.AppendJSON(nil, e))
	}
	x := parse.Explain(e, traced)
	if p.table == nil {
		b, err := json.Marshal(x)
		if err != nil {
			return err
		}
		return p.json(b)
	}
	fmt.Fprintf(p.table, "record %d, format %s", p.n, x.Format)
	if flags := e.Flags.Names(); len(flags) > 0 {
		fmt.Fprintf(p.table, ", flags %s", strings.Join(flags, ", "))
	}
	fmt.Fprintln(p.table)
	for _, r := range x.Fields {
		fmt.Fprintf(p.table, "  %s\t%s\t%s\n", r.Field, oneLine(r.Value, 72), r.From)
	}
	for _, r := range x.Labels {
		fmt.Fprintf(p.table, "  labels.%s\t%s\t%s\n", oneLine(r.Field, 60), oneLine(r.Value, 72), r.From)
	}
	for _, r := range x.Unused {
		fmt.Fprintf(p.table, "  (not used)\t%s\t%s\n", oneLine(r.Value, 72), r.From)
	}
	fmt.Fprintln(p.table)
	return p.table.Flush()
}

// oneLine keeps a value on one line of a table, at most n characters.
func oneLine(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
