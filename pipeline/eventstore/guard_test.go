package eventstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// reads runs every tenant read of the store and reports what it saw: how many
// things, and the first error.
func reads(t *testing.T, s *eventstore.Store, id tenant.ID, ids []string) map[string]func() (int, error) {
	from, to := noon.Add(-time.Hour), noon.Add(24*time.Hour)
	ctx := t.Context()
	q, err := query.Parse("action:login OR -action:login")
	must(t, err)
	return map[string]func() (int, error){
		"search": func() (int, error) {
			p, err := s.Search(ctx, id, eventstore.SearchRequest{Query: q, Limit: 1000})
			return len(p.Events), err
		},
		"each": func() (int, error) {
			n := 0
			err := s.Each(ctx, id, eventstore.SearchRequest{}, func(*event.Event) error { n++; return nil })
			return n, err
		},
		"by id": func() (int, error) {
			e, err := s.EventsByID(ctx, id, ids)
			return len(e), err
		},
		"histogram": func() (int, error) {
			b, err := s.Histogram(ctx, id, eventstore.HistogramRequest{From: from, To: to, Buckets: 1})
			if len(b) == 0 {
				return 0, err
			}
			return int(b[0].Count), err
		},
		"open histogram": func() (int, error) {
			b, err := s.Histogram(ctx, id, eventstore.HistogramRequest{Buckets: 1})
			if len(b) == 0 {
				return 0, err
			}
			return int(b[0].Count), err
		},
		"facets": func() (int, error) {
			f, err := s.Facets(ctx, id, eventstore.FacetsRequest{Field: "action"})
			if len(f) == 0 {
				return 0, err
			}
			return int(f[0].Count), err
		},
		"totals": func() (int, error) {
			n, err := s.Totals(ctx, id, eventstore.Scope{From: from, To: to})
			return int(n.Events), err
		},
		"breakdown": func() (int, error) {
			b, err := s.Breakdown(ctx, id, eventstore.Scope{Query: q}, []string{"action", "country"}, 5)
			if len(b["country"]) != 1 || len(b["action"]) != 1 || b["action"][0].Count != b["country"][0].Count {
				return 0, err
			}
			return int(b["action"][0].Count), err
		},
		"diff": func() (int, error) {
			_, b, err := s.Diff(ctx, id, eventstore.Scope{From: from.Add(-time.Hour), To: from}, eventstore.Scope{From: from, To: to}, []string{"action"}, 5)
			if len(b["action"]) != 1 || b["action"][0].Before != 0 {
				return 0, err
			}
			return int(b["action"][0].After), err
		},
		"values": func() (int, error) {
			v, err := s.Values(ctx, id, eventstore.Scope{}, "country", "d", 5)
			if len(v) != 1 {
				return 0, err
			}
			return int(v[0].Count), err
		},
		"label keys": func() (int, error) {
			v, err := s.LabelKeys(ctx, id, eventstore.Scope{}, "a", 5)
			if len(v) != 1 {
				return 0, err
			}
			return int(v[0].Count), err
		},
		"week": func() (int, error) {
			w, err := s.Week(ctx, id, eventstore.Scope{})
			return int(w.Events[6*24+12]), err // 2026-03-01 is a Sunday
		},
		"norms": func() (int, error) {
			n, err := s.Norms(ctx, id, eventstore.Scope{})
			return int(n.PerHour[4]), err
		},
		"tail": func() (int, error) {
			heads, err := s.Heads(ctx, id, nil)
			if err != nil || len(heads) == 0 {
				return 0, err
			}
			n := 0
			for _, h := range heads {
				n += int(h.Rows)
			}
			return n, nil
		},
		"entities": func() (int, error) {
			e, _, err := s.Entities(ctx, id, eventstore.EntitiesRequest{Type: "address"})
			if len(e) != 1 {
				return 0, err
			}
			return int(e[0].Events), err
		},
		"quarantine": func() (int, error) {
			p, err := s.Quarantine(ctx, id, eventstore.QuarantineRequest{})
			return len(p.Lines), err
		},
		"accounting": func() (int, error) {
			a, err := s.Accounting(ctx, id, eventstore.AccountingRequest{})
			n := 0
			for _, x := range a {
				n += int(x.Duplicates) // stored and quarantined are seen by the others
			}
			return n, err
		},
	}
}

// Each guard alone keeps the other tenant's rows back; without both they come
// out, which shows that the test would see it, and even then no row of another
// tenant is handed on as one's own.
func TestGuards(t *testing.T) {
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

	check := func(name string, s *eventstore.Store) {
		for read, fn := range reads(t, s, acme, ids) {
			if n, err := fn(); err != nil || n != mine {
				t.Errorf("%s, %s: %d things, %v; want %d", name, read, n, err, mine)
			}
		}
	}
	check("both guards", s)
	check("filter alone", s.Without(true, false))
	check("binding alone", s.Without(false, true))

	for read, fn := range reads(t, s.Without(true, true), acme, ids) {
		n, err := fn()
		if err != nil && !errors.Is(err, eventstore.ErrForeignRow) {
			t.Errorf("no guard, %s: %v", read, err)
		}
		if err == nil && n != mine+theirs {
			t.Errorf("no guard, %s: %d things: the control does not see what it should", read, n)
		}
	}
	for read, fn := range reads(t, s, tenant.ID{}, ids) {
		if _, err := fn(); !errors.Is(err, tenant.ErrZero) {
			t.Errorf("no tenant, %s: %v", read, err)
		}
	}
	for read, fn := range reads(t, s, tenant.Verbatim("x' OR '1'='1"), ids) {
		if n, err := fn(); err == nil || n != 0 {
			t.Errorf("a tenant that is no slug, %s: %d things, %v", read, n, err)
		}
	}
}
