package simulate

import (
	"hash/fnv"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func collect(t *testing.T, o Options) ([]event.Event, []Truth) {
	t.Helper()
	var evs []event.Event
	var ts []Truth
	err := Run(o, func(e *event.Event) error { evs = append(evs, *e); return nil },
		func(x Truth) error { ts = append(ts, x); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return evs, ts
}

func TestEventsAreValidOrderedAndUnique(t *testing.T) {
	evs, truths := collect(t, Options{Seed: 7, Start: monday, Tenants: 3, Users: 20, AttacksPerWeek: 12})
	if len(evs) < 5000 || len(truths) == 0 {
		t.Fatalf("%d events and %d attacks: want a busy week", len(evs), len(truths))
	}
	seen, last := map[string]bool{}, int64(0)
	for i := range evs {
		e := &evs[i]
		if err := e.Validate(); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		if e.Time < last || e.Time < monday.UnixNano() || e.Time >= monday.Add(7*24*time.Hour).UnixNano() {
			t.Fatalf("event %d at %v is out of order or range", i, e.At())
		}
		if k := e.Tenant.String() + "/" + e.ID; seen[k] {
			t.Fatalf("id %s twice", k)
		} else {
			seen[k] = true
		}
		last = e.Time
	}
	for _, x := range truths {
		for _, id := range x.EventIDs {
			if !seen[x.Tenant+"/"+id] {
				t.Fatalf("truth %s names event %s, which was never emitted", x.ID, id)
			}
		}
	}
}

func TestSameSeedSameTraffic(t *testing.T) {
	sum := func(seed uint64) uint64 {
		h := fnv.New64a()
		evs, _ := collect(t, Options{Seed: seed, Start: monday, Tenants: 2, Users: 8, Duration: 48 * time.Hour})
		for i := range evs {
			h.Write([]byte(evs[i].ID + evs[i].Actor + evs[i].Action + evs[i].SrcIP + evs[i].At().String()))
		}
		return h.Sum64()
	}
	first, again := sum(1), sum(1)
	if first != again {
		t.Error("the same seed gave other traffic")
	}
	if sum(1) == sum(2) {
		t.Error("two seeds gave the same traffic")
	}
}

func TestEveryKindLeavesATrace(t *testing.T) {
	for _, k := range Kinds() {
		_, truths := collect(t, Options{Seed: 3, Start: monday, Tenants: 1, Users: 20, AttacksPerWeek: -1,
			Scheduled: []Scheduled{{Kind: k, At: monday.Add(80 * time.Hour)}}})
		if len(truths) != 1 || truths[0].Kind != k || len(truths[0].Entities) == 0 || !truths[0].End.After(truths[0].Start) {
			t.Errorf("%s left %+v", k, truths)
		}
	}
}

func TestAttackFreeHasNoTruth(t *testing.T) {
	_, truths := collect(t, Options{Seed: 9, Start: monday, Tenants: 2, AttacksPerWeek: -1})
	if len(truths) != 0 {
		t.Fatalf("an attack-free week has %d attacks", len(truths))
	}
}

func TestWorkingHoursAndWeekends(t *testing.T) {
	evs, _ := collect(t, Options{Seed: 5, Start: monday, Tenants: 1, Users: 60, AttacksPerWeek: -1})
	week, weekend := 0, 0
	for i := range evs {
		if evs[i].ActorType != "user" {
			continue
		}
		if d := evs[i].At().Weekday(); d == time.Saturday || d == time.Sunday {
			weekend++
		} else {
			week++
		}
	}
	if weekend*10 > week {
		t.Fatalf("%d user events at the weekend, %d in the week: want far fewer", weekend, week)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	bad := func(o Options, want string) {
		t.Helper()
		err := Run(o, func(*event.Event) error { return nil }, func(Truth) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("got %v, want an error about %q", err, want)
		}
	}
	bad(Options{}, "start time")
	bad(Options{Start: monday, Attacks: []string{"magic"}}, "magic")
	bad(Options{Start: monday, Names: []string{"Not A Slug"}}, "tenant id")
	bad(Options{Start: monday, Scheduled: []Scheduled{{Kind: "silence", Tenant: 99}}}, "scheduled")
}
