package core_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func TestRotate(t *testing.T) {
	t.Parallel()
	clk := newClock()
	c, db := server.Open(t, func(cfg *core.Config) { cfg.Now = clk.now })
	other := openAt(t, db, clk) // another process with a cache of its own
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	key, old, err := c.Keys.Create(ctx, tests, acme, core.NewKey{Kind: core.APIKind, Name: "siem", Role: access.TenantAuditor, Scopes: []access.Permission{access.AlertsRead}})
	if err != nil {
		t.Fatal(err)
	}
	must(other.Keys.ResolveToken(ctx, old.Reveal())) // now it remembers
	if _, _, err := c.Keys.Rotate(ctx, tests, beta, key.ID, time.Hour, time.Time{}); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("through another tenant: %v", err)
	}
	if _, _, err := c.Keys.Rotate(ctx, tests, acme, key.ID, core.MaxOverlap+1, time.Time{}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("for ever: %v", err)
	}
	next, secret, err := c.Keys.Rotate(ctx, tests, acme, key.ID, time.Hour, time.Time{})
	if err != nil || next.Name != "siem" || next.ID == key.ID {
		t.Fatalf("successor: %+v, %v", next, err)
	}
	if _, _, err := c.Keys.Rotate(ctx, tests, acme, key.ID, time.Hour, time.Time{}); !errors.Is(err, core.ErrExists) {
		t.Errorf("a second successor: %v", err)
	}
	clk.advance(30 * time.Minute)
	for what, s := range map[string]core.Secret{"old": old, "new": secret} {
		for n, c := range []*core.Core{c, other} {
			if p, err := c.Keys.ResolveToken(ctx, s.Reveal()); err != nil || p.Can(access.EventsRead) || !p.Can(access.AlertsRead) {
				t.Errorf("during the overlap, %s key in process %d: %+v, %v", what, n, p, err)
			}
		}
	}
	clk.advance(30*time.Minute + 6*time.Second) // what a cache may be late
	for n, c := range []*core.Core{c, other} {
		if _, err := c.Keys.ResolveToken(ctx, old.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("after the overlap, old key in process %d: %v", n, err)
		}
		if _, err := c.Keys.ResolveToken(ctx, secret.Reveal()); err != nil {
			t.Errorf("after the overlap, new key in process %d: %v", n, err)
		}
	}
	// Revocation is felt by the other process within its five seconds.
	if err := c.Keys.Revoke(ctx, tests, acme, next.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Keys.ResolveToken(ctx, secret.Reveal()); err != nil {
		t.Errorf("the control: the other process still remembers: %v", err)
	}
	clk.advance(5 * time.Second)
	if _, err := other.Keys.ResolveToken(ctx, secret.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("five seconds after the revocation: %v", err)
	}
	if list := must(c.Keys.List(ctx, []tenant.ID{acme})); len(list) != 2 || list[1].ReplacedBy != next.ID && list[0].ReplacedBy != next.ID {
		t.Errorf("the list: %+v", list)
	}
}

func TestUsageAddsUp(t *testing.T) {
	t.Parallel()
	clk := newClock()
	c, db := server.Open(t, func(cfg *core.Config) { cfg.Now = clk.now })
	other := openAt(t, db, clk)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	var wg sync.WaitGroup
	for _, c := range []*core.Core{c, other} {
		for range 4 {
			wg.Go(func() {
				for range 25 {
					c.Usage.Add(acme, core.UsageCounts{Events: 2, Bytes: 100, Queries: 1})
					c.Usage.Add(beta, core.UsageCounts{Refused: 1})
					if err := c.Usage.Flush(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	day := clk.now()
	clk.advance(24 * time.Hour)
	c.Usage.Add(acme, core.UsageCounts{Events: 1})
	c.Usage.Add(tenant.MustParse("nobody"), core.UsageCounts{Events: 1}) // gone meanwhile: not counted, no error
	list, err := c.Usage.List(ctx, acme, day.AddDate(0, 0, -1), day.AddDate(0, 0, 3))
	if err != nil || len(list) != 2 || list[0].UsageCounts != (core.UsageCounts{Events: 400, Bytes: 20000, Queries: 200}) || list[1].Events != 1 {
		t.Errorf("acme: %+v, %v", list, err)
	}
	list, err = other.Usage.List(ctx, beta, day.AddDate(0, 0, -1), day.AddDate(0, 0, 3))
	if err != nil || len(list) != 1 || list[0].UsageCounts != (core.UsageCounts{Refused: 200}) {
		t.Errorf("beta: %+v, %v", list, err)
	}
}

func TestAllowance(t *testing.T) {
	t.Parallel()
	clk := newClock()
	c, _ := server.Open(t, func(cfg *core.Config) {
		cfg.Now, cfg.Quotas = clk.now, core.Quotas{EventsPerDay: 1000, RequestsPerSecond: 7}
	})
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	limit, perSecond := int64(50), 3
	if _, err := c.Tenants.UpdateSettings(ctx, tests, acme, tenant.SettingsPatch{Quotas: &tenant.QuotasPatch{EventsPerDay: &limit, EventsPerSecond: &perSecond}}, 0); err != nil {
		t.Fatal(err)
	}
	c.Usage.Add(acme, core.UsageCounts{Events: 20})
	a, err := c.Usage.Allowance(ctx, acme)
	if err != nil || a.Quotas != (core.Quotas{EventsPerSecond: 3, EventsPerDay: 50, RequestsPerSecond: 7}) || a.Today.Events != 20 {
		t.Errorf("acme has its own: %+v, %v", a, err)
	}
	if b := must(c.Usage.Allowance(ctx, beta)); b.Quotas != (core.Quotas{EventsPerDay: 1000, RequestsPerSecond: 7}) || b.Today.Events != 0 {
		t.Errorf("beta has the installation's: %+v", b)
	}
	c.Usage.Add(acme, core.UsageCounts{Events: 40})
	clk.advance(6 * time.Second)
	if a := must(c.Usage.Allowance(ctx, acme)); a.Today.Events != 60 && a.Today.Events != 40 { // 40 when the day began within these seconds
		t.Errorf("six seconds later: %+v", a)
	}
}

func TestExternal(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	e := core.External{Issuer: "https://idp.example", Subject: "s1", Email: "Ada@acme.example", Name: "Ada", Tenant: acme, Role: access.TenantAuditor}
	s, err := c.Identity.LoginExternal(ctx, e)
	if err != nil || s.Principal.Tenant != acme || s.Principal.Role != access.TenantAuditor || s.Method != "oidc" || s.Principal.Email != "ada@acme.example" {
		t.Fatalf("first time: %+v, %v", s, err)
	}
	e.Role = access.TenantAdmin // the provider's word changed
	again, err := c.Identity.LoginExternal(ctx, e)
	if err != nil || again.Principal.ID != s.Principal.ID || again.Principal.Role != access.TenantAdmin {
		t.Fatalf("second time: %+v, %v", again.Principal, err)
	}
	if len(rows(t, c, acme, "user.create")) != 1 || len(rows(t, c, acme, "user.role")) != 1 || len(rows(t, c, acme, "session.start")) != 2 {
		t.Error("the trail does not tell it")
	}
	// No password opens it, and the address alone is nobody.
	if _, err := c.Identity.Login(ctx, core.LoginRequest{Email: e.Email, Password: password}); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("with a password: %v", err)
	}
	makeUser(t, c, acme, "bob@acme.example", access.TenantAdmin)
	for what, bad := range map[string]core.External{
		"an address with a password": {Issuer: e.Issuer, Subject: "s2", Email: "bob@acme.example", Tenant: acme, Role: access.TenantAdmin},
		"the address of another":     {Issuer: "https://other.example", Subject: "s1", Email: e.Email, Tenant: acme, Role: access.TenantAdmin},
		"a tenant that is not there": {Issuer: e.Issuer, Subject: "s1", Email: e.Email, Tenant: tenant.MustParse("nobody"), Role: access.TenantAdmin},
	} {
		if _, err := c.Identity.LoginExternal(ctx, bad); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.Identity.LoginExternal(ctx, core.External{Issuer: e.Issuer, Subject: "s3", Email: "eve@acme.example", Tenant: acme, Role: access.PlatformAdmin}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("an operator's role in a tenant: %v", err)
	}
	// Disabled here counts, whatever the provider says.
	yes := true
	if _, err := c.Identity.UpdatePerson(ctx, tests, acme, s.Principal.ID, core.PersonChange{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identity.LoginExternal(ctx, e); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("disabled: %v", err)
	}
	// One of the operator's people, whose grants are given here.
	op, err := c.Identity.LoginExternal(ctx, core.External{Issuer: e.Issuer, Subject: "s9", Email: "ana@soc.example", Role: access.SOCAnalyst})
	if err != nil || op.Principal.Kind != access.KindOperator || len(op.Principal.Tenants) != 0 {
		t.Errorf("an operator: %+v, %v", op.Principal, err)
	}
	// A machine of a suspended tenant is nobody.
	if p, err := c.Identity.Machine(ctx, "ci:deploy", acme, access.TenantAuditor); err != nil || p.Tenant != acme || !p.Single() {
		t.Errorf("a machine: %+v, %v", p, err)
	}
	if _, err := c.Tenants.Suspend(ctx, tests, acme, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identity.Machine(ctx, "ci:deploy", acme, access.TenantAuditor); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("a machine of a suspended tenant: %v", err)
	}
}
