package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
)

// replayAnswer is what a replay says.
type replayAnswer struct {
	Selected uint64 `json:"selected"`
	Replayed uint64 `json:"replayed"`
	Events   uint64 `json:"events"`
	Failed   uint64 `json:"failed"`
	More     bool   `json:"more"`
	Errors   []struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
	} `json:"errors"`
	Sample []json.RawMessage `json:"sample"`
}

func (a *cmdline) quarantineCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "quarantine", Short: "Look at lines that could not be read, and read them again",
		Long: `Lines that no parser could take are kept whole. list groups them by reason, show prints
one, and replay reads a selection again once the format, a mapping or the program has been
mended: what comes out is stored, scored and searchable like any event, once.`}
	var ten, source, pattern, state string
	var limit int
	list := sub("list", "Group the lines by reason; with --pattern or --lines, list them", noArgs, nil)
	var lines bool
	list.RunE = func(c *cobra.Command, _ []string) error {
		q := ofTenant(ten)
		for k, v := range map[string]string{"source": source, "state": state} {
			if v != "" {
				q.Set(k, v)
			}
		}
		if !lines && pattern == "" {
			return a.list(c, "/api/v1/quarantine/groups", q, limit, column{"LINES", "lines"}, column{"SOURCE", "source"}, column{"FORMAT", "format"}, column{"LAST", "last"}, column{"EXAMPLE", "example_id"}, column{"REASON", "pattern"})
		}
		if pattern != "" {
			q.Set("pattern", pattern)
		}
		return a.list(c, "/api/v1/quarantine", q, limit, column{"RECEIVED", "received_at"}, column{"SOURCE", "source"}, column{"LINE", "line"}, column{"ID", "id"}, column{"REASON", "reason"})
	}
	list.Flags().StringVar(&ten, "tenant", "", "tenant the lines belong to")
	list.Flags().StringVar(&source, "source", "", "only this log source")
	list.Flags().StringVar(&pattern, "pattern", "", "only the lines of this group")
	list.Flags().StringVar(&state, "state", "open", "open, replayed, or empty for all")
	list.Flags().BoolVar(&lines, "lines", false, "list lines instead of groups")
	list.Flags().IntVar(&limit, "limit", 50, "how many; 0: all")

	show := sub("show ID", "Print one line and why it could not be read", exactArgs(1, "the line's id"), func(c *cobra.Command, args []string) error {
		form, err := output(c)
		if err != nil {
			return err
		}
		r, err := a.remote(c)
		if err != nil {
			return err
		}
		var l row
		if err := r.call(c.Context(), http.MethodGet, "/api/v1/quarantine/"+url.PathEscape(args[0])+"?"+ofTenant(ten).Encode(), nil, &l); err != nil {
			return err
		}
		if form != "table" {
			return json.NewEncoder(a.Out).Encode(l)
		}
		for _, f := range []column{{"reason    ", "reason"}, {"source    ", "source"}, {"format    ", "format"}, {"line      ", "line"}, {"received  ", "received_at"}, {"replayed  ", "replayed_at"}, {"", "raw"}} {
			if v := at(l, f.path); v != "" {
				fmt.Fprintf(a.Out, "%s%s\n", f.head, clean(v))
			}
		}
		return nil
	})
	show.Flags().StringVar(&ten, "tenant", "", "tenant the line belongs to")
	cmd.AddCommand(list, show, a.replayCmd())
	return cmd
}

func (a *cmdline) replayCmd() *cobra.Command {
	var ten, source, pattern, format, tz string
	var year int
	var dry bool
	replay := sub("replay [ID…]", "Read lines again: by id, or all open ones of a --source or --pattern", cobra.ArbitraryArgs, func(c *cobra.Command, ids []string) error {
		if len(ids) == 0 && source == "" && pattern == "" {
			return usageError("which lines? give ids, or --source, or --pattern")
		}
		body := map[string]any{}
		for k, v := range map[string]string{"tenant_id": ten, "source": source, "pattern": pattern, "format": format, "tz": tz} {
			if v != "" {
				body[k] = v
			}
		}
		if len(ids) > 0 {
			body["ids"] = ids
		}
		if year != 0 {
			body["year"] = year
		}
		if dry {
			body["dry_run"] = true
		}
		if name, described, err := describedFormat(format); err != nil {
			return err
		} else if described != nil {
			text, err := os.ReadFile(format[len(mapping.Prefix):]) //nolint:gosec // the file the operator named
			if err != nil {
				return usageError("--format: %w", err)
			}
			body["format"], body["mapping"] = name, string(text)
		}
		r, err := a.remote(c)
		if err != nil {
			return err
		}
		form, err := output(c)
		if err != nil {
			return err
		}
		var total replayAnswer
		for {
			var ans replayAnswer
			if err := r.call(c.Context(), http.MethodPost, "/api/v1/quarantine/replay", body, &ans); err != nil {
				return err
			}
			total.Selected, total.Replayed, total.Events, total.Failed = total.Selected+ans.Selected, total.Replayed+ans.Replayed, total.Events+ans.Events, total.Failed+ans.Failed
			total.Errors, total.Sample = append(total.Errors, ans.Errors...), append(total.Sample, ans.Sample...)
			// What failed stays open and would come again first.
			if total.More = ans.More; !ans.More || ans.Failed > 0 || dry {
				break
			}
		}
		if form != "table" {
			return json.NewEncoder(a.Out).Encode(total)
		}
		verb := "read again"
		if dry {
			verb = "would be read"
		}
		fmt.Fprintf(a.Out, "%d of %d lines %s as %d events", total.Replayed, total.Selected, verb, total.Events)
		if total.Failed > 0 {
			fmt.Fprintf(a.Out, ", %d still cannot be", total.Failed)
		}
		if total.More {
			fmt.Fprint(a.Out, "; more wait")
		}
		fmt.Fprintln(a.Out)
		for i, e := range total.Errors {
			if i == 10 {
				fmt.Fprintln(a.Err, "  …")
				break
			}
			fmt.Fprintf(a.Err, "  %s: %s\n", e.ID, e.Reason)
		}
		if dry {
			for _, e := range total.Sample {
				fmt.Fprintln(a.Out, string(e))
			}
		}
		return nil
	})
	replay.Flags().StringVar(&ten, "tenant", "", "tenant the lines belong to")
	replay.Flags().StringVar(&source, "source", "", "all open lines of this log source")
	replay.Flags().StringVar(&pattern, "pattern", "", "all open lines of this group")
	replay.Flags().StringVar(&format, "format", "", "format to read them by, or mapping:FILE (default: auto)")
	replay.Flags().IntVar(&year, "year", 0, "year, for formats that write none")
	replay.Flags().StringVar(&tz, "tz", "", "time zone of times that state none")
	replay.Flags().BoolVar(&dry, "dry-run", false, "only show what would come out")
	return replay
}
