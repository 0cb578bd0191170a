// Package recordtest helps the tests of the parsers: it shows what a parser
// made of a line as one short text. Only tests import it.
package recordtest

import (
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Now is the moment at which lines are read: 1 June 2026, noon.
var Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// Env is the surroundings lines are read in.
func Env() *record.Env { return &record.Env{Tenant: tenant.MustParse("acme"), Now: Now} }

// Show reads one record and returns the JSON of its events, one a line, without
// what is the same for all (tenant, ingested_at, format, raw, and a count of
// 1), or "error: …".
func Show(t testing.TB, p record.Parser, env *record.Env, raw string) string {
	t.Helper()
	var lines []string
	err := p.Parse(raw, env, func(e *event.Event) {
		c := *e
		if c.ID == "" {
			c.ID = "generated"
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("%q gave an invalid event: %v", raw, err)
		}
		if c.IngestedAt != env.Now.UnixNano() || c.Format == "" || c.Raw == "" {
			t.Fatalf("%q gave an event without ingested_at, format or raw", raw)
		}
		c.Tenant, c.ID, c.IngestedAt, c.Format, c.Raw = tenant.ID{}, e.ID, 0, "", ""
		s := string(event.AppendJSON(nil, &c))
		lines = append(lines, strings.Replace(s, `,"count":1`, "", 1))
	})
	if err != nil {
		if len(lines) > 0 {
			t.Fatalf("%q gave events and the error %v", raw, err)
		}
		return "error: " + err.Error()
	}
	return strings.Join(lines, "\n")
}
