package core_test

import (
	"errors"
	"testing"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// TestSearches: people see their own and the shared ones of their tenants, and
// change their own alone.
func TestSearches(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	alice, bob := access.Actor{Kind: access.KindUser, ID: "a", Name: "alice"}, access.Actor{Kind: access.KindUser, ID: "b", Name: "bob"}
	own, err := c.Searches.Create(ctx, alice, acme, core.SavedSearch{Name: "own", Query: "actor:a", Range: "7d"})
	if err != nil {
		t.Fatal(err)
	}
	shared, err := c.Searches.Create(ctx, alice, acme, core.SavedSearch{Name: "shared", Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := c.Searches.Create(ctx, alice, beta, core.SavedSearch{Name: "foreign", Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		who   access.Actor
		scope []tenant.ID
		want  int
	}{{alice, []tenant.ID{acme}, 2}, {bob, []tenant.ID{acme}, 1}, {alice, []tenant.ID{acme, beta}, 3}, {bob, []tenant.ID{beta}, 1}, {access.Actor{Kind: access.KindToken, ID: "a"}, []tenant.ID{acme}, 1}, {alice, nil, 0}} {
		if got, err := c.Searches.List(ctx, v.scope, v.who); err != nil || len(got) != v.want {
			t.Errorf("%s of %v: %+v, %v; want %d", v.who.Name, v.scope, got, err, v.want)
		}
	}
	missing := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, core.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = c.Searches.Get(ctx, []tenant.ID{acme}, bob, own.ID)
	missing("bob reads alice's own", err)
	_, err = c.Searches.Get(ctx, []tenant.ID{acme}, alice, foreign.ID)
	missing("through another tenant", err)
	_, err = c.Searches.Get(ctx, []tenant.ID{acme}, alice, "nonsense")
	missing("nonsense", err)
	name, no := "new name", false
	_, err = c.Searches.Update(ctx, bob, acme, shared.ID, core.SearchChange{Name: &name})
	missing("bob changes a shared one", err)
	_, err = c.Searches.Update(ctx, alice, beta, own.ID, core.SearchChange{Name: &name})
	missing("changed through another tenant", err)
	missing("bob deletes it", c.Searches.Delete(ctx, bob, acme, shared.ID))
	got, err := c.Searches.Update(ctx, alice, acme, shared.ID, core.SearchChange{Name: &name, Shared: &no})
	if err != nil || got.Name != name || got.Shared || got.Tenant != acme || !got.UpdatedAt.After(got.CreatedAt) {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = c.Searches.Get(ctx, []tenant.ID{acme}, bob, shared.ID)
	missing("bob reads what is no longer shared", err)
	if err := c.Searches.Delete(ctx, alice, acme, own.ID); err != nil {
		t.Error(err)
	}
	for _, bad := range []core.SavedSearch{{}, {Name: "x\x00"}, {Name: "x", Query: string(make([]byte, 5000))}} {
		if _, err := c.Searches.Create(ctx, alice, acme, bad); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%.20q was saved: %v", bad.Name, err)
		}
	}
}
