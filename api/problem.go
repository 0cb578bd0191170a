package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
)

// problem is an error that is an answer: RFC 9457.
type problem struct {
	kind       *problemKind
	detail     string
	errors     []rest.FieldError
	retryAfter time.Duration
}

func (p *problem) Error() string { return p.kind.slug + ": " + p.detail }

// problemKind is a type of problem; each has a page.
type problemKind struct {
	slug   string
	status int
	title  string
	help   string // what to do, for the page
}

// The kinds of problems.
var (
	kindBadRequest      = &problemKind{"bad-request", 400, "The request cannot be understood", "Compare the request with /docs: errors names the parameter or field. Unknown parameters are errors too, so that a misspelt filter never widens an answer."}
	kindInvalidQuery    = &problemKind{"invalid-query", 400, "The query cannot be read", "errors gives the column, and often a suggestion. /api/v1/audit/fields lists the fields."}
	kindInvalidCursor   = &problemKind{"invalid-cursor", 400, "The cursor does not belong here", "A cursor continues one list with the same filters for the same credential. Begin again without after."}
	kindTenantRequired  = &problemKind{"tenant-required", 400, "Which tenant?", "Your role covers several tenants: give tenant_id, in the query of a read and in the body of a write."}
	kindTenantGiven     = &problemKind{"tenant-not-allowed", 400, "The credential has one tenant", "Your credential belongs to one tenant and always means it: leave tenant_id out."}
	kindUnauthenticated = &problemKind{"unauthenticated", 401, "Sign in first", "Send the session cookie of POST /api/v1/session, or an API token as Authorization: Bearer."}
	kindTOTP            = &problemKind{"totp-required", 401, "A code of the second factor is needed", "Send POST /api/v1/session again with the same e-mail address and password, and with code: six digits of the authenticator app, or a recovery code."}
	kindMustChange      = &problemKind{"password-change-required", 403, "Change your password first", "An administrator set the password. POST /api/v1/session/password takes the current and a new one; nothing else is allowed before."}
	kindForbidden       = &problemKind{"forbidden", 403, "Your role does not allow this", "Ask an administrator for a role that does."}
	kindCSRF            = &problemKind{"csrf", 403, "The request may be forged", "With a session cookie every change needs the header X-CSRF-Token with the csrf of GET /api/v1/session, and has to come from this site."}
	kindNotFound        = &problemKind{"not-found", 404, "There is no such thing", "It does not exist, or not for this credential: the two are told apart by nothing."}
	kindMethod          = &problemKind{"method-not-allowed", 405, "This address does not take this method", "The header Allow names those it takes."}
	kindConflict        = &problemKind{"conflict", 409, "It exists already", "Choose another id or name, or use what exists."}
	kindIdempotency     = &problemKind{"idempotency-conflict", 409, "The Idempotency-Key was used for something else", "Choose a new key for a new attempt; repeat a request under its key unchanged."}
	kindSuspended       = &problemKind{"tenant-suspended", 409, "The tenant is suspended", "A suspended tenant takes no changes."}
	kindPrecondition    = &problemKind{"precondition-failed", 412, "It has changed since you read it", "Read it again, look at what changed, and send the new ETag as If-Match."}
	kindTooLarge        = &problemKind{"too-large", 413, "The request is too large", "A body has at most 1 MiB."}
	kindMediaType       = &problemKind{"unsupported-media-type", 415, "The body has to be JSON", "Send Content-Type: application/json."}
	kindNeedPrecond     = &problemKind{"precondition-required", 428, "If-Match is missing", "Send the ETag of the alert as you saw it, so that two people do not overwrite each other."}
	kindTooMany         = &problemKind{"too-many-requests", 429, "Too many requests", "Wait as long as Retry-After says."}
	kindInternal        = &problemKind{"internal", 500, "Something broke on our side", "The request id in instance finds it in the log."}
	kindUnavailable     = &problemKind{"unavailable", 503, "A part is not available right now", "Try again after Retry-After."}
)

var problemKinds = []*problemKind{kindBadRequest, kindInvalidQuery, kindInvalidCursor, kindTenantRequired, kindTenantGiven, kindUnauthenticated,
	kindTOTP, kindMustChange, kindForbidden, kindCSRF, kindNotFound, kindMethod, kindConflict, kindIdempotency, kindSuspended, kindPrecondition, kindTooLarge, kindMediaType,
	kindNeedPrecond, kindTooMany, kindInternal, kindUnavailable}

func newProblem(k *problemKind, format string, args ...any) *problem {
	return &problem{kind: k, detail: fmt.Sprintf(format, args...)}
}

// badField is a problem with one parameter or field.
func badField(field, format string, args ...any) *problem {
	p := newProblem(kindBadRequest, format, args...)
	p.errors = []rest.FieldError{{Field: field, Message: p.detail}}
	p.detail = field + ": " + p.detail
	return p
}

// notFound is the one answer for what is missing and for what is not yours.
func notFound() *problem {
	return newProblem(kindNotFound, "There is no such thing, or not for this credential.")
}

// toProblem turns a store's error into an answer; internal says that the
// error itself belongs into the log.
func (s *Server) toProblem(err error) (p *problem, internal bool) {
	if errors.As(err, &p) {
		return p, false
	}
	if s.opts.Classify != nil {
		if c := s.opts.Classify(err); c != nil {
			err = fmt.Errorf("%w (%w)", c, err)
		}
	}
	switch {
	case errors.Is(err, ErrTOTPRequired):
		return newProblem(kindTOTP, "The password is right. Send the request again with code: six digits of the authenticator app, or a recovery code."), false
	case errors.Is(err, ErrNotFound):
		return notFound(), false
	case errors.Is(err, ErrExists):
		return newProblem(kindConflict, "The id, name or address is taken."), false
	case errors.Is(err, ErrConflict):
		return newProblem(kindPrecondition, "Somebody changed it since you read it."), false
	case errors.Is(err, ErrSuspended):
		return newProblem(kindSuspended, "The tenant is suspended and takes no changes."), false
	case errors.Is(err, ErrUnauthorized):
		return newProblem(kindUnauthenticated, "The credential is not valid (any longer)."), false
	case errors.Is(err, ErrInvalid):
		return newProblem(kindBadRequest, "%s", plainMessage(err)), false
	case errors.Is(err, ErrUnavailable):
		p = newProblem(kindUnavailable, "A part that is needed for this is away.")
		p.retryAfter = 5 * time.Second
		return p, true
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return newProblem(kindTooLarge, "The body has more than %d bytes.", tooLarge.Limit), false
	}
	return newProblem(kindInternal, "It has been noted under this request's id."), true
}

// plainMessage is the innermost text of an error about bad input, without the
// names of operations around it, nor the "invalid input" of whoever made it.
func plainMessage(err error) string {
	for {
		next := errors.Unwrap(err)
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			if all := many.Unwrap(); len(all) > 0 {
				next = all[len(all)-1] // what was classified comes last
			}
		}
		if next == nil || errors.Is(next, ErrInvalid) && next.Error() == ErrInvalid.Error() {
			return err.Error()
		}
		if text, ok := strings.CutPrefix(err.Error(), next.Error()+": "); ok {
			return text
		}
		err = next
	}
}

// fail writes err as a problem and ends the request.
func (s *Server) fail(c *gin.Context, err error) {
	p, internal := s.toProblem(err)
	if internal {
		s.log.LogAttrs(c.Request.Context(), levelOf(p), "request failed", requestAttrs(c, err)...)
	}
	s.writeProblem(c, p)
}

func (s *Server) writeProblem(c *gin.Context, p *problem) {
	c.Abort()
	if c.Writer.Written() {
		return // an answer was under way; there is no way to take it back
	}
	body := rest.Problem{Type: "/problems/" + p.kind.slug, Title: p.kind.title, Status: p.kind.status, Instance: "urn:request:" + requestID(c)}
	if p.detail != "" {
		body.Detail = &p.detail
	}
	if len(p.errors) > 0 {
		body.Errors = &p.errors
	}
	h := c.Writer.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	if p.kind == kindUnauthenticated {
		h.Set("WWW-Authenticate", `Bearer realm="tenantwatch"`)
	}
	s.metrics.problems.WithLabelValues(p.kind.slug).Inc()
	b, err := json.Marshal(body)
	if err != nil {
		b = []byte("{}") // cannot happen: all members are text and numbers
	}
	c.Writer.WriteHeader(p.kind.status)
	_, _ = c.Writer.Write(append(b, '\n')) // the client may be gone; there is nobody to tell
}

var problemPage = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}} · tenantwatch</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="/docs.css"></head>
<body><main><p class="crumb"><a href="/docs">tenantwatch API</a> / problems</p>
<h1>{{.Title}}</h1><p><code>/problems/{{.Slug}}</code> comes with status <code>{{.Status}}</code>.</p><p>{{.Help}}</p></main></body></html>
`))

// problemHandler serves the page of a type of problem.
func (s *Server) problemHandler(c *gin.Context) {
	for _, k := range problemKinds {
		if k.slug == c.Param("slug") {
			s.page(c, problemPage, map[string]any{"Title": k.title, "Slug": k.slug, "Status": k.status, "Help": k.help})
			return
		}
	}
	s.fail(c, notFound())
}
