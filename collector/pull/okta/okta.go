// Package okta reads the Okta System Log: GET /api/v1/logs, ascending, by the
// link to the next page, which the API gives also at the end and which brings
// what is published later.
package okta

import (
	"context"
	"net/url"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/pull"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Options are the source's settings.
type Options struct {
	URL   string        `yaml:"url" doc:"https://ORG.okta.com"`
	Token string        `yaml:"token_file" doc:"file with the API token"`
	Poll  time.Duration `yaml:"poll" doc:"how often to ask; default 1m"`
	Since time.Duration `yaml:"since" doc:"how far back to begin at the first start; default 24h"`
}

// Kind is the line in the table of sources.
func Kind() source.Kind {
	return source.Define(source.Kind{Type: "okta", Title: "Okta System Log", Promise: source.Acknowledging,
		Example: "url: https://acme.okta.com\ntoken_file: /etc/tenantwatch/okta.token\n"},
		func(o *Options) error {
			if _, err := pull.Base(o.URL); err != nil {
				return err
			}
			return (&pull.Options{Poll: o.Poll, Since: o.Since}).Defaults()
		}, func(e source.Env, o Options) (source.Source, error) {
			token, err := source.Secret("token_file", o.Token)
			if err != nil {
				return nil, err
			}
			c, err := pull.NewClient(o.URL, pull.Bearer("SSWS", token))
			if err != nil {
				return nil, err
			}
			p := pull.Options{Poll: o.Poll, Since: o.Since}
			return pull.New(e, connector{c}, p, "okta", "uuid"), p.Defaults()
		})
}

type connector struct{ c *pull.Client }

func (connector) Feeds() []string { return []string{"system"} }

func (c connector) Fetch(ctx context.Context, _, cursor string, since time.Time) (pull.Page, error) {
	if cursor == "" {
		cursor = "/api/v1/logs?" + url.Values{"since": {since.UTC().Format(time.RFC3339)}, "sortOrder": {"ASCENDING"}, "limit": {"1000"}}.Encode()
	}
	b, h, err := c.c.Get(ctx, cursor)
	if err != nil {
		return pull.Page{}, err
	}
	records, err := pull.Array(string(b))
	if next := pull.Next(h); next != "" {
		cursor = next
	}
	return pull.Page{Records: records, Cursor: cursor, More: len(records) > 0}, err
}
