package record

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxSeconds bounds times to what fits Unix nanoseconds in an int64.
const maxSeconds = math.MaxInt64 / 1_000_000_000

// ParseTime reads RFC 3339 (also with a space for the T, and without an offset
// in loc), or a number as ParseEpoch does. The result is Unix nanoseconds,
// after 1970 and before 2262.
func ParseTime(s string, loc *time.Location) (int64, error) {
	if s == "" {
		return 0, errNoTime
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return CheckTime(t, s)
	}
	if isNumber(s) {
		return ParseEpoch(s)
	}
	if len(s) > 64 {
		s = s[:64]
	}
	fixed := strings.ToUpper(s) // RFC 3339 allows t and z
	for _, layout := range [...]string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00",
		"2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 UTC",
	} {
		if t, err := time.Parse(layout, fixed); err == nil {
			return CheckTime(t, s)
		}
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, fixed, loc); err == nil {
			return CheckTime(t, s)
		}
	}
	return 0, fmt.Errorf("time %q cannot be read: write it as 2026-03-01T09:15:02Z or as seconds or milliseconds since 1970", s)
}

// CheckTime gives t as Unix nanoseconds if it lies after 1970 and before 2262; s
// is how it was written.
func CheckTime(t time.Time, s string) (int64, error) {
	if sec := t.Unix(); sec < 0 || sec >= maxSeconds || sec == 0 && t.Nanosecond() == 0 {
		return 0, fmt.Errorf("time %q lies outside of 1970 to 2262: correct the sender's clock or field", s)
	}
	return t.UnixNano(), nil
}

func isNumber(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '.' && c != 'e' && c != 'E' && c != '+' && c != '-' {
			return false
		}
	}
	return s[0] >= '0' && s[0] <= '9' || s[0] == '-' || s[0] == '+'
}

// ParseEpoch reads a count since 1970 and tells the unit by its size: below
// 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, else
// nanoseconds. Plain decimals are read exactly to the nanosecond.
func ParseEpoch(s string) (int64, error) {
	whole, frac, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.ContainsAny(frac, "eE+-") {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || math.IsNaN(f) || math.Abs(f) >= math.MaxInt64 {
			return 0, fmt.Errorf("time %.64q is no number of seconds or milliseconds since 1970", s)
		}
		n, frac = int64(f), strconv.FormatFloat(f-math.Trunc(f), 'f', 9, 64)
		frac = frac[strings.IndexByte(frac, '.')+1:]
	}
	if n < 0 {
		return 0, fmt.Errorf("time %.64q lies before 1970: correct the sender's clock or field", s)
	}
	unit := int64(1)
	switch {
	case n < 1e11:
		unit = 1e9
	case n < 1e14:
		unit = 1e6
	case n < 1e17:
		unit = 1e3
	}
	if unit == 1e9 && n >= maxSeconds {
		return 0, fmt.Errorf("time %.64q lies after 2262: correct the sender's clock or field", s)
	}
	if n >= math.MaxInt64/unit {
		return 0, fmt.Errorf("time %.64q lies after 2262: correct the sender's clock or field", s)
	}
	ns := n * unit
	for i, scale := 0, unit/10; i < len(frac) && scale > 0; i, scale = i+1, scale/10 {
		if frac[i] < '0' || frac[i] > '9' {
			return 0, fmt.Errorf("time %.64q is no number of seconds or milliseconds since 1970", s)
		}
		ns += int64(frac[i]-'0') * scale
	}
	if ns <= 0 {
		return 0, fmt.Errorf("time %.64q is zero: give the time the event happened", s)
	}
	return ns, nil
}

// yearTolerance is how far ahead of now a time without year may lie and still
// belong to this year: clocks differ, and without a stated zone the host may
// be up to 14 hours east of UTC.
func yearTolerance(env *Env) time.Duration {
	if env.Zone != nil {
		return skew
	}
	return 14*time.Hour + skew
}

// YearClock dates lines that carry month, day and time but no year. It keeps
// the last date so that a stream rolls over at New Year.
type YearClock struct {
	year int
	last time.Time
}

// Date gives the moment of a yearless time. With env.Year the first line is in
// that year and the year advances when the calendar steps back by more than a
// month; without, it is the latest year in which the moment does not lie in
// the future, which rolls over by itself. 29 February only exists in leap
// years; a day that does not exist in the year is an error.
func (c *YearClock) Date(env *Env, month time.Month, day, hour, minute, sec int) (time.Time, error) {
	loc := env.Location()
	at := func(y int) (time.Time, bool) {
		t := time.Date(y, month, day, hour, minute, sec, 0, loc)
		return t, t.Day() == day && t.Month() == month
	}
	bad := fmt.Errorf("%s %d does not exist in the assumed year: state the year with --year", month, day)
	if env.Year != 0 {
		if c.year == 0 {
			c.year = env.Year
		}
		t, ok := at(c.year)
		if !c.last.IsZero() {
			const month = 31 * 24 * time.Hour
			switch d := t.Sub(c.last); {
			case d < -month: // December to January
				next, exists := at(c.year + 1)
				if exists && next.After(env.Now.Add(yearTolerance(env))) {
					break // files put together out of order, not a new year
				}
				c.year++
				t, ok = next, exists
			case d > 365*24*time.Hour-month: // a straggler from before New Year
				if t, ok = at(c.year - 1); !ok {
					return t, bad
				}
				env.NoteYear(t.Year())
				return t, nil
			}
		}
		if !ok {
			return t, bad
		}
		c.last = t
		env.NoteYear(c.year)
		return t, nil
	}
	limit := env.Now.Add(yearTolerance(env))
	// Eight years reach from any year back to a leap year, across 2100 too.
	for y := limit.In(loc).Year(); y >= limit.Year()-8; y-- {
		if t, ok := at(y); ok && !t.After(limit) {
			env.NoteYear(y)
			return t, nil
		}
	}
	return time.Time{}, bad
}
