// Package github reads the audit log of a GitHub organization or enterprise,
// ascending, by the link to the next page. At its end it begins again some
// minutes before, since entries may be published late.
package github

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/pull"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Options are the source's settings.
type Options struct {
	URL        string        `yaml:"url" doc:"address of the API; default https://api.github.com"`
	Org        string        `yaml:"org" doc:"organization"`
	Enterprise string        `yaml:"enterprise" doc:"or enterprise"`
	Token      string        `yaml:"token_file" doc:"file with a token that may read the audit log"`
	Poll       time.Duration `yaml:"poll" doc:"how often to ask; default 1m"`
	Since      time.Duration `yaml:"since" doc:"how far back to begin at the first start; default 24h"`
}

const overlap = 10 * time.Minute

// Kind is the line in the table of sources.
func Kind() source.Kind {
	return source.Define(source.Kind{Type: "github", Title: "GitHub audit log", Promise: source.Acknowledging,
		Example: "org: acme\ntoken_file: /etc/tenantwatch/github.token\n"},
		func(o *Options) error {
			if o.URL == "" {
				o.URL = "https://api.github.com"
			}
			if (o.Org == "") == (o.Enterprise == "") {
				return errors.New("give org or enterprise")
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
			path := "/orgs/" + url.PathEscape(o.Org) + "/audit-log"
			if o.Enterprise != "" {
				path = "/enterprises/" + url.PathEscape(o.Enterprise) + "/audit-log"
			}
			p := pull.Options{Poll: o.Poll, Since: o.Since}
			return pull.New(e, connector{c, path, e.Now}, p, "github", "_document_id"), p.Defaults()
		})
}

type connector struct {
	c    *pull.Client
	path string
	now  func() time.Time
}

func (connector) Feeds() []string { return []string{"audit-log"} }

func (c connector) Fetch(ctx context.Context, _, cursor string, since time.Time) (pull.Page, error) {
	w, err := pull.Open(cursor, since, c.now(), 0)
	if err != nil {
		return pull.Page{}, err
	}
	ref := w.Page
	if ref == "" {
		ref = c.path + "?" + url.Values{"per_page": {"100"}, "order": {"asc"}, "include": {"all"}, "phrase": {"created:>=" + w.Since.UTC().Format(time.RFC3339)}}.Encode()
	}
	b, h, err := c.c.Get(ctx, ref)
	if err != nil {
		return pull.Page{}, err
	}
	records, err := pull.Array(string(b))
	next, more := w.Step(pull.Next(h), overlap, c.now())
	return pull.Page{Records: records, Cursor: next, More: more}, err
}
