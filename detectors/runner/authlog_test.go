package runner_test

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// realData opens a file of the development data beside the repository.
func realData(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.Open("../../../shared/data/" + path)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("no development data here: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

var (
	sshdLine = regexp.MustCompile(`^(\w{3} +\d+ \d\d:\d\d:\d\d) \S+ sshd\[\d+\]: (.*)$`)
	repeated = regexp.MustCompile(`^message repeated (\d+) times: \[ (.*)\]$`)
	attempt  = regexp.MustCompile(`^(Failed|Accepted) (?:password|publickey) for (?:invalid user )?(.*) from (\S+) port`)
)

// authLog reads the sign-ins of the host's log. It is a reader for this test
// only; the product's parser lives with the collector.
func authLog(t testing.TB) []event.Event {
	var out []event.Event
	sc := bufio.NewScanner(realData(t, "web-and-ssh/auth.log"))
	for n := 1; sc.Scan(); n++ {
		m := sshdLine.FindStringSubmatch(sc.Text())
		if m == nil {
			continue
		}
		text, count := m[2], 1
		if r := repeated.FindStringSubmatch(text); r != nil {
			count, _ = strconv.Atoi(r[1])
			text = r[2]
		}
		a := attempt.FindStringSubmatch(text)
		if a == nil {
			continue
		}
		at, err := time.Parse("2006 Jan _2 15:04:05", "2017 "+m[1])
		if err != nil {
			t.Fatal(err)
		}
		e := event.Event{
			Tenant: tenant.MustParse("ssh"), ID: fmt.Sprint("line-", n), Time: at.UnixNano(), Class: event.ClassAuthentication, Activity: 1,
			Action: "login", Outcome: event.OutcomeSuccess, Actor: a[2], SrcIP: a[3], Count: uint32(count), Source: "auth.log",
		}
		if a[1] == "Failed" {
			e.Outcome = event.OutcomeFailure
		}
		out = append(out, e)
	}
	return out
}

// run gives the final state of every alert, and checks what holds for all.
func run(t testing.TB, o runner.Options, events []event.Event) (*runner.Runner, []alert.Alert) {
	t.Helper()
	r, err := runner.New(o)
	if err != nil {
		t.Fatal(err)
	}
	em := r.Apply(events)
	em = append(em, r.Flush()...)
	return r, finals(t, em)
}

func finals(t testing.TB, em []runner.Emission) []alert.Alert {
	t.Helper()
	rev := map[string]uint32{}
	done := map[string]bool{}
	var out []alert.Alert
	for _, x := range em {
		if x.Hidden != nil && x.Alert == nil && x.Count == nil {
			continue
		}
		if (x.Alert == nil) == (x.Count == nil) || x.Hidden != nil {
			t.Fatal("an emission is an alert or a count")
		}
		if c := x.Count; c != nil {
			if c.Findings != c.Alerted+c.Folded+c.Suppressed+c.BelowBudget {
				t.Fatalf("findings do not add up: %+v", c)
			}
			continue
		}
		a := x.Alert
		if err := a.Validate(); err != nil {
			t.Fatal(err)
		}
		if done[a.ID] {
			t.Fatalf("alert %s has a revision after its final one", a.ID)
		}
		if a.Revision != rev[a.ID]+1 && !(x.Final && a.Revision == rev[a.ID]) {
			t.Fatalf("alert %s: revision %d after %d", a.ID, a.Revision, rev[a.ID])
		}
		rev[a.ID] = a.Revision
		if x.Final {
			done[a.ID] = true
			out = append(out, *a)
		}
	}
	if len(done) != len(rev) {
		t.Fatalf("%d alerts were raised, %d closed", len(rev), len(done))
	}
	return out
}

// TestAuthLog holds the detectors to a real host under real attack.
func TestAuthLog(t *testing.T) {
	events := authLog(t)
	_, alerts := run(t, runner.Options{}, events)
	sort.SliceStable(alerts, func(i, j int) bool { return alerts[i].Score > alerts[j].Score })
	for i, a := range alerts {
		t.Logf("%2d %s %v %s p=%.3g n=%d rev=%d %s | %s | %s", i+1, a.RaisedAt.Format("02 Jan 15:04"), float64(a.Score)/1000, a.Severity, a.PValue, a.Count, a.Revision, a.Title, a.Reason, a.Counterfactual)
	}
	top := func(hour, address, account, technique string) {
		t.Helper()
		for i, a := range alerts {
			if i < 5 && a.RaisedAt.Format("2 Jan 15") == hour && a.Entity.ID == address &&
				strings.Contains(a.Reason, account) && slices.Contains(a.Technique, technique) {
				return
			}
		}
		t.Errorf("%s: no alert among the first five names %s and %s", hour, address, account)
	}
	top("30 Mar 15", "24.151.103.17", "elastic_user_0", "T1110.001")
	top("6 Apr 20", "34.204.227.175", "empty name", "T1110.001")
	days := map[string]int{}
	for _, a := range alerts {
		days[a.RaisedAt.Format("2 Jan")]++
	}
	for d, n := range days {
		if n > 5 {
			t.Errorf("%d alerts on %s", n, d)
		}
	}
	// The same file again, under the same source: nothing happens.
	r, _ := run(t, runner.Options{}, events)
	for _, x := range r.Apply(events) {
		t.Errorf("a second push emitted %+v", x)
	}
}
