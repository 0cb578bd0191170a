//go:build integration

package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// trail searches a tenant's own audit log as its auditor does.
func (i *instance) trail(token, q string) (out []map[string]any) {
	i.t.Helper()
	var page struct{ Items []map[string]any }
	i.get(token, "/api/v1/audit/events?limit=500&q="+url.QueryEscape("source:tenantwatch "+q), &page)
	return page.Items
}

// TestIntegrationTrail: the platform watches itself. What people and keys do to
// a tenant, and what the operator reads of it, is in the tenant's own audit
// log, once, also across a kill; and no sender can speak in its name.
func TestIntegrationTrail(t *testing.T) {
	i := up(t, dataDir(t))
	for _, id := range []string{"acme", "beta"} {
		if code, b := i.call(i.token, http.MethodPost, "/api/v1/tenants", map[string]any{"id": id, "name": id}); code != 201 {
			t.Fatalf("tenant: %d %s", code, b)
		}
	}
	auditor := i.key("acme", map[string]any{"kind": "api", "role": "tenant_auditor", "name": "the auditor's"})
	other := i.key("beta", map[string]any{"kind": "api", "role": "tenant_auditor", "name": "the other auditor's"})
	push := i.key("acme", map[string]any{"kind": "ingest", "name": "push"})
	one := func(token, q, what string) map[string]any {
		t.Helper()
		var found []map[string]any
		eventually(t, 60*time.Second, what, func() bool { found = i.trail(token, q); return len(found) > 0 })
		return found[0]
	}
	if e := one(auditor, "action:tenant.create", "the tenant's own beginning"); e["tenant_id"] != "acme" || e["class_uid"] != 6003.0 || e["activity"] != 1.0 {
		t.Errorf("tenant.create: %v", e)
	}
	one(auditor, "action:key.create", "the keys")
	// An operator looks.
	i.get(i.token, "/api/v1/audit/events?tenant_id=acme", new(any))
	e := one(auditor, "action:operator.read", "the operator's look")
	if e["class_uid"] != 6003.0 || e["outcome"] != "success" || e["actor"] == "" || e["source"] != "tenantwatch" {
		t.Errorf("operator.read: %v", e)
	}
	if got := i.trail(other, "action:operator.read"); len(got) != 0 {
		t.Errorf("beta was not read: %v", got)
	}
	// A refusal.
	if code, _ := i.call(auditor, http.MethodPost, "/api/v1/keys", map[string]any{"kind": "ingest", "name": "no"}); code != 403 {
		t.Errorf("an auditor makes a key: %d", code)
	}
	if e := one(auditor, "action:access.deny", "the refusal"); e["outcome"] != "failure" || e["status"] != 403.0 {
		t.Errorf("access.deny: %v", e)
	}
	// Nobody else may speak as the trail, and what came in is counted apart.
	if _, err := i.push(push, "?source=tenantwatch", strings.NewReader(`{"time":"2026-03-01T09:15:02Z","actor":"mallory","action":"operator.read","source":"tenantwatch"}`+"\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, "the sender's event", func() bool { return i.account("acme").Stored == 1 })
	if got := i.trail(auditor, "actor:mallory"); len(got) != 0 {
		t.Errorf("forged: %v", got)
	}
	// A kill between the deed and its event loses and doubles nothing.
	var ids []string
	for range 20 {
		var made struct{ Key struct{ ID string } }
		code, b := i.call(i.token, http.MethodPost, "/api/v1/keys", map[string]any{"tenant_id": "acme", "kind": "ingest", "name": "short-lived"})
		if err := json.Unmarshal(b, &made); code != 201 || err != nil {
			t.Fatalf("key: %d %s", code, b)
		}
		ids = append(ids, made.Key.ID)
	}
	i.kill()
	i.start()
	for _, id := range ids {
		eventually(t, 60*time.Second, "the trail of "+id, func() bool { return len(i.trail(auditor, "action:key.create resource:"+id)) > 0 })
	}
	for _, id := range ids {
		if n := len(i.trail(auditor, "action:key.create resource:"+id)); n != 1 {
			t.Errorf("key %s has %d events", id, n)
		}
	}
}
