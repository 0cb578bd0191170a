package record

import (
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Addr is the canonical form of an IP address. It also takes what logs really
// hold: an IPv4 address mapped into IPv6, brackets, and a port behind it,
// which is returned too. Leading zeros are no address.
func Addr(s string) (ip, port string, ok bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
			a, err = netip.ParseAddr(s[1 : len(s)-1])
		} else if ap, perr := netip.ParseAddrPort(s); perr == nil {
			a, err, port = ap.Addr(), nil, strconv.Itoa(int(ap.Port()))
		}
		if err != nil {
			return "", "", false
		}
	}
	if a.Is4In6() {
		a = a.Unmap()
	}
	if a.Is4() && port == "" && len(s) <= 15 && s[0] != '[' && s[0] != ':' {
		return s, "", true // the text is already canonical: no copy
	}
	return a.String(), port, true
}

// SetIP sets SrcIP (and the label src_port); what is no address is invalid,
// and "" and "-" are simply none.
func (b *Builder) SetIP(s string) {
	if s == "" || s == "-" {
		return
	}
	ip, port, ok := Addr(s)
	if !ok {
		b.Invalid("src_ip", s)
		return
	}
	b.SrcIP = ip
	b.AddText("src_port", port)
}

// SetCountry takes two letters.
func (b *Builder) SetCountry(s string) {
	if s == "" {
		return
	}
	if len(s) != 2 || !letter(s[0]) || !letter(s[1]) {
		b.Invalid("country", s)
		return
	}
	b.Country = strings.ToUpper(s)
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// SetASN takes 3320 or AS3320.
func (b *Builder) SetASN(s string) {
	if s == "" {
		return
	}
	digits := s
	if len(s) > 2 && (s[:2] == "AS" || s[:2] == "as") {
		digits = s[2:]
	}
	n, ok := Uint(digits, math.MaxUint32)
	if !ok {
		b.Invalid("asn", s)
		return
	}
	b.ASN = uint32(n)
}

// SetOutcome takes success, failure and unknown in any case.
func (b *Builder) SetOutcome(s string) {
	if s == "" {
		return
	}
	o, ok := event.ParseOutcome(s)
	if !ok {
		if o, ok = event.ParseOutcome(strings.ToLower(s)); !ok {
			b.Invalid("outcome", s)
			return
		}
	}
	b.Outcome = o
}

// SetStatus takes an HTTP status, 100 to 599, or 0 for none.
func (b *Builder) SetStatus(s string) {
	n, ok := Uint(s, 599)
	if !ok || n != 0 && n < 100 {
		b.Invalid("status", s)
		return
	}
	b.Status = uint16(n)
}

// SetBytes sets *p from a count of bytes; "-" is none.
func (b *Builder) SetBytes(p *uint64, field, s string) {
	if s == "-" || s == "" {
		return
	}
	n, ok := Uint(s, math.MaxInt64)
	if !ok {
		b.Invalid(field, s)
		return
	}
	*p = n
}

// SetCount takes 1 to 2^32-1.
func (b *Builder) SetCount(s string) {
	n, ok := Uint(s, math.MaxUint32)
	if !ok || n == 0 {
		b.Invalid("count", s)
		return
	}
	b.Count = uint32(n)
}

// SetDuration takes milliseconds, not negative.
func (b *Builder) SetDuration(s string) {
	f, ok := Float(s)
	if !ok || f < 0 {
		b.Invalid("duration", s)
		return
	}
	b.Duration = f
}

// SetPosition takes latitude and longitude in degrees; both or none.
func (b *Builder) SetPosition(lat, lon string) {
	if lat == "" && lon == "" {
		return
	}
	x, ok1 := Float(lat)
	y, ok2 := Float(lon)
	ok1, ok2 = ok1 && math.Abs(x) <= 90, ok2 && math.Abs(y) <= 180
	if ok1 && ok2 {
		b.Latitude, b.Longitude, b.HasPosition = x, y, true
		return
	}
	// Half a position is none; what was given is kept.
	b.Invalid("latitude", lat)
	b.Invalid("longitude", lon)
}

var severities = map[string]uint8{
	"unknown": 0, "informational": 1, "info": 1, "low": 2, "medium": 3, "high": 4, "critical": 5, "fatal": 6, "other": 99,
}

// SetSeverity takes OCSF's severity_id (0 to 6, 99) or its name.
func (b *Builder) SetSeverity(s string) {
	if n, ok := Uint(s, 99); ok && (n <= 6 || n == 99) {
		b.Severity = uint8(n)
		return
	}
	n, ok := severities[strings.ToLower(s)]
	if !ok {
		b.Invalid("severity", s)
		return
	}
	b.Severity = n
}

// SeverityOf is OCSF's severity_id of a name such as HIGH or warning, or 0.
func SeverityOf(s string) uint8 {
	if len(s) > 16 {
		return 0
	}
	switch w := strings.ToLower(s); w {
	case "warning", "warn", "moderate", "notice":
		return 3
	case "error", "err":
		return 4
	case "crit", "emergency", "alert":
		return 5
	case "debug", "none":
		return 1
	default:
		if n := severities[w]; n <= 6 {
			return n
		}
	}
	return 0
}

// SetActivity takes OCSF's activity_id, 0 to 99.
func (b *Builder) SetActivity(s string) {
	n, ok := Uint(s, 99)
	if !ok {
		b.Invalid("activity", s)
		return
	}
	b.Activity = uint8(n)
}

// SetClass takes an OCSF class_uid. A class the product does not reason about
// becomes 0 and is kept as a label. given is true when s settles the class.
func (b *Builder) SetClass(s string) (given bool) {
	n, ok := Uint(s, math.MaxUint32)
	if !ok {
		b.Invalid("class_uid", s)
		return false
	}
	switch c := event.Class(n); c {
	case event.ClassAccountChange, event.ClassAuthentication, event.ClassHTTPActivity, event.ClassAPIActivity:
		b.Class = c
		return true
	case event.ClassUnknown:
		return false
	}
	b.AddLabel("class_uid", s)
	return true
}

// Uint reads a whole number up to limit; 5e3 and 12.0 are whole numbers too.
func Uint(s string, limit uint64) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		f, ok := Float(s)
		if !ok || f < 0 || f != math.Trunc(f) || f >= 1<<53 {
			return 0, false
		}
		n = uint64(f)
	}
	return n, n <= limit
}

// Float reads a decimal number that is finite.
func Float(s string) (float64, bool) {
	if s == "" || len(s) > 64 || !isNumber(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
}
