// Package microsoft365 reads the Office 365 Management Activity API: what is
// listed are blobs of records, by the time they became available, so that late
// records come in later blobs. One feed a content type; spans of at most a day.
package microsoft365

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/collector/pull"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Options are the source's settings.
type Options struct {
	URL       string        `yaml:"url" doc:"address of the API; default https://manage.office.com"`
	LoginURL  string        `yaml:"login_url" doc:"address that gives tokens; default https://login.microsoftonline.com"`
	Directory string        `yaml:"directory" doc:"the directory's (Entra tenant's) id"`
	Client    string        `yaml:"client_id" doc:"the application's id"`
	Secret    string        `yaml:"client_secret_file" doc:"file with its secret"`
	Content   []string      `yaml:"content" doc:"content types; default Audit.AzureActiveDirectory, Audit.Exchange, Audit.SharePoint, Audit.General"`
	Poll      time.Duration `yaml:"poll" doc:"how often to ask; default 1m"`
	Since     time.Duration `yaml:"since" doc:"how far back to begin at the first start, at most 167h; default 24h"`
}

// overlap is small: blobs are listed by when they became available.
const overlap = time.Hour

// Kind is the line in the table of sources.
func Kind() source.Kind {
	return source.Define(source.Kind{Type: "microsoft365", Title: "Microsoft 365 / Entra (Management Activity API)", Promise: source.Acknowledging,
		Example: "directory: 00000000-0000-0000-0000-000000000000\nclient_id: 11111111-1111-1111-1111-111111111111\nclient_secret_file: /etc/tenantwatch/m365.secret\n"}, check, newSource)
}

func check(o *Options) error {
	if o.URL == "" {
		o.URL = "https://manage.office.com"
	}
	if o.LoginURL == "" {
		o.LoginURL = "https://login.microsoftonline.com"
	}
	if o.Directory == "" || o.Client == "" {
		return errors.New("directory and client_id are required")
	}
	if len(o.Content) == 0 {
		o.Content = []string{"Audit.AzureActiveDirectory", "Audit.Exchange", "Audit.SharePoint", "Audit.General"}
	}
	if o.Since > 167*time.Hour {
		return errors.New("since: the API keeps seven days: at most 167h")
	}
	for _, u := range []string{o.URL, o.LoginURL} {
		if _, err := pull.Base(u); err != nil {
			return err
		}
	}
	return (&pull.Options{Poll: o.Poll, Since: o.Since}).Defaults()
}

func newSource(e source.Env, o Options) (source.Source, error) {
	secret, err := source.Secret("client_secret_file", o.Secret)
	if err != nil {
		return nil, err
	}
	tokens := &pull.TokenSource{URL: strings.TrimRight(o.LoginURL, "/") + "/" + url.PathEscape(o.Directory) + "/oauth2/v2.0/token", Form: func(time.Time) (url.Values, error) {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {o.Client}, "client_secret": {secret}, "scope": {"https://manage.office.com/.default"}}, nil
	}}
	c, err := pull.NewClient(o.URL, tokens.Auth)
	if err != nil {
		return nil, err
	}
	tokens.HTTP = c.HTTP
	p := pull.Options{Poll: o.Poll, Since: o.Since}
	return pull.New(e, &connector{c: c, o: o, now: e.Now, started: map[string]bool{}}, p, "microsoft365", "Id"), p.Defaults()
}

type connector struct {
	c       *pull.Client
	o       Options
	now     func() time.Time
	started map[string]bool
}

func (c *connector) Feeds() []string { return c.o.Content }

func (c *connector) path(rest string) string {
	return "/api/v1.0/" + url.PathEscape(c.o.Directory) + "/activity/feed/subscriptions/" + rest
}

// subscribe makes the API keep a content type; that it does already is fine.
func (c *connector) subscribe(ctx context.Context, content string) error {
	if c.started[content] {
		return nil
	}
	_, _, err := c.c.Do(ctx, http.MethodPost, c.path("start?"+url.Values{"contentType": {content}, "PublisherIdentifier": {c.o.Directory}}.Encode()))
	var s *pull.Status
	if err != nil && (!errors.As(err, &s) || !strings.Contains(s.Body, "AF20024")) {
		return err
	}
	c.started[content] = true
	return nil
}

func (c *connector) Fetch(ctx context.Context, content, cursor string, since time.Time) (pull.Page, error) {
	if err := c.subscribe(ctx, content); err != nil {
		return pull.Page{}, err
	}
	w, err := pull.Open(cursor, since, c.now(), 24*time.Hour)
	if err != nil {
		return pull.Page{}, err
	}
	if oldest := c.now().Add(-167 * time.Hour); w.Page == "" && w.Since.Before(oldest) { // the API refuses more
		w.Since = oldest
		w.Until = oldest.Add(24 * time.Hour)
	}
	ref := w.Page
	if ref == "" {
		const layout = "2006-01-02T15:04:05"
		ref = c.path("content?" + url.Values{"contentType": {content}, "PublisherIdentifier": {c.o.Directory}, "startTime": {w.Since.UTC().Format(layout)}, "endTime": {w.Until.UTC().Format(layout)}}.Encode())
	}
	b, h, err := c.c.Get(ctx, ref)
	if err != nil {
		return pull.Page{}, err
	}
	blobs, err := pull.Array(string(b))
	if err != nil {
		return pull.Page{}, err
	}
	var p pull.Page
	for _, blob := range blobs {
		uri, _ := record.Member(blob, "contentUri")
		b, _, err := c.c.Get(ctx, uri.String())
		if err != nil {
			return pull.Page{}, err
		}
		records, err := pull.Array(string(b))
		if err != nil {
			return pull.Page{}, err
		}
		p.Records = append(p.Records, records...)
	}
	p.Cursor, p.More = w.Step(h.Get("NextPageUri"), overlap, c.now())
	return p, nil
}
