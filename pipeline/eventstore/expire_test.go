package eventstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// longAgo is the first day of what expires here.
var longAgo = time.Now().UTC().AddDate(0, 0, -100).Truncate(24 * time.Hour)

// aged are events that came in n days after noon, one an hour.
func aged(id tenant.ID, n int, days ...int) (out []event.Event) {
	for _, d := range days {
		for i := range n {
			e := full(id, len(out))
			e.ID = fmt.Sprintf("%s-%d-%d", id, d, i)
			e.IngestedAt = longAgo.AddDate(0, 0, d).Add(time.Duration(i) * time.Hour).UnixNano()
			e.Time = e.IngestedAt
			out = append(out, e)
		}
	}
	return out
}

// totals adds a tenant's accounts up.
func totals(t *testing.T, s *eventstore.Store, id tenant.ID) (stored, expired, occurrences uint64) {
	t.Helper()
	acc, err := s.Accounting(t.Context(), id, eventstore.AccountingRequest{})
	must(t, err)
	for _, a := range acc {
		stored, expired, occurrences = stored+a.Stored, expired+a.Expired, occurrences+a.Occurrences
	}
	return stored, expired, occurrences
}

func TestExpire(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	store(t, s, 1, aged(acme, 10, 0, 40)...) // two months
	store(t, s, 2, aged(globex, 10, 0, 40)...)
	live := func(id tenant.ID) uint64 {
		return count(t, fmt.Sprintf("SELECT count() FROM events WHERE tenant_id = '%s'", id))
	}
	adds := func(id tenant.ID, gone uint64) {
		t.Helper()
		stored, expired, occurrences := totals(t, s, id)
		if stored != 20 || expired != gone || live(id) != 20-gone || occurrences != 60 {
			t.Fatalf("%s: stored %d, expired %d, live %d, occurrences %d: want 20 = live + %d, 60", id, stored, expired, live(id), occurrences, gone)
		}
	}
	adds(acme, 0)
	hold, err := query.Parse("actor:user3@*")
	must(t, err)
	holds := []eventstore.Hold{{Query: hold}, {From: longAgo.Add(90 * time.Minute), To: longAgo.Add(150 * time.Minute)}} // events 3 and 2 of the first day
	out, err := s.Expire(ctx, acme, longAgo.AddDate(0, 0, 20), holds...)
	must(t, err)
	if out.Events != 8 {
		t.Fatalf("removed %d, want the first day's 10 less 2 that are held", out.Events)
	}
	adds(acme, 8)
	adds(globex, 0) // nobody else's
	if out, err = s.Expire(ctx, acme, longAgo.AddDate(0, 0, 21), holds...); err != nil || out.Events != 0 {
		t.Fatalf("again: %+v, %v", out, err)
	}
	adds(acme, 8)
	// The control: without the holds they go.
	if out, err = s.Expire(ctx, acme, longAgo.AddDate(0, 0, 22)); err != nil || out.Events != 2 {
		t.Fatalf("with nothing held: %+v, %v", out, err)
	}
	adds(acme, 10)

	// A crash between counting and removing: the counts are there, not done.
	must(t, raw(t).Exec(ctx, fmt.Sprintf(`INSERT INTO removals (tenant_id, hour, source, kind, cause, cutoff, holds, done, n, occurrences)
		SELECT tenant_id, toStartOfHour(ingested_at), source, 'events', 'expired', %d, '', 0, count(), sum(count) FROM events
		WHERE tenant_id = 'globex' AND ingested_at < fromUnixTimestamp64Nano(%[1]d) GROUP BY 1, 2, 3`, longAgo.AddDate(0, 0, 20).UnixNano())))
	adds(globex, 0) // still all live
	if out, err = s.Expire(ctx, globex, longAgo.AddDate(0, 0, 21)); err != nil || out.Events != 0 {
		t.Fatalf("after a crash: %+v, %v: want what was begun finished, and nothing more to do", out, err)
	}
	adds(globex, 10)
}
