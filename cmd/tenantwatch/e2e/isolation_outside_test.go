//go:build integration

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// live keeps streams open while every tenant gets another alert: each must be
// told of its own, and of nobody else's.
func (w *world) live() {
	type stream struct {
		c    caller
		mu   sync.Mutex
		text strings.Builder
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	var all []*stream
	var readers sync.WaitGroup
	for _, c := range w.callers {
		if len(c.sees) == 0 || !c.can("alerts:read") {
			continue
		}
		q, err := http.NewRequestWithContext(ctx, "GET", w.api+"/api/v1/stream", nil)
		if err != nil {
			w.t.Fatal(err)
		}
		if c.bearer != "" {
			q.Header.Set("Authorization", "Bearer "+c.bearer)
		} else {
			q.AddCookie(&http.Cookie{Name: "tw_session", Value: c.cookie})
		}
		resp, err := http.DefaultClient.Do(q)
		if err != nil || resp.StatusCode != 200 {
			w.t.Fatalf("stream of %s: %v", c.name, err)
		}
		s := &stream{c: c}
		all = append(all, s)
		readers.Go(func() { // ends with ctx
			defer resp.Body.Close()
			b := make([]byte, 4<<10)
			for {
				n, err := resp.Body.Read(b)
				s.mu.Lock()
				s.text.Write(b[:n])
				s.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	// The foreign tenants first: when A's has been told, theirs has been, too.
	for n := len(w.owners) - 1; n >= 0; n-- {
		o := w.owners[n]
		var b bytes.Buffer
		at := time.Date(2026, 3, 23, 3, 0, 0, 0, time.UTC)
		for k := range 120 {
			fmt.Fprintf(&b, `{"id":"%s-live-%d","time":%q,"actor":"%s-u7","class_uid":3002,"action":"login","outcome":"failure","src_ip":"203.0.113.%d"}`+"\n",
				o.canary, k, at.Add(time.Duration(k)*20*time.Second).Format(time.RFC3339), o.canary, k%60)
		}
		if got, err := w.push(o.ingest, "?source="+o.canary+"-source", &b); err != nil || got.Accepted != 120 {
			w.t.Fatalf("push: %+v, %v", got, err)
		}
		eventually(w.t, 60*time.Second, "a third alert of "+o.slug, func() bool {
			var page struct{ Items []struct{ ID string } }
			w.get(o.admin, "/api/v1/alerts", &page)
			return slices.ContainsFunc(page.Items, func(a struct{ ID string }) bool { return a.ID != o.alertID && a.ID != o.otherID })
		})
	}
	told, leaks := 0, 0
	for _, s := range all {
		read := func() string { s.mu.Lock(); defer s.mu.Unlock(); return s.text.String() }
		eventually(w.t, 10*time.Second, "the stream of "+s.c.name+" tells its own alerts", func() bool {
			for _, o := range s.c.sees {
				if !strings.Contains(read(), o.slug) {
					return false
				}
			}
			return true
		})
		told++
		if found := w.leaks(s.c, nil, []byte(read()), ""); len(found) > 0 {
			leaks++
			w.t.Errorf("LEAK in the stream of %s: %v", s.c.name, found)
		}
	}
	cancel()
	readers.Wait()
	fmt.Printf("  live streams: %d open while each tenant got an alert: %d told of all their own (control), %d of another's\n", len(all), told, leaks)
}

// outside looks where nobody asked: in what was sent to the webhooks, in the
// metrics and in the log at its most talkative.
func (w *world) outside() {
	sent, wrong := 0, 0
	for _, o := range w.owners {
		got := w.hooks.got("/" + o.canary)
		if strings.Contains(got, o.canary) {
			sent++
		}
		if found := w.leaks(caller{sees: []*owner{o}}, nil, []byte(got), ""); len(found) > 0 {
			wrong++
			w.t.Errorf("LEAK in the webhook of %s: %v", o.slug, found)
		}
	}
	fmt.Printf("  webhooks: %d of %d endpoints got their own canary (control), %d got another's\n", sent, len(w.owners), wrong)
	if sent != len(w.owners) {
		w.t.Error("webhooks: the control does not see what was sent")
	}

	resp, err := http.Get(w.ops + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	metrics, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	found := w.leaks(caller{}, nil, metrics, "")
	fmt.Printf("  /metrics: %d series of ours, %d marks of tenants in them\n", bytes.Count(metrics, []byte("\ntenantwatch_")), len(found))
	if len(found) > 0 || !bytes.Contains(metrics, []byte("tenantwatch_api_")) {
		w.t.Errorf("/metrics shows %v", found)
	}

	// A log for operators may say which tenant (its slug) and which object (its
	// id in a path that was asked for), but nothing of a tenant's content and
	// no secret.
	log := w.log()
	lines, marked := strings.Count(log, "\n"), 0
	for _, o := range w.owners {
		for _, m := range []string{o.canary, o.ingest, o.admin, o.auditor} {
			for line := range strings.Lines(log) {
				if strings.Contains(line, m) {
					if marked++; marked <= 5 {
						w.t.Errorf("LEAK into the log: %s", line)
					}
				}
			}
		}
	}
	control := strings.Count(log, like(w.owners[1].alertID))
	fmt.Printf("  the process's log at debug: %d lines, %d with a canary or a secret; control: an id we asked for is found %d times\n", lines, marked, control)
	if control == 0 {
		w.t.Error("the log does not hold the requests: looking into it proves nothing")
	}
}

// timing measures whether a foreign id takes another time than a missing one.
func (w *world) timing() {
	const pairs = 500
	path := func(id string) string { return w.api + "/api/v1/alerts/" + id }
	foreign := w.owners[1].alertID
	missing := like(foreign)
	// Several tokens, because one would be slowed by its limit on requests.
	var tokens []string
	for k := range 14 {
		tokens = append(tokens, w.key(w.owners[0].slug, map[string]any{"kind": "api", "role": "tenant_auditor", "name": fmt.Sprint("timing ", k)}))
	}
	n := 0
	one := func(id string, extra time.Duration) time.Duration {
		q, err := http.NewRequest("GET", path(id), nil)
		if err != nil {
			w.t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+tokens[n/2%len(tokens)])
		n++
		began := time.Now()
		if extra > 0 {
			for time.Since(began) < extra { //nolint:revive // a sleep is not exact enough
			}
		}
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			w.t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		took := time.Since(began)
		if resp.StatusCode != http.StatusNotFound {
			w.t.Fatalf("timing: %d", resp.StatusCode)
		}
		return took
	}
	measure := func(extra time.Duration) (a, b []float64) {
		for k := range pairs {
			if k%2 == 0 { // whoever comes second is warmer
				a = append(a, one(foreign, extra).Seconds())
				b = append(b, one(missing, 0).Seconds())
				continue
			}
			b = append(b, one(missing, 0).Seconds())
			a = append(a, one(foreign, extra).Seconds())
		}
		return a, b
	}
	for range 2 * len(tokens) {
		one(foreign, 0)
		one(missing, 0)
	}
	fmt.Println()
	a, b := measure(0)
	diff, apart := tellApart(a, b)
	fmt.Printf("  time of GET alerts/{id}, %d pairs: foreign %.3f ms, missing %.3f ms, difference of medians %+.3f ms (%+.1f %%): %s\n",
		pairs, 1e3*median(a), 1e3*median(b), 1e3*diff, 100*diff/median(b), verdict(apart))
	if apart {
		w.t.Error("a foreign id takes another time than a missing one")
	}
	a, b = measure(time.Millisecond)
	diff, apart = tellApart(a, b)
	fmt.Printf("  control, 1 ms added to the foreign ones:                                difference of medians %+.3f ms (%+.1f %%): %s\n", 1e3*diff, 100*diff/median(b), verdict(apart))
	if !apart {
		w.t.Error("control: an added millisecond is not seen")
	}
}

func verdict(apart bool) string {
	if apart {
		return "told apart"
	}
	return "not told apart"
}

// tellApart compares two samples in seconds: apart when their medians differ
// by more than 5 % and by more than 0.2 ms.
func tellApart(a, b []float64) (diff float64, apart bool) {
	diff = median(a) - median(b)
	return diff, math.Abs(diff) > 0.05*median(b) && math.Abs(diff) > 0.2e-3
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
