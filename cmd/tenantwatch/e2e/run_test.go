//go:build integration

package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// One line in, one row out, found again by the audit search.
func TestIntegrationPushToSearch(t *testing.T) {
	i := up(t, dataDir(t))
	key := i.tenant("acme")
	p, err := i.push(key, "", strings.NewReader(`{"time":"2026-03-01T09:15:02.123Z","actor":"alice@acme.example","action":"file.download","outcome":"success","id":"e-1"}`+"\n"))
	if err != nil || p.Accepted != 1 || p.DurableIn != "kafka" {
		t.Fatalf("%+v, %v", p, err)
	}
	var page struct {
		Items []struct{ ID, Actor string }
	}
	eventually(t, 2*time.Second, "the row is readable", func() bool {
		i.get(i.token, "/api/v1/audit/events?tenant_id=acme&q=actor:alice@*", &page)
		return len(page.Items) == 1 && page.Items[0].ID == "e-1"
	})
	if err := i.stop(); err != nil {
		t.Fatalf("an ordered stop: %v\n%s", err, i.log())
	}
}

// Two instances live side by side; a port or a directory in use is an error
// that says what to do.
func TestIntegrationSideBySide(t *testing.T) {
	a, b := up(t, dataDir(t)), up(t, dataDir(t))
	for n, i := range []*instance{a, b} {
		key := i.tenant("acme")
		line := fmt.Sprintf(`{"time":"2026-03-01T09:00:00Z","actor":"a","action":"login","id":"only-%d"}`, n)
		if p, err := i.push(key, "", strings.NewReader(line)); err != nil || p.Accepted != 1 {
			t.Fatalf("instance %d: %+v, %v", n, p, err)
		}
	}
	for n, i := range []*instance{a, b} {
		i.received("acme", 1)
		if ids := i.exported("acme"); len(ids) != 1 || ids[0] != fmt.Sprintf("only-%d", n) {
			t.Errorf("instance %d holds %v", n, ids)
		}
	}

	refused := func(what string, want []string, args ...string) {
		t.Helper()
		_, stderr, code := run(t, nil, append([]string{"up", "--log-level", "error"}, args...)...)
		if code == 0 {
			t.Errorf("%s: exit code 0", what)
		}
		for _, w := range want {
			if !strings.Contains(stderr, w) {
				t.Errorf("%s: %q is not in the error:\n%s", what, w, stderr)
			}
		}
	}
	free := []string{"--listen-api", "127.0.0.1:0", "--listen-collector", "127.0.0.1:0", "--listen-ops", "127.0.0.1:0"}
	refused("a data directory in use", []string{"data directory is in use", a.dir, fmt.Sprint("process ", a.cmd.Process.Pid), "--data-dir"},
		append(free, "--data-dir", a.dir)...)
	for flag, addr := range map[string]string{"--listen-api": a.api[7:], "--listen-collector": a.collector[7:], "--listen-ops": a.ops[7:]} {
		dir := dataDir(t)
		refused("a busy port of "+flag, []string{addr, "already in use", flag}, append(free, "--data-dir", dir, flag, addr)...)
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a data directory was made although the port is busy", flag)
		}
	}
	nowhere := dataDir(t)
	refused("no engine library", []string{"engine", "no-such-lib"}, append(free, "--data-dir", nowhere, "--engine-lib", "/no-such-lib.so")...)
	if _, err := os.Stat(nowhere); err == nil {
		t.Error("a data directory was made although there is no engine")
	}
	refused("an unknown flag", []string{"--no-such-flag"}, "--no-such-flag")
	// The refused ones have harmed nobody.
	if !a.ready() || !b.ready() {
		t.Error("an instance is not ready any more")
	}
}

// kill -9 of the parent leaves nobody behind, and what was acknowledged is
// there after the next start.
func TestIntegrationParentKilled(t *testing.T) {
	i := up(t, dataDir(t))
	key := i.tenant("acme")
	if p, err := i.push(key, "", strings.NewReader(`{"time":"2026-03-01T09:00:00Z","actor":"a","action":"login","id":"e-1"}`)); err != nil || p.Accepted != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	tree := i.tree()
	if len(tree) < 5 {
		t.Fatalf("the tree is too small to prove anything: %+v", tree)
	}
	i.child("engine-child")
	i.child("postgres")
	if got := living(t, tree); len(got) != len(tree) {
		t.Fatalf("%d of %d are seen living: the check below would prove nothing", len(got), len(tree))
	}
	i.kill()
	eventually(t, 10*time.Second, "all children have gone", func() bool { return len(living(t, tree)) == 0 })
	for _, u := range []string{i.api, i.collector, i.ops} {
		if c, err := net.DialTimeout("tcp", u[7:], time.Second); err == nil {
			c.Close()
			t.Errorf("somebody still listens on %s", u)
		}
	}
	i.start()
	eventually(t, 10*time.Second, "the event is a row", func() bool { return i.account("acme").Stored == 1 })
	if err := i.stop(); err != nil {
		t.Fatalf("an ordered stop: %v\n%s", err, tail(i.log(), 3000))
	}
	if left := living(t, tree); len(left) != 0 {
		t.Errorf("left after a stop: %+v", left)
	}
}

// kill -9 of a child is said, recovered from, and costs no event.
func TestIntegrationChildKilled(t *testing.T) {
	i := up(t, dataDir(t))
	key := i.tenant("acme")
	sent := 0
	push := func() bool {
		p, err := i.push(key, "", strings.NewReader(fmt.Sprintf(`{"time":"2026-03-01T09:00:00Z","actor":"a","action":"login","id":"e-%d"}`, sent)))
		if err == nil && p.Accepted == 1 {
			sent++
			return true
		}
		if err == nil || (p.Status != 0 && p.Status < 500) {
			t.Fatalf("%+v, %v", p, err)
		}
		return false
	}
	for _, what := range []string{"engine-child", "postgres", "engine-child", "postgres"} {
		push()
		was := i.child(what)
		if err := syscall.Kill(was.pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		push() // in the very moment: taken or refused with 503, not lost
		eventually(t, 30*time.Second, what+" has been replaced and all is ready", func() bool {
			if len(living(t, []proc{was})) > 0 || !i.ready() {
				return false
			}
			for _, p := range i.tree()[1:] {
				if strings.Contains(p.name, what) && p.start != was.start {
					return true
				}
			}
			return false
		})
		t.Logf("%s: ready again after %v", what, time.Since(began).Round(10*time.Millisecond))
		eventually(t, 10*time.Second, "a push is taken after "+what+" was killed", push)
		eventually(t, 20*time.Second, fmt.Sprintf("all %d events are rows", sent), func() bool {
			code, b := i.call(i.token, "GET", "/api/v1/accounting/ingest?tenant_id=acme", nil)
			return code == 200 && strings.Contains(string(b), fmt.Sprintf(`"stored":%d,`, sent))
		})
		if a := i.account("acme"); a.Stored != uint64(sent) {
			t.Errorf("%+v, want %d stored", a, sent)
		}
	}
	select {
	case <-i.done:
		t.Fatalf("the parent ended: %v\n%s", i.err, tail(i.log(), 3000))
	default:
	}
	if err := i.stop(); err != nil {
		t.Fatalf("an ordered stop: %v\n%s", err, tail(i.log(), 3000))
	}
}
