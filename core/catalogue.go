package core

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Class says whose a table is.
type Class string

// The classes.
const (
	// TenantTable: each row is one tenant's. Row-level security is enabled and
	// forced, each key begins with tenant_id.
	TenantTable Class = "tenant"
	// PlatformTable: rows belong to the installation. The tenant roles have no
	// grant.
	PlatformTable Class = "platform"
)

// Table is what the code knows of one table.
type Table struct {
	Class  Class
	Reason string // of a platform table: why no tenant owns its rows
	// Grants are the privileges of each role, as the database lists them:
	// "select, insert", with columns where only some are granted.
	Grants map[string][]string
}

const (
	roleTenant   = "tenantwatch_tenant"
	roleGranted  = "tenantwatch_granted"
	rolePlatform = "tenantwatch_platform"
)

// tables classifies every table of the schema. One that is missing here fails
// CheckCatalogue, and so does a grant that is.
var tables = map[string]Table{
	"tenants":          {PlatformTable, "the list of tenants itself", grants(rolePlatform, "delete", "insert", "select", "update")},
	"purged_tenants":   {PlatformTable, "tenants that are gone, and the proof of what was removed", grants(rolePlatform, "insert", "select", "update")},
	"operators":        {PlatformTable, "people of the operator", grants(rolePlatform, "delete", "insert", "select", "update")},
	"operator_grants":  {PlatformTable, "which tenants an operator's person sees", grants(rolePlatform, "delete", "insert", "select")},
	"operator_tokens":  {PlatformTable, "tokens of the operator's people", grants(rolePlatform, "insert", "select", "update")},
	"operator_audit":   {PlatformTable, "what the operator's people did that concerns no one tenant", grants(rolePlatform, "insert", "select", "update(relayed_at)")},
	"sessions":         {PlatformTable, "a cookie is resolved before any tenant is known", grants(rolePlatform, "delete", "insert", "select", "update")},
	"goose_db_version": {PlatformTable, "which migrations ran", grants(rolePlatform, "select")},

	"users": {TenantTable, "", grants(roleTenant, "delete", "insert", "select", "update").
		and(rolePlatform, "select(created_at)", "select(email)", "select(failures)", "select(id)", "select(locked_until)",
			"select(must_change)", "select(name)", "select(oidc_issuer)", "select(oidc_subject)", "select(password_hash)", "select(recovery_codes)",
			"select(role)", "select(status)", "select(tenant_id)", "select(totp_secret)", "select(totp_since)", "select(totp_step)")},
	"api_keys": {TenantTable, "", grants(roleTenant, "insert", "select", "update").
		and(roleGranted, "select(created_at)", "select(created_by)", "select(expires_at)", "select(id)", "select(kind)",
			"select(last_used_at)", "select(name)", "select(replaced_by)", "select(revoked_at)", "select(role)", "select(scopes)", "select(tenant_id)").
		and(rolePlatform, "select(expires_at)", "select(id)", "select(kind)", "select(last_used_at)", "select(name)", "select(revoked_at)",
			"select(role)", "select(scopes)", "select(secret_hash)", "select(tenant_id)", "update(last_used_at)")},
	"audit_log": {TenantTable, "", grants(roleTenant, "insert", "select").and(roleGranted, "select").
		and(rolePlatform, "insert", "select", "update(relayed_at)")},
	"usage_daily": {TenantTable, "", grants(roleTenant, "select").and(roleGranted, "select").and(rolePlatform, "insert", "select", "update")},
	"alert_counters": {TenantTable, "", grants(roleTenant, "insert", "select", "update").and(roleGranted, "select").
		and(rolePlatform, "select(changed_at)", "select(seq)", "select(tenant_id)")},
	"alerts":          {TenantTable, "", grants(roleTenant, "insert", "select", "update").and(roleGranted, "select")},
	"alert_revisions": {TenantTable, "", grants(roleTenant, "insert", "select").and(roleGranted, "select")},
	"alert_history":   {TenantTable, "", grants(roleTenant, "insert", "select").and(roleGranted, "select")},
	"sla_targets":     {TenantTable, "", grants(roleTenant, "delete", "insert", "select", "update").and(roleGranted, "select")},
	"suppressions":    {TenantTable, "", grants(roleTenant, "insert", "select", "update").and(roleGranted, "select").and(rolePlatform, "select")},
	"hidden_alerts":   {TenantTable, "", grants(roleTenant, "insert", "select", "update").and(roleGranted, "select")},
	"findings_ledger": {TenantTable, "", grants(roleTenant, "insert", "select", "update").and(roleGranted, "select")},
	"webhooks": {TenantTable, "", grants(roleTenant, "delete", "insert", "select", "update").
		and(roleGranted, "select(created_at)", "select(created_by)", "select(failing_since)", "select(failures)", "select(id)", "select(kind)", "select(min_severity)",
			"select(name)", "select(next_attempt_at)", "select(settings)", "select(status)", "select(tenant_id)", "select(url)").
		and(rolePlatform, "select(failures)", "select(id)", "select(lease_owner)", "select(lease_until)", "select(next_attempt_at)",
			"select(status)", "select(tenant_id)", "update(lease_owner)", "update(lease_until)")},
	"outbox": {TenantTable, "", grants(roleTenant, "insert", "select", "update").
		and(rolePlatform, "delete", "select(finished_at)", "select(owed_since)", "select(seq)", "select(state)", "select(tenant_id)", "select(webhook_id)")},
	"export_jobs": {TenantTable, "", grants(roleTenant, "delete", "insert", "select", "update").and(roleGranted, "select").
		and(rolePlatform, "select(attempts)", "select(created_at)", "select(expires_at)", "select(id)", "select(lease_until)", "select(node)", "select(state)", "select(tenant_id)",
			"update(attempts)", "update(lease_until)", "update(node)", "update(started_at)", "update(state)")},
	"log_streams": {TenantTable, "", grants(roleTenant, "delete", "insert", "select", "update").
		and(roleGranted, "select(batches)", "select(behind)", "select(checked_at)", "select(config)", "select(created_at)", "select(created_by)", "select(failing_since)",
			"select(failures)", "select(format)", "select(id)", "select(kind)", "select(lag_ms)", "select(last_error)", "select(last_sent_at)", "select(name)", "select(query)",
			"select(sent)", "select(status)", "select(tenant_id)").
		and(rolePlatform, "select(id)", "select(lease_owner)", "select(lease_until)", "select(next_at)", "select(status)", "select(tenant_id)",
			"update(lease_owner)", "update(lease_until)")},
	"saved_searches": {TenantTable, "", grants(roleTenant, "delete", "insert", "select", "update").and(roleGranted, "select")},
	"backtests": {TenantTable, "", grants(roleTenant, "delete", "insert", "select", "update").
		and(roleGranted, "select(created_at)", "select(created_by)", "select(done)", "select(error)", "select(finished_at)", "select(id)", "select(name)",
			"select(period_from)", "select(period_to)", "select(policies)", "select(results)", "select(started_at)", "select(status)", "select(tenant_id)", "select(total)").
		and(rolePlatform, "select(created_at)", "select(id)", "select(lease_owner)", "select(lease_until)", "select(status)", "select(tenant_id)",
			"update(lease_owner)", "update(lease_until)")},
	"delivery_attempts": {TenantTable, "", grants(roleTenant, "insert", "select").and(rolePlatform, "delete", "select(at)")},
}

// functions lists those that run with their owner's rights; there is none.
var functions = map[string]string{}

type grantMap map[string][]string

func grants(role string, privileges ...string) grantMap { return grantMap{role: privileges} }

func (g grantMap) and(role string, privileges ...string) grantMap {
	g[role] = privileges
	return g
}

// Catalogue is a copy of the classification, for documentation and doctor.
func Catalogue() map[string]Table { return maps.Clone(tables) }

// The policies' conditions, as the database prints them, less the names that
// some releases give to the columns of a sub-select.
const (
	ownRows     = `(tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid))`
	grantedRows = `(tenant_id = ANY (( SELECT (NULLIF(current_setting('app.granted_tenants'::text, true), ''::text))::uuid[])::uuid[]))`
)

var columnNames = strings.NewReplacer(` AS "nullif"`, "", ` AS current_setting`, "")

// CheckCatalogue compares the database's own catalogue with the classification
// and says what is wrong, in order; nothing when isolation stands. q should be
// the owner or a superuser, who sees every entry.
func CheckCatalogue(ctx context.Context, q querier) ([]string, error) {
	k := catalogueCheck{ctx: ctx, q: q}
	k.tables()
	k.keys()
	k.policies()
	k.grants()
	k.elsewhere()
	if k.err != nil {
		return nil, fmt.Errorf("read the database's catalogue: %w", k.err)
	}
	slices.Sort(k.problems)
	return k.problems, nil
}

// CheckCatalogueDSN is CheckCatalogue over a connection of its own.
func CheckCatalogueDSN(ctx context.Context, dsn string) ([]string, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("check the catalogue: connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return CheckCatalogue(ctx, conn)
}

type catalogueCheck struct {
	ctx      context.Context
	q        querier
	problems []string
	err      error
}

func (k *catalogueCheck) bad(format string, args ...any) {
	k.problems = append(k.problems, fmt.Sprintf(format, args...))
}

// each runs a query and fn for every row, until something fails.
func (k *catalogueCheck) each(sql string, into []any, fn func()) {
	if k.err != nil {
		return
	}
	rows, err := k.q.Query(k.ctx, sql)
	if err == nil {
		_, err = pgx.ForEachRow(rows, into, func() error { fn(); return nil })
	}
	k.err = err
}

// tables: everything that holds rows is listed, and tenant tables are guarded.
func (k *catalogueCheck) tables() {
	var name, kind, owner, options string
	var enabled, forced, tenantCol, above bool
	seen := make(map[string]bool)
	k.each(`select c.relname, c.relkind::text, r.rolname, r.rolsuper or r.rolbypassrls, c.relrowsecurity, c.relforcerowsecurity,
		coalesce(array_to_string(c.reloptions, ','), ''),
		exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnotnull and a.atttypid = 'uuid'::regtype)
		from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner
		where n.nspname = 'tenantwatch' and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')`,
		[]any{&name, &kind, &owner, &above, &enabled, &forced, &options, &tenantCol}, func() {
			if above {
				k.bad("%s belongs to %s, who is above row-level security", name, owner)
			}
			switch kind {
			case "v":
				if !strings.Contains(options, "security_invoker=true") && !strings.Contains(options, "security_invoker=on") {
					k.bad("view %s lacks security_invoker: it reads with its owner's rights", name)
				}
				return
			case "m":
				k.bad("materialized view %s holds rows that no policy guards", name)
				return
			case "f":
				k.bad("foreign table %s is beyond row-level security", name)
				return
			case "S":
				if name != "goose_db_version_id_seq" {
					k.bad("sequence %s tells each tenant how busy the others are", name)
				}
				return
			}
			t, listed := tables[name]
			seen[name] = true
			if !listed {
				k.bad("table %s is not listed: is it a tenant's or the platform's?", name)
				return
			}
			if t.Class == PlatformTable {
				if t.Reason == "" {
					k.bad("platform table %s is listed without a reason", name)
				}
				return
			}
			if !enabled {
				k.bad("table %s has no row-level security", name)
			}
			if !forced {
				k.bad("table %s does not force row-level security on its owner", name)
			}
			if !tenantCol {
				k.bad("table %s has no tenant_id uuid not null", name)
			}
		})
	for name := range tables {
		if k.err == nil && !seen[name] {
			k.bad("table %s is listed but does not exist", name)
		}
	}
}

// keys: unique and foreign keys of tenant tables begin with tenant_id, or one
// tenant could learn of another's values.
func (k *catalogueCheck) keys() {
	var table, index, first string
	var unique bool
	led := make(map[string]bool)
	k.each(`select c.relname, i.relname, x.indisunique, coalesce((select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum = x.indkey[0]), '')
		from pg_index x join pg_class c on c.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
		join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'tenantwatch' and c.relkind in ('r', 'p')`,
		[]any{&table, &index, &unique, &first}, func() {
			if tables[table].Class != TenantTable {
				return
			}
			if first == "tenant_id" {
				led[table] = true
			} else if unique {
				k.bad("unique index %s of %s begins with %q, not tenant_id: it tells whether another tenant has a value", index, table, first)
			}
		})
	for name, t := range tables {
		if k.err == nil && t.Class == TenantTable && !led[name] {
			k.bad("table %s has no index that begins with tenant_id", name)
		}
	}
	var key, target, from, to string
	k.each(`select c.relname, k.conname, f.relname,
		(select a.attname from pg_attribute a where a.attrelid = k.conrelid and a.attnum = k.conkey[1]),
		(select a.attname from pg_attribute a where a.attrelid = k.confrelid and a.attnum = k.confkey[1])
		from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_class f on f.oid = k.confrelid
		join pg_namespace n on n.oid = c.relnamespace where k.contype = 'f' and n.nspname = 'tenantwatch'`,
		[]any{&table, &key, &target, &from, &to}, func() {
			tenantFrom, tenantTo := tables[table].Class == TenantTable, tables[target].Class == TenantTable
			if (tenantFrom || tenantTo) && from != "tenant_id" || tenantTo && to != "tenant_id" {
				k.bad("foreign key %s of %s to %s does not begin with tenant_id", key, table, target)
			}
			if tenantFrom && !tenantTo && target != "tenants" {
				k.bad("foreign key %s leads from tenant table %s to platform table %s", key, table, target)
			}
		})
}

// policies: the tenant role sees its own rows alone, the granted role reads
// the granted rows alone, and the platform role what a named operation shows.
func (k *catalogueCheck) policies() {
	var table, policy, cmd, using, check string
	var permissive bool
	var roles []string
	own := make(map[string]bool)
	k.each(`select c.relname, p.polname, p.polcmd::text, p.polpermissive, array(select r.rolname::text from pg_roles r where r.oid = any(p.polroles)),
		coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
		from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'tenantwatch'`,
		[]any{&table, &policy, &cmd, &permissive, &roles, &using, &check}, func() {
			where := fmt.Sprintf("policy %s on %s", policy, table)
			using, check := columnNames.Replace(using), columnNames.Replace(check)
			if len(roles) != 1 {
				k.bad("%s is for %d roles (0: everybody), not one", where, len(roles))
				return
			}
			switch roles[0] {
			case roleTenant:
				own[table] = true
				if using != ownRows || check != ownRows || cmd != "*" {
					k.bad("%s does not hold the tenant to its own rows: using %s, with check %s", where, using, check)
				}
			case roleGranted:
				if cmd != "r" || using != grantedRows {
					k.bad("%s does not hold an analyst to reading granted rows: for %q using %s", where, cmd, using)
				}
			case rolePlatform:
				if cmd == "a" { // an insert has nothing else to check
					using = check
				}
				k.operationPolicy(where, using)
			default:
				k.bad("%s is for role %s, which is not listed", where, roles[0])
			}
		})
	for name, t := range tables {
		if k.err == nil && t.Class == TenantTable && !own[name] {
			k.bad("table %s has no policy for %s", name, roleTenant)
		}
	}
}

// operationPolicy: a platform policy shows rows to operations of the list.
func (k *catalogueCheck) operationPolicy(where, using string) {
	const prefix = `( SELECT current_setting('app.operation'::text, true)) `
	using = strings.TrimSuffix(strings.TrimPrefix(using, "("), ")")
	rest, ok := strings.CutPrefix(using, prefix)
	named := false
	for _, op := range operations {
		rest2 := strings.ReplaceAll(rest, "'"+op.name+"'::text", "")
		named = named || rest2 != rest
		rest = rest2
	}
	switch strings.NewReplacer(",", "", " ", "").Replace(rest) { // what is left without the names
	case "=", "=ANY(ARRAY[])":
	default:
		ok = false
	}
	if !ok || !named {
		k.bad("%s is not bound to operations of the list: using %s", where, using)
	}
}

// grants: exactly those of the list.
func (k *catalogueCheck) grants() {
	have := make(map[string]map[string][]string)
	var table, role, privilege string
	note := func() {
		if have[table] == nil {
			have[table] = make(map[string][]string)
		}
		have[table][role] = append(have[table][role], privilege)
	}
	const who = `case when g.grantee = 0 then 'public' else (select r.rolname::text from pg_roles r where r.oid = g.grantee) end`
	k.each(`select c.relname, `+who+`, lower(g.privilege_type) from pg_class c join pg_namespace n on n.oid = c.relnamespace,
		aclexplode(c.relacl) g where n.nspname = 'tenantwatch' and g.grantee <> c.relowner`, []any{&table, &role, &privilege}, note)
	k.each(`select c.relname, `+who+`, lower(g.privilege_type) || '(' || a.attname || ')' from pg_attribute a join pg_class c on c.oid = a.attrelid
		join pg_namespace n on n.oid = c.relnamespace, aclexplode(a.attacl) g
		where n.nspname = 'tenantwatch' and not a.attisdropped and g.grantee <> c.relowner`, []any{&table, &role, &privilege}, note)
	if k.err != nil {
		return
	}
	for name, roles := range have {
		for role, got := range roles {
			want := tables[name].Grants[role]
			for _, p := range got {
				if !slices.Contains(want, p) {
					k.bad("%s may %s on %s, which is not listed", role, p, name)
				}
			}
		}
	}
	for name, t := range tables {
		for role, want := range t.Grants {
			for _, p := range want {
				if !slices.Contains(have[name][role], p) {
					k.bad("%s may not %s on %s, although it is listed", role, p, name)
				}
			}
			if t.Class == PlatformTable && role != rolePlatform {
				k.bad("platform table %s is listed with a grant to %s", name, role)
			}
		}
	}
}

// elsewhere: functions, roles and schemas that would go around the policies.
func (k *catalogueCheck) elsewhere() {
	var name string
	k.each(`select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
		where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')`, []any{&name}, func() {
		if _, listed := functions[name]; !listed {
			k.bad("function %s runs with its owner's rights and is not listed", name)
		}
	})
	k.each(`select rolname from pg_roles where (rolsuper or rolbypassrls or rolcreaterole or rolinherit and rolname = 'tenantwatch_service')
		and rolname in ('tenantwatch_owner', 'tenantwatch_service', 'tenantwatch_tenant', 'tenantwatch_granted', 'tenantwatch_platform')`,
		[]any{&name}, func() {
			k.bad("role %s has more power than it should: superuser, BYPASSRLS, CREATEROLE or INHERIT", name)
		})
	var role string
	k.each(`select m.rolname, g.rolname from pg_auth_members x join pg_roles m on m.oid = x.member join pg_roles g on g.oid = x.roleid
		where m.rolname in ('tenantwatch_tenant', 'tenantwatch_granted', 'tenantwatch_platform')
		or m.rolname = 'tenantwatch_service' and g.rolname not in ('tenantwatch_tenant', 'tenantwatch_granted', 'tenantwatch_platform')`,
		[]any{&name, &role}, func() { k.bad("role %s is a member of %s", name, role) })
	k.each(`select r.rolname from pg_roles r join pg_namespace n on n.nspname = 'tenantwatch'
		where r.rolname in ('tenantwatch_service', 'tenantwatch_tenant', 'tenantwatch_granted', 'tenantwatch_platform')
		and has_schema_privilege(r.oid, n.oid, 'create')`, []any{&name}, func() { k.bad("role %s may create in the schema", name) })
}
