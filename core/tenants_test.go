package core_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

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
	if err != nil || got.ID != acme || got.Name != "Acme Ltd" || got.Version != 1 || !reflect.DeepEqual(got.Settings, tenant.DefaultSettings()) || got.State != core.TenantActive {
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
}

func ptr[T any](v T) *T { return &v }

func TestTenantSettings(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	ctx := t.Context()
	makeTenants(t, c, acme)
	patch := core.SettingsPatch{AlertBudget: ptr(9), TimeZone: ptr("Europe/Berlin"), RetentionDays: ptr(30), Region: ptr("eu-central"),
		Calendar: &tenant.CalendarPatch{Holidays: &[]tenant.Holiday{{Date: "2026-12-26", Name: "Boxing day"}, {Date: "2026-12-25"}}},
		Quotas:   &tenant.QuotasPatch{EventsPerSecond: ptr(500)},
		Networks: &[]tenant.NetworkText{{Name: "HQ", Prefix: "203.0.113.0/24", Kind: "office"}, {Name: "HQ", Prefix: "2001:db8::1", Kind: "vpn"}}}
	got, err := c.Tenants.UpdateSettings(ctx, tests, acme, patch, 1)
	if err != nil || got.Version != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	read, version, err := c.Tenants.Settings(ctx, acme)
	if err != nil || version != 2 || !reflect.DeepEqual(read, got.Settings) {
		t.Fatalf("read %+v, version %d, %v; written %+v", read, version, err, got.Settings)
	}
	if read.AlertBudget != 9 || read.TimeZone != "Europe/Berlin" || read.RetentionDays != 30 || read.Region != "eu-central" || read.Quotas.EventsPerSecond != 500 ||
		len(read.Networks) != 2 || read.Networks[1].Prefix.Bits() != 128 || read.Calendar.Holidays[0].Date != "2026-12-25" || read.Calendar.WorkFrom != "08:00" {
		t.Errorf("settings %+v", read)
	}
	if _, err := c.Tenants.UpdateSettings(ctx, tests, acme, core.SettingsPatch{AlertBudget: ptr(1)}, 1); !errors.Is(err, core.ErrConflict) {
		t.Errorf("over a version that is gone: %v", err)
	}
	if got, err := c.Tenants.UpdateSettings(ctx, tests, acme, core.SettingsPatch{AlertBudget: ptr(1)}, 0); err != nil || got.Settings.AlertBudget != 1 || got.Settings.RetentionDays != 30 {
		t.Errorf("one of them, whatever there is: %+v, %v", got, err)
	}
	for name, bad := range map[string]core.SettingsPatch{
		"retention_days": {RetentionDays: ptr(0)}, "2557": {RetentionDays: ptr(2558)}, "alert_budget": {AlertBudget: ptr(-1)}, "IANA": {TimeZone: ptr("Mars/Base")},
		"time_zone": {TimeZone: ptr("Local")}, "region": {Region: ptr("EU Central")}, "work_to": {Calendar: &tenant.CalendarPatch{WorkTo: ptr("07:00")}},
		"work_days": {Calendar: &tenant.CalendarPatch{WorkDays: &[]string{"mon", "mon"}}}, "2026-12-25": {Calendar: &tenant.CalendarPatch{Holidays: &[]tenant.Holiday{{Date: "25.12.2026"}}}},
		"events_per_day": {Quotas: &tenant.QuotasPatch{EventsPerDay: ptr(int64(-1))}}, "write 203.0.113.0/24": {Networks: &[]tenant.NetworkText{{Name: "x", Prefix: "203.0.113.7/24", Kind: "office"}}},
		"every address": {Networks: &[]tenant.NetworkText{{Name: "x", Prefix: "0.0.0.0/0", Kind: "office"}}}, "kind": {Networks: &[]tenant.NetworkText{{Name: "x", Prefix: "10.0.0.0/8", Kind: "home"}}},
	} {
		if _, err := c.Tenants.UpdateSettings(ctx, tests, acme, bad, 0); !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTenantLife(t *testing.T) {
	t.Parallel()
	clk := &clock{t: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.Now = clk.now })
	ctx := t.Context()
	makeTenants(t, c, acme, beta)
	changes := c.Tenants.Changes(ctx)
	got, err := c.Tenants.Delete(ctx, tests, acme, 48*time.Hour, "contract ended")
	if err != nil || got.State != core.TenantDeleting || got.Reason != "contract ended" || !got.DeleteAfter.Equal(clk.now().Add(48*time.Hour)) {
		t.Fatalf("delete: %+v, %v", got, err)
	}
	if ch := <-changes; ch.Tenant != acme || ch.Version != got.Version {
		t.Errorf("announced %+v", ch)
	}
	if err := c.InTenant(ctx, acme, func(pgx.Tx) error { return nil }); !errors.Is(err, core.ErrSuspended) {
		t.Errorf("a write into a tenant on its way out: %v", err)
	}
	for name, call := range map[string]func() (core.Tenant, error){
		"suspend": func() (core.Tenant, error) { return c.Tenants.Suspend(ctx, tests, acme, "") },
		"resume":  func() (core.Tenant, error) { return c.Tenants.Resume(ctx, tests, acme) },
		"delete":  func() (core.Tenant, error) { return c.Tenants.Delete(ctx, tests, acme, 0, "") },
		"restore": func() (core.Tenant, error) { return c.Tenants.Restore(ctx, tests, beta) },
		"grace":   func() (core.Tenant, error) { return c.Tenants.Delete(ctx, tests, beta, -time.Hour, "") },
	} {
		if _, err := call(); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err = c.Tenants.Restore(ctx, tests, acme); err != nil || got.State != core.TenantActive || !got.DeleteAfter.IsZero() {
		t.Fatalf("restore: %+v, %v", got, err)
	}
	if err := c.InTenant(ctx, acme, func(pgx.Tx) error { return nil }); err != nil {
		t.Errorf("a write after it was restored: %v", err)
	}
}

// A tenant is purged only when its grace is over and no hold keeps it; all of
// its rows go, the counts stay, the others' rows stay, and its slug is not
// given again.
func TestPurge(t *testing.T) {
	t.Parallel()
	clk := &clock{t: time.Now()}
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.Now = clk.now })
	ctx := t.Context()
	makeTenants(t, c, acme, beta)
	for _, id := range []tenant.ID{acme, beta} {
		makeUser(t, c, id, "a@"+id.String()+".example", access.TenantAdmin)
		if _, _, err := c.Keys.Create(ctx, tests, id, core.NewKey{Kind: core.IngestKind, Name: "k"}); err != nil {
			t.Fatal(err)
		}
	}
	erased := 0
	erase := func(context.Context) (removed, left map[string]uint64, err error) {
		erased++
		if erased == 1 {
			return nil, nil, errors.New("the store is away")
		}
		return map[string]uint64{"events": 7}, map[string]uint64{"events": 0}, nil
	}
	if _, err := c.Tenants.Purge(ctx, tests, acme, erase); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("an active one: %v", err)
	}
	if _, err := c.Tenants.Delete(ctx, tests, acme, time.Hour, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tenants.Purge(ctx, tests, acme, erase); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("within its grace: %v", err)
	}
	if _, err := c.Tenants.UpdateSettings(ctx, tests, acme, core.SettingsPatch{LegalHold: ptr(true)}, 0); err != nil {
		t.Fatal(err)
	}
	clk.advance(2 * time.Hour)
	if due, err := c.Tenants.DuePurges(ctx); err != nil || len(due) != 0 {
		t.Errorf("under legal hold: %v, %v", due, err)
	}
	if _, err := c.Tenants.UpdateSettings(ctx, tests, acme, core.SettingsPatch{LegalHold: ptr(false)}, 0); err != nil {
		t.Fatal(err)
	}
	if due, err := c.Tenants.DuePurges(ctx); err != nil || len(due) != 1 || due[0] != acme {
		t.Fatalf("due: %v, %v", due, err)
	}
	if _, err := c.Tenants.Purge(ctx, tests, acme, erase); err == nil || erased != 1 {
		t.Errorf("with the store away: %v", err)
	}
	if _, err := c.Tenants.Restore(ctx, tests, acme); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("half of it may be gone: %v", err)
	}
	got, err := c.Tenants.Purge(ctx, tests, acme, erase)
	if err != nil || got.Removed["events"] != 7 || got.Removed["core.users"] != 1 || got.Removed["core.api_keys"] != 1 || got.FinishedAt.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := c.InTenantRead(ctx, acme, func(pgx.Tx) error { return nil }); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("it is still read: %v", err)
	}
	if _, err := c.Tenants.Create(ctx, tests, acme, ""); !errors.Is(err, core.ErrExists) {
		t.Errorf("its slug was given again: %v", err)
	}
	if list, err := c.Tenants.PurgedTenants(ctx); err != nil || len(list) != 1 || list[0].Removed["core.users"] != 1 {
		t.Errorf("the proof: %+v, %v", list, err)
	}
	n := 0
	if err := c.InTenantRead(ctx, beta, func(tx pgx.Tx) error { return tx.QueryRow(ctx, "select count(*) from users").Scan(&n) }); err != nil || n != 1 {
		t.Errorf("the other tenant has %d people, %v", n, err)
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
	if got, err := c.Tenants.Suspend(ctx, tests, acme, "unpaid"); err != nil || !got.Suspended() || got.Reason != "unpaid" {
		t.Fatalf("suspend: %+v, %v", got, err)
	}
	if err := c.TakesIn(ctx, acme); !errors.Is(err, core.ErrSuspended) {
		t.Fatalf("a suspended tenant takes events in: %v", err)
	}
	if err := c.InTenant(ctx, acme, nop); !errors.Is(err, core.ErrSuspended) {
		t.Fatalf("a write into a suspended tenant: %v", err)
	}
	if err := c.InTenantRead(ctx, acme, nop); err != nil {
		t.Fatalf("a read of a suspended tenant: %v", err)
	}
	if _, err := c.Keys.ResolveIngestKey(ctx, key.Reveal()); !errors.Is(err, core.ErrSuspended) {
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
