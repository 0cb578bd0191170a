package doc

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Set fills *field, unless it has a value, from the first of the paths that
// has one, and says whether it has one now. name is the event's field, for
// the trace.
func (d *Doc) Set(field *string, name string, paths ...string) bool {
	if *field != "" {
		return true
	}
	if s := d.Text(paths...); s != "" {
		*field = s
		d.Note(name)
	}
	return *field != ""
}

// SetTime fills b.Time from the first of the paths that can be read.
func (d *Doc) SetTime(b *record.Builder, env *record.Env, paths ...string) bool {
	for _, p := range paths {
		if b.Time != 0 {
			break
		}
		v := d.first([]string{p})
		if v == nil {
			continue
		}
		if ns, err := record.ParseAnyTime(v.Text, env.Location()); err == nil {
			b.Time = ns
			d.Took("time", v)
		}
	}
	return b.Time != 0
}

// SetIP fills b.SrcIP from the first of the paths that holds an address. What
// is no address is kept as invalid if none of them does.
func (d *Doc) SetIP(b *record.Builder, paths ...string) bool {
	var bad *Value
	for _, p := range paths {
		if b.SrcIP != "" {
			return true
		}
		v := d.first([]string{p})
		if v == nil {
			continue
		}
		if ip, port, ok := Address(v.Text); ok {
			b.SrcIP = ip
			b.AddText("src_port", port)
			d.Took("src_ip", v)
		} else if bad == nil {
			bad = v
		}
	}
	if b.SrcIP == "" && bad != nil {
		d.Took("src_ip", bad)
		b.Invalid("src_ip", bad.Text)
	}
	return b.SrcIP != ""
}

// Address reads an address as logs write it: plain, with a port, or the first
// of a list of forwarded ones.
func Address(s string) (ip, port string, ok bool) {
	if i := strings.IndexByte(s, ','); i > 0 {
		s = strings.TrimSpace(s[:i])
	}
	s = strings.TrimPrefix(s, "/") // Java's InetAddress
	if i := strings.IndexByte(s, '/'); i > 0 && (s[i:] == "/32" || s[i:] == "/128") {
		s = s[:i]
	}
	if s == "" || len(s) > 64 {
		return "", "", false
	}
	return record.Addr(s)
}

// SetCountry fills b.Country from a code of two letters, or keeps a name as a
// label.
func (d *Doc) SetCountry(b *record.Builder, paths ...string) {
	if b.Country != "" {
		return
	}
	s := d.Text(paths...)
	switch {
	case s == "":
	case len(s) == 2:
		b.SetCountry(s)
		d.Note("country")
	default:
		if code := record.CountryCode(s); code != "" {
			b.Country = code
			d.Note("country")
			return
		}
		b.AddLabel("country_name", s)
	}
}

// SetPosition fills the position when both paths hold a number.
func (d *Doc) SetPosition(b *record.Builder, lat, lon string) {
	if b.HasPosition {
		return
	}
	x, y := d.Peek(lat), d.Peek(lon)
	if x == "" || y == "" {
		return
	}
	d.Text(lat)
	d.Note("latitude")
	d.Text(lon)
	d.Note("longitude")
	b.SetPosition(x, y)
}

// SetStatus fills b.Status when a path holds an HTTP status.
func (d *Doc) SetStatus(b *record.Builder, paths ...string) bool {
	if b.Status != 0 {
		return true
	}
	for _, p := range paths {
		v := d.first([]string{p})
		if v == nil {
			continue
		}
		if n, ok := record.Uint(v.Text, 599); ok && n >= 100 {
			b.Status = uint16(n)
			d.Took("status", v)
			return true
		}
	}
	return false
}

// SetBytes fills *p with a count of bytes.
func (d *Doc) SetBytes(p *uint64, name string, paths ...string) {
	if s := d.Text(paths...); s != "" {
		if n, ok := record.Uint(s, 1<<62); ok {
			*p = n
			d.Note(name)
		}
	}
}

// SetID takes the vendor's id when it fits.
func (d *Doc) SetID(b *record.Builder, paths ...string) {
	if s := d.Text(paths...); s != "" && len(s) <= event.MaxIDLen {
		b.ID = s
		d.Note("id")
	}
}

// Rest adds every value that no field was made of as a label, named by its
// path, until the event has most of them. Values longer than 512 bytes stay in
// the original only.
func (d *Doc) Rest(b *record.Builder, most int) {
	n := 0
	for i := range d.Values {
		v := &d.Values[i]
		if v.Used || !v.Any() || len(v.Text) > 512 || len(v.Path) > 200 {
			continue
		}
		if n++; n > most || b.Full() {
			return
		}
		b.AddLabel(v.Path, v.Text)
	}
}
