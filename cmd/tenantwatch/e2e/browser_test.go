//go:build integration

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// web is the web application's folder, with what its browser scripts need in
// place: a missing node_modules is fetched once.
func web(t *testing.T) string {
	t.Helper()
	d := filepath.Join(root(t), "dashboards", "web")
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("Node.js is missing, it drives the browser: install version 20.19 or newer")
	}
	if _, err := os.Stat(filepath.Join(d, "node_modules", "playwright-core")); err != nil {
		cmd := exec.Command("npm", "ci", "--no-fund", "--no-audit", "--loglevel=error")
		cmd.Dir = d
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm ci in dashboards/web: %v\n%s", err, out)
		}
	}
	return d
}

// logins are the demo's, read where its users read them: in what `up` prints.
func (i *instance) logins() map[string][2]string {
	i.t.Helper()
	out := map[string][2]string{}
	i.mu.Lock()
	text := i.stdout.String()
	i.mu.Unlock()
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 3 || !strings.Contains(f[len(f)-2], "@") {
			continue
		}
		who := strings.Join(f[:len(f)-2], " ")
		if _, seen := out[who]; !seen {
			out[who] = [2]string{f[len(f)-2], f[len(f)-1]}
		}
	}
	for _, who := range []string{"platform_admin", "soc_analyst", "tenant_auditor of acme"} {
		if _, ok := out[who]; !ok {
			i.t.Fatalf("`up --demo` printed no login of %s:\n%s", who, text)
		}
	}
	return out
}

// demo starts the demo and waits until there is something to see: an alert of
// the tenant whose auditor looks, one with a plot, and one of something new.
func demo(t *testing.T) *instance {
	t.Helper()
	i := up(t, dataDir(t), "--demo")
	eventually(t, time.Minute, "alerts of the demo", func() bool {
		var page struct {
			Items []struct {
				TenantID  string `json:"tenant_id"`
				Detectors []struct{ Name string }
			}
		}
		i.get(i.token, "/api/v1/alerts?limit=100", &page)
		own, plot, novel := false, false, false
		for _, a := range page.Items {
			own = own || a.TenantID == "acme"
			if len(a.Detectors) > 0 {
				plot = plot || a.Detectors[0].Name == "failures" || a.Detectors[0].Name == "rate"
				novel = novel || len(a.Detectors) == 1 && a.Detectors[0].Name == "novelty"
			}
		}
		return own && plot && novel
	})
	return i
}

// browse runs one of the web application's browser scripts against i.
func (i *instance) browse(within time.Duration, script string, args ...string) {
	t := i.t.(*testing.T)
	t.Helper()
	logins := i.logins()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	cmd.Dir = web(t)
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), "BASE_URL="+i.api)
	for prefix, who := range map[string]string{"": "soc_analyst", "TENANT_": "tenant_auditor of acme", "ADMIN_": "platform_admin"} {
		cmd.Env = append(cmd.Env, prefix+"EMAIL="+logins[who][0], prefix+"PASSWORD="+logins[who][1])
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	t.Logf("%s\n%s", script, out)
}

// A real browser does what an analyst and a tenant's auditor do, on the demo:
// e2e/smoke.mjs says what is held to.
func TestBrowserSmoke(t *testing.T) {
	demo(t).browse(5*time.Minute, "e2e/smoke.mjs")
}

// TestScreens makes the pictures of every page that people look at, in
// build/screens.
func TestScreens(t *testing.T) {
	out := filepath.Join(root(t), "build", "screens")
	demo(t).browse(8*time.Minute, "e2e/screens.mjs", out)
	found, err := filepath.Glob(filepath.Join(out, "*.png"))
	if err != nil || len(found) < 60 {
		t.Fatalf("%d pictures in %s, %v", len(found), out, err)
	}
	for _, p := range found {
		if s, err := os.Stat(p); err != nil || s.Size() < 2000 {
			t.Errorf("%s is empty: %v", p, err)
		}
	}
}
