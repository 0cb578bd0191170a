package egress_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/core/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newEgress(t *testing.T, o egress.Options) *egress.Egress {
	t.Helper()
	e, err := egress.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.CloseIdleConnections)
	return e
}

// TestAddresses: which may be dialled, and in which clothes the others come.
func TestAddresses(t *testing.T) {
	t.Parallel()
	e := newEgress(t, egress.Options{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("fd00:9::/32")}})
	for addr, open := range map[string]bool{
		"93.184.215.14": true, "2606:2800:21f:cb07:6820:80da:af6b:8b2c": true, "10.9.1.2": true, "fd00:9::1": true,
		"::ffff:93.184.215.14": true,
		"127.0.0.1":            false, "127.9.9.9": false, "0.0.0.0": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "100.100.100.200": false, "192.0.0.192": false, "224.0.0.1": false, "255.255.255.255": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fd00:ec2::254": false, "fd00::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false,
		"2002:7f00:1::": false, "2002:a9fe:a9fe::1": false, "2001:0:7f00:1::": false, "2001:0:4136:e378:8000:63bf:80ff:fffe": false,
		"2a00:1450:4001::5efe:10.0.0.1": false, "2a00:1450:4001::200:5efe:192.168.0.1": false,
	} {
		err := e.Check(netip.MustParseAddr(addr))
		if (err == nil) != open || err != nil && !errors.Is(err, egress.ErrRefused) {
			t.Errorf("%s: %v, want open %v", addr, err, open)
		}
	}
}

func FuzzAddresses(f *testing.F) {
	f.Add(netip.MustParseAddr("::ffff:10.0.0.1").AsSlice())
	f.Add([]byte{127, 0, 0, 1})
	f.Add(netip.MustParseAddr("2002:7f00:1::").AsSlice())
	e, err := egress.New(egress.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok || e.Check(a) != nil {
			return
		}
		for _, x := range []netip.Addr{a, a.Unmap()} {
			if x.IsLoopback() || x.IsPrivate() || x.IsLinkLocalUnicast() || x.IsUnspecified() || x.IsMulticast() {
				t.Fatalf("%s may be dialled", a)
			}
		}
	})
}

// rebinder is a real DNS server whose name leads to a public address first and
// to the loopback from the second question on, with no time to live.
func rebinder(t *testing.T, first string) (*net.Resolver, *atomic.Int32) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	srv := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			ip := "127.0.0.1"
			if asked.Add(1) == 1 {
				ip = first
			}
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(ip)})
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan error, 1)
	go func() { done <- srv.ActivateAndServe() }()
	t.Cleanup(func() { _ = srv.Shutdown(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}, &asked
}

// TestRebinding: a name that passes a look at its address and then leads to
// the loopback reaches nothing. The control shows that the trap works on a
// client that looks first and dials afterwards.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(srv.Close)
	port := srv.URL[strings.LastIndex(srv.URL, ":"):]
	const name = "rebind.example"

	look := func(r *net.Resolver, e *egress.Egress) error {
		ips, err := r.LookupNetIP(t.Context(), "ip4", name+".")
		if err != nil || len(ips) != 1 {
			t.Fatal(ips, err)
		}
		return e.Check(ips[0])
	}
	get := func(c *http.Client) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+name+"."+port, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		return err
	}

	naive, asked := rebinder(t, "93.184.215.14")
	guardOfNaive := newEgress(t, egress.Options{Resolver: naive})
	if err := look(naive, guardOfNaive); err != nil {
		t.Fatalf("the first answer is refused: %v", err)
	}
	tr := &http.Transport{DialContext: (&net.Dialer{Resolver: naive}).DialContext}
	defer tr.CloseIdleConnections()
	if err := get(&http.Client{Transport: tr}); err != nil || reached.Load() != 1 {
		t.Fatalf("the control did not reach the loopback: %v, %d requests, %d questions", err, reached.Load(), asked.Load())
	}

	r, asked := rebinder(t, "93.184.215.14")
	e := newEgress(t, egress.Options{Resolver: r})
	if err := look(r, e); err != nil {
		t.Fatal(err)
	}
	if err := get(e.Client()); !errors.Is(err, egress.ErrRefused) {
		t.Fatalf("rebound name: %v", err)
	}
	if _, err := e.DialContext(t.Context(), "tcp", name+"."+port); !errors.Is(err, egress.ErrRefused) {
		t.Fatalf("rebound name, dialled: %v", err)
	}
	if _, err := e.DialTLS(t.Context(), "tcp", name+"."+port); !errors.Is(err, egress.ErrRefused) {
		t.Fatalf("rebound name, over TLS: %v", err)
	}
	if reached.Load() != 1 || asked.Load() < 2 {
		t.Fatalf("%d requests reached the loopback, %d questions", reached.Load(), asked.Load())
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	var second atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/second", http.StatusFound) })
	mux.HandleFunc("/second", func(http.ResponseWriter, *http.Request) { second.Add(1) })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20)) })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "60"); w.WriteHeader(503) })
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	loop := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	e := newEgress(t, egress.Options{AllowNetworks: loop, MaxAnswer: 1000})
	do := func(e *egress.Egress, path string) egress.Answer {
		req, err := http.NewRequest(http.MethodGet, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := e.Do(t.Context(), req, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := do(e, "/moved"); a.Status != 302 || !strings.Contains(a.Err, "redirects are not followed") || second.Load() != 0 {
		t.Errorf("redirect: %+v", a)
	}
	if a := do(e, "/long"); a.Err != "" || len(a.Body) != 1000 {
		t.Errorf("long answer: %d bytes, %q", len(a.Body), a.Err)
	}
	if a := do(e, "/busy"); a.Status != 503 || !a.RetryAfter.Equal(time.Unix(60, 0)) {
		t.Errorf("busy: %+v", a)
	}
	quick := newEgress(t, egress.Options{AllowNetworks: loop, Timeout: 50 * time.Millisecond})
	if a := do(quick, "/slow"); a.Status != 0 || a.Err != "no answer in time" {
		t.Errorf("slow: %+v", a)
	}
	shut := newEgress(t, egress.Options{})
	if a := do(shut, "/second"); a.Err != egress.ErrRefused.Error() || second.Load() != 0 {
		t.Errorf("loopback: %+v", a)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []egress.Options{{Timeout: -1}, {MaxAnswer: -1}, {AllowNetworks: make([]netip.Prefix, 1)}} {
		if _, err := egress.New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
