package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"

	"github.com/gin-gonic/gin"
)

const sessionTenants = 500 // named in a session; /tenants pages through all

// CreateSession signs in.
func (h *handlers) CreateSession(ctx context.Context, r rest.CreateSessionRequestObject) (rest.CreateSessionResponseObject, error) {
	ctx, k := callOf(ctx)
	c := k.gin
	in := Credentials{Email: r.Body.Email, Password: r.Body.Password, Address: c.ClientIP(), UserAgent: c.Request.UserAgent()}
	if r.Body.Code != nil {
		in.Code = *r.Body.Code
	}
	token, signedIn, err := h.s.opts.Auth.SignIn(ctx, in)
	if err != nil {
		return nil, h.s.signInProblem(err)
	}
	body, err := h.session(ctx, signedIn)
	if err != nil {
		return nil, errors.Join(err, h.s.opts.Auth.SignOut(ctx, token))
	}
	h.s.setCookie(c, token, int(signedIn.ExpiresAt.Sub(h.s.now()).Seconds()))
	return rest.CreateSession200JSONResponse(body), nil
}

func (s *Server) setCookie(c *gin.Context, value string, maxAge int) {
	http.SetCookie(c.Writer, &http.Cookie{Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, // #nosec G124 -- Secure follows the connection: loopback has no TLS
		Secure: c.Request.TLS != nil || s.opts.SecureCookies, SameSite: http.SameSiteLaxMode})
}

// GetSession says who asks.
func (h *handlers) GetSession(ctx context.Context, _ rest.GetSessionRequestObject) (rest.GetSessionResponseObject, error) {
	ctx, k := callOf(ctx)
	body, err := h.session(ctx, k.session)
	if err != nil {
		return nil, err
	}
	return rest.GetSession200JSONResponse(body), nil
}

// DeleteSession signs out.
func (h *handlers) DeleteSession(ctx context.Context, _ rest.DeleteSessionRequestObject) (rest.DeleteSessionResponseObject, error) {
	ctx, k := callOf(ctx)
	if k.token == "" {
		return nil, newProblem(kindBadRequest, "An API token has no session to end; revoke the key instead.")
	}
	if err := h.s.opts.Auth.SignOut(ctx, k.token); err != nil {
		return nil, err
	}
	h.s.setCookie(k.gin, "", -1)
	return rest.DeleteSession204Response{}, nil
}

func (h *handlers) session(ctx context.Context, in SignedIn) (rest.Session, error) {
	p := in.Principal
	out := rest.Session{Csrf: in.CSRF, SecondFactor: &in.TOTP, MustChangePassword: &p.MustChange, ExpiresAt: ptr(in.ExpiresAt), MultiTenant: !p.Single(), Permissions: []string{}, Tenants: []rest.TenantName{},
		User: rest.SessionUser{Id: p.ID, Email: p.Email, Name: p.Name, Role: rest.Role(p.Role)}}
	if p.View != nil {
		out.ViewAs = &rest.View{TenantId: p.Tenant.String(), OwnRole: rest.Role(p.View.Role), Reason: p.View.Reason, Since: p.View.Since.UTC()}
	}
	for _, row := range access.Table() {
		if row.Role != p.Role {
			continue
		}
		for _, perm := range row.Permissions {
			if p.Can(perm) {
				out.Permissions = append(out.Permissions, string(perm))
			}
		}
	}
	ids := slices.SortedFunc(slices.Values(p.Tenants), compareTenants)
	if len(ids) > sessionTenants {
		ids = ids[:sessionTenants]
	}
	if len(ids) == 0 {
		return out, nil
	}
	infos, err := h.s.opts.Tenants.List(ctx, ids)
	if err != nil {
		return rest.Session{}, err
	}
	slices.SortFunc(infos, func(a, b TenantInfo) int { return compareTenants(a.ID, b.ID) })
	for _, t := range infos {
		out.Tenants = append(out.Tenants, rest.TenantName{Id: t.ID.String(), Name: t.Name})
	}
	return out, nil
}

func compareTenants(a, b tenant.ID) int {
	switch {
	case a.String() < b.String():
		return -1
	case a.String() > b.String():
		return 1
	}
	return 0
}
