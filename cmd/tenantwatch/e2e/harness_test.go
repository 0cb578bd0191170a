//go:build integration

// Package e2e runs the built binary as its users do, on real parts, and looks
// at it from outside only: HTTP, files, exit codes, processes. `make build`
// makes the binary; TENANTWATCH_TEST_BINARY names another.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func root(t testing.TB) string {
	t.Helper()
	d, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func binary(t testing.TB) string {
	t.Helper()
	p := os.Getenv("TENANTWATCH_TEST_BINARY")
	if p == "" {
		p = filepath.Join(root(t), "bin", "tenantwatch")
	}
	if _, err := os.Stat(p); err != nil {
		t.Fatalf("the binary is not built: run `make build` first (%v)", err)
	}
	return p
}

// shared is a file of the shared data; its absence fails in CI and skips
// elsewhere.
func shared(t testing.TB, name string) string {
	t.Helper()
	p := filepath.Join(root(t), "..", "shared", "data", name)
	if _, err := os.Stat(p); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the shared data are missing: %v", err)
		}
		t.Skipf("the shared data are not here, this test needs them: %v", err)
	}
	return p
}

// freeAddr is a loopback address nobody listens on just now.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// dataDir is a directory the unprivileged PostgreSQL user can reach, removed
// at the end.
func dataDir(t testing.TB) string {
	t.Helper()
	d, err := os.MkdirTemp("/var/tmp", "tw-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(d, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(d) })
	return filepath.Join(d, "data")
}

// instance is one running `tenantwatch up`.
type instance struct {
	t                   testing.TB
	dir                 string
	api, collector, ops string // base URLs
	cmd                 *exec.Cmd
	done                chan struct{}
	err                 error
	mu                  sync.Mutex
	stdout, stderr      bytes.Buffer
	token               string
	extra               []string
	browsers            int // so far
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

// up starts an instance and waits until it is ready.
func up(t testing.TB, dir string, extra ...string) *instance {
	t.Helper()
	i := &instance{t: t, dir: dir, extra: extra}
	a, c, o := freeAddr(t), freeAddr(t), freeAddr(t)
	i.api, i.collector, i.ops = "http://"+a, "http://"+c, "http://"+o
	i.start()
	t.Cleanup(i.kill)
	return i
}

// start (again) on the same addresses and data.
func (i *instance) start() {
	i.t.Helper()
	args := append([]string{"up", "--data-dir", i.dir, "--listen-api", i.api[7:], "--listen-collector", i.collector[7:], "--listen-ops", i.ops[7:]}, i.extra...)
	i.cmd = exec.Command(binary(i.t), args...)
	i.cmd.Stdout, i.cmd.Stderr = lockedWriter{&i.mu, &i.stdout}, lockedWriter{&i.mu, &i.stderr}
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := i.cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	i.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) { i.err = cmd.Wait(); close(done) }(i.cmd, i.done)
	deadline := time.Now().Add(90 * time.Second)
	for {
		resp, err := http.Get(i.ops + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == 200 {
				break
			}
		}
		select {
		case <-i.done:
			i.t.Fatalf("up ended early: %v\n%s", i.err, i.log())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("not ready after 90 s\n%s", i.log())
		}
	}
	b, err := os.ReadFile(filepath.Join(i.dir, "operator.json"))
	if err != nil {
		i.t.Fatal(err)
	}
	var op struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(b, &op); err != nil {
		i.t.Fatal(err)
	}
	i.token = op.Token
}

func (i *instance) log() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.stdout.String() + i.stderr.String()
}

// kill ends the process at once; its children must follow by themselves.
func (i *instance) kill() {
	_ = i.cmd.Process.Kill()
	<-i.done
}

// stop asks it to end and returns how it did.
func (i *instance) stop() error {
	_ = i.cmd.Process.Signal(syscall.SIGTERM)
	<-i.done
	return i.err
}

// call is one API request with a bearer; body is sent as JSON unless nil.
func (i *instance) call(token, method, path string, body any) (int, []byte) {
	i.t.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			i.t.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, i.api+path, r)
	if err != nil {
		i.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		i.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	return resp.StatusCode, b
}

// get decodes an answer of 200 into v.
func (i *instance) get(token, path string, v any) {
	i.t.Helper()
	code, b := i.call(token, http.MethodGet, path, nil)
	if code != 200 {
		i.t.Fatalf("GET %s: %d %s", path, code, b)
	}
	if err := json.Unmarshal(b, v); err != nil {
		i.t.Fatalf("GET %s: %v in %s", path, err, b)
	}
}

// tenant makes a tenant and gives an ingest key of it.
func (i *instance) tenant(id string) (key string) {
	i.t.Helper()
	if code, b := i.call(i.token, http.MethodPost, "/api/v1/tenants", map[string]any{"id": id, "name": strings.ToUpper(id)}); code != 201 {
		i.t.Fatalf("creating %s: %d %s", id, code, b)
	}
	return i.key(id, map[string]any{"kind": "ingest", "name": "e2e"})
}

// key makes a key of a tenant and gives its secret.
func (i *instance) key(id string, body map[string]any) string {
	i.t.Helper()
	body["tenant_id"] = id
	code, b := i.call(i.token, http.MethodPost, "/api/v1/keys", body)
	if code != 201 {
		i.t.Fatalf("key of %s: %d %s", id, code, b)
	}
	var out struct{ Secret string }
	if err := json.Unmarshal(b, &out); err != nil || out.Secret == "" {
		i.t.Fatalf("key of %s: %v in %s", id, err, b)
	}
	return out.Secret
}

// pushed is the collector's answer.
type pushed struct {
	Status                                 int
	Accepted, Quarantined, Repeats, Folded uint64
	DurableIn                              string `json:"durable_in"`
	Errors                                 []struct {
		Line   uint64
		Reason string
	}
}

// push posts a body; an error is that of the connection.
func (i *instance) push(key, query string, body io.Reader) (pushed, error) {
	req, err := http.NewRequest(http.MethodPost, i.collector+"/v1/events"+query, body)
	if err != nil {
		return pushed{}, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return pushed{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return pushed{}, err
	}
	out := pushed{Status: resp.StatusCode}
	if resp.StatusCode == http.StatusAccepted {
		return out, json.Unmarshal(b, &out)
	}
	return out, fmt.Errorf("status %d: %s", resp.StatusCode, b)
}

// account is what the store says it took of a tenant.
type account struct {
	Received, Stored, Occurrences, Duplicates, Quarantined uint64
	InFlight                                               uint64 `json:"in_flight"`
}

func (i *instance) account(id string) (a account) {
	i.t.Helper()
	i.get(i.token, "/api/v1/accounting/ingest?tenant_id="+id, &a)
	return a
}

// eventually polls until ok holds; what says what is waited for.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// run is one command line of the binary.
func run(t testing.TB, stdin io.Reader, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), args...)
	var o, e bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}
