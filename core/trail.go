package core

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Note is something that happens often, to be written into the trail of each
// of Tenants, or into the operator's own when there is none.
//
// The first of a kind is written before Note returns: whoever reads a tenant's
// data has been written down when the answer leaves. What the same actor does
// again within a minute is counted and written as one more row when the minute
// is over; a crash loses that count, never the fact.
type Note struct {
	By      access.Actor
	Tenants []tenant.ID
	Action  string // e.g. operator.read, access.deny
	Target  string // the first one's
	// What is counted within a row, e.g. the operation; it is not part of what
	// makes two notes the same.
	What    string
	Address string // of the client
	Role    access.Role
	Lazy    bool // even the first may wait for the minute's end
}

const (
	noteWindow = time.Minute
	maxNotes   = 20_000 // kinds that are counted at a time; above it each note is a row
	maxWhats   = 8      // different things named in a row
)

type noteKey struct {
	tenant       tenant.ID
	kind         access.Kind
	id           string
	action, what string
}

type folded struct {
	note  Note
	until time.Time
	count int
	whats map[string]int
}

// notes folds what is frequent.
type notes struct {
	mu    sync.Mutex
	byKey map[noteKey]*folded
}

// key: a read is one whatever was read, a refusal is one by what was refused.
func (n Note) key(id tenant.ID) noteKey {
	k := noteKey{tenant: id, kind: n.By.Kind, id: n.By.ID, action: n.Action}
	if n.Action != ReadAction {
		k.what = n.What
	}
	if n.By.ID == "" { // nobody known: by what is tried, from where
		k.id = n.Address
	}
	return k
}

// ReadAction is the trail's word for an operator's look at a tenant's data.
const ReadAction = "operator.read"

// Note writes down, or counts, something frequent.
func (a *Audit) Note(ctx context.Context, n Note) error {
	now := a.c.now()
	ids := n.Tenants
	if len(ids) == 0 {
		ids = []tenant.ID{{}}
	}
	var first []tenant.ID
	a.notes.mu.Lock()
	for _, id := range ids {
		k := n.key(id)
		f, ok := a.notes.byKey[k]
		switch {
		case ok && (n.Lazy || now.Before(f.until)):
			f.count++
			if _, named := f.whats[n.What]; named || len(f.whats) < maxWhats {
				f.whats[n.What]++
			}
			continue
		case ok && f.count > 0: // its minute is over and the flush has yet to come
			f.until = now.Add(noteWindow)
			f.count++
			f.whats[n.What]++
			continue
		case len(a.notes.byKey) < maxNotes:
			f = &folded{note: n, until: now.Add(noteWindow), whats: map[string]int{}}
			f.note.Tenants = []tenant.ID{id}
			a.notes.byKey[k] = f
			if n.Lazy {
				f.count, f.whats[n.What] = 1, 1
				continue
			}
		}
		first = append(first, id)
	}
	a.notes.mu.Unlock()
	if len(first) == 0 {
		return nil
	}
	detail := n.detail()
	if n.What != "" {
		detail["what"] = n.What
	}
	if err := a.write(ctx, first, n, detail); err != nil {
		a.notes.mu.Lock() // it has not been written down: the next one is the first again
		defer a.notes.mu.Unlock()
		for _, id := range first {
			delete(a.notes.byKey, n.key(id))
		}
		return err
	}
	return nil
}

func (n Note) detail() map[string]any {
	d := map[string]any{}
	if n.Address != "" {
		d["address"] = cut(n.Address, 64)
	}
	if n.Role != "" {
		d["role"] = n.Role
	}
	return d
}

// write appends one row to the trail of each tenant; the zero id means the
// operator's own.
func (a *Audit) write(ctx context.Context, ids []tenant.ID, n Note, detail map[string]any) error {
	err := a.c.InPlatform(ctx, OpRecordTrail, func(tx pgx.Tx) error {
		for _, id := range ids {
			if id.IsZero() {
				if err := operatorAudit(ctx, tx, n.By, n.Action, n.Target, detail); err != nil {
					return err
				}
				continue
			}
			if err := auditOf(ctx, tx, id, n.By, n.Action, n.Target, detail); err != nil {
				return err
			}
		}
		return nil
	})
	return wrap(err, "note %s", n.Action)
}

// auditOf writes into the trail of a tenant from a platform transaction. A
// tenant that is gone has no trail to write into.
func auditOf(ctx context.Context, tx pgx.Tx, id tenant.ID, by access.Actor, action, target string, detail map[string]any) error {
	args, err := auditArgs(by, action, target, detail)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into audit_log (tenant_id, id, actor_kind, actor_id, actor_name, action, target, detail)
		select t.id, $1, $2, $3, $4, $5, $6, $7 from tenants t where t.slug = $8`, append(args, id.String())...)
	return err
}

// FlushNotes writes the counts of minutes that are over; all of them when now
// is not to be waited for.
func (a *Audit) FlushNotes(ctx context.Context, all bool) error {
	now := a.c.now()
	var due []*folded
	a.notes.mu.Lock()
	for k, f := range a.notes.byKey {
		if all || !now.Before(f.until) {
			delete(a.notes.byKey, k)
			if f.count > 0 {
				due = append(due, f)
			}
		}
	}
	a.notes.mu.Unlock()
	for i, f := range due {
		detail := f.note.detail()
		detail["count"] = f.count
		var whats []string
		for w, n := range f.whats {
			if w != "" {
				whats = append(whats, fmt.Sprintf("%s ×%d", w, n))
			}
		}
		slices.Sort(whats)
		if len(whats) > 0 {
			detail["what"] = strings.Join(whats, ", ")
		}
		if err := a.write(ctx, f.note.Tenants, f.note, detail); err != nil {
			a.notes.mu.Lock()
			for _, f := range due[i:] { // kept for the next time, unless there is a newer count
				if k := f.note.key(f.note.Tenants[0]); a.notes.byKey[k] == nil && len(a.notes.byKey) < maxNotes {
					a.notes.byKey[k] = f
				}
			}
			a.notes.mu.Unlock()
			return err
		}
	}
	return nil
}

func (a *Audit) flushLoop(ctx context.Context) error {
	t := time.NewTicker(5 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := a.FlushNotes(ctx, false); err != nil && ctx.Err() == nil {
				a.c.log.Warn("write the trail's counts", "error", err)
			}
		}
	}
}

// Relay hands the oldest rows of all tenants' trails that no event stands for
// yet to send, at most limit of them, and marks them when it returns nil. It
// tells how many. Two relays at the same time take different rows; after a
// crash the same rows are handed on again, with the same ids.
func (a *Audit) Relay(ctx context.Context, limit int, send func(context.Context, []AuditEntry) error) (n int, err error) {
	return a.relay(ctx, `select t.slug, a.id::text, a.at, a.actor_kind, a.actor_id, a.actor_name, a.action, a.target, a.detail
		from audit_log a join tenants t on t.id = a.tenant_id where a.relayed_at is null order by a.id limit $1 for update of a skip locked`,
		`update audit_log a set relayed_at = now() from unnest($1::text[], $2::uuid[]) r (slug, id), tenants t
		where t.slug = r.slug and a.tenant_id = t.id and a.id = r.id`, limit, send)
}

// RelayOperator is Relay for the operator's own trail; its entries have no
// tenant.
func (a *Audit) RelayOperator(ctx context.Context, limit int, send func(context.Context, []AuditEntry) error) (n int, err error) {
	return a.relay(ctx, `select '', id::text, at, actor_kind, actor_id, actor_name, action, target, detail
		from operator_audit where relayed_at is null order by id limit $1 for update skip locked`,
		`update operator_audit a set relayed_at = now() from unnest($1::text[], $2::uuid[]) r (slug, id) where a.id = r.id`, limit, send)
}

func (a *Audit) relay(ctx context.Context, read, mark string, limit int, send func(context.Context, []AuditEntry) error) (n int, err error) {
	err = a.c.InPlatform(ctx, OpRelayTrail, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, read, clampLimit(limit))
		if err != nil {
			return err
		}
		entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e AuditEntry, err error) {
			var slug string
			var detail []byte
			if err := row.Scan(&slug, &e.ID, &e.Time, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Action, &e.Target, &detail); err != nil {
				return e, err
			}
			e.Detail = detail
			if slug != "" {
				e.Tenant, err = tenant.Parse(slug)
			}
			return e, err
		})
		if err != nil || len(entries) == 0 {
			return err
		}
		if err := send(ctx, entries); err != nil {
			return err
		}
		slugs, ids := make([]string, len(entries)), make([]string, len(entries))
		for i, e := range entries {
			slugs[i], ids[i] = e.Tenant.String(), e.ID
		}
		n = len(entries)
		_, err = tx.Exec(ctx, mark, slugs, ids)
		return err
	})
	if err != nil {
		n = 0
	}
	return n, wrap(err, "relay the trail")
}
