// Package slack reads Slack's audit logs (Enterprise Grid): GET
// /audit/v1/logs, newest first, so that a span of time is read to its end
// before the next begins.
package slack

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/collector/pull"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Options are the source's settings.
type Options struct {
	URL   string        `yaml:"url" doc:"address of the API; default https://api.slack.com"`
	Token string        `yaml:"token_file" doc:"file with a user token with the scope auditlogs:read"`
	Poll  time.Duration `yaml:"poll" doc:"how often to ask; default 1m"`
	Since time.Duration `yaml:"since" doc:"how far back to begin at the first start; default 24h"`
}

const overlap = 10 * time.Minute

// Kind is the line in the table of sources.
func Kind() source.Kind {
	return source.Define(source.Kind{Type: "slack", Title: "Slack audit logs", Promise: source.Acknowledging,
		Example: "token_file: /etc/tenantwatch/slack.token\n"},
		func(o *Options) error {
			if o.URL == "" {
				o.URL = "https://api.slack.com"
			}
			if _, err := pull.Base(o.URL); err != nil {
				return err
			}
			return (&pull.Options{Poll: o.Poll, Since: o.Since}).Defaults()
		}, func(e source.Env, o Options) (source.Source, error) {
			token, err := source.Secret("token_file", o.Token)
			if err != nil {
				return nil, err
			}
			c, err := pull.NewClient(o.URL, pull.Bearer("Bearer", token))
			if err != nil {
				return nil, err
			}
			p := pull.Options{Poll: o.Poll, Since: o.Since}
			return pull.New(e, connector{c, e.Now}, p, "slack", "id"), p.Defaults()
		})
}

type connector struct {
	c   *pull.Client
	now func() time.Time
}

func (connector) Feeds() []string { return []string{"logs"} }

func (c connector) Fetch(ctx context.Context, _, cursor string, since time.Time) (pull.Page, error) {
	w, err := pull.Open(cursor, since, c.now(), 0)
	if err != nil {
		return pull.Page{}, err
	}
	q := url.Values{"limit": {"1000"}, "oldest": {strconv.FormatInt(w.Since.Unix(), 10)}, "latest": {strconv.FormatInt(w.Until.Unix()+1, 10)}}
	if w.Page != "" {
		q.Set("cursor", w.Page)
	}
	b, _, err := c.c.Get(ctx, "/audit/v1/logs?"+q.Encode())
	if err != nil {
		return pull.Page{}, err
	}
	records, err := pull.Items(string(b), "entries")
	page, _ := record.Member(string(b), "response_metadata", "next_cursor")
	next, more := w.Step(page.String(), overlap, c.now())
	return pull.Page{Records: records, Cursor: next, More: more}, err
}
