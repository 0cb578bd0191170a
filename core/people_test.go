package core_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func TestPeople(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	ada := makeUser(t, c, acme, "ada@acme.example", access.TenantAdmin)
	bob := makeUser(t, c, acme, "bob@acme.example", access.TenantAuditor)
	auditor, admin, operator := access.TenantAuditor, access.TenantAdmin, access.SOCAnalyst
	yes := true
	// Another tenant's people do not exist.
	if _, err := c.Identity.UpdatePerson(ctx, tests, beta, ada.ID, core.PersonChange{Disabled: &yes}); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("ada through beta: %v", err)
	}
	if err := c.Identity.DeletePerson(ctx, tests, beta, ada.ID); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("delete ada through beta: %v", err)
	}
	if err := c.Identity.DeletePerson(ctx, tests, tenant.ID{}, ada.ID); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("delete ada as one of the operator's: %v", err)
	}
	if _, _, err := c.Identity.ResetPerson(ctx, tests, beta, ada.ID, true); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("reset ada through beta: %v", err)
	}
	// The last administrator stays one.
	for what, ch := range map[string]core.PersonChange{"role": {Role: &auditor}, "disable": {Disabled: &yes}} {
		if _, err := c.Identity.UpdatePerson(ctx, tests, acme, ada.ID, ch); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s of the last administrator: %v", what, err)
		}
	}
	if err := c.Identity.DeletePerson(ctx, tests, acme, ada.ID); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("delete the last administrator: %v", err)
	}
	if _, err := c.Identity.UpdatePerson(ctx, tests, acme, bob.ID, core.PersonChange{Role: &operator}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a member becomes an analyst: %v", err)
	}
	if _, err := c.Identity.UpdatePerson(ctx, tests, acme, bob.ID, core.PersonChange{Tenants: &[]tenant.ID{beta}}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a member is granted another tenant: %v", err)
	}
	// Two administrators removing one another at once: one stays.
	if _, err := c.Identity.UpdatePerson(ctx, tests, acme, bob.ID, core.PersonChange{Role: &admin}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for n, id := range []string{ada.ID, bob.ID} {
		wg.Go(func() { errs[n] = c.Identity.DeletePerson(ctx, tests, acme, id) })
	}
	wg.Wait()
	if left := must(c.Identity.Users(ctx, acme)); len(left) != 1 || (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("%d administrators left: %v", len(left), errs)
	}
	// Disabled: no session goes on.
	makeUser(t, c, acme, "cy@acme.example", access.TenantAdmin)
	s := must(c.Identity.Login(ctx, core.LoginRequest{Email: "cy@acme.example", Password: password}))
	if _, err := c.Identity.UpdatePerson(ctx, tests, acme, s.Principal.ID, core.PersonChange{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identity.SessionByToken(ctx, s.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("disabled: %v", err)
	}
}

func TestOperatorsPeople(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	p, err := c.Identity.CreateOperator(ctx, tests, core.NewPerson{Email: "ana@soc.example", Password: password, Role: access.SOCAnalyst, Tenants: []tenant.ID{acme}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Identity.UpdatePerson(ctx, tests, tenant.ID{}, p.ID, core.PersonChange{Tenants: &[]tenant.ID{beta}})
	if err != nil || !slices.Equal(got.Tenants, []tenant.ID{beta}) {
		t.Fatalf("grants: %v, %v", got.Tenants, err)
	}
	if g, u := rows(t, c, beta, "operator.grant"), rows(t, c, acme, "operator.ungrant"); len(g) != 1 || len(u) != 1 {
		t.Errorf("the tenants' trails: %v, %v", g, u)
	}
	_, secret, err := c.Keys.CreateOperatorToken(ctx, tests, p.ID, "ci", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if who := must(c.Keys.ResolveToken(ctx, secret.Reveal())); !slices.Equal(who.Tenants, []tenant.ID{beta}) {
		t.Errorf("the token sees %v", who.Tenants)
	}
	if err := c.Identity.DeletePerson(ctx, tests, tenant.ID{}, p.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Keys.ResolveToken(ctx, secret.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("a deleted person's token: %v", err)
	}
}

func TestViewAs(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	p := must(c.Identity.CreateOperator(ctx, tests, core.NewPerson{Email: "ana@soc.example", Password: password, Role: access.SOCAnalyst, Tenants: []tenant.ID{acme}}))
	s := must(c.Identity.Login(ctx, core.LoginRequest{Email: "ana@soc.example", Password: password}))
	token := s.Token.Reveal()
	step := func(id tenant.ID, role access.Role, reason string) error {
		return c.Identity.ViewAs(ctx, s.Principal, token, id, role, reason)
	}
	if err := step(acme, access.TenantAuditor, " "); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("without a reason: %v", err)
	}
	if err := step(beta, access.TenantAuditor, "ticket 4711"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("into a tenant that is not granted: %v", err)
	}
	if err := step(acme, access.SOCReader, "ticket 4711"); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("as another operator: %v", err)
	}
	if err := step(acme, access.TenantAdmin, "ticket 4711"); err != nil {
		t.Fatal(err)
	}
	v := must(c.Identity.SessionByToken(ctx, token)).Principal
	if v.View == nil || v.View.Reason != "ticket 4711" || v.View.Role != access.SOCAnalyst || v.Tenant != acme || !v.Single() || v.Role != access.TenantAdmin || v.Actor().Name != "ana@soc.example" {
		t.Fatalf("principal: %+v", v)
	}
	// Stepping in adds nothing to what the person may do.
	if v.Can(access.KeysManage) || v.Can(access.UsersManage) || v.Can(access.AuditRead) || !v.Can(access.EventsRead) {
		t.Errorf("an analyst as tenant_admin may %v", v.Scopes)
	}
	if err := c.Identity.ViewAs(ctx, v, token, acme, access.TenantAuditor, "again and again"); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("within a view: %v", err)
	}
	got := rows(t, c, acme, "view_as.start")
	if len(got) != 1 || got[0]["reason"] != "ticket 4711" || got[0]["role"] != "tenant_admin" {
		t.Errorf("acme's trail: %v", got)
	}
	if err := c.Identity.EndView(ctx, v, token); err != nil {
		t.Fatal(err)
	}
	if out := must(c.Identity.SessionByToken(ctx, token)).Principal; out.View != nil || out.Single() || len(rows(t, c, acme, "view_as.end")) != 1 {
		t.Errorf("after stepping out: %+v", out)
	}
	// Whoever loses the grant is out.
	if err := step(acme, access.TenantAuditor, "ticket 4712"); err != nil {
		t.Fatal(err)
	}
	if err := c.Identity.Ungrant(ctx, tests, p.ID, acme); err != nil {
		t.Fatal(err)
	}
	if out := must(c.Identity.SessionByToken(ctx, token)).Principal; out.View != nil || out.Sees(acme) {
		t.Errorf("without the grant: %+v", out)
	}
}
