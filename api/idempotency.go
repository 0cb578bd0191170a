package api

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// idempotency remembers the answers of POSTs that carried an Idempotency-Key,
// in memory and bounded: 4096 answers of at most 16 KiB, for 24 hours. It may
// hold a secret that was shown once, for as long.
type idempotency struct {
	answers *lru[string, *answer]
	now     func() time.Time
}

const (
	idempotencyKeys = 4096
	idempotencyTime = 24 * time.Hour
	idempotencyBody = 16 << 10
)

func newIdempotency(now func() time.Time) *idempotency {
	return &idempotency{newLRU[string, *answer](idempotencyKeys), now}
}

// answer is one attempt. done is closed once status, header and body stand;
// status 0 then means that the attempt failed and may be made again.
type answer struct {
	request [sha256.Size]byte
	begun   time.Time
	done    chan struct{}
	status  int
	header  http.Header
	body    []byte
}

// idempotent runs the handler once for each Idempotency-Key of a principal,
// and gives the first answer again.
func (s *Server) idempotent(c *gin.Context, k *call, op *operation) {
	key := c.GetHeader("Idempotency-Key")
	if _, takes := op.headers["Idempotency-Key"]; key == "" || !takes {
		c.Next()
		return
	}
	body, err := io.ReadAll(c.Request.Body)
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
	store, now := s.idempotency, s.now()
	mine := &answer{request: sha256.Sum256(append([]byte(c.Request.URL.RawQuery+"\n"), body...)), begun: now, done: make(chan struct{})}
	id := string(k.principal.Kind) + "\x00" + k.principal.ID + "\x00" + k.route.Operation + "\x00" + key
	first, found := store.answers.getOrAdd(id, func() *answer { return mine }, func(a *answer) bool { return now.Sub(a.begun) < idempotencyTime })
	if !found {
		s.first(c, id, mine)
		return
	}
	if first.request != mine.request {
		s.fail(c, newProblem(kindIdempotency, "This Idempotency-Key came with another request before."))
		return
	}
	select {
	case <-first.done:
	case <-c.Request.Context().Done():
		s.fail(c, newProblem(kindIdempotency, "The first request under this Idempotency-Key is still running."))
		return
	}
	if first.status == 0 {
		p := newProblem(kindUnavailable, "The first request under this Idempotency-Key failed; send it again.")
		p.retryAfter = time.Second
		s.fail(c, p)
		return
	}
	c.Abort()
	for name, values := range first.header {
		c.Writer.Header()[name] = values
	}
	c.Header("Idempotency-Replayed", "true")
	c.Writer.WriteHeader(first.status)
	_, _ = c.Writer.Write(first.body) // the client may be gone
}

// first runs the handler and keeps its answer, unless it failed.
func (s *Server) first(c *gin.Context, id string, a *answer) {
	rec := &recorder{ResponseWriter: c.Writer}
	c.Writer = rec
	defer func() {
		c.Writer = rec.ResponseWriter
		if a.status == 0 {
			s.idempotency.answers.drop(id, func(b *answer) bool { return a == b })
		}
		close(a.done)
	}()
	c.Next()
	if status := rec.Status(); status < 500 && len(rec.body) <= idempotencyBody {
		a.header = http.Header{}
		for _, name := range []string{"Content-Type", "Etag", "Location"} {
			if v := rec.Header().Values(name); len(v) > 0 {
				a.header[name] = v
			}
		}
		a.status, a.body = status, rec.body
	}
}

// recorder keeps a copy of a small answer.
type recorder struct {
	gin.ResponseWriter
	body []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	if len(r.body) <= idempotencyBody {
		r.body = append(r.body, b...)
	}
	return r.ResponseWriter.Write(b)
}

func (r *recorder) WriteString(s string) (int, error) { return r.Write([]byte(s)) }

// Unwrap lets deadlines through to the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
