// Package workspace reads Google Workspace's Reports API, one feed an
// application. Activities may be published hours late, so each round begins
// some hours before the end of the last.
package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/collector/pull"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Options are the source's settings.
type Options struct {
	URL          string        `yaml:"url" doc:"address of the API; default https://admin.googleapis.com"`
	Account      string        `yaml:"service_account_file" doc:"key file (JSON) of a service account with domain-wide delegation of admin.reports.audit.readonly"`
	Admin        string        `yaml:"admin" doc:"mail address of the administrator it acts as"`
	Applications []string      `yaml:"applications" doc:"applications to read; default admin, login, token, drive, groups"`
	Overlap      time.Duration `yaml:"overlap" doc:"how far each round looks back for what is published late; default 3h"`
	Poll         time.Duration `yaml:"poll" doc:"how often to ask; default 1m"`
	Since        time.Duration `yaml:"since" doc:"how far back to begin at the first start; default 24h"`
}

// Kind is the line in the table of sources.
func Kind() source.Kind {
	return source.Define(source.Kind{Type: "google_workspace", Title: "Google Workspace (Reports API)", Promise: source.Acknowledging,
		Example: "service_account_file: /etc/tenantwatch/google.json\nadmin: auditor@acme.example\n"}, check, newSource)
}

func check(o *Options) error {
	if o.URL == "" {
		o.URL = "https://admin.googleapis.com"
	}
	if o.Admin == "" {
		return errors.New("admin is missing")
	}
	if len(o.Applications) == 0 {
		o.Applications = []string{"admin", "login", "token", "drive", "groups"}
	}
	if o.Overlap == 0 {
		o.Overlap = 3 * time.Hour
	}
	if _, err := pull.Base(o.URL); err != nil {
		return err
	}
	return (&pull.Options{Poll: o.Poll, Since: o.Since}).Defaults()
}

func newSource(e source.Env, o Options) (source.Source, error) {
	b, err := os.ReadFile(o.Account)
	if err != nil {
		return nil, fmt.Errorf("service_account_file: %w", err)
	}
	var a pull.ServiceAccount
	if err := json.Unmarshal(b, &a); err != nil {
		return nil, fmt.Errorf("service_account_file: %w", err)
	}
	if _, err := pull.Base(a.TokenURI); err != nil {
		return nil, fmt.Errorf("service_account_file: token_uri: %w", err)
	}
	form, err := a.Assertion(o.Admin, "https://www.googleapis.com/auth/admin.reports.audit.readonly")
	if err != nil {
		return nil, fmt.Errorf("service_account_file: %w", err)
	}
	tokens := &pull.TokenSource{URL: a.TokenURI, Form: form}
	c, err := pull.NewClient(o.URL, tokens.Auth)
	if err != nil {
		return nil, err
	}
	tokens.HTTP = c.HTTP
	p := pull.Options{Poll: o.Poll, Since: o.Since}
	return pull.New(e, connector{c, o, e.Now}, p, "google_workspace", "id.uniqueQualifier"), p.Defaults()
}

type connector struct {
	c   *pull.Client
	o   Options
	now func() time.Time
}

func (c connector) Feeds() []string { return c.o.Applications }

func (c connector) Fetch(ctx context.Context, app, cursor string, since time.Time) (pull.Page, error) {
	w, err := pull.Open(cursor, since, c.now(), 0)
	if err != nil {
		return pull.Page{}, err
	}
	q := url.Values{"maxResults": {"1000"}, "startTime": {w.Since.UTC().Format(time.RFC3339)}, "endTime": {w.Until.UTC().Format(time.RFC3339)}}
	if w.Page != "" {
		q.Set("pageToken", w.Page)
	}
	b, _, err := c.c.Get(ctx, "/admin/reports/v1/activity/users/all/applications/"+url.PathEscape(app)+"?"+q.Encode())
	if err != nil {
		return pull.Page{}, err
	}
	records, err := pull.Items(string(b), "items")
	page, _ := record.Member(string(b), "nextPageToken")
	next, more := w.Step(page.String(), c.o.Overlap, c.now())
	return pull.Page{Records: records, Cursor: next, More: more}, err
}
