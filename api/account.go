package api

import (
	"context"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Enrolment is what an authenticator app is set up with.
type Enrolment struct{ Secret, URI, QR string }

// SessionInfo is one session of somebody.
type SessionInfo struct {
	ID, Method, Address, UserAgent string
	CreatedAt, SeenAt, ExpiresAt   time.Time
	Current                        bool
}

// Account is what people do about their own way in. Principals without a
// session get ErrInvalid.
type Account interface {
	// ChangePassword is ErrUnauthorized when old is wrong.
	ChangePassword(ctx context.Context, p access.Principal, token, old, fresh string) error
	BeginTOTP(ctx context.Context, p access.Principal, password string) (Enrolment, error)
	ConfirmTOTP(ctx context.Context, p access.Principal, token, code string) (recovery []string, err error)
	RemoveTOTP(ctx context.Context, p access.Principal, password, code string) error
	Sessions(ctx context.Context, p access.Principal, token string) ([]SessionInfo, error)
	EndSession(ctx context.Context, p access.Principal, id string) error
	EndSessions(ctx context.Context, p access.Principal) error
	ViewAs(ctx context.Context, p access.Principal, token string, id tenant.ID, role access.Role, reason string) error
	EndView(ctx context.Context, p access.Principal, token string) error
}

// mine are the operations that somebody may use whose password has to be
// changed first.
var mine = map[string]bool{"getSession": true, "deleteSession": true, "deleteSessions": true, "changePassword": true}

// wrongAgain is what a wrong password or code of somebody signed in is: no
// reason to take them for signed out.
func (s *Server) wrongAgain(err error, field string) error {
	if err == nil {
		return nil
	}
	if p, _ := s.toProblem(err); p.kind == kindUnauthenticated {
		return badField(field, "is wrong, or the account is locked for a while")
	}
	return err
}

func (k *call) signedIn() error {
	if k.token == "" {
		return newProblem(kindBadRequest, "This is for people who are signed in: an API token has no password and no sessions.")
	}
	return nil
}

// ChangePassword replaces one's own password.
func (h *handlers) ChangePassword(ctx context.Context, r rest.ChangePasswordRequestObject) (rest.ChangePasswordResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := k.signedIn(); err != nil {
		return nil, err
	}
	if err := h.s.opts.Account.ChangePassword(ctx, k.principal, k.token, r.Body.CurrentPassword, r.Body.NewPassword); err != nil {
		return nil, h.s.wrongAgain(err, "current_password")
	}
	return rest.ChangePassword204Response{}, nil
}

// BeginTotp makes the secret of a second factor.
func (h *handlers) BeginTotp(ctx context.Context, r rest.BeginTotpRequestObject) (rest.BeginTotpResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := k.signedIn(); err != nil {
		return nil, err
	}
	e, err := h.s.opts.Account.BeginTOTP(ctx, k.principal, r.Body.Password)
	if err != nil {
		return nil, h.s.wrongAgain(err, "password")
	}
	return rest.BeginTotp200JSONResponse{Secret: e.Secret, Uri: e.URI, Qr: e.QR}, nil
}

// ConfirmTotp turns the second factor on.
func (h *handlers) ConfirmTotp(ctx context.Context, r rest.ConfirmTotpRequestObject) (rest.ConfirmTotpResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := k.signedIn(); err != nil {
		return nil, err
	}
	codes, err := h.s.opts.Account.ConfirmTOTP(ctx, k.principal, k.token, r.Body.Code)
	if err != nil {
		return nil, h.s.wrongAgain(err, "code")
	}
	return rest.ConfirmTotp200JSONResponse{RecoveryCodes: codes}, nil
}

// RemoveTotp turns the second factor off.
func (h *handlers) RemoveTotp(ctx context.Context, r rest.RemoveTotpRequestObject) (rest.RemoveTotpResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := k.signedIn(); err != nil {
		return nil, err
	}
	if err := h.s.opts.Account.RemoveTOTP(ctx, k.principal, r.Body.Password, r.Body.Code); err != nil {
		return nil, h.s.wrongAgain(err, "code")
	}
	return rest.RemoveTotp204Response{}, nil
}

// ListSessions lists one's own sessions.
func (h *handlers) ListSessions(ctx context.Context, _ rest.ListSessionsRequestObject) (rest.ListSessionsResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := k.signedIn(); err != nil {
		return nil, err
	}
	list, err := h.s.opts.Account.Sessions(ctx, k.principal, k.token)
	if err != nil {
		return nil, err
	}
	out := rest.ListSessions200JSONResponse{Items: []rest.SessionInfo{}}
	for _, i := range list {
		out.Items = append(out.Items, rest.SessionInfo{Id: i.ID, Current: i.Current, Method: rest.SessionInfoMethod(i.Method), Address: i.Address,
			UserAgent: i.UserAgent, CreatedAt: i.CreatedAt.UTC(), SeenAt: i.SeenAt.UTC(), ExpiresAt: i.ExpiresAt.UTC()})
	}
	return out, nil
}

// DeleteSessions signs out everywhere.
func (h *handlers) DeleteSessions(ctx context.Context, _ rest.DeleteSessionsRequestObject) (rest.DeleteSessionsResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := k.signedIn(); err != nil {
		return nil, err
	}
	if err := h.s.opts.Account.EndSessions(ctx, k.principal); err != nil {
		return nil, err
	}
	h.s.setCookie(k.gin, "", -1)
	return rest.DeleteSessions204Response{}, nil
}

// EndSession ends one of one's own sessions.
func (h *handlers) EndSession(ctx context.Context, r rest.EndSessionRequestObject) (rest.EndSessionResponseObject, error) {
	ctx, k := callOf(ctx)
	if k.token == "" {
		return nil, notFound() // an API token has no sessions
	}
	if err := h.s.opts.Account.EndSession(ctx, k.principal, r.Id); err != nil {
		return nil, err
	}
	return rest.EndSession204Response{}, nil
}

// ViewAs steps into a tenant.
func (h *handlers) ViewAs(ctx context.Context, r rest.ViewAsRequestObject) (rest.ViewAsResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := k.signedIn(); err != nil {
		return nil, err
	}
	role := access.TenantAuditor
	if r.Body.Role != nil {
		role = access.Role(*r.Body.Role)
	}
	if err := h.s.opts.Account.ViewAs(ctx, k.principal, k.token, k.one, role, r.Body.Reason); err != nil {
		return nil, err
	}
	now, err := h.sessionNow(ctx, k)
	return rest.ViewAs200JSONResponse(now), err
}

// EndViewAs steps back out.
func (h *handlers) EndViewAs(ctx context.Context, _ rest.EndViewAsRequestObject) (rest.EndViewAsResponseObject, error) {
	ctx, k := callOf(ctx)
	if err := k.signedIn(); err != nil {
		return nil, err
	}
	if err := h.s.opts.Account.EndView(ctx, k.principal, k.token); err != nil {
		return nil, err
	}
	now, err := h.sessionNow(ctx, k)
	return rest.EndViewAs200JSONResponse(now), err
}

// sessionNow is the session after it changed.
func (h *handlers) sessionNow(ctx context.Context, k *call) (rest.Session, error) {
	s, err := h.s.opts.Auth.Session(ctx, k.token)
	if err != nil {
		return rest.Session{}, err
	}
	return h.session(ctx, s)
}

// signInProblem tells the second step of signing in from a wrong password.
func (s *Server) signInProblem(err error) error {
	p, _ := s.toProblem(err)
	switch p.kind {
	case kindTOTP:
		return p
	case kindUnauthenticated:
		return newProblem(kindUnauthenticated, "E-mail address, password or code are wrong, or the account is locked for a while.")
	}
	return err
}
