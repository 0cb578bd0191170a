package api

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
)

// ProviderInfo is one way to sign in.
type ProviderInfo struct{ ID, Name string }

// SignInProviders are the OpenID Connect providers.
type SignInProviders interface {
	List() []ProviderInfo
	// Begin says where the browser goes; ErrNotFound for an unknown provider.
	Begin(ctx context.Context, provider, redirect, state, nonce, verifier string) (string, error)
	// Finish turns the answer's code into a session. What is refused is
	// ErrUnauthorized.
	Finish(ctx context.Context, provider, redirect, code, nonce, verifier, issuer string, c Credentials) (token string, s SignedIn, err error)
}

const (
	oidcCookie = "tw_signin"
	oidcTime   = 10 * time.Minute // to sign in at the provider
)

// attempt is what the browser that began holds until it comes back: signed,
// and readable by nobody but itself. State binds the answer to the browser,
// nonce the ID token to the attempt, verifier the code to the attempt.
type attempt struct {
	Provider string    `json:"p"`
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"`
	ReturnTo string    `json:"r"`
	Until    time.Time `json:"u"`
}

func unguessable() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// ListProviders says how one can sign in.
func (h *handlers) ListProviders(context.Context, rest.ListProvidersRequestObject) (rest.ListProvidersResponseObject, error) {
	out := rest.ListProviders200JSONResponse{Password: true, Providers: []rest.Provider{}}
	if h.s.opts.SignIn != nil {
		for _, p := range h.s.opts.SignIn.List() {
			out.Providers = append(out.Providers, rest.Provider{Id: p.ID, Name: p.Name, Url: "/api/v1/session/oidc/" + url.PathEscape(p.ID)})
		}
	}
	return out, nil
}

// redirectURL is where providers send browsers back to: registered there.
func (s *Server) redirectURL(c *gin.Context, provider string) string {
	base := strings.TrimRight(s.opts.PublicURL, "/")
	if base == "" {
		base = "http://" + c.Request.Host
		if c.Request.TLS != nil {
			base = "https://" + c.Request.Host
		}
	}
	return base + "/api/v1/session/oidc/" + url.PathEscape(provider) + "/callback"
}

// inside reports whether a path leads nowhere but into this site.
func inside(path string) bool {
	u, err := url.Parse(path)
	return err == nil && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.Contains(path, "\\") && u.Host == "" && u.Scheme == ""
}

func (s *Server) oidcCookie(c *gin.Context, value string, age time.Duration) {
	http.SetCookie(c.Writer, &http.Cookie{Name: oidcCookie, Value: value, Path: "/api/v1/session/oidc/", MaxAge: int(age.Seconds()), HttpOnly: true, // #nosec G124 -- as the session's
		Secure: c.Request.TLS != nil || s.opts.SecureCookies, SameSite: http.SameSiteLaxMode})
}

// StartOidc sends the browser to a provider.
func (h *handlers) StartOidc(ctx context.Context, r rest.StartOidcRequestObject) (rest.StartOidcResponseObject, error) {
	ctx, k := callOf(ctx)
	s := h.s
	if s.opts.SignIn == nil {
		return nil, notFound()
	}
	a := attempt{Provider: r.Provider, State: unguessable(), Nonce: unguessable(), Verifier: unguessable(), ReturnTo: "/", Until: s.now().Add(oidcTime)}
	if r.Params.ReturnTo != nil {
		if a.ReturnTo = *r.Params.ReturnTo; !inside(a.ReturnTo) {
			return nil, badField("return_to", "has to be a path of this site")
		}
	}
	to, err := s.opts.SignIn.Begin(ctx, r.Provider, s.redirectURL(k.gin, r.Provider), a.State, a.Nonce, a.Verifier)
	if err != nil {
		return nil, err
	}
	s.oidcCookie(k.gin, s.cursors.seal([]byte("sign-in attempt"), a), oidcTime)
	return rest.StartOidc302Response{Headers: rest.StartOidc302ResponseHeaders{Location: &to}}, nil
}

// FinishOidc is where the provider sends the browser back to.
func (h *handlers) FinishOidc(ctx context.Context, r rest.FinishOidcRequestObject) (rest.FinishOidcResponseObject, error) {
	ctx, k := callOf(ctx)
	c, s := k.gin, h.s
	if s.opts.SignIn == nil {
		return nil, notFound()
	}
	answer := func(to string) (rest.FinishOidcResponseObject, error) {
		s.oidcCookie(c, "", -time.Second)
		return rest.FinishOidc302Response{Headers: rest.FinishOidc302ResponseHeaders{Location: &to}}, nil
	}
	fail := func(why string, err error) (rest.FinishOidcResponseObject, error) {
		s.log.WarnContext(ctx, "sign-in with a provider failed", "provider", r.Provider, "why", why, "error", err, "request_id", requestID(c))
		return answer("/signin?error=" + why)
	}
	var a attempt
	cookie, err := c.Request.Cookie(oidcCookie)
	if err != nil || !s.cursors.open([]byte("sign-in attempt"), cookie.Value, &a) || a.Provider != r.Provider || !s.now().Before(a.Until) {
		return fail("expired", errors.New("this browser has not begun to sign in, or too long ago"))
	}
	text := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	if subtle.ConstantTimeCompare([]byte(text(r.Params.State)), []byte(a.State)) != 1 {
		return fail("expired", errors.New("state is of another attempt"))
	}
	if text(r.Params.Error) != "" {
		return fail("denied", errors.New(text(r.Params.Error)+" "+text(r.Params.ErrorDescription)))
	}
	token, signedIn, err := s.opts.SignIn.Finish(ctx, r.Provider, s.redirectURL(c, r.Provider), text(r.Params.Code), a.Nonce, a.Verifier, text(r.Params.Iss),
		Credentials{Address: c.ClientIP(), UserAgent: c.Request.UserAgent()})
	if err != nil {
		p, internal := s.toProblem(err)
		switch {
		case p.kind == kindUnauthenticated || p.kind == kindNotFound || p.kind == kindBadRequest:
			return fail("unknown", err)
		case internal:
			return fail("failed", err)
		}
		return fail("failed", err)
	}
	s.setCookie(c, token, int(signedIn.ExpiresAt.Sub(s.now()).Seconds()))
	return answer(a.ReturnTo)
}
