package core

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// Alerts stores alerts, their feed and their triage.
type Alerts struct{ c *Core }

// Upsert stores revisions of one tenant's alerts, in one transaction with what
// webhooks are owed for them. It is idempotent by (id, revision): a revision
// that is not newer than the stored one changes nothing. Each revision that is
// stored gets the tenant's next seq, without gaps, in the order given. stored
// are those, with their seq. An alert that breaks the contract, or is another
// tenant's, is ErrInvalid and nothing is stored.
func (a *Alerts) Upsert(ctx context.Context, id tenant.ID, alerts []alert.Alert) (stored []alert.Alert, err error) {
	if id.IsZero() {
		return nil, tenant.ErrZero
	}
	ids := make([]string, len(alerts))
	for i := range alerts {
		if err := alerts[i].Validate(); err != nil {
			return nil, invalid("%s", err)
		}
		if alerts[i].Tenant != id {
			return nil, invalid("alert %s is of tenant %s, not %s", alerts[i].ID, alerts[i].Tenant, id)
		}
		if clean(alerts[i].ID) != alerts[i].ID || len(alerts[i].ID) > 128 {
			return nil, invalid("alert id %q: want at most 128 bytes of text", cut(alerts[i].ID, 140))
		}
		ids[i] = alerts[i].ID
	}
	if len(alerts) == 0 {
		return nil, nil
	}
	err = a.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		stored, err = a.append(ctx, tx, alerts, ids)
		return err
	})
	if err != nil {
		return nil, wrap(err, "store %d alerts of %s", len(alerts), id)
	}
	a.c.metrics.stored.Add(float64(len(stored)))
	a.c.metrics.repeated.Add(float64(len(alerts) - len(stored)))
	if n := len(stored); n > 0 {
		a.c.hub.announce(Notification{id, stored[n-1].Seq})
	}
	return stored, nil
}

func (a *Alerts) append(ctx context.Context, tx pgx.Tx, alerts []alert.Alert, ids []string) ([]alert.Alert, error) {
	// The counter's row is the lock: whoever holds it appends alone, so seq
	// has no gap and becomes visible in order.
	if _, err := tx.Exec(ctx, `insert into alert_counters default values on conflict do nothing`); err != nil {
		return nil, err
	}
	var seq int64
	var prev []byte
	if err := tx.QueryRow(ctx, `select seq, last_hash from alert_counters for update`).Scan(&seq, &prev); err != nil {
		return nil, err
	}
	known := make(map[string]uint32, len(ids))
	rows, err := tx.Query(ctx, `select id, revision from alerts where id = any($1)`, ids)
	if err != nil {
		return nil, err
	}
	var aid string
	var rev int64
	if _, err := pgx.ForEachRow(rows, []any{&aid, &rev}, func() error { known[aid] = uint32(rev); return nil }); err != nil {
		return nil, err
	}
	var stored []alert.Alert
	var b pgx.Batch
	for _, al := range alerts {
		if known[al.ID] >= al.Revision {
			continue
		}
		known[al.ID] = al.Revision
		seq++
		al.Seq = uint64(seq)
		if prev, err = queueRevision(&b, &al, prev); err != nil {
			return nil, err
		}
		stored = append(stored, al)
	}
	if len(stored) == 0 {
		return nil, nil
	}
	// Every active endpoint is owed every new revision that is grave enough for
	// it; a retraction goes to all, for what it takes back may have been.
	b.Queue(`insert into outbox (webhook_id, seq, owed_since) select w.id, r.seq, $2 from webhooks w, alert_revisions r
		where w.status = 'active' and r.seq > $1 and (r.document->>'state' = 'retracted'
		or array_position($3, r.document->>'severity') >= array_position($3, w.min_severity))`, seq-int64(len(stored)), a.c.now(), texts(severities))
	b.Queue(`update alert_counters set seq = $1, last_hash = $2, changed_at = clock_timestamp()`, seq, prev)
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return nil, err
	}
	return stored, nil
}

// queueRevision queues the statements for one revision and returns its hash.
// The feed's document leaves the plots out: they are a picture for the screen,
// and receivers would pay for them in every message.
func queueRevision(b *pgx.Batch, al *alert.Alert, prev []byte) ([]byte, error) {
	full, err := json.Marshal(al)
	if err != nil {
		return nil, fmt.Errorf("alert %s: %w", al.ID, err)
	}
	short := *al
	short.Plots, short.Kept = nil, nil
	doc, err := json.Marshal(&short)
	if err != nil {
		return nil, fmt.Errorf("alert %s: %w", al.ID, err)
	}
	hash := ChainHash(prev, doc)
	b.Queue(`insert into alerts (id, revision, seq, state, severity, score, entity_type, entity_id, title, reason, raised_at, first_seen, last_seen, document)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		on conflict (tenant_id, id) do update set revision = excluded.revision, seq = excluded.seq, state = excluded.state,
		severity = excluded.severity, score = excluded.score, entity_type = excluded.entity_type, entity_id = excluded.entity_id,
		title = excluded.title, reason = excluded.reason, raised_at = excluded.raised_at, first_seen = excluded.first_seen,
		last_seen = excluded.last_seen, document = excluded.document, updated_at = now()`,
		al.ID, int64(al.Revision), int64(al.Seq), string(al.State), string(al.Severity), int32(al.Score), cut(string(al.Entity.Type), 64),
		cut(al.Entity.ID, 2048), cut(al.Title, 2048), cut(al.Reason, 8192), al.RaisedAt, al.FirstSeen, al.LastSeen, string(full))
	b.Queue(`insert into alert_revisions (seq, alert_id, revision, document, prev_hash, hash) values ($1, $2, $3, $4, $5, $6)`,
		int64(al.Seq), al.ID, int64(al.Revision), string(doc), prev, hash)
	return hash, nil
}

// ChainHash is the hash of one revision in its tenant's feed: SHA-256 over the
// previous revision's hash (32 zero bytes before the first) and the bytes of
// the alert's JSON as the feed and the webhooks carry it.
func ChainHash(prev, document []byte) []byte {
	h := sha256.New()
	h.Write(prev)
	h.Write(document)
	return h.Sum(nil)
}

// Revision is one entry of a tenant's feed.
type Revision struct {
	Seq      uint64
	Document json.RawMessage // the alert, as hashed
	PrevHash []byte
	Hash     []byte
	StoredAt time.Time
}

// Alert decodes the document.
func (r Revision) Alert() (alert.Alert, error) {
	var a alert.Alert
	err := json.Unmarshal(r.Document, &a)
	return a, err
}

// After reads a tenant's feed in order, from the revision after seq.
func (a *Alerts) After(ctx context.Context, id tenant.ID, seq uint64, limit int) (out []Revision, err error) {
	err = a.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select seq, document, prev_hash, hash, stored_at from alert_revisions where seq > $1 order by seq limit $2`,
			int64(seq), clampLimit(limit))
		if err != nil {
			return err
		}
		if out, err = pgx.CollectRows(rows, scanRevision); err != nil {
			return err
		}
		for _, r := range out {
			if a, err := r.Alert(); err != nil || a.Tenant != id {
				out = nil
				return errors.Join(errForeignRow, err)
			}
		}
		return nil
	})
	return out, wrap(err, "feed of %s after %d", id, seq)
}

func scanRevision(row pgx.CollectableRow) (Revision, error) {
	var r Revision
	var seq int64
	var doc []byte
	err := row.Scan(&seq, &doc, &r.PrevHash, &r.Hash, &r.StoredAt)
	r.Seq, r.Document = uint64(seq), doc
	return r, err
}
