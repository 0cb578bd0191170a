package httppush

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/collectortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keys knows the keys it is made of.
type keys map[string]collector.IngestKey

func (k keys) ResolveIngestKey(_ context.Context, bearer string) (collector.IngestKey, error) {
	if bearer == "broken" {
		return collector.IngestKey{}, context.DeadlineExceeded
	}
	key, ok := k[bearer]
	if !ok {
		return key, collector.ErrUnauthorized
	}
	return key, nil
}

var testKeys = keys{
	"secret":   {Tenant: collectortest.Tenant, ID: "k1", Name: "web"},
	"unnamed":  {Tenant: collectortest.Tenant, ID: "k2"},
	"orphaned": {ID: "k3"},
}

// start serves a handler on a port of the system's choice.
func start(t *testing.T, h http.Handler, grace time.Duration) (url string, client *http.Client, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := NewServer(ServerOptions{Listener: ln, Handler: h, Grace: grace})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	transport := &http.Transport{}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
		transport.CloseIdleConnections()
	}
	t.Cleanup(stop)
	return "http://" + ln.Addr().String() + "/v1/events", &http.Client{Transport: transport}, stop
}

func TestContract(t *testing.T) {
	collectortest.Run(t, collectortest.Options{Start: func(t *testing.T, sink collector.Sink) collectortest.Source {
		h, err := New(Options{Keys: testKeys, Sink: sink})
		if err != nil {
			t.Fatal(err)
		}
		url, client, stop := start(t, h, time.Minute)
		return collectortest.Source{
			Send: func(ctx context.Context, body string) bool {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return false
				}
				req.Header.Set("Authorization", "Bearer secret")
				resp, err := client.Do(req)
				if err != nil {
					return false
				}
				defer resp.Body.Close()
				return resp.StatusCode == http.StatusAccepted
			},
			Stop: stop,
		}
	}})
}
