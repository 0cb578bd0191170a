package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

type backtestFlags struct {
	tenant, from, to, name string
	budget                 []int
	compare, suppress      []string
	noWait                 bool
}

func (a *cmdline) backtestCmd() *cobra.Command {
	var f backtestFlags
	cmd := &cobra.Command{
		Use:   "backtest",
		Short: "Try other settings on what is stored, and compare",
		Long: `Runs the detectors over a tenant's stored events as it is set now, and once more for each
variant, in one pass: what would have been raised, hidden, and left below the budget.
Nothing of it reaches live alerts. An interrupted one goes on by itself on the server.

A variant is a list of settings separated by commas:
  budget=N                 alerts a day
  sensitivity.DETECTOR=F   0.01 (asks for more evidence) to 10
  without-suppressions     leaves out the present ones
  suppress=FIELD:VALUE     hides what matches; several with +, FIELD is one of
                           entity, type, action, network, label, detector`,
		Example: `  tenantwatch backtest --tenant acme --from 2026-03-01 --to 2026-03-31 --budget 2
  tenantwatch backtest --tenant acme --from 30d --compare budget=2,sensitivity.novelty=0.1 --suppress network:10.9.0.0/16`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.backtest(c, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.tenant, "tenant", "", "tenant (not needed with a tenant's own token)")
	fl.StringVar(&f.from, "from", "30d", "begin: a day, a time (RFC 3339), or how long ago (30d, 12h)")
	fl.StringVar(&f.to, "to", "", "end, likewise (default: now)")
	fl.StringVar(&f.name, "name", "", "a name for the list")
	fl.IntSliceVar(&f.budget, "budget", nil, "compare with this budget (repeatable)")
	fl.StringArrayVar(&f.compare, "compare", nil, "compare with this variant (repeatable)")
	fl.StringArrayVar(&f.suppress, "suppress", nil, "compare with this suppression, FIELD:VALUE[+FIELD:VALUE] (repeatable)")
	fl.BoolVar(&f.noWait, "no-wait", false, "queue it and print its id")
	remoteFlags(cmd)
	outputFlag(cmd)
	return cmd
}

// moment reads a day, a time or an age.
func moment(s string, now time.Time) (time.Time, error) {
	if s == "" || s == "now" {
		return now, nil
	}
	for _, l := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(l, s); err == nil {
			return t, nil
		}
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(s, "d")); err == nil && strings.HasSuffix(s, "d") && n >= 0 {
		return now.AddDate(0, 0, -n), nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return now, usageError("%q is no time: write 2026-03-01, 2026-03-01T08:00:00Z or 30d", s)
}

// suppressionOf reads FIELD:VALUE[+FIELD:VALUE].
func suppressionOf(s string) (row, error) {
	out := row{}
	names := map[string]string{"entity": "entity_id", "type": "entity_type", "action": "action", "network": "network", "label": "label", "detector": "detector"}
	for _, part := range strings.Split(s, "+") {
		k, v, ok := strings.Cut(part, ":")
		if !ok || names[k] == "" || v == "" {
			return nil, usageError("suppression %q: want FIELD:VALUE with a field of entity, type, action, network, label, detector", part)
		}
		out[names[k]] = v
	}
	return out, nil
}

// variantOf reads a variant of --compare.
func variantOf(s string) (row, error) {
	out, sens, hide := row{"label": s}, []row{}, []row{}
	for _, part := range strings.Split(s, ",") {
		k, v, _ := strings.Cut(part, "=")
		switch {
		case k == "budget":
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				return nil, usageError("budget=%s: want a number from 0", v)
			}
			out["budget"] = n
		case strings.HasPrefix(k, "sensitivity."):
			f, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return nil, usageError("%s: want a number from 0.01 to 10", part)
			}
			sens = append(sens, row{"detector": strings.TrimPrefix(k, "sensitivity."), "factor": f})
		case k == "without-suppressions" && v == "":
			out["without_suppressions"] = true
		case k == "suppress":
			x, err := suppressionOf(v)
			if err != nil {
				return nil, err
			}
			hide = append(hide, x)
		default:
			return nil, usageError("variant %q: want budget=, sensitivity.DETECTOR=, without-suppressions or suppress=", part)
		}
	}
	if len(sens) > 0 {
		out["sensitivity"] = sens
	}
	if len(hide) > 0 {
		out["suppressions"] = hide
	}
	return out, nil
}

func (f *backtestFlags) request(now time.Time) (row, error) {
	from, err := moment(f.from, now)
	if err != nil {
		return nil, err
	}
	to, err := moment(f.to, now)
	if err != nil {
		return nil, err
	}
	var variants []row
	for _, n := range f.budget {
		variants = append(variants, row{"label": fmt.Sprintf("budget=%d", n), "budget": n})
	}
	for _, s := range f.compare {
		v, err := variantOf(s)
		if err != nil {
			return nil, err
		}
		variants = append(variants, v)
	}
	for _, s := range f.suppress {
		x, err := suppressionOf(s)
		if err != nil {
			return nil, err
		}
		variants = append(variants, row{"label": "suppress " + s, "suppressions": []row{x}})
	}
	body := row{"from": from.UTC().Format(time.RFC3339), "to": to.UTC().Format(time.RFC3339), "name": f.name, "variants": variants}
	if variants == nil {
		body["variants"] = []row{}
	}
	if f.tenant != "" {
		body["tenant_id"] = f.tenant
	}
	return body, nil
}

func (a *cmdline) backtest(c *cobra.Command, f backtestFlags) error {
	form, err := output(c)
	if err != nil {
		return err
	}
	body, err := f.request(time.Now())
	if err != nil {
		return err
	}
	r, err := a.remote(c)
	if err != nil {
		return err
	}
	var job row
	if err := r.call(c.Context(), http.MethodPost, "/api/v1/backtests", body, &job); err != nil {
		return err
	}
	id := at(job, "id")
	if f.noWait {
		_, err := fmt.Fprintln(a.Out, id)
		return err
	}
	path := "/api/v1/backtests/" + url.PathEscape(id)
	show := isTerminal(a.Err)
	for at(job, "status") == "queued" || at(job, "status") == "running" {
		if !pause(c.Context(), 300*time.Millisecond) {
			fmt.Fprintf(a.Err, "\nthe backtest goes on: GET %s\n", path)
			return c.Context().Err()
		}
		job = nil
		if err := r.call(c.Context(), http.MethodGet, path, nil, &job); err != nil {
			return err
		}
		if show {
			fmt.Fprint(a.Err, "\r\033[K"+bar(job))
		}
	}
	if show {
		fmt.Fprint(a.Err, "\r\033[K")
	}
	if at(job, "status") == "failed" {
		return &exitError{exitFailed, fmt.Errorf("the backtest failed: %s", clean(at(job, "error")))}
	}
	if form != "table" {
		e := json.NewEncoder(a.Out)
		if form == "json" {
			e.SetIndent("", "  ")
		}
		return e.Encode(job)
	}
	return a.backtestTable(job)
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// bar is a job's progress in 40 places.
func bar(job row) string {
	done, _ := job["done"].(float64)
	total, _ := job["total"].(float64)
	if total == 0 {
		return at(job, "status") + "…"
	}
	n := int(40 * min(1, done/total))
	return fmt.Sprintf("[%s%s] %3.0f %%  %.0f of %.0f events", strings.Repeat("=", n), strings.Repeat(" ", 40-n), 100*min(1, done/total), done, total)
}

// backtestTable prints the policies side by side.
func (a *cmdline) backtestTable(job row) error {
	results, _ := job["results"].([]any)
	labels, _ := job["labels"].([]any)
	tw := tabwriter.NewWriter(a.Out, 0, 0, 3, ' ', 0)
	line := func(head string, cell func(row) string) {
		fmt.Fprint(tw, head)
		for _, x := range results {
			res, _ := x.(row)
			fmt.Fprint(tw, "\t"+clean(cell(res)))
		}
		fmt.Fprintln(tw)
	}
	fmt.Fprint(tw, "")
	for _, l := range labels {
		s, _ := l.(string)
		fmt.Fprint(tw, "\t"+clean(s))
	}
	fmt.Fprintln(tw)
	num := func(path string) func(row) string { return func(r row) string { return at(r, path) } }
	line("alerts", num("alerts"))
	line("  a day", func(r row) string { v, _ := r["alerts_per_day"].(float64); return strconv.FormatFloat(v, 'f', 2, 64) })
	line("  on the busiest day", num("most_alerts_on_a_day"))
	for _, s := range []string{"critical", "high", "medium", "low", "informational"} {
		any := false
		for _, x := range results {
			res, _ := x.(row)
			any = any || at(res, "by_severity."+s) != ""
		}
		if any {
			line("  "+s, func(r row) string {
				if v := at(r, "by_severity."+s); v != "" {
					return v
				}
				return "0"
			})
		}
	}
	line("not in the first", num("added"))
	line("missing of the first", num("missing"))
	line("hidden by suppressions", num("hidden"))
	line("findings", num("findings.findings"))
	line("  alerted", num("findings.alerted"))
	line("  folded", num("findings.folded"))
	line("  suppressed", num("findings.suppressed"))
	line("  below budget", num("findings.below_budget"))
	if err := tw.Flush(); err != nil {
		return err
	}
	for i, x := range results {
		res, _ := x.(row)
		if i == 0 || res == nil {
			continue
		}
		label := ""
		if i < len(labels) {
			label, _ = labels[i].(string)
		}
		a.differences(clean(label), res)
	}
	return nil
}

// differences lists what a variant hides, lacks and adds.
func (a *cmdline) differences(label string, res row) {
	for _, l := range []struct{ key, what string }{{"hidden_list", "hides"}, {"missing_list", "lacks"}, {"list", "adds"}} {
		var lines []string
		list, _ := res[l.key].([]any)
		for _, y := range list {
			it, _ := y.(row)
			if also, _ := it["also_in_first"].(bool); l.key == "list" && also {
				continue
			}
			lines = append(lines, clean(at(it, "raised_at_event_time")+"  "+at(it, "severity")+"  "+at(it, "title")))
		}
		sort.Strings(lines)
		if len(lines) > 0 {
			fmt.Fprintf(a.Out, "\n%s %s:\n", label, l.what)
		}
		for i, s := range lines {
			if i == 20 {
				fmt.Fprintf(a.Out, "  and %d more (-o json lists them)\n", len(lines)-i)
				break
			}
			fmt.Fprintln(a.Out, "  "+s)
		}
	}
}
