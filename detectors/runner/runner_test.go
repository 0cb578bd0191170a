package runner_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/detectors/simulate"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func newRunner(t testing.TB, o runner.Options) *runner.Runner {
	t.Helper()
	r, err := runner.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// printed is everything a consumer could see of emissions.
func printed(t testing.TB, em []runner.Emission) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, x := range em {
		if err := enc.Encode(x); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// small is a week of two companies under attack.
func small(t testing.TB) []event.Event {
	evs, _ := traffic(t, simulate.Options{Seed: seed(t), Tenants: 2, Users: 12, Duration: 5 * 24 * time.Hour, AttacksPerWeek: 10})
	return evs
}

// The cuts between batches are Kafka's business, not the detectors'.
func TestBatchBoundariesDoNotMatter(t *testing.T) {
	evs := small(t)
	whole := newRunner(t, runner.Options{})
	want := printed(t, append(whole.Apply(evs), whole.Flush()...))
	if !bytes.Contains(want, []byte("technique")) {
		t.Fatal("the stream raised nothing: it proves nothing")
	}
	cut := newRunner(t, runner.Options{})
	var em []runner.Emission
	for rest := evs; len(rest) > 0; {
		n := min(len(rest), 1+rand.IntN(700))
		em = append(em, cut.Apply(rest[:n])...)
		rest = rest[n:]
	}
	em = append(em, cut.Flush()...)
	if !bytes.Equal(want, printed(t, em)) {
		t.Fatal("other batches, other emissions")
	}
	if !bytes.Equal(whole.Snapshot(), cut.Snapshot()) {
		t.Fatal("other batches, another state")
	}
}

// A crash between any two batches changes nothing.
func TestRestoreMidStreamIsUndisturbed(t *testing.T) {
	evs := small(t)
	whole := newRunner(t, runner.Options{})
	want := printed(t, append(whole.Apply(evs), whole.Flush()...))
	var em []runner.Emission
	r := newRunner(t, runner.Options{})
	for i := 0; i < len(evs); {
		n := min(len(evs)-i, 1+rand.IntN(len(evs)/6))
		em = append(em, r.Apply(evs[i:i+n])...)
		i += n
		snap := r.Snapshot()
		r = newRunner(t, runner.Options{})
		if err := r.Restore(snap); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(snap, r.Snapshot()) {
			t.Fatal("a restored state is not the state saved")
		}
	}
	em = append(em, r.Flush()...)
	if got := printed(t, em); !bytes.Equal(want, got) {
		a, b := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("emission %d differs:\n%.900s\n%.900s", i, a[i], b[min(i, len(b)-1)])
			}
		}
		t.Fatal("there are more emissions after restoring")
	}
	if whole.Counters() != r.Counters() {
		t.Fatalf("counters %+v, want %+v", r.Counters(), whole.Counters())
	}
}

func TestRestoreRefusesOtherBytes(t *testing.T) {
	r := newRunner(t, runner.Options{})
	r.Apply(signIns("acme", "203.0.113.9", "eve", 0, 40, event.OutcomeFailure))
	good := r.Snapshot()
	bad := func(name string, b []byte) {
		t.Helper()
		q := newRunner(t, runner.Options{})
		if err := q.Restore(b); err == nil {
			t.Fatalf("%s was restored", name)
		}
		if !bytes.Equal(q.Snapshot(), newRunner(t, runner.Options{}).Snapshot()) {
			t.Fatalf("%s left a trace", name)
		}
	}
	bad("nothing", nil)
	bad("a short one", good[:30])
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	bad("a damaged one", flipped)
	if err := newRunner(t, runner.Options{Quiet: 3}).Restore(good); err == nil {
		t.Fatal("a snapshot of other settings was restored")
	}
}

// base is a Monday morning.
var base = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func signIns(tn, ip, actor string, after time.Duration, n int, o event.Outcome) []event.Event {
	var out []event.Event
	for i := range n {
		out = append(out, event.Event{
			Tenant: tenant.MustParse(tn), ID: fmt.Sprintf("%s-%s-%s-%d-%d-%d", tn, ip, actor, o, after, i), Time: base.Add(after + time.Duration(i)*3*time.Second).UnixNano(),
			Class: event.ClassAuthentication, Activity: 1, Action: "login", Outcome: o, Actor: actor, SrcIP: ip, Count: 1, Source: "app",
		})
	}
	return out
}

// A resend of what was seen within the id window adds nothing; without the
// window (the control) it would.
func TestDuplicatesAddNothing(t *testing.T) {
	evs := append(signIns("acme", "198.51.100.7", "bob", 0, 3, event.OutcomeSuccess),
		signIns("acme", "203.0.113.9", "eve", time.Hour, 9, event.OutcomeFailure)...)
	once, twice := newRunner(t, runner.Options{}), newRunner(t, runner.Options{})
	once.Apply(evs)
	em := append(twice.Apply(evs), twice.Apply(evs)...)
	if c := twice.Counters(); c.Duplicate != uint64(len(evs)) || c.Scored != uint64(len(evs)) {
		t.Fatalf("counters %+v", c)
	}
	for _, x := range em {
		if x.Alert != nil {
			t.Fatalf("nine failures are no alert, twice the same nine neither: %s", x.Alert.Reason)
		}
	}
	if !bytes.Equal(printed(t, once.Flush()), printed(t, twice.Flush())) {
		t.Fatal("a resend changed what is found")
	}
	control := newRunner(t, runner.Options{KeepDuplicates: true})
	control.Apply(evs)
	before := control.Counters().Scored
	for range 4 {
		control.Apply(evs)
	}
	if control.Counters().Scored == before {
		t.Fatal("the control counted nothing twice: this test would not notice")
	}
	if !slices.ContainsFunc(control.Flush(), func(x runner.Emission) bool { return x.Alert != nil }) {
		t.Fatal("nine failures counted five times raise no alert: this test would not notice")
	}
}

// Events of one source that change places within the hour end in the same
// counts and alerts for the same entities.
func TestOrderWithinTheHour(t *testing.T) {
	evs := append(signIns("acme", "198.51.100.7", "bob", 0, 5, event.OutcomeSuccess),
		signIns("acme", "203.0.113.9", "eve", 20*time.Minute, 80, event.OutcomeFailure)...)
	type found struct {
		e alert.Entity
		n uint64
		t string
	}
	find := func(evs []event.Event) (out []found) {
		_, as := run(t, runner.Options{}, evs)
		for _, a := range as {
			out = append(out, found{a.Entity, a.Count, a.Title})
		}
		return out
	}
	want := find(evs)
	if len(want) != 1 {
		t.Fatalf("want one alert, got %v", want)
	}
	rapid.Check(t, func(rt *rapid.T) {
		mixed := rapid.Permutation(evs).Draw(rt, "order")
		if got := find(mixed); !slices.Equal(got, want) {
			rt.Fatalf("got %v, want %v", got, want)
		}
	})
}

// More of the same is never less odd.
func TestMoreFailuresNeverScoreLess(t *testing.T) {
	score := func(n int) alert.Points {
		_, as := run(t, runner.Options{}, signIns("acme", "203.0.113.9", "eve", 0, n, event.OutcomeFailure))
		best := alert.Points(0)
		for _, a := range as {
			best = max(best, a.Score)
		}
		return best
	}
	last := alert.Points(0)
	for n := 1; n < 1000; n += 1 + n/5 {
		s := score(n)
		if s < last {
			t.Fatalf("%d failures score %d, fewer scored %d", n, s, last)
		}
		last = s
	}
	if last < 50_000 {
		t.Fatalf("a thousand failures score only %d", last)
	}
}

// A burst is told while it lasts, once, and its revisions grow with the
// logarithm of its size.
func TestBurstIsRaisedWhileItLasts(t *testing.T) {
	r := newRunner(t, runner.Options{})
	evs := signIns("acme", "203.0.113.9", "eve", 0, 1000, event.OutcomeFailure)
	revisions, raisedAfter := 0, 0
	for i := range evs {
		for _, x := range r.Apply(evs[i : i+1]) {
			if x.Alert != nil {
				revisions++
				if revisions == 1 {
					raisedAfter = i + 1
				}
			}
		}
	}
	if raisedAfter == 0 || raisedAfter > 60 {
		t.Fatalf("raised after %d of 1000 failures", raisedAfter)
	}
	if revisions > 12 {
		t.Fatalf("%d revisions", revisions)
	}
	as := finals(t, append(mustRaise(t, evs), []runner.Emission{}...))
	if len(as) != 1 || as[0].Count != 1000 || as[0].Technique[0] != "T1110.001" {
		t.Fatalf("got %+v", as)
	}
	if as[0].Entity != (alert.Entity{Type: alert.Address, ID: "203.0.113.9"}) || !slices.Contains(as[0].Related, alert.Entity{Type: alert.User, ID: "eve"}) {
		t.Fatalf("entity %v, related %v", as[0].Entity, as[0].Related)
	}
	if as[0].ID[14] != '7' || len(as[0].ID) != 36 {
		t.Fatalf("id %s is not in UUIDv7 layout", as[0].ID)
	}
}

func mustRaise(t testing.TB, evs []event.Event) []runner.Emission {
	r := newRunner(t, runner.Options{})
	return append(r.Apply(evs), r.Flush()...)
}

// An old import beside live traffic is scored on its own clock: the same as
// alone, and the live clock stands.
func TestOldImportRunsOnItsOwnClock(t *testing.T) {
	live := signIns("acme", "198.51.100.7", "bob", 0, 20, event.OutcomeSuccess)
	old := signIns("acme", "203.0.113.9", "eve", -3*365*24*time.Hour, 120, event.OutcomeFailure)
	for i := range old {
		old[i].Source = "old.log"
	}
	_, alone := run(t, runner.Options{}, old)
	both := newRunner(t, runner.Options{})
	em := append(both.Apply(live), both.Apply(old)...)
	em = append(em, both.Flush()...)
	got := finals(t, em)
	if len(alone) != 1 || len(got) != 1 || got[0].ID != alone[0].ID || got[0].Score != alone[0].Score {
		t.Fatalf("alone %v, beside live traffic %v", alone, got)
	}
	if c := both.Counters(); c.TooLate != 0 || c.Scored != 140 {
		t.Fatalf("counters %+v", c)
	}
	late := live[0]
	late.ID, late.Time = "late", base.Add(-8*24*time.Hour).UnixNano()
	both.Apply([]event.Event{late})
	if c := both.Counters(); c.TooLate != 1 {
		t.Fatalf("8 days behind its source is too late: %+v", c)
	}
}

// The state is bounded; who was forgotten is met again as somebody new.
func TestEntitiesAreBounded(t *testing.T) {
	r := newRunner(t, runner.Options{MaxEntities: 50})
	for i := range 300 {
		r.Apply(signIns("acme", fmt.Sprintf("198.51.%d.%d", i/100, i%100), fmt.Sprint("u", i), time.Duration(i)*time.Minute, 1, event.OutcomeSuccess))
	}
	if c := r.Counters(); c.Forgotten < 500 || c.Scored != 300 {
		t.Fatalf("counters %+v", c)
	}
	if len(r.Snapshot()) > 200_000 {
		t.Fatalf("50 entities take %d bytes", len(r.Snapshot()))
	}
	if _, ok := r.Baseline(tenant.MustParse("acme"), alert.Entity{Type: alert.User, ID: "u299"}); !ok {
		t.Fatal("the newest is not known")
	}
	if _, ok := r.Baseline(tenant.MustParse("acme"), alert.Entity{Type: alert.User, ID: "u0"}); ok {
		t.Fatal("the oldest is still known")
	}
}

func BenchmarkApply(b *testing.B) {
	evs, _ := traffic(b, simulate.Options{Seed: 1, Tenants: 4, Duration: 7 * 24 * time.Hour})
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += len(evs) {
		r := newRunner(b, runner.Options{})
		n := min(len(evs), b.N-i)
		for j := 0; j < n; j += 512 {
			r.Apply(evs[j:min(n, j+512)])
		}
	}
}

// The view is what the detectors would say now.
func TestBaselineView(t *testing.T) {
	r := newRunner(t, runner.Options{})
	acme := tenant.MustParse("acme")
	for day := range 10 {
		evs := signIns("acme", "198.51.100.7", "bob", time.Duration(day)*24*time.Hour, 30, event.OutcomeSuccess)
		for i := range evs {
			evs[i].Country = "DE"
		}
		r.Apply(evs)
	}
	v, ok := r.Baseline(acme, alert.Entity{Type: alert.User, ID: "bob"})
	if !ok || len(v.Expected) != 24 || v.Expected[0] < 5 || v.Expected[12] > v.Expected[0]/3 || !slices.Contains(v.Known["country"], "DE") {
		t.Fatalf("got %+v", v)
	}
	for _, e := range []alert.Entity{{Type: alert.User, ID: "nobody"}, {Type: alert.Session, ID: "bob"}, {}} {
		if _, ok := r.Baseline(acme, e); ok {
			t.Fatalf("%v is known", e)
		}
	}
	if _, ok := r.Baseline(tenant.MustParse("other"), alert.Entity{Type: alert.User, ID: "bob"}); ok {
		t.Fatal("another tenant sees bob")
	}
}

// Two tenants in one runner are each what they are alone.
func TestTenantsDoNotTouch(t *testing.T) {
	evs := small(t)
	byTenant := map[tenant.ID][]event.Event{}
	for _, e := range evs {
		byTenant[e.Tenant] = append(byTenant[e.Tenant], e)
	}
	_, together := run(t, runner.Options{}, evs)
	sum := 0
	for id, mine := range byTenant {
		_, alone := run(t, runner.Options{}, mine)
		sum += len(alone)
		for _, a := range alone {
			if !slices.ContainsFunc(together, func(b alert.Alert) bool {
				return a.ID == b.ID && a.Score == b.Score && a.BaselineHash == b.BaselineHash
			}) {
				t.Errorf("%s: alert %s is another in company", id, a.ID)
			}
		}
	}
	if sum != len(together) {
		t.Errorf("%d alerts alone, %d together", sum, len(together))
	}
}

// No bytes whatever crash a restore.
func FuzzRestore(f *testing.F) {
	r := newRunner(f, runner.Options{})
	r.Apply(signIns("acme", "203.0.113.9", "eve", 0, 60, event.OutcomeFailure))
	good := r.Snapshot()
	f.Add(good, 100, byte(1))
	f.Add(good, len(good)-20, byte(0x80))
	f.Fuzz(func(t *testing.T, b []byte, at int, x byte) {
		c := bytes.Clone(b)
		if len(c) < 40 {
			return
		}
		c[min(max(at, 0), len(c)-5)] ^= x
		n := len(c) - 4 // with a checksum that fits, so that the reader is reached
		sum := crc32.Checksum(c[:n], crc32.MakeTable(crc32.Castagnoli))
		for i := range 4 {
			c[n+i] = byte(sum >> (8 * i))
		}
		q := newRunner(t, runner.Options{})
		if q.Restore(c) == nil {
			q.Snapshot()
		}
	})
}
