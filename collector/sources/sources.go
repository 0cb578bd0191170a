// Package sources is the table of the kinds of sources that can be configured.
// A new one is a package and a line here.
package sources

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/kafkatopic"
	"github.com/tenantwatch/tenantwatch/collector/objects"
	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/collector/pull/github"
	"github.com/tenantwatch/tenantwatch/collector/pull/microsoft365"
	"github.com/tenantwatch/tenantwatch/collector/pull/okta"
	"github.com/tenantwatch/tenantwatch/collector/pull/slack"
	"github.com/tenantwatch/tenantwatch/collector/pull/workspace"
	"github.com/tenantwatch/tenantwatch/collector/source"
	"github.com/tenantwatch/tenantwatch/collector/syslog"
	"github.com/tenantwatch/tenantwatch/collector/tail"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Kinds is the table, in the order of the documents.
func Kinds() []source.Kind {
	return []source.Kind{
		syslog.Kind(),
		tail.Kind(),
		kafkatopic.Kind(),
		objects.FolderKind(),
		objects.S3Kind(),
		okta.Kind(),
		github.Kind(),
		microsoft365.Kind(),
		workspace.Kind(),
		slack.Kind(),
	}
}

func names() string {
	var n []string
	for _, k := range Kinds() {
		n = append(n, k.Type)
	}
	return strings.Join(n, ", ")
}

func kind(c source.Config) (source.Kind, error) {
	i := slices.IndexFunc(Kinds(), func(k source.Kind) bool { return k.Type == c.Type })
	if i < 0 {
		return source.Kind{}, fmt.Errorf("type %q: want one of %s", c.Type, names())
	}
	return Kinds()[i], nil
}

// Check checks the entries and reports all problems.
func Check(entries []source.Config) error {
	var errs []error
	seen := map[string]bool{}
	for i, c := range entries {
		at := fmt.Sprintf("sources[%d]", i)
		if c.Name != "" {
			at = "source " + c.Name
		}
		bad := func(err error) {
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", at, err))
			}
		}
		// The name is a folder's too.
		if _, err := tenant.Parse(c.Name); err != nil {
			bad(errors.New("name is missing or holds more than small letters, digits and hyphens"))
		}
		if seen[c.Name] {
			bad(errors.New("another source has this name"))
		}
		seen[c.Name] = true
		k, err := kind(c)
		bad(err)
		if c.Tenant != "" || !k.TenantFromCertificate {
			if _, terr := tenant.Parse(c.Tenant); terr != nil {
				bad(fmt.Errorf("tenant: %w", terr))
			}
		}
		if !strings.HasPrefix(c.Format, "mapping:") {
			bad(parse.CheckFormat(c.Format))
		}
		if _, zerr := time.LoadLocation(c.Zone); zerr != nil {
			bad(fmt.Errorf("tz: %w", zerr))
		}
		if err == nil {
			bad(k.Check(c.Options))
		}
	}
	return errors.Join(errs...)
}

// New makes a source; e lacks only what the entry says.
func New(c source.Config, e source.Env, m *source.Metrics) (source.Source, error) {
	k, err := kind(c)
	if err != nil {
		return nil, err
	}
	if c.Tenant != "" {
		if e.Tenant, err = tenant.Parse(c.Tenant); err != nil {
			return nil, err
		}
	}
	if c.Zone != "" {
		if e.Zone, err = time.LoadLocation(c.Zone); err != nil {
			return nil, err
		}
	}
	e.Name, e.Format, e.Meter = c.Name, c.Format, m.Of(c.Name, c.Type)
	s, err := k.New(e, c.Options)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", c.Name, err)
	}
	return s, nil
}
