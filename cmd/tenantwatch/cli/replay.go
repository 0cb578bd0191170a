package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (a *cmdline) alertReplayCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay ID",
		Short: "Compute an alert's number again from the baseline kept with it",
		Long: `Takes the baselines and inputs that were kept when the alert was raised, computes each
detector's p-value, their combination and the score again, and compares them with the alert
to the last bit. Exits with 1 when anything differs.`,
		Args: exactArgs(1, "the alert's id"),
		RunE: func(c *cobra.Command, args []string) error {
			form, err := output(c)
			if err != nil {
				return err
			}
			r, err := a.remote(c)
			if err != nil {
				return err
			}
			var out row
			if err := r.call(c.Context(), http.MethodGet, "/api/v1/alerts/"+url.PathEscape(args[0])+"/replay", nil, &out); err != nil {
				return err
			}
			if form != "table" {
				if err := json.NewEncoder(a.Out).Encode(out); err != nil {
					return err
				}
			} else if err := a.replayTable(out); err != nil {
				return err
			}
			if same, _ := out["reproduced"].(bool); !same {
				return &exitError{exitFailed, fmt.Errorf("not reproduced: %s", clean(at(out, "note")))}
			}
			return nil
		},
	}
	remoteFlags(cmd)
	outputFlag(cmd)
	return cmd
}

func (a *cmdline) replayTable(out row) error {
	tw := tabwriter.NewWriter(a.Out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "\tALERT\tREPLAYED")
	for _, k := range []struct{ head, a, b string }{{"score", "score", "replayed_score"}, {"severity", "severity", "replayed_severity"},
		{"p-value", "p_value", "replayed_p_value"}, {"baseline", "baseline_hash", "replayed_baseline_hash"}} {
		fmt.Fprintf(tw, "%s\t%.24s\t%.24s\n", k.head, clean(at(out, k.a)), clean(at(out, k.b)))
	}
	list, _ := out["detectors"].([]any)
	for _, x := range list {
		d, _ := x.(row)
		fmt.Fprintf(tw, "%s %s\t%s (%s)\t%s (%s)\n", clean(at(d, "name")), clean(at(d, "version")), at(d, "p_value"), at(d, "contribution"), at(d, "replayed_p_value"), at(d, "replayed_contribution"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if same, _ := out["reproduced"].(bool); same {
		_, err := fmt.Fprintln(a.Out, "every number is the same to the last bit")
		return err
	}
	return nil
}
