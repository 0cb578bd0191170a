package core_test

import (
	"errors"
	"testing"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// A hold is kept as it was given, refused when it could not be applied, and
// keeps the tenant from being removed.
func TestLegalHolds(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	ctx := t.Context()
	makeTenants(t, c, acme)
	holds := func(h ...tenant.LegalHold) (core.Tenant, error) {
		return c.Tenants.UpdateSettings(ctx, tests, acme, core.SettingsPatch{LegalHolds: &h}, 0)
	}
	good := tenant.LegalHold{Name: "Case 7", Query: "actor:bob@*", From: "2026-01-01T00:00:00Z"}
	for _, bad := range [][]tenant.LegalHold{
		{{Query: "actor:bob"}}, {good, good}, {{Name: "x", Query: `actor:"`}}, {{Name: "x", From: "yesterday"}},
		{{Name: "x", From: "2026-02-01T00:00:00Z", To: "2026-01-01T00:00:00Z"}},
	} {
		if _, err := holds(bad...); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if got, err := holds(good); err != nil || len(got.Settings.LegalHolds) != 1 || got.Settings.LegalHolds[0] != good {
		t.Fatalf("%+v, %v", got.Settings, err)
	}
	if _, err := c.Tenants.Delete(ctx, tests, acme, 0, ""); err != nil {
		t.Fatal(err)
	}
	if due, err := c.Tenants.DuePurges(ctx); err != nil || len(due) != 0 {
		t.Errorf("a tenant under a hold is due to be removed: %v, %v", due, err)
	}
	if _, err := c.Tenants.Purge(ctx, tests, acme, nil); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("purged under a hold: %v", err)
	}
	if _, err := holds(); err != nil {
		t.Fatal(err)
	}
	if due, err := c.Tenants.DuePurges(ctx); err != nil || len(due) != 1 { // the control
		t.Errorf("with the hold lifted: %v, %v", due, err)
	}
}
