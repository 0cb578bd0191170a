package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

type worldAuth world

func (w *worldAuth) SignIn(_ context.Context, c Credentials) (string, SignedIn, error) {
	name, _, _ := strings.Cut(c.Email, "@")
	p, ok := w.sessions["cookie-"+name]
	if !ok || c.Password != "right" {
		return "", SignedIn{}, fmt.Errorf("sign in: %w", ErrUnauthorized)
	}
	if name == "factor" && c.Code == "" {
		return "", SignedIn{}, ErrTOTPRequired
	}
	if name == "factor" && c.Code != "123456" {
		return "", SignedIn{}, ErrUnauthorized
	}
	return "cookie-" + name, SignedIn{Principal: p, CSRF: "csrf-cookie-" + name, ExpiresAt: w.now.Add(time.Hour)}, nil
}

func (w *worldAuth) Session(_ context.Context, token string) (SignedIn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.sessions[token]
	if !ok {
		return SignedIn{}, ErrUnauthorized
	}
	return SignedIn{Principal: p, CSRF: "csrf-" + token, ExpiresAt: w.now.Add(time.Hour)}, nil
}

func (w *worldAuth) SignOut(_ context.Context, token string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.sessions, token)
	return nil
}

func (w *worldAuth) Token(_ context.Context, bearer string) (access.Principal, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.tokens[bearer]
	if !ok {
		return p, ErrUnauthorized
	}
	return p, nil
}

type worldAlerts world

// latest are the newest revisions in the scope, newest raised first.
func (w *worldAlerts) latest(scope []tenant.ID) (out []StoredAlert) {
	for _, a := range w.alerts {
		if !slices.Contains(scope, a.Tenant) {
			continue
		}
		out = slices.DeleteFunc(out, func(b StoredAlert) bool { return a.ID == b.ID })
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b StoredAlert) int { return cmp.Or(b.RaisedAt.Compare(a.RaisedAt), cmp.Compare(b.ID, a.ID)) })
	return out
}

func (w *worldAlerts) List(_ context.Context, scope []tenant.ID, f AlertFilter, after *AlertPosition, limit int) (AlertList, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := slices.DeleteFunc(w.latest(scope), func(a StoredAlert) bool {
		return len(f.Severity) > 0 && !slices.Contains(f.Severity, a.Severity) || len(f.Status) > 0 && !slices.Contains(f.Status, a.Triage.Status) ||
			!strings.Contains(strings.ToLower(a.Title), strings.ToLower(f.Text)) || a.State == alert.Retracted && !f.Retracted
	})
	page := AlertList{Total: int64(len(all))}
	for i, a := range all {
		if after != nil && !(a.RaisedAt.Before(after.RaisedAt) || a.RaisedAt.Equal(after.RaisedAt) && a.ID < after.ID) {
			continue
		}
		page.Items = append(page.Items, a)
		if len(page.Items) == limit {
			if i < len(all)-1 {
				page.Next = &AlertPosition{a.RaisedAt, a.ID, a.Tenant}
			}
			break
		}
	}
	return page, nil
}

func (w *worldAlerts) Get(_ context.Context, scope []tenant.ID, id string) (StoredAlert, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.latest(scope) {
		if a.ID == id {
			return a, nil
		}
	}
	return StoredAlert{}, fmt.Errorf("alert: %w", ErrNotFound)
}

func (w *worldAlerts) SetTriage(_ context.Context, id tenant.ID, _ access.Actor, alertID string, ch TriageChange) (TriageState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.alerts {
		a := &w.alerts[i]
		if a.Tenant != id || a.ID != alertID {
			continue
		}
		t := &a.Triage
		if ch.Version != 0 && ch.Version != t.Version {
			return *t, ErrConflict
		}
		for from, to := range map[*string]*string{ch.Status: &t.Status, ch.Verdict: &t.Verdict, ch.Assignee: &t.Assignee} {
			if from != nil {
				*to = *from
			}
		}
		t.Version++
		t.UpdatedAt = w.now
		return *t, nil
	}
	return TriageState{}, ErrNotFound
}

func (w *worldAlerts) After(_ context.Context, id tenant.ID, seq uint64, limit int) (out []alert.Alert, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.alerts {
		if a.Tenant == id && a.Seq > seq && len(out) < limit {
			out = append(out, a.Alert)
		}
	}
	return out, nil
}

func (w *worldAlerts) Heads(_ context.Context, scope []tenant.ID) (map[tenant.ID]uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	heads := map[tenant.ID]uint64{}
	for _, a := range w.alerts {
		if slices.Contains(scope, a.Tenant) {
			heads[a.Tenant] = max(heads[a.Tenant], a.Seq)
		}
	}
	return heads, nil
}

func (w *worldAlerts) Open(_ context.Context, scope []tenant.ID) (map[alert.Severity]int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[alert.Severity]int64{}
	for _, a := range w.latest(scope) {
		if a.Triage.Status != "closed" && a.State != alert.Retracted {
			out[a.Severity]++
		}
	}
	return out, nil
}

func (w *worldAlerts) RaisedIn(_ context.Context, id tenant.ID, from, to time.Time) (n int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.latest([]tenant.ID{id}) {
		if !a.RaisedAt.Before(from) && a.RaisedAt.Before(to) {
			n++
		}
	}
	return n, nil
}

func (w *worldAlerts) Subscribe(ctx context.Context) <-chan Growth {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := make(chan Growth)
	w.subs[ch] = ctx
	go func() {
		<-ctx.Done()
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subs, ch)
		close(ch)
	}()
	return ch
}

// raise stores a revision and announces it.
func (w *world) raise(a alert.Alert) {
	w.mu.Lock()
	w.alerts = append(w.alerts, StoredAlert{Alert: a, Triage: TriageState{Status: "new", Version: 1}})
	subs := make(map[chan Growth]context.Context, len(w.subs))
	for ch, ctx := range w.subs {
		subs[ch] = ctx
		defer func() {
			select {
			case ch <- Growth{a.Tenant, a.Seq}:
			case <-ctx.Done():
			}
		}()
	}
	w.mu.Unlock()
}

type worldEvents world

func (w *worldEvents) Search(_ context.Context, id tenant.ID, s EventSearch) (EventResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		if w.brokenAt--; w.brokenAt < 0 {
			return EventResult{}, w.broken
		}
	}
	all := slices.Clone(w.events[id])
	if !s.Ascending {
		slices.Reverse(all)
	}
	var r EventResult
	for i, e := range all {
		if a := s.After; a != nil && (s.Ascending && e.Time <= a.Time || !s.Ascending && e.Time >= a.Time) {
			continue
		}
		r.Events = append(r.Events, e)
		if len(r.Events) == s.Limit {
			if i < len(all)-1 {
				r.Next = &EventPosition{e.Time, e.ID}
			}
			break
		}
	}
	return r, nil
}

// Each breaks in the middle when it is to break at a later search.
func (w *worldEvents) Each(_ context.Context, id tenant.ID, s EventSearch, fn func(*event.Event) error) error {
	all := w.events[id]
	for i := range all {
		if s.After != nil && all[i].Time <= s.After.Time {
			continue
		}
		if w.broken != nil && i == len(all)/2 {
			return w.broken
		}
		if err := fn(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *worldEvents) Count(_ context.Context, id tenant.ID, _ EventScope) (uint64, error) {
	return uint64(len(w.events[id])), nil
}

func (w *worldEvents) ByID(_ context.Context, id tenant.ID, ids []string) (out []event.Event, err error) {
	for _, want := range ids {
		for i, e := range w.events[id] {
			if i == 0 && want == map[tenant.ID]string{alpha: alphaID, beta: betaID}[id] {
				e.ID = want // the isolation matrix asks for it
			}
			if e.ID == want {
				out = append(out, e)
			}
		}
	}
	return out, nil
}

func (w *worldEvents) Histogram(_ context.Context, id tenant.ID, _ HistogramRequest) (HistogramResult, error) {
	if len(w.events[id]) == 0 {
		return HistogramResult{Step: time.Minute}, nil
	}
	return HistogramResult{From: day, To: day.Add(time.Minute), Step: time.Minute, Buckets: []HistogramBucket{{day, map[tenant.ID]uint64{alpha: 3, beta: 7777777}[id], 1}}}, nil
}

func (w *worldEvents) Facets(_ context.Context, id tenant.ID, r FacetRequest) ([]FacetCount, error) {
	if len(w.events[id]) == 0 {
		return nil, nil
	}
	v := w.events[id][0].Actor
	if r.Field.Type == query.TypeLabels {
		v = w.events[id][0].Label(r.Key)
	}
	return []FacetCount{{v, uint64(len(w.events[id]))}}, nil
}

func (w *worldEvents) Activity(_ context.Context, id tenant.ID) (Activity, error) {
	n := len(w.events[id])
	if n == 0 {
		return Activity{}, nil
	}
	return Activity{w.events[id][n-1].At(), uint64(n), uint64(n)}, nil
}

func (w *worldEvents) Quarantine(_ context.Context, id tenant.ID, _ LineScope, after *QuarantinePosition, _ int) (QuarantineResult, error) {
	if after != nil {
		return QuarantineResult{}, nil
	}
	return QuarantineResult{w.lines[id], &QuarantinePosition{day.UnixNano(), "x"}}, nil
}

func (w *worldEvents) Accounting(_ context.Context, id tenant.ID, _, _ time.Time) (Accounts, error) {
	return Accounts{Hours: []HourAccount{{Hour: day, Source: "CANARY-" + id.String(), Stored: 3, Live: 2, Expired: 1, Duplicates: 2, Quarantined: 1, Replayed: 1, Refused: 4}, {Hour: day, Source: "a"}},
		InFlight: map[string]uint64{"a": 5}, Waiting: w.now.Add(-2 * time.Second), NewestEvent: w.now.Add(-time.Minute), NewestArrival: w.now.Add(-time.Second)}, nil
}

type worldLines struct{ *world }

func (w worldLines) Groups(_ context.Context, id tenant.ID, s LineScope) (out []LineGroup, err error) {
	for _, l := range w.lines[id] {
		out = append(out, LineGroup{Pattern: l.Reason, Source: l.Source, Lines: 1, First: day, Last: day, Example: l.ID, Reason: l.Reason})
	}
	return out, nil
}

func (w worldLines) Line(_ context.Context, id tenant.ID, line string) (LineResult, error) {
	for i, l := range w.lines[id] {
		if i == 0 && line == map[tenant.ID]string{alpha: alphaID, beta: betaID}[id] {
			l.ID = line // the isolation matrix asks for it
		}
		if l.ID == line {
			return LineResult{Quarantined: l, ReplayedAt: day, Events: 1}, nil
		}
	}
	return LineResult{}, ErrNotFound
}

func (w worldLines) Replay(_ context.Context, by access.Actor, id tenant.ID, r Replay) (Replayed, error) {
	out := Replayed{}
	for _, l := range w.lines[id] {
		if len(r.IDs) == 0 || slices.Contains(r.IDs, l.ID) {
			out.Selected++
			out.Errors = append(out.Errors, ReplayError{l.ID, by.Name + " " + l.Reason})
		}
	}
	out.Failed = out.Selected
	return out, nil
}

type worldFindings world

func (w *worldFindings) List(_ context.Context, id tenant.ID, _, _ time.Time) ([]FindingCount, error) {
	return []FindingCount{{day.Add(time.Hour), "rate", 4, 1, 1, 1, 1}, {day, "rate", 2, 1, 1, 0, 0}, {day, "CANARY-" + id.String(), 3, 0, 0, 1, 2}}, nil
}

type worldTenants world

func (w *worldTenants) List(_ context.Context, ids []tenant.ID) (out []TenantInfo, err error) {
	for _, id := range ids {
		if t, ok := w.tenants[id]; ok {
			out = append(out, t)
		}
	}
	return out, nil
}

func (w *worldTenants) Create(_ context.Context, _ access.Actor, id tenant.ID, name string) (TenantInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	if _, ok := w.tenants[id]; ok {
		return TenantInfo{}, fmt.Errorf("tenant %s: %w", id, ErrExists)
	}
	w.tenants[id] = TenantInfo{ID: id, Name: name, State: "active", Placement: "pooled", Settings: tenant.DefaultSettings(), Version: 1, CreatedAt: w.now}
	return w.tenants[id], nil
}

// change applies one to a tenant as the store does, versions included.
func (w *worldTenants) change(id tenant.ID, version int, f func(*TenantInfo) error) (TenantInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	t, ok := w.tenants[id]
	if !ok {
		return t, fmt.Errorf("tenant %s: %w", id, ErrNotFound)
	}
	if version != 0 && version != t.Version {
		return t, fmt.Errorf("tenant %s: %w", id, ErrConflict)
	}
	if err := f(&t); err != nil {
		return t, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	t.Version++
	w.tenants[id] = t
	return t, nil
}

func (w *worldTenants) Rename(_ context.Context, _ access.Actor, id tenant.ID, name string, version int) (TenantInfo, error) {
	return w.change(id, version, func(t *TenantInfo) error { t.Name = name; return nil })
}

func (w *worldTenants) UpdateSettings(_ context.Context, _ access.Actor, id tenant.ID, p tenant.SettingsPatch, version int) (TenantInfo, error) {
	return w.change(id, version, func(t *TenantInfo) (err error) { t.Settings, err = t.Settings.Apply(p); return err })
}

func (w *worldTenants) state(id tenant.ID, state, reason string, until time.Time) (TenantInfo, error) {
	return w.change(id, 0, func(t *TenantInfo) error { t.State, t.Reason, t.DeleteAfter = state, reason, until; return nil })
}

func (w *worldTenants) Suspend(_ context.Context, _ access.Actor, id tenant.ID, reason string) (TenantInfo, error) {
	return w.state(id, "suspended", reason, time.Time{})
}

func (w *worldTenants) Resume(_ context.Context, _ access.Actor, id tenant.ID) (TenantInfo, error) {
	return w.state(id, "active", "", time.Time{})
}

func (w *worldTenants) Delete(_ context.Context, _ access.Actor, id tenant.ID, grace time.Duration, reason string) (TenantInfo, error) {
	return w.state(id, "deleting", reason, w.now.Add(grace))
}

func (w *worldTenants) Restore(_ context.Context, _ access.Actor, id tenant.ID) (TenantInfo, error) {
	return w.state(id, "active", "", time.Time{})
}

type worldKeys world

func (w *worldKeys) List(_ context.Context, scope []tenant.ID) ([]KeyInfo, error) {
	return slices.DeleteFunc(slices.Clone(w.keys), func(k KeyInfo) bool { return !slices.Contains(scope, k.Tenant) }), nil
}

func (w *worldKeys) Create(_ context.Context, _ access.Actor, id tenant.ID, n NewKey) (KeyInfo, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	k := KeyInfo{ID: fmt.Sprintf("key%d", w.calls), Tenant: id, Kind: n.Kind, Name: n.Name, Role: n.Role, CreatedAt: w.now.Add(time.Duration(w.calls)), ExpiresAt: n.ExpiresAt}
	w.keys = append(w.keys, k)
	return k, fmt.Sprintf("secret%d", w.calls), nil
}

func (w *worldKeys) Revoke(_ context.Context, _ access.Actor, id tenant.ID, keyID string) error {
	n := len(w.keys)
	w.keys = slices.DeleteFunc(w.keys, func(k KeyInfo) bool { return k.Tenant == id && k.ID == keyID })
	if len(w.keys) == n {
		return ErrNotFound
	}
	return nil
}

func (w *worldKeys) Rotate(_ context.Context, _ access.Actor, id tenant.ID, keyID string, _ time.Duration, _ time.Time) (KeyInfo, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.keys, func(k KeyInfo) bool { return k.Tenant == id && k.ID == keyID })
	if i < 0 {
		return KeyInfo{}, "", ErrNotFound
	}
	w.calls++
	k := w.keys[i]
	k.ID = fmt.Sprintf("key%d", w.calls)
	w.keys = append(w.keys, k)
	return k, "secret", nil
}

type worldWebhooks world

func (w *worldWebhooks) List(_ context.Context, scope []tenant.ID) ([]WebhookInfo, error) {
	return slices.DeleteFunc(slices.Clone(w.hooks), func(h WebhookInfo) bool { return !slices.Contains(scope, h.Tenant) }), nil
}

func (w *worldWebhooks) Create(_ context.Context, _ access.Actor, id tenant.ID, n NewWebhook) (WebhookInfo, string, error) {
	if strings.Contains(n.URL, "localhost") {
		return WebhookInfo{}, "", fmt.Errorf("create webhook: %w", fmt.Errorf("%w: the address is private", ErrInvalid))
	}
	w.calls++
	h := WebhookInfo{ID: fmt.Sprintf("hook%d", w.calls), Tenant: id, Name: n.Name, URL: n.URL, Kind: n.Kind, Status: "active", CreatedAt: w.now}
	w.hooks = append(w.hooks, h)
	return h, "whsec_x", nil
}

func (w *worldWebhooks) Delete(_ context.Context, _ access.Actor, id tenant.ID, hookID string) error {
	n := len(w.hooks)
	w.hooks = slices.DeleteFunc(w.hooks, func(h WebhookInfo) bool { return h.Tenant == id && h.ID == hookID })
	if len(w.hooks) == n {
		return ErrNotFound
	}
	return nil
}

func (w *worldWebhooks) Deliveries(_ context.Context, id tenant.ID, hookID string, before uint64, limit int) (out []DeliveryInfo, err error) {
	if !slices.ContainsFunc(w.hooks, func(h WebhookInfo) bool { return h.Tenant == id && h.ID == hookID }) {
		return nil, ErrNotFound
	}
	for seq := uint64(3); seq > 0 && len(out) < limit; seq-- {
		if before == 0 || seq < before {
			out = append(out, DeliveryInfo{Seq: seq, AlertID: "CANARY-" + id.String(), Revision: 1, State: "delivered", Attempts: 1, CreatedAt: day, FinishedAt: day, LastStatus: 204})
		}
	}
	return out, nil
}

var errBroken = errors.New("the disk is on fire at 10.0.0.1")

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type worldTrail world

func (w *worldTrail) List(_ context.Context, id tenant.ID, before string, limit int) (out []TrailEntry, err error) {
	for _, n := range []string{"3", "2", "1"} {
		if (before == "" || n < before) && len(out) < limit {
			out = append(out, TrailEntry{ID: n, Time: day, Tenant: id, Actor: access.Actor{Kind: access.KindUser, ID: "u", Name: "u"}, Action: "key.create", Target: "CANARY-" + id.String(), Detail: []byte(`{"n":1}`)})
		}
	}
	return out, nil
}

func (w *worldTrail) Note(_ context.Context, by access.Principal, ids []tenant.ID, n Noted) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(ids) == 0 {
		ids = []tenant.ID{{}}
	}
	for _, id := range ids {
		w.noted = append(w.noted, noted{by.ID, id, n})
	}
	return w.trailErr
}

type worldBacktests world

func (w *worldBacktests) List(_ context.Context, scope []tenant.ID) ([]BacktestInfo, error) {
	return slices.DeleteFunc(slices.Clone(w.backtests), func(b BacktestInfo) bool { return !slices.Contains(scope, b.Tenant) }), nil
}

func (w *worldBacktests) Get(ctx context.Context, scope []tenant.ID, id string) (BacktestInfo, error) {
	list, _ := w.List(ctx, scope)
	for _, b := range list {
		if b.ID == id {
			return b, nil
		}
	}
	return BacktestInfo{}, ErrNotFound
}

func (w *worldBacktests) Create(_ context.Context, by access.Actor, id tenant.ID, n NewBacktest) (BacktestInfo, error) {
	b := BacktestInfo{ID: noID, Tenant: id, Name: n.Name, From: n.From, To: n.To, Labels: []string{"current"}, Status: "queued", CreatedBy: by.Name, CreatedAt: day}
	for _, v := range n.Variants {
		b.Labels = append(b.Labels, v.Label)
	}
	w.backtests = append(w.backtests, b)
	return b, nil
}

func (w *worldBacktests) Delete(_ context.Context, _ access.Actor, id tenant.ID, backtestID string) error {
	n := len(w.backtests)
	w.backtests = slices.DeleteFunc(w.backtests, func(b BacktestInfo) bool { return b.Tenant == id && b.ID == backtestID })
	if len(w.backtests) == n {
		return ErrNotFound
	}
	return nil
}
