// Package syslog is the source that listens for syslog (RFC 5424 and 3164)
// over UDP, TCP and TLS. A plain listener belongs to one tenant by
// configuration; with client certificates the certificate's common name is the
// tenant.
//
// The protocol has no acknowledgement, so the source is best effort: TCP and
// TLS senders are held back while the sink is away, datagrams for which there
// is no room are counted as lost, and a clean shutdown hands on what has been
// received. Memory is bounded by connections and by the datagrams in the queue.
package syslog

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/source"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Options are the source's settings.
type Options struct {
	Listen         string        `yaml:"listen" doc:"udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT"`
	Cert           string        `yaml:"cert" doc:"tls: certificate file (PEM)"`
	Key            string        `yaml:"key" doc:"tls: private key file (PEM)"`
	ClientCA       string        `yaml:"client_ca" doc:"tls: file of the authorities (PEM) that sign client certificates; the certificate's common name is the tenant, and has to be the configured one where there is one"`
	MaxMessage     int           `yaml:"max_message" doc:"bytes of a message that are kept; default 65536"`
	MaxConnections int           `yaml:"max_connections" doc:"connections at the same time; default 256"`
	Idle           time.Duration `yaml:"idle" doc:"how long a connection may be silent before it is closed; default 1h"`
	Queue          int           `yaml:"queue" doc:"udp: datagrams that wait for the sink; default 8192"`
}

// Kind is the line in the table of sources.
func Kind() source.Kind {
	return source.Define(source.Kind{
		Type: "syslog", Title: "Syslog over UDP, TCP (octet counting and lines) and TLS", Promise: source.BestEffort, TenantFromCertificate: true,
		Example: "listen: tls://0.0.0.0:6514\ncert: /etc/tenantwatch/syslog.pem\nkey: /etc/tenantwatch/syslog.key\nclient_ca: /etc/tenantwatch/senders-ca.pem\n",
	}, check, New)
}

func check(o *Options) error {
	u, err := url.Parse(o.Listen)
	if err != nil || u.Host == "" || u.Path != "" {
		return fmt.Errorf("listen %q: want udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT", o.Listen)
	}
	if _, _, err := net.SplitHostPort(u.Host); err != nil {
		return fmt.Errorf("listen %q: %w", o.Listen, err)
	}
	switch u.Scheme {
	case "udp", "tcp":
		if o.Cert != "" || o.Key != "" || o.ClientCA != "" {
			return errors.New("cert, key and client_ca are for tls:// listeners")
		}
	case "tls":
		if o.Cert == "" || o.Key == "" {
			return errors.New("a tls:// listener needs cert and key")
		}
	default:
		return fmt.Errorf("listen %q: want udp://, tcp:// or tls://", o.Listen)
	}
	if o.MaxMessage < 0 || o.MaxConnections < 0 || o.Idle < 0 || o.Queue < 0 {
		return errors.New("bounds must not be negative")
	}
	def(&o.MaxMessage, 64<<10)
	def(&o.MaxConnections, 256)
	def(&o.Queue, 8192)
	if o.Idle == 0 {
		o.Idle = time.Hour
	}
	return nil
}

func def(p *int, v int) {
	if *p == 0 {
		*p = v
	}
}

// The bounds of what is handed on at once.
const (
	batchBytes    = 512 << 10
	batchMessages = 1000
	linger        = 250 * time.Millisecond
	drainTime     = 10 * time.Second
)

// Source listens.
type Source struct {
	o       Options
	env     source.Env
	network string
	addr    string
	tls     *tls.Config
	run     string // names this process in ids: a message has no place of its own
	packets net.PacketConn
	stream  net.Listener
}

// New checks the options and opens the listener, so that a busy port is said
// at the start; Run closes it.
func New(e source.Env, o Options) (source.Source, error) {
	if err := check(&o); err != nil {
		return nil, err
	}
	u, _ := url.Parse(o.Listen) //nolint:errcheck // checked
	s := &Source{o: o, env: e, network: u.Scheme, addr: u.Host}
	if e.Tenant.IsZero() && o.ClientCA == "" {
		return nil, errors.New("a tenant is needed: only client certificates (client_ca) can name it instead")
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	s.run = hex.EncodeToString(id)
	s.env.Sink = source.Steady{Next: e.Sink}
	var err error
	if u.Scheme == "udp" {
		s.packets, err = net.ListenPacket("udp", s.addr)
		if c, ok := s.packets.(*net.UDPConn); ok {
			_ = c.SetReadBuffer(4 << 20) // as much as the system gives
		}
		return s, err
	}
	if u.Scheme == "tls" {
		if s.tls, err = serverTLS(o); err != nil {
			return nil, err
		}
	}
	s.stream, err = net.Listen("tcp", s.addr)
	return s, err
}

func serverTLS(o Options) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
	if err != nil {
		return nil, fmt.Errorf("cert: %w", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if o.ClientCA != "" {
		b, err := os.ReadFile(o.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("client_ca: %w", err)
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("client_ca: %s holds no certificate", o.ClientCA)
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}

// Addr is where the source listens.
func (s *Source) Addr() net.Addr {
	if s.packets != nil {
		return s.packets.LocalAddr()
	}
	return s.stream.Addr()
}

// Run takes messages in until ctx is done.
func (s *Source) Run(ctx context.Context) error {
	// What has been received is still handed on after ctx ended.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, cancel) })()
	if s.packets != nil {
		return s.runPackets(ctx, work)
	}
	return s.runStreams(ctx, work)
}

// runStreams accepts connections.
func (s *Source) runStreams(ctx, work context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, func() { _ = s.stream.Close() })()
	places := make(chan struct{}, s.o.MaxConnections)
	for n := 0; ; n++ {
		places <- struct{}{} // further senders wait in the system's queue
		c, err := s.stream.Accept()
		if err != nil {
			<-places
			if ctx.Err() != nil {
				return nil
			}
			var temporary net.Error
			if errors.As(err, &temporary) {
				if source.Sleep(ctx, 50*time.Millisecond) {
					continue
				}
				return nil
			}
			return fmt.Errorf("syslog source %s: %w", s.env.Name, err)
		}
		wg.Go(func() {
			defer func() { _ = c.Close(); <-places }()
			if err := s.serve(ctx, work, c, fmt.Sprintf("%s/%d", s.run, n)); err != nil {
				s.env.Logger.Warn("a syslog connection ended", "remote", c.RemoteAddr().String(), "err", err)
			}
		})
	}
}

// owner is the tenant of a connection.
func (s *Source) owner(ctx context.Context, c net.Conn) (net.Conn, tenant.ID, error) {
	if s.tls == nil {
		return c, s.env.Tenant, nil
	}
	tc := tls.Server(c, s.tls)
	hello, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := tc.HandshakeContext(hello); err != nil {
		return nil, tenant.ID{}, err
	}
	if s.o.ClientCA == "" {
		return tc, s.env.Tenant, nil
	}
	name := tc.ConnectionState().PeerCertificates[0].Subject.CommonName
	id, err := tenant.Parse(name)
	if err != nil {
		return nil, id, fmt.Errorf("the client certificate's common name %q names no tenant: %w", name, err)
	}
	if !s.env.Tenant.IsZero() && id != s.env.Tenant {
		return nil, id, fmt.Errorf("the client certificate is of tenant %q, this listener is of %q", name, s.env.Tenant)
	}
	return tc, id, nil
}

// serve reads one connection to its end.
func (s *Source) serve(ctx, work context.Context, raw net.Conn, place string) error {
	c, id, err := s.owner(ctx, raw)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = raw.SetReadDeadline(time.Unix(1, 0)) })()
	b := &batch{s: s, tenant: id, place: place}
	f := &framer{max: s.o.MaxMessage}
	in := make([]byte, 32<<10)
	last := time.Now()
	for {
		wait := last.Add(s.o.Idle)
		if b.n > 0 {
			wait = b.since.Add(linger)
		}
		_ = raw.SetReadDeadline(wait)
		if ctx.Err() != nil { // set after ours, or before: either way it ends now
			_ = raw.SetReadDeadline(time.Unix(1, 0))
		}
		n, err := c.Read(in)
		if n > 0 {
			last = time.Now()
			f.add(in[:n])
			for {
				msg, ok, ferr := f.next()
				if ferr != nil {
					return errors.Join(ferr, b.flush(work))
				}
				if !ok {
					break
				}
				if err := b.add(work, msg); err != nil {
					return err
				}
			}
		}
		var timeout net.Error
		switch {
		case err == nil && (b.n == 0 || time.Since(b.since) < linger):
			continue
		case err != nil && (ctx.Err() != nil || !errors.As(err, &timeout) || !timeout.Timeout()):
			if rest := f.rest(); len(rest) > 0 {
				if err := b.add(work, rest); err != nil {
					return err
				}
			}
			return b.flush(work)
		}
		if err := b.flush(work); err != nil {
			return err
		}
		if time.Since(last) > s.o.Idle {
			return nil
		}
	}
}

// runPackets reads datagrams into a bounded queue, from which they are handed
// on; while it is full datagrams are dropped and counted.
func (s *Source) runPackets(ctx, work context.Context) error {
	queue := make(chan []byte, s.o.Queue)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := &batch{s: s, tenant: s.env.Tenant, place: s.run}
		tick := time.NewTicker(linger)
		defer tick.Stop()
		for {
			var err error
			select {
			case m, open := <-queue:
				if !open {
					if err := b.flush(work); err != nil {
						s.env.Logger.Error("syslog datagrams are lost at the shutdown", "err", err)
					}
					return
				}
				err = b.add(work, m)
			case <-tick.C:
				err = b.flush(work)
			}
			if err != nil {
				s.env.Logger.Error("syslog datagrams are lost", "err", err)
			}
		}
	}()
	defer func() { close(queue); <-done }()
	defer context.AfterFunc(ctx, func() { _ = s.packets.SetReadDeadline(time.Unix(1, 0)) })()
	defer s.packets.Close() //nolint:errcheck // read only
	in := make([]byte, 64<<10)
	for {
		n, _, err := s.packets.ReadFrom(in)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("syslog source %s: %w", s.env.Name, err)
		}
		m := bytes.Trim(in[:n], "\r\n\x00 ")
		if len(m) == 0 {
			continue
		}
		select {
		case queue <- bytes.Clone(m[:min(len(m), s.o.MaxMessage)]):
		default:
			s.env.Meter.Lost.Inc()
		}
	}
}

// batch gathers messages of one sender.
type batch struct {
	s      *Source
	tenant tenant.ID
	place  string
	buf    []byte
	n      int
	since  time.Time
	offset uint64
}

func (b *batch) add(ctx context.Context, msg []byte) error {
	if b.n == 0 {
		b.since = time.Now()
	}
	b.buf = line(b.buf, msg)
	if b.n++; b.n >= batchMessages || len(b.buf) >= batchBytes {
		return b.flush(ctx)
	}
	return nil
}

// flush hands the messages on. An error is final: what it lost is counted.
func (b *batch) flush(ctx context.Context) error {
	if b.n == 0 {
		return nil
	}
	res, err := b.s.env.Process(ctx, source.Piece{Tenant: b.tenant, Reader: bytes.NewReader(b.buf), Place: b.place, Offset: b.offset})
	if err != nil {
		b.s.env.Meter.Lost.Add(float64(b.n) - float64(min(uint64(b.n), res.Durable+res.DurableQuarantined)))
	}
	b.offset += uint64(len(b.buf))
	b.buf, b.n = b.buf[:0], 0
	return err
}
