package cli

import (
	"encoding/json"
	"testing"
	"time"
)

func TestBacktestRequest(t *testing.T) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	f := backtestFlags{tenant: "acme", from: "30d", to: "2026-03-30", budget: []int{2},
		compare: []string{"budget=1,sensitivity.novelty=0.5,suppress=network:10.0.0.0/8+action:get*"}, suppress: []string{"entity:build@acme"}}
	body, err := f.request(now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"from":"2026-03-01T12:00:00Z","name":"","tenant_id":"acme","to":"2026-03-30T00:00:00Z","variants":[{"budget":2,"label":"budget=2"},` +
		`{"budget":1,"label":"budget=1,sensitivity.novelty=0.5,suppress=network:10.0.0.0/8+action:get*","sensitivity":[{"detector":"novelty","factor":0.5}],"suppressions":[{"action":"get*","network":"10.0.0.0/8"}]},` +
		`{"label":"suppress entity:build@acme","suppressions":[{"entity_id":"build@acme"}]}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, bad := range []backtestFlags{{from: "yesterdayish"}, {compare: []string{"colour=red"}}, {suppress: []string{"everything"}}, {compare: []string{"budget=-1"}}} {
		if _, err := bad.request(now); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
