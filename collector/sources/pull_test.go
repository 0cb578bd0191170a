package sources

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/collectortest"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

// product is a local server that behaves as an audit API is documented to:
// two records a page, a rate limit now and then, credentials, and records that
// are published late.
type product struct {
	mu       sync.Mutex
	records  []string // in the order they were published
	requests int
	limited  int
	foreign  int // requests without the credential
	url      string
}

func (p *product) publish(records ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records = append(p.records, records...)
}

func (p *product) page(at string) (records []string, next string) {
	i, _ := strconv.Atoi(at)
	j := min(i+2, len(p.records))
	i = min(i, j)
	if j < len(p.records) {
		next = strconv.Itoa(j)
	}
	return p.records[i:j], next
}

func (p *product) serve(want string, answer func(w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if r.Header.Get("Authorization") != want {
			p.foreign++
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		if p.requests++; p.requests%3 == 0 {
			p.limited++
			switch p.limited % 3 {
			case 0:
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(http.StatusTooManyRequests)
			case 1:
				w.Header().Set("X-Rate-Limit-Reset", strconv.FormatInt(time.Now().Unix(), 10))
				w.WriteHeader(http.StatusTooManyRequests)
			default:
				w.Header().Set("X-RateLimit-Remaining", "0")
				w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Unix(), 10))
				w.WriteHeader(http.StatusForbidden)
			}
			return
		}
		answer(w, r)
	}
}

func array(records []string) string { return "[" + strings.Join(records, ",\n") + "]" }

func TestPullConnectors(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(key)
	now := time.Now().UTC()
	tokens := func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Form.Get("client_secret") != "s3cret" && strings.Count(r.Form.Get("assertion"), ".") != 2 {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, `{"access_token":"t0ken","expires_in":3600}`)
	}
	for _, c := range []struct {
		kind    string
		auth    string
		options func(url string) map[string]any
		record  func(i int) string
		id      func(i int) string
		answer  func(p *product) func(http.ResponseWriter, *http.Request)
	}{
		{"okta", "SSWS s3cret", func(u string) map[string]any { return map[string]any{"url": u, "token_file": secret} },
			func(i int) string {
				return fmt.Sprintf(`{"uuid":"o%d","published":%q,"eventType":"user.session.start","outcome":{"result":"SUCCESS"},"actor":{"id":"u","type":"User","alternateId":"a@acme.example"},"client":{"ipAddress":"203.0.113.7"}}`, i, now.Format(time.RFC3339))
			}, func(i int) string { return fmt.Sprintf("o%d", i) },
			func(p *product) func(http.ResponseWriter, *http.Request) {
				return func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Query().Get("sortOrder") != "ASCENDING" {
						http.Error(w, "order", 400)
						return
					}
					at := r.URL.Query().Get("after")
					rs, _ := p.page(at)
					n, _ := strconv.Atoi(at)
					w.Header().Add("Link", `<`+p.url+`/api/v1/logs?sortOrder=ASCENDING>; rel="self"`)
					w.Header().Add("Link", fmt.Sprintf(`<%s/api/v1/logs?sortOrder=ASCENDING&after=%d>; rel="next"`, p.url, n+len(rs)))
					fmt.Fprint(w, array(rs))
				}
			}},
		{"github", "Bearer s3cret", func(u string) map[string]any { return map[string]any{"url": u, "org": "acme", "token_file": secret} },
			func(i int) string {
				return fmt.Sprintf(`{"_document_id":"g%d","@timestamp":%d,"action":"org.add_member","actor":"alice","org":"acme"}`, i, now.UnixMilli())
			}, func(i int) string { return fmt.Sprintf("g%d", i) },
			func(p *product) func(http.ResponseWriter, *http.Request) {
				return func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/orgs/acme/audit-log" || r.URL.Query().Get("order") != "asc" {
						http.Error(w, "path", 404)
						return
					}
					rs, next := p.page(r.URL.Query().Get("after"))
					if next != "" {
						w.Header().Set("Link", fmt.Sprintf(`<%s/orgs/acme/audit-log?order=asc&after=%s>; rel="next", <%s>; rel="first"`, p.url, next, p.url))
					}
					fmt.Fprint(w, array(rs))
				}
			}},
		{"slack", "Bearer s3cret", func(u string) map[string]any { return map[string]any{"url": u, "token_file": secret} },
			func(i int) string {
				return fmt.Sprintf(`{"id":"s%d","date_create":%d,"action":"user_login","actor":{"type":"user","user":{"id":"W1","name":"Al","email":"a@acme.example"}},"entity":{"type":"user","user":{"id":"W1"}},"context":{"ip_address":"203.0.113.7"}}`, i, now.Unix())
			}, func(i int) string { return fmt.Sprintf("s%d", i) },
			func(p *product) func(http.ResponseWriter, *http.Request) {
				return func(w http.ResponseWriter, r *http.Request) {
					rs, next := p.page(r.URL.Query().Get("cursor"))
					fmt.Fprintf(w, `{"entries":%s,"response_metadata":{"next_cursor":%q}}`, array(rs), next)
				}
			}},
		{"google_workspace", "Bearer t0ken", func(u string) map[string]any {
			b, _ := json.Marshal(map[string]string{"client_email": "x@y", "token_uri": u + "/token", "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))})
			account := filepath.Join(dir, "account.json")
			if err := os.WriteFile(account, b, 0o600); err != nil {
				t.Fatal(err)
			}
			return map[string]any{"url": u, "service_account_file": account, "admin": "a@acme.example", "applications": []string{"login"}}
		},
			func(i int) string {
				return fmt.Sprintf(`{"kind":"admin#reports#activity","id":{"time":%q,"uniqueQualifier":"%d","applicationName":"login","customerId":"C1"},"actor":{"email":"a@acme.example"},"ipAddress":"203.0.113.7","events":[{"type":"login","name":"login_success"}]}`, now.Format(time.RFC3339), i)
			}, nil,
			func(p *product) func(http.ResponseWriter, *http.Request) {
				return func(w http.ResponseWriter, r *http.Request) {
					rs, next := p.page(r.URL.Query().Get("pageToken"))
					if len(rs) == 0 {
						fmt.Fprint(w, `{"kind":"admin#reports#activities"}`)
						return
					}
					fmt.Fprintf(w, `{"items":%s,"nextPageToken":%q}`, array(rs), next)
				}
			}},
		{"microsoft365", "Bearer t0ken", func(u string) map[string]any {
			return map[string]any{"url": u, "login_url": u, "directory": "d1", "client_id": "c1", "client_secret_file": secret, "content": []string{"Audit.General"}}
		},
			func(i int) string {
				return fmt.Sprintf(`{"Id":"m%d","CreationTime":%q,"RecordType":15,"Operation":"UserLoggedIn","OrganizationId":"d1","UserType":0,"UserKey":"k","Workload":"AzureActiveDirectory","ResultStatus":"Success","UserId":"a@acme.example","ClientIP":"203.0.113.7"}`, i, now.Format("2006-01-02T15:04:05"))
			}, func(i int) string { return fmt.Sprintf("m%d", i) },
			func(p *product) func(http.ResponseWriter, *http.Request) {
				return func(w http.ResponseWriter, r *http.Request) {
					const base = "/api/v1.0/d1/activity/feed/"
					switch {
					case r.Method == http.MethodPost && r.URL.Path == base+"subscriptions/start":
						http.Error(w, `{"error":{"code":"AF20024","message":"The subscription is already enabled."}}`, 400)
					case r.URL.Path == base+"subscriptions/content":
						at := r.URL.Query().Get("nextPage")
						rs, next := p.page(at)
						if next != "" {
							w.Header().Set("NextPageUri", p.url+base+"subscriptions/content?nextPage="+next)
						}
						if len(rs) == 0 {
							fmt.Fprint(w, "[]")
							return
						}
						fmt.Fprintf(w, `[{"contentId":"x","contentUri":"%s%saudit/%s"}]`, p.url, base, at)
					case strings.HasPrefix(r.URL.Path, base+"audit/"):
						rs, _ := p.page(strings.TrimPrefix(r.URL.Path, base+"audit/"))
						fmt.Fprint(w, array(rs))
					default:
						http.Error(w, r.URL.Path, 404)
					}
				}
			}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			p := &product{}
			mux := http.NewServeMux()
			mux.HandleFunc("/token", tokens)
			mux.HandleFunc("/d1/oauth2/v2.0/token", tokens)
			mux.HandleFunc("/", p.serve(c.auth, c.answer(p)))
			srv := httptest.NewServer(mux)
			defer srv.Close()
			p.url = srv.URL
			const n = 9
			for i := range n {
				p.publish(c.record(i))
			}
			options := c.options(srv.URL)
			options["poll"] = "5ms"
			sink := collectortest.NewSink(1)
			sink.Chaos(true)
			state := t.TempDir()
			start := func(sink *collectortest.Sink) func() {
				s, err := New(source.Config{Name: "pull", Type: c.kind, Tenant: "acme", Options: options}, collectortest.Env(t, state, sink), metrics(t))
				if err != nil {
					t.Fatal(err)
				}
				return collectortest.Start(t, s)
			}
			stop := start(sink)
			collectortest.Eventually(t, "all that is published", func() bool { return sink.Events() == n })
			p.publish(c.record(n)) // late: its time is before that of some
			collectortest.Eventually(t, "what is published late", func() bool { return sink.Events() == n+1 })
			stop()
			if sink.Bad() != 0 || p.limited == 0 || p.foreign != 0 {
				t.Fatalf("%d bad, %d limited, %d without a credential", sink.Bad(), p.limited, p.foreign)
			}
			if c.id != nil {
				for i := range n + 1 {
					if !sink.Has(c.id(i)) {
						t.Fatalf("record %d has another id", i)
					}
				}
			}
			// After a restart it goes on.
			next := collectortest.NewSink(1)
			p.publish(c.record(n + 1))
			stop = start(next)
			collectortest.Eventually(t, "what came while it was down", func() bool { return next.Events() > 0 && (c.id == nil || next.Has(c.id(n+1))) })
			stop()
		})
	}
}
