package clickhouse

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// userName is the one user the engine has.
const userName = "default"

// front answers ClickHouse's HTTP protocol from the engine in this process.
type front struct {
	lib      *library
	args     []string
	version  string
	log      *slog.Logger
	token    [sha256.Size]byte
	slots    chan struct{} // one place a statement under way
	patience time.Duration // how long a statement waits for a place

	// base holds the engine open; control is the session that kills queries.
	base    *session
	mu      sync.Mutex // guards control
	control *session

	nonce  string
	serial atomic.Uint64
	idsMu  sync.Mutex
	ids    map[string]struct{} // query ids under way
}

func newFront(lib *library, args []string, token string, maxQueries int, patience time.Duration, log *slog.Logger) (*front, error) {
	f := &front{
		lib: lib, args: args, log: log, token: sha256.Sum256([]byte(token)),
		slots: make(chan struct{}, maxQueries), patience: patience,
		nonce: rand.Text(), ids: map[string]struct{}{},
	}
	var err error
	if f.base, err = lib.open(args); err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	if f.control, err = lib.open(args); err != nil {
		f.base.close()
		return nil, fmt.Errorf("open the control session: %w", err)
	}
	c, err := f.base.exec("SELECT version()", "TabSeparatedRaw", nil)
	if err != nil {
		f.close()
		return nil, fmt.Errorf("ask the engine for its version: %w", err)
	}
	for _, b := range c.data {
		if b != '\n' {
			f.version += string(rune(b))
		}
	}
	c.free()
	return f, nil
}

// close shuts the engine down; no request may be under way.
func (f *front) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.control.close()
	f.base.close()
	f.lib.shutdown()
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ping":
		_, _ = io.WriteString(w, "Ok.\n")
		return
	case "/":
	default:
		http.Error(w, "there is nothing here: statements go to /, /ping tells whether the engine answers", http.StatusNotFound)
		return
	}
	p := newResponder(w, f.version)
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		p.fail(newException(codeNotImplemented, "NOT_IMPLEMENTED", "method %.20q is not supported: want GET or POST", r.Method))
		return
	}
	if !f.authorized(r) {
		p.fail(newException(codeAuthenticationFailed, "AUTHENTICATION_FAILED", "%s: Authentication failed: password is incorrect, or there is no user with such name.", userName))
		return
	}
	r.Body = &patientBody{ReadCloser: r.Body, rc: p.rc}
	req, err := parseRequest(r)
	if err != nil {
		p.fail(asException(err))
		return
	}
	defer req.close()
	p.req = req
	if req.stmt.verb == "" {
		if req.sql == "" && req.readonly {
			_, _ = io.WriteString(w, "Ok.\n")
			return
		}
		p.fail(newException(codeSyntaxError, "SYNTAX_ERROR", "Empty query"))
		return
	}
	if err := f.run(r.Context(), p); err != nil {
		if r.Context().Err() != nil {
			f.log.Debug("statement given up: the client is gone", "error", err)
			panic(http.ErrAbortHandler)
		}
		p.fail(asException(err))
	}
}

// authorized compares in constant time; the name is no secret.
func (f *front) authorized(r *http.Request) bool {
	user, key, ok := r.BasicAuth()
	if !ok {
		user, key = firstOf(r.Header.Get("X-ClickHouse-User"), userName), r.Header.Get("X-ClickHouse-Key")
	}
	sum := sha256.Sum256([]byte(key))
	return subtle.ConstantTimeCompare(sum[:], f.token[:]) == 1 && user == userName
}

// run takes a place, opens a session of its own for the statement and runs it.
func (f *front) run(ctx context.Context, p *responder) error {
	release, err := f.admit(ctx, p.req)
	if err != nil {
		return err
	}
	defer release()

	s, err := f.lib.open(f.args)
	if err != nil {
		return err
	}
	defer s.close()
	h := p.w.Header()
	h.Set("X-ClickHouse-Server-Display-Name", "tenantwatch")
	h.Set("X-ClickHouse-Timezone", "UTC")
	h.Set("X-ClickHouse-Query-Id", p.req.queryID)
	for _, sql := range p.req.sessionSQL() {
		if err := s.run(sql); err != nil {
			return err
		}
	}
	if p.req.readonly {
		if a, err := s.analyse(p.req.sql); err != nil || a.class != classReadOnly {
			if err == nil && a.statements > 0 {
				return newException(codeReadonly, "READONLY", "Cannot execute query in readonly mode: GET changes nothing, use POST")
			}
		}
	}
	// The tag lets the control session find the statement among those running.
	tag := fmt.Sprintf("/*tw:%s:%d*/ ", f.nonce, f.serial.Add(1))
	stop := f.watch(ctx, tag)
	defer stop()
	if p.req.data != nil {
		err = f.insert(ctx, s, tag, p, stop)
	} else {
		err = f.query(ctx, s, tag, p)
	}
	var e *exception
	if errors.As(err, &e) {
		return e.untag(tag)
	}
	return err
}

// admit waits for one of the places and takes the query id.
func (f *front) admit(ctx context.Context, req *request) (func(), error) {
	select {
	case f.slots <- struct{}{}:
	default:
		timer := time.NewTimer(f.patience)
		defer timer.Stop()
		select {
		case f.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
			return nil, newException(codeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many simultaneous queries. Maximum: %d", cap(f.slots))
		}
	}
	if req.queryID == "" {
		req.queryID = rand.Text()
	}
	f.idsMu.Lock()
	defer f.idsMu.Unlock()
	if _, taken := f.ids[req.queryID]; taken {
		<-f.slots
		return nil, newException(codeQueryWithSameID, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", "Query with id = %s is already running.", req.queryID)
	}
	f.ids[req.queryID] = struct{}{}
	return func() {
		f.idsMu.Lock()
		delete(f.ids, req.queryID)
		f.idsMu.Unlock()
		<-f.slots
	}, nil
}

// watch kills the tagged statement when ctx ends before the returned function
// is called. That function waits for the watcher; it may be called twice.
func (f *front) watch(ctx context.Context, tag string) func() {
	finished, joined := make(chan struct{}), make(chan struct{})
	off := context.AfterFunc(ctx, func() {
		defer close(joined)
		// The statement may not have begun: try until it is over.
		for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
			select {
			case <-finished:
				return
			default:
			}
			f.kill(tag)
			timer := time.NewTimer(pause)
			select {
			case <-finished:
				timer.Stop()
				return
			case <-timer.C:
			}
		}
	})
	var once sync.Once
	return func() {
		once.Do(func() {
			close(finished)
			if !off() {
				<-joined
			}
		})
	}
}

func (f *front) kill(tag string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.control.run("KILL QUERY WHERE startsWith(query, " + quoteString(tag) + ") ASYNC"); err != nil {
		f.log.Warn("cannot kill a statement whose client is gone", "error", err)
	}
}

// query runs any statement but an INSERT with rows in the body.
func (f *front) query(ctx context.Context, s *session, tag string, p *responder) error {
	sql := tag + p.req.sql
	if p.req.stmt.selects() && streamable(p.req.format) {
		st, err := s.stream(sql, p.req.format, p.req.params)
		if err == nil {
			return f.copyStream(ctx, st, p)
		}
		if !errors.Is(err, errNotStreamable) {
			return err
		}
	} else if p.req.stmt.selects() {
		// Formats with head and tail are built as a whole by the engine.
		if err := s.run(fmt.Sprintf("SET max_result_bytes = %d, result_overflow_mode = 'throw'", maxBuffered)); err != nil {
			f.log.Debug("no bound on a buffered result", "error", err)
		}
	}
	c, err := s.exec(sql, p.req.format, p.req.params)
	if err != nil {
		return err
	}
	defer c.free()
	if len(c.data) > 0 {
		if err := p.send(c.data); err != nil {
			return err
		}
	}
	return p.finish()
}

// maxBuffered bounds a result in a format that cannot be streamed, in bytes of
// the engine's own representation.
const maxBuffered = 64 << 20

func (f *front) copyStream(ctx context.Context, st *resultStream, p *responder) error {
	ended := false
	defer func() { st.close(!ended) }()
	for {
		c, err := st.next()
		if err != nil {
			ended = true
			return err
		}
		if len(c.data) == 0 {
			ended = true
			c.free()
			return p.finish()
		}
		err = p.send(c.data)
		c.free()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// insert streams the rows of the body into the engine. While rows arrive, a
// client that goes away cancels the insert; once all are there it is carried
// through, because nobody could say otherwise whether it was.
func (f *front) insert(ctx context.Context, s *session, tag string, p *responder, carryThrough func()) error {
	format := firstOf(p.req.stmt.format, p.req.format)
	ins, err := s.insert(tag+p.req.stmt.body, format, p.req.params)
	if err != nil {
		return err
	}
	committed := false
	defer func() { ins.close(committed) }()
	buf := make([]byte, 256<<10)
	for {
		n, err := p.req.data.Read(buf)
		if appendErr := ins.append(buf[:n]); appendErr != nil {
			return appendErr
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			var e *exception
			if errors.As(err, &e) {
				return e
			}
			return newException(codeNetworkError, "NETWORK_ERROR", "the rows of the INSERT broke off, nothing of the last block was stored: %s", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	carryThrough()
	committed = true
	rows, err := ins.commit()
	if err != nil {
		return err
	}
	p.w.Header().Set("X-ClickHouse-Summary", fmt.Sprintf(`{"written_rows":"%d"}`, rows))
	return p.finish()
}

// patientBody gives up on a client that sends nothing for stallTimeout.
type patientBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.rc.SetReadDeadline(time.Now().Add(stallTimeout))
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		// From here on the connection is only watched for its end.
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}
