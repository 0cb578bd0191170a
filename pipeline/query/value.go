package query

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// term reads the value of "name op" and checks it against the field's type.
func (p *parser) term(start int, name, key, op string) (Node, error) {
	f, ok := Lookup(name)
	if !ok {
		s := nearest(name, fieldNames())
		if s == "" {
			s = quote(p.src[start:p.restOfWord()])
		}
		return nil, p.suggest(start, s, "there is no field %q", name)
	}
	if f.Type == TypeLabels && key == "" {
		return nil, p.suggest(start, "label.<key>", "the label's key is missing")
	}
	if op == ":" {
		if inner := operator(p.src[p.pos:]); inner != "" && inner != ":" {
			op = inner
			p.pos += len(inner)
		}
	}
	at := p.pos
	if p.end() || unicode.IsSpace(p.peek()) || p.peek() == ')' {
		return nil, p.suggest(at, f.Example, "%s needs a value right after %q", f.Name, op)
	}
	if p.peek() == '(' {
		return nil, p.suggest(at, f.Name+":a OR "+f.Name+":b", "a list of values is written out with OR")
	}
	pat, quoted, err := p.word("value", op == ":")
	if err != nil {
		return nil, err
	}
	t := Term{Field: f, Key: key}
	negate := op == "!="
	if e := p.value(&t, at, op, pat, quoted); e != nil {
		return nil, e
	}
	if negate {
		return Not{t}, nil
	}
	return t, nil
}

// restOfWord is where the word that holds the position ends.
func (p *parser) restOfWord() int {
	if i := strings.IndexFunc(p.src[p.pos:], func(r rune) bool { return unicode.IsSpace(r) || r == ')' }); i >= 0 {
		return p.pos + i
	}
	return len(p.src)
}

func (p *parser) value(t *Term, at int, op string, pat Pattern, quoted bool) error {
	if pat.Any() && !quoted && op == ":" {
		t.Op = Exists
		return nil
	}
	f := t.Field
	switch op {
	case ":", "=", "!=":
		t.Op = Equal
	case ">":
		t.Op = Greater
	case ">=":
		t.Op = GreaterEqual
	case "<":
		t.Op = Less
	case "<=":
		t.Op = LessEqual
	}
	if t.Op != Equal && !f.numeric() && f.Type != TypeTime {
		return p.suggest(at-len(op), ":", "%s is no number, it cannot be compared with %q", f.Name, op)
	}
	text, literal := pat.Literal()
	if !literal && (f.numeric() || f.Type == TypeTime || f.Type == TypeOutcome) {
		return p.suggest(at, f.Example, "%s takes no wildcard", f.Name)
	}
	switch f.Type {
	case TypeText, TypeLabels:
		if f.upper {
			for i, s := range pat.Parts {
				pat.Parts[i] = strings.ToUpper(s)
			}
		}
		t.Value.Pattern = pat
	case TypeOutcome:
		word := strings.ToLower(text)
		if !slices.Contains(f.Values, word) {
			s := nearest(word, f.Values)
			if s == "" {
				s = "failure"
			}
			return p.suggest(at, s, "outcome is success, failure or unknown, not %q", text)
		}
		t.Value.Pattern = Pattern{[]string{word}}
	case TypeAddress:
		return p.address(t, at, pat)
	case TypeTime:
		return p.times(t, at, text)
	default:
		return p.numbers(t, at, text)
	}
	return nil
}

func (p *parser) address(t *Term, at int, pat Pattern) error {
	text, literal := pat.Literal()
	if !literal {
		t.Value.Pattern = pat
		return nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		t.Value.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	if pre, err := netip.ParsePrefix(text); err == nil && !pre.Addr().Is4In6() {
		t.Value.Prefix = pre.Masked()
		return nil
	}
	return p.suggest(at, t.Field.Example, "%q is no address and no prefix", text)
}

func (p *parser) numbers(t *Term, at int, text string) error {
	low, high, isRange := strings.Cut(text, "..")
	if isRange && t.Op != Equal {
		return p.suggest(at, t.Field.Name+":"+text, "a range needs \":\"")
	}
	v, err := p.number(t.Field, at, low)
	if err != nil {
		return err
	}
	t.Value.Low = v
	if !isRange {
		return nil
	}
	t.Op = Range
	if t.Value.High, err = p.number(t.Field, at+len(low)+2, high); err != nil {
		return err
	}
	if t.Value.High < v {
		return p.suggest(at, high+".."+low, "the range ends before it begins")
	}
	return nil
}

var (
	sizeUnits = map[string]float64{"": 1, "b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
	timeUnits = map[string]float64{"": 1, "ms": 1, "s": 1e3, "m": 60e3, "min": 60e3, "h": 3600e3}
)

func (p *parser) number(f Field, at int, text string) (float64, error) {
	if v, ok := f.names[strings.ToLower(text)]; ok {
		return v, nil
	}
	digits := len(text)
	for i, r := range text {
		if !(r >= '0' && r <= '9' || r == '.' || i == 0 && (r == '-' || r == '+')) {
			digits = i
			break
		}
	}
	v, err := strconv.ParseFloat(text[:digits], 64)
	if err != nil || math.Abs(v) > 1<<62 {
		if len(f.names) > 0 {
			return 0, p.suggest(at, nearest(text, f.Values), "%q is no number and none of %s", text, strings.Join(f.Values, ", "))
		}
		if v, ok := statusClass(f, text); ok {
			return 0, p.suggest(at, v, "%q is no number", text)
		}
		return 0, p.suggest(at, f.Example, "%q is no number", text)
	}
	unit := strings.ToLower(text[digits:])
	units, want := map[string]float64{"": 1}, "no unit"
	switch f.Type {
	case TypeBytes:
		units, want = sizeUnits, "B, KB, MB, GB, TB, KiB, MiB, GiB or TiB"
	case TypeDuration:
		units, want = timeUnits, "ms, s, m or h"
	}
	factor, ok := units[unit]
	if !ok {
		if v, ok := statusClass(f, text); ok {
			return 0, p.suggest(at, v, "%q is no number", text)
		}
		return 0, p.suggest(at, f.Example, "%s takes %s, not %q", f.Name, want, text[digits:])
	}
	if v *= factor; math.Abs(v) > 1<<62 {
		return 0, p.suggest(at, f.Example, "%q is too large", text)
	}
	if v == 0 {
		v = 0 // no negative zero: it would not survive being written
	}
	return v, nil
}

// statusClass guesses what 4xx meant.
func statusClass(f Field, text string) (string, bool) {
	if f.Name == "status" && len(text) == 3 && text[0] >= '1' && text[0] <= '5' && strings.EqualFold(text[1:], "xx") {
		return text[:1] + "00.." + text[:1] + "99", true
	}
	return "", false
}

func (p *parser) times(t *Term, at int, text string) error {
	low, high, isRange := strings.Cut(text, "..")
	if isRange && t.Op != Equal {
		return p.suggest(at, t.Field.Name+":"+text, "a range needs \":\"")
	}
	var err error
	if t.Value.From, t.Value.To, err = p.instant(t.Field, at, low); err != nil {
		return err
	}
	if !isRange {
		if back, ok := offset(low); ok && back < 0 && t.Op == Equal { // "time:-24h" is the last 24 hours
			t.Op, t.Value.To = Range, p.now.Add(time.Nanosecond)
		}
		return nil
	}
	t.Op = Range
	if _, t.Value.To, err = p.instant(t.Field, at+len(low)+2, high); err != nil {
		return err
	}
	if !t.Value.To.After(t.Value.From) {
		return p.suggest(at, high+".."+low, "the range ends before it begins")
	}
	return nil
}

// layouts are the ways to write a time, each with the span it stands for.
var layouts = []struct {
	layout string
	span   time.Duration
}{
	{"2006-01-02", 24 * time.Hour},
	{"2006-01-02T15:04", time.Minute},
	{"2006-01-02 15:04", time.Minute},
	{"2006-01-02T15:04:05", time.Second},
	{"2006-01-02 15:04:05", time.Second},
	{time.RFC3339, time.Second},
}

func (p *parser) instant(f Field, at int, text string) (from, to time.Time, err error) {
	for _, l := range layouts {
		v, err := time.Parse(l.layout, text)
		if err != nil {
			continue
		}
		if v = v.UTC(); v.Year() < 1900 || v.Year() > 2261 {
			return from, to, p.errorAt(at, "the year has to be between 1900 and 2261")
		}
		span := l.span
		if v.Nanosecond() != 0 || strings.ContainsAny(text, ".,") { // Parse takes a fraction with any layout that ends in seconds
			span = time.Nanosecond
		}
		return v, v.Add(span), nil
	}
	if from, to, ok := p.relative(text); ok {
		if p.now.IsZero() {
			return from, to, p.suggest(at, f.Example, "%q is relative to now, and there is no clock here: want a date or RFC 3339", text)
		}
		return from, to, nil
	}
	return from, to, p.suggest(at, f.Example, "%q is no time: want 2026-03-01, RFC 3339, -24h, now-7d, today or yesterday", text)
}

// relative reads a time that is said from now.
func (p *parser) relative(text string) (from, to time.Time, ok bool) {
	midnight := p.now.Truncate(24 * time.Hour)
	switch strings.ToLower(text) {
	case "today":
		return midnight, midnight.Add(24 * time.Hour), true
	case "yesterday":
		return midnight.Add(-24 * time.Hour), midnight, true
	}
	d, ok := offset(text)
	at := p.now.Add(d)
	return at, at.Add(time.Nanosecond), ok
}

// offsetUnits are in seconds; a month is no length of time.
var offsetUnits = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}

// offset reads now, now-24h, -24h, +15m: a whole number of one unit, at most
// ten years.
func offset(text string) (time.Duration, bool) {
	rest, named := strings.CutPrefix(strings.ToLower(text), "now")
	if named && rest == "" {
		return 0, true
	}
	if len(rest) < 3 || rest[0] != '-' && rest[0] != '+' {
		return 0, false
	}
	unit, ok := offsetUnits[rest[len(rest)-1]]
	n, err := strconv.ParseUint(rest[1:len(rest)-1], 10, 32)
	if !ok || err != nil || n > uint64(10*366*24*time.Hour/unit) {
		return 0, false
	}
	d := time.Duration(n) * unit
	if rest[0] == '-' {
		d = -d
	}
	return d, true
}
