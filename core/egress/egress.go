// Package egress makes the connections that lead to addresses which somebody
// else chose: webhooks, log streams, and whatever a tenant may name.
//
// Invariant: an address is checked as it is dialled, after its name was
// resolved, so that a name which resolves differently the second time gains
// nothing. Private, loopback, link-local and reserved networks, cloud metadata
// services, and IPv6 addresses that carry such an IPv4 address inside are
// refused unless Options.AllowNetworks holds them. Redirects are not followed,
// the environment's proxy is not used, an answer is read up to a bound of size
// and time. The package knows nobody.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// ErrRefused is in the chain of an error when the address dialled is one that
// must not be reached.
var ErrRefused = errors.New("refused: the address is private, loopback, link-local or reserved; the operator may allow its network")

// Options is what New needs; all may be left out.
type Options struct {
	// AllowNetworks are those that may be dialled although they are private,
	// loopback, link-local or reserved; none by default. An IPv6 address that
	// embeds an IPv4 one is held to the IPv4 networks.
	AllowNetworks []netip.Prefix
	// RootCAs replaces the system's.
	RootCAs *x509.CertPool
	// Timeout bounds dialling, the TLS handshake, the wait for an answer's
	// head, and with Do the whole exchange; default 10 s.
	Timeout time.Duration
	// MaxAnswer is how many bytes of an answer Do reads; default 64 KiB.
	MaxAnswer int64
	// Resolver replaces the system's.
	Resolver *net.Resolver
}

const maxHeaders = 32 << 10

// Egress dials with the guard. Safe for concurrent use.
type Egress struct {
	o      Options
	guard  *ssrf.Guardian
	dialer *net.Dialer
	client *http.Client
}

// New validates; nothing is dialled.
func New(o Options) (*Egress, error) {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.MaxAnswer == 0 {
		o.MaxAnswer = 64 << 10
	}
	if o.Timeout < 0 || o.MaxAnswer < 0 {
		return nil, errors.New("egress: Timeout and MaxAnswer must not be negative")
	}
	var v4, v6 []netip.Prefix
	for _, p := range o.AllowNetworks {
		switch {
		case !p.IsValid():
			return nil, errors.New("egress: AllowNetworks holds an invalid network")
		case p.Addr().Is4():
			v4 = append(v4, p)
		default:
			v6 = append(v6, p)
		}
	}
	e := &Egress{o: o, guard: ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))}
	e.dialer = &net.Dialer{Timeout: o.Timeout, Control: e.control, Resolver: o.Resolver}
	e.client = &http.Client{
		Transport: &http.Transport{
			DialContext:            e.dialer.DialContext,
			Proxy:                  nil, // a proxy would be what is checked, not the endpoint
			TLSClientConfig:        e.TLS(""),
			TLSHandshakeTimeout:    o.Timeout,
			ResponseHeaderTimeout:  o.Timeout,
			MaxResponseHeaderBytes: maxHeaders,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true, // a small answer could unpack to a large one
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return e, nil
}

// control sees each address just before it is connected to.
func (e *Egress) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w (%s)", ErrRefused, network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %q is no address", ErrRefused, address)
	}
	return e.Check(ap.Addr())
}

// Check says whether an address may be dialled; ErrRefused when not.
func (e *Egress) Check(a netip.Addr) error {
	a = a.WithZone("").Unmap() // a mapped address is the same host by its other name
	for _, v4 := range embedded(a) {
		if e.guard.SafeAddr(v4) != nil { // even where the operator allows a NAT64 prefix
			return ErrRefused
		}
	}
	if e.guard.SafeAddr(a) != nil {
		return ErrRefused
	}
	return nil
}

// embedded are the IPv4 addresses that an IPv6 address may lead to:
// compatible (::/96, less :: and ::1), NAT64 (64:ff9b::/96, RFC 6052), 6to4
// (2002::/16), Teredo's server and client (2001::/32, the client's bits
// inverted) and ISATAP (interface id 0:5efe:a.b.c.d or 200:5efe:a.b.c.d).
func embedded(a netip.Addr) (out []netip.Addr) {
	if !a.Is6() {
		return nil
	}
	b := a.As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	head := binary.BigEndian.Uint32(b[:4])
	switch {
	case [12]byte(b[:12]) == [12]byte{} && binary.BigEndian.Uint32(b[12:]) > 1, [12]byte(b[:12]) == [12]byte{0, 0x64, 0xff, 0x9b}:
		out = append(out, at(12))
	case head>>16 == 0x2002:
		out = append(out, at(2))
	case head == 0x20010000:
		c := at(12).As4()
		for i := range c {
			c[i] = ^c[i]
		}
		out = append(out, at(4), netip.AddrFrom4(c))
	}
	if b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		out = append(out, at(12))
	}
	return out
}

// Client is the HTTP client. It follows no redirect and reads no more than
// 32 KiB of headers; bounding the body is the caller's, or use Do.
func (e *Egress) Client() *http.Client { return e.client }

// CloseIdleConnections closes what is kept alive.
func (e *Egress) CloseIdleConnections() { e.client.CloseIdleConnections() }

// Timeout is what Options said, or the default.
func (e *Egress) Timeout() time.Duration { return e.o.Timeout }

// DialContext connects to host:port over tcp, whatever kind of protocol is
// spoken then.
func (e *Egress) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return e.dialer.DialContext(ctx, network, address)
}

// DialTLS connects to host:port over TLS 1.2 or later, holding the certificate
// to the host's name.
func (e *Egress) DialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return (&tls.Dialer{NetDialer: e.dialer, Config: e.TLS(host)}).DialContext(ctx, network, address)
}

// TLS is the client's side of a handshake with host, e.g. for STARTTLS.
func (e *Egress) TLS(host string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: e.o.RootCAs, ServerName: host}
}

// Answer is what came of one request.
type Answer struct {
	Status     int // 0: none
	Header     http.Header
	Body       []byte // the first Options.MaxAnswer bytes
	Err        string // why it is no success, for its owner; empty for 2xx
	Latency    time.Duration
	RetryAfter time.Time // zero: not asked for
}

// Do makes one request and reads the answer, within Options.Timeout and
// Options.MaxAnswer. What the other side does wrong is in Answer.Err; the error
// is ctx's own, when it is done. now is the clock against which Retry-After
// counts.
func (e *Egress) Do(ctx context.Context, req *http.Request, now time.Time) (Answer, error) {
	rctx, cancel := context.WithTimeout(ctx, e.o.Timeout)
	defer cancel()
	start := time.Now()
	res, err := e.client.Do(req.WithContext(rctx))
	if err != nil {
		if ctx.Err() != nil {
			return Answer{}, ctx.Err()
		}
		return Answer{Err: Reason(err), Latency: time.Since(start)}, nil
	}
	defer func() { _ = res.Body.Close() }()
	text, readErr := io.ReadAll(io.LimitReader(res.Body, e.o.MaxAnswer))
	if ctx.Err() != nil {
		return Answer{}, ctx.Err()
	}
	a := Answer{Status: res.StatusCode, Header: res.Header, Body: text, Latency: time.Since(start)}
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		a.Err = fmt.Sprintf("%d: redirects are not followed; register the address they lead to", res.StatusCode)
	case res.StatusCode < 200 || res.StatusCode >= 300:
		a.Err = http.StatusText(res.StatusCode)
		if a.Err == "" {
			a.Err = "status " + strconv.Itoa(res.StatusCode)
		}
	case readErr != nil:
		a.Err = "the answer broke off: " + Reason(readErr)
	}
	a.RetryAfter = RetryAfter(res.Header.Get("Retry-After"), now)
	return a, nil
}

// Reason puts a transport's error for the endpoint's owner: without the url,
// which may hold a secret, and without the addresses of our own network.
func Reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, ErrRefused):
		return ErrRefused.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &dns):
		return "the host's name does not resolve"
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer in time"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}

// RetryAfter reads the header, seconds or a date, as RFC 9110 defines it; zero
// when there is none that makes sense.
func RetryAfter(s string, now time.Time) time.Time {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return now.Add(time.Duration(n) * time.Second)
	}
	if t, err := http.ParseTime(s); err == nil && t.After(now) {
		return t
	}
	return time.Time{}
}
