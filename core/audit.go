package core

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// AuditEntry is one line of a trail: who did what, when, to what.
type AuditEntry struct {
	Tenant tenant.ID       `json:"tenant_id"` // zero in the operator's own trail
	ID     string          `json:"id"`        // UUIDv7: newer ids sort after older ones
	Time   time.Time       `json:"time"`
	Actor  access.Actor    `json:"actor"`
	Action string          `json:"action"` // e.g. session.start, key.revoke, alert.triage
	Target string          `json:"target"`
	Detail json.RawMessage `json:"detail,omitempty"`
}

// Audit is the trail of what people and keys did; core itself writes it, in
// the transaction of the deed.
type Audit struct {
	c     *Core
	notes notes
}

const auditInsert = ` (id, actor_kind, actor_id, actor_name, action, target, detail) values ($1, $2, $3, $4, $5, $6, $7)`

func auditArgs(by access.Actor, action, target string, detail map[string]any) ([]any, error) {
	if detail == nil {
		detail = map[string]any{}
	}
	b, err := json.Marshal(detail)
	if err != nil {
		return nil, fmt.Errorf("audit %s: %w", action, err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	return []any{id.String(), string(by.Kind), clean(by.ID), clean(by.Name), action, clean(target), string(b)}, nil
}

// audit writes into the trail of the tenant whose transaction tx is.
func audit(ctx context.Context, tx pgx.Tx, by access.Actor, action, target string, detail map[string]any) error {
	args, err := auditArgs(by, action, target, detail)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into audit_log`+auditInsert, args...)
	return err
}

// operatorAudit writes into the operator's trail; tx is a platform transaction.
func operatorAudit(ctx context.Context, tx pgx.Tx, by access.Actor, action, target string, detail map[string]any) error {
	args, err := auditArgs(by, action, target, detail)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into operator_audit`+auditInsert, args...)
	return err
}

// Record writes an entry into a tenant's trail, for what happens outside core
// (an export, an operator's look).
func (a *Audit) Record(ctx context.Context, id tenant.ID, by access.Actor, action, target string, detail map[string]any) error {
	err := a.c.InTenant(ctx, id, func(tx pgx.Tx) error { return audit(ctx, tx, by, action, target, detail) })
	return wrap(err, "audit %s of %s", action, id)
}

// List reads a tenant's trail, newest first, from before the entry with id
// before (empty: from the newest).
func (a *Audit) List(ctx context.Context, id tenant.ID, before string, limit int) (out []AuditEntry, err error) {
	whose, err := a.c.owners(ctx, []tenant.ID{id})
	if err != nil {
		return nil, wrap(err, "audit trail of %s", id)
	}
	err = a.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		out, err = auditPage(ctx, tx, "audit_log", "tenant_id::text", whose, before, limit)
		return err
	})
	if err != nil {
		out = nil
	}
	return out, wrap(err, "audit trail of %s", id)
}

// ListOperator reads the operator's trail.
func (a *Audit) ListOperator(ctx context.Context, before string, limit int) (out []AuditEntry, err error) {
	err = a.c.InPlatform(ctx, OpOperators, func(tx pgx.Tx) error {
		out, err = auditPage(ctx, tx, "operator_audit", "''", owners{"": tenant.ID{}}, before, limit)
		return err
	})
	return out, wrap(err, "operator's audit trail")
}

// auditPage reads one page of a trail; each row has to be of one of whose.
func auditPage(ctx context.Context, tx pgx.Tx, table, owner string, whose owners, before string, limit int) ([]AuditEntry, error) {
	if before != "" {
		if _, err := uuid.Parse(before); err != nil {
			return nil, invalid("cursor %q is no entry's id", before)
		}
	}
	rows, err := tx.Query(ctx, `select `+owner+`, id::text, at, actor_kind, actor_id, actor_name, action, target, detail from `+table+`
		where ($1 = '' or id < nullif($1, '')::uuid) order by id desc limit $2`, before, clampLimit(limit))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (AuditEntry, error) {
		var e AuditEntry
		var owner string
		var detail []byte
		if err := row.Scan(&owner, &e.ID, &e.Time, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Action, &e.Target, &detail); err != nil {
			return e, err
		}
		e.Detail = detail
		var err error
		e.Tenant, err = whose.of(owner)
		return e, err
	})
}

// clampLimit bounds a page to 1..501 rows (a page of 500 and whether there is
// another); 0 and less mean 100.
func clampLimit(n int) int {
	if n <= 0 {
		return 100
	}
	return min(n, 501)
}
