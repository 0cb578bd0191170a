package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/delivery"
	"github.com/tenantwatch/tenantwatch/core/federation"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// classify turns the stores' errors into the API's.
func classify(err error) error {
	if to := classifyTrust(err); to != nil {
		return to
	}
	for _, p := range []struct{ from, to error }{
		{core.ErrTOTPRequired, api.ErrTOTPRequired}, // before what it also is
		{core.ErrNotFound, api.ErrNotFound}, {core.ErrExists, api.ErrExists}, {core.ErrConflict, api.ErrConflict},
		{core.ErrUnauthorized, api.ErrUnauthorized}, {core.ErrSuspended, api.ErrSuspended}, {core.ErrInvalid, api.ErrInvalid},
		{eventstore.ErrField, api.ErrInvalid}, {eventstore.ErrNotReady, api.ErrUnavailable}, {eventstore.ErrBusy, api.ErrUnavailable},
	} {
		if errors.Is(err, p.from) {
			if err.Error() == p.from.Error() {
				return p.to
			}
			// The message is shown to people, once.
			return fmt.Errorf("%w: %s", p.to, strings.TrimPrefix(err.Error(), p.from.Error()+": "))
		}
	}
	return nil
}

// authStore is api.Auth on the core.
type authStore struct {
	c     *core.Core
	trust *federation.Set
}

func (s authStore) SignIn(ctx context.Context, c api.Credentials) (string, api.SignedIn, error) {
	sess, err := s.c.Identity.Login(ctx, core.LoginRequest{Email: c.Email, Password: core.Secret(c.Password), Code: c.Code, Address: c.Address, UserAgent: c.UserAgent})
	if err != nil {
		return "", api.SignedIn{}, err
	}
	return sess.Token.Reveal(), signedIn(sess), nil
}

func (s authStore) Session(ctx context.Context, token string) (api.SignedIn, error) {
	sess, err := s.c.Identity.SessionByToken(ctx, token)
	if err != nil {
		return api.SignedIn{}, err
	}
	return signedIn(sess), nil
}

func signedIn(s core.Session) api.SignedIn {
	return api.SignedIn{Principal: s.Principal, CSRF: s.CSRF, ExpiresAt: s.ExpiresAt, TOTP: s.TOTP}
}

func (s authStore) SignOut(ctx context.Context, token string) error {
	return s.c.Identity.Logout(ctx, token)
}

func (s authStore) Token(ctx context.Context, bearer string) (access.Principal, error) {
	if federation.LooksLikeToken(bearer) {
		return s.machine(ctx, bearer)
	}
	return s.c.Keys.ResolveToken(ctx, bearer)
}

// alertStore is api.Alerts on the core.
type alertStore struct{ a *core.Alerts }

func (s alertStore) List(ctx context.Context, scope []tenant.ID, f api.AlertFilter, after *api.AlertPosition, limit int) (api.AlertList, error) {
	cf := core.AlertFilter{Severity: f.Severity, Text: f.Text, Retracted: f.Retracted, EntityType: f.Entity.Type, EntityID: f.Entity.ID, From: f.From, To: f.To}
	for _, st := range f.Status {
		cf.Status = append(cf.Status, core.Status(st))
	}
	page, err := s.a.List(ctx, scope, cf, (*core.AlertPosition)(after), limit)
	if err != nil {
		return api.AlertList{}, err
	}
	out := api.AlertList{Next: (*api.AlertPosition)(page.Next), Total: page.Total}
	for _, it := range page.Items {
		out.Items = append(out.Items, api.StoredAlert{Alert: it.Alert, Triage: triageOf(it.Triage)})
	}
	return out, nil
}

func (s alertStore) Get(ctx context.Context, scope []tenant.ID, id string) (api.StoredAlert, error) {
	it, err := s.a.Get(ctx, scope, id)
	return api.StoredAlert{Alert: it.Alert, Triage: triageOf(it.Triage)}, err
}

func (s alertStore) SetTriage(ctx context.Context, id tenant.ID, by access.Actor, alertID string, ch api.TriageChange) (api.TriageState, error) {
	c := triageChange(ch)
	t, err := s.a.SetTriage(ctx, id, by, alertID, c)
	return triageOf(t), err
}

func (s alertStore) After(ctx context.Context, id tenant.ID, seq uint64, limit int) ([]alert.Alert, error) {
	revs, err := s.a.After(ctx, id, seq, limit)
	if err != nil {
		return nil, err
	}
	out := make([]alert.Alert, 0, len(revs))
	for _, r := range revs {
		al, err := r.Alert()
		if err != nil {
			return nil, err
		}
		al.Seq = r.Seq
		out = append(out, al)
	}
	return out, nil
}

func (s alertStore) Heads(ctx context.Context, scope []tenant.ID) (map[tenant.ID]uint64, error) {
	return s.a.Heads(ctx, scope)
}

func (s alertStore) Open(ctx context.Context, scope []tenant.ID) (map[alert.Severity]int64, error) {
	c, err := s.a.Counts(ctx, scope)
	return c.Open, err
}

func (s alertStore) RaisedIn(ctx context.Context, id tenant.ID, from, to time.Time) (int64, error) {
	m, err := s.a.RaisedIn(ctx, []tenant.ID{id}, from, to)
	return m[id], err
}

type subscriber interface {
	Subscribe(ctx context.Context) <-chan core.Notification
}

// alertStream adds the live feed to alertStore.
type alertStream struct {
	alertStore
	sub subscriber
}

func (s alertStream) Subscribe(ctx context.Context) <-chan api.Growth {
	in := s.sub.Subscribe(ctx)
	out := make(chan api.Growth)
	go func() {
		defer close(out)
		for n := range in { // closed when ctx is done
			select {
			case out <- api.Growth{Tenant: n.Tenant, Seq: n.Seq}:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

// findingStore is api.Findings on the core.
type findingStore struct{ f *core.Findings }

func (s findingStore) List(ctx context.Context, id tenant.ID, from, to time.Time) ([]api.FindingCount, error) {
	rows, err := s.f.List(ctx, []tenant.ID{id}, from, to)
	if err != nil {
		return nil, err
	}
	out := make([]api.FindingCount, 0, len(rows))
	for _, r := range rows {
		out = append(out, api.FindingCount{Hour: r.Hour, Detector: r.Detector, Findings: r.Findings, Alerted: r.Alerted, Folded: r.Folded, Suppressed: r.Suppressed, BelowBudget: r.BelowBudget})
	}
	return out, nil
}

// tenantStore is api.Tenants on the core.
type tenantStore struct{ t *core.Tenants }

func (s tenantStore) List(ctx context.Context, ids []tenant.ID) ([]api.TenantInfo, error) {
	rows, err := s.t.List(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]api.TenantInfo, 0, len(rows))
	for _, r := range rows {
		out = append(out, tenantInfo(r))
	}
	return out, nil
}

func (s tenantStore) Create(ctx context.Context, by access.Actor, id tenant.ID, name string) (api.TenantInfo, error) {
	r, err := s.t.Create(ctx, by, id, name)
	return tenantInfo(r), err
}

func tenantInfo(t core.Tenant) api.TenantInfo {
	return api.TenantInfo{ID: t.ID, Name: t.Name, State: string(t.State), Reason: t.Reason, DeleteAfter: t.DeleteAfter, Placement: t.Placement,
		Settings: t.Settings, Version: t.Version, CreatedAt: t.CreatedAt}
}

func (s tenantStore) Rename(ctx context.Context, by access.Actor, id tenant.ID, name string, version int) (api.TenantInfo, error) {
	t, err := s.t.Rename(ctx, by, id, name, version)
	return tenantInfo(t), err
}

func (s tenantStore) UpdateSettings(ctx context.Context, by access.Actor, id tenant.ID, patch tenant.SettingsPatch, version int) (api.TenantInfo, error) {
	t, err := s.t.UpdateSettings(ctx, by, id, patch, version)
	return tenantInfo(t), err
}

func (s tenantStore) Suspend(ctx context.Context, by access.Actor, id tenant.ID, reason string) (api.TenantInfo, error) {
	t, err := s.t.Suspend(ctx, by, id, reason)
	return tenantInfo(t), err
}

func (s tenantStore) Resume(ctx context.Context, by access.Actor, id tenant.ID) (api.TenantInfo, error) {
	t, err := s.t.Resume(ctx, by, id)
	return tenantInfo(t), err
}

func (s tenantStore) Delete(ctx context.Context, by access.Actor, id tenant.ID, grace time.Duration, reason string) (api.TenantInfo, error) {
	t, err := s.t.Delete(ctx, by, id, grace, reason)
	return tenantInfo(t), err
}

func (s tenantStore) Restore(ctx context.Context, by access.Actor, id tenant.ID) (api.TenantInfo, error) {
	t, err := s.t.Restore(ctx, by, id)
	return tenantInfo(t), err
}

// keyStore is api.Keys on the core.
type keyStore struct{ k *core.Keys }

func keyInfo(k core.Key) api.KeyInfo {
	return api.KeyInfo{ID: k.ID, Tenant: k.Tenant, Kind: string(k.Kind), Name: k.Name, Role: k.Role, CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt, Scopes: k.Scopes, ReplacedBy: k.ReplacedBy}
}

func (s keyStore) List(ctx context.Context, scope []tenant.ID) ([]api.KeyInfo, error) {
	rows, err := s.k.List(ctx, scope)
	if err != nil {
		return nil, err
	}
	out := make([]api.KeyInfo, 0, len(rows))
	for _, r := range rows {
		if r.RevokedAt.IsZero() {
			out = append(out, keyInfo(r))
		}
	}
	return out, nil
}

func (s keyStore) Create(ctx context.Context, by access.Actor, id tenant.ID, n api.NewKey) (api.KeyInfo, string, error) {
	k, secret, err := s.k.Create(ctx, by, id, core.NewKey{Kind: core.KeyKind(n.Kind), Name: n.Name, Role: n.Role, Scopes: n.Scopes, ExpiresAt: n.ExpiresAt})
	return keyInfo(k), secret.Reveal(), err
}

func (s keyStore) Revoke(ctx context.Context, by access.Actor, id tenant.ID, keyID string) error {
	return s.k.Revoke(ctx, by, id, keyID)
}

func (s keyStore) Rotate(ctx context.Context, by access.Actor, id tenant.ID, keyID string, overlap time.Duration, expires time.Time) (api.KeyInfo, string, error) {
	k, secret, err := s.k.Rotate(ctx, by, id, keyID, overlap, expires)
	return keyInfo(k), secret.Reveal(), err
}

// webhookStore is api.Webhooks on the core.
type webhookStore struct {
	w     *core.Webhooks
	audit *core.Audit
	test  *delivery.Tester
}

func webhookInfo(w core.Webhook) api.WebhookInfo {
	return api.WebhookInfo{ID: w.ID, Tenant: w.Tenant, Name: w.Name, URL: w.URL, Kind: w.Kind, Settings: w.Settings, MinSeverity: w.MinSeverity, Status: string(w.Status),
		CreatedAt: w.CreatedAt, Failures: w.Failures, FailingSince: w.FailingSince}
}

func (s webhookStore) List(ctx context.Context, scope []tenant.ID) ([]api.WebhookInfo, error) {
	rows, err := s.w.List(ctx, scope)
	if err != nil {
		return nil, err
	}
	out := make([]api.WebhookInfo, 0, len(rows))
	for _, r := range rows {
		out = append(out, webhookInfo(r))
	}
	return out, nil
}

func (s webhookStore) Create(ctx context.Context, by access.Actor, id tenant.ID, n api.NewWebhook) (api.WebhookInfo, string, error) {
	w, secret, err := s.w.CreateDestination(ctx, by, id, core.NewWebhook{Name: n.Name, URL: n.URL, Kind: n.Kind, Settings: n.Settings, Token: core.Secret(n.Token), MinSeverity: n.MinSeverity})
	return webhookInfo(w), secret.Reveal(), err
}

func (s webhookStore) Delete(ctx context.Context, by access.Actor, id tenant.ID, webhookID string) error {
	return s.w.Delete(ctx, by, id, webhookID)
}

func (s webhookStore) Deliveries(ctx context.Context, id tenant.ID, webhookID string, before uint64, limit int) ([]api.DeliveryInfo, error) {
	rows, err := s.w.Deliveries(ctx, id, webhookID, "", before, limit)
	if err != nil {
		return nil, err
	}
	out := make([]api.DeliveryInfo, 0, len(rows))
	for _, d := range rows {
		out = append(out, api.DeliveryInfo{Seq: d.Seq, AlertID: d.AlertID, Revision: d.Revision, State: string(d.State), Attempts: d.Attempts,
			CreatedAt: d.CreatedAt, FinishedAt: d.FinishedAt, LastStatus: d.LastStatus, LastError: d.LastError})
	}
	return out, nil
}
