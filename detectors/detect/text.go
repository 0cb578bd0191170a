package detect

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

// Num writes a count for a sentence: whole when it is, two significant places
// when small.
func Num(v float64) string {
	switch {
	case v == float64(int64(v)):
		return grouped(strconv.FormatInt(int64(v), 10))
	case v >= 100:
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 0.01:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return "less than 0.01"
}

// grouped puts a comma between thousands: "479,713".
func grouped(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Chance is a probability in words: "2.3 %", and below a thousandth "1 in
// 479,713".
func Chance(p float64) string {
	switch {
	case p >= 0.1:
		return strconv.FormatFloat(math.Round(p*100), 'f', 0, 64) + " %"
	case p >= 0.001:
		return strconv.FormatFloat(p*100, 'g', 2, 64) + " %"
	case p < 1e-15:
		return "less than 1 in 1,000,000,000,000,000"
	}
	return "1 in " + grouped(strconv.FormatFloat(math.Round(1/p), 'f', 0, 64))
}

// Plural is "1 account", "3 accounts".
func Plural(n float64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if strings.HasSuffix(one, "s") {
		return Num(n) + " " + one + "es"
	}
	if strings.HasSuffix(one, "y") {
		return Num(n) + " " + strings.TrimSuffix(one, "y") + "ies"
	}
	return Num(n) + " " + one + "s"
}

// Window is "15:00–16:00 UTC on 30 March 2017".
func Window(hour int64) string {
	t := Start(hour)
	return t.Format("15:04") + "–" + Start(hour+1).Format("15:04") + " UTC on " + t.Format("2 January 2006")
}

// List names up to three values: "a", "a and b", "a, b, c and 4 more".
func List(names []string, total int) string {
	shown := names
	if len(shown) > 3 {
		shown = shown[:3]
	}
	total = max(total, len(names))
	switch more := total - len(shown); {
	case len(shown) == 0:
		return ""
	case more > 0:
		return strings.Join(shown, ", ") + " and " + strconv.Itoa(more) + " more"
	case len(shown) == 1:
		return shown[0]
	default:
		return strings.Join(shown[:len(shown)-1], ", ") + " and " + shown[len(shown)-1]
	}
}

// Called is how a sentence begins with an entity.
func Called(e alert.Entity) string {
	switch e.Type {
	case alert.Tenant:
		return "Tenant " + e.ID
	case alert.Address:
		return "Address " + e.ID
	case alert.Service:
		return "Service account " + e.ID
	}
	return e.ID
}

// Bytes writes an amount of bytes: "512 B", "1.4 MB".
func Bytes(v float64) string {
	units := [...]string{"B", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for v >= 999.5 && i < len(units)-1 {
		v /= 1000
		i++
	}
	places := 0
	if i > 0 && v < 9.95 {
		places = 1
	}
	return strconv.FormatFloat(v, 'f', places, 64) + " " + units[i]
}

// Time is "15:04 on 2 January 2006" of Unix nanoseconds, in UTC.
func Time(nanos int64) string { return time.Unix(0, nanos).UTC().Format("15:04 on 2 January 2006") }
