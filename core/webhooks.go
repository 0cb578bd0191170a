package core

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// WebhookStatus says whether an endpoint is sent to.
type WebhookStatus string

// The statuses. Gone: the endpoint answered 410 Gone.
const (
	WebhookActive WebhookStatus = "active"
	WebhookPaused WebhookStatus = "paused"
	WebhookGone   WebhookStatus = "gone"
)

// maxWebhooks bounds a tenant's endpoints, and with them what one alert costs.
const maxWebhooks = 20

// Webhook is an endpoint without its secret.
type Webhook struct {
	ID            string
	Tenant        tenant.ID
	Name          string
	URL           string
	Kind          string            // "webhook", or another of core/delivery's
	Settings      map[string]string // what the kind needs; no secrets
	MinSeverity   alert.Severity
	Status        WebhookStatus
	CreatedBy     string
	CreatedAt     time.Time
	Failures      int       // in a row
	FailingSince  time.Time // zero when the last attempt succeeded
	NextAttemptAt time.Time // zero when nothing holds it back
}

// Webhooks registers endpoints and keeps what is owed to them.
type Webhooks struct{ c *Core }

func (w *Webhooks) checkURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || clean(s) != s || len(s) > 2048 {
		return "", invalid("url: want https://host/path, at most 2048 bytes")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && w.c.cfg.AllowHTTPWebhooks) {
		return "", invalid("url: want https, not %q (http is for an installation with webhooks.allow_private)", cut(u.Scheme, 20))
	}
	if u.User != nil || u.Fragment != "" {
		return "", invalid("url: must hold neither a password nor a fragment")
	}
	return u.String(), nil
}

func sealPurpose(id tenant.ID, webhookID string) string {
	return "webhook secret " + id.String() + " " + webhookID
}

// NewWebhook describes an endpoint to register.
type NewWebhook struct {
	Name, URL   string
	Kind        string // empty: webhook
	Settings    map[string]string
	Token       Secret         // the other side's own; empty: none
	MinSeverity alert.Severity // empty: all
}

// Create registers a webhook for every alert revision from now on and gives
// its signing secret ("whsec_…", 256 bits), for the only time.
func (w *Webhooks) Create(ctx context.Context, by access.Actor, id tenant.ID, name, rawURL string) (Webhook, Secret, error) {
	return w.CreateDestination(ctx, by, id, NewWebhook{Name: name, URL: rawURL})
}

func (w *Webhooks) check(n *NewWebhook) (addr string, settings []byte, err error) {
	if n.Kind == "" {
		n.Kind = "webhook"
	}
	if n.MinSeverity == "" {
		n.MinSeverity = alert.Informational
	}
	if !slices.Contains(severities, n.MinSeverity) {
		return "", nil, invalid("min_severity %q: want informational, low, medium, high or critical", n.MinSeverity)
	}
	for k, v := range n.Settings {
		if clean(k) != k || clean(v) != v || len(k) > 64 || len(v) > 4096 || len(n.Settings) > 20 {
			return "", nil, invalid("settings: want at most 20 texts of at most 4096 bytes")
		}
	}
	addr = n.URL
	if strings.HasPrefix(addr, "http") || n.Kind == "webhook" {
		if addr, err = w.checkURL(n.URL); err != nil {
			return "", nil, err
		}
	} else if len(addr) > 2048 || len(addr) < 8 || clean(addr) != addr {
		return "", nil, invalid("url: want 8 to 2048 bytes of text")
	}
	switch {
	case w.c.cfg.CheckDestination != nil:
		if err := w.c.cfg.CheckDestination(n.Kind, addr, n.Settings, n.Token.Reveal()); err != nil {
			return "", nil, invalid("%s", err)
		}
	case n.Kind != "webhook":
		return "", nil, invalid("kind %q is not known here", cut(n.Kind, 40))
	}
	if n.Settings == nil {
		n.Settings = map[string]string{}
	}
	settings, err = json.Marshal(n.Settings)
	return addr, settings, err
}

// CreateDestination is Create for any kind of destination.
func (w *Webhooks) CreateDestination(ctx context.Context, by access.Actor, id tenant.ID, n NewWebhook) (Webhook, Secret, error) {
	addr, settings, err := w.check(&n)
	if err != nil {
		return Webhook{}, "", err
	}
	name := n.Name
	if name == "" {
		if u, err := url.Parse(addr); err == nil {
			name = u.Hostname()
		}
	}
	if name, err = checkName(name); err != nil {
		return Webhook{}, "", err
	}
	uid, err := uuid.NewV7()
	if err != nil {
		return Webhook{}, "", err
	}
	secret := newSigningSecret()
	sealed, err := w.c.sealer.Seal(ctx, sealPurpose(id, uid.String()), []byte(secret.Reveal()))
	if err != nil {
		return Webhook{}, "", wrap(err, "seal the secret of webhook %s", name)
	}
	var token []byte
	if n.Token != "" {
		if token, err = w.c.sealer.Seal(ctx, sealPurpose(id, uid.String())+" token", []byte(n.Token)); err != nil {
			return Webhook{}, "", wrap(err, "seal the token of webhook %s", name)
		}
	}
	out := Webhook{ID: uid.String(), Tenant: id, Name: name, URL: addr, Kind: n.Kind, Settings: n.Settings, MinSeverity: n.MinSeverity, Status: WebhookActive, CreatedBy: by.Name}
	err = w.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var count int
		if err := tx.QueryRow(ctx, `select count(*) from webhooks`).Scan(&count); err != nil {
			return err
		}
		if count >= maxWebhooks {
			return invalid("the tenant has %d webhooks, the most there may be: delete one", count)
		}
		if err := tx.QueryRow(ctx, `insert into webhooks (id, name, url, secret_sealed, created_by, kind, settings, min_severity, token_sealed)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning created_at`,
			out.ID, name, addr, sealed, clean(by.Name), n.Kind, string(settings), string(n.MinSeverity), token).Scan(&out.CreatedAt); err != nil {
			return err
		}
		return audit(ctx, tx, by, "webhook.create", out.ID, map[string]any{"name": name, "kind": n.Kind, "host": hostOf(addr)})
	})
	if err != nil {
		return Webhook{}, "", wrap(err, "create webhook of %s", id)
	}
	return out, secret, nil
}

func newSigningSecret() Secret {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return Secret("whsec_" + base64.StdEncoding.EncodeToString(key))
}

// hostOf keeps paths, which may be secret, out of the trail.
func hostOf(addr string) string {
	u, err := url.Parse(addr)
	if err != nil {
		return ""
	}
	return u.Host
}

// List reads the endpoints of the tenants in scope, newest first.
func (w *Webhooks) List(ctx context.Context, scope []tenant.ID) (out []Webhook, err error) {
	if len(scope) == 0 {
		return nil, nil
	}
	whose, err := w.c.owners(ctx, scope)
	if err != nil {
		return nil, err
	}
	err = w.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, id::text, name, url, status, created_by, created_at, failures, failing_since,
			nullif(next_attempt_at, '-infinity'), kind, settings, min_severity from webhooks order by created_at desc, id limit 5000`)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Webhook, error) {
			var h Webhook
			var tid string
			var since, next *time.Time
			var settings []byte
			if err := row.Scan(&tid, &h.ID, &h.Name, &h.URL, &h.Status, &h.CreatedBy, &h.CreatedAt, &h.Failures, &since, &next,
				&h.Kind, &settings, &h.MinSeverity); err != nil {
				return h, err
			}
			if err := json.Unmarshal(settings, &h.Settings); err != nil {
				return h, err
			}
			h.FailingSince, h.NextAttemptAt = orZero(since), orZero(next)
			h.Tenant, err = whose.of(tid)
			return h, err
		})
		return err
	})
	return out, wrap(err, "list webhooks")
}

// Delete removes an endpoint with all that is owed to it.
func (w *Webhooks) Delete(ctx context.Context, by access.Actor, id tenant.ID, webhookID string) error {
	return w.change(ctx, by, id, webhookID, "webhook.delete", `delete from webhooks where id = $1 returning name`)
}

// Pause stops sending; what happens meanwhile is not owed. What was owed before
// stays so.
func (w *Webhooks) Pause(ctx context.Context, by access.Actor, id tenant.ID, webhookID string) error {
	return w.change(ctx, by, id, webhookID, "webhook.pause", `update webhooks set status = 'paused' where id = $1 returning name`)
}

// Resume starts sending again, at once, also to an endpoint that was gone.
func (w *Webhooks) Resume(ctx context.Context, by access.Actor, id tenant.ID, webhookID string) error {
	err := w.change(ctx, by, id, webhookID, "webhook.resume", `update webhooks set status = 'active', next_attempt_at = '-infinity',
		failures = 0, failing_since = null where id = $1 returning name`)
	return err
}

func (w *Webhooks) change(ctx context.Context, by access.Actor, id tenant.ID, webhookID, action, sql string, args ...any) error {
	if _, err := uuid.Parse(webhookID); err != nil {
		return wrap(ErrNotFound, "webhook")
	}
	err := w.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var name string
		if err := tx.QueryRow(ctx, sql, append([]any{webhookID}, args...)...).Scan(&name); err != nil {
			return err
		}
		return audit(ctx, tx, by, action, webhookID, map[string]any{"name": name})
	})
	return wrap(err, "%s %s of %s", action, webhookID, id)
}

// SetMinSeverity is the least severity that is sent from now on.
func (w *Webhooks) SetMinSeverity(ctx context.Context, by access.Actor, id tenant.ID, webhookID string, least alert.Severity) error {
	i := slices.Index(severities, least)
	if i < 0 {
		return invalid("min_severity %q: want informational, low, medium, high or critical", least)
	}
	return w.change(ctx, by, id, webhookID, "webhook.filter", `update webhooks set min_severity = $2 where id = $1 returning name`, string(least))
}

// Rotate makes a new signing secret. Until overlap is over messages carry a
// signature by each of the two.
func (w *Webhooks) Rotate(ctx context.Context, by access.Actor, id tenant.ID, webhookID string, overlap time.Duration) (Secret, error) {
	if overlap < 0 || overlap > 7*24*time.Hour {
		return "", invalid("overlap: want at most 168 hours")
	}
	secret := newSigningSecret()
	sealed, err := w.c.sealer.Seal(ctx, sealPurpose(id, webhookID), []byte(secret.Reveal()))
	if err != nil {
		return "", wrap(err, "seal the secret of webhook %s", webhookID)
	}
	err = w.change(ctx, by, id, webhookID, "webhook.rotate", `update webhooks set old_secret = secret_sealed, old_secret_until = $3, secret_sealed = $2
		where id = $1 returning name`, sealed, w.c.now().Add(overlap))
	return secret, err
}

// Target reads one endpoint with its secrets, as a sender sees it, for a test
// message; what is owed to it is left out.
func (w *Webhooks) Target(ctx context.Context, id tenant.ID, webhookID string) (out Owed, err error) {
	if _, err := uuid.Parse(webhookID); err != nil {
		return Owed{}, wrap(ErrNotFound, "webhook")
	}
	whose, err := w.c.owners(ctx, []tenant.ID{id})
	if err != nil {
		return Owed{}, err
	}
	var settings, secret, old, token []byte
	var owner string
	err = w.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `select tenant_id::text, url, kind, settings, secret_sealed, case when old_secret_until > $2 then old_secret end, token_sealed
			from webhooks where id = $1`, webhookID, w.c.now()).Scan(&owner, &out.URL, &out.Kind, &settings, &secret, &old, &token)
		if err == nil {
			_, err = whose.of(owner)
		}
		return err
	})
	if err != nil {
		return Owed{}, wrap(err, "webhook %s of %s", webhookID, id)
	}
	if err := w.unseal(ctx, Endpoint{id, webhookID}, &out, secret, old, token); err != nil {
		return Owed{}, err
	}
	return out, json.Unmarshal(settings, &out.Settings)
}

// DeliveryState says what became of one revision for one endpoint.
type DeliveryState string

// The states. Dead: given up, until somebody asks for redelivery.
const (
	DeliveryPending   DeliveryState = "pending"
	DeliveryDelivered DeliveryState = "delivered"
	DeliveryDead      DeliveryState = "dead"
)

// Delivery is one revision owed to one endpoint.
type Delivery struct {
	Seq        uint64
	AlertID    string
	Revision   uint32
	State      DeliveryState
	Attempts   int
	CreatedAt  time.Time
	FinishedAt time.Time // zero while pending
	LastStatus int       // HTTP status; 0 when there was no answer
	LastError  string
}

// Attempt is one try.
type Attempt struct {
	ID      string
	Seq     uint64
	Attempt int
	At      time.Time
	Status  int // 0 when there was no answer
	Latency time.Duration
	Error   string
	Answer  string // the first bytes
}

// Deliveries reads what is or was owed to an endpoint, newest first, before the
// seq given (0: from the newest). state narrows it; empty is all.
func (w *Webhooks) Deliveries(ctx context.Context, id tenant.ID, webhookID string, state DeliveryState, before uint64, limit int) (out []Delivery, err error) {
	if _, err := uuid.Parse(webhookID); err != nil {
		return nil, wrap(ErrNotFound, "webhook")
	}
	whose, err := w.c.owners(ctx, []tenant.ID{id})
	if err != nil {
		return nil, wrap(err, "deliveries of webhook %s", webhookID)
	}
	err = w.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		var tid string
		if err := tx.QueryRow(ctx, `select tenant_id::text from webhooks where id = $1`, webhookID).Scan(&tid); err != nil {
			return err
		}
		if _, err := whose.of(tid); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select o.seq, r.alert_id, r.revision, o.state, o.attempts, o.created_at, o.finished_at, coalesce(o.last_status, 0), o.last_error
			from outbox o join alert_revisions r on r.tenant_id = o.tenant_id and r.seq = o.seq
			where o.webhook_id = $1 and ($2 = '' or o.state = $2) and ($3 = 0 or o.seq < $3) order by o.seq desc limit $4`,
			webhookID, string(state), int64(before), clampLimit(limit))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Delivery, error) {
			var d Delivery
			var seq, rev int64
			var done *time.Time
			err := row.Scan(&seq, &d.AlertID, &rev, &d.State, &d.Attempts, &d.CreatedAt, &done, &d.LastStatus, &d.LastError)
			d.Seq, d.Revision, d.FinishedAt = uint64(seq), uint32(rev), orZero(done)
			return d, err
		})
		return err
	})
	return out, wrap(err, "deliveries of webhook %s of %s", webhookID, id)
}

// Attempts reads the tries of one delivery, oldest first; they are kept for 30
// days.
func (w *Webhooks) Attempts(ctx context.Context, id tenant.ID, webhookID string, seq uint64) (out []Attempt, err error) {
	if _, err := uuid.Parse(webhookID); err != nil {
		return nil, wrap(ErrNotFound, "webhook")
	}
	whose, err := w.c.owners(ctx, []tenant.ID{id})
	if err != nil {
		return nil, wrap(err, "attempts of webhook %s of %s", webhookID, id)
	}
	err = w.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, id::text, seq, attempt, at, coalesce(status, 0), latency_us, error, answer
			from delivery_attempts where webhook_id = $1 and seq = $2 order by attempt, at limit 500`, webhookID, int64(seq))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Attempt, error) {
			var a Attempt
			var s, us int64
			var owner string
			err := row.Scan(&owner, &a.ID, &s, &a.Attempt, &a.At, &a.Status, &us, &a.Error, &a.Answer)
			a.Seq, a.Latency = uint64(s), time.Duration(us)*time.Microsecond
			if err == nil {
				_, err = whose.of(owner)
			}
			return a, err
		})
		return err
	})
	if err != nil {
		out = nil
	}
	return out, wrap(err, "attempts of webhook %s of %s", webhookID, id)
}

// Redeliver owes the endpoint the given revisions again, or every dead one when
// none are given, and tells how many. They go before later ones.
func (w *Webhooks) Redeliver(ctx context.Context, by access.Actor, id tenant.ID, webhookID string, seqs ...uint64) (n int64, err error) {
	if _, err := uuid.Parse(webhookID); err != nil {
		return 0, wrap(ErrNotFound, "webhook")
	}
	list := make([]int64, len(seqs))
	for i, s := range seqs {
		list[i] = int64(s)
	}
	err = w.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var there bool
		if err := tx.QueryRow(ctx, `update webhooks set next_attempt_at = '-infinity' where id = $1 returning true`, webhookID).Scan(&there); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `update outbox set state = 'pending', finished_at = null, owed_since = $3
			where webhook_id = $1 and case when cardinality($2::bigint[]) = 0 then state = 'dead' else state <> 'pending' and seq = any($2) end`,
			webhookID, list, w.c.now())
		if err != nil {
			return err
		}
		n = tag.RowsAffected()
		return audit(ctx, tx, by, "webhook.redeliver", webhookID, map[string]any{"revisions": n})
	})
	if err != nil {
		return 0, wrap(err, "redeliver webhook %s of %s", webhookID, id)
	}
	return n, nil
}

var errLeaseLost = fmt.Errorf("the endpoint is another sender's now: %w", ErrConflict)
