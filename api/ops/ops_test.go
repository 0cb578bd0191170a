package ops

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec.Code, rec.Body.String()
}

func TestReadiness(t *testing.T) {
	var broken error
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tenantwatch_test"}, func() float64 { return 42 }))
	s, err := New(Options{Gatherer: reg, Version: "1.2.3", CheckTimeout: 20 * time.Millisecond, Checks: []Check{
		{Name: "postgres", Probe: func(context.Context) error { return broken }, Detail: func() string { return "a detail" }},
		{Name: "slow", Probe: func(ctx context.Context) error {
			if broken == nil {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, s, "/readyz"); code != 200 || !strings.Contains(body, `"status":"ok"`) || !strings.Contains(body, `"name":"postgres","ok":true`) {
		t.Errorf("ready: %d %s", code, body)
	}
	broken = errors.New("connection refused")
	if code, body := get(t, s, "/readyz"); code != 503 || !strings.Contains(body, `"ok":false,"error":"connection refused"`) || !strings.Contains(body, "deadline exceeded") {
		t.Errorf("failing: %d %s", code, body)
	}
	if code, body := get(t, s, "/livez"); code != 200 || !strings.Contains(body, "1.2.3") {
		t.Errorf("live while not ready: %d %s", code, body)
	}
	broken = nil
	s.Drain()
	if code, body := get(t, s, "/readyz"); code != 503 || !strings.Contains(body, "draining") {
		t.Errorf("draining: %d %s", code, body)
	}
	if code, body := get(t, s, "/metrics"); code != 200 || !strings.Contains(body, "tenantwatch_test 42") {
		t.Errorf("metrics: %d %s", code, body)
	}
	if code, _ := get(t, s, "/debug/pprof/"); code != 404 {
		t.Errorf("profiles without being asked for: %d", code)
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a port without metrics was made")
	}
	if _, err := New(Options{Gatherer: reg, Checks: []Check{{Name: "x"}}}); err == nil {
		t.Error("a check without a probe was taken")
	}
}

func TestRun(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Gatherer: prometheus.NewRegistry(), Pprof: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	resp, err := http.Get("http://" + ln.Addr().String() + "/debug/pprof/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), "goroutine") {
		t.Errorf("profiles: %d %v", resp.StatusCode, err)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if code, _ := get(t, s, "/readyz"); code != 503 {
		t.Error("ready after the end")
	}
}
