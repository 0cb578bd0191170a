// Package doc holds one JSON record as a list of values by path, so that
// parsers of products can ask for "actor.alternateId" and the generic mapper
// can weigh every value by its place.
//
// Invariant: a Doc holds at most MaxValues values of at most maxDepth levels;
// what lies beyond is not seen, and Cut says so. Paths are compared without
// regard to case, since log stores on the way like to change it. Every value
// read through a Doc is marked, so that what was not used can be told. The
// package is pure. A Doc is used by one goroutine.
package doc

import (
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
)

// Bounds of one record, and of the memory for paths.
const (
	MaxValues   = 768
	maxDepth    = 16
	maxElements = 32   // of one array
	maxPlaces   = 4096 // paths remembered from record to record
	maxEmbedded = 64 << 10
)

// Place is a path within records of one kind: it stays the same from record
// to record, so that what is known about it need not be found again.
type Place struct {
	Path  string // keys joined with dots, as written; array elements count from 0
	Key   string // the last key
	Up    *Place // nil for the record itself
	Depth int    // 1 for the record's own members
	// Known is for the reader of the Doc: what it found out about the place.
	Known any

	kids []*Place
	gen  uint64
	at   int // index into values, valid for gen
}

// Value is one value and its place.
type Value struct {
	*Place
	record.Value
	// Used is set when a parser took the value for a field.
	Used bool
}

// Doc is one record. The zero value is ready; Read may be called again and
// again.
type Doc struct {
	Raw    string
	Values []Value // objects and arrays too, in the record's order
	Cut    bool    // the record holds more than was read

	// Trace, when set, is told which path a field was read from.
	Trace func(field, path string)

	root     Place
	folded   map[string]*Place
	places   int
	embedded int
	gen      uint64
	last     *Value
}

// Read takes a JSON object. The error says where it is broken.
func (d *Doc) Read(raw string) error {
	d.gen++
	d.Raw, d.Values, d.Cut, d.last, d.embedded = raw, d.Values[:0], false, nil, 0
	if d.folded == nil {
		d.folded = make(map[string]*Place)
	}
	return d.object(&d.root, raw)
}

func (d *Doc) object(up *Place, text string) error {
	return record.Each(text, func(key string, v record.Value) error {
		return d.add(d.place(up, key), v)
	})
}

func (d *Doc) add(p *Place, v record.Value) error {
	if len(d.Values) >= MaxValues || p.Depth > maxDepth {
		d.Cut = true
		return nil
	}
	if p.gen != d.gen || p.at >= len(d.Values) || d.Values[p.at].Text == "" {
		p.gen, p.at = d.gen, len(d.Values)
	}
	d.Values = append(d.Values, Value{Place: p, Value: v})
	switch v.Kind {
	case record.String:
		// A record within a record, as text.
		if len(v.Text) > 8 && v.Text[0] == '{' && v.Text[1] == '"' && len(v.Text) <= maxEmbedded && d.embedded < 4 && p.Depth < 8 {
			d.embedded++
			before := len(d.Values)
			if d.object(p, v.Text) != nil {
				d.Values = d.Values[:before]
			}
		}
	case record.Object:
		return d.object(p, v.Text)
	case record.Array:
		i := 0
		return record.EachElement(v.Text, func(m record.Value) error {
			if i >= maxElements {
				d.Cut = true
				return nil
			}
			if m.Kind == record.Object {
				d.pair(p, m.Text)
			}
			err := d.add(d.place(p, strconv.Itoa(i)), m)
			i++
			return err
		})
	}
	return nil
}

// pair adds {"name":"K","value":"V"}, as many products write lists of
// properties, as if it were K:V beside the list.
func (d *Doc) pair(p *Place, text string) {
	var name string
	var value record.Value
	n := 0
	_ = record.Each(text, func(key string, v record.Value) error {
		n++
		switch strings.ToLower(key) {
		case "name", "key", "k":
			name = v.String()
		case "value", "valuestring", "intvalue", "boolvalue", "newvalue", "v":
			if v.Kind != record.Object && v.Kind != record.Array {
				value = v
			}
		}
		return nil
	})
	if name == "" || len(name) > 64 || value.Text == "" || value.Kind == record.Null || n > 4 || len(d.Values) >= MaxValues {
		return
	}
	pl := d.place(p, name)
	if pl.gen != d.gen {
		pl.gen, pl.at = d.gen, len(d.Values)
		d.Values = append(d.Values, Value{Place: pl, Value: value})
	}
}

// place is the child of up named key.
func (d *Doc) place(up *Place, key string) *Place {
	for _, k := range up.kids {
		if k.Key == key {
			return k
		}
	}
	p := &Place{Key: key, Path: key, Up: up, Depth: up.Depth + 1}
	if up.Depth > 0 {
		p.Path = up.Path + "." + key
	}
	// Beyond the bound a place serves this record only. Wide objects, such as
	// maps by id, are not remembered either.
	if d.places < maxPlaces && len(up.kids) < 128 && len(p.Path) <= 256 {
		p.Key, p.Path = strings.Clone(p.Key), strings.Clone(p.Path)
		d.places++
		up.kids = append(up.kids, p)
		folded := strings.ToLower(p.Path)
		if _, taken := d.folded[folded]; !taken {
			d.folded[folded] = p
		}
	}
	return p
}

// Find is the value at a path, which must be in lower case; nil when the
// record has none.
func (d *Doc) Find(path string) *Value {
	p := d.folded[path]
	if p == nil || p.gen != d.gen || p.at >= len(d.Values) || d.Values[p.at].Place != p {
		return nil
	}
	return &d.Values[p.at]
}

// Has says whether the record has a value other than null at any of the paths
// (in lower case).
func (d *Doc) Has(paths ...string) bool {
	for _, p := range paths {
		if v := d.Find(p); v != nil && v.Kind != record.Null {
			return true
		}
	}
	return false
}

// HasAll says whether the record has a value other than null at all of the
// paths (in lower case).
func (d *Doc) HasAll(paths ...string) bool {
	for _, p := range paths {
		if !d.Has(p) {
			return false
		}
	}
	return true
}

// Absent says that a text stands for nothing.
func Absent(s string) bool {
	switch len(s) {
	case 0:
		return true
	case 1:
		return s == "-"
	case 3:
		return s == "N/A" || s == "n/a" || s == "nil" || s == "<>"
	case 4:
		return s == "null" || s == "NULL" || s == "None" || s == "none"
	case 6:
		return s == "<none>"
	case 9:
		return s == "undefined"
	}
	return false
}

// Peek is the text at the first of the paths (in lower case) that has one,
// without marking it.
func (d *Doc) Peek(paths ...string) string {
	if v := d.first(paths); v != nil {
		return v.Text
	}
	return ""
}

// Text is Peek, and marks the value as used.
func (d *Doc) Text(paths ...string) string {
	if v := d.first(paths); v != nil {
		v.Used = true
		d.last = v
		return v.Text
	}
	d.last = nil
	return ""
}

func (d *Doc) first(paths []string) *Value {
	for _, p := range paths {
		v := d.Find(p)
		if v == nil || v.Kind == record.Object || v.Kind == record.Null {
			continue
		}
		if v.Kind == record.Array {
			// A list of one plain value, or of several of which the first counts.
			if v = d.Find(p + ".0"); v == nil || v.Kind == record.Object || v.Kind == record.Array || v.Kind == record.Null {
				continue
			}
		}
		if !Absent(v.Text) {
			return v
		}
	}
	return nil
}

// Note tells Trace that field came from the value read last.
func (d *Doc) Note(field string) {
	if d.Trace != nil && d.last != nil {
		d.Trace(field, d.last.Path)
	}
}

// Took marks a value as used for a field.
func (d *Doc) Took(field string, v *Value) {
	v.Used = true
	if d.Trace != nil {
		d.Trace(field, v.Path)
	}
}

// Any says whether a value is a scalar with content.
func (v *Value) Any() bool {
	return v.Kind != record.Object && v.Kind != record.Array && v.Kind != record.Null && !Absent(v.Text)
}
