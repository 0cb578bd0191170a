package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Purged is the proof that a tenant is gone: rows that were removed and rows
// that were left, by store and table.
type Purged struct {
	Tenant      tenant.ID         `json:"tenant_id"`
	RequestedAt time.Time         `json:"requested_at"`
	FinishedAt  time.Time         `json:"finished_at"`
	Removed     map[string]uint64 `json:"removed"`
	Left        map[string]uint64 `json:"left"`
}

// DuePurges lists the tenants whose time of grace is over, and that no legal
// hold keeps.
func (t *Tenants) DuePurges(ctx context.Context) ([]tenant.ID, error) {
	all, err := t.All(ctx)
	if err != nil {
		return nil, err
	}
	var due []tenant.ID
	for _, x := range all {
		if x.State == TenantDeleting && !t.c.now().Before(x.DeleteAfter) && !x.Settings.Held() {
			due = append(due, x.ID)
		}
	}
	return due, nil
}

// Purge removes a tenant whose time of grace is over: first what erase takes
// out of the other stores (it may be called again after a crash, and tells
// what it removed and what is left), then every row of the core. The slug is
// never given again. ErrInvalid while it may still be restored.
func (t *Tenants) Purge(ctx context.Context, by access.Actor, id tenant.ID, erase func(context.Context) (removed, left map[string]uint64, err error)) (Purged, error) {
	row, err := t.Get(ctx, id)
	if err != nil {
		return Purged{}, err
	}
	if row.State != TenantDeleting || t.c.now().Before(row.DeleteAfter) {
		return Purged{}, invalid("tenant %s is not to be removed yet", id)
	}
	if row.Settings.Held() {
		return Purged{}, invalid("tenant %s is under legal hold: lift it first", id)
	}
	// From here on it cannot be restored: half of it may be gone.
	err = t.c.InPlatform(ctx, OpTenants, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into purged_tenants (slug, tenant_id, name, requested_by, requested_at)
			select slug, id, name, $2, updated_at from tenants where slug = $1 on conflict (slug) do nothing`, id.String(), by.Name)
		return err
	})
	if err != nil {
		return Purged{}, wrap(err, "begin to purge %s", id)
	}
	out := Purged{Tenant: id}
	if out.Removed, out.Left, err = erase(ctx); err != nil {
		return Purged{}, fmt.Errorf("purge %s: %w", id, err)
	}
	counts, err := t.count(ctx, id)
	if err != nil {
		return Purged{}, wrap(err, "purge %s", id)
	}
	for table, n := range counts {
		out.Removed["core."+table] = n
	}
	err = t.c.InPlatform(ctx, OpTenants, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `delete from tenants where slug = $1 and status = 'deleting'`, id.String())
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return errors.New("its row is not as it was")
		}
		proof, err := json.Marshal(out)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `update purged_tenants set finished_at = clock_timestamp(), proof = $2 where slug = $1 returning requested_at, finished_at`, id.String(), string(proof)).
			Scan(&out.RequestedAt, &out.FinishedAt)
		if err != nil {
			return err
		}
		return operatorAudit(ctx, tx, by, "tenant.purge", id.String(), map[string]any{"removed": out.Removed, "left": out.Left})
	})
	t.c.forget(id)
	if err == nil {
		t.c.changes.announce(id, 0)
	}
	return out, wrap(err, "purge %s", id)
}

// count counts a tenant's rows in every table that the tenant's own role reads.
func (t *Tenants) count(ctx context.Context, id tenant.ID) (map[string]uint64, error) {
	out := map[string]uint64{}
	err := t.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
			where n.nspname = 'tenantwatch' and c.relkind = 'r' and c.relrowsecurity and has_table_privilege(c.oid, 'select') order by 1`)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			if c, ok := tables[name]; !ok || c.Class != TenantTable {
				continue
			}
			var n int64
			if err := tx.QueryRow(ctx, "select count(*) from "+pgx.Identifier{"tenantwatch", name}.Sanitize()).Scan(&n); err != nil {
				return err
			}
			out[name] = uint64(n)
		}
		return nil
	})
	return out, err
}

// PurgedTenants lists the proofs, newest first.
func (t *Tenants) PurgedTenants(ctx context.Context) (out []Purged, err error) {
	err = t.c.InPlatform(ctx, OpTenants, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select proof, requested_at, finished_at from purged_tenants where finished_at is not null`)
		if err != nil {
			return err
		}
		var doc []byte
		var asked, done time.Time
		_, err = pgx.ForEachRow(rows, []any{&doc, &asked, &done}, func() error {
			var p Purged
			if err := json.Unmarshal(doc, &p); err != nil {
				return err
			}
			p.RequestedAt, p.FinishedAt = asked, done
			out = append(out, p)
			return nil
		})
		return err
	})
	slices.SortFunc(out, func(a, b Purged) int { return b.FinishedAt.Compare(a.FinishedAt) })
	return out, wrap(err, "list the tenants that are gone")
}
