package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
)

// Setting is what a tenant says of itself, made ready for the detectors: where
// its clocks stand, which days are off, which networks are its own. It does
// not change; nil is a tenant that said nothing (UTC, no holiday, no network).
type Setting struct {
	zone     *time.Location // nil: UTC
	holidays map[int64]bool // days since the epoch, in the tenant's calendar
	networks []policy.Network
}

// NewSetting compiles a policy's time zone, holidays and networks.
func NewSetting(p *policy.Policy) (*Setting, error) {
	s := &Setting{}
	if p.TimeZone != "" && p.TimeZone != "UTC" {
		z, err := time.LoadLocation(p.TimeZone)
		if err != nil {
			return nil, fmt.Errorf("time zone %q: %w", p.TimeZone, err)
		}
		s.zone = z
	}
	for _, d := range p.Holidays {
		t, err := time.Parse(time.DateOnly, d)
		if err != nil {
			return nil, fmt.Errorf("holiday %q: want a day such as 2026-12-25", d)
		}
		if s.holidays == nil {
			s.holidays = make(map[int64]bool)
		}
		s.holidays[t.Unix()/86400] = true
	}
	for _, n := range p.Networks {
		if !n.Prefix.IsValid() {
			return nil, fmt.Errorf("network %q has no valid prefix", n.Name)
		}
		n.Prefix = n.Prefix.Masked()
		s.networks = append(s.networks, n)
	}
	// The narrowest network that holds an address is the one that counts.
	slices.SortStableFunc(s.networks, func(a, b policy.Network) int { return b.Prefix.Bits() - a.Prefix.Bits() })
	return s, nil
}

// Local is an hour counted from the epoch on the tenant's own clocks; a zone
// with half hours is taken at the hour's beginning.
func (s *Setting) Local(hour int64) int64 {
	if s == nil || s.zone == nil {
		return hour
	}
	_, offset := Start(hour).In(s.zone).Zone()
	return (hour*3600 + int64(offset)) / 3600
}

// Holiday reports whether an hour lies on one of the tenant's holidays.
func (s *Setting) Holiday(hour int64) bool {
	if s == nil || s.holidays == nil {
		return false
	}
	local := s.Local(hour)
	if local < 0 {
		local -= 23
	}
	return s.holidays[local/24]
}

// HourOfWeek is the hour of the tenant's week, 0 to 167 from Monday 00:00 by
// its own clocks; a holiday is a Sunday.
func (s *Setting) HourOfWeek(hour int64) int {
	if s == nil {
		return baseline.HourOfWeek(hour)
	}
	how := baseline.HourOfWeek(s.Local(hour))
	if s.Holiday(hour) {
		how = 144 + how%24
	}
	return how
}

// Network is the narrowest of the tenant's networks that holds an address.
func (s *Setting) Network(addr string) (policy.Network, bool) {
	if s == nil || len(s.networks) == 0 {
		return policy.Network{}, false
	}
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return policy.Network{}, false
	}
	a = a.Unmap()
	for _, n := range s.networks {
		if n.Prefix.Contains(a) {
			return n, true
		}
	}
	return policy.Network{}, false
}

// HourOfWeek is the hour of the week of the scope's tenant.
func (s *Scope) HourOfWeek(hour int64) int {
	if s.Setting == nil || s.Setting.zone == nil && s.Setting.holidays == nil {
		return baseline.HourOfWeek(hour)
	}
	if w := &s.week; w.of != s.Setting || w.hour != hour {
		*w = week{of: s.Setting, hour: hour, how: s.Setting.HourOfWeek(hour)}
	}
	return s.week.how
}

// week is the hour of the week of the hour asked for last: a zone's rules take
// a while to look up.
type week struct {
	of   *Setting
	hour int64
	how  int
}
