package core

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// Status says where the work on an alert stands.
type Status string

// The statuses.
const (
	New        Status = "new"
	InProgress Status = "in_progress"
	Closed     Status = "closed"
)

// Verdict says what an alert turned out to be; empty while nobody knows.
type Verdict string

// The verdicts.
const (
	TruePositive  Verdict = "true_positive"
	Benign        Verdict = "benign"
	FalsePositive Verdict = "false_positive"
	Duplicate     Verdict = "duplicate"
)

// Link is an address somebody attached to an alert, e.g. a ticket.
type Link struct {
	URL   string `json:"url"`
	Title string `json:"title,omitempty"`
}

// Triage is people's work on an alert.
type Triage struct {
	Status    Status
	Verdict   Verdict // empty: none
	Assignee  string  // empty: nobody
	Tags      []string
	Links     []Link
	Severity  alert.Severity // set by people in place of the detectors'; empty: not
	Version   int            // counts changes from 1, for If-Match
	UpdatedAt time.Time      // zero while nobody has touched it
	// AcknowledgedAt is when somebody first took it up, ClosedAt when it was
	// closed last; zero: not (any longer).
	AcknowledgedAt, ClosedAt time.Time
}

// TriageChange sets the fields that are not nil.
type TriageChange struct {
	Status   *Status
	Verdict  *Verdict        // "" takes the verdict back
	Assignee *string         // "" takes the assignee away
	Severity *alert.Severity // "" gives the detectors' back
	Tags     *[]string       // all of them
	AddTags  []string
	DropTags []string
	Links    *[]Link // all of them
	Comment  string  // kept with the change; alone it is a change too
	// Version is the one that was read; 0 changes whatever there is.
	Version int

	batch  string // of a bulk action
	undoes int    // the version taken back
}

// TriageEntry is one change of the past.
type TriageEntry struct {
	Version  int
	At       time.Time
	Actor    access.Actor
	Comment  string
	Batch    string // of the bulk action it was part of; empty: none
	Undoes   int    // the version it took back; 0: none
	From, To Triage // Status, Verdict, Assignee, Tags, Links and Severity alone are set
}

// more is what a history row keeps beside its own columns.
type more struct {
	Tags     []string       `json:"tags,omitempty"`
	Links    []Link         `json:"links,omitempty"`
	Severity alert.Severity `json:"severity,omitempty"`
}

const (
	maxTags  = 50
	maxLinks = 50
)

var severities = []alert.Severity{alert.Informational, alert.Low, alert.Medium, alert.High, alert.Critical}

func (c TriageChange) check() error {
	if c.Status != nil && !slices.Contains([]Status{New, InProgress, Closed}, *c.Status) {
		return invalid("status %q: want new, in_progress or closed", *c.Status)
	}
	if c.Verdict != nil && !slices.Contains([]Verdict{"", TruePositive, Benign, FalsePositive, Duplicate}, *c.Verdict) {
		return invalid("verdict %q: want true_positive, benign, false_positive or duplicate", *c.Verdict)
	}
	if c.Assignee != nil && (len(*c.Assignee) > 254 || clean(*c.Assignee) != *c.Assignee) {
		return invalid("assignee: want at most 254 bytes of text")
	}
	if c.Severity != nil && *c.Severity != "" && !slices.Contains(severities, *c.Severity) {
		return invalid("severity %q: want informational, low, medium, high or critical", *c.Severity)
	}
	if len(c.Comment) > 8192 || clean(c.Comment) != c.Comment {
		return invalid("comment: want at most 8192 bytes of text")
	}
	tags := slices.Concat(c.AddTags, c.DropTags)
	if c.Tags != nil {
		tags = append(tags, *c.Tags...)
	}
	for _, t := range tags {
		if t == "" || len(t) > 64 || clean(t) != t || strings.TrimSpace(t) != t {
			return invalid("tag %q: want 1 to 64 bytes of text without blanks around it", cut(t, 70))
		}
	}
	if c.Links == nil {
		return nil
	}
	if len(*c.Links) > maxLinks {
		return invalid("%d links: at most %d", len(*c.Links), maxLinks)
	}
	for _, l := range *c.Links {
		u, err := url.Parse(l.URL)
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || len(l.URL) > 2048 || clean(l.URL) != l.URL {
			return invalid("link %q: want an http or https address without a user name", cut(l.URL, 100))
		}
		if len(l.Title) > 200 || clean(l.Title) != l.Title {
			return invalid("a link's title: want at most 200 bytes of text")
		}
	}
	return nil
}

// apply is the triage after the change; changed says whether it differs.
func (c TriageChange) apply(from Triage) (to Triage, changed bool, err error) {
	to = from
	if c.Status != nil {
		to.Status = *c.Status
	}
	if c.Verdict != nil {
		to.Verdict = *c.Verdict
	}
	if c.Assignee != nil {
		to.Assignee = *c.Assignee
	}
	if c.Severity != nil {
		to.Severity = *c.Severity
	}
	if c.Tags != nil {
		to.Tags = *c.Tags
	}
	to.Tags = slices.DeleteFunc(slices.Concat(to.Tags, c.AddTags), func(t string) bool { return slices.Contains(c.DropTags, t) })
	slices.Sort(to.Tags)
	to.Tags = slices.Compact(to.Tags)
	if len(to.Tags) > maxTags {
		return to, false, invalid("%d tags: at most %d", len(to.Tags), maxTags)
	}
	if c.Links != nil {
		to.Links = *c.Links
	}
	changed = to.Status != from.Status || to.Verdict != from.Verdict || to.Assignee != from.Assignee || to.Severity != from.Severity ||
		!slices.Equal(to.Tags, from.Tags) || !slices.Equal(to.Links, from.Links)
	return to, changed || c.Comment != "", nil
}

const triageColumns = `status, coalesce(verdict, ''), coalesce(assignee, ''), tags, links, coalesce(severity_override, ''), triage_version,
	triaged_at, acknowledged_at, closed_at`

// scanTriage gives the places for triageColumns and what to do afterwards.
func scanTriage(t *Triage) (into []any, done func() error) {
	var links []byte
	var touched, acked, closed *time.Time
	return []any{&t.Status, &t.Verdict, &t.Assignee, &t.Tags, &links, &t.Severity, &t.Version, &touched, &acked, &closed}, func() error {
		t.UpdatedAt, t.AcknowledgedAt, t.ClosedAt = orZero(touched), orZero(acked), orZero(closed)
		if len(t.Tags) == 0 {
			t.Tags = nil
		}
		if err := json.Unmarshal(links, &t.Links); err != nil || len(t.Links) == 0 {
			t.Links = nil
			return err
		}
		return nil
	}
}

// SetTriage changes the triage of one alert and keeps what it was. ErrConflict
// when Version is no longer the current one, ErrNotFound when the tenant has
// no such alert. A change that changes nothing is none.
func (a *Alerts) SetTriage(ctx context.Context, id tenant.ID, by access.Actor, alertID string, ch TriageChange) (to Triage, err error) {
	if err := ch.check(); err != nil {
		return Triage{}, err
	}
	err = a.c.InTenant(ctx, id, func(tx pgx.Tx) error {
		from, err := a.lockTriage(ctx, tx, alertID)
		if err == nil {
			to, err = a.setTriage(ctx, tx, by, alertID, from, ch)
		}
		return err
	})
	return to, wrap(err, "triage of alert %s", cut(alertID, 128))
}

func (a *Alerts) lockTriage(ctx context.Context, tx pgx.Tx, alertID string) (t Triage, err error) {
	into, done := scanTriage(&t)
	if err := tx.QueryRow(ctx, `select `+triageColumns+` from alerts where id = $1 for update`, cut(alertID, 256)).Scan(into...); err != nil {
		return t, err
	}
	return t, done()
}

// setTriage is one change within a transaction that has locked the alert.
func (a *Alerts) setTriage(ctx context.Context, tx pgx.Tx, by access.Actor, alertID string, from Triage, ch TriageChange) (Triage, error) {
	if ch.Version != 0 && ch.Version != from.Version {
		return from, ErrConflict
	}
	to, changed, err := ch.apply(from)
	if err != nil || !changed {
		return from, err
	}
	to.Version++
	fromMore, err1 := json.Marshal(more{from.Tags, from.Links, from.Severity})
	toMore, err2 := json.Marshal(more{to.Tags, to.Links, to.Severity})
	links, err3 := json.Marshal(append([]Link{}, to.Links...))
	if err := errors.Join(err1, err2, err3); err != nil {
		return from, err
	}
	into, done := scanTriage(&to)
	// The clocks of service levels: acknowledged once and for all, closed as
	// long as it stays so.
	if err := tx.QueryRow(ctx, `update alerts set status = $2, verdict = nullif($3, ''), assignee = nullif($4, ''), tags = $5, links = $6,
		severity_override = nullif($7, ''), triage_version = $8, triaged_at = now(),
		acknowledged_at = case when $2 <> 'new' then coalesce(acknowledged_at, now()) else acknowledged_at end,
		closed_at = case when $2 <> 'closed' then null when status = 'closed' then closed_at else now() end
		where id = $1 returning `+triageColumns, alertID, string(to.Status), string(to.Verdict), to.Assignee, append([]string{}, to.Tags...),
		string(links), string(to.Severity), to.Version).Scan(into...); err != nil {
		return from, err
	}
	if err := done(); err != nil {
		return from, err
	}
	if _, err := tx.Exec(ctx, `insert into alert_history (alert_id, version, actor_kind, actor_id, actor_name,
		from_status, to_status, from_verdict, to_verdict, from_assignee, to_assignee, comment, from_more, to_more, batch, undoes)
		values ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''), nullif($9, ''), nullif($10, ''), nullif($11, ''), $12, $13, $14, nullif($15, '')::uuid, nullif($16, 0))`,
		alertID, to.Version, string(by.Kind), clean(by.ID), clean(by.Name), string(from.Status), string(to.Status),
		string(from.Verdict), string(to.Verdict), from.Assignee, to.Assignee, ch.Comment, string(fromMore), string(toMore), ch.batch, ch.undoes); err != nil {
		return from, err
	}
	return to, audit(ctx, tx, by, "alert.triage", alertID,
		map[string]any{"status": to.Status, "verdict": to.Verdict, "assignee": to.Assignee, "commented": ch.Comment != "", "undoes": ch.undoes})
}

// History reads the changes of one alert's triage, oldest first.
func (a *Alerts) History(ctx context.Context, id tenant.ID, alertID string) (out []TriageEntry, err error) {
	whose, err := a.c.owners(ctx, []tenant.ID{id})
	if err != nil {
		return nil, wrap(err, "history of alert %s", cut(alertID, 128))
	}
	err = a.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, version, at, actor_kind, actor_id, actor_name, from_status, to_status,
			coalesce(from_verdict, ''), coalesce(to_verdict, ''), coalesce(from_assignee, ''), coalesce(to_assignee, ''),
			comment, from_more, to_more, coalesce(batch::text, ''), coalesce(undoes, 0) from alert_history where alert_id = $1 order by version`, cut(alertID, 256))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (TriageEntry, error) {
			var e TriageEntry
			var owner string
			var fromMore, toMore []byte
			err := row.Scan(&owner, &e.Version, &e.At, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.From.Status, &e.To.Status,
				&e.From.Verdict, &e.To.Verdict, &e.From.Assignee, &e.To.Assignee, &e.Comment, &fromMore, &toMore, &e.Batch, &e.Undoes)
			if err == nil {
				_, err = whose.of(owner)
			}
			var m more
			for into, doc := range map[*Triage][]byte{&e.From: fromMore, &e.To: toMore} {
				if err == nil {
					m = more{}
					err = json.Unmarshal(doc, &m)
					into.Tags, into.Links, into.Severity = m.Tags, m.Links, m.Severity
				}
			}
			return e, err
		})
		return err
	})
	if err != nil {
		out = nil
	}
	return out, wrap(err, "history of alert %s", cut(alertID, 128))
}
