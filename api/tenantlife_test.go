package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestTenantLife: what the operator and a tenant's administrator may change of
// a tenant, by versions, and what they get to hear otherwise.
func TestTenantLife(t *testing.T) {
	w := newWorld()
	s := w.server(t)
	patch := func(who, path, body, tag string, want int) *httptest.ResponseRecorder {
		t.Helper()
		h := map[string]string{}
		if tag != "" {
			h["If-Match"] = tag
		}
		return ask{who: who, method: http.MethodPatch, path: path, body: body, header: h}.want(t, s, want)
	}
	const settings = "/api/v1/tenants/alpha/settings"
	got := ask{who: "platform", path: settings}.want(t, s, 200)
	tag := got.Header().Get("ETag")
	if v := into[map[string]any](t, got); v["alert_budget"] != 5.0 || v["tenant_id"] != "alpha" || tag != `"v1"` {
		t.Errorf("settings %v, tag %s", v, tag)
	}
	got = patch("admin", settings, `{"alert_budget":3,"networks":[{"name":"HQ","prefix":"203.0.113.0/24","kind":"office"}]}`, tag, 200)
	if v := into[map[string]any](t, got); v["alert_budget"] != 3.0 || len(v["networks"].([]any)) != 1 {
		t.Errorf("changed to %v", v)
	}
	budgets := func(who, path string) (perDay float64, of map[string]float64) {
		t.Helper()
		v := into[struct {
			Budget struct {
				PerTenantPerDay float64 `json:"per_tenant_per_day"`
			}
			Tenants []struct {
				TenantID    string  `json:"tenant_id"`
				AlertBudget float64 `json:"alert_budget"`
			}
		}](t, ask{who: who, path: path}.want(t, s, 200))
		of = map[string]float64{}
		for _, n := range v.Tenants {
			of[n.TenantID] = n.AlertBudget
		}
		return v.Budget.PerTenantPerDay, of
	}
	if per, of := budgets("admin", "/api/v1/overview"); per != 3 || of["alpha"] != 3 {
		t.Errorf("the overview of a tenant with a budget of 3 shows %v, %v", per, of)
	}
	if per, of := budgets("platform", "/api/v1/overview?tenant_id=beta"); per != 5 || of["beta"] != 5 {
		t.Errorf("the overview of another tenant shows %v, %v", per, of)
	}
	if per, of := budgets("platform", "/api/v1/overview"); per >= 5 || per <= 3 || of["alpha"] != 3 || of["beta"] != 5 {
		t.Errorf("the overview of all tenants shows %v, %v: want the average", per, of)
	}
	patch("admin", settings, `{"alert_budget":4}`, tag, 412)
	patch("admin", settings, `{"alert_budget":4}`, `"nonsense"`, 412)
	patch("admin", settings, `{"retention_days":1}`, "", 403)
	patch("admin", settings, `{"time_zone":"Mars/Base"}`, "", 400)
	patch("admin", settings, `{}`, "", 400)
	patch("admin", settings, `{"no_such":1}`, "", 400)
	patch("auditor", settings, `{"alert_budget":4}`, "", 403)
	patch("admin", "/api/v1/tenants/beta/settings", `{"alert_budget":4}`, "", 404)
	patch("admin", "/api/v1/tenants/nobody/settings", `{"alert_budget":4}`, "", 404)
	patch("admin", "/api/v1/tenants/alpha", `{"name":"Mine"}`, "", 403)
	patch("platform", settings, `{"retention_days":30,"quotas":{"events_per_second":10}}`, "", 200)
	if v := into[map[string]any](t, patch("platform", "/api/v1/tenants/alpha", `{"name":"Acme Ltd"}`, "", 200)); v["name"] != "Acme Ltd" {
		t.Errorf("renamed to %v", v)
	}
	post := func(path, body string) map[string]any {
		t.Helper()
		return into[map[string]any](t, ask{who: "platform", method: http.MethodPost, path: path, body: body}.want(t, s, 200))
	}
	if v := post("/api/v1/tenants/alpha/suspend", `{"reason":"unpaid"}`); v["status"] != "suspended" || v["status_reason"] != "unpaid" {
		t.Errorf("suspended: %v", v)
	}
	if v := post("/api/v1/tenants/alpha/resume", `{}`); v["status"] != "active" {
		t.Errorf("resumed: %v", v)
	}
	v := into[map[string]any](t, ask{who: "platform", method: http.MethodDelete, path: "/api/v1/tenants/alpha?grace_days=2"}.want(t, s, 200))
	if v["status"] != "deleting" || v["delete_after"] == nil {
		t.Errorf("deleted: %v", v)
	}
	if v := post("/api/v1/tenants/alpha/restore", `{}`); v["status"] != "active" || v["delete_after"] != nil {
		t.Errorf("restored: %v", v)
	}
	if w.calls == 0 {
		t.Error("the store was not asked")
	}
}
