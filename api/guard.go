package api

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

const sessionCookie = "tw_session"

// call is what the guard found out about a request: who asks, and for whom.
type call struct {
	route     Route
	principal access.Principal
	session   SignedIn
	token     string // the session cookie's value; empty for a token
	// scope are the tenants the operation may touch; one of them is also in
	// one, unless the operation reads the whole set.
	scope []tenant.ID
	one   tenant.ID
	seen  []tenant.ID // whose trail says that this request read
	gin   *gin.Context
}

type callKey struct{}

// callOf finds the call of a handler's context, and the context to hand on:
// gin's own is reused after the request and must not leave the handler.
func callOf(ctx context.Context) (context.Context, *call) {
	c := ctx.(*gin.Context)
	k := c.Request.Context().Value(callKey{}).(*call)
	k.gin = c
	return c.Request.Context(), k
}

// narrowed is the tenant the request was narrowed to, as part of what a cursor
// belongs to.
func (k *call) narrowed() string { return k.one.String() }

// bind is what a cursor of this request belongs to.
func (k *call) bind() []byte {
	return bind(k.route.Operation, string(k.principal.Kind)+":"+k.principal.ID, k.narrowed(), k.gin.Request.URL.Query())
}

// guard applies the table to a request: credential, forgery, rate, permission,
// the contract's shapes, and last the tenants.
func (s *Server) guard(r Route, op *operation) gin.HandlerFunc {
	label := r.Path
	if r.Streams {
		label = "~" + label
	}
	return func(c *gin.Context) {
		c.Set(keyRoute, label)
		if !r.Streams {
			defer s.deadline(c)()
		}
		k := &call{route: r}
		if err := s.admit(c, k, op); err != nil {
			s.noteDenied(c, k, err)
			s.fail(c, err)
			return
		}
		if !k.one.IsZero() {
			s.opts.Usage.Query(k.one, false)
		}
		if err := s.noteNarrowed(c, k); err != nil {
			s.fail(c, err)
			return
		}
		c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), callKey{}, k))
		if r.Streams {
			// The request has been read whole; a deadline for reading it would
			// later end the stream. Writers without deadlines have none to lift.
			_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Time{})
		}
		if r.Method == http.MethodPost && !r.Public {
			s.idempotent(c, k, op)
			return
		}
		c.Next()
	}
}

func (s *Server) admit(c *gin.Context, k *call, op *operation) error {
	r := k.route
	for i := range c.Params {
		v, err := url.PathUnescape(c.Params[i].Value)
		if err != nil {
			return newProblem(kindBadRequest, "the path is not escaped properly")
		}
		c.Params[i].Value = v
	}
	if r.Operation == "downloadExport" { // its parameters are its credential
		if wait, ok := s.principals.take("public:" + network(c.ClientIP())); !ok {
			return tooMany(wait, "requests from your address")
		}
		_, err := op.validate(c)
		return err
	}
	if r.Public {
		if err := s.sameSite(c); err != nil && !r.FromElsewhere {
			return err
		}
		if r.Operation != "listProviders" { // asking how costs nothing
			if wait, ok := s.signIns.take(network(c.ClientIP())); !ok {
				return tooMany(wait, "sign-ins from your address")
			}
		}
		_, err := op.validate(c)
		return err
	}
	if wait, ok := s.addresses.take(network(c.ClientIP())); !ok {
		return tooMany(wait, "requests from your address")
	}
	if err := s.authenticate(c, k); err != nil {
		return err
	}
	p := k.principal
	c.Set(keyPrincipal, string(p.Kind)+":"+p.ID)
	who := string(p.Kind) + ":" + p.ID
	wait, ok := s.principals.take(who)
	s.principals.tell(c.Writer.Header(), "credential", who)
	if !ok {
		if p.Single() {
			s.opts.Usage.Query(p.Tenant, true)
		}
		return tooMany(wait, "requests with your credential")
	}
	if k.token != "" && c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead {
		if err := s.sameSite(c); err != nil {
			return err
		}
		if !validCSRF(k.session.CSRF, c.GetHeader("X-CSRF-Token")) {
			return newProblem(kindCSRF, "The header X-CSRF-Token is missing or does not belong to this session.")
		}
	}
	if p.MustChange && !mine[r.Operation] {
		return newProblem(kindMustChange, "Your password is one that an administrator set: change it first, with POST /api/v1/session/password.")
	}
	if r.Permission != "" && !p.Can(r.Permission) {
		return newProblem(kindForbidden, "The role %s does not hold %s.", p.Role, r.Permission)
	}
	body, err := op.validate(c)
	if err != nil {
		return err
	}
	if err := s.tenants(k, c.Request.Method, c.Param("id"), c.Request.URL.Query(), body); err != nil {
		return err
	}
	if s.unverified { // tests only, as unguarded
		return nil
	}
	if err := k.verify(); err != nil {
		return err
	}
	return s.tenantQuota(c, k)
}

// tenantQuota holds a tenant to its requests a second, over all its people and
// keys; what the operator's own people ask does not use it up.
func (s *Server) tenantQuota(c *gin.Context, k *call) error {
	if k.one.IsZero() || ofOperator(k.principal) {
		return nil
	}
	perSecond, err := s.opts.Usage.RequestsPerSecond(c.Request.Context(), k.one)
	if err != nil || perSecond <= 0 {
		return err
	}
	wait, ok := s.tenantLimits.takeAt(k.one.String(), perSecond)
	s.tenantLimits.tell(c.Writer.Header(), "tenant", k.one.String())
	if ok {
		return nil
	}
	s.opts.Usage.Query(k.one, true)
	return tooMany(wait, "requests of your tenant")
}

// verify is the second guard of the tenants: however the scope came about, it
// holds no tenant that the credential does not have.
func (k *call) verify() error {
	if !k.one.IsZero() && !k.principal.Sees(k.one) {
		return errForeignScope
	}
	if own := k.principal.Tenants; len(k.scope) > 0 && len(own) > 0 && &k.scope[0] == &own[0] && len(k.scope) <= len(own) {
		return nil // the credential's own list: no need to look each up
	}
	for _, id := range k.scope {
		if !k.principal.Sees(id) {
			return errForeignScope
		}
	}
	return nil
}

var errForeignScope = errors.New("api: isolation violated: the request was given a tenant that its credential does not have")

// authenticate resolves the credential: an API token if there is one, else the
// session cookie. A refused token is not passed over in favour of a cookie.
func (s *Server) authenticate(c *gin.Context, k *call) error {
	err := s.resolve(c, k)
	if p, _ := s.toProblem(err); err != nil && p.kind == kindUnauthenticated {
		// Only refusals are limited: whoever shares an address with one who
		// guesses keeps working.
		if wait, ok := s.failures.take(network(c.ClientIP())); !ok {
			return tooMany(wait, "refused credentials from your address")
		}
		return p
	}
	if err != nil {
		return err
	}
	p := k.principal
	if p.Role == access.Ingest {
		return newProblem(kindUnauthenticated, "An ingest key opens the collector, not this API.")
	}
	if p.Single() == p.Role.Operator() || !p.Role.Valid() || p.ID == "" || p.Single() && (len(p.Tenants) != 1 || p.Tenants[0] != p.Tenant) {
		return errors.New("api: the credential's role and tenants do not fit together: " + string(p.Role))
	}
	return nil
}

func (s *Server) resolve(c *gin.Context, k *call) (err error) {
	ctx := c.Request.Context()
	if values := c.Request.Header.Values("Authorization"); len(values) > 0 {
		scheme, token, _ := strings.Cut(values[0], " ")
		token = strings.TrimSpace(token)
		if len(values) > 1 || !strings.EqualFold(scheme, "bearer") || token == "" {
			return newProblem(kindUnauthenticated, "Authorization has to be Bearer and an API token.")
		}
		k.principal, err = s.opts.Auth.Token(ctx, token)
		k.session = SignedIn{Principal: k.principal}
		return err
	}
	cookie, err := c.Request.Cookie(sessionCookie)
	if err != nil || cookie.Value == "" {
		return newProblem(kindUnauthenticated, "There is no credential: sign in, or send an API token.")
	}
	k.session, err = s.opts.Auth.Session(ctx, cookie.Value)
	k.principal, k.token = k.session.Principal, cookie.Value
	return err
}

// sameSite refuses what a browser says another site started.
func (s *Server) sameSite(c *gin.Context) error {
	if site := c.GetHeader("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return newProblem(kindCSRF, "The request was started by another site.")
	}
	if origin := c.GetHeader("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || !strings.EqualFold(u.Host, c.Request.Host) {
			return newProblem(kindCSRF, "The request was started by another site.")
		}
	}
	return nil
}

// tenants decides which tenants the operation may touch, by its mode.
func (s *Server) tenants(k *call, method, object string, query url.Values, body *string) error {
	p := k.principal
	var named string
	given := query.Has("tenant_id")
	if given {
		named = query.Get("tenant_id")
	}
	if body != nil {
		if given && named != *body {
			return badField("tenant_id", "the body names another tenant than the query")
		}
		named, given = *body, true
	}
	if k.route.Tenancy == TenancyPath {
		named = object
	}
	if s.unguarded != nil { // tests only: the negative control of the isolation matrix
		k.scope, k.one = s.unguarded, p.Tenant
		if id, err := tenant.Parse(named); err == nil {
			k.scope, k.one = []tenant.ID{id}, id
		}
		return nil
	}
	if p.Single() && k.route.Tenancy != TenancyPath {
		if given {
			return newProblem(kindTenantGiven, "Your credential belongs to one tenant: leave tenant_id out.")
		}
		k.scope, k.one = p.Tenants, p.Tenant
		return nil
	}
	switch {
	case k.route.Tenancy == TenancyPath:
		// As for any role: what follows looks the name up in the set.
	case k.route.Tenancy == TenancyNone, k.route.Tenancy == TenancyPlatform:
		return nil
	case !given && k.route.Tenancy == TenancyPeople:
		return nil // the operator's own
	case !given && k.route.Tenancy == TenancyOne:
		return newProblem(kindTenantRequired, "Give tenant_id: this reads one tenant, and your role covers several.")
	case !given && k.route.Tenancy == TenancyWrite && method == http.MethodDelete:
		return newProblem(kindTenantRequired, "Name tenant_id in the body or the query: your role covers several tenants.")
	case !given && k.route.Tenancy == TenancyWrite:
		return newProblem(kindTenantRequired, "Name tenant_id in the body: your role covers several tenants.")
	case !given:
		k.scope = p.Tenants
		return nil
	}
	id, err := tenant.Parse(named)
	if err != nil || !p.Sees(id) {
		return notFound()
	}
	k.scope, k.one = []tenant.ID{id}, id
	return nil
}

func validCSRF(want, got string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(got)) == 1
}

func tooMany(wait time.Duration, what string) *problem {
	p := newProblem(kindTooMany, "Too many %s.", what)
	p.retryAfter = wait
	return p
}
