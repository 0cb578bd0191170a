//go:build integration

package e2e

import (
	"strings"
	"testing"
	"time"
)

// One line in, one row out, found again by the audit search.
func TestIntegrationPushToSearch(t *testing.T) {
	i := up(t, dataDir(t))
	key := i.tenant("acme")
	p, err := i.push(key, "", strings.NewReader(`{"time":"2026-03-01T09:15:02.123Z","actor":"alice@acme.example","action":"file.download","outcome":"success","id":"e-1"}`+"\n"))
	if err != nil || p.Accepted != 1 || p.DurableIn != "kafka" {
		t.Fatalf("%+v, %v", p, err)
	}
	var page struct {
		Items []struct{ ID, Actor string }
	}
	eventually(t, 2*time.Second, "the row is readable", func() bool {
		i.get(i.token, "/api/v1/audit/events?tenant_id=acme&q=actor:alice@*", &page)
		return len(page.Items) == 1 && page.Items[0].ID == "e-1"
	})
	if err := i.stop(); err != nil {
		t.Fatalf("an ordered stop: %v\n%s", err, i.log())
	}
}
