//go:build integration

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/api"
)

// storm lets every tenant read its own things at the same time over the few
// connections that the stores pool, and gives up on one request in five at a
// random moment: no answer may hold another's canary.
func (w *world) storm() {
	const lasts = 5 * time.Second // or until enough was exercised, on a machine that is busy
	var paths []string
	for _, r := range api.Routes() {
		if s := shapes[r.Operation]; s.canary && r.Operation != "streamAlerts" {
			paths = append(paths, r.Path+"?"+s.query)
		}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 90*time.Second)
	defer cancel()
	began := time.Now()
	var answers, gaveUp, own, leaks, broken atomic.Int64
	enough := func() bool { return time.Since(began) > lasts && own.Load() >= 100 && gaveUp.Load() >= 20 }
	var wg sync.WaitGroup
	for i, o := range w.owners {
		for j, bearer := range []string{o.admin, o.auditor, o.admin} {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), uint64(j)))
				c := caller{sees: []*owner{o}}
				for ctx.Err() == nil && !enough() {
					path := strings.ReplaceAll(paths[rnd.IntN(len(paths))], "{id}", o.alertID)
					if strings.Contains(path, "/webhooks/") {
						path = strings.ReplaceAll(path, o.alertID, o.hookID)
					}
					one, stop := context.WithCancel(ctx)
					if rnd.IntN(5) == 0 {
						time.AfterFunc(time.Duration(rnd.IntN(4000))*time.Microsecond, stop)
					}
					q, err := http.NewRequestWithContext(one, "GET", w.api+path, nil)
					if err != nil {
						w.t.Error(err)
						stop()
						return
					}
					q.Header.Set("Authorization", "Bearer "+bearer)
					resp, err := http.DefaultClient.Do(q)
					var body []byte
					if err == nil {
						body, err = io.ReadAll(resp.Body)
						resp.Body.Close()
					}
					stop()
					if err != nil {
						gaveUp.Add(1)
						if !errors.Is(err, context.Canceled) && ctx.Err() == nil {
							w.t.Error(err)
						}
					}
					if resp == nil {
						continue
					}
					answers.Add(1)
					if found := w.leaks(c, resp.Header, body, ""); len(found) > 0 {
						leaks.Add(1)
						w.t.Errorf("LEAK under load, %s: %v", path, found)
					}
					if strings.Contains(string(body), o.slug) || strings.Contains(string(body), o.canary) {
						own.Add(1)
					}
					if resp.StatusCode >= 500 {
						broken.Add(1)
						w.t.Errorf("%s: %d %s", path, resp.StatusCode, body)
					}
					if resp.StatusCode == http.StatusTooManyRequests {
						<-time.After(50 * time.Millisecond)
					}
				}
			})
		}
	}
	wg.Wait()
	fmt.Printf("  under load: %d answers to %d tenants at once in %v, %d requests given up half-way: %d with another's canary, %d with its own (control), %d broken\n",
		answers.Load(), len(w.owners), time.Since(began).Round(time.Second), gaveUp.Load(), leaks.Load(), own.Load(), broken.Load())
	if own.Load() < 100 || gaveUp.Load() < 20 {
		w.t.Error("the load did not exercise what it should")
	}
}

// door tries to bring events into a foreign tenant through the collector, and
// to open one door with the other's key.
func (w *world) door() {
	a, b := w.owners[0], w.owners[1]
	before := w.account(b.slug).Received
	mine := w.account(a.slug).Received
	post := func(path, bearer string, header map[string]string, body string) (int, string) {
		q, err := http.NewRequest("POST", w.collector+path, strings.NewReader(body))
		if err != nil {
			w.t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+bearer)
		for k, v := range header {
			q.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			w.t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		return resp.StatusCode, fmt.Sprint(resp.StatusCode, resp.Header.Get("Content-Type"), requestIDs.ReplaceAllString(string(text), ""))
	}
	const line = `{"time":"2026-03-24T00:00:00Z","actor":"intruder","action":"login"%s}` + "\n"
	pushed := 0
	for _, member := range []string{`,"tenant_id":"` + b.slug + `"`, `,"tenant":"` + b.slug + `"`, `,"metadata":{"tenant_uid":"` + b.slug + `"}`} {
		if code, text := post("/v1/events", a.ingest, nil, fmt.Sprintf(line, member+`,"id":"door-`+fmt.Sprint(pushed)+`"`)); code != 202 {
			w.t.Errorf("push with a foreign tenant in it: %s", text)
		}
		pushed++
	}
	if code, _ := post("/v1/events", a.ingest, map[string]string{"X-Tenant-Id": b.slug}, fmt.Sprintf(line, `,"id":"door-h"`)); code == 202 {
		pushed++
	}
	if code, _ := post("/v1/events?tenant_id="+b.slug+"&tenant="+b.slug, a.ingest, nil, fmt.Sprintf(line, `,"id":"door-q"`)); code == 202 {
		pushed++
	}
	eventually(w.t, 10*time.Second, "what was pushed is A's (control)", func() bool { return w.account(a.slug).Received == mine+uint64(pushed) })
	arrived := w.account(b.slug).Received - before

	_, token := post("/v1/events", b.admin, nil, fmt.Sprintf(line, ""))
	_, wrong := post("/v1/events", like(b.ingest), nil, fmt.Sprintf(line, ""))
	_, other := post("/v1/events", "nonsense", nil, fmt.Sprintf(line, ""))
	refused := 0
	for _, text := range []string{token, wrong, other} {
		if strings.HasPrefix(text, "401") && text == wrong {
			refused++
		}
	}
	fmt.Printf("  collector: %d events naming another tenant in member, header or query went to the key's own (control), %d to the named one; %d of 3 wrong keys refused alike\n", pushed, arrived, refused)
	if arrived != 0 || refused != 3 || pushed < 3 {
		w.t.Errorf("the collector's door: %s / %s / %s", token, wrong, other)
	}
}

// pages looks at what is served beside the table of routes.
func (w *world) pages() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c := http.Client{Jar: jar, Timeout: 10 * time.Second}
	seen := 0
	for _, base := range []string{w.api, w.ops, w.collector} {
		for _, path := range []string{"/", "/docs", "/openapi.json", "/problems/not-found", "/problems/" + url.PathEscape(w.owners[1].slug), "/alerts/" + w.owners[1].alertID,
			"/livez", "/readyz", "/metrics", "/debug/pprof/", "/api/v1/", "/graphql"} {
			resp, err := c.Get(base + path)
			if err != nil {
				w.t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				w.t.Fatal(err)
			}
			seen++
			if found := w.leaks(caller{}, resp.Header, body, ""); len(found) > 0 {
				w.t.Errorf("LEAK %s%s: %v", base, path, found)
			}
		}
	}
	fmt.Printf("  %d pages beside the table (docs, contract, problems, probes, application), without a credential: no canary\n", seen)
}
