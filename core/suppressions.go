package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
)

const (
	// MaxSuppressions bounds those of a tenant that are in force.
	MaxSuppressions = 200
	// MaxSuppression is how long one may last.
	MaxSuppression = 366 * 24 * time.Hour
	// PreviewPeriod is how far back the effect is shown at most.
	PreviewPeriod = 90 * 24 * time.Hour

	previewScan   = 5000
	previewListed = 100
)

// Suppression is one with its owner, its reason and what it has hidden so far.
type Suppression struct {
	policy.Suppression
	Tenant    tenant.ID
	Owner     string // who answers for it
	Reason    string
	Override  string // why it was saved although it hides a confirmed true positive; empty: it does not
	CreatedBy string
	CreatedAt time.Time
	EndedAt   time.Time // zero unless ended before its expiry
	EndedBy   string
	Hits      int64     // alerts hidden
	LastHit   time.Time // event time; zero without any
}

// SuppressionPreview is what a suppression would have hidden of the alerts
// raised in the period.
type SuppressionPreview struct {
	From, To  time.Time
	Scanned   int // alerts looked at
	Truncated bool
	Hidden    int
	// Confirmed are the ids of those that people found to be true positives.
	Confirmed []string
	Alerts    []StoredAlert // the newest that it would have hidden, at most 100
}

// EventMatcher says whether one of a tenant's events, by their ids, fits the
// scope's action, network and label. A false one is no match; an error ends
// the preview.
type EventMatcher func(ctx context.Context, id tenant.ID, eventIDs []string, s policy.Suppression) (bool, error)

// Suppressions keeps what tenants do not want to be alerted of.
type Suppressions struct{ c *Core }

// ErrConfirmed: the suppression would have hidden a confirmed true positive.
var ErrConfirmed = fmt.Errorf("%w: it would have hidden an alert that was confirmed as a true positive; narrow it, or give override with a reason", ErrInvalid)

func checkSuppression(s *policy.Suppression, owner, reason, override string, now time.Time) error {
	for name, v := range map[string]string{"detector": s.Detector, "entity_type": s.EntityType, "entity_id": s.EntityID, "action": s.Action, "label": s.Label,
		"owner": owner, "reason": reason, "override": override} {
		limit := map[string]int{"detector": 100, "entity_type": 64, "entity_id": 2048, "action": 256, "label": 512, "owner": 254}[name]
		if limit == 0 {
			limit = 2000
		}
		if len(v) > limit || clean(v) != v {
			return invalid("%s: want at most %d bytes of text", name, limit)
		}
	}
	switch {
	case s.EntityID == "" && s.Action == "" && !s.Network.IsValid() && s.Label == "":
		return invalid("scope: name an entity, an action, a network or a label; a detector alone would be blinded")
	case (s.EntityID == "") != (s.EntityType == ""):
		return invalid("entity_type and entity_id go together")
	case strings.Contains(strings.TrimSuffix(s.Action, "*"), "*"):
		return invalid("action: one * at the end at most")
	case s.Action == "*":
		return invalid("action: * alone would hide everything")
	case s.Label != "" && !strings.Contains(s.Label, "="):
		return invalid("label: want key=value")
	case s.Network.IsValid() && s.Network.Bits() < 8:
		return invalid("network: %s is too wide: at most a /8", s.Network)
	case strings.TrimSpace(owner) == "":
		return invalid("owner is required: who answers for it")
	case strings.TrimSpace(reason) == "":
		return invalid("reason is required")
	case s.Until.IsZero():
		return invalid("until is required: a suppression expires")
	case !s.Until.After(now), !s.Until.After(s.From):
		return invalid("until has to be in the future and after from")
	case s.Until.Sub(now) > MaxSuppression:
		return invalid("until: at most %d days ahead", int(MaxSuppression.Hours()/24))
	}
	return nil
}

// Preview shows what the scope would have hidden of one tenant's alerts raised
// within period of event time before the newest one. What it cannot know from
// the alert it asks match; an alert counts as hidden when any event it names
// fits, so that the figure errs on the side of caution.
func (s *Suppressions) Preview(ctx context.Context, id tenant.ID, scope policy.Suppression, period time.Duration, match EventMatcher) (p SuppressionPreview, err error) {
	if period <= 0 || period > PreviewPeriod {
		return p, invalid("period: want at most %d days", int(PreviewPeriod.Hours()/24))
	}
	err = s.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		p = SuppressionPreview{}
		var newest *time.Time
		if err := tx.QueryRow(ctx, `select max(raised_at) from alerts where state <> 'retracted'`).Scan(&newest); err != nil {
			return err
		}
		p.To = orZero(newest)
		if p.To.IsZero() {
			p.To = s.c.now()
		}
		p.To = p.To.Add(time.Microsecond)
		p.From = p.To.Add(-period)
		rows, err := tx.Query(ctx, `select `+alertColumns+` from alerts where state <> 'retracted' and raised_at >= $1 and raised_at < $2
			and ($3 = '' or entity_type = $3) and ($4 = '' or entity_id = $4) order by raised_at desc limit $5`,
			p.From, p.To, scope.EntityType, scope.EntityID, previewScan+1)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, scanAlert)
		if err != nil {
			return err
		}
		if p.Truncated = len(all) > previewScan; p.Truncated {
			all = all[:previewScan]
		}
		for i := range all {
			if all[i].Tenant != id {
				return errForeignRow
			}
		}
		p.Alerts = all
		return nil
	})
	if err != nil {
		return SuppressionPreview{}, wrap(err, "preview of a suppression of %s", id)
	}
	all := p.Alerts
	p.Scanned, p.Alerts = len(all), nil
	for _, a := range all {
		if scope.Detector != "" && strongest(&a.Alert) != scope.Detector {
			continue
		}
		if scope.Action != "" || scope.Network.IsValid() || scope.Label != "" {
			ok, err := match(ctx, id, a.EventIDs, scope)
			if err != nil {
				return SuppressionPreview{}, wrap(err, "preview of a suppression of %s", id)
			}
			if !ok {
				continue
			}
		}
		p.Hidden++
		if a.Triage.Verdict == TruePositive {
			p.Confirmed = append(p.Confirmed, a.ID)
		}
		if len(p.Alerts) < previewListed {
			p.Alerts = append(p.Alerts, a)
		}
	}
	return p, nil
}

// strongest is the detector that contributed most.
func strongest(a *alert.Alert) (name string) {
	most := int64(-1)
	for _, d := range a.Detectors {
		if d.Contribution > most {
			name, most = d.Name, d.Contribution
		}
	}
	return name
}

// Create saves a suppression after its preview over 90 days: ErrConfirmed when
// that holds a confirmed true positive and override is empty.
func (s *Suppressions) Create(ctx context.Context, by access.Actor, id tenant.ID, n Suppression, match EventMatcher) (Suppression, SuppressionPreview, error) {
	now := s.c.now()
	if n.From.IsZero() {
		n.From = now
	}
	if err := checkSuppression(&n.Suppression, n.Owner, n.Reason, n.Override, now); err != nil {
		return Suppression{}, SuppressionPreview{}, err
	}
	p, err := s.Preview(ctx, id, n.Suppression, PreviewPeriod, match)
	if err != nil {
		return Suppression{}, p, err
	}
	if len(p.Confirmed) > 0 && strings.TrimSpace(n.Override) == "" {
		return Suppression{}, p, ErrConfirmed
	}
	if len(p.Confirmed) == 0 {
		n.Override = ""
	}
	uid, err := uuid.NewV7()
	if err != nil {
		return Suppression{}, p, err
	}
	n.ID, n.Tenant, n.CreatedBy = uid.String(), id, clean(by.Name)
	kept, err := json.Marshal(map[string]any{"from": p.From, "to": p.To, "scanned": p.Scanned, "hidden": p.Hidden, "confirmed": p.Confirmed})
	if err != nil {
		return Suppression{}, p, err
	}
	err = s.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var count int
		if err := tx.QueryRow(ctx, `select count(*) from suppressions where ended_at is null and valid_until > $1`, now).Scan(&count); err != nil {
			return err
		}
		if count >= MaxSuppressions {
			return invalid("%d suppressions are in force, the most there may be: end one", count)
		}
		if err := tx.QueryRow(ctx, `insert into suppressions (id, detector, entity_type, entity_id, action, network, label, valid_from, valid_until,
			owner, reason, override, preview, created_by) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) returning created_at`,
			n.ID, n.Detector, n.EntityType, n.EntityID, n.Action, prefixText(n.Network), n.Label, n.From, n.Until, n.Owner, n.Reason, n.Override,
			string(kept), n.CreatedBy).Scan(&n.CreatedAt); err != nil {
			return err
		}
		return audit(ctx, tx, by, "suppression.create", n.ID, map[string]any{"detector": n.Detector, "entity": n.EntityID, "action": n.Action,
			"network": prefixText(n.Network), "label": n.Label, "until": n.Until, "reason": n.Reason, "override": n.Override, "would_have_hidden": p.Hidden})
	})
	if err != nil {
		return Suppression{}, p, wrap(err, "create suppression of %s", id)
	}
	return n, p, nil
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

// End ends a suppression at once; it stays listed with what it hid.
func (s *Suppressions) End(ctx context.Context, by access.Actor, id tenant.ID, suppressionID string) error {
	if _, err := uuid.Parse(suppressionID); err != nil {
		return wrap(ErrNotFound, "suppression")
	}
	err := s.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var reason string
		if err := tx.QueryRow(ctx, `update suppressions set ended_at = coalesce(ended_at, $2), ended_by = case when ended_at is null then $3 else ended_by end
			where id = $1 returning reason`, suppressionID, s.c.now(), clean(by.Name)).Scan(&reason); err != nil {
			return err
		}
		return audit(ctx, tx, by, "suppression.end", suppressionID, map[string]any{"reason": reason})
	})
	return wrap(err, "end suppression %s of %s", suppressionID, id)
}

const suppressionColumns = `s.tenant_id::text, s.id::text, s.detector, s.entity_type, s.entity_id, s.action, s.network, s.label, s.valid_from, s.valid_until,
	s.owner, s.reason, s.override, s.created_by, s.created_at, s.ended_at, s.ended_by`

func scanSuppression(row pgx.CollectableRow, whose func(string) (tenant.ID, error), extra ...any) (Suppression, error) {
	var s Suppression
	var owner, network string
	var ended *time.Time
	if err := row.Scan(append([]any{&owner, &s.ID, &s.Detector, &s.EntityType, &s.EntityID, &s.Action, &network, &s.Label, &s.From, &s.Until,
		&s.Owner, &s.Reason, &s.Override, &s.CreatedBy, &s.CreatedAt, &ended, &s.EndedBy}, extra...)...); err != nil {
		return s, err
	}
	s.EndedAt = orZero(ended)
	var err error
	if network != "" {
		s.Network, err = netip.ParsePrefix(network)
	}
	t, err2 := whose(owner)
	s.Tenant = t
	return s, errors.Join(err, err2)
}

// List reads the suppressions of the tenants in scope, newest first, ended and
// expired ones included, with what they hid.
func (s *Suppressions) List(ctx context.Context, scope []tenant.ID) (out []Suppression, err error) {
	if len(scope) == 0 {
		return nil, nil
	}
	whose, err := s.c.owners(ctx, scope)
	if err != nil {
		return nil, err
	}
	err = s.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select `+suppressionColumns+`, coalesce(h.n, 0), h.last from suppressions s left join
			(select tenant_id, suppression_id, count(*) as n, max(raised_at) as last from hidden_alerts group by 1, 2) h
			on h.tenant_id = s.tenant_id and h.suppression_id = s.id order by s.created_at desc, s.id limit 5000`)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Suppression, error) {
			var hits int64
			var last *time.Time
			x, err := scanSuppression(row, whose.of, &hits, &last)
			x.Hits, x.LastHit = hits, orZero(last)
			return x, err
		})
		return err
	})
	if err != nil {
		out = nil
	}
	return out, wrap(err, "list suppressions")
}

// InForce reads every tenant's suppressions that hide events of event time now
// or may hide late ones: not ended, and not expired for more than a week.
func (s *Suppressions) InForce(ctx context.Context) (map[tenant.ID][]policy.Suppression, error) {
	out := map[tenant.ID][]policy.Suppression{}
	err := s.c.InPlatform(ctx, OpReadPolicies, func(tx pgx.Tx) error {
		clear(out)
		rows, err := tx.Query(ctx, `select `+suppressionColumns+`, t.slug from suppressions s join tenants t on t.id = s.tenant_id
			where s.ended_at is null and s.valid_until > $1 order by s.tenant_id, s.id`, s.c.now().Add(-7*24*time.Hour))
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Suppression, error) {
			var slug string
			return scanSuppression(row, func(string) (tenant.ID, error) { return tenant.Parse(slug) }, &slug)
		})
		for _, x := range all {
			x.From, x.Until = x.From.UTC(), x.Until.UTC()
			out[x.Tenant] = append(out[x.Tenant], x.Suppression)
		}
		return err
	})
	return out, wrap(err, "read suppressions in force")
}

// HiddenAlert is one that a suppression kept from being an alert.
type HiddenAlert struct {
	Alert       alert.Alert
	Suppression string
}

// Hide stores what suppressions hid, each (suppression, alert) once, in its
// newest revision. One whose suppression is unknown is left out: it was
// removed with its tenant.
func (s *Suppressions) Hide(ctx context.Context, id tenant.ID, hidden []HiddenAlert) error {
	err := s.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		var b pgx.Batch
		for _, h := range hidden {
			if _, err := uuid.Parse(h.Suppression); err != nil || h.Alert.Tenant != id {
				return invalid("hidden alert %s does not belong to a suppression of %s", h.Alert.ID, id)
			}
			h.Alert.Plots, h.Alert.Kept = nil, nil
			doc, err := json.Marshal(&h.Alert)
			if err != nil {
				return err
			}
			b.Queue(`insert into hidden_alerts as h (suppression_id, alert_id, revision, raised_at, title, entity_id, document)
				select s.id, $2, $3, $4, $5, $6, $7 from suppressions s where s.id = $1
				on conflict (tenant_id, suppression_id, alert_id) do update set revision = excluded.revision, raised_at = excluded.raised_at,
				title = excluded.title, document = excluded.document where excluded.revision > h.revision`,
				h.Suppression, cut(h.Alert.ID, 128), int64(h.Alert.Revision), h.Alert.RaisedAt, cut(h.Alert.Title, 2048), cut(h.Alert.Entity.ID, 2048), string(doc))
		}
		return tx.SendBatch(ctx, &b).Close()
	})
	return wrap(err, "store %d hidden alerts of %s", len(hidden), id)
}

// Hidden reads what suppressions of the tenants in scope hid, newest first:
// those of one suppression, or of all when suppressionID is empty, that hold
// text in title or entity.
func (s *Suppressions) Hidden(ctx context.Context, scope []tenant.ID, suppressionID, text string, limit int) (out []HiddenAlert, err error) {
	if suppressionID != "" {
		if _, err := uuid.Parse(suppressionID); err != nil {
			return nil, wrap(ErrNotFound, "suppression")
		}
	}
	if len(scope) == 0 {
		return nil, nil
	}
	err = s.c.InGranted(ctx, scope, func(tx pgx.Tx) error {
		if suppressionID != "" {
			var there bool
			if err := tx.QueryRow(ctx, `select true from suppressions where id = $1`, suppressionID).Scan(&there); err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, `select suppression_id::text, document from hidden_alerts where ($1 = '' or suppression_id = nullif($1, '')::uuid)
			and ($2 = '' or position(lower($2) in lower(title || E'\n' || entity_id)) > 0) order by raised_at desc, alert_id limit $3`,
			suppressionID, cut(text, 1024), clampLimit(limit))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (HiddenAlert, error) {
			var h HiddenAlert
			var doc []byte
			if err := row.Scan(&h.Suppression, &doc); err != nil {
				return h, err
			}
			err := json.Unmarshal(doc, &h.Alert)
			if err == nil && !slices.Contains(scope, h.Alert.Tenant) {
				err = errForeignRow
			}
			return h, err
		})
		return err
	})
	if err != nil {
		out = nil
	}
	return out, wrap(err, "alerts hidden by suppressions")
}
