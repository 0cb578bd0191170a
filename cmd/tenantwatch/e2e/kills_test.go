//go:build integration

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is a deterministic stream of events for several tenants: quiet people
// at work, and now and then somebody who guesses a password.
type load struct{ tenants, perTenant int }

const killBatch = 500

func (l load) name(k int) string { return fmt.Sprintf("kill-%d", k) }

func (l load) id(k, n int) string { return fmt.Sprintf("k%d-%08d", k, n) }

// event is the n-th of tenant k, as a line. Every 5,000 events 60 of them are
// failed sign-ins at one account from one address, two seconds apart.
func (l load) event(b *bytes.Buffer, k, n int) {
	const every, burst = 5000, 60
	at := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC).Add(time.Duration(n) * 10 * time.Second)
	actor, action, outcome, ip := fmt.Sprintf("user%d@k%d.example", n*7%40, k), "file.read", "success", fmt.Sprintf("198.51.100.%d", n*7%40)
	switch into := n % every; {
	case into >= every-burst:
		round := n / every
		at = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC).Add(time.Duration(round*every+every-burst)*10*time.Second + time.Duration(into-every+burst)*2*time.Second)
		actor, action, outcome, ip = fmt.Sprintf("user%d@k%d.example", round%40, k), "login", "failure", fmt.Sprintf("203.0.113.%d", 1+round%200)
	case n%20 == 0:
		action = "login"
	case n%3 == 0:
		action = "file.download"
	}
	fmt.Fprintf(b, `{"id":%q,"time":%q,"actor":%q,"action":%q,"outcome":%q,"src_ip":%q,"resource":"file/%d","session":"s%d","user_agent":"Mozilla/5.0 (X11; Linux x86_64)"}`+"\n",
		l.id(k, n), at.Format(time.RFC3339), actor, action, outcome, ip, n%200, n/100)
}

// send pushes all events of tenant k in order, a batch again and again until
// it is acknowledged.
func (l load) send(i *instance, key string, k int, acked, retries *atomic.Int64, stop <-chan struct{}) error {
	for from := 0; from < l.perTenant; from += killBatch {
		var b bytes.Buffer
		n := min(killBatch, l.perTenant-from)
		for j := from; j < from+n; j++ {
			l.event(&b, k, j)
		}
		for {
			p, err := i.push(key, "?source=app", bytes.NewReader(b.Bytes()))
			if err == nil {
				if p.Accepted != uint64(n) || p.Quarantined != 0 {
					return fmt.Errorf("%s, batch at %d: %+v", l.name(k), from, p)
				}
				acked.Add(int64(n))
				break
			}
			if p.Status != 0 && p.Status != http.StatusTooManyRequests && p.Status < 500 {
				return fmt.Errorf("%s, batch at %d: %w", l.name(k), from, err)
			}
			retries.Add(1)
			select {
			case <-stop:
				return fmt.Errorf("%s stopped at %d", l.name(k), from)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

// checkRows compares the ids found with those that must be there: 0 to want-1
// under prefix, each once.
func checkRows(prefix string, want int, ids []string) (problems []string) {
	seen := make([]int, want)
	for _, id := range ids {
		n, err := strconv.Atoi(strings.TrimPrefix(id, prefix))
		if err != nil || !strings.HasPrefix(id, prefix) || n < 0 || n >= want {
			problems = append(problems, "foreign id "+id)
			continue
		}
		seen[n]++
	}
	missing, doubled := 0, 0
	for _, c := range seen {
		switch {
		case c == 0:
			missing++
		case c > 1:
			doubled++
		}
	}
	if missing > 0 {
		problems = append(problems, fmt.Sprintf("%d missing", missing))
	}
	if doubled > 0 {
		problems = append(problems, fmt.Sprintf("%d more than once", doubled))
	}
	return problems
}

// checkAlerts looks for an alert that is there twice: by id, or by what it is
// about and when it was raised.
func checkAlerts(as []storedAlert) (problems []string) {
	ids, about := map[string]bool{}, map[string]bool{}
	for _, a := range as {
		k := fmt.Sprint(a.Entity, a.RaisedAt)
		if ids[a.ID] || about[k] {
			problems = append(problems, fmt.Sprintf("alert %s about %v twice", a.ID, a.Entity))
		}
		ids[a.ID], about[k] = true, true
	}
	return problems
}

// Negative control: the checkers see a row lost, doubled or foreign, and an
// alert that is there twice.
func TestKillsChecker(t *testing.T) {
	good := []string{"a-0", "a-1", "a-2"}
	if p := checkRows("a-", 3, good); len(p) != 0 {
		t.Fatal(p)
	}
	for what, bad := range map[string][]string{
		"lost": {"a-0", "a-2"}, "doubled": {"a-0", "a-1", "a-2", "a-1"}, "foreign": {"a-0", "a-1", "a-2", "b-1"},
		"beyond": {"a-0", "a-1", "a-2", "a-3"}, "lost and doubled": {"a-0", "a-1", "a-1"},
	} {
		if len(checkRows("a-", 3, bad)) == 0 {
			t.Errorf("the checker does not see a row %s", what)
		}
	}
	one := storedAlert{ID: "x", RaisedAt: "2026-03-02T06:00:00Z", Entity: entity{"user", "u"}}
	other := storedAlert{ID: "y", RaisedAt: "2026-03-02T07:00:00Z", Entity: entity{"user", "u"}}
	if p := checkAlerts([]storedAlert{one, other}); len(p) != 0 {
		t.Fatal(p)
	}
	renamed := one
	renamed.ID = "z"
	for _, bad := range [][]storedAlert{{one, one}, {one, renamed}} {
		if len(checkAlerts(bad)) == 0 {
			t.Errorf("the checker does not see %+v", bad)
		}
	}
}

type entity struct{ Type, ID string }

type storedAlert struct {
	ID       string
	Entity   entity
	Related  []entity
	RaisedAt string `json:"raised_at_event_time"`
	Score    float64
	Severity string
	Count    uint64
	Title    string
	Reason   string
	State    string
	Revision int
	Seq      uint64
	EventIDs []string `json:"event_ids"`
}

// what is everything about an alert that a crash may not change.
func (a storedAlert) what() string {
	a.Seq = 0
	return fmt.Sprintf("%+v", a)
}

// alerts are all of a tenant.
func (i *instance) alerts(id string) (out []storedAlert) {
	i.t.Helper()
	for after := ""; ; {
		var page struct {
			Items []storedAlert
			Next  *string
		}
		i.get(i.token, "/api/v1/alerts?limit=500&tenant_id="+id+after, &page)
		out = append(out, page.Items...)
		if page.Next == nil {
			return out
		}
		after = "&after=" + *page.Next
	}
}

// exported are the ids of a tenant's rows, by the export.
func (i *instance) exported(id string) (out []string) {
	i.t.Helper()
	req, err := http.NewRequest(http.MethodGet, i.api+"/api/v1/audit/export?format=ndjson&q=-source:tenantwatch&tenant_id="+id, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+i.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		i.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		i.t.Fatalf("export of %s: %d", id, resp.StatusCode)
	}
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 4<<20)
	for sc.Scan() {
		var e struct{ ID string }
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			i.t.Fatalf("export of %s: %v in %q", id, err, sc.Text())
		}
		out = append(out, e.ID)
	}
	if err := sc.Err(); err != nil {
		i.t.Fatalf("export of %s: %v", id, err)
	}
	if s := resp.Trailer.Get("X-Export-Status"); s != "complete" {
		i.t.Fatalf("export of %s ended as %q", id, s)
	}
	return out
}

func fromEnv(t testing.TB, name string, or int) int {
	s := os.Getenv(name)
	if s == "" {
		return or
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: want a positive number", name, s)
	}
	return n
}

// pushAll sends the load with one sender a tenant; during is called meanwhile.
func (l load) pushAll(t *testing.T, i *instance, during func(acked *atomic.Int64, failed <-chan struct{})) (retries int64, took time.Duration) {
	t.Helper()
	keys := make([]string, l.tenants)
	for k := range keys {
		keys[k] = i.tenant(l.name(k))
	}
	var acked, again atomic.Int64
	stop, failed := make(chan struct{}), make(chan struct{})
	errs := make(chan error, l.tenants)
	var once sync.Once
	began := time.Now()
	for k := range keys {
		go func() {
			err := l.send(i, keys[k], k, &acked, &again, stop)
			if err != nil {
				once.Do(func() { close(failed) })
			}
			errs <- err
		}()
	}
	if during != nil {
		during(&acked, failed)
	}
	for range keys {
		if err := <-errs; err != nil {
			once.Do(func() { close(failed) })
			t.Error(err)
		}
	}
	close(stop)
	if t.Failed() {
		t.Fatalf("the load did not end well; the log's end:\n%s", tail(i.log(), 4000))
	}
	return again.Load(), time.Since(began)
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// TestKills: SIGKILL of the whole tree under load, again and again. After
// restart and drain the rows are exactly the accepted events, no event and no
// alert is there twice, and the alerts are those of an undisturbed instance.
func TestKills(t *testing.T) {
	kills, total := fromEnv(t, "TENANTWATCH_KILLS", 3), fromEnv(t, "TENANTWATCH_KILL_EVENTS", 100_000)
	l := load{tenants: 8}
	l.perTenant = max(1, total/l.tenants)
	total = l.perTenant * l.tenants
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("%d kills during %d events of %d tenants, seed %d", kills, total, l.tenants, seed)

	i := up(t, dataDir(t), "--log-level", "warn")
	var restarts []time.Duration
	retries, took := l.pushAll(t, i, func(acked *atomic.Int64, failed <-chan struct{}) {
		for n := range kills {
			at := int64((float64(n) + 0.1 + 0.8*rnd.Float64()) / float64(kills) * float64(total))
			for acked.Load() < at {
				select {
				case <-failed:
					return
				case <-time.After(time.Duration(1+rnd.IntN(20)) * time.Millisecond):
				}
			}
			// Every other time only the parent: its children must follow by themselves.
			what := "the whole tree"
			if n%2 == 1 {
				what = "the parent"
				i.kill()
			} else {
				i.killTree()
			}
			began := time.Now()
			i.start()
			restarts = append(restarts, time.Since(began).Round(10*time.Millisecond))
			t.Logf("kill %d of %s at %d acknowledged, ready again after %v", n+1, what, at, restarts[n])
		}
	})
	t.Logf("all %d acknowledged after %v, %d pushes tried again", total, took.Round(time.Millisecond), retries)
	began := time.Now()
	settle(t, i)
	t.Logf("drained %v later", time.Since(began).Round(time.Millisecond))

	found := map[string][]storedAlert{}
	var rows, duplicates uint64
	alerts := 0
	for k := range l.tenants {
		id := l.name(k)
		for _, p := range checkRows(fmt.Sprintf("k%d-", k), l.perTenant, i.exported(id)) {
			t.Errorf("%s: rows: %s", id, p)
		}
		a := i.account(id)
		if a.Stored != uint64(l.perTenant) || a.Quarantined != 0 {
			t.Errorf("%s: accounting %+v, want %d stored and none quarantined", id, a, l.perTenant)
		}
		rows, duplicates = rows+a.Stored, duplicates+a.Duplicates
		found[id] = i.alerts(id)
		alerts += len(found[id])
		for _, p := range checkAlerts(found[id]) {
			t.Errorf("%s: %s", id, p)
		}
	}
	if alerts == 0 {
		t.Error("no alert arose: the load proves nothing about alerts")
	}
	t.Logf("rows %d = accepted %d; %d resent events dropped as duplicates; %d alerts", rows, total, duplicates, alerts)
	if err := i.stop(); err != nil {
		t.Errorf("an ordered stop: %v", err)
	}

	// The same load undisturbed must lead to the very same alerts.
	calm := up(t, dataDir(t), "--log-level", "warn")
	_, took = l.pushAll(t, calm, nil)
	settle(t, calm)
	differ := 0
	for k := range l.tenants {
		id := l.name(k)
		want, got := map[string]string{}, map[string]string{}
		for _, a := range calm.alerts(id) {
			want[a.ID] = a.what()
		}
		for _, a := range found[id] {
			got[a.ID] = a.what()
		}
		for _, alertID := range slices.Sorted(maps.Keys(want)) {
			if got[alertID] != want[alertID] {
				differ++
				t.Errorf("%s: alert %s after kills\n  %s\nundisturbed\n  %s", id, alertID, got[alertID], want[alertID])
			}
		}
		for alertID := range got {
			if _, ok := want[alertID]; !ok {
				differ++
				t.Errorf("%s: alert %s arose only after kills: %s", id, alertID, got[alertID])
			}
		}
	}
	t.Logf("undisturbed: all acknowledged after %v; %d alerts differ", took.Round(time.Millisecond), differ)
}

// settle waits until the store and the detectors have committed everything,
// and for a second nothing more came.
func settle(t testing.TB, i *instance) {
	t.Helper()
	for _, client := range []string{"ingest", "detectors"} {
		var since time.Time
		eventually(t, 10*time.Minute, client+" has read everything", func() bool {
			if !i.drained(client) {
				since = time.Time{}
			} else if since.IsZero() {
				since = time.Now()
			}
			return !since.IsZero() && time.Since(since) > time.Second
		})
	}
}
