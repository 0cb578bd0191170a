// Package access says who may do what: roles, permissions and the table that
// joins them.
//
// Invariant: the table below is the only place where a role gains a
// permission; documentation and tests are made from it. The package is pure
// and knows only core/tenant.
package access

import (
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Role is one of the six roles of the contract.
type Role string

// The roles.
const (
	PlatformAdmin Role = "platform_admin" // runs the installation; sees every tenant
	SOCAnalyst    Role = "soc_analyst"    // works on alerts across the tenants granted
	SOCReader     Role = "soc_reader"     // looks, across the tenants granted
	TenantAdmin   Role = "tenant_admin"   // manages its own tenant
	TenantAuditor Role = "tenant_auditor" // reads its own tenant's record
	Ingest        Role = "ingest"         // a key that pushes events, and nothing else
)

// Scope is the set of tenants over which a role's permissions hold.
type Scope string

// The scopes.
const (
	EveryTenant    Scope = "every tenant"
	GrantedTenants Scope = "granted tenants"
	OwnTenant      Scope = "own tenant"
)

// Permission is one thing that can be allowed.
type Permission string

// The permissions.
const (
	EventsPush       Permission = "events:push"
	EventsRead       Permission = "events:read"   // audit search, facets, histogram, an alert's events
	EventsExport     Permission = "events:export" // bulk download
	QuarantineRead   Permission = "quarantine:read"
	QuarantineReplay Permission = "quarantine:replay" // read lines again, by another format or mapping
	AlertsRead       Permission = "alerts:read"
	AlertsTriage     Permission = "alerts:triage"
	AlertsTune       Permission = "alerts:tune" // suppressions, targets, sensitivity: what becomes an alert at all
	AccountingRead   Permission = "accounting:read"
	AuditRead        Permission = "audit:read" // the trail of what people and keys did
	WebhooksRead     Permission = "webhooks:read"
	WebhooksManage   Permission = "webhooks:manage"
	KeysRead         Permission = "keys:read"
	KeysManage       Permission = "keys:manage"
	UsersRead        Permission = "users:read"
	UsersManage      Permission = "users:manage"
	TenantsRead      Permission = "tenants:read"
	TenantsManage    Permission = "tenants:manage"  // create, rename, suspend, delete, and what the operator decides of a tenant's settings
	SettingsManage   Permission = "settings:manage" // a tenant's own settings: budget, time zone, calendar, networks
	TenantsViewAs    Permission = "tenants:view_as" // step into a tenant, with a reason that the tenant reads
	PlatformManage   Permission = "platform:manage"
)

// Row is one role of the table.
type Row struct {
	Role        Role
	Scope       Scope
	Permissions []Permission
}

// table is who may do what.
var table = []Row{
	{PlatformAdmin, EveryTenant, []Permission{
		EventsRead, EventsExport, QuarantineRead, QuarantineReplay, AlertsRead, AlertsTriage, AlertsTune, AccountingRead, AuditRead,
		WebhooksRead, WebhooksManage, KeysRead, KeysManage, UsersRead, UsersManage,
		TenantsRead, TenantsManage, SettingsManage, TenantsViewAs, PlatformManage}},
	{SOCAnalyst, GrantedTenants, []Permission{
		EventsRead, EventsExport, QuarantineRead, QuarantineReplay, AlertsRead, AlertsTriage, AlertsTune, AccountingRead,
		WebhooksRead, TenantsRead, TenantsViewAs}},
	{SOCReader, GrantedTenants, []Permission{
		EventsRead, AlertsRead, AccountingRead, TenantsRead}},
	{TenantAdmin, OwnTenant, []Permission{
		EventsRead, EventsExport, QuarantineRead, QuarantineReplay, AlertsRead, AlertsTriage, AlertsTune, AccountingRead, AuditRead,
		WebhooksRead, WebhooksManage, KeysRead, KeysManage, UsersRead, UsersManage, TenantsRead, SettingsManage}},
	{TenantAuditor, OwnTenant, []Permission{
		EventsRead, EventsExport, QuarantineRead, AlertsRead, AccountingRead, AuditRead, TenantsRead}},
	{Ingest, OwnTenant, []Permission{EventsPush}},
}

// Table is a copy of the table, for documentation and tests.
func Table() []Row {
	out := make([]Row, len(table))
	for i, r := range table {
		out[i] = Row{r.Role, r.Scope, slices.Clone(r.Permissions)}
	}
	return out
}

func (r Role) row() (Row, bool) {
	for _, row := range table {
		if row.Role == r {
			return row, true
		}
	}
	return Row{}, false
}

// Valid reports whether r is in the table.
func (r Role) Valid() bool { _, ok := r.row(); return ok }

// Can reports whether the role holds p over its scope; an unknown role holds
// nothing.
func (r Role) Can(p Permission) bool {
	row, ok := r.row()
	return ok && slices.Contains(row.Permissions, p)
}

// Permissions is what the role holds, in the order of the table.
func (r Role) Permissions() []Permission { row, _ := r.row(); return slices.Clone(row.Permissions) }

// Scope is the role's scope; empty for an unknown role.
func (r Role) Scope() Scope { row, _ := r.row(); return row.Scope }

// Operator reports whether the role belongs to the people who run the
// installation rather than to one tenant.
func (r Role) Operator() bool { s := r.Scope(); return s == EveryTenant || s == GrantedTenants }

// Kind is what sort of credential stands behind a principal.
type Kind string

// The kinds.
const (
	KindUser          Kind = "user"           // a person of a tenant, signed in
	KindOperator      Kind = "operator"       // a person of the operator, signed in
	KindToken         Kind = "token"          // a tenant's API token
	KindOperatorToken Kind = "operator_token" // an operator's API token
	KindIngestKey     Kind = "ingest_key"
	KindSystem        Kind = "system" // the program itself
)

// Principal is who asks: made by core from a credential, never from a request.
type Principal struct {
	Kind  Kind
	ID    string // of the user, operator or key
	Name  string
	Email string // of people; empty for keys
	Role  Role
	// Tenant is the one tenant of a single-tenant credential; zero otherwise.
	Tenant tenant.ID
	// Tenants is the whole set the principal may see, sorted by slug. For a
	// platform_admin that is every tenant, suspended ones included.
	Tenants []tenant.ID
	// Scopes narrow the role for a key; empty means all that the role may.
	Scopes []Permission
	// View is set while an operator's person has stepped into Tenant; Role is
	// then the role it is viewed in.
	View *View
	// MustChange: the password is one that an administrator set; nothing is
	// allowed before it has been changed.
	MustChange bool
}

// View says why an operator's person has stepped into a tenant.
type View struct {
	Role   Role // the person's own
	Reason string
	Since  time.Time
}

// Can reports whether the principal's role, within its scopes, holds perm.
func (p Principal) Can(perm Permission) bool {
	return p.Role.Can(perm) && (len(p.Scopes) == 0 || slices.Contains(p.Scopes, perm))
}

// Sees reports whether id is in the principal's set.
func (p Principal) Sees(id tenant.ID) bool {
	return !id.IsZero() && slices.Contains(p.Tenants, id)
}

// Single reports whether the credential is bound to one tenant.
func (p Principal) Single() bool { return !p.Tenant.IsZero() }

// Actor is the principal as it is written into trails.
func (p Principal) Actor() Actor {
	name := p.Email
	if name == "" {
		name = p.Name
	}
	return Actor{Kind: p.Kind, ID: p.ID, Name: name}
}

// Actor names who did something.
type Actor struct {
	Kind Kind   `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// System is the program itself as an actor; part says which of its parts.
func System(part string) Actor { return Actor{Kind: KindSystem, ID: part, Name: "tenantwatch " + part} }
