package offline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/simulate"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func file(evs []event.Event) Events {
	return func(yield func(event.Event, error) bool) {
		for _, e := range evs {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func simulated(t testing.TB) []event.Event {
	var evs []event.Event
	err := simulate.Run(simulate.Options{Seed: 7, Tenants: 2, Users: 15, Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Duration: 6 * 24 * time.Hour, AttacksPerWeek: 8},
		func(e *event.Event) error { evs = append(evs, *e); return nil }, func(simulate.Truth) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return evs
}

func score(t testing.TB, o EventsOptions, files ...Events) (string, EventsSummary) {
	t.Helper()
	var b bytes.Buffer
	sum, err := ScoreEvents(&b, o, files...)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), sum
}

// However a log is split over files, the lines are the same.
func TestFilesAreMergedInEventTime(t *testing.T) {
	evs := simulated(t)
	want, sum := score(t, EventsOptions{}, file(evs))
	if sum.Alerts == 0 || sum.Events != uint64(len(evs)) || sum.Counters.Scored != sum.Events {
		t.Fatalf("%+v", sum)
	}
	f := sum.Findings
	if f.Findings != f.Alerted+f.Folded+f.Suppressed+f.BelowBudget || f.Alerted == 0 || f.BelowBudget == 0 {
		t.Fatalf("findings do not add up: %+v", f)
	}
	var parts [3][]event.Event
	for i, e := range evs {
		// Events of one instant keep their order only within a file.
		parts[(i/1000)%3] = append(parts[(i/1000)%3], e)
	}
	got, _ := score(t, EventsOptions{}, file(parts[0]), file(parts[1]), file(parts[2]))
	if strings.Count(got, "\n") != strings.Count(want, "\n") {
		t.Fatalf("%d alerts from one file, %d from three", strings.Count(want, "\n"), strings.Count(got, "\n"))
	}
	again, _ := score(t, EventsOptions{}, file(evs))
	if again != want {
		t.Fatal("a second run gives other lines")
	}
}

func TestEventsOutputIsTheContract(t *testing.T) {
	evs := simulated(t)
	for i := range evs { // offline a tenant is any string, echoed
		evs[i].Tenant = tenant.Verbatim("Some Tenant/" + evs[i].Tenant.String())
		evs[i].Flags |= event.FlagFuture // the file's clock counts, not ours
	}
	out, _ := score(t, EventsOptions{}, file(evs))
	last := ""
	for i, line := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"id", "tenant_id", "entity", "related", "first_seen", "last_seen", "raised_at_event_time", "score", "severity", "p_value",
			"detectors", "technique", "count", "event_ids", "title", "reason", "counterfactual", "baseline_hash", "state", "revision", "seq"} {
			if v, ok := m[k]; !ok || v == nil {
				t.Fatalf("line %d: %s is missing in %s", i+1, k, line)
			}
		}
		if m["seq"] != float64(i+1) || !strings.HasPrefix(m["tenant_id"].(string), "Some Tenant/") {
			t.Fatalf("line %d: seq %v, tenant %v", i+1, m["seq"], m["tenant_id"])
		}
		at, err := time.Parse(time.RFC3339Nano, m["raised_at_event_time"].(string))
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("%020d %s", at.UnixNano(), m["id"])
		if key <= last {
			t.Fatalf("line %d is out of order", i+1)
		}
		last = key
		if len(m["event_ids"].([]any)) == 0 || m["reason"] == "" || m["title"] == "" || m["counterfactual"] == "" {
			t.Fatalf("line %d says too little: %s", i+1, line)
		}
		sum := 0.0
		for _, d := range m["detectors"].([]any) {
			sum += d.(map[string]any)["contribution"].(float64)
		}
		if got := alert.Points(sum); float64(got)/1000 != m["score"].(float64) {
			t.Fatalf("line %d: contributions sum to %v, score %v", i+1, sum, m["score"])
		}
	}
}

func TestReadErrorEndsTheRun(t *testing.T) {
	boom := errors.New("boom")
	broken := iter.Seq2[event.Event, error](func(yield func(event.Event, error) bool) { yield(event.Event{}, boom) })
	if _, err := ScoreEvents(&bytes.Buffer{}, EventsOptions{}, broken); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if out, sum := score(t, EventsOptions{}); out != "" || sum.Events != 0 {
		t.Fatalf("no files: %q %+v", out, sum)
	}
}
