package core_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core"
)

func TestCatalogue(t *testing.T) {
	t.Parallel()
	db := server.Database(t)
	problems, err := core.CheckCatalogueDSN(t.Context(), db.AdminDSN)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	for name, table := range core.Catalogue() {
		if table.Class == core.PlatformTable && table.Reason == "" {
			t.Errorf("platform table %s has no reason", name)
		}
	}
}

// TestCatalogueFindsHoles breaks one guard after another and expects the check
// to name it: a check that cannot fail proves nothing.
func TestCatalogueFindsHoles(t *testing.T) {
	t.Parallel()
	db := server.Database(t)
	conn, err := pgx.Connect(t.Context(), db.AdminDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	f := func(name, sql, want string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			tx, err := conn.Begin(t.Context()) // rolled back: one database serves all
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(context.Background()) }()
			if _, err := tx.Exec(t.Context(), "set local search_path = tenantwatch; set local role tenantwatch_owner;"+sql); err != nil {
				t.Fatal(err)
			}
			problems, err := core.CheckCatalogue(t.Context(), tx)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(problems, "\n"); !strings.Contains(got, want) {
				t.Fatalf("want a problem with %q, have:\n%s", want, got)
			}
		})
	}
	f("new table", `create table notes (tenant_id uuid not null, id uuid)`, "table notes is not listed")
	f("partition", `create table notes (tenant_id uuid not null) partition by hash (tenant_id);
		create table notes_0 partition of notes for values with (modulus 1, remainder 0)`, "table notes_0 is not listed")
	f("disabled", `alter table alerts disable row level security`, "table alerts has no row-level security")
	f("not forced", `alter table alerts no force row level security`, "does not force")
	f("no policy", `drop policy own_rows on alerts`, "table alerts has no policy")
	f("policy for all", `create policy oops on alerts using (true)`, "policy oops on alerts is for 0 roles")
	f("policy of true", `create policy oops on alerts to tenantwatch_tenant using (true)`, "does not hold the tenant")
	f("policy writes", `create policy oops on alerts for update to tenantwatch_granted using (true)`, "does not hold an analyst")
	f("platform sees all", `create policy oops on alerts for select to tenantwatch_platform using (true)`, "not bound to operations")
	f("unknown operation", `create policy oops on alerts for select to tenantwatch_platform using ((select current_setting('app.operation', true)) = 'peek')`, "not bound to operations")
	f("global unique key", `create unique index oops on alerts (id)`, "unique index oops of alerts")
	f("no tenant index", `alter table alert_counters drop constraint alert_counters_pkey`, "no index that begins with tenant_id")
	f("nullable tenant", `alter table alert_counters drop constraint alert_counters_pkey; alter table alert_counters alter tenant_id drop not null`, "no tenant_id uuid not null")
	f("foreign key", `alter table api_keys add creator uuid references operators (id)`, "foreign key api_keys_creator_fkey")
	f("view", `create view oops as select * from alerts`, "view oops lacks security_invoker")
	f("materialized view", `create materialized view oops as select * from alerts`, "materialized view oops")
	f("sequence", `create sequence oops`, "sequence oops")
	f("grant", `grant select on tenants to tenantwatch_tenant`, "tenantwatch_tenant may select on tenants")
	f("grant of a column", `grant select (password_hash) on users to tenantwatch_granted`, "may select(password_hash) on users")
	f("grant to all", `grant select on alerts to public`, "public may select on alerts")
	f("truncate", `grant truncate on alerts to tenantwatch_tenant`, "may truncate on alerts")
	f("grant to the service", `grant select on alerts to tenantwatch_service`, "tenantwatch_service may select on alerts")
	f("lost grant", `revoke insert on alerts from tenantwatch_tenant`, "may not insert on alerts")
	f("definer function", `create function oops() returns int language sql security definer as 'select 1'`, "function oops runs with its owner's rights")
	f("lost table", `drop table audit_log`, "table audit_log is listed but does not exist")
	f("create in the schema", `grant create on schema tenantwatch to tenantwatch_tenant`, "may create in the schema")
	f("superuser's table", `set local role postgres; create table notes (); alter table alerts owner to postgres`, "alerts belongs to postgres")
}

func TestServerVersions(t *testing.T) {
	t.Parallel()
	f := func(num int, warns bool) {
		t.Helper()
		if w := core.ServerWarning(num, "x"); (w != "") != warns {
			t.Errorf("version %d: warning %q", num, w)
		}
	}
	f(150018, true)
	f(150020, false)
	f(150021, false)
	f(160015, true)
	f(160016, false)
	f(170011, true)
	f(170012, false)
	f(180005, true)
	f(180006, false)
	f(190000, false) // released after the fix
}
