package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// issue writes a fresh certificate for the loopback address and gives its
// serial number.
func issue(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path+".new", time.Time{}, time.Now().Add(time.Duration(serial)*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTLS: the server speaks TLS and HTTP/2 with a certificate from files, and
// with the next one when the files change, without a restart.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	issue(t, dir, 1)
	l := run(t, newWorld(), func(o *Options) { o.TLSCert, o.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem") })
	ask := func() (serial int64, proto string) {
		t.Helper()
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableKeepAlives: true} // #nosec G402 -- which certificate it is, is what is looked at
		defer tr.CloseIdleConnections()
		r, err := http.NewRequest(http.MethodGet, strings.Replace(l.url, "http:", "https:", 1)+"/openapi.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: tr}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		if resp.Header.Get("Strict-Transport-Security") == "" {
			t.Error("no Strict-Transport-Security over TLS")
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64(), resp.Proto
	}
	if serial, proto := ask(); serial != 1 || proto != "HTTP/2.0" {
		t.Errorf("certificate %d, %s", serial, proto)
	}
	issue(t, dir, 2)
	for deadline := time.Now().Add(time.Minute); ; {
		if serial, _ := ask(); serial == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not used")
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if serial, _ := ask(); serial != 2 {
		t.Errorf("certificate %d after the file was broken", serial)
	}
	s := newWorld().server(t, func(o *Options) { o.TLSCert, o.TLSKey = "/does/not/exist", "/does/not/exist" })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), ln); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without a certificate: %v", err)
	}
}

func TestCORS(t *testing.T) {
	closed, open := newWorld().server(t), newWorld().server(t, func(o *Options) { o.Origins = []string{"https://portal.example"} })
	preflight := ask{method: "OPTIONS", path: "/api/v1/alerts", header: map[string]string{"Origin": "https://portal.example", "Access-Control-Request-Method": "GET"}}
	if rec := preflight.do(t, closed); rec.Code == 204 || rec.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("closed by default: %d %v", rec.Code, rec.Header())
	}
	rec := preflight.do(t, open)
	if rec.Code != 204 || rec.Header().Get("Access-Control-Allow-Origin") != "https://portal.example" || rec.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d %v", rec.Code, rec.Header())
	}
	from := func(origin string) string {
		return ask{who: "admin", path: "/api/v1/alerts", header: map[string]string{"Origin": origin}}.want(t, open, 200).Header().Get("Access-Control-Allow-Origin")
	}
	if from("https://portal.example") != "https://portal.example" || from("https://evil.example") != "" || from("null") != "" {
		t.Error("the wrong origins are allowed")
	}
	// a cookie of ours is of no use to another site, allowed or not
	ask{who: "cookie:admin", method: "POST", path: "/api/v1/keys", body: `{"name":"k","kind":"ingest"}`, header: map[string]string{"Origin": "https://portal.example"}}.wantProblem(t, open, "csrf")
}

func TestZstd(t *testing.T) {
	w := newWorld()
	for range 50 {
		w.keys = append(w.keys, w.keys[0])
	}
	s := w.server(t)
	plain := ask{who: "admin", path: "/api/v1/keys"}.want(t, s, 200).Body.String()
	rec := ask{who: "admin", path: "/api/v1/keys", header: map[string]string{"Accept-Encoding": "gzip, zstd"}}.want(t, s, 200)
	if rec.Header().Get("Content-Encoding") != "zstd" {
		t.Fatalf("%v", rec.Header())
	}
	d, err := zstd.NewReader(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if b, err := io.ReadAll(d); err != nil || string(b) != plain {
		t.Errorf("%d bytes, want %d: %v", len(b), len(plain), err)
	}
	if rec := (ask{who: "admin", path: "/api/v1/keys", header: map[string]string{"Accept-Encoding": "zstd;q=0, gzip"}}).want(t, s, 200); rec.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("refused zstd: %v", rec.Header())
	}
}
