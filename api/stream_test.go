package api

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// streamOnce asks for a stream and ends it as soon as it has begun.
func streamOnce(t testing.TB, s *Server, r *http.Request, rec *httptest.ResponseRecorder) {
	t.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s.ServeHTTP(&endAfterFirst{rec, cancel}, r.WithContext(ctx))
}

type endAfterFirst struct {
	*httptest.ResponseRecorder
	cancel context.CancelFunc
}

func (w *endAfterFirst) Flush() { w.ResponseRecorder.Flush(); w.cancel() }

// live is a running server and a way to listen to it.
type live struct {
	t    *testing.T
	w    *world
	url  string
	stop context.CancelFunc
	done chan error
}

func run(t *testing.T, w *world, change ...func(*Options)) *live {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := w.server(t, append([]func(*Options){func(o *Options) { o.ExportDir = "" }}, change...)...)
	ctx, stop := context.WithCancel(context.Background())
	l := &live{t, w, "http://" + ln.Addr().String(), stop, make(chan error, 1)}
	go func() { l.done <- s.Run(ctx, ln) }()
	t.Cleanup(func() {
		l.stop()
		http.DefaultClient.CloseIdleConnections()
		if err := <-l.done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return l
}

// message is one event of a stream.
type message struct{ id, event, data, comment string }

type listener struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Scanner
}

func (l *live) listen(who, query, lastID string) *listener {
	l.t.Helper()
	r, err := http.NewRequest(http.MethodGet, l.url+"/api/v1/stream"+query, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer token-"+who)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		l.t.Fatalf("stream: %d %s", resp.StatusCode, readAll(l.t, resp.Body))
	}
	li := &listener{l.t, resp, bufio.NewScanner(resp.Body)}
	li.next() // retry
	return li
}

// next is the next message; ok is false at the end.
func (l *listener) next() (m message, ok bool) {
	for l.in.Scan() {
		line := l.in.Text()
		if line == "" {
			return m, true
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			m.data = value
		case "":
			m.comment = value
		}
	}
	return m, false
}

func (l *listener) want(id, event, contains string) message {
	l.t.Helper()
	for {
		m, ok := l.next()
		if !ok {
			l.t.Fatalf("the stream ended; want %s %s", event, contains)
		}
		if m.comment != "" {
			continue
		}
		if id != "" && m.id != id || m.event != event || !strings.Contains(m.data, contains) {
			l.t.Fatalf("got %+v; want %s %s %s", m, id, event, contains)
		}
		return m
	}
}

func revision(of string, seq uint64) alert.Alert {
	w := newWorld()
	for _, a := range w.alerts {
		if a.Tenant.String() == of {
			a.Seq, a.Revision, a.State = seq, uint32(seq), alert.Amended
			return a.Alert
		}
	}
	panic("no such tenant")
}

func TestStreamSendsWhatIsStored(t *testing.T) {
	l := run(t, newWorld())
	one, set := l.listen("admin", "", ""), l.listen("both", "", "")
	l.w.raise(revision("beta", 2))
	l.w.raise(revision("alpha", 2))
	one.want("2", "alert", `"tenant_id":"alpha"`) // nothing of beta before it
	set.want("", "alert", `"tenant_id":"beta"`)
	cursor := set.want("", "alert", `"tenant_id":"alpha"`).id

	// what comes while nobody listens is replayed, in order and once
	l.w.raise(revision("alpha", 3))
	l.w.raise(revision("alpha", 4))
	l.w.raise(revision("beta", 3))
	again := l.listen("admin", "", "2")
	again.want("3", "alert", `"seq":3`)
	again.want("4", "alert", `"seq":4`)
	set = l.listen("both", "", cursor)
	set.want("", "alert", `"seq":3,"severity":"high","state":"amended","tenant_id":"alpha"`)
	set.want("", "alert", `"seq":4,"severity":"high","state":"amended","tenant_id":"alpha"`)
	set.want("", "alert", `"seq":3,"severity":"high","state":"amended","tenant_id":"beta"`)

	// a reader who is far behind is told so
	l.w.raise(revision("alpha", 4000))
	l.listen("admin", "", "4").want("4000", "missed", `{"missed":3996}`)

	// a narrowed stream is one tenant's
	narrow := l.listen("both", "?tenant_id=beta", "")
	l.w.raise(revision("alpha", 4001))
	l.w.raise(revision("beta", 4))
	narrow.want("4", "alert", `"tenant_id":"beta"`)
}

func TestStreamRefusesForeignPositions(t *testing.T) {
	s := newWorld().server(t)
	ask{who: "admin", path: "/api/v1/stream", header: map[string]string{"Last-Event-ID": "x"}}.wantProblem(t, s, "bad-request")
	ask{who: "both", path: "/api/v1/stream", header: map[string]string{"Last-Event-ID": "7"}}.wantProblem(t, s, "invalid-cursor")
	if n := len(s.streams); n != 0 {
		t.Errorf("%d slots are still taken", n)
	}
}

// TestStreamEndsWithItsCredential: a revoked token ends the stream at the next
// heartbeat.
func TestStreamEndsWithItsCredential(t *testing.T) {
	l := run(t, newWorld(), func(o *Options) { o.Limits.Heartbeat = 10 * time.Millisecond })
	li := l.listen("admin", "", "")
	if m, ok := li.next(); !ok || m.comment == "" {
		t.Fatalf("no heartbeat: %+v", m)
	}
	l.w.mu.Lock()
	delete(l.w.tokens, "token-admin")
	l.w.mu.Unlock()
	for {
		if _, ok := li.next(); !ok {
			return
		}
	}
}

// TestRunDrains: stopping ends streams at once and lets the listener go.
func TestRunDrains(t *testing.T) {
	l := run(t, newWorld())
	li := l.listen("admin", "", "")
	l.stop()
	if m, ok := li.next(); ok {
		t.Fatalf("a message after the end: %+v", m)
	}
	if _, err := http.Get(l.url + "/docs"); err == nil {
		t.Error("the server still answers")
	}
}

func TestStreamsAreBounded(t *testing.T) {
	l := run(t, newWorld(), func(o *Options) { o.Limits.Streams = 1 })
	l.listen("admin", "", "")
	r, _ := http.NewRequest(http.MethodGet, l.url+"/api/v1/stream", nil)
	r.Header.Set("Authorization", "Bearer token-admin")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a second stream: %d", resp.StatusCode)
	}
}
