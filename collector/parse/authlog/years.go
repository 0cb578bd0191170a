package authlog

import (
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
)

// YearScan looks through a whole file beforehand to find the year its first
// line was written in. A file whose lines all date themselves by "the latest
// year not in the future" would fall apart at today's date if it reaches back
// across it; the scan lets the last line decide for all. The zero value is
// ready.
type YearScan struct {
	clock record.YearClock
	env   record.Env
	last  time.Time
	lines int
}

// scanBase is a leap year, so that every date exists in it.
const scanBase = 2000

// scanEnd keeps the scan from seeing a future: it counts New Years only.
var scanEnd = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// Add looks at one line.
func (s *YearScan) Add(line string) {
	h, ok := readHeader(line)
	if !ok || h.iso != "" {
		return
	}
	s.env.Year, s.env.Now = scanBase, scanEnd
	if t, err := s.clock.Date(&s.env, h.month, h.day, h.hour, h.minute, h.sec); err == nil {
		s.lines++
		if t.After(s.last) {
			s.last = t
		}
	}
}

// FirstYear is the year of the first line, so that the last one is in the
// latest year that does not lie in the future of now; 0 when no line lacked a
// year. zone is nil when it is not known.
func (s *YearScan) FirstYear(now time.Time, zone *time.Location) int {
	if s.lines == 0 {
		return 0
	}
	var c record.YearClock
	env := record.Env{Now: now, Zone: zone}
	t, err := c.Date(&env, s.last.Month(), s.last.Day(), s.last.Hour(), s.last.Minute(), s.last.Second())
	if err != nil {
		return 0
	}
	return t.In(env.Location()).Year() - (s.last.Year() - scanBase)
}
