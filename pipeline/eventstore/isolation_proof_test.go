package eventstore_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// TestProveIsolation removes the guards of ClickHouse reads one at a time, runs
// every read of the store for one of two tenants, and prints what left.
// `make prove-isolation` runs it; TestGuards holds the same in every test run.
func TestProveIsolation(t *testing.T) {
	s := open(t)
	const mine, theirs = 7, 11
	seed := func(id tenant.ID, n int, offset int64) (ids []string) {
		evs := some(id, n)
		store(t, s, offset, evs...)
		b := eventstore.NewBlock(eventstore.Quarantine, eventstore.Month(noon.UnixNano()))
		for i := range n {
			ids = append(ids, evs[i].ID)
			q := event.Quarantined{Tenant: id, ID: fmt.Sprint(id, i), ReceivedAt: noon.UnixNano()}
			b.AddQuarantined(&q, eventstore.Origin{TopicID: "q", Offset: offset, Index: uint32(i)})
		}
		must(t, s.Insert(t.Context(), b, fmt.Sprint("q", offset)))
		must(t, s.RecordDuplicates(t.Context(), eventstore.Range{TopicID: "t", First: offset, Last: offset},
			[]eventstore.Duplicates{{Tenant: id, Source: "web", Table: eventstore.Events, Hour: noon, N: uint64(n)}}))
		return ids
	}
	ids := append(seed(acme, mine, 1), seed(globex, theirs, 2)...)

	fmt.Printf("\n  %-32s | %-32s | %-45s | %s\n", "guard removed (ClickHouse)", "what the reads show", "test that turns red", "second guard: foreign rows that left")
	for _, m := range []struct {
		guard           string
		binding, filter bool // removed
		red, second     string
	}{
		{"none (reference)", false, false, "none", ""},
		{"tenant bound in the statement", true, false, "TestGuards (filter away as well)", "the engine's filter"},
		{"the engine's filter", false, true, "TestGuards (binding away as well)", "tenant bound in the statement"},
		{"both", true, true, "TestGuards", "rows are looked at"},
	} {
		mutant := s.Without(m.binding, m.filter)
		all := reads(t, mutant, acme, ids)
		refused, leaking, foreign := 0, 0, 0
		for _, name := range slices.Sorted(maps.Keys(all)) {
			n, err := all[name]()
			switch {
			case errors.Is(err, eventstore.ErrForeignRow):
				refused++
			case err != nil:
				t.Errorf("%s, %s: %v", m.guard, name, err)
			case n != mine:
				leaking++
				foreign += n - mine
			}
		}
		shows := fmt.Sprintf("%d reads: own %d rows each", len(all), mine)
		behind := ""
		switch {
		case m.binding && m.filter:
			// Only the control: that without any guard foreign rows do come out.
			if refused == 0 || leaking == 0 {
				t.Errorf("no guard: %d reads refused, %d leaking: the control sees nothing", refused, leaking)
			}
			shows = fmt.Sprintf("%d reads show foreign figures", leaking)
			behind = fmt.Sprintf("%s: %d reads of rows refused; figures have no third guard (%d)", m.second, refused, foreign)
		case foreign != 0 || refused != 0:
			t.Errorf("%s removed: %d foreign rows, %d reads refused", m.guard, foreign, refused)
			fallthrough
		default:
			if m.second != "" {
				behind = fmt.Sprintf("%s: %d", m.second, foreign)
			}
		}
		fmt.Printf("  %-32s | %-32s | %-45s | %s\n", m.guard, shows, m.red, behind)
	}
	for name, read := range reads(t, s, tenant.ID{}, ids) {
		if _, err := read(); !errors.Is(err, tenant.ErrZero) {
			t.Errorf("zero tenant, %s: %v", name, err)
		}
	}
	fmt.Printf("  %-32s | %-32s | %-45s | %s\n", "tenant argument zero", "refused before a statement", "TestGuards", "0")
}
