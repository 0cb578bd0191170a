package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

var alertColumns = []column{{"RAISED", "raised_at_event_time"}, {"SEVERITY", "severity"}, {"SCORE", "score"}, {"TENANT", "tenant_id"}, {"ENTITY", "entity.id"}, {"TITLE", "title"}, {"STATUS", "triage.status"}, {"ID", "id"}}

func (a *cmdline) alertsCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "alerts", Short: "List, show, acknowledge and close alerts, and watch them come in"}
	var ten, severity, status string
	var limit int
	list := sub("list", "List alerts, newest first", noArgs, func(c *cobra.Command, _ []string) error {
		q := ofTenant(ten)
		for k, v := range map[string]string{"severity": severity, "status": status} {
			if v != "" {
				q.Set(k, v)
			}
		}
		return a.list(c, "/api/v1/alerts", q, limit, alertColumns...)
	})
	list.Flags().StringVar(&ten, "tenant", "", "only this tenant's")
	list.Flags().StringVar(&severity, "severity", "", "only these severities, separated by commas")
	list.Flags().StringVar(&status, "status", "", "new, in_progress or closed")
	list.Flags().IntVar(&limit, "limit", 50, "how many; 0: all")
	cmd.AddCommand(a.alertReplayCmd(), list, a.alertShowCmd(), a.alertAckCmd(), a.alertCloseCmd(), a.alertWatchCmd())
	return cmd
}

func (a *cmdline) alertShowCmd() *cobra.Command {
	return sub("show ID", "Show one alert", exactArgs(1, "the alert's id"), func(c *cobra.Command, args []string) error {
		form, err := output(c)
		if err != nil {
			return err
		}
		r, err := a.remote(c)
		if err != nil {
			return err
		}
		var al row
		if err := r.call(c.Context(), http.MethodGet, "/api/v1/alerts/"+url.PathEscape(args[0]), nil, &al); err != nil {
			return err
		}
		if form != "table" {
			p := a.printer(form, alertColumns...)
			if form == "json" {
				return json.NewEncoder(a.Out).Encode(al)
			}
			if err := p.item(al); err != nil {
				return err
			}
			return p.done()
		}
		for _, l := range []column{{"", "title"}, {"", "reason"}, {"", "counterfactual"}, {"tenant    ", "tenant_id"}, {"entity    ", "entity.id"}, {"severity  ", "severity"}, {"score     ", "score"}, {"p-value   ", "p_value"}, {"technique ", "technique"}, {"events    ", "count"}, {"raised    ", "raised_at_event_time"}, {"status    ", "triage.status"}} {
			text := clean(at(al, l.path))
			if p, ok := al[l.path].(float64); ok && l.path == "p_value" {
				text = strconv.FormatFloat(p, 'g', 3, 64) // -o json has every digit
			}
			if _, err := fmt.Fprintf(a.Out, "%s%s\n", l.head, text); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *cmdline) alertAckCmd() *cobra.Command {
	var assignee, comment string
	cmd := sub("ack ID…", "Take alerts on: in progress, and assigned", minArgs(1, "the alerts' ids"), func(c *cobra.Command, args []string) error {
		return a.triage(c, args, func(me string) map[string]any {
			if assignee == "" {
				assignee = me
			}
			body := map[string]any{"status": "in_progress"}
			if assignee != "" {
				body["assignee"] = assignee
			}
			return withComment(body, comment)
		})
	})
	cmd.Flags().StringVar(&assignee, "assignee", "", "who works on it (default: whose credential it is)")
	cmd.Flags().StringVar(&comment, "comment", "", "a note for the alert's history")
	return cmd
}

func withComment(change map[string]any, comment string) map[string]any {
	if comment != "" {
		change["comment"] = comment
	}
	return change
}

func (a *cmdline) alertCloseCmd() *cobra.Command {
	var verdict, comment string
	cmd := sub("close ID…", "Close alerts with a verdict", minArgs(1, "the alerts' ids"), func(c *cobra.Command, args []string) error {
		switch verdict {
		case "true_positive", "benign", "false_positive", "duplicate":
		default:
			return usageError("--verdict %q: want true_positive, benign, false_positive or duplicate", verdict)
		}
		return a.triage(c, args, func(string) map[string]any {
			return withComment(map[string]any{"status": "closed", "verdict": verdict}, comment)
		})
	})
	cmd.Flags().StringVar(&comment, "comment", "", "a note for the alert's history: why it is what it is")
	cmd.Flags().StringVar(&verdict, "verdict", "", "true_positive, benign, false_positive or duplicate (required)")
	return cmd
}

// triage changes alerts one after another, each as it is now: when somebody
// else was faster, it says so and changes nothing.
func (a *cmdline) triage(c *cobra.Command, ids []string, change func(me string) map[string]any) error {
	form, err := output(c)
	if err != nil {
		return err
	}
	r, err := a.remote(c)
	if err != nil {
		return err
	}
	var me struct {
		MultiTenant bool `json:"multi_tenant"`
		User        struct{ Email, Name string }
	}
	if err := r.call(c.Context(), http.MethodGet, "/api/v1/session", nil, &me); err != nil {
		return err
	}
	who := me.User.Email
	if who == "" {
		who = me.User.Name
	}
	p := a.printer(form, alertColumns...)
	for _, id := range ids {
		path := "/api/v1/alerts/" + url.PathEscape(id)
		var al row
		h, err := r.exchange(c.Context(), http.MethodGet, path, nil, nil, &al)
		if err != nil {
			return err
		}
		body := change(who)
		if me.MultiTenant {
			body["tenant_id"] = at(al, "tenant_id")
		}
		if _, err := r.exchange(c.Context(), http.MethodPatch, path+"/triage", http.Header{"If-Match": {h.Get("ETag")}}, body, &al); err != nil {
			return fmt.Errorf("alert %s: %w", id, err)
		}
		if err := p.item(al); err != nil {
			return err
		}
	}
	return p.done()
}

func (a *cmdline) alertWatchCmd() *cobra.Command {
	var ten string
	cmd := sub("watch", "Show alerts as they are raised, amended or retracted, until it is stopped", noArgs, func(c *cobra.Command, _ []string) error {
		form, err := output(c)
		if err != nil {
			return err
		}
		if form == "json" {
			return usageError("watch never ends, so it has no JSON document: use -o ndjson")
		}
		r, err := a.remote(c)
		if err != nil {
			return err
		}
		p := a.printer(form, alertColumns...)
		if err := p.flush(); err != nil {
			return err
		}
		last := ""
		for {
			err := r.watch(c, ofTenant(ten), &last, func(id string) error {
				var al row
				if err := r.call(c.Context(), http.MethodGet, "/api/v1/alerts/"+url.PathEscape(id), nil, &al); err != nil {
					return err
				}
				if err := p.item(al); err != nil {
					return err
				}
				return p.flush()
			})
			if c.Context().Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			select { // the server let go: go on where it ended
			case <-c.Context().Done():
				return nil
			case <-time.After(2 * time.Second):
			}
		}
	})
	cmd.Flags().StringVar(&ten, "tenant", "", "only this tenant's")
	return cmd
}

// watch reads the stream until it ends; last is the id of the last message.
func (r *remote) watch(c *cobra.Command, q url.Values, last *string, alert func(id string) error) error {
	req, err := http.NewRequestWithContext(c.Context(), http.MethodGet, r.api+"/api/v1/stream?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	if *last != "" {
		req.Header.Set("Last-Event-ID", *last)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from %s: is it running? (%w)", r.api, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	if resp.StatusCode >= 300 {
		return answerError(resp)
	}
	kind := ""
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			*last = value
		case "event":
			kind = value
		case "data":
			var msg struct {
				ID     string `json:"id"`
				Missed int64  `json:"missed"`
			}
			if err := json.Unmarshal([]byte(value), &msg); err != nil {
				return fmt.Errorf("the stream says %.100q: %w", value, err)
			}
			if kind == "missed" {
				fmt.Fprintf(c.ErrOrStderr(), "%d alerts came too fast to be shown: see `tenantwatch alerts list`\n", msg.Missed)
				continue
			}
			if err := alert(msg.ID); err != nil && !notFound(err) {
				return err
			}
		}
	}
	return nil
}
