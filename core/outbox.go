package core

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// This file is the senders' side of webhooks; core/delivery drives it. Times
// are the sender's own clock, so that it can be tested with another.

// Endpoint names one webhook that a sender holds the lease of.
type Endpoint struct {
	Tenant    tenant.ID
	WebhookID string
}

// Claim leases up to limit endpoints that are due and owed something, for owner
// until the given time; nobody else is given them meanwhile. failing chooses
// between those whose last attempt failed and the others, so that many dead
// endpoints cannot take every place.
func (w *Webhooks) Claim(ctx context.Context, owner string, now, until time.Time, limit int, failing bool) (out []Endpoint, err error) {
	err = w.c.InPlatform(ctx, OpClaimDeliveries, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			with due as (
				select w.tenant_id, w.id, t.slug from webhooks w join tenants t on t.id = w.tenant_id
				where w.status = 'active' and t.status = 'active' and w.next_attempt_at <= $2
				and (w.lease_until is null or w.lease_until <= $2) and (w.failures > 0) = $5
				and exists (select from outbox o where o.tenant_id = w.tenant_id and o.webhook_id = w.id and o.state = 'pending')
				order by w.next_attempt_at limit $4 for update of w skip locked)
			update webhooks w set lease_owner = $1, lease_until = $3 from due
			where w.tenant_id = due.tenant_id and w.id = due.id returning due.slug, w.id::text`,
			owner, now, until, limit, failing)
		if err != nil {
			return err
		}
		var slug, id string
		_, err = pgx.ForEachRow(rows, []any{&slug, &id}, func() error {
			t, err := tenant.Parse(slug)
			out = append(out, Endpoint{t, id})
			return err
		})
		return err
	})
	return out, wrap(err, "claim deliveries")
}

// Owed is what a sender needs to send.
type Owed struct {
	URL          string
	Kind         string
	Settings     map[string]string
	Token        Secret // the other side's own; empty: none
	Secret       Secret
	OldSecret    Secret    // beside Secret while it rotates; empty: none
	Failures     int       // of the endpoint, in a row
	FailingSince time.Time // zero when the last attempt succeeded
	Messages     []OwedMessage
}

// OwedMessage is one revision to send.
type OwedMessage struct {
	Revision
	Attempts  int
	OwedSince time.Time
}

// Owed reads the oldest revisions owed to an endpoint that owner has leased;
// none when the lease is lost or the endpoint no longer active.
func (w *Webhooks) Owed(ctx context.Context, e Endpoint, owner string, limit int) (Owed, error) {
	var out Owed
	var sealed, old, token, settings []byte
	err := w.c.InTenantRead(ctx, e.Tenant, func(tx pgx.Tx) error {
		var since *time.Time
		err := tx.QueryRow(ctx, `select url, kind, settings, secret_sealed, case when old_secret_until > $3 then old_secret end, token_sealed, failures, failing_since from webhooks
			where id = $1 and status = 'active' and lease_owner = $2`, e.WebhookID, owner, w.c.now()).
			Scan(&out.URL, &out.Kind, &settings, &sealed, &old, &token, &out.Failures, &since)
		if err != nil {
			return err
		}
		out.FailingSince = orZero(since)
		rows, err := tx.Query(ctx, `select r.seq, r.document, r.prev_hash, r.hash, r.stored_at, o.attempts, o.owed_since from outbox o
			join alert_revisions r on r.tenant_id = o.tenant_id and r.seq = o.seq
			where o.webhook_id = $1 and o.state = 'pending' order by o.seq limit $2`, e.WebhookID, limit)
		if err != nil {
			return err
		}
		out.Messages, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (OwedMessage, error) {
			var m OwedMessage
			var seq int64
			var doc []byte
			err := row.Scan(&seq, &doc, &m.PrevHash, &m.Hash, &m.StoredAt, &m.Attempts, &m.OwedSince)
			m.Seq, m.Document = uint64(seq), doc
			return m, err
		})
		return err
	})
	if ok, err := notFoundOK(err); err != nil {
		return Owed{}, wrap(err, "what is owed to webhook %s of %s", e.WebhookID, e.Tenant)
	} else if !ok {
		return Owed{}, nil
	}
	if err := w.unseal(ctx, e, &out, sealed, old, token); err != nil {
		return Owed{}, err
	}
	return out, json.Unmarshal(settings, &out.Settings)
}

func (w *Webhooks) unseal(ctx context.Context, e Endpoint, out *Owed, secret, old, token []byte) error {
	purpose := sealPurpose(e.Tenant, e.WebhookID)
	for _, x := range []struct {
		into    *Secret
		purpose string
		sealed  []byte
	}{{&out.Secret, purpose, secret}, {&out.OldSecret, purpose, old}, {&out.Token, purpose + " token", token}} {
		if x.sealed == nil {
			continue
		}
		plain, err := w.c.sealer.Open(ctx, x.purpose, x.sealed)
		if err != nil {
			return wrap(err, "secret of webhook %s of %s", e.WebhookID, e.Tenant)
		}
		*x.into = Secret(plain)
	}
	return nil
}

// Outcome is what a sender makes of an attempt.
type Outcome int

// The outcomes.
const (
	Delivered Outcome = iota + 1
	Retry             // the same revision again at NextAttempt
	GiveUp            // this revision and those of DeadBefore are dead; the next one at NextAttempt
	Gone              // the endpoint is gone and all that is owed to it dead
)

// Tried is one attempt with its outcome.
type Tried struct {
	Seq         uint64
	At          time.Time
	Status      int // 0 when there was no answer
	Latency     time.Duration
	Error       string
	Answer      string
	Outcome     Outcome
	NextAttempt time.Time // for Retry and GiveUp
	// DeadBefore, for GiveUp, takes with the revision all that are owed since
	// before then: they waited behind it while the endpoint was failing.
	DeadBefore time.Time
	LeaseUntil time.Time // the lease is extended with each record
}

// Record stores an attempt and what follows from it. It is refused with
// ErrConflict when owner no longer has the lease: somebody else sends now.
func (w *Webhooks) Record(ctx context.Context, e Endpoint, owner string, t Tried) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	err = w.c.InTenant(ctx, e.Tenant, func(tx pgx.Tx) error {
		next := time.Time{}
		if t.Outcome == Retry || t.Outcome == GiveUp {
			next = t.NextAttempt
		}
		tag, err := tx.Exec(ctx, `update webhooks set lease_until = $3, next_attempt_at = coalesce($4::timestamptz, '-infinity'),
			failures = case when $5 then 0 else failures + 1 end,
			failing_since = case when $5 then null else coalesce(failing_since, $6) end,
			status = case when $7 then 'gone' else status end
			where id = $1 and lease_owner = $2`,
			e.WebhookID, owner, t.LeaseUntil, orNull(next), t.Outcome == Delivered, t.At, t.Outcome == Gone)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errLeaseLost
		}
		state := map[Outcome]DeliveryState{Delivered: DeliveryDelivered, Retry: DeliveryPending, GiveUp: DeliveryDead, Gone: DeliveryDead}[t.Outcome]
		var attempt int
		if err := tx.QueryRow(ctx, `update outbox set attempts = attempts + 1, state = $3, finished_at = case when $3 = 'pending' then null else $4::timestamptz end,
			last_status = nullif($5, 0), last_error = $6 where webhook_id = $1 and seq = $2 returning attempts`,
			e.WebhookID, int64(t.Seq), string(state), t.At, t.Status, cut(t.Error, 500)).Scan(&attempt); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into delivery_attempts (id, webhook_id, seq, attempt, at, status, latency_us, error, answer)
			values ($1, $2, $3, $4, $5, nullif($6, 0), $7, $8, $9)`, id.String(), e.WebhookID, int64(t.Seq), attempt, t.At,
			t.Status, t.Latency.Microseconds(), cut(t.Error, 500), cut(t.Answer, 1024)); err != nil {
			return err
		}
		switch t.Outcome {
		case Gone:
			_, err = tx.Exec(ctx, `update outbox set state = 'dead', finished_at = $2, last_error = 'the endpoint answered 410 Gone'
				where webhook_id = $1 and state = 'pending'`, e.WebhookID, t.At)
		case GiveUp:
			_, err = tx.Exec(ctx, `update outbox set state = 'dead', finished_at = $2, last_error = 'given up behind seq ' || $3::bigint
				where webhook_id = $1 and state = 'pending' and owed_since <= $4`, e.WebhookID, t.At, int64(t.Seq), t.DeadBefore)
		}
		return err
	})
	return wrap(err, "record attempt at webhook %s of %s", e.WebhookID, e.Tenant)
}

// Release gives the lease back.
func (w *Webhooks) Release(ctx context.Context, e Endpoint, owner string) error {
	err := w.c.InTenant(ctx, e.Tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update webhooks set lease_owner = null, lease_until = null where id = $1 and lease_owner = $2`, e.WebhookID, owner)
		return err
	})
	return wrap(err, "release webhook %s of %s", e.WebhookID, e.Tenant)
}

// Backlog is how much is owed in all, and since when.
type Backlog struct {
	Pending int64
	Oldest  time.Time // zero when nothing is pending
}

// Backlog counts what is owed by all tenants, for the operator's metrics.
func (w *Webhooks) Backlog(ctx context.Context) (b Backlog, err error) {
	err = w.c.InPlatform(ctx, OpClaimDeliveries, func(tx pgx.Tx) error {
		var oldest *time.Time
		err := tx.QueryRow(ctx, `select count(*), min(owed_since) from outbox where state = 'pending'`).Scan(&b.Pending, &oldest)
		b.Oldest = orZero(oldest)
		return err
	})
	return b, wrap(err, "backlog of deliveries")
}
