package parse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Explained is an event with what it was made of.
type Explained struct {
	Event  json.RawMessage `json:"event"`
	Format string          `json:"format"`
	Fields []Origin        `json:"fields"`
	Labels []Origin        `json:"labels"`
	Unused []Origin        `json:"unused"` // in the record, but in no field and no label
}

// Origin is a field, label or part of a record, and where it stood: a path of
// a JSON record, "bytes 10–25" of a line (from 0, the end not included), or in
// words how it came about.
type Origin struct {
	Field string `json:"field,omitempty"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// Explain tells where the fields of an event came from. traced is what
// Options.Trace was told while the event was made, field to path; what it does
// not say is found by looking for the field's value in the record.
func Explain(e *event.Event, traced map[string]string) Explained {
	out := Explained{Event: event.AppendJSON(nil, e), Format: e.Format, Fields: []Origin{}, Labels: []Origin{}, Unused: []Origin{}}
	var fields map[string]json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(out.Event))
	dec.UseNumber()
	_ = dec.Decode(&fields) // it was just written
	f := finder{e: e, traced: traced, used: map[string]bool{}}
	if strings.HasPrefix(e.Raw, "{") && f.d.Read(e.Raw) == nil {
		f.json = true
	}
	for _, name := range order(out.Event) {
		switch name {
		case "tenant_id", "ingested_at", "format", "raw", "labels", "flags":
			continue
		}
		value := strings.Trim(string(fields[name]), `"`)
		var s string
		if json.Unmarshal(fields[name], &s) == nil {
			value = s
		}
		if from := f.field(name, value); from != "" {
			out.Fields = append(out.Fields, Origin{name, value, from})
		}
	}
	for _, l := range e.Labels {
		out.Labels = append(out.Labels, Origin{l.Key, l.Value, f.label(l)})
	}
	out.Unused = append(out.Unused, f.unused()...)
	return out
}

// order gives the names of an object's members as they stand.
func order(object []byte) (names []string) {
	_ = record.Each(string(object), func(key string, _ record.Value) error {
		names = append(names, key)
		return nil
	})
	return names
}

type finder struct {
	e      *event.Event
	traced map[string]string
	d      doc.Doc
	json   bool
	used   map[string]bool // paths
	spans  [][2]int        // of a line
}

// field says where a field came from, "" when it says nothing.
func (f *finder) field(name, value string) string {
	if p, ok := f.traced[name]; ok {
		f.use(p)
		return p
	}
	switch name {
	case "class_uid", "activity":
		if value == "0" {
			return ""
		}
		return "by the action"
	case "id":
		if f.e.Flags&event.FlagGeneratedID != 0 {
			return "hash of format, line and its ordinal"
		}
	case "time":
		if f.e.Flags&event.FlagTimeAssumed != 0 {
			return "assumed: the record states none"
		}
		return f.time()
	case "count":
		if value == "1" {
			return ""
		}
	case "outcome":
		if value == "unknown" {
			return ""
		}
	}
	if from := f.find(name, value); from != "" {
		return from
	}
	switch name {
	case "source":
		return "given with the stream"
	case "outcome", "action", "actor_type", "resource_type", "severity":
		return "by the format"
	}
	return "derived"
}

// time looks for the value that is the event's moment.
func (f *finder) time() string {
	if !f.json {
		return f.span(f.e.Raw[:min(len(f.e.Raw), 32)], true)
	}
	for i := range f.d.Values {
		v := &f.d.Values[i]
		if !v.Any() {
			continue
		}
		if ns, err := record.ParseAnyTime(v.Text, time.UTC); err == nil && ns == f.e.Time {
			f.use(v.Path)
			return v.Path
		}
	}
	return "derived"
}

func (f *finder) use(path string) { f.used[strings.ToLower(path)] = true }

// find looks for a value in the record; of several places the one whose key is
// most like the field.
func (f *finder) find(name, value string) string {
	if value == "" {
		return ""
	}
	if !f.json {
		return f.span(value, false)
	}
	best, bestScore := "", -1
	for i := range f.d.Values {
		v := &f.d.Values[i]
		if !v.Any() || !same(v.Text, value) {
			continue
		}
		score := 1
		key := strings.ToLower(v.Key)
		for _, w := range strings.Split(name, "_") {
			if strings.Contains(key, w) {
				score += 2
			}
		}
		if score > bestScore {
			best, bestScore = v.Path, score
		}
	}
	if best != "" {
		f.use(best)
	}
	return best
}

// same says whether a field's value was written so.
func same(text, value string) bool {
	if text == value || strings.EqualFold(text, value) {
		return true
	}
	if len(value) >= 3 && strings.Contains(text, value) && len(text) <= 3*len(value) {
		return true
	}
	a, _, ok := doc.Address(text)
	return ok && a == value
}

// span is the place of a value in a line.
func (f *finder) span(value string, whole bool) string {
	raw := f.e.Raw
	i := strings.Index(raw, value)
	if i < 0 {
		if i = strings.Index(strings.ToLower(raw), strings.ToLower(value)); i < 0 {
			if !whole {
				return ""
			}
			i = 0
		}
	}
	end := min(i+len(value), len(raw))
	f.spans = append(f.spans, [2]int{i, end})
	return fmt.Sprintf("bytes %d–%d", i, end)
}

func (f *finder) label(l event.Label) string {
	if p, ok := f.traced["labels."+l.Key]; ok {
		f.use(p)
		return p
	}
	if f.json {
		if v := f.d.Find(strings.ToLower(l.Key)); v != nil && v.Text == l.Value {
			f.use(v.Path)
			return v.Path
		}
	}
	if from := f.find(l.Key, l.Value); from != "" {
		return from
	}
	return "by the format"
}

// unused lists what stands in the record and nowhere in the event.
func (f *finder) unused() (out []Origin) {
	if f.json {
		for i := range f.d.Values {
			v := &f.d.Values[i]
			if v.Any() && !f.used[strings.ToLower(v.Path)] && !f.inside(v) {
				out = append(out, Origin{Value: cut(v.Text), From: v.Path})
			}
		}
		return out
	}
	sort.Slice(f.spans, func(i, j int) bool { return f.spans[i][0] < f.spans[j][0] })
	at := 0
	for _, s := range append(f.spans, [2]int{len(f.e.Raw), len(f.e.Raw)}) {
		if s[0] > at {
			if text := strings.TrimSpace(f.e.Raw[at:s[0]]); strings.Trim(text, ` "[]:;,-=/()<>{}`) != "" {
				out = append(out, Origin{Value: cut(text), From: fmt.Sprintf("bytes %d–%d", at, s[0])})
			}
		}
		at = max(at, s[1])
	}
	return out
}

// inside says whether an object around a value was used as a whole, or a value
// above it that is a record as text.
func (f *finder) inside(v *doc.Value) bool {
	for up := v.Up; up != nil && up.Depth > 0; up = up.Up {
		if f.used[strings.ToLower(up.Path)] {
			return true
		}
	}
	return false
}

func cut(s string) string {
	if len(s) <= 200 {
		return s
	}
	return strings.ToValidUTF8(s[:200], "") + "…"
}
