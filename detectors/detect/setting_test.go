package detect_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
)

func setting(t *testing.T, p policy.Policy) *detect.Setting {
	t.Helper()
	s, err := detect.NewSetting(&p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// People's nine o'clock stays nine o'clock when the clocks change.
func TestLocalHoursFollowDaylightSaving(t *testing.T) {
	s := setting(t, policy.Policy{TimeZone: "Europe/Berlin"})
	winter := time.Date(2026, 3, 27, 8, 0, 0, 0, time.UTC).Unix() / 3600 // Friday, CET
	summer := time.Date(2026, 3, 30, 7, 0, 0, 0, time.UTC).Unix() / 3600 // Monday, CEST
	if got := s.HourOfWeek(winter); got != 4*24+9 {
		t.Errorf("winter: hour of the week %d, want Friday 9", got)
	}
	if got := s.HourOfWeek(summer); got != 9 {
		t.Errorf("summer: hour of the week %d, want Monday 9", got)
	}
	var none *detect.Setting
	if got := none.HourOfWeek(summer); got != 7 {
		t.Errorf("who says nothing lives in UTC: %d, want Monday 7", got)
	}
}

func TestHolidaysAreSundaysOfTheTenant(t *testing.T) {
	s := setting(t, policy.Policy{TimeZone: "Asia/Tokyo", Holidays: []string{"2026-05-05"}})
	eve := time.Date(2026, 5, 4, 14, 0, 0, 0, time.UTC).Unix() / 3600   // 23:00 on the 4th there
	first := time.Date(2026, 5, 4, 15, 0, 0, 0, time.UTC).Unix() / 3600 // midnight of the 5th
	if s.Holiday(eve) || !s.Holiday(first) || s.Holiday(first+24) {
		t.Error("the holiday is not the tenant's day")
	}
	if got := s.HourOfWeek(first + 10); got != 144+10 {
		t.Errorf("hour of the week %d, want Sunday 10", got)
	}
}

func TestTheNarrowestNetworkCounts(t *testing.T) {
	s := setting(t, policy.Policy{Networks: []policy.Network{
		{Name: "wide", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Kind: policy.Office},
		{Name: "vpn", Prefix: netip.MustParsePrefix("10.9.0.0/16"), Kind: policy.VPN},
	}})
	for addr, want := range map[string]string{"10.9.1.1": "vpn", "10.1.1.1": "wide", "::ffff:10.9.1.1": "vpn", "192.0.2.1": "", "no address": ""} {
		if n, ok := s.Network(addr); n.Name != want || ok != (want != "") {
			t.Errorf("%s is in %q", addr, n.Name)
		}
	}
}

func TestSettingRefusesWhatItCannotRead(t *testing.T) {
	for _, p := range []policy.Policy{
		{TimeZone: "Mars/Olympus"}, {Holidays: []string{"Christmas"}}, {Networks: []policy.Network{{Name: "x"}}},
	} {
		if _, err := detect.NewSetting(&p); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
}
