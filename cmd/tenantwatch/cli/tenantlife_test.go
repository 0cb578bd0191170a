package cli

import (
	"encoding/json"
	"testing"
)

func TestSettingsPatch(t *testing.T) {
	got, err := settingsPatch([]string{"alert_budget=3", "time_zone=UTC", "quotas.events_per_second=5", "quotas.bytes_per_day=7", `networks=[{"name":"HQ","prefix":"203.0.113.0/24","kind":"office"}]`, "calendar.work_from=09:00"})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(got)
	if want := `{"alert_budget":3,"calendar":{"work_from":"09:00"},"networks":[{"kind":"office","name":"HQ","prefix":"203.0.113.0/24"}],"quotas":{"bytes_per_day":7,"events_per_second":5},"time_zone":"UTC"}`; string(b) != want {
		t.Errorf("%s\nwant %s", b, want)
	}
	for _, bad := range []string{"alert_budget", "=3", "alert_budget=many", "networks=[{"} {
		if _, err := settingsPatch([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
