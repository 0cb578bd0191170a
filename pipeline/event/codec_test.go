package event_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"pgregory.net/rapid"
)

var acme = tenant.MustParse("acme")

func anyEvent(t *rapid.T) event.Event {
	s := func(name string) string { return rapid.StringN(0, 12, 40).Draw(t, name) }
	word := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	ev := event.Event{
		Tenant: acme, ID: rapid.StringN(1, 30, event.MaxIDLen).Draw(t, "id"),
		Time:       rapid.Int64().Filter(func(v int64) bool { return v != 0 }).Draw(t, "time"),
		IngestedAt: rapid.Int64().Draw(t, "ingested"),
		Class:      event.Class(rapid.Uint32().Draw(t, "class")), Activity: rapid.Byte().Draw(t, "activity"),
		Action: word("action", "login", "file.download", "x"), Outcome: event.Outcome(rapid.IntRange(0, 2).Draw(t, "outcome")),
		Severity: rapid.Byte().Draw(t, "severity"), Actor: s("actor"), ActorType: word("at", "", "user", "service"),
		Cohort: s("cohort"), Session: s("session"), SrcIP: word("ip", "", "192.0.2.1", "2001:db8::1"), Country: word("c", "", "DE"),
		City: s("city"), ASN: rapid.Uint32().Draw(t, "asn"), UserAgent: s("ua"), Device: s("device"), Resource: s("resource"),
		ResourceType: s("rt"), HTTPMethod: word("m", "", "GET", "POST"), Status: rapid.Uint16().Draw(t, "status"),
		BytesIn: rapid.Uint64().Draw(t, "in"), BytesOut: rapid.Uint64().Draw(t, "out"),
		Duration: rapid.Float64().Draw(t, "dur"), Count: rapid.Uint32Range(1, math.MaxUint32).Draw(t, "count"),
		Source: s("source"), Format: s("format"), Raw: s("raw"), Flags: event.Flags(rapid.Uint32().Draw(t, "flags")),
	}
	if ev.HasPosition = rapid.Bool().Draw(t, "pos"); ev.HasPosition {
		ev.Latitude, ev.Longitude = rapid.Float64Range(-90, 90).Draw(t, "lat"), rapid.Float64Range(-180, 180).Draw(t, "lon")
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "labels") {
		ev.AddLabel(fmt.Sprintf("k%d", i%3), s("label"))
	}
	return ev
}

func encodeEvents(t interface{ Fatal(...any) }, events []event.Event) []byte {
	var enc event.Encoder
	enc.ResetEvents(acme)
	for i := range events {
		if err := enc.AddEvent(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
	if got := enc.N(); got != len(events) {
		t.Fatal("encoder counted", got, "of", len(events))
	}
	size := enc.Len()
	b := enc.Finish()
	if len(b) != size {
		t.Fatal("Len said", size, "the record has", len(b))
	}
	return b
}

func TestEventsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := make([]event.Event, rapid.IntRange(0, 20).Draw(t, "n"))
		for i := range want {
			want[i] = anyEvent(t)
		}
		b := encodeEvents(t, want)
		tag, got, err := event.DecodeEvents(b)
		if err != nil || tag != acme {
			t.Fatalf("decode: %v, %v", tag, err)
		}
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b tenant.ID) bool { return a == b })); d != "" {
			t.Fatal(d)
		}
		// A later writer's trailing section is skipped.
		if _, again, err := event.DecodeEvents(append(bytes.Clone(b), 1, 2, 3)); err != nil || len(again) != len(want) {
			t.Fatalf("trailing bytes: %d events, %v", len(again), err)
		}
		// No prefix decodes: a truncated record is never a shorter batch.
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, _, err := event.DecodeEvents(b[:cut]); !errors.Is(err, event.ErrRecord) {
			t.Fatalf("a record cut at %d of %d gave %v", cut, len(b), err)
		}
	})
}

func TestQuarantinedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := make([]event.Quarantined, rapid.IntRange(1, 10).Draw(t, "n"))
		var enc event.Encoder
		enc.ResetQuarantined(acme)
		for i := range want {
			want[i] = event.Quarantined{
				Tenant: acme, ID: rapid.StringN(1, 30, event.MaxIDLen).Draw(t, "id"), Source: rapid.String().Draw(t, "source"),
				Format: rapid.SampledFrom([]string{"", "sshd"}).Draw(t, "format"), Reason: rapid.SampledFrom([]string{"", "no time"}).Draw(t, "reason"),
				Line: rapid.Uint64().Draw(t, "line"), Offset: rapid.Uint64().Draw(t, "offset"), ReceivedAt: rapid.Int64().Draw(t, "at"),
			}
			if raw := rapid.SliceOf(rapid.Byte()).Draw(t, "raw"); len(raw) > 0 {
				want[i].Raw = raw
			}
			if err := enc.AddQuarantined(&want[i]); err != nil {
				t.Fatal(err)
			}
		}
		tag, got, err := event.DecodeQuarantined(enc.Finish())
		if err != nil || tag != acme {
			t.Fatalf("decode: %v, %v", tag, err)
		}
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b tenant.ID) bool { return a == b })); d != "" {
			t.Fatal(d)
		}
	})
}

// A field added by a later version, with a higher bit of the mask and its data
// behind the known fields, must not disturb this reader.
func TestUnknownFieldIsSkipped(t *testing.T) {
	item := []byte{2, 'i', '1'}
	item = binary.AppendVarint(item, 5)
	item = binary.AppendVarint(item, 6)
	item = binary.AppendUvarint(item, 1<<60|1<<4) // actor, and one nobody knows yet
	item = append(item, 2, 5)
	item = append(item, "login"...)
	item = append(item, 2, 3)
	item = append(item, "bob"...)
	item = append(item, "whatever a later version puts here"...)
	rec := append([]byte{'T', 'W', 'E', 1}, 5, 4)
	rec = append(rec, "acme"...)
	rec = binary.AppendUvarint(rec, uint64(len(item)))
	rec = append(append(rec, item...), 0)
	_, got, err := event.DecodeEvents(rec)
	if err != nil || len(got) != 1 || got[0].Actor != "bob" || got[0].Action != "login" || got[0].Time != 5 {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestEncoderRefuses(t *testing.T) {
	var enc event.Encoder
	enc.ResetEvents(acme)
	good := event.Event{Tenant: acme, ID: "1", Time: 1, Action: "login", Count: 1}
	other := good
	other.Tenant = tenant.MustParse("globex")
	if err := enc.AddEvent(&other); err == nil {
		t.Fatal("an event of another tenant was taken")
	}
	bad := good
	bad.Action = ""
	if err := enc.AddEvent(&bad); !errors.Is(err, event.ErrNoAction) {
		t.Fatalf("an event without action gave %v", err)
	}
	if err := enc.AddQuarantined(&event.Quarantined{Tenant: acme, ID: "1"}); err == nil {
		t.Fatal("a quarantined line was taken into a record of events")
	}
	if err := enc.AddEvent(&good); err != nil || enc.N() != 1 {
		t.Fatalf("after refusals: n=%d, %v", enc.N(), err)
	}
}

func FuzzDecode(f *testing.F) {
	ev := event.Event{Tenant: acme, ID: "1", Time: 1, Action: "login", Actor: "alice", Count: 2, Raw: "x", Labels: []event.Label{{Key: "a", Value: "b"}}}
	f.Add(encodeEvents(f, []event.Event{ev, ev}))
	var enc event.Encoder
	enc.ResetQuarantined(acme)
	if err := enc.AddQuarantined(&event.Quarantined{Tenant: acme, ID: "q", Raw: []byte("?")}); err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(enc.Finish()))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, events, err := event.DecodeEvents(b)
		if err == nil {
			for i := range events {
				if err := events[i].Validate(); err != nil {
					t.Fatalf("a decoded event is invalid: %v", err)
				}
			}
		}
		event.DecodeQuarantined(b) //nolint:errcheck // only that it returns
	})
}

func BenchmarkCodec(b *testing.B) {
	events := make([]event.Event, 500)
	for i := range events {
		events[i] = event.Event{Tenant: acme, ID: fmt.Sprintf("0123456789abcdef%016x", i), Time: int64(i+1) * 1e9, IngestedAt: int64(i) * 1e6, Class: 3002,
			Action: "login", Outcome: 1, Actor: fmt.Sprintf("user%d@acme.example", i%40), SrcIP: fmt.Sprintf("203.0.113.%d", i%200), Country: "DE",
			UserAgent: "Mozilla/5.0 (X11; Linux x86_64)", Session: fmt.Sprintf("s%d", i), Resource: "file/123", Status: 200, BytesOut: 52344, Count: 1, Source: "web", Format: "json", Raw: string(bytes.Repeat([]byte("x"), 300))}
	}
	var enc event.Encoder
	var rec []byte
	b.Run("encode", func(b *testing.B) {
		for range b.N {
			enc.ResetEvents(acme)
			for i := range events {
				if err := enc.AddEvent(&events[i]); err != nil {
					b.Fatal(err)
				}
			}
			rec = enc.Finish()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(events)), "ns/event")
	})
	b.Run("decode", func(b *testing.B) {
		for range b.N {
			if _, _, err := event.DecodeEvents(rec); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(events)), "ns/event")
	})
}
