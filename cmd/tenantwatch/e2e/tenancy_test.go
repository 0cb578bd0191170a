//go:build integration

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestIntegrationTenantLife: on the binary, a suspended tenant takes nothing
// in and says so, until it is resumed; settings are changed from the command
// line, and bad ones are refused with what to do.
func TestIntegrationTenantLife(t *testing.T) {
	i := up(t, dataDir(t))
	key := i.tenant("acme")
	line := func(id string) *strings.Reader {
		return strings.NewReader(`{"id":"` + id + `","time":"2026-03-01T09:15:02Z","actor":"alice","action":"login"}` + "\n")
	}
	if p, err := i.push(key, "", line("one")); err != nil || p.Status != http.StatusAccepted {
		t.Fatalf("%+v, %v", p, err)
	}
	cli := func(args ...string) string {
		t.Helper()
		out, errs, code := run(t, nil, append(args, "--data-dir", i.dir)...)
		if code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, errs)
		}
		return out
	}
	if out := cli("tenant", "suspend", "acme", "--reason", "unpaid"); !strings.Contains(out, "suspended") || !strings.Contains(out, "unpaid") {
		t.Errorf("suspended: %s", out)
	}
	eventually(t, 30*time.Second, "the push to be refused", func() bool {
		p, err := i.push(key, "", line("two"))
		return p.Status == http.StatusForbidden && strings.Contains(err.Error(), "suspended")
	})
	cli("tenant", "resume", "acme")
	eventually(t, 30*time.Second, "the push to be taken again", func() bool {
		p, _ := i.push(key, "", line("three"))
		return p.Status == http.StatusAccepted
	})
	var got struct {
		AlertBudget int    `json:"alert_budget"`
		TimeZone    string `json:"time_zone"`
		Networks    []any
	}
	if err := json.Unmarshal([]byte(cli("tenant", "settings", "acme", "-o", "ndjson", "--set", "alert_budget=2", "--set", "time_zone=Europe/Berlin", "--set", `networks=[{"name":"HQ","prefix":"203.0.113.0/24","kind":"office"}]`)), &got); err != nil || got.AlertBudget != 2 || got.TimeZone != "Europe/Berlin" || len(got.Networks) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, errs, code := run(t, nil, "tenant", "settings", "acme", "--set", "time_zone=Mars/Base", "--data-dir", i.dir); code == 0 || !strings.Contains(errs, "IANA") {
		t.Errorf("a time zone that is none: exit code %d, %s", code, errs)
	}
	if out := cli("tenant", "delete", "acme", "--grace-days", "1"); !strings.Contains(out, "deleting") {
		t.Errorf("deleted: %s", out)
	}
	if out := cli("tenant", "restore", "acme"); !strings.Contains(out, "active") {
		t.Errorf("restored: %s", out)
	}
}
