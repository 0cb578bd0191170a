package ingest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/ingest"
)

// books is what a test knows it sent, by source.
type books struct{ events, lines map[string]uint64 }

// TestAccountsAddUp sends random histories: new events, old ones again, lines
// for quarantine, those again, from several sources and hours, while the
// writer comes and goes. Whatever the store and the log say together is at
// every moment what was sent, and exactly that once all is written.
func TestAccountsAddUp(t *testing.T) {
	for _, seed := range []uint64{1, 7} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			r := newRig(t, 2)
			opt := r.options(r.store)
			group := opt.Group
			if group == "" {
				group = ingest.DefaultGroup
			}
			sent := books{map[string]uint64{}, map[string]uint64{}}
			var known []event.Event
			var aside []event.Quarantined
			next := 0
			// total is received as the accounts have it, with what waits.
			check := func(exact bool) {
				t.Helper()
				w, err := eventlog.InFlight(t.Context(), r.log, group, acme)
				must(t, err)
				acc, err := r.store.Accounting(t.Context(), acme, eventstore.AccountingRequest{})
				must(t, err)
				have := map[string]uint64{}
				for _, a := range acc {
					have[a.Source] += a.Stored + a.Duplicates + a.Quarantined + a.QuarantinedAgain
					if a.Stored != a.Live+a.Expired+a.Erased {
						t.Fatalf("%+v does not add up", a)
					}
				}
				for source, n := range w.Sources {
					have[source] += n
				}
				for source := range sent.events {
					want := sent.events[source] + sent.lines[source]
					if got := have[source]; got < want || exact && got != want {
						t.Fatalf("seed %d: %s: %d accounted for of %d sent, %+v waits: %+v", seed, source, got, want, w, acc)
					}
				}
				if exact && (w.Events != 0 || w.Lines != 0 || !w.Oldest.IsZero()) {
					t.Fatalf("%+v waits though all is written", w)
				}
			}
			stop := func() {}
			for range 25 {
				source := fmt.Sprintf("s%d", rng.IntN(3))
				var events []event.Event
				var lines []event.Quarantined
				switch k := rng.IntN(6); {
				case k < 2: // new events
					events = batch(acme, next, 1+rng.IntN(40))
					next += len(events)
					for i := range events {
						events[i].Source = source
						events[i].IngestedAt = noon.Add(time.Duration(rng.IntN(240)) * time.Minute).UnixNano()
					}
					known = append(known, events...)
				case k == 2 && len(known) > 0: // old ones again
					for range 1 + rng.IntN(20) {
						events = append(events, known[rng.IntN(len(known))])
					}
				case k == 3: // lines
					for i := range 1 + rng.IntN(5) {
						lines = append(lines, event.Quarantined{Tenant: acme, ID: fmt.Sprintf("q%d-%d", len(aside), i), Source: source, Reason: fmt.Sprintf(`time "%d" cannot be read`, i),
							ReceivedAt: noon.Add(time.Duration(rng.IntN(240)) * time.Minute).UnixNano(), Raw: []byte("x")})
					}
					aside = append(aside, lines...)
				case k == 4 && len(aside) > 0:
					lines = append(lines, aside[rng.IntN(len(aside))])
				default: // the writer comes or goes
					stop()
					check(false)
					stop = r.start(opt)
					continue
				}
				must(t, r.producer.Produce(t.Context(), acme, source, events, lines))
				for i := range events {
					sent.events[events[i].Source]++
				}
				for i := range lines {
					sent.lines[lines[i].Source]++
				}
				check(false)
			}
			stop()
			r.start(opt)
			r.until("everything to be written", func() bool {
				w, err := eventlog.InFlight(t.Context(), r.log, group, acme)
				must(t, err)
				return w.Events+w.Lines == 0
			})
			check(true)
			// The other tenant has nothing of it.
			if acc, err := r.store.Accounting(t.Context(), globex, eventstore.AccountingRequest{}); err != nil || len(acc) != 0 {
				t.Fatalf("globex has %+v, %v", acc, err)
			}
			if w, err := eventlog.InFlight(t.Context(), r.log, group, globex); err != nil || w.Events+w.Lines != 0 {
				t.Fatalf("globex has %+v, %v", w, err)
			}
			// What goes later is told apart from what never came.
			must(t, r.store.Seal(t.Context(), time.Time{}, noon.AddDate(0, 1, 0)))
			before := r.count("SELECT count() FROM events")
			must(t, r.raw.Exec(t.Context(), "ALTER TABLE events DELETE WHERE cityHash64(id) % 3 = 0 SETTINGS mutations_sync = 2"))
			must(t, r.store.Seal(t.Context(), time.Time{}, noon.AddDate(0, 1, 0))) // noting less changes nothing
			gone := before - r.count("SELECT count() FROM events")
			acc, err := r.store.Accounting(t.Context(), acme, eventstore.AccountingRequest{})
			must(t, err)
			var stored, lost uint64
			for _, a := range acc {
				stored, lost = stored+a.Stored, lost+a.Missing
			}
			if gone == 0 || lost != gone || stored+lost != before {
				t.Fatalf("%d rows were removed of %d, the accounts say %d of %d", gone, before, lost, stored)
			}
		})
	}
}

// TestQuarantine groups lines, reads them, and notes what became of them.
func TestQuarantine(t *testing.T) {
	r := newRig(t, 1)
	r.start(r.options(r.store))
	line := func(id tenant.ID, k int, source, reason string) event.Quarantined {
		return event.Quarantined{Tenant: id, ID: fmt.Sprintf("%s-q%d", id, k), Source: source, Reason: reason, ReceivedAt: noon.Add(time.Duration(k) * time.Second).UnixNano(), Raw: []byte(fmt.Sprintf("raw %d", k))}
	}
	var lines []event.Quarantined
	for k := range 5 {
		lines = append(lines, line(acme, k, "web", fmt.Sprintf(`time "%d" cannot be read at byte %d`, k, 10*k)))
	}
	lines = append(lines, line(acme, 5, "web", "no actor"), line(acme, 6, "db", "no actor"))
	must(t, r.producer.Produce(t.Context(), acme, "x", nil, lines))
	must(t, r.producer.Produce(t.Context(), globex, "x", nil, []event.Quarantined{line(globex, 0, "web", "no actor")}))
	r.until("the lines", func() bool { return r.count("SELECT count() FROM quarantine") == 8 })
	groups, err := r.store.QuarantineGroups(t.Context(), acme, eventstore.QuarantineScope{})
	must(t, err)
	got := ""
	for _, g := range groups {
		got += fmt.Sprintf("%s/%s×%d %s; ", g.Pattern, g.Source, g.Lines, g.Example)
	}
	if want := `time "…" cannot be read at byte N/web×5 acme-q4; no actor/db×1 acme-q6; no actor/web×1 acme-q5; `; got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	ids := func(q eventstore.QuarantineScope, limit int) (out string) {
		all, err := r.store.QuarantineLines(t.Context(), acme, q, limit)
		must(t, err)
		for _, l := range all {
			out += fmt.Sprintf("%s:%s:%d ", l.ID, l.Raw, l.Events)
		}
		return out
	}
	if got := ids(eventstore.QuarantineScope{Pattern: groups[0].Pattern, Source: "web"}, 2); got != "acme-q0:raw 0:0 acme-q1:raw 1:0 " {
		t.Fatal(got)
	}
	if got := ids(eventstore.QuarantineScope{IDs: []string{"acme-q6", "globex-q0"}}, 10); got != "acme-q6:raw 6:0 " {
		t.Fatal(got)
	}
	must(t, r.store.RecordReplayed(t.Context(), acme, []eventstore.Replayed{{ID: "acme-q0", At: noon, Events: 2}, {ID: "globex-q0", At: noon, Events: 9}}))
	must(t, r.store.RecordReplayed(t.Context(), acme, []eventstore.Replayed{{ID: "acme-q0", At: noon.Add(time.Hour), Events: 3}}))
	if got := ids(eventstore.QuarantineScope{State: eventstore.LinesReplayed}, 10); got != "acme-q0:raw 0:3 " {
		t.Fatal(got)
	}
	if got := ids(eventstore.QuarantineScope{State: eventstore.LinesOpen, Source: "db"}, 10); got != "acme-q6:raw 6:0 " {
		t.Fatal(got)
	}
	page, err := r.store.Quarantine(t.Context(), acme, eventstore.QuarantineRequest{State: eventstore.LinesOpen})
	if err != nil || len(page.Lines) != 6 {
		t.Fatalf("%d lines are open, %v", len(page.Lines), err)
	}
	// Another tenant's note about a line of the same id says nothing here.
	if all, err := r.store.QuarantineLines(t.Context(), globex, eventstore.QuarantineScope{State: eventstore.LinesOpen}, 10); err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	acc, err := r.store.Accounting(t.Context(), acme, eventstore.AccountingRequest{})
	must(t, err)
	if len(acc) != 2 || acc[1].Quarantined != 6 || acc[1].Replayed != 1 {
		t.Fatalf("%+v", acc)
	}
	must(t, r.store.RecordRefusals(t.Context(), "p1", 1, []eventstore.Refusals{{Tenant: acme, Source: "web", Hour: noon.Truncate(time.Hour), Requests: 1, Lines: 4}}))
	must(t, r.store.RecordRefusals(t.Context(), "p1", 2, []eventstore.Refusals{{Tenant: acme, Source: "web", Hour: noon.Truncate(time.Hour), Requests: 2, Lines: 9}}))
	must(t, r.store.RecordRefusals(t.Context(), "p2", 1, []eventstore.Refusals{{Tenant: acme, Source: "web", Hour: noon.Truncate(time.Hour), Requests: 1, Lines: 1}}))
	if acc, err = r.store.Accounting(t.Context(), acme, eventstore.AccountingRequest{}); err != nil || acc[1].Refused != 10 || acc[1].RefusedRequests != 3 {
		t.Fatalf("%+v, %v", acc, err)
	}
}
