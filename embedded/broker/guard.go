package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	maxConnections = 512
	copyChunk      = 64 << 10
	smallAnswer    = 4 << 10
)

// guard stands between clients and kfake. Every request is read whole, decoded
// and only then passed on; every answer waits for the durability it promises.
type guard struct {
	backend  *pipeListener
	sync     *syncer
	hold     bool // answers to produce requests wait for fsync
	maxFrame int
	log      *slog.Logger
	metrics  *metrics

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{} // both ends that we hold
	n      int                   // clients
	wg     sync.WaitGroup
}

// listen serves a listener until it is closed.
func (g *guard) listen(ln net.Listener) {
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if err := g.serve(context.Background(), conn); err != nil {
				g.log.Warn("broker connection refused", "error", err)
			}
		}
	}()
}

// serve starts to serve one client; it takes the connection over.
func (g *guard) serve(ctx context.Context, client net.Conn) error {
	g.mu.Lock()
	if g.closed || g.n >= maxConnections {
		err := errListenerClosed
		if !g.closed {
			g.metrics.refused.WithLabelValues("connections").Inc()
			err = fmt.Errorf("more than %d connections", maxConnections)
		}
		g.mu.Unlock()
		_ = client.Close()
		return err
	}
	g.n++
	g.wg.Add(1)
	g.mu.Unlock()
	leave := func() {
		g.mu.Lock()
		g.n--
		g.mu.Unlock()
		g.wg.Done()
	}
	backend, err := g.backend.dial(ctx)
	if err != nil {
		_ = client.Close()
		leave()
		return err
	}
	s := &session{g: g, client: client, backend: backend, done: make(chan struct{})}
	if !g.track(client, backend) {
		s.close()
		leave()
		return errListenerClosed
	}
	g.metrics.connections.Inc()
	go func() {
		defer leave()
		defer g.metrics.connections.Dec()
		s.run()
		g.untrack(client, backend)
	}()
	return nil
}

func (g *guard) track(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	for _, c := range conns {
		g.conns[c] = struct{}{}
	}
	return true
}

func (g *guard) untrack(conns ...net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		delete(g.conns, c)
	}
}

// close ends all connections and waits for their goroutines.
func (g *guard) close() {
	g.mu.Lock()
	g.closed = true
	for c := range g.conns {
		_ = c.Close()
	}
	g.mu.Unlock()
	g.wg.Wait()
}

// session is one client's connection.
type session struct {
	g               *guard
	client, backend net.Conn
	once            sync.Once
	done            chan struct{}

	mu      sync.Mutex
	pending []*request // sent on, unanswered, in order
}

func (s *session) close() {
	s.once.Do(func() {
		close(s.done)
		_ = s.client.Close()
		_ = s.backend.Close()
	})
}

func (s *session) run() {
	answers := make(chan error, 1)
	go func() {
		err := s.answers()
		s.close()
		answers <- err
	}()
	err := s.requests()
	s.close()
	if aerr := <-answers; errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		err = aerr
	}
	for _, rq := range s.pending { // what may have been written all the same
		if rq.key == int16(kmsg.Produce) {
			s.g.sync.finish(rq)
		}
	}
	var ref *refusal
	if errors.As(err, &ref) {
		s.g.metrics.refused.WithLabelValues(ref.reason).Inc()
		s.g.log.Warn("broker closed a connection", "error", err)
	}
}

// requests passes frames from the client to kfake.
func (s *session) requests() error {
	var buf []byte
	var head [6]byte // length and key
	for {
		if _, err := io.ReadFull(s.client, head[:]); err != nil {
			return err
		}
		size := binary.BigEndian.Uint32(head[:4])
		key := int16(binary.BigEndian.Uint16(head[4:]))
		if limit := frameLimit(key, s.g.maxFrame); size < minFrame || int64(size) > int64(limit) {
			return refuse("frame_size", "frame of %d bytes (request key %d): want %d to %d", size, key, minFrame, limit)
		}
		var err error
		if buf, err = readFrame(s.client, append(buf[:0], head[:]...), int(size)+4); err != nil {
			return err
		}
		rq, err := parse(buf[4:])
		if err != nil {
			return err
		}
		if rq.key == int16(kmsg.Produce) {
			s.g.sync.begin(&rq)
		}
		s.mu.Lock()
		s.pending = append(s.pending, &rq)
		s.mu.Unlock()
		if _, err := s.backend.Write(buf); err != nil {
			return err
		}
		if cap(buf) > 4<<20 {
			buf = nil // one large request must not stay for the connection's life
		}
	}
}

// readFrame fills buf to size bytes. Memory grows with what arrives, not with
// what the length promises.
func readFrame(r io.Reader, buf []byte, size int) ([]byte, error) {
	for len(buf) < size {
		n := min(size, max(2*len(buf), copyChunk))
		if cap(buf) < n {
			grown := make([]byte, len(buf), n)
			copy(grown, buf)
			buf = grown
		}
		at := len(buf)
		buf = buf[:n]
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// answers passes frames from kfake to the client, each when it may go.
func (s *session) answers() error {
	buf := make([]byte, copyChunk)
	for {
		if _, err := io.ReadFull(s.backend, buf[:8]); err != nil {
			return err
		}
		left := int64(binary.BigEndian.Uint32(buf[:4])) - 4
		rq := s.take(int32(binary.BigEndian.Uint32(buf[4:8])))
		if rq == nil || left < 0 {
			return errProtocol
		}
		n := 8
		// A small answer is taken whole, so that kfake can go on with the
		// connection's next request while this one waits.
		if left <= smallAnswer {
			if _, err := io.ReadFull(s.backend, buf[8:8+left]); err != nil {
				return err
			}
			n, left = n+int(left), 0
		}
		if err := s.release(rq); err != nil {
			return err
		}
		if _, err := s.client.Write(buf[:n]); err != nil {
			return err
		}
		for left > 0 {
			n, err := s.backend.Read(buf[:min(left, int64(len(buf)))])
			if err != nil {
				return err
			}
			if _, err := s.client.Write(buf[:n]); err != nil {
				return err
			}
			left -= int64(n)
		}
	}
}

// take removes the request that an answer belongs to.
func (s *session) take(corr int32) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 || s.pending[0].corr != corr {
		return nil
	}
	rq := s.pending[0]
	s.pending = s.pending[1:]
	return rq
}

// release returns when the answer may go to the client.
func (s *session) release(rq *request) error {
	sy := s.g.sync
	switch kmsg.Key(rq.key) {
	case kmsg.Produce:
		sy.finish(rq)
		if s.g.hold {
			return sy.await(s.done)
		}
	case kmsg.Fetch:
		// A consumer acts on what it reads. If a power failure could take the
		// record back, its offset would be given to another one.
		return sy.settle(s.done)
	case kmsg.CreateTopics, kmsg.DeleteTopics, kmsg.CreatePartitions:
		sy.touchState()
		return sy.await(s.done)
	case kmsg.OffsetCommit, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.DeleteGroups:
		// Not waited for: a commit that is lost makes records be read again,
		// which consumers must stand anyway. The trimmer does wait for it.
		sy.touchState()
	}
	return nil
}
