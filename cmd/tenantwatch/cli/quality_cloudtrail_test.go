//go:build quality

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/detectors/simulate"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func parsed(t *testing.T, raw []byte, id string) (out []event.Event) {
	t.Helper()
	_, err := parse.Stream(bytes.NewReader(raw), parse.Options{Tenant: tenant.MustParse(id), Format: "cloudtrail", Now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}, parse.Handler{
		Event:       func(e *event.Event) error { out = append(out, *e); return nil },
		Quarantined: func(q *event.Quarantined) error { t.Errorf("quarantined: %s", q.Reason); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestQualityCloudTrail injects each of the recorded techniques into 14 days
// of a simulated company's CloudTrail, once by the account that recorded it (a
// stranger) and once by somebody who works there, and asks which are named in
// an alert. Beside it: an alert on the first call of its kind in a tenant.
func TestQualityCloudTrail(t *testing.T) {
	dir := "../../../../shared/data/cloudtrail-attacks"
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	if len(files) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("no development data here")
		}
		t.Skip("no development data here")
	}
	seed := rand.Uint64()
	if v, err := strconv.ParseUint(os.Getenv("TENANTWATCH_SEED"), 10, 64); err == nil {
		seed = v
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	type tally struct{ found, falls, plain, plainFalls int }
	var by [2]tally
	var missed [2][]string
	for k, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var recs []json.RawMessage
		if err := json.Unmarshal(raw, &recs); err != nil {
			t.Fatal(err)
		}
		var lines bytes.Buffer
		for _, r := range recs {
			var c bytes.Buffer
			if err := json.Compact(&c, r); err != nil {
				t.Fatal(err)
			}
			lines.Write(append(c.Bytes(), '\n'))
		}
		var benign bytes.Buffer
		o := simulate.Options{Seed: seed + uint64(k), Tenants: 1, Start: start, Duration: 14 * 24 * time.Hour, AttacksPerWeek: -1}
		if err := simulate.Run(o, func(e *event.Event) error {
			b, err := simulate.CloudTrail(e)
			benign.Write(append(b, '\n'))
			return err
		}, func(simulate.Truth) error { return nil }); err != nil {
			t.Fatal(err)
		}
		normal := parsed(t, benign.Bytes(), "acme")
		attack := parsed(t, lines.Bytes(), "acme")
		at := start.Add(time.Duration(7*24+rng.IntN(6*24)) * time.Hour).Add(time.Duration(rng.IntN(3600)) * time.Second)
		first := slices.MinFunc(attack, func(a, b event.Event) int { return int((a.Time - b.Time) / 1e9) }).Time
		users := []event.Event{}
		for i := range normal {
			if normal[i].ActorType != "service" && normal[i].Actor != "" && normal[i].Time > at.Add(-72*time.Hour).UnixNano() && normal[i].Time < at.UnixNano() {
				users = append(users, normal[i])
			}
		}
		for mode := range 2 {
			bad := map[string]bool{}
			evs := slices.Clone(normal)
			who := users[rng.IntN(len(users))]
			for i := range attack {
				e := attack[i]
				e.Time = at.UnixNano() + e.Time - first
				if mode == 1 {
					e.Actor, e.Cohort, e.ActorType = who.Actor, who.Cohort, who.ActorType
				}
				bad[e.ID] = true
				evs = append(evs, e)
			}
			slices.SortStableFunc(evs, func(a, b event.Event) int {
				if a.Time < b.Time {
					return -1
				} else if a.Time > b.Time {
					return 1
				}
				return 0
			})
			r, err := runner.New(runner.Options{OneClock: true})
			if err != nil {
				t.Fatal(err)
			}
			hit := false
			em := append(r.Apply(evs), r.Flush()...)
			for _, x := range em {
				if !x.Final || x.Alert.State == alert.Retracted {
					continue
				}
				right := false
				for _, id := range x.Alert.EventIDs {
					right = right || bad[id]
				}
				if right {
					hit = true
				} else {
					by[mode].falls++
				}
			}
			if hit {
				by[mode].found++
			} else {
				missed[mode] = append(missed[mode], strings.TrimSuffix(filepath.Base(name), ".json"))
			}
			seen, plain := map[string]bool{}, false
			for i := range evs {
				if !seen[evs[i].Action] && evs[i].Time > start.Add(24*time.Hour).UnixNano() {
					if bad[evs[i].ID] {
						plain = true
					} else {
						by[mode].plainFalls++
					}
				}
				seen[evs[i].Action] = true
			}
			if plain {
				by[mode].plain++
			}
		}
	}
	days := float64(14 * len(files))
	fmt.Printf("\nCloudTrail: %d techniques, each in 14 days of a company of its own, seed %d, budget 5\n", len(files), seed)
	fmt.Printf("  %-24s %14s %14s %24s\n", "", "tenantwatch", "false/day", "first action (false/day)")
	for mode, name := range []string{"by a stranger", "by an employee's key"} {
		y := by[mode]
		fmt.Printf("  %-24s %8d of %2d %14.2f %8d of %2d (%.2f)   missed: %s\n", name, y.found, len(files), float64(y.falls)/days, y.plain, len(files), float64(y.plainFalls)/days, strings.Join(missed[mode], " "))
		if y.found < 12 {
			t.Errorf("%s: %d techniques found, the first bar is 12", name, y.found)
		}
	}
}
