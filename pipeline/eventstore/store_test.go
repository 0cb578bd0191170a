package eventstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

var (
	acme   = tenant.MustParse("acme")
	globex = tenant.MustParse("globex")
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// full is an event with every field set.
func full(id tenant.ID, n int) event.Event {
	return event.Event{
		Tenant: id, ID: fmt.Sprintf("%s'\"\\\n-%06d", id, n), Time: noon.Add(time.Duration(n)*time.Second).UnixNano() + 7, IngestedAt: noon.Add(time.Hour).UnixNano() + int64(n),
		Class: 3002, Activity: 1, Action: "login", Outcome: event.Outcome(n % 3), Severity: 2, Actor: fmt.Sprintf("user%d@acme.example", n%10), ActorType: "user", Cohort: "eng", Session: "s1",
		SrcIP: "203.0.113.7", Country: "DE", City: "Köln", Latitude: 50.9375312345, Longitude: 6.9603, HasPosition: true, ASN: 3320, UserAgent: "Mozilla/5.0", Device: "laptop",
		Resource: "file/123", ResourceType: "file", HTTPMethod: "GET", Status: 200, BytesIn: 1 << 60, BytesOut: 52344, Duration: 1.25, Count: 3, Source: "web", Format: "json",
		Labels: []event.Label{{Key: "b", Value: "1"}, {Key: "a", Value: "tab\there"}, {Key: "b", Value: "2"}}, Raw: "{\"x\":\"ü\\n\"}", Flags: event.FlagGeneratedID,
	}
}

func store(t testing.TB, s *eventstore.Store, offset int64, events ...event.Event) {
	t.Helper()
	blocks := map[int]*eventstore.Block{}
	for i := range events {
		m := eventstore.Month(events[i].IngestedAt)
		if blocks[m] == nil {
			blocks[m] = eventstore.NewBlock(eventstore.Events, m)
		}
		blocks[m].AddEvent(&events[i], eventstore.Origin{TopicID: "topic", Partition: 1, Offset: offset, Index: uint32(i)})
	}
	for m, b := range blocks {
		must(t, s.Insert(t.Context(), b, fmt.Sprint("token", offset, "-", m)))
	}
}

func some(id tenant.ID, n int) []event.Event {
	out := make([]event.Event, n)
	for i := range out {
		out[i] = full(id, i)
	}
	return out
}

func TestMigrate(t *testing.T) {
	s := open(t)
	must(t, s.Migrate(t.Context())) // again is nothing
	must(t, s.Ready(t.Context()))
	files, err := filepath.Glob("schema/*.sql")
	must(t, err)
	if n := count(t, "SELECT count() FROM schema_migrations"); n != uint64(len(files)) || n < 5 {
		t.Errorf("%d migrations noted, want %d", n, len(files))
	}
	must(t, raw(t).Exec(t.Context(), "INSERT INTO schema_migrations SELECT 1, 'x', 'other', now()"))
	must(t, raw(t).Exec(t.Context(), "ALTER TABLE schema_migrations DELETE WHERE version = 1 AND checksum != 'other' SETTINGS mutations_sync = 1"))
	if err := s.Migrate(t.Context()); err == nil {
		t.Error("a migration that was changed after it was applied is no error")
	}
}

func TestEventRoundTrip(t *testing.T) {
	s := open(t)
	want := some(acme, 3)
	bare := event.Event{Tenant: acme, ID: "bare", Time: -5, IngestedAt: noon.UnixNano(), Action: "x", Count: 1}
	want = append([]event.Event{bare}, want...)
	store(t, s, 1, want...)
	page, err := s.Search(t.Context(), acme, eventstore.SearchRequest{Ascending: true})
	must(t, err)
	same := cmp.Comparer(func(a, b tenant.ID) bool { return a == b })
	if d := cmp.Diff(want, page.Events, same); d != "" {
		t.Error(d)
	}
	got, err := s.EventsByID(t.Context(), acme, []string{want[2].ID, "nobody", want[1].ID})
	must(t, err)
	if d := cmp.Diff(want[1:3], got, same); d != "" {
		t.Error(d)
	}
}

// Over the native protocol a block goes through the driver: the same rows.
func TestInsertByDriver(t *testing.T) {
	s := open(t)
	events, lines := eventstore.NewBlock(eventstore.Events, eventstore.Month(full(acme, 0).IngestedAt)), eventstore.NewBlock(eventstore.Quarantine, eventstore.Month(noon.UnixNano()))
	want := some(acme, 3)
	for i := range want {
		events.AddEvent(&want[i], eventstore.Origin{TopicID: "topic", Offset: int64(i)})
	}
	lines.AddQuarantined(&event.Quarantined{Tenant: acme, ID: "q", Reason: "no time", ReceivedAt: noon.UnixNano(), Line: 7, Raw: []byte("raw")}, eventstore.Origin{TopicID: "topic"})
	for range 2 { // the token holds on this way too
		must(t, s.InsertByDriver(t.Context(), events, "a"))
		must(t, s.InsertByDriver(t.Context(), lines, "a"))
	}
	page, err := s.Search(t.Context(), acme, eventstore.SearchRequest{Ascending: true})
	must(t, err)
	if d := cmp.Diff(want, page.Events, cmp.Comparer(func(a, b tenant.ID) bool { return a == b })); d != "" {
		t.Error(d)
	}
	if n := count(t, "SELECT count() FROM quarantine WHERE line = 7 AND raw = 'raw' AND reason = 'no time'"); n != 1 {
		t.Errorf("%d quarantined rows", n)
	}
}

// The same block under the same token is one block; Find tells blocks apart.
func TestInsertIsIdempotentByToken(t *testing.T) {
	s := open(t)
	b := eventstore.NewBlock(eventstore.Events, eventstore.Month(full(acme, 0).IngestedAt))
	for i := range 100 {
		e := full(acme, i)
		b.AddEvent(&e, eventstore.Origin{TopicID: "topic", Partition: 1, Offset: int64(10 + i/10), Index: uint32(i % 10)})
	}
	r := eventstore.Range{TopicID: "topic", Partition: 1, First: 10, Last: 19}
	find := func() eventstore.Found {
		f, err := s.Find(t.Context(), eventstore.Events, b.Month(), r)
		must(t, err)
		return f
	}
	if f := find(); f != (eventstore.Found{}) {
		t.Fatalf("found %+v before the insert", f)
	}
	for range 3 {
		must(t, s.Insert(t.Context(), b, "one"))
	}
	want := eventstore.Found{Rows: 100, Sum: b.Sum()}
	if f := find(); f != want {
		t.Fatalf("found %+v, want %+v", f, want)
	}
	// The negative control: without the token's memory a retry doubles.
	must(t, s.Insert(t.Context(), b, "two"))
	if f := find(); f.Rows != 200 {
		t.Fatalf("another token stored %d rows: is it the token that keeps them apart?", f.Rows)
	}
}

func TestKnown(t *testing.T) {
	s := open(t)
	evs := some(acme, 50)
	store(t, s, 5, evs...)
	other := full(globex, 99)
	other.ID = "shared"
	store(t, s, 6, other)
	here := eventstore.Range{TopicID: "topic", Partition: 1, First: 5, Last: 5}
	elsewhere := eventstore.Range{TopicID: "topic", Partition: 1, First: 7, Last: 9}
	refs := []eventstore.Ref{
		{ID: evs[3].ID, Time: evs[3].Time}, // as stored
		{ID: evs[4].ID, Time: 12345},       // sent again with another time
		{ID: "new", Time: evs[5].Time},     // not there
		{ID: "shared", Time: other.Time},   // another tenant's
	}
	known, err := s.Known(t.Context(), eventstore.Events, acme, refs, elsewhere)
	must(t, err)
	if len(known) != 2 {
		t.Errorf("known: %v", known)
	}
	for _, i := range []int{3, 4} {
		if _, ok := known[evs[i].ID]; !ok {
			t.Errorf("%q is stored and not known", evs[i].ID)
		}
	}
	known, err = s.Known(t.Context(), eventstore.Events, acme, refs, here)
	must(t, err)
	if len(known) != 0 {
		t.Errorf("the rows of the range itself count as known: %v", known)
	}
	want := map[uint64]bool{}
	for _, e := range evs {
		want[eventstore.IDHash(e.ID)] = true
	}
	n, err := s.IDHashes(t.Context(), acme, 1000, func(h uint64) { delete(want, h) })
	must(t, err)
	if n != 50 || len(want) != 0 {
		t.Errorf("%d hashes, %d missing", n, len(want))
	}
	n, err = s.IDHashes(t.Context(), acme, 49, func(uint64) { t.Error("called beyond the limit") })
	must(t, err)
	if n != 50 {
		t.Errorf("%d rows", n)
	}
}

// Pages walked to the end hold every event once, in order, both ways, also
// where many events share one time.
func TestSearchPages(t *testing.T) {
	s := open(t)
	evs := some(acme, 57)
	for i := range evs {
		evs[i].Time = noon.Add(time.Duration(i/20) * time.Second).UnixNano()
	}
	store(t, s, 1, evs...)
	store(t, s, 2, some(globex, 20)...)
	for _, asc := range []bool{true, false} {
		seen := map[string]bool{}
		req := eventstore.SearchRequest{Limit: 10, Ascending: asc, From: noon, To: noon.Add(time.Hour)}
		var prev *event.Event
		for pages := 0; ; pages++ {
			page, err := s.Search(t.Context(), acme, req)
			must(t, err)
			for i := range page.Events {
				e := &page.Events[i]
				if seen[e.ID] {
					t.Fatalf("%q twice", e.ID)
				}
				seen[e.ID] = true
				if prev != nil {
					before := prev.Time < e.Time || prev.Time == e.Time && prev.ID < e.ID
					if before != asc {
						t.Fatalf("out of order: %d %q then %d %q", prev.Time, prev.ID, e.Time, e.ID)
					}
				}
				prev = e
			}
			if page.Next == nil {
				break
			}
			if pages > 10 {
				t.Fatal("the pages do not end")
			}
			req.After = page.Next
		}
		if len(seen) != len(evs) {
			t.Errorf("ascending=%v: %d of %d", asc, len(seen), len(evs))
		}
	}
	n := 0
	must(t, s.Each(t.Context(), acme, eventstore.SearchRequest{}, func(*event.Event) error { n++; return nil }))
	if n != len(evs) {
		t.Errorf("export gave %d of %d", n, len(evs))
	}
	stop := errors.New("enough")
	if err := s.Each(t.Context(), acme, eventstore.SearchRequest{}, func(*event.Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("ending an export early gave %v", err)
	}
}

func TestAggregates(t *testing.T) {
	s := open(t)
	store(t, s, 1, some(acme, 60)...) // one a second, outcomes by turns
	store(t, s, 2, some(globex, 30)...)
	bars, err := s.Histogram(t.Context(), acme, eventstore.HistogramRequest{From: noon, To: noon.Add(2 * time.Minute), Buckets: 4})
	must(t, err)
	if len(bars) != 4 || bars[0].Count != 30 || bars[1].Count != 30 || bars[2].Count != 0 || bars[0].Failures != 10 || !bars[1].Time.Equal(noon.Add(30*time.Second)) {
		t.Errorf("bars: %+v", bars)
	}
	bars, err = s.Histogram(t.Context(), acme, eventstore.HistogramRequest{Buckets: 7})
	must(t, err)
	var sum uint64
	for _, b := range bars {
		sum += b.Count
	}
	if sum != 60 {
		t.Errorf("open range: %d of 60 in %+v", sum, bars)
	}
	q, err := query.Parse("outcome:failure")
	must(t, err)
	values, err := s.Facets(t.Context(), acme, eventstore.FacetsRequest{Query: q, Field: "actor"})
	must(t, err)
	var total uint64
	for _, v := range values {
		total += v.Count
	}
	if total != 20 || len(values) != 10 {
		t.Errorf("facets: %+v", values)
	}
	if v, err := s.Facets(t.Context(), acme, eventstore.FacetsRequest{Field: "label.a"}); err != nil || len(v) != 1 || v[0].Value != "tab\there" || v[0].Count != 60 {
		t.Errorf("label facet: %+v, %v", v, err)
	}
	if v, err := s.Facets(t.Context(), acme, eventstore.FacetsRequest{Field: "asn"}); err != nil || len(v) != 1 || v[0].Value != "3320" {
		t.Errorf("number facet: %+v, %v", v, err)
	}
	for _, bad := range []string{"tenant_id", "raw", "label", "actor.x", "nosuch", "actor) UNION ALL SELECT 1 --"} {
		if _, err := s.Facets(t.Context(), acme, eventstore.FacetsRequest{Field: bad}); !errors.Is(err, eventstore.ErrField) {
			t.Errorf("field %q gave %v", bad, err)
		}
	}
	page, err := s.Search(t.Context(), acme, eventstore.SearchRequest{Query: q})
	must(t, err)
	if len(page.Events) != 20 {
		t.Errorf("a query found %d of 20", len(page.Events))
	}
}

func TestQuarantineAndAccounting(t *testing.T) {
	s := open(t)
	store(t, s, 1, some(acme, 5)...)
	at := noon.Add(90 * time.Minute)
	b := eventstore.NewBlock(eventstore.Quarantine, eventstore.Month(at.UnixNano()))
	for i := range 3 {
		q := event.Quarantined{Tenant: acme, ID: fmt.Sprint("q", i), Source: "web", Format: "json", Reason: "no time", Line: uint64(i), Offset: 100, ReceivedAt: at.UnixNano() + int64(i), Raw: []byte{0xff, 0, '\n', byte(i)}}
		b.AddQuarantined(&q, eventstore.Origin{TopicID: "q", Offset: int64(i)})
	}
	foreign := event.Quarantined{Tenant: globex, ID: "gq", ReceivedAt: at.UnixNano(), Raw: []byte("x")}
	nobody := event.Quarantined{ID: "nq", ReceivedAt: at.UnixNano(), Raw: []byte("x")}
	b.AddQuarantined(&foreign, eventstore.Origin{TopicID: "q", Offset: 8})
	b.AddQuarantined(&nobody, eventstore.Origin{TopicID: "q", Offset: 9})
	must(t, s.Insert(t.Context(), b, "q"))
	page, err := s.Quarantine(t.Context(), acme, eventstore.QuarantineRequest{Limit: 2})
	must(t, err)
	if len(page.Lines) != 2 || page.Next == nil || page.Lines[0].ID != "q2" || !bytes.Equal(page.Lines[0].Raw, []byte{0xff, 0, '\n', 2}) {
		t.Fatalf("first page: %+v", page)
	}
	page, err = s.Quarantine(t.Context(), acme, eventstore.QuarantineRequest{Limit: 2, After: page.Next})
	must(t, err)
	if len(page.Lines) != 1 || page.Next != nil || page.Lines[0].ID != "q0" {
		t.Fatalf("second page: %+v", page)
	}
	r := eventstore.Range{TopicID: "topic", Partition: 1, First: 1, Last: 9}
	for range 2 { // noted twice, counted once
		must(t, s.RecordDuplicates(t.Context(), r, []eventstore.Duplicates{{Tenant: acme, Source: "web", Table: eventstore.Events, Hour: noon.Add(time.Hour), N: 7}}))
	}
	acc, err := s.Accounting(t.Context(), acme, eventstore.AccountingRequest{From: noon, To: noon.Add(3 * time.Hour)})
	must(t, err)
	want := []eventstore.Account{{Hour: noon.Add(time.Hour), Source: "web", Stored: 5, Live: 5, Occurrences: 15, Duplicates: 7, Quarantined: 3}}
	if d := cmp.Diff(want, acc); d != "" {
		t.Error(d)
	}
	st, err := s.Stats(t.Context())
	must(t, err)
	if st.Events != 5 || st.Quarantined != 5 || st.Bytes == 0 {
		t.Errorf("stats: %+v", st)
	}
}

func TestCheckpoints(t *testing.T) {
	s := open(t)
	defer eventstore.SetChunkBytes(1000)()
	if _, _, ok, err := s.LoadCheckpoint(t.Context(), "detectors", 0); ok || err != nil {
		t.Fatalf("an empty store gave %v, %v", ok, err)
	}
	state := func(n int) []byte {
		rng := rand.NewChaCha8([32]byte{byte(n)})
		b := make([]byte, 300+n*900)
		rng.Read(b) //nolint:errcheck // never fails
		return b
	}
	expect := func(offset int64, want []byte) {
		t.Helper()
		o, got, ok, err := s.LoadCheckpoint(t.Context(), "detectors", 3)
		must(t, err)
		if !ok || o != offset || !bytes.Equal(got, want) {
			t.Fatalf("loaded offset %d, %d bytes, %v; want %d, %d bytes", o, len(got), ok, offset, len(want))
		}
	}
	for i := range 6 {
		must(t, s.SaveCheckpoint(t.Context(), "detectors", 3, int64(i), state(6-i)))
		must(t, s.SaveCheckpoint(t.Context(), "detectors", 4, int64(i+100), nil))
		expect(int64(i), state(6-i))
	}
	// A crash between chunks: the newest lacks one, the one before counts; and
	// saving again must not overwrite it before it is complete.
	crash := func(version int) {
		must(t, raw(t).Exec(t.Context(), fmt.Sprintf(`INSERT INTO checkpoints SELECT 'detectors', 3, %d, 0, %d, 2, 77, 2000, 1, now64(3), 'half'`, (version+1)%2, version)))
	}
	crash(7)
	expect(5, state(1))
	must(t, raw(t).Exec(t.Context(), "OPTIMIZE TABLE checkpoints FINAL"))
	expect(5, state(1))
	must(t, s.SaveCheckpoint(t.Context(), "detectors", 3, 8, state(3)))
	expect(8, state(3))
	must(t, raw(t).Exec(t.Context(), "OPTIMIZE TABLE checkpoints FINAL"))
	expect(8, state(3))
	if n := count(t, "SELECT uniqExact(version) FROM checkpoints WHERE partition_id = 4"); n != 2 {
		t.Errorf("%d versions are kept, want the last two", n)
	}
	// A damaged newest one is passed over.
	must(t, raw(t).Exec(t.Context(), "ALTER TABLE checkpoints UPDATE data = 'garbage' WHERE partition_id = 3 AND log_offset = 8 SETTINGS mutations_sync = 1"))
	if o, _, ok, err := s.LoadCheckpoint(t.Context(), "detectors", 3); err == nil && ok && o == 8 {
		t.Error("a damaged checkpoint was loaded")
	}
	must(t, s.SaveCheckpoint(t.Context(), "detectors", 3, 9, state(2)))
	expect(9, state(2))
}
