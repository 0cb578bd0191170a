package eventstore_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// TestTail reads a tenant's events in pages while more come in, in two months
// and of two tenants: each once, none of another, whatever the query.
func TestTail(t *testing.T) {
	s := open(t)
	at := eventstore.TailPosition{}
	seen := map[string]int{}
	read := func(q *query.Query) (n int) {
		t.Helper()
		heads, err := s.Heads(t.Context(), acme, at)
		must(t, err)
		for _, h := range heads {
			for {
				events, next, err := s.Tail(t.Context(), acme, at, h, q, 7)
				must(t, err)
				for _, e := range events {
					if e.Tenant != acme {
						t.Fatalf("an event of %s", e.Tenant)
					}
					seen[e.ID]++
					n++
				}
				b, err := json.Marshal(next) // as it is kept
				must(t, err)
				at = nil
				must(t, json.Unmarshal(b, &at))
				if len(events) < 7 {
					break
				}
			}
		}
		return n
	}
	add := func(offset int64, n int, later int64) {
		var mine, theirs []event.Event
		for i := range n {
			e := full(acme, i)
			e.ID = fmt.Sprintf("%d-%d", offset, i)
			e.IngestedAt += later
			mine = append(mine, e)
			f := full(globex, i)
			f.ID = e.ID
			theirs = append(theirs, f)
		}
		store(t, s, offset, mine...)
		store(t, s, offset+1, theirs...)
	}
	if n := read(nil); n != 0 {
		t.Errorf("%d events of nothing", n)
	}
	add(10, 20, 0)
	if n := read(nil); n != 20 {
		t.Errorf("%d events, want 20", n)
	}
	add(20, 5, 40*24*3600e9) // the next month
	add(30, 16, 0)
	if n := read(nil); n != 21 {
		t.Errorf("%d more events, want 21", n)
	}
	if n := read(nil); n != 0 {
		t.Errorf("%d events again", n)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	add(40, 10, 0)
	none, err := query.Parse("actor:nobody")
	must(t, err)
	if n := read(none); n != 0 {
		t.Errorf("%d events match nothing", n)
	}
	if heads, err := s.Heads(t.Context(), acme, at); err != nil || len(heads) != 0 {
		t.Errorf("what does not match is looked at again: %+v, %v", heads, err)
	}
}
