package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/delivery/elastic"
	"github.com/tenantwatch/tenantwatch/core/delivery/email"
	"github.com/tenantwatch/tenantwatch/core/delivery/jira"
	"github.com/tenantwatch/tenantwatch/core/delivery/pagerduty"
	"github.com/tenantwatch/tenantwatch/core/delivery/sentinel"
	"github.com/tenantwatch/tenantwatch/core/delivery/slack"
	"github.com/tenantwatch/tenantwatch/core/delivery/splunk"
	"github.com/tenantwatch/tenantwatch/core/delivery/syslog"
	"github.com/tenantwatch/tenantwatch/core/delivery/teams"
	"github.com/tenantwatch/tenantwatch/core/delivery/webhook"
	"github.com/tenantwatch/tenantwatch/core/egress"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// Kind is one kind of destination.
type Kind struct {
	Name    string
	About   string
	Schemes []string // of its address
	Token   bool     // needs the other side's secret
	Needs   []string // settings it cannot do without
	May     []string // settings it takes besides
	Send    dest.Sender
}

var web = []string{"https", "http"}

// kinds are all destinations; a new one is a package and a line here.
var kinds = []Kind{
	{"webhook", "OCSF Detection Finding, signed as Standard Webhooks say", []string{"https", "http"}, false, nil, []string{"signature"}, webhook.Send},
	{"splunk", "Splunk HTTP Event Collector", web, true, nil, []string{"index", "sourcetype"}, splunk.Send},
	{"elastic", "Elasticsearch, Elastic Common Schema through the bulk API; the token is an API key", web, false, nil, []string{"index"}, elastic.Send},
	{"sentinel", "Microsoft Sentinel, Logs Ingestion API", web, true, []string{"rule", "stream", "directory", "client"}, []string{"login", "scope"}, sentinel.Send},
	{"syslog", "RFC 5424 carrying CEF or LEEF over TCP or TLS", []string{"tls", "tcp"}, false, nil, []string{"format"}, syslog.Send},
	{"slack", "Slack incoming webhook; the token is the end of its path", web, false, nil, nil, slack.Send},
	{"teams", "Microsoft Teams workflow; the token is the query of its address", web, false, nil, nil, teams.Send},
	{"pagerduty", "PagerDuty Events API v2; the token is the routing key", web, true, nil, nil, pagerduty.Send},
	{"jira", "Jira issues that follow the alert; the token is the Authorization header", web, true, []string{"project"}, []string{"type", "done"}, jira.Send},
	{"email", "Mail by SMTP over TLS; the token is the password", []string{"smtps", "smtp"}, false, []string{"from", "to"}, []string{"user", "plain"}, email.Send},
}

// Kinds is a copy of the table, for documentation and tests.
func Kinds() []Kind { return slices.Clone(kinds) }

func kindOf(name string) (Kind, bool) {
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}

// Check says what a destination lacks; it is core.Config.CheckDestination.
func Check(kind, address string, settings map[string]string, token string) error {
	k, ok := kindOf(kind)
	if !ok {
		var names []string
		for _, k := range kinds {
			names = append(names, k.Name)
		}
		return fmt.Errorf("kind %.40q: want one of %s", kind, strings.Join(names, ", "))
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" && u.Opaque == "" || !slices.Contains(k.Schemes, u.Scheme) {
		return fmt.Errorf("url: a %s destination wants %s://…", k.Name, strings.Join(k.Schemes, ":// or "))
	}
	if u.User != nil {
		return errors.New("url: must not hold a password; give it as token")
	}
	if k.Token && token == "" {
		return fmt.Errorf("token: a %s destination needs one", k.Name)
	}
	for _, need := range k.Needs {
		if settings[need] == "" {
			return fmt.Errorf("settings.%s is missing: a %s destination needs it", need, k.Name)
		}
	}
	for name := range settings {
		if name != "console" && name != "template" && !slices.Contains(k.Needs, name) && !slices.Contains(k.May, name) {
			return fmt.Errorf("settings.%.40s is not known to a %s destination", name, k.Name)
		}
	}
	return nil
}

// message makes what a destination is handed.
func message(id string, r core.Revision, at time.Time, version string) (dest.Message, error) {
	a, err := r.Alert()
	if err != nil {
		return dest.Message{}, fmt.Errorf("delivery: revision %d: %w", r.Seq, err)
	}
	body, err := Body(r, version)
	if err != nil {
		return dest.Message{}, err
	}
	return dest.Message{ID: id, Alert: a, Document: r.Document, Seq: r.Seq, PrevHash: r.PrevHash, Hash: r.Hash, At: at, Version: version, Finding: body}, nil
}

func target(o core.Owed) dest.Target {
	t := dest.Target{URL: o.URL, Settings: o.Settings, Token: o.Token.Reveal(), Secrets: []string{o.Secret.Reveal()}}
	if o.OldSecret != "" {
		t.Secrets = append(t.Secrets, o.OldSecret.Reveal())
	}
	return t
}

// Tester sends test messages through the guard of a worker.
type Tester struct {
	core    *core.Core
	out     *egress.Egress
	version string
	now     func() time.Time
}

// NewTester validates; nothing is sent.
func NewTester(o Options) (*Tester, error) {
	if o.Core == nil {
		return nil, errors.New("delivery: Core is missing")
	}
	out, err := egress.New(egress.Options{AllowNetworks: o.AllowNetworks, RootCAs: o.RootCAs, Timeout: o.Timeout})
	if err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	def(&o.Version, "dev")
	return &Tester{core: o.Core, out: out, version: o.Version, now: o.Now}, nil
}

// Close closes what is kept alive.
func (t *Tester) Close() { t.out.CloseIdleConnections() }

// Test sends a made-up alert of the tenant to one of its endpoints, now and
// once, and shows the whole exchange. It carries seq 0, which no real one has,
// and changes nothing of what is owed.
func (t *Tester) Test(ctx context.Context, id tenant.ID, webhookID string) (dest.Result, error) {
	o, err := t.core.Webhooks.Target(ctx, id, webhookID)
	if err != nil {
		return dest.Result{}, err
	}
	k, ok := kindOf(o.Kind)
	if !ok {
		return dest.Failed("kind %q is not known here", o.Kind), nil
	}
	m, err := testMessage(id, t.now(), t.version)
	if err != nil {
		return dest.Result{}, err
	}
	return k.Send(ctx, t.out, target(o), m)
}

func testMessage(id tenant.ID, at time.Time, version string) (dest.Message, error) {
	uid, err := uuid.NewV7()
	if err != nil {
		return dest.Message{}, err
	}
	a := SampleAlert(id, at)
	a.ID = uid.String()
	r, err := sampleRevision(a)
	if err != nil {
		return dest.Message{}, err
	}
	return message("msg_test_"+uid.String(), r, at, version)
}

// SampleAlert is the made-up alert of test messages and previews.
func SampleAlert(id tenant.ID, at time.Time) alert.Alert {
	at = at.UTC().Truncate(time.Second)
	return alert.Alert{ID: "0195f3a0-7c1e-7abc-8def-0123456789ab", Tenant: id, Entity: alert.Entity{Type: alert.User, ID: "test@example.org"},
		Related:   []alert.Entity{{Type: alert.Address, ID: "203.0.113.7"}},
		FirstSeen: at.Add(-10 * time.Minute), LastSeen: at, RaisedAt: at, Score: 71_500, Severity: alert.High, PValue: 1e-9,
		Detectors: []alert.Contribution{{Name: "failures", Version: "1", Contribution: 71_500, Observed: 40, Expected: 1.5, PValue: 1e-9}},
		Technique: []string{"T1110.001"}, Count: 40, EventIDs: []string{"test-1"}, Title: "Test message: 40 failed sign-ins of test@example.org",
		Reason: "This is a test that somebody asked for; nothing has happened.", Counterfactual: "With at most 9 there would have been no alert.",
		State: alert.Raised, Revision: 1}
}
