package core

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// maxSearches bounds what one tenant keeps, over all its people.
const maxSearches = 500

// SavedSearch is a query somebody keeps for one tenant's events.
type SavedSearch struct {
	ID     string // UUIDv7
	Tenant tenant.ID
	Name   string // 1 to 200 characters
	Query  string // in the audit query language, as it was written
	Range  string // how far back; empty: everything
	Shared bool   // seen by everybody who reads the tenant's events
	Owner  access.Actor

	CreatedAt, UpdatedAt time.Time
}

// SearchChange sets the fields that are not nil.
type SearchChange struct {
	Name, Query, Range *string
	Shared             *bool
}

// Searches keeps queries. A person sees their own and the shared ones, and
// changes their own alone; all others are ErrNotFound.
type Searches struct{ c *Core }

const searchColumns = `id::text, tenant_id::text, name, query, range, shared, owner_kind, owner_id, owner_name, created_at, updated_at`

func scanSearch(whose owners) func(pgx.CollectableRow) (SavedSearch, error) {
	return func(row pgx.CollectableRow) (s SavedSearch, err error) {
		var tid string
		if err := row.Scan(&s.ID, &tid, &s.Name, &s.Query, &s.Range, &s.Shared, &s.Owner.Kind, &s.Owner.ID, &s.Owner.Name, &s.CreatedAt, &s.UpdatedAt); err != nil {
			return s, err
		}
		s.Tenant, err = whose.of(tid)
		return s, err
	}
}

// List reads what by sees of the tenants in scope, newest first.
func (s *Searches) List(ctx context.Context, scope []tenant.ID, by access.Actor) (out []SavedSearch, err error) {
	return s.read(ctx, scope, by, "", 5000)
}

// Get reads one.
func (s *Searches) Get(ctx context.Context, scope []tenant.ID, by access.Actor, id string) (SavedSearch, error) {
	if _, err := uuid.Parse(id); err != nil {
		return SavedSearch{}, wrap(ErrNotFound, "saved search")
	}
	found, err := s.read(ctx, scope, by, id, 1)
	if err != nil {
		return SavedSearch{}, err
	}
	if len(found) == 0 {
		return SavedSearch{}, wrap(ErrNotFound, "saved search %s", id)
	}
	return found[0], nil
}

func (s *Searches) read(ctx context.Context, scope []tenant.ID, by access.Actor, id string, limit int) (out []SavedSearch, err error) {
	if len(scope) == 0 {
		return nil, nil
	}
	whose, err := s.c.owners(ctx, scope)
	if err != nil {
		return nil, err
	}
	err = s.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select `+searchColumns+` from saved_searches where (shared or owner_kind = $1 and owner_id = $2)
			and ($3 = '' or id = nullif($3, '')::uuid) order by created_at desc, id limit $4`, string(by.Kind), clean(by.ID), id, limit)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, scanSearch(whose))
		return err
	})
	return out, wrap(err, "read saved searches")
}

func checkSearch(name, query, within *string) error {
	if name != nil {
		if _, err := checkName(*name); err != nil {
			return err
		}
	}
	if query != nil && (len(*query) > 4096 || clean(*query) != *query) {
		return invalid("query: want at most 4096 bytes of text")
	}
	if within != nil && (len(*within) > 80 || clean(*within) != *within) {
		return invalid("range: want at most 80 bytes of text")
	}
	return nil
}

// Create keeps a search of by's; name, query, range and shared are taken.
func (s *Searches) Create(ctx context.Context, by access.Actor, id tenant.ID, n SavedSearch) (SavedSearch, error) {
	if err := checkSearch(&n.Name, &n.Query, &n.Range); err != nil {
		return SavedSearch{}, err
	}
	uid, err := uuid.NewV7()
	if err != nil {
		return SavedSearch{}, err
	}
	n.ID, n.Tenant, n.Owner = uid.String(), id, by
	err = s.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var kept int
		if err := tx.QueryRow(ctx, `select count(*) from saved_searches`).Scan(&kept); err != nil {
			return err
		}
		if kept >= maxSearches {
			return invalid("the tenant keeps %d searches, the most there may be: delete one", kept)
		}
		if err := tx.QueryRow(ctx, `insert into saved_searches (id, name, query, range, shared, owner_kind, owner_id, owner_name)
			values ($1, $2, $3, $4, $5, $6, $7, $8) returning created_at, updated_at`, n.ID, n.Name, n.Query, n.Range, n.Shared, string(by.Kind), clean(by.ID), clean(by.Name)).
			Scan(&n.CreatedAt, &n.UpdatedAt); err != nil {
			return err
		}
		return audit(ctx, tx, by, "search.create", n.ID, map[string]any{"name": n.Name, "shared": n.Shared})
	})
	if err != nil {
		return SavedSearch{}, wrap(err, "save a search of %s", id)
	}
	return n, nil
}

// Update changes a search of by's own.
func (s *Searches) Update(ctx context.Context, by access.Actor, id tenant.ID, searchID string, ch SearchChange) (out SavedSearch, err error) {
	if err := checkSearch(ch.Name, ch.Query, ch.Range); err != nil {
		return out, err
	}
	if _, err := uuid.Parse(searchID); err != nil {
		return out, wrap(ErrNotFound, "saved search")
	}
	whose, err := s.c.owners(ctx, []tenant.ID{id})
	if err != nil {
		return out, wrap(err, "saved search %s", searchID)
	}
	err = s.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `update saved_searches set name = coalesce($4, name), query = coalesce($5, query), range = coalesce($6, range),
			shared = coalesce($7, shared), updated_at = now() where id = $1 and owner_kind = $2 and owner_id = $3 returning `+searchColumns,
			searchID, string(by.Kind), clean(by.ID), ch.Name, ch.Query, ch.Range, ch.Shared)
		if err != nil {
			return err
		}
		if out, err = pgx.CollectExactlyOneRow(rows, scanSearch(whose)); err != nil {
			return err
		}
		return audit(ctx, tx, by, "search.update", out.ID, map[string]any{"name": out.Name, "shared": out.Shared})
	})
	return out, wrap(err, "change saved search %s", searchID)
}

// Delete forgets a search of by's own.
func (s *Searches) Delete(ctx context.Context, by access.Actor, id tenant.ID, searchID string) error {
	if _, err := uuid.Parse(searchID); err != nil {
		return wrap(ErrNotFound, "saved search")
	}
	err := s.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var name string
		if err := tx.QueryRow(ctx, `delete from saved_searches where id = $1 and owner_kind = $2 and owner_id = $3 returning name`,
			searchID, string(by.Kind), clean(by.ID)).Scan(&name); err != nil {
			return err
		}
		return audit(ctx, tx, by, "search.delete", searchID, map[string]any{"name": name})
	})
	return wrap(err, "delete saved search %s", searchID)
}
