package syslog

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/collectortest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T, sink collector.Sink, o Options, owner tenant.ID) (*Source, func()) {
	t.Helper()
	e := collectortest.Env(t, t.TempDir(), sink)
	e.Tenant = owner
	s, err := New(e, o)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Source), collectortest.Start(t, s)
}

const msg = `<86>1 2026-03-01T09:15:02Z web1 app - login - {"time":"2026-03-01T09:15:02Z","actor":"a","action":"login","id":"%s"}`

func TestTCPBothFramings(t *testing.T) {
	sink := collectortest.NewSink(1)
	s, stop := listen(t, sink, Options{Listen: "tcp://127.0.0.1:0"}, collectortest.Tenant)
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	one := fmt.Sprintf(msg, "counted\n1")
	two := fmt.Sprintf(msg, "line")
	fmt.Fprintf(c, "%d %s%s\n<13>Mar  1 09:15:02 web1 sshd[1]: Failed password for root from 203.0.113.7 port 52100 ssh2\n", len(one), strings.Replace(one, "\n", "\n", 1), two)
	// A message is handed on although nothing follows it.
	collectortest.Eventually(t, "the messages", func() bool { return sink.Events()+sink.Bad() == 3 })
	if !sink.Has("line") {
		t.Fatal("the JSON in a message was not read")
	}
	// The last line of a sender that goes away needs no end; what is received
	// at a shutdown is handed on.
	fmt.Fprintf(c, msg, "last")
	c.Close()
	collectortest.Eventually(t, "the last", func() bool { return sink.Has("last") })
	stop()
}

// The sink fails at random: senders are held back and nothing is lost; at a
// clean shutdown what was received is handed on.
func TestNothingIsLostOverTCP(t *testing.T) {
	sink := collectortest.NewSink(1)
	sink.Chaos(true)
	s, stop := listen(t, sink, Options{Listen: "tcp://127.0.0.1:0"}, collectortest.Tenant)
	const conns, each = 4, 500
	for i := range conns {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for j := range each {
			fmt.Fprintf(&b, msg+"\n", fmt.Sprintf("%d-%d", i, j))
		}
		if _, err := c.Write([]byte(b.String())); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	collectortest.Eventually(t, "all", func() bool { return sink.Events() == conns*each })
	stop()
}

func TestStalledSinkHoldsSendersBack(t *testing.T) {
	sink := collectortest.NewSink(1)
	release := sink.Stall()
	s, stop := listen(t, sink, Options{Listen: "tcp://127.0.0.1:0"}, collectortest.Tenant)
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(fmt.Sprintf(msg, "x") + strings.Repeat(" ", 1000) + "\n")
	sent := 0
	_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
	for ; sent < 64<<20; sent += len(line) {
		if _, err := c.Write(line); err != nil {
			break
		}
	}
	if sent >= 64<<20 {
		t.Fatal("64 MiB were taken while the sink stalled")
	}
	release()
	c.Close()
	stop()
}

func TestUDP(t *testing.T) {
	sink := collectortest.NewSink(1)
	s, stop := listen(t, sink, Options{Listen: "udp://127.0.0.1:0", Queue: 4}, collectortest.Tenant)
	c, err := net.Dial("udp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := 0
	collectortest.Eventually(t, "datagrams arrive", func() bool {
		fmt.Fprintf(c, msg, fmt.Sprint(n))
		n++
		return sink.Events() > 3
	})
	// The same text twice is two messages.
	before := sink.Events()
	const plain = "<13>Mar  1 09:15:02 web1 sshd[1]: Failed password for root from 203.0.113.7 port 52100 ssh2"
	collectortest.Eventually(t, "the same again", func() bool { fmt.Fprint(c, plain); return sink.Events() > before+2 })
	stop()
}

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (a *authority) issue(t *testing.T, name string) (certPEM, keyPEM []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true}
	parent, signer := a.cert, a.key
	if parent == nil {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
		parent, signer = c, k
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &k.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert == nil {
		a.key = k
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
	}
	kd, _ := x509.MarshalECPrivateKey(k)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: kd})
}

func TestClientCertificateNamesTheTenant(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	ca, stranger := &authority{}, &authority{}
	caPEM, _ := ca.issue(t, "ca")
	stranger.issue(t, "other ca")
	cert, key := ca.issue(t, "server")
	o := Options{Listen: "tls://127.0.0.1:0", Cert: file("c.pem", cert), Key: file("k.pem", key), ClientCA: file("ca.pem", caPEM)}
	sink := collectortest.NewSink(1)
	s, stop := listen(t, sink, o, tenant.ID{})
	defer stop()
	bound, stopBound := listen(t, sink, o, collectortest.Tenant)
	defer stopBound()
	send := func(s *Source, a *authority, name, id string) (refused bool) {
		t.Helper()
		cfg := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		cfg.RootCAs.AppendCertsFromPEM(caPEM)
		if a != nil {
			c, k := a.issue(t, name)
			pair, err := tls.X509KeyPair(c, k)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Certificates = []tls.Certificate{pair}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", s.Addr().String())
		if err != nil {
			return true
		}
		defer c.Close()
		fmt.Fprintf(c, msg+"\n", id)
		if before := sink.Has(id); before {
			t.Fatal("sent before")
		}
		// The server closes what it refuses, and keeps what it takes open.
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		done := make(chan bool, 1)
		go func() { _, err := c.Read(make([]byte, 1)); done <- err != nil }()
		for {
			select {
			case <-done:
				return !sink.Has(id)
			case <-time.After(2 * time.Millisecond):
				if sink.Has(id) {
					c.Close()
					<-done
					return false
				}
			}
		}
	}
	if send(s, ca, "globex", "g1") || !sink.ByTenant()["globex"] {
		t.Fatal("the certificate's tenant did not get its message")
	}
	if send(bound, ca, "acme", "a1") || !sink.ByTenant()["acme"] {
		t.Fatal("the listener's own tenant was refused")
	}
	for name, refused := range map[string]bool{
		"no certificate": send(s, nil, "", "x1"), "another authority": send(s, stranger, "globex", "x2"), "no tenant's name": send(s, ca, "Not A Tenant", "x3"), "another tenant": send(bound, ca, "globex", "x4"),
	} {
		if !refused {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {Listen: "127.0.0.1:514"}, {Listen: "http://x:1"}, {Listen: "tls://x:1"}, {Listen: "udp://x:1", Cert: "c"}, {Listen: "tcp://x"}, {Listen: "tcp://x:1", Queue: -1}} {
		if check(&o) == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

func FuzzFramer(f *testing.F) {
	f.Add([]byte("5 hello3 abc\n<13>x\n"), 3)
	f.Add([]byte("999999999 "), 1)
	f.Add([]byte("2026-03-01T09:15:02Z h a: b\n"), 2)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		if step < 1 || step > 1<<20 {
			step = 7
		}
		fr := &framer{max: 64}
		total := 0
		for i := 0; i < len(in); i += step {
			fr.add(in[i:min(i+step, len(in))])
			for {
				m, ok, err := fr.next()
				if err != nil {
					return
				}
				if !ok {
					break
				}
				if total += len(m); len(m) > fr.max || total > len(in) {
					t.Fatalf("a message of %d bytes, %d of %d in all", len(m), total, len(in))
				}
			}
			if len(fr.buf) > fr.max+step+16 {
				t.Fatalf("%d bytes are held", len(fr.buf))
			}
		}
		fr.rest()
	})
}
