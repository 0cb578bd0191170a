package offline_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/offline"
	"github.com/tenantwatch/tenantwatch/detectors/simulate"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// However many workers share the tenants, the output is the same bytes.
func TestWorkersChangeNothing(t *testing.T) {
	var evs []event.Event
	err := simulate.Run(simulate.Options{Seed: 11, Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Tenants: 5, Users: 10, Duration: 4 * 24 * time.Hour, AttacksPerWeek: 14},
		func(e *event.Event) error { evs = append(evs, *e); return nil }, func(simulate.Truth) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	score := func(workers int) (string, offline.EventsSummary) {
		var b bytes.Buffer
		sum, err := offline.ScoreEvents(&b, offline.EventsOptions{Workers: workers}, func(yield func(event.Event, error) bool) {
			for _, e := range evs {
				if !yield(e, nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return b.String(), sum
	}
	one, first := score(1)
	if first.Alerts == 0 || first.Counters.Scored != uint64(len(evs)) {
		t.Fatalf("%+v of %d events", first, len(evs))
	}
	for _, n := range []int{2, 3, 8} {
		if many, sum := score(n); many != one || sum != first {
			t.Fatalf("%d workers: another output, or %+v instead of %+v", n, sum, first)
		}
	}
}
