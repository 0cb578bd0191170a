package mapping

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/generic"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Reader reads the records of one stream by a mapping.
type Reader struct {
	m       *Mapping
	d       doc.Doc
	b       record.Builder
	classes record.Classifier
	years   record.YearClock
	parts   map[string]string
	used    map[string]bool
}

// Reader makes a reader for one stream.
func (m *Mapping) Reader() *Reader {
	return &Reader{m: m, parts: map[string]string{}, used: map[string]bool{}}
}

// errShape says that a record is not the mapping's.
var errShape = errors.New("the record does not fit the mapping")

// Matches says whether the mapping takes a record: its conditions hold, and
// for a line of text one of its patterns fits.
func (r *Reader) Matches(raw string) bool {
	if (raw != "" && raw[0] == '{') == r.m.text && !r.m.text {
		return false
	}
	return r.read(raw) == nil && r.conditions(raw)
}

// read takes the record apart.
func (r *Reader) read(raw string) error {
	if !r.m.text {
		return r.d.Read(raw)
	}
	clear(r.parts)
	line := raw
	if len(line) > MaxLine {
		line = line[:MaxLine]
	}
	for _, re := range r.m.patterns {
		at := re.FindStringSubmatchIndex(line)
		if at == nil {
			continue
		}
		for i, name := range re.SubexpNames() {
			if name == "" || at[2*i] < 0 {
				continue
			}
			if key := partName(name); r.parts[key] == "" {
				r.parts[key] = line[at[2*i]:at[2*i+1]]
			}
		}
		return nil
	}
	return fmt.Errorf("mapping %s: no pattern fits the line: correct the pattern, or send the line under another format", r.m.Name)
}

func (r *Reader) conditions(raw string) bool {
	for _, c := range r.m.match {
		s := raw
		if c.path != "" {
			if s = r.peek(c.path); s == "" {
				return false
			}
		}
		if c.equals != "" && s != c.equals || c.pattern != nil && !c.pattern.MatchString(s[:min(len(s), MaxLine)]) {
			return false
		}
	}
	return true
}

func (r *Reader) peek(path string) string {
	if r.m.text {
		return r.parts[path]
	}
	return r.d.Peek(path)
}

// take is the value at the first of the paths that has one.
func (r *Reader) take(name string, env *record.Env, paths []string) string {
	if !r.m.text {
		s := r.d.Text(paths...)
		if s != "" {
			r.d.Note(name)
		}
		return s
	}
	for _, p := range paths {
		if s := r.parts[p]; !doc.Absent(s) {
			r.used[p] = true
			if env.Trace != nil {
				env.Trace(name, p)
			}
			return s
		}
	}
	return ""
}

// Parse reads one record.
func (r *Reader) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	r.d.Trace = env.Trace
	if !r.m.text && raw[0] != '{' {
		return fmt.Errorf("mapping %s is for JSON records: %w", r.m.Name, errShape)
	}
	if err := r.read(raw); err != nil {
		return err
	}
	if !r.conditions(raw) {
		return fmt.Errorf("mapping %s: its conditions do not hold for the record: %w", r.m.Name, errShape)
	}
	clear(r.used)
	b := &r.b
	b.Begin(env, r.m.Format(), raw)
	lat, lon := "", ""
	class := false
	for i := range r.m.fields {
		f := &r.m.fields[i]
		s := r.value(f, env)
		if s == "" {
			if f.required {
				return fmt.Errorf("mapping %s: no value for %s", r.m.Name, f.name)
			}
			continue
		}
		switch f.name {
		case "time":
			ns, err := r.time(f, s, env)
			if err != nil {
				return err
			}
			b.Time = ns
		case "latitude":
			lat = s
		case "longitude":
			lon = s
		case "class_uid":
			class = b.SetClass(s)
		default:
			set(b, f, s)
		}
	}
	b.SetPosition(lat, lon)
	for _, l := range r.m.labels {
		b.AddText(l.name, r.take("labels."+l.name, env, l.from))
	}
	if r.m.generic {
		generic.Fill(&r.d, b, env)
	}
	if b.Actor == "" {
		b.Actor = b.SrcIP
	}
	if !class && b.Class == event.ClassUnknown && b.Action != "" {
		c, a := r.classes.Of(b.Action)
		if b.Class = c; b.Activity == 0 {
			b.Activity = a
		}
	}
	if r.m.rest {
		r.rest()
	}
	if b.Time != 0 {
		env.LastTime = b.Time
	}
	e, err := b.Finish(env)
	if err != nil {
		return fmt.Errorf("mapping %s: %w", r.m.Name, err)
	}
	emit(e)
	return nil
}

// rest makes labels of what no field took.
func (r *Reader) rest() {
	if !r.m.text {
		r.d.Rest(&r.b, maxLabels)
		return
	}
	for _, re := range r.m.patterns { // in the order of the pattern, not of the map
		for _, g := range re.SubexpNames() {
			if p := partName(g); g != "" && !r.used[p] && !doc.Absent(r.parts[p]) {
				r.used[p] = true
				r.b.AddLabel(p, r.parts[p])
			}
		}
	}
}

// value makes the text of a field.
func (r *Reader) value(f *field, env *record.Env) string {
	s := f.constant
	switch {
	case s != "":
	case f.template != nil:
		var b strings.Builder
		some := false
		for _, p := range f.template {
			if p.path == "" {
				b.WriteString(p.text)
			} else if v := r.take(f.name, env, []string{p.path}); v != "" {
				b.WriteString(v)
				some = true
			}
			if b.Len() > record.MaxField {
				break
			}
		}
		if some {
			s = b.String()
		}
	default:
		s = r.take(f.name, env, f.from)
	}
	if f.pattern != nil && s != "" {
		m := f.pattern.FindStringSubmatch(s[:min(len(s), MaxLine)])
		if s = ""; m != nil {
			s = m[1]
		}
	}
	if f.table != nil && s != "" {
		if v, ok := f.table[s]; ok {
			s = v
		} else if f.given {
			s = f.fallback
		}
	}
	if s == "" && f.given {
		s = f.fallback
	}
	if f.lower {
		s = strings.ToLower(s)
	}
	return s
}

// time reads a moment in one of the field's formats.
func (r *Reader) time(f *field, s string, env *record.Env) (int64, error) {
	loc := f.zone
	if loc == nil {
		loc = env.Location()
	}
	if len(f.formats) == 0 {
		return record.ParseAnyTime(s, loc)
	}
	err := errShape
	for _, format := range f.formats {
		switch unit := epochs[format]; {
		case format == "auto":
			if ns, e := record.ParseAnyTime(s, loc); e == nil {
				return ns, nil
			}
		case format == "rfc3339":
			if ns, e := record.ParseTime(s, loc); e == nil {
				return ns, nil
			}
		case unit != 0:
			if v, e := strconv.ParseFloat(s, 64); e == nil && v > 0 && v*float64(unit) < 9.2e18 {
				whole, frac := int64(v), v-float64(int64(v))
				return whole*unit + int64(frac*float64(unit)), nil
			}
		default:
			t, e := time.ParseInLocation(format, s, loc)
			if e != nil {
				continue
			}
			if t.Year() == 0 { // the format writes no year
				if t, e = r.years.Date(env, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second()); e != nil {
					err = e
					continue
				}
				r.b.Flags |= event.FlagYearAssumed
			}
			return record.CheckTime(t, s)
		}
	}
	return 0, fmt.Errorf("mapping %s: time %.64q is in none of its formats: %w", r.m.Name, s, err)
}

// set fills a field from text, as the short form does.
func set(b *record.Builder, f *field, s string) {
	scaled := func() string {
		if f.scale == 0 {
			return s
		}
		v, ok := record.Float(s)
		if !ok {
			return s
		}
		if v *= f.scale; f.name != "duration" {
			return strconv.FormatUint(uint64(max(v, 0)), 10)
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	switch f.name {
	case "id":
		if len(s) <= event.MaxIDLen {
			b.ID = s
		} else {
			b.Invalid("id", s)
		}
	case "actor":
		b.Actor = s
	case "actor_type":
		b.ActorType = s
	case "action":
		b.Action = s
	case "outcome":
		b.SetOutcome(s)
	case "severity":
		b.SetSeverity(s)
	case "activity":
		b.SetActivity(s)
	case "cohort":
		b.Cohort = s
	case "session":
		b.Session = s
	case "src_ip":
		if ip, port, ok := doc.Address(s); ok {
			b.SrcIP = ip
			b.AddText("src_port", port)
		} else {
			b.Invalid("src_ip", s)
		}
	case "country":
		if code := record.CountryCode(s); code != "" {
			s = code
		}
		b.SetCountry(s)
	case "city":
		b.City = s
	case "asn":
		b.SetASN(s)
	case "user_agent":
		b.UserAgent = s
	case "device":
		b.Device = s
	case "resource":
		b.Resource = s
	case "resource_type":
		b.ResourceType = s
	case "http_method":
		b.HTTPMethod = strings.ToUpper(s)
	case "status":
		b.SetStatus(s)
	case "bytes_in":
		b.SetBytes(&b.BytesIn, "bytes_in", scaled())
	case "bytes_out":
		b.SetBytes(&b.BytesOut, "bytes_out", scaled())
	case "duration":
		b.SetDuration(scaled())
	case "count":
		b.SetCount(s)
	case "source":
		if b.Source == "" {
			b.Source = s
		} else {
			b.AddLabel("source", s)
		}
	}
}
