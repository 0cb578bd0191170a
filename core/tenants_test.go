package core_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

var (
	acme  = tenant.MustParse("acme")
	beta  = tenant.MustParse("beta")
	tests = access.System("test")
)

func makeTenants(t testing.TB, c *core.Core, ids ...tenant.ID) {
	t.Helper()
	for _, id := range ids {
		if _, err := c.Tenants.Create(t.Context(), tests, id, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	ctx := t.Context()
	got, err := c.Tenants.Create(ctx, tests, acme, "Acme Ltd")
	if err != nil || got.ID != acme || got.Name != "Acme Ltd" || got.Version != 1 || got.Settings != (core.TenantSettings{AlertBudget: 5, TimeZone: "UTC", RetentionDays: 365}) {
		t.Fatalf("create: %+v, %v", got, err)
	}
	if _, err := c.Tenants.Create(ctx, tests, acme, ""); !errors.Is(err, core.ErrExists) {
		t.Fatalf("a second acme: %v", err)
	}
	if _, created, err := c.Tenants.Ensure(ctx, tests, acme, ""); err != nil || created {
		t.Fatalf("ensure an existing one: %v, %v", created, err)
	}
	if _, err := c.Tenants.Create(ctx, tests, tenant.Verbatim("No Slug"), ""); !errors.Is(err, core.ErrInvalid) {
		t.Fatalf("an offline id: %v", err)
	}
	if got, err = c.Tenants.Rename(ctx, tests, acme, "Acme GmbH", 1); err != nil || got.Name != "Acme GmbH" || got.Version != 2 {
		t.Fatalf("rename: %+v, %v", got, err)
	}
	if _, err := c.Tenants.Rename(ctx, tests, acme, "Late", 1); !errors.Is(err, core.ErrConflict) {
		t.Fatalf("rename of an old version: %v", err)
	}
	if _, err := c.Tenants.Rename(ctx, tests, beta, "Nobody", 1); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("rename of a missing one: %v", err)
	}
	want := core.TenantSettings{AlertBudget: 9, TimeZone: "Europe/Berlin", RetentionDays: 30}
	if got, err = c.Tenants.SetSettings(ctx, tests, acme, want, 0); err != nil || got.Settings != want {
		t.Fatalf("settings: %+v, %v", got, err)
	}
	for _, s := range []core.TenantSettings{{-1, "UTC", 1}, {1, "Mars/Base", 1}, {1, "Local", 1}, {1, "UTC", 0}, {1, "UTC", 2558}} {
		if _, err := c.Tenants.SetSettings(ctx, tests, acme, s, 0); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("settings %+v: %v", s, err)
		}
	}
}

func TestSuspension(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	ctx := t.Context()
	makeTenants(t, c, acme)
	nop := func(pgx.Tx) error { return nil }
	if err := c.InTenant(ctx, acme, nop); err != nil {
		t.Fatal(err)
	}
	_, key, err := c.Keys.Create(ctx, tests, acme, core.NewKey{Kind: core.IngestKind, Name: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Keys.ResolveIngestKey(ctx, key.Reveal()); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Tenants.Suspend(ctx, tests, acme); err != nil || !got.Suspended {
		t.Fatalf("suspend: %+v, %v", got, err)
	}
	if err := c.InTenant(ctx, acme, nop); !errors.Is(err, core.ErrSuspended) {
		t.Fatalf("a write into a suspended tenant: %v", err)
	}
	if err := c.InTenantRead(ctx, acme, nop); err != nil {
		t.Fatalf("a read of a suspended tenant: %v", err)
	}
	if _, err := c.Keys.ResolveIngestKey(ctx, key.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("the key of a suspended tenant: %v", err)
	}
	if _, err := c.Tenants.Resume(ctx, tests, acme); err != nil {
		t.Fatal(err)
	}
	if err := c.InTenant(ctx, acme, nop); err != nil {
		t.Fatalf("a write after resuming: %v", err)
	}
	if _, err := c.Keys.ResolveIngestKey(ctx, key.Reveal()); err != nil {
		t.Fatalf("the key after resuming: %v", err)
	}
}

func TestZeroAndUnknownTenants(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	nop := func(pgx.Tx) error { t.Error("ran"); return nil }
	var zero tenant.ID
	for name, err := range map[string]error{
		"InTenant":     c.InTenant(t.Context(), zero, nop),
		"InTenantRead": c.InTenantRead(t.Context(), zero, nop),
		"InGranted":    c.InGranted(t.Context(), []tenant.ID{zero}, nop),
		"no tenants":   c.InGranted(t.Context(), nil, nop),
	} {
		if !errors.Is(err, tenant.ErrZero) {
			t.Errorf("%s with the zero id: %v", name, err)
		}
	}
	if err := c.InTenant(t.Context(), acme, nop); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("an unknown tenant: %v", err)
	}
	if err := c.InTenant(t.Context(), tenant.Verbatim("x'; drop table alerts; --"), nop); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("an id that is no slug: %v", err)
	}
	if err := c.InPlatform(t.Context(), core.Operation(99), nop); err == nil {
		t.Error("an operation that is not listed ran")
	}
}
