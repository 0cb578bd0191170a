package ingest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// plan is what a range of records comes to.
type plan struct {
	blocks     []*eventstore.Block // by table, then month
	duplicates []eventstore.Duplicates
	poison     int
}

// item is one event or line on its way to a block; one of ev and q is set.
type item struct {
	ev     *event.Event
	q      *event.Quarantined
	origin eventstore.Origin
	hash   uint64
	maybe  bool // the id may have been stored before
	drop   bool
}

func (i *item) tenant() tenant.ID {
	if i.ev != nil {
		return i.ev.Tenant
	}
	return i.q.Tenant
}

func (i *item) id() string {
	if i.ev != nil {
		return i.ev.ID
	}
	return i.q.ID
}

func (i *item) table() eventstore.Table {
	if i.ev != nil {
		return eventstore.Events
	}
	return eventstore.Quarantine
}

func (i *item) arrived() int64 {
	if i.ev != nil {
		return i.ev.IngestedAt
	}
	return i.q.ReceivedAt
}

// plan drops repeated ids and cuts the rest into blocks. The same records give
// the same plan as long as the store's other rows are the same; when the range
// may be stored in part already (again), its own rows do not count as known.
func (w *writer) plan(ctx context.Context, records []eventlog.Record, r eventstore.Range, again bool) (*plan, error) {
	p := &plan{}
	items := w.items(records, r, p)
	if !w.in.opt.withoutIDCheck {
		if err := w.ask(ctx, items); err != nil {
			return nil, err
		}
		except := eventstore.Range{First: 0, Last: -1}
		if again {
			except = r
		}
		if err := w.drop(ctx, items, except); err != nil {
			return nil, err
		}
	}
	type key struct {
		table eventstore.Table
		month int
	}
	blocks := map[key]*eventstore.Block{}
	type dup struct {
		t      tenant.ID
		source string
		table  eventstore.Table
		hour   int64
	}
	dups := map[dup]uint64{}
	for k := range items {
		it := &items[k]
		if it.drop {
			source := ""
			if it.ev != nil {
				source = it.ev.Source
			} else {
				source = it.q.Source
			}
			dups[dup{it.tenant(), source, it.table(), it.arrived() / int64(time.Hour)}]++
			continue
		}
		bk := key{it.table(), eventstore.Month(it.arrived())}
		b := blocks[bk]
		if b == nil {
			b = eventstore.NewBlock(bk.table, bk.month)
			blocks[bk] = b
			p.blocks = append(p.blocks, b)
		}
		if it.ev != nil {
			b.AddEvent(it.ev, it.origin)
		} else {
			b.AddQuarantined(it.q, it.origin)
		}
	}
	slices.SortFunc(p.blocks, func(a, b *eventstore.Block) int {
		return cmp.Or(cmp.Compare(a.Table(), b.Table()), cmp.Compare(a.Month(), b.Month()))
	})
	for d, n := range dups {
		p.duplicates = append(p.duplicates, eventstore.Duplicates{Tenant: d.t, Source: d.source, Table: d.table, Hour: time.Unix(0, d.hour*int64(time.Hour)).UTC(), N: n})
	}
	return p, nil
}

// items lists what the records hold; a poison record becomes a line in
// quarantine that belongs to no tenant.
func (w *writer) items(records []eventlog.Record, r eventstore.Range, p *plan) []item {
	n := 0
	for i := range records {
		n += len(records[i].Events) + len(records[i].Quarantined) + 1
	}
	items := make([]item, 0, n)
	for i := range records {
		rec := &records[i]
		at := eventstore.Origin{TopicID: r.TopicID, Partition: r.Partition, Offset: rec.Offset}
		if rec.Err != nil {
			p.poison++
			id := fmt.Sprintf("record-%s-%d-%d", r.TopicID, r.Partition, rec.Offset)
			items = append(items, item{origin: at, hash: eventstore.IDHash(id), q: &event.Quarantined{
				ID: id, Source: "log:" + rec.Topic, Reason: rec.Err.Error(), Offset: uint64(rec.Offset), ReceivedAt: rec.Time.UnixNano(), Raw: rec.Value,
			}})
			continue
		}
		for k := range rec.Events {
			at.Index = uint32(k)
			ev := &rec.Events[k]
			items = append(items, item{ev: ev, origin: at, hash: eventstore.IDHash(ev.ID)})
		}
		for k := range rec.Quarantined {
			at.Index = uint32(k)
			q := &rec.Quarantined[k]
			items = append(items, item{q: q, origin: at, hash: eventstore.IDHash(q.ID)})
		}
	}
	return items
}

// ask finds the items whose id may be known: the first question, answered
// from memory. Lines in quarantine are few and always ask the store.
func (w *writer) ask(ctx context.Context, items []item) error {
	for i := range items {
		it := &items[i]
		if it.ev == nil {
			it.maybe = true
			continue
		}
		f, err := w.filter(ctx, it.ev.Tenant)
		if err != nil {
			return err
		}
		if f == nil || f.has(it.hash) {
			it.maybe = true
			continue
		}
		if !f.add(it.hash) {
			w.forget(it.ev.Tenant)
		}
	}
	return nil
}

// filter gives the tenant's filter, filled from the store when the tenant is
// seen for the first time by this writer; nil when it is too large.
func (w *writer) filter(ctx context.Context, t tenant.ID) (*filter, error) {
	f, ok := w.seen[t]
	if ok {
		return f, nil
	}
	free := max(w.in.budget.Load(), 0)
	var hashes []uint64
	var rows uint64
	err := w.retry(ctx, "read the known ids of a tenant", func() (err error) {
		hashes = hashes[:0]
		rows, err = w.in.opt.Store.IDHashes(ctx, t, uint64(free)/10, func(h uint64) { hashes = append(hashes, h) })
		return err
	})
	if err != nil {
		return nil, err
	}
	if rows == uint64(len(hashes)) {
		f = newFilter(len(hashes)+len(hashes)/4, &w.in.budget)
	}
	w.seen[t] = f
	if f == nil {
		w.in.m.uncached.Inc()
		w.log.Warn("a tenant has too many events for the filter of known ids: each batch asks the store", "events", rows)
		return nil, nil
	}
	for _, h := range hashes {
		if !f.add(h) {
			w.forget(t)
			return nil, nil
		}
	}
	return f, nil
}

// forget gives up the tenant's filter, for want of memory.
func (w *writer) forget(t tenant.ID) {
	w.seen[t].release()
	w.seen[t] = nil
	w.in.m.uncached.Inc()
}

// drop settles the doubtful items: by the batch itself, then by the store.
func (w *writer) drop(ctx context.Context, items []item, except eventstore.Range) error {
	type key struct {
		table eventstore.Table
		t     tenant.ID
	}
	asked := map[key][]int{}
	doubtful := map[uint64]struct{}{}
	for i := range items {
		if items[i].maybe {
			doubtful[items[i].hash] = struct{}{}
			k := key{items[i].table(), items[i].tenant()}
			asked[k] = append(asked[k], i)
		}
	}
	if len(doubtful) == 0 {
		return nil
	}
	// The first of equal ids in the batch stays. Only hashes that are in doubt
	// can be equal: the second of two finds the first in the filter.
	type who struct {
		key
		id string
	}
	first := map[who]struct{}{}
	for i := range items {
		it := &items[i]
		if _, ok := doubtful[it.hash]; !ok {
			continue
		}
		k := who{key{it.table(), it.tenant()}, it.id()}
		if _, ok := first[k]; ok {
			it.drop = true
			continue
		}
		first[k] = struct{}{}
	}
	for k, list := range asked {
		refs := make([]eventstore.Ref, 0, len(list))
		for _, i := range list {
			if it := &items[i]; !it.drop {
				ref := eventstore.Ref{ID: it.id()}
				if it.ev != nil {
					ref.Time = it.ev.Time
				}
				refs = append(refs, ref)
			}
		}
		if len(refs) == 0 {
			continue
		}
		w.in.m.lookups.Add(float64(len(refs)))
		var known map[string]struct{}
		err := w.retry(ctx, "look for known ids", func() (err error) {
			known, err = w.in.opt.Store.Known(ctx, k.table, k.t, refs, except)
			return err
		})
		if err != nil {
			return err
		}
		for _, i := range list {
			if _, ok := known[items[i].id()]; ok {
				items[i].drop = true
			}
		}
	}
	return nil
}
