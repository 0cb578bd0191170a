package parse

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/generic"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/collector/parse/products"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// docParser is a parser of records that have been read.
type docParser interface {
	ParseDoc(d *doc.Doc, env *record.Env, emit func(*event.Event)) error
}

// parse reads text in the format asked for, else in the one it looks like.
// What a record is taken for does not depend on the records before it: where
// the format of the last one is tried first, no other could take the record.
func (s *stream) parse(text string, emit func(*event.Event)) error {
	for _, m := range s.auto {
		if m.reader.Matches(text) {
			return s.tryMapped(m, text, emit)
		}
	}
	switch {
	case s.only != nil:
		return s.tryMapped(s.only, text, emit)
	case s.fixed >= 0:
		return s.try(s.fixed, text, emit)
	case text[0] == '{':
		return s.parseJSON(text, emit)
	}
	return s.parseText(text, emit)
}

// mapped is a mapping in use.
type mapped struct {
	*mapping.Mapping
	reader *mapping.Reader
	count  uint64
}

func (s *stream) mapped(m *mapping.Mapping) *mapped {
	x := &mapped{Mapping: m, reader: m.Reader()}
	s.all = append(s.all, x)
	return x
}

func (s *stream) tryMapped(m *mapped, text string, emit func(*event.Event)) error {
	s.name = m.Format()
	before := s.sum.Accepted
	err := m.reader.Parse(text, &s.env, emit)
	m.count += s.sum.Accepted - before
	return err
}

func (s *stream) parseText(text string, emit func(*event.Event)) error {
	var reason error
	tried := -1
	if s.last >= 0 && (!formats[s.last].JSON || formats[s.last].Both) && (formats[s.last].Weak == nil || !formats[s.last].Weak(text)) {
		if reason = s.try(s.last, text, emit); reason == nil || s.err != nil {
			return reason
		}
		tried = s.last
	}
	best, bestScore := -1, 0.0
	var score [maxFormats]float64
	for i := range formats {
		if formats[i].JSON && !formats[i].Both {
			continue
		}
		if score[i] = formats[i].Sniff(text); score[i] > bestScore {
			best, bestScore = i, score[i]
		}
	}
	// The likeliest first; a weak one only when no other takes the line.
	if best >= 0 && bestScore >= 0.5 && best != tried {
		err := s.try(best, text, emit)
		if err == nil || s.err != nil {
			s.last = best
			return err
		}
		reason = err // the most likely format knows best what is missing
	}
	for i := range formats {
		if score[i] < 0.5 || i == tried || i == best {
			continue
		}
		if err := s.try(i, text, emit); err == nil || s.err != nil {
			s.last = i
			return err
		}
	}
	if reason == nil {
		s.name = ""
		reason = fmt.Errorf("no known format: send JSON with time, actor and action, or state the format, one of %s", names())
	}
	return reason
}

// maxFormats is more than the table has rows.
const maxFormats = 64

func (s *stream) parseJSON(text string, emit func(*event.Event)) error {
	// The formats that certain members tell: first the last one, as a stream
	// is usually of one kind and no other format can take what it takes.
	var reason error
	tried := -1
	if s.last >= 0 && s.last < native {
		if reason = s.try(s.last, text, emit); reason == nil || s.err != nil {
			return reason
		}
		tried = s.last
	}
	err := s.doc.Read(text)
	strict := false
	if err != nil || s.signed() {
		best, bestScore := -1, 0.0
		var score [native]float64
		for i := range native {
			if score[i] = formats[i].Sniff(text); score[i] > bestScore {
				best, bestScore = i, score[i]
			}
		}
		strict = score[0] >= 0.6
		for i := range native {
			if score[i] < 0.5 || i == tried {
				continue
			}
			err := s.try(i, text, emit)
			if err == nil || s.err != nil {
				s.last = i
				return err
			}
			if i == best {
				reason = err
			}
		}
	}
	if err != nil {
		s.name = ""
		return err
	}
	i := s.detect()
	if i < 0 {
		i = lookup(generic.Name)
	}
	if s.parsers[i] == nil {
		s.parsers[i] = formats[i].New()
	}
	if g, ok := s.parsers[i].(*generic.Parser); ok {
		g.Strict = strict
	}
	before := s.sum.Accepted
	err = s.parsers[i].(docParser).ParseDoc(&s.doc, &s.env, emit)
	s.counts[i] += s.sum.Accepted - before
	if err == nil || s.err != nil {
		s.last = i
		return err
	}
	if i != lookup(generic.Name) {
		s.name = formats[i].Name
		return err
	}
	if reason == nil || strict {
		// Who sends no product's records sends the short form.
		r := s.try(0, text, emit)
		if r == nil {
			s.last = 0
			return nil
		}
		if reason == nil && (strict || s.flat()) {
			reason = r
		}
	}
	if reason == nil {
		s.name, reason = generic.Name, err
	}
	return reason
}

// signed says whether the record has members that tell one of the native
// formats, so that it is worth asking them.
func (s *stream) signed() bool {
	d := &s.doc
	return d.HasAll("time", "action") || d.HasAll("actor", "action") || d.HasAll("time", "actor") || d.Has("class_uid") || d.Has("type_uid") ||
		d.Has("eventname") || d.Has("detail", "records", "timeunixnano", "observedtimeunixnano")
}

// flat says that no member of the record is an object.
func (s *stream) flat() bool {
	for i := range s.doc.Values {
		if s.doc.Values[i].Kind == record.Object {
			return false
		}
	}
	return true
}

// detect is the product whose shape the record has, or -1.
func (s *stream) detect() int {
	best, bestScore := -1, 0.0
	for i := native; i < len(formats); i++ {
		if f := formats[i].Detect; f != nil {
			if score := f(&s.doc); score >= products.Sure && score > bestScore {
				best, bestScore = i, score
			}
		}
	}
	return best
}

// wrapperKeys are the members under which products' interfaces hand out a page
// of records.
const wrapperKeys = " records items entries data value events logs audit_logs auditlogs audit_events results activities "

// wrapped is the list of records an object holds in place of being one, or "".
func (s *stream) wrapped(text string) string {
	if s.doc.Raw != text && s.doc.Read(text) != nil {
		return ""
	}
	list := ""
	for i := range s.doc.Values {
		v := &s.doc.Values[i]
		if v.Depth != 1 || v.Kind != record.Array || list != "" || !strings.Contains(wrapperKeys, " "+strings.ToLower(v.Key)+" ") {
			continue
		}
		if first := s.doc.Find(strings.ToLower(v.Key) + ".0"); first != nil && first.Kind == record.Object {
			list = v.Text
		}
	}
	return list
}

// elements reads the records of such a list, each as a record of its own.
func (s *stream) elements(c *chunk, text, list string, emit func(*event.Event)) error {
	at := strings.Index(text, list)
	s.within = true
	defer func() { s.within = false }()
	var failed error
	err := record.EachElement(list, func(v record.Value) error {
		i := strings.Index(text[at:], v.Text)
		if i < 0 {
			i = 0
		}
		e := chunk{data: []byte(v.Text), line: c.line + uint64(bytes.Count(c.data[:at+i], nl)), offset: c.offset + uint64(at+i)}
		at += i + len(v.Text)
		if v.Kind != record.Object {
			e.data, e.problem = c.data[at-len(v.Text):at], "array element is no JSON object: send an array of events, or one event a line"
		}
		failed = s.record(&e, emit)
		return failed
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		return s.setAside(c, err.Error())
	}
	return nil
}
