package eventstore_test

import (
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// Expire takes what is over and nothing else: not what came in since, not
// another tenant's. Erase takes all of one tenant and counts what is left.
func TestRetention(t *testing.T) {
	s := open(t)
	now := time.Now().UTC()
	offset := int64(0)
	put := func(id tenant.ID, age time.Duration, n int) {
		offset++
		at := now.Add(-age).UnixNano()
		b, q := eventstore.NewBlock(eventstore.Events, eventstore.Month(at)), eventstore.NewBlock(eventstore.Quarantine, eventstore.Month(at))
		for i := range n {
			e := full(id, int(offset)*100+i)
			e.IngestedAt = at
			b.AddEvent(&e, eventstore.Origin{TopicID: "topic", Offset: offset, Index: uint32(i)})
		}
		q.AddQuarantined(&event.Quarantined{Tenant: id, ID: e36(offset), Reason: "no time", ReceivedAt: at}, eventstore.Origin{TopicID: "q", Offset: offset})
		must(t, s.Insert(t.Context(), b, e36(offset)))
		must(t, s.Insert(t.Context(), q, "q"+e36(offset)))
	}
	const day = 24 * time.Hour
	put(acme, 40*day, 5)
	put(acme, 31*day, 4)
	put(acme, 29*day, 3)
	put(globex, 40*day, 2)
	events := func(id tenant.ID) uint64 {
		return count(t, "SELECT count() FROM events WHERE tenant_id = '"+id.String()+"'") + count(t, "SELECT count() FROM quarantine WHERE tenant_id = '"+id.String()+"'")
	}
	got, err := s.Expire(t.Context(), acme, now.Add(-30*day))
	must(t, err)
	if got != (eventstore.Removed{Events: 9, Quarantined: 2}) || events(acme) != 4 || events(globex) != 3 {
		t.Errorf("expired %+v, left %d of acme and %d of globex", got, events(acme), events(globex))
	}
	if got, err := s.Expire(t.Context(), acme, now.Add(-30*day)); err != nil || got != (eventstore.Removed{}) {
		t.Errorf("again: %+v, %v", got, err)
	}
	for _, bad := range []time.Time{{}, now.Add(time.Hour)} {
		if _, err := s.Expire(t.Context(), acme, bad); err == nil {
			t.Errorf("the limit %v was taken", bad)
		}
	}
	if _, err := s.Expire(t.Context(), tenant.ID{}, now.Add(-day)); err == nil {
		t.Error("no tenant was taken")
	}
	must(t, s.RecordDuplicates(t.Context(), eventstore.Range{TopicID: "t"}, []eventstore.Duplicates{{Tenant: acme, Source: "s", Table: eventstore.Events, Hour: now.Truncate(time.Hour), N: 1}}))
	removed, left, err := s.Erase(t.Context(), acme)
	must(t, err)
	if removed != (eventstore.Removed{Events: 3, Quarantined: 1}) || left != (eventstore.Removed{}) || events(acme) != 0 || events(globex) != 3 {
		t.Errorf("erased %+v, left %+v; %d of acme and %d of globex are there", removed, left, events(acme), events(globex))
	}
	if n := count(t, "SELECT count() FROM duplicates WHERE tenant_id = 'acme'"); n != 0 {
		t.Errorf("%d accounts of duplicates are left", n)
	}
}

func e36(n int64) string { return time.Unix(n, 0).UTC().Format("150405") }
