package cli

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

var eventColumns = []column{{"TIME", "time"}, {"ACTOR", "actor"}, {"ACTION", "action"}, {"OUTCOME", "outcome"}, {"RESOURCE", "resource"}, {"ADDRESS", "src_ip"}, {"COUNTRY", "country"}, {"ID", "id"}}

func (a *cmdline) searchCmd() *cobra.Command {
	var ten, from, to string
	var since time.Duration
	var limit int
	var follow, explain bool
	cmd := sub("search [QUERY]", "Search a tenant's audit log", cobra.ArbitraryArgs, func(c *cobra.Command, args []string) error {
		text := strings.Join(args, " ")
		parsed, err := query.ParseAt(text, time.Now())
		if err != nil {
			return usageError("%w", err)
		}
		if explain {
			_, err := c.OutOrStdout().Write([]byte(parsed.Explain() + "\n"))
			return err
		}
		q := ofTenant(ten)
		q.Set("q", text)
		if since < 0 {
			return usageError("--since %v: want how far back, such as 24h", since)
		}
		if since > 0 {
			from = time.Now().Add(-since).UTC().Format(time.RFC3339)
		}
		for k, v := range map[string]string{"from": from, "to": to} {
			if v != "" {
				q.Set(k, v)
			}
		}
		if follow {
			return a.follow(c, text, q, limit)
		}
		return a.list(c, "/api/v1/audit/events", q, limit, eventColumns...)
	})
	cmd.Long = `Searches one tenant's events, newest first; --follow shows new ones as they come in, until it is stopped.

  actor:alice@*  action:file.*  -country:DE  bytes>1MB  src_ip:10.0.0.0/8  time:-2h  "free text"

Words are joined by AND; OR and parentheses work; - leaves out. With the shell's completion set up
(see tenantwatch completion --help) fields and values are completed from the tenant's own events.`
	cmd.Example = "  tenantwatch search --tenant acme 'action:login outcome:failure' --since 24h\n  tenantwatch search --tenant acme 'actor:root' -o csv --limit 0\n  tenantwatch search --tenant acme 'outcome:failure' --follow"
	f := cmd.Flags()
	f.StringVar(&ten, "tenant", "", "tenant to search (a token of one tenant needs none)")
	f.DurationVar(&since, "since", 0, "how far back from now, such as 24h")
	f.StringVar(&from, "from", "", "first time, RFC 3339")
	f.StringVar(&to, "to", "", "time after the last, RFC 3339")
	f.IntVar(&limit, "limit", 100, "how many; 0: all")
	f.BoolVarP(&follow, "follow", "f", false, "go on showing events as they come in")
	f.BoolVar(&explain, "explain", false, "say in words what the query means, and search nothing")
	cmd.ValidArgsFunction = func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		return a.completeQuery(c, ten, args, word), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// completeQuery asks the API what the word may become; nothing when it cannot.
func (a *cmdline) completeQuery(c *cobra.Command, ten string, args []string, word string) []string {
	r, err := a.remote(c)
	if err != nil {
		return nil
	}
	before := strings.Join(args, " ")
	if before != "" {
		before += " "
	}
	text := []rune(before + word)
	q := ofTenant(ten)
	q.Set("q", string(text))
	var got struct {
		Start, End int
		Items      []struct{ Text, Doc string }
	}
	ctx, cancel := context.WithTimeout(c.Context(), 2*time.Second)
	defer cancel()
	if r.call(ctx, http.MethodGet, "/api/v1/audit/suggest?"+q.Encode(), nil, &got) != nil || got.Start > len(text) || got.Start < len([]rune(before)) {
		return nil
	}
	var out []string
	for _, it := range got.Items {
		s := string(text[len([]rune(before)):got.Start]) + it.Text
		if it.Doc != "" {
			s += "\t" + it.Doc
		}
		out = append(out, s)
	}
	return out
}

// How follow looks for new events: by when they came in, a little way back,
// since they are not readable in the order in which they came.
const (
	followEvery = time.Second
	followBack  = "30s"
	followSeen  = 20_000
)

// follow shows the newest events, oldest first, and then what comes in.
func (a *cmdline) follow(c *cobra.Command, text string, q url.Values, limit int) error {
	form, err := output(c)
	if err != nil {
		return err
	}
	if form == "json" {
		return usageError("--follow never ends, so it has no JSON document: use -o ndjson")
	}
	r, err := a.remote(c)
	if err != nil {
		return err
	}
	p := a.printer(form, eventColumns...)
	seen := map[string]bool{}
	show := func(items []row) error {
		for _, it := range items {
			id := at(it, "id")
			if seen[id] {
				continue
			}
			if len(seen) >= followSeen {
				clear(seen)
			}
			seen[id] = true
			if err := p.item(it); err != nil {
				return err
			}
		}
		return p.flush()
	}
	page := func(order string, limit int, q url.Values) ([]row, error) {
		var got struct{ Items []row }
		q.Set("order", order)
		q.Set("limit", strconv.Itoa(limit))
		err := r.call(c.Context(), http.MethodGet, "/api/v1/audit/events?"+q.Encode(), nil, &got)
		return got.Items, err
	}
	newest, err := page("desc", max(1, min(limit, 500)), q)
	if err != nil {
		return err
	}
	for i, j := 0, len(newest)-1; i < j; i, j = i+1, j-1 {
		newest[i], newest[j] = newest[j], newest[i]
	}
	if err := show(newest); err != nil {
		return err
	}
	live := url.Values{"q": {strings.TrimSpace("(" + text + ") ingested_at>=now-" + followBack)}}
	if strings.TrimSpace(text) == "" {
		live.Set("q", "ingested_at>=now-"+followBack)
	}
	if t := q.Get("tenant_id"); t != "" {
		live.Set("tenant_id", t)
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.Context().Done():
			return nil
		case <-tick.C:
		}
		items, err := page("asc", 500, live)
		if c.Context().Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := show(items); err != nil {
			return err
		}
	}
}
