package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// outputFlag adds -o and checks it.
func outputFlag(c *cobra.Command) {
	c.Flags().StringP("output", "o", "table", "table, json, ndjson or csv")
}

func output(c *cobra.Command) (string, error) {
	o, _ := c.Flags().GetString("output")
	switch o {
	case "table", "json", "ndjson", "csv":
		return o, nil
	}
	return "", usageError("--output %q: want table, json, ndjson or csv", o)
}

// row is one item as the API gave it.
type row = map[string]any

// column is a heading and where its value lies ("a.b" goes into objects).
type column struct{ head, path string }

func at(v any, path string) string {
	for _, p := range strings.Split(path, ".") {
		m, ok := v.(row)
		if !ok {
			return ""
		}
		v = m[p]
	}
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case []any:
		if words, ok := texts(x); ok {
			return strings.Join(words, ", ")
		}
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// texts is a list as strings, if it holds nothing else.
func texts(list []any) ([]string, bool) {
	out := make([]string, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			return nil, false
		}
		out[i] = s
	}
	return out, true
}

// printer writes items in the chosen form; ndjson and table as they come.
type printer struct {
	form string
	cols []column
	tw   *tabwriter.Writer
	w    io.Writer
	csv  *csv.Writer
	all  []row
}

func (a *cmdline) printer(form string, cols ...column) *printer {
	p := &printer{form: form, cols: cols, w: a.Out}
	if form == "table" {
		p.tw = tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
		heads := make([]string, len(cols))
		for i, c := range cols {
			heads[i] = c.head
		}
		fmt.Fprintln(p.tw, strings.Join(heads, "\t"))
	}
	if form == "csv" {
		p.csv = csv.NewWriter(a.Out)
		heads := make([]string, len(cols))
		for i, c := range cols {
			heads[i] = c.path
		}
		_ = p.csv.Write(heads) // done tells what went wrong
	}
	return p
}

// clean keeps what a log says from steering the terminal or the table.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, s)
}

// safeCell keeps spreadsheets from running what a log says.
func safeCell(s string) string {
	if t := strings.TrimLeft(s, " \t\r\n"); t != "" && strings.ContainsRune("=+-@", rune(t[0])) {
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			return "'" + s
		}
	}
	return s
}

// flush shows what is there so far.
func (p *printer) flush() error {
	if p.form == "table" || p.form == "csv" {
		return p.done()
	}
	return nil
}

func (p *printer) item(r row) error {
	switch p.form {
	case "table":
		cells := make([]string, len(p.cols))
		for i, c := range p.cols {
			cells[i] = clean(at(r, c.path))
		}
		_, err := fmt.Fprintln(p.tw, strings.Join(cells, "\t"))
		return err
	case "ndjson":
		return json.NewEncoder(p.w).Encode(r)
	case "csv":
		cells := make([]string, len(p.cols))
		for i, c := range p.cols {
			cells[i] = safeCell(at(r, c.path))
		}
		return p.csv.Write(cells)
	}
	p.all = append(p.all, r)
	return nil
}

func (p *printer) done() error {
	switch p.form {
	case "table":
		return p.tw.Flush()
	case "csv":
		p.csv.Flush()
		return p.csv.Error()
	case "json":
		if p.all == nil {
			p.all = []row{}
		}
		e := json.NewEncoder(p.w)
		e.SetIndent("", "  ")
		return e.Encode(p.all)
	}
	return nil
}

// list pages through a resource until max items were printed (0: all).
func (a *cmdline) list(c *cobra.Command, path string, q url.Values, limit int, cols ...column) error {
	if limit < 0 {
		return usageError("--limit %d: want a number from 1, or 0 for all", limit)
	}
	form, err := output(c)
	if err != nil {
		return err
	}
	r, err := a.remote(c)
	if err != nil {
		return err
	}
	p := a.printer(form, cols...)
	n := 0
	for {
		page := struct {
			Items []row
			Next  *string
		}{}
		size := 500
		if limit > 0 {
			size = min(size, limit-n)
		}
		q.Set("limit", strconv.Itoa(size))
		if err := r.call(c.Context(), http.MethodGet, path+"?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		for _, it := range page.Items {
			if err := p.item(it); err != nil {
				return err
			}
			n++
		}
		if page.Next == nil || len(page.Items) == 0 || limit > 0 && n >= limit {
			return p.done()
		}
		q.Set("after", *page.Next)
	}
}

// write does one change and prints what came of it.
func (a *cmdline) write(c *cobra.Command, method, path string, body any, cols ...column) error {
	form, err := output(c)
	if err != nil {
		return err
	}
	r, err := a.remote(c)
	if err != nil {
		return err
	}
	var out row
	if err := r.call(c.Context(), method, path, body, &out); err != nil {
		return err
	}
	if out == nil {
		_, err := fmt.Fprintln(a.Out, "done")
		return err
	}
	p := a.printer(form, cols...)
	if err := p.item(out); err != nil {
		return err
	}
	return p.done()
}

// sub makes a command that talks to a running instance.
func sub(use, short string, args cobra.PositionalArgs, run func(*cobra.Command, []string) error) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: args, RunE: run}
	remoteFlags(c)
	outputFlag(c)
	return c
}

var tenantColumns = []column{{"ID", "id"}, {"NAME", "name"}, {"STATUS", "status"}, {"PLACEMENT", "placement"}, {"CREATED", "created_at"}}

func (a *cmdline) tenantCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "tenant", Short: "Create, list, set up, suspend and delete tenants"}
	var name string
	create := sub("create ID", "Create a tenant; the id is for ever: a-z, 0-9 and -", exactArgs(1, "the tenant's id"), func(c *cobra.Command, args []string) error {
		id, err := tenant.Parse(args[0])
		if err != nil {
			return usageError("%w", err)
		}
		if name == "" {
			name = id.String()
		}
		return a.write(c, http.MethodPost, "/api/v1/tenants", map[string]string{"id": id.String(), "name": name}, tenantColumns...)
	})
	create.Flags().StringVar(&name, "name", "", "name for people (default: the id)")
	cmd.AddCommand(create, sub("list", "List the tenants you may see", noArgs, func(c *cobra.Command, _ []string) error {
		return a.list(c, "/api/v1/tenants", url.Values{}, 0, tenantColumns...)
	}))
	cmd.AddCommand(a.tenantLifeCmds()...)
	return cmd
}

// ofTenant is the filter of one tenant, or none.
func ofTenant(t string) url.Values {
	q := url.Values{}
	if t != "" {
		q.Set("tenant_id", t)
	}
	return q
}

func (a *cmdline) keyCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Create, list, rotate and revoke ingest keys and API tokens"}
	cols := []column{{"ID", "id"}, {"TENANT", "tenant_id"}, {"KIND", "kind"}, {"NAME", "name"}, {"ROLE", "role"}, {"SCOPES", "scopes"}, {"EXPIRES", "expires_at"}, {"LAST USED", "last_used_at"}, {"REPLACED BY", "replaced_by"}}
	var ten, name, kind, role string
	var scopes []string
	var expires, overlap time.Duration
	create := sub("create", "Create a key; its secret is shown this once", noArgs, func(c *cobra.Command, _ []string) error {
		if ten == "" || name == "" {
			return usageError("--tenant and --name are needed: whose key is it, and what for?")
		}
		body := map[string]any{"tenant_id": ten, "kind": kind, "name": name}
		if role != "" {
			body["role"] = role
		}
		if expires > 0 {
			body["expires_at"] = time.Now().Add(expires).UTC().Format(time.RFC3339)
		}
		if len(scopes) > 0 {
			body["scopes"] = scopes
		}
		return a.write(c, http.MethodPost, "/api/v1/keys", body, column{"ID", "key.id"}, column{"TENANT", "key.tenant_id"}, column{"KIND", "key.kind"}, column{"SECRET (shown once)", "secret"})
	})
	create.Flags().StringVar(&ten, "tenant", "", "tenant the key belongs to")
	create.Flags().StringVar(&name, "name", "", "what the key is for")
	create.Flags().StringVar(&kind, "kind", "ingest", "ingest: pushes events; api: reads the API in a role")
	create.Flags().StringVar(&role, "role", "", "role of an api key: tenant_admin or tenant_auditor")
	create.Flags().DurationVar(&expires, "expires", 0, "lifetime, such as 2160h (default: none)")
	create.Flags().StringSliceVar(&scopes, "scope", nil, "narrow an api key to these permissions, such as alerts:read")
	rotate := sub("rotate ID", "Give a key a successor; the old one goes on for a while", exactArgs(1, "the key's id"), func(c *cobra.Command, args []string) error {
		body := map[string]any{"overlap_seconds": int(overlap.Seconds())}
		if ten != "" {
			body["tenant_id"] = ten
		}
		if expires > 0 {
			body["expires_at"] = time.Now().Add(expires).UTC().Format(time.RFC3339)
		}
		return a.write(c, http.MethodPost, "/api/v1/keys/"+url.PathEscape(args[0])+"/rotate", body, column{"ID", "key.id"}, column{"TENANT", "key.tenant_id"}, column{"KIND", "key.kind"}, column{"SECRET (shown once)", "secret"})
	})
	rotate.Flags().StringVar(&ten, "tenant", "", "tenant the key belongs to")
	rotate.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long the old key goes on, at most 720h; 0: it ends at once")
	rotate.Flags().DurationVar(&expires, "expires", 0, "lifetime of the successor (default: none)")
	list := sub("list", "List keys", noArgs, func(c *cobra.Command, _ []string) error {
		return a.list(c, "/api/v1/keys", ofTenant(ten), 0, cols...)
	})
	list.Flags().StringVar(&ten, "tenant", "", "only this tenant's")
	revoke := sub("revoke ID", "Revoke a key at once", exactArgs(1, "the key's id"), func(c *cobra.Command, args []string) error {
		return a.write(c, http.MethodDelete, "/api/v1/keys/"+url.PathEscape(args[0])+"?"+ofTenant(ten).Encode(), nil)
	})
	revoke.Flags().StringVar(&ten, "tenant", "", "tenant the key belongs to")
	cmd.AddCommand(create, list, rotate, revoke)
	return cmd
}

func (a *cmdline) webhookCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "webhook", Short: "Register endpoints that receive alerts, and look at deliveries"}
	cols := []column{{"ID", "id"}, {"TENANT", "tenant_id"}, {"NAME", "name"}, {"URL", "url"}, {"STATUS", "status"}}
	var ten, name, kind, severity string
	var settings []string
	create := sub("create URL", "Register an endpoint; its signing secret is shown this once", exactArgs(1, "the endpoint's URL"), func(c *cobra.Command, args []string) error {
		if ten == "" {
			return usageError("--tenant is needed: whose alerts does it receive?")
		}
		if name == "" {
			name = args[0]
		}
		body := map[string]any{"tenant_id": ten, "name": name, "url": args[0], "kind": kind, "min_severity": severity}
		list := []map[string]string{}
		for _, s := range settings {
			k, v, ok := strings.Cut(s, "=")
			if !ok {
				return usageError("--set %s: want name=value", s)
			}
			list = append(list, map[string]string{"name": k, "value": v})
		}
		body["settings"] = list
		if token := os.Getenv("TENANTWATCH_DESTINATION_TOKEN"); token != "" {
			body["token"] = token
		}
		return a.write(c, http.MethodPost, "/api/v1/webhooks", body, column{"ID", "webhook.id"}, column{"TENANT", "webhook.tenant_id"}, column{"URL", "webhook.url"}, column{"SECRET (shown once)", "secret"})
	})
	create.Flags().StringVar(&ten, "tenant", "", "tenant whose alerts it receives")
	create.Flags().StringVar(&name, "name", "", "name for people")
	create.Flags().StringVar(&kind, "kind", "webhook", "webhook, splunk, elastic, sentinel, syslog, slack, teams, pagerduty, jira or email; its token comes from TENANTWATCH_DESTINATION_TOKEN")
	create.Flags().StringVar(&severity, "min-severity", "informational", "least severity that is sent")
	create.Flags().StringArrayVar(&settings, "set", nil, "a setting of the kind, name=value; may be repeated")
	list := sub("list", "List endpoints", noArgs, func(c *cobra.Command, _ []string) error {
		return a.list(c, "/api/v1/webhooks", ofTenant(ten), 0, cols...)
	})
	list.Flags().StringVar(&ten, "tenant", "", "only this tenant's")
	del := sub("delete ID", "Remove an endpoint", exactArgs(1, "the endpoint's id"), func(c *cobra.Command, args []string) error {
		return a.write(c, http.MethodDelete, "/api/v1/webhooks/"+url.PathEscape(args[0])+"?"+ofTenant(ten).Encode(), nil)
	})
	del.Flags().StringVar(&ten, "tenant", "", "tenant it belongs to")
	deliveries := sub("deliveries ID", "Show what was sent to an endpoint, newest first", exactArgs(1, "the endpoint's id"), func(c *cobra.Command, args []string) error {
		return a.list(c, "/api/v1/webhooks/"+url.PathEscape(args[0])+"/deliveries", ofTenant(ten), 100,
			column{"SEQ", "seq"}, column{"ALERT", "alert_id"}, column{"STATE", "status"}, column{"ATTEMPTS", "attempts"}, column{"STATUS", "response_status"}, column{"ERROR", "error"})
	})
	deliveries.Flags().StringVar(&ten, "tenant", "", "tenant it belongs to")
	cmd.AddCommand(create, list, del, deliveries)
	cmd.AddCommand(a.deliverCmds()...)
	return cmd
}
