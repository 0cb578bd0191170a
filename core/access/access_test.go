package access

import (
	"testing"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// every permission, by hand: a permission that no role holds is a mistake.
var every = []Permission{EventsPush, EventsRead, EventsExport, QuarantineRead, QuarantineReplay, AlertsRead, AlertsTriage, AlertsTune, AccountingRead, AuditRead,
	WebhooksRead, WebhooksManage, KeysRead, KeysManage, UsersRead, UsersManage, TenantsRead, TenantsManage, SettingsManage, TenantsViewAs, PlatformManage}

func TestTable(t *testing.T) {
	rows := Table()
	if len(rows) != 6 {
		t.Fatalf("%d roles, the contract has 6", len(rows))
	}
	held := make(map[Permission]bool)
	for _, r := range rows {
		if !r.Role.Valid() || r.Role.Scope() != r.Scope {
			t.Errorf("role %s does not find itself", r.Role)
		}
		for _, p := range r.Permissions {
			held[p] = true
			if !r.Role.Can(p) {
				t.Errorf("%s cannot %s", r.Role, p)
			}
		}
	}
	for _, p := range every {
		if !held[p] {
			t.Errorf("nobody can %s", p)
		}
	}
	if len(held) != len(every) {
		t.Errorf("%d permissions are held, %d are listed", len(held), len(every))
	}
	rows[0].Permissions[0] = EventsPush
	if PlatformAdmin.Can(EventsPush) {
		t.Error("a caller changed the table")
	}
}

// TestBoundaries holds what must never become possible by a careless edit.
func TestBoundaries(t *testing.T) {
	f := func(r Role, p Permission) {
		t.Helper()
		if r.Can(p) {
			t.Errorf("%s can %s", r, p)
		}
	}
	for _, p := range every {
		f("", p)
		f("root", p)
		if p != EventsPush {
			f(Ingest, p)
		} else {
			for _, r := range []Role{PlatformAdmin, SOCAnalyst, SOCReader, TenantAdmin, TenantAuditor} {
				f(r, p) // people push through a key, which can be revoked
			}
		}
	}
	for _, r := range []Role{SOCReader, TenantAuditor} {
		for _, p := range []Permission{AlertsTriage, AlertsTune, WebhooksManage, KeysManage, UsersManage, TenantsManage, PlatformManage} {
			f(r, p)
		}
	}
	f(SOCAnalyst, TenantsManage)
	f(TenantAdmin, TenantsManage)
	f(TenantAdmin, PlatformManage)
}

func TestPrincipal(t *testing.T) {
	acme, beta := tenant.MustParse("acme"), tenant.MustParse("beta")
	p := Principal{Kind: KindToken, ID: "k1", Name: "siem", Role: TenantAuditor, Tenant: acme, Tenants: []tenant.ID{acme}}
	if !p.Single() || !p.Sees(acme) || p.Sees(beta) || p.Sees(tenant.ID{}) || !p.Can(AlertsRead) {
		t.Errorf("%+v", p)
	}
	if (Principal{Tenants: []tenant.ID{{}}}).Sees(tenant.ID{}) {
		t.Error("the zero tenant is seen")
	}
	p.Scopes = []Permission{EventsRead, KeysManage}
	if p.Can(AlertsRead) || !p.Can(EventsRead) || p.Can(KeysManage) {
		t.Error("scopes must narrow, and never widen, the role")
	}
	if a := p.Actor(); a != (Actor{KindToken, "k1", "siem"}) {
		t.Errorf("actor %+v", a)
	}
}
