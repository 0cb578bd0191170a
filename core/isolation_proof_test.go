package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// TestProveIsolation takes PostgreSQL's guards away one at a time, on a
// database of its own each, and prints what the mutant shows, which test turns
// red, and what the next guard still holds back. `make prove-isolation` runs
// it. Each mutant must be seen by the named test's own check: a guard whose
// loss nobody notices fails the proof.
func TestProveIsolation(t *testing.T) {
	const mine, theirs = 3, 3
	own := "begin; set local role tenantwatch_tenant; set local search_path = tenantwatch, pg_temp; set local app.tenant_id = '%s'"
	unset := "begin; set local role tenantwatch_tenant; set local search_path = tenantwatch, pg_temp"
	granted := "begin read only; set local role tenantwatch_granted; set local search_path = tenantwatch, pg_temp; set local app.granted_tenants = '{%s}'"
	const unbound = `select tenant_id::text from `
	findings := func(c *core.Core, id tenant.ID) (int, error) {
		n, err := c.Findings.List(t.Context(), []tenant.ID{id}, time.Time{}, time.Time{})
		return len(n), err
	}
	feed := func(c *core.Core, id tenant.ID) (int, error) {
		r, err := c.Alerts.After(t.Context(), id, 0, 100)
		return len(r), err
	}
	mutants := []struct {
		guard, mutate string // SQL of the superuser; "" mutates the transaction instead
		begin         string // the transaction's begin; %s is the tenant's uuid
		table         string // read in it without any condition
		leaks         bool   // whether foreign rows come out of that
		red           string // the test that notices
		catalogue     bool   // it is the catalogue's check, run here
		second        string // the guard that stands behind
		behind        func(*core.Core, tenant.ID) (int, error)
	}{
		{"none (reference)", "", own, "findings_ledger", false, "none", false, "", nil},
		{"row-level security disabled", `alter table findings_ledger disable row level security`, own, "findings_ledger", true,
			"TestCatalogue, TestIsolationUnderConcurrency", true, "Findings.List looks at its rows", findings},
		{"policy own_rows shows all", `drop policy own_rows on alert_revisions; create policy own_rows on alert_revisions for all to tenantwatch_tenant using (true)`, own, "alert_revisions", true,
			"TestCatalogue", true, "Alerts.After looks at its rows", feed},
		{"policy granted_rows shows all", `drop policy granted_rows on findings_ledger; create policy granted_rows on findings_ledger for select to tenantwatch_granted using (true)`, granted, "findings_ledger", true,
			"TestCatalogue, TestIsolationUnderConcurrency", true, "Findings.List looks at its rows", findings},
		{"policy own_rows dropped", `drop policy own_rows on alert_revisions`, own, "alert_revisions", false,
			"TestCatalogue", true, "RLS without a policy denies", feed},
		{"FORCE removed", `alter table findings_ledger no force row level security`, own, "findings_ledger", false,
			"TestCatalogue", true, "the service owns no table", findings},
		{"tenant setting left out", "", unset, "findings_ledger", false, "TestNothingWithoutASetting", false, "the policy sees NULL: no row", nil},
		{"role not stepped into", "", "begin; set local search_path = tenantwatch, pg_temp; set local app.tenant_id = '%s'", "findings_ledger", false,
			"TestNothingWithoutASetting", false, "the service role has no grant", nil},
	}
	fmt.Printf("\n  %-32s | %-32s | %-45s | %s\n", "guard removed (PostgreSQL)", "what the mutant shows", "test that turns red", "second guard: foreign rows that left")
	for _, m := range mutants {
		func() {
			c, db := server.Open(t, nil)
			ids := fill(t, c, 2)
			for _, id := range ids {
				if _, err := c.Alerts.Upsert(t.Context(), id, makeAlerts(id, mine, 1)); err != nil {
					t.Fatal(err)
				}
			}
			admin, err := pgx.Connect(t.Context(), db.AdminDSN)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = admin.Close(context.Background()) }()
			uuid := map[tenant.ID]string{}
			for _, id := range ids {
				var u string
				if err := admin.QueryRow(t.Context(), `select id::text from tenantwatch.tenants where slug = $1`, id.String()).Scan(&u); err != nil {
					t.Fatal(err)
				}
				uuid[id] = u
			}
			if m.mutate != "" {
				if _, err := admin.Exec(t.Context(), "set search_path = tenantwatch; "+m.mutate); err != nil {
					t.Fatalf("%s: %v", m.guard, err)
				}
			}
			a := uuid[ids[0]]
			begin := m.begin
			if m.begin != unset {
				begin = fmt.Sprintf(m.begin, a)
			}
			n, foreign := 0, 0
			err = core.Transact(t.Context(), c.Pool(), begin, func(tx pgx.Tx) error {
				got, err := tx.Query(t.Context(), unbound+m.table)
				if err != nil {
					return err
				}
				whose, err := pgx.CollectRows(got, pgx.RowTo[string])
				for _, o := range whose {
					if n++; o != a {
						foreign++
					}
				}
				return err
			})
			shows := fmt.Sprintf("%d own, %d foreign rows", n-foreign, foreign)
			if err != nil {
				shows = "permission denied"
			}
			if (foreign == theirs) != m.leaks || !m.leaks && foreign != 0 {
				t.Errorf("%s: %s, leak expected: %t", m.guard, shows, m.leaks)
			}
			if m.second == "" && n != mine {
				t.Errorf("reference: %s", shows)
			}
			problems, err := core.CheckCatalogueDSN(t.Context(), db.AdminDSN)
			if err != nil {
				t.Fatal(err)
			}
			if (len(problems) > 0) != m.catalogue {
				t.Errorf("%s: the catalogue's check finds %v", m.guard, problems)
			}
			left := 0
			if m.behind != nil {
				n, err := m.behind(c, ids[0])
				if m.leaks && !errors.Is(err, core.ErrForeignRow) || !m.leaks && err != nil {
					t.Errorf("%s: past the second guard: %d rows, %v", m.guard, n, err)
				}
				if left = max(0, n-mine); m.leaks && n > 0 || left > 0 {
					t.Errorf("%s: %d rows left past the second guard", m.guard, n)
				}
			}
			behind := ""
			if m.second != "" {
				behind = fmt.Sprintf("%s: %d", m.second, left)
			}
			fmt.Printf("  %-32s | %-32s | %-45s | %s\n", m.guard, shows, m.red, behind)
		}()
	}

	proveReads(t)

	// The API of core itself: the zero id and an unknown one reach no row.
	c, _ := server.Open(t, nil)
	fill(t, c, 2)
	never := func(pgx.Tx) error { t.Error("a transaction began without a tenant"); return nil }
	if err := c.InTenant(t.Context(), tenant.ID{}, never); !errors.Is(err, tenant.ErrZero) {
		t.Errorf("zero tenant: %v", err)
	}
	if err := c.InTenant(t.Context(), tenant.MustParse("nobody"), never); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("unknown tenant: %v", err)
	}
	if err := c.InGranted(t.Context(), nil, never); !errors.Is(err, tenant.ErrZero) {
		t.Errorf("empty set: %v", err)
	}
	fmt.Printf("  %-32s | %-32s | %-45s | %s\n", "tenant argument zero or unknown", "refused before a transaction", "TestProveIsolation (here)", "0")
}

// proveReads switches row-level security off on every tenant table and runs
// core's own reads for one of two tenants: those that have a second guard
// refuse the whole answer, and the table says which have none.
func proveReads(t *testing.T) {
	c, db := server.Open(t, nil)
	ctx := t.Context()
	ids := fill(t, c, 2)
	a := ids[0]
	var hook, object [2]string
	for i, id := range ids {
		if _, _, err := c.Keys.Create(ctx, tests, id, core.NewKey{Kind: core.IngestKind, Name: id.String()}); err != nil {
			t.Fatal(err)
		}
		h, _, err := c.Webhooks.Create(ctx, tests, id, id.String(), "https://siem.example/"+id.String())
		if err != nil {
			t.Fatal(err)
		}
		alerts := makeAlerts(id, 2, 1)
		for n := range alerts {
			alerts[n].ID = fmt.Sprintf("0195a000-0000-7000-800%d-%012d", i, n)
			alerts[n].RaisedAt = alerts[n].RaisedAt.AddDate(0, 0, i)
		}
		if _, err := c.Alerts.Upsert(ctx, id, alerts); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Identity.CreateUser(ctx, tests, id, core.NewPerson{Email: "u@" + id.String() + ".example", Password: "long enough to pass", Role: "tenant_admin"}); err != nil {
			t.Fatal(err)
		}
		hook[i], object[i] = h.ID, alerts[0].ID
		who := "somebody"
		if _, err := c.Alerts.SetTriage(ctx, id, tests, alerts[0].ID, core.TriageChange{Assignee: &who}); err != nil {
			t.Fatal(err)
		}
	}
	set := []tenant.ID{a}
	long := [2]time.Time{day.AddDate(-1, 0, 0), time.Now().AddDate(1, 0, 0)}
	reads := []struct {
		name   string
		second bool // looks at whose rows it was given
		own    int
		read   func() (int, error)
	}{
		{"Alerts.List", true, 2, func() (int, error) {
			p, err := c.Alerts.List(ctx, set, core.AlertFilter{}, nil, 100)
			return len(p.Items), err
		}},
		{"Alerts.Get (foreign id)", true, 0, func() (int, error) {
			if _, err := c.Alerts.Get(ctx, set, object[1]); err != nil {
				return 0, err
			}
			return 1, nil
		}},
		{"Alerts.After", true, 2, func() (int, error) { r, err := c.Alerts.After(ctx, a, 0, 100); return len(r), err }},
		{"Alerts.Counts", true, 2, func() (int, error) {
			n, err := c.Alerts.Counts(ctx, set)
			return int(n.ByStatus[core.New]), err
		}},
		{"Alerts.RaisedIn", true, 1, func() (int, error) {
			n, err := c.Alerts.RaisedIn(ctx, set, long[0], long[1])
			return len(n), err
		}},
		{"Alerts.Heads", true, 1, func() (int, error) { n, err := c.Alerts.Heads(ctx, set); return len(n), err }},
		{"Keys.List", true, 1, func() (int, error) { k, err := c.Keys.List(ctx, set); return len(k), err }},
		{"Webhooks.List", true, 1, func() (int, error) { k, err := c.Webhooks.List(ctx, set); return len(k), err }},
		{"Webhooks.Deliveries (foreign id)", true, 0, func() (int, error) {
			d, err := c.Webhooks.Deliveries(ctx, a, hook[1], "", 0, 100)
			return len(d), err
		}},
		{"Findings.List", true, 1, func() (int, error) {
			n, err := c.Findings.List(ctx, set, time.Time{}, time.Time{})
			return len(n), err
		}},
		{"Identity.Users", true, 1, func() (int, error) { u, err := c.Identity.Users(ctx, a); return len(u), err }},
		{"Alerts.History (foreign id)", true, 0, func() (int, error) { h, err := c.Alerts.History(ctx, a, object[1]); return len(h), err }},
		{"Audit.List", true, -1, func() (int, error) { e, err := c.Audit.List(ctx, a, "", 500); return len(e), err }},
	}
	for i := range reads {
		r := &reads[i]
		n, err := r.read()
		if r.own < 0 {
			r.own = n
		}
		if n != r.own || err != nil && !errors.Is(err, core.ErrNotFound) {
			t.Errorf("%s with every guard: %d, %v; want %d", r.name, n, err, r.own)
		}
	}
	admin, err := pgx.Connect(ctx, db.AdminDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	for name, table := range core.Catalogue() {
		if table.Class == core.TenantTable {
			if _, err := admin.Exec(ctx, "alter table tenantwatch."+name+" disable row level security"); err != nil {
				t.Fatal(err)
			}
		}
	}
	fmt.Printf("\n  %-32s | %-32s | %s\n", "core's reads, RLS off everywhere", "what the read answers", "foreign rows that left")
	for _, r := range reads {
		n, err := r.read()
		answers := fmt.Sprintf("%d rows, %d its own", n, r.own)
		left := n - r.own
		if err != nil {
			answers = "refused: isolation violated"
		}
		if r.second && (left > 0 || !errors.Is(err, core.ErrForeignRow)) {
			t.Errorf("%s without row-level security: %d foreign rows, %v", r.name, left, err)
		}
		after := "0"
		if !r.second {
			if left == 0 {
				t.Errorf("%s: the control shows no foreign row", r.name)
			}
			after = fmt.Sprintf("%d: RLS is its only guard (in no route of the API)", left)
		} else {
			left = 0
		}
		fmt.Printf("  %-32s | %-32s | %s\n", r.name, answers, after)
	}
}
