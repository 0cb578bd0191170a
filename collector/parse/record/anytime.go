package record

import (
	"strings"
	"time"
)

// anyLayouts are the ways of writing a time that products use beside those of
// ParseTime. Those without an offset are read in the zone of the stream.
var anyLayouts = [...]struct {
	layout string
	zone   bool
}{
	{"2006-01-02 15:04:05 (MST)", true}, {"02/Jan/2006:15:04:05 -0700", true},
	{"2006-01-02T15:04:05.999999999-07", true}, {"2006-01-02 15:04:05.999999999-07", true},
	{time.RFC1123Z, true}, {time.RFC1123, true}, {time.RFC850, true}, {time.UnixDate, true}, {time.RubyDate, true},
	{time.RFC822Z, true}, {"2006-01-02 15:04:05 MST", true}, {"Mon, 2 Jan 2006 15:04:05 -0700", true},
	{"20060102T150405Z0700", true}, {"2006/01/02 15:04:05 Z0700", true},
	{time.ANSIC, false}, {"2006/01/02 15:04:05", false}, {"2006-01-02T15:04", false}, {"2006-01-02 15:04", false},
	{"1/2/2006 3:04:05 PM", false}, {"1/2/2006 15:04:05", false}, {"Jan 2, 2006 3:04:05 PM", false},
	{"Jan 2, 2006, 3:04:05 PM", false}, {"2 Jan 2006 15:04:05", false}, {"02-Jan-2006 15:04:05", false},
	{"20060102150405", false}, {"2006-01-02T15:04:05,999999999", false}, {"2006-01-02 15:04:05,999999999", false},
	{"2006-01-02", false},
}

// ParseAnyTime reads a time in any of the ways ParseTime knows and products
// use. The result is Unix nanoseconds after 1970 and before 2262.
func ParseAnyTime(s string, loc *time.Location) (int64, error) {
	ns, err := ParseTime(s, loc)
	if err == nil || len(s) > 64 || len(s) < 8 || strings.IndexByte("0123456789MTWFSJADON", s[0]) < 0 {
		return ns, err
	}
	for i := range anyLayouts {
		l := &anyLayouts[i]
		var t time.Time
		var perr error
		if l.zone {
			t, perr = time.Parse(l.layout, s)
		} else {
			t, perr = time.ParseInLocation(l.layout, s, loc)
		}
		if perr == nil {
			return CheckTime(t, s)
		}
	}
	return 0, err
}
