package mapping

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Parse reads a mapping from YAML. An error is an *Error with the line.
func Parse(text []byte) (*Mapping, error) {
	if len(text) > MaxFile {
		return nil, &Error{What: fmt.Sprintf("longer than %d bytes", MaxFile)}
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, yamlError(err)
	}
	if len(root.Content) == 0 {
		return nil, &Error{What: "empty: give at least name and fields"}
	}
	l := loader{m: &Mapping{}}
	if err := l.document(root.Content[0]); err != nil {
		return nil, err
	}
	return l.m, nil
}

// yamlError takes the line out of the library's message.
func yamlError(err error) error {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(s, "line "); ok {
		if num, what, ok := strings.Cut(rest, ": "); ok {
			if n, aerr := strconv.Atoi(num); aerr == nil {
				return &Error{Line: n, What: what}
			}
		}
	}
	return &Error{What: s}
}

type loader struct {
	m     *Mapping
	parts map[string]bool // named by the patterns
	count int             // nodes seen
}

func bad(n *yaml.Node, format string, a ...any) error {
	return &Error{Line: n.Line, What: fmt.Sprintf(format, a...)}
}

// each walks the members of a mapping node.
func (l *loader) each(n *yaml.Node, what string, fn func(key string, k, v *yaml.Node) error) error {
	if n.Kind == yaml.AliasNode {
		return bad(n, "aliases are not allowed")
	}
	if n.Kind != yaml.MappingNode {
		return bad(n, "%s must be a mapping of names to values", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if l.count++; l.count > 20_000 {
			return bad(k, "the mapping has more than 20,000 entries")
		}
		if k.Kind != yaml.ScalarNode {
			return bad(k, "a name must be plain text")
		}
		if seen[k.Value] {
			return bad(k, "%q stands here a second time", k.Value)
		}
		seen[k.Value] = true
		if v.Kind == yaml.AliasNode {
			return bad(v, "aliases are not allowed")
		}
		if err := fn(k.Value, k, v); err != nil {
			return err
		}
	}
	return nil
}

func text(n *yaml.Node, what string) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", bad(n, "%s must be text", what)
	}
	return n.Value, nil
}

// texts takes one text or a list of them.
func texts(n *yaml.Node, what string, most int) ([]string, error) {
	if n.Kind == yaml.ScalarNode {
		s, err := text(n, what)
		return []string{s}, err
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return nil, bad(n, "%s must be text or a list of texts", what)
	}
	if len(n.Content) > most {
		return nil, bad(n, "%s has more than %d entries", what, most)
	}
	var out []string
	for _, c := range n.Content {
		s, err := text(c, what)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

var nameShape = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

func (l *loader) document(n *yaml.Node) error {
	m := l.m
	var fields, labels *yaml.Node
	input := ""
	err := l.each(n, "a mapping file", func(key string, k, v *yaml.Node) (err error) {
		switch key {
		case "name":
			if m.Name, err = text(v, "name"); err == nil && !nameShape.MatchString(m.Name) {
				err = bad(v, "name %q: use 1 to 63 of a-z, 0-9, '-' and '_'", m.Name)
			}
		case "title":
			m.Title, err = text(v, "title")
		case "input":
			if input, err = text(v, "input"); err == nil && input != "json" && input != "text" {
				err = bad(v, "input %q: use json or text", input)
			}
		case "pattern", "patterns":
			var all []string
			if all, err = texts(v, key, maxPatterns); err != nil {
				return err
			}
			for i, p := range all {
				at := v
				if v.Kind == yaml.SequenceNode {
					at = v.Content[i]
				}
				re, cerr := compile(p)
				if cerr != nil {
					return bad(at, "pattern: %v", cerr)
				}
				m.patterns = append(m.patterns, re)
			}
		case "sources":
			if m.sources, err = texts(v, "sources", maxMatch); err == nil {
				for _, g := range m.sources {
					if _, gerr := path.Match(g, ""); gerr != nil {
						return bad(v, "sources: %q is no pattern such as billing-*", g)
					}
				}
			}
		case "match":
			err = l.conditions(v)
		case "fields":
			fields = v
		case "labels":
			labels = v
		case "rest":
			var s string
			if s, err = text(v, "rest"); err == nil && s != "generic" && s != "none" {
				err = bad(v, "rest %q: use generic or none", s)
			}
			m.generic = s == "generic"
		default:
			err = bad(k, "unknown name %q: use name, title, input, sources, match, pattern, patterns, fields, labels or rest", key)
		}
		return err
	})
	if err != nil {
		return err
	}
	switch m.text = len(m.patterns) > 0; {
	case m.Name == "":
		return bad(n, "name is missing")
	case fields == nil:
		return bad(n, "fields is missing")
	case input == "text" && !m.text:
		return bad(n, "pattern is missing: lines of text need one")
	case input == "json" && m.text:
		return bad(n, "pattern is for lines of text, but input is json")
	case m.text && m.generic:
		return bad(n, "rest: generic is for JSON records")
	}
	l.parts = map[string]bool{}
	for _, re := range m.patterns {
		for _, g := range re.SubexpNames() {
			l.parts[partName(g)] = true
		}
	}
	if err := l.fields(fields); err != nil {
		return err
	}
	if labels != nil {
		return l.labels(labels)
	}
	return nil
}

func (l *loader) conditions(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode || len(n.Content) > maxMatch {
		return bad(n, "match must be a list of at most %d conditions", maxMatch)
	}
	for _, c := range n.Content {
		var cond condition
		has := false
		if err := l.each(c, "a condition", func(key string, k, v *yaml.Node) (err error) {
			switch key {
			case "path":
				cond.path, err = text(v, "path")
				cond.path = strings.ToLower(cond.path)
			case "equals":
				cond.equals, err = text(v, "equals")
				has = true
			case "exists":
				if v.Value != "true" {
					return bad(v, "exists can only be true")
				}
				cond.exists, has = true, true
			case "pattern":
				var s string
				if s, err = text(v, "pattern"); err != nil {
					return err
				}
				if len(s) > maxPattern {
					return bad(v, "pattern: longer than %d bytes", maxPattern)
				}
				if cond.pattern, err = regexp.Compile(s); err != nil {
					return bad(v, "pattern: %v", err)
				}
				has = true
			default:
				err = bad(k, "unknown name %q: use path, equals, exists or pattern", key)
			}
			return err
		}); err != nil {
			return err
		}
		if !has {
			return bad(c, "a condition needs equals, exists or pattern")
		}
		if cond.path == "" && (cond.pattern == nil || cond.equals != "" || cond.exists) {
			return bad(c, "a condition without path can only have a pattern, for the whole record")
		}
		l.m.match = append(l.m.match, cond)
	}
	return nil
}

func (l *loader) from(n *yaml.Node) ([]string, error) {
	all, err := texts(n, "from", maxFrom)
	if err != nil {
		return nil, err
	}
	for i, s := range all {
		s = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(s, "$"), "."))
		if s == "" {
			return nil, bad(n, "an empty path")
		}
		if l.m.text && !l.parts[s] {
			return nil, bad(n, "no pattern names a part %q", s)
		}
		all[i] = strings.NewReplacer("[", ".", "]", "").Replace(s)
	}
	return all, nil
}

func (l *loader) fields(n *yaml.Node) error {
	if len(n.Content) > 2*maxFields {
		return bad(n, "more than %d fields", maxFields)
	}
	required := map[string]bool{"action": true}
	err := l.each(n, "fields", func(key string, k, v *yaml.Node) error {
		if !slices.Contains(fieldNames, key) {
			return bad(k, "an event has no field %q: use one of %s, or labels", key, strings.Join(fieldNames, ", "))
		}
		f := field{name: key}
		delete(required, key)
		var err error
		if v.Kind != yaml.MappingNode {
			if f.from, err = l.from(v); err != nil {
				return err
			}
			l.m.fields = append(l.m.fields, f)
			return nil
		}
		if err = l.each(v, key, func(opt string, k, v *yaml.Node) error { return l.option(&f, opt, k, v) }); err != nil {
			return err
		}
		if f.from == nil && f.template == nil && f.constant == "" {
			return bad(v, "%s needs from, template or const", key)
		}
		l.m.fields = append(l.m.fields, f)
		return nil
	})
	if err != nil {
		return err
	}
	if !l.m.generic {
		for name := range required {
			return bad(n, "%s is missing: every event has one", name)
		}
	}
	return nil
}

// option reads one setting of a field.
func (l *loader) option(f *field, opt string, k, v *yaml.Node) (err error) {
	switch opt {
	case "from":
		f.from, err = l.from(v)
	case "const":
		f.constant, err = text(v, "const")
	case "template":
		var s string
		if s, err = text(v, "template"); err != nil {
			return err
		}
		if f.template, err = template(s); err != nil {
			return bad(v, "template: %v", err)
		}
		for _, p := range f.template {
			if l.m.text && p.path != "" && !l.parts[p.path] {
				return bad(v, "no pattern names a part %q", p.path)
			}
		}
	case "pattern":
		var s string
		if s, err = text(v, "pattern"); err != nil {
			return err
		}
		if len(s) > maxPattern {
			return bad(v, "pattern: longer than %d bytes", maxPattern)
		}
		if f.pattern, err = regexp.Compile(s); err != nil {
			return bad(v, "pattern: %v", err)
		}
		if f.pattern.NumSubexp() < 1 {
			return bad(v, "pattern: put what is to be taken in ( )")
		}
	case "table":
		f.table = map[string]string{}
		if len(v.Content) > 2*maxTable {
			return bad(v, "table has more than %d entries", maxTable)
		}
		err = l.each(v, "table", func(key string, _, v *yaml.Node) error {
			s, err := text(v, "a table's value")
			f.table[key] = s
			return err
		})
	case "default":
		f.fallback, err = text(v, "default")
		f.given = true
	case "lower":
		if v.Value != "true" && v.Value != "false" {
			return bad(v, "lower must be true or false")
		}
		f.lower = v.Value == "true"
	case "required":
		if v.Value != "true" && v.Value != "false" {
			return bad(v, "required must be true or false")
		}
		f.required = v.Value == "true"
	case "format":
		if f.name != "time" {
			return bad(k, "format is for time")
		}
		if f.formats, err = texts(v, "format", 8); err != nil {
			return err
		}
		for _, s := range f.formats {
			if err := checkLayout(s); err != nil {
				return bad(v, "format: %v", err)
			}
		}
	case "zone":
		if f.name != "time" {
			return bad(k, "zone is for time")
		}
		var s string
		if s, err = text(v, "zone"); err != nil {
			return err
		}
		if f.zone, err = time.LoadLocation(s); err != nil {
			return bad(v, "zone: %v", err)
		}
	case "scale":
		if f.scale, err = strconv.ParseFloat(v.Value, 64); err != nil || !(f.scale > 0 && f.scale < 1e18) {
			return bad(v, "scale must be a positive number")
		}
		if !slices.Contains([]string{"duration", "bytes_in", "bytes_out"}, f.name) {
			return bad(k, "scale is for duration, bytes_in and bytes_out")
		}
	default:
		err = bad(k, "unknown name %q: use from, const, template, pattern, table, default, lower, required, format, zone or scale", opt)
	}
	return err
}

// epochs are the formats of time that count from 1970.
var epochs = map[string]int64{"unix": 1e9, "unix_s": 1e9, "unix_ms": 1e6, "unix_us": 1e3, "unix_ns": 1}

// checkLayout holds a format of time to showing at least a year or a day.
func checkLayout(s string) error {
	if s == "auto" || s == "rfc3339" || epochs[s] != 0 {
		return nil
	}
	if !strings.Contains(s, "15") && !strings.Contains(s, "03") && !strings.Contains(s, "3:") {
		return errors.New(`use auto, rfc3339, unix, unix_ms, unix_us, unix_ns, or a form of the moment "2006-01-02 15:04:05"`)
	}
	a := time.Date(2021, 11, 27, 13, 45, 37, 0, time.UTC)
	back, err := time.Parse(s, a.Format(s))
	if err != nil {
		return fmt.Errorf("%q is no form of the moment 2006-01-02 15:04:05: %w", s, err)
	}
	if back.Hour() != 13 || back.Minute() != 45 {
		return fmt.Errorf("%q does not hold hour and minute", s)
	}
	return nil
}

func (l *loader) labels(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		switch n.Value {
		case "rest":
			l.m.rest = true
		case "none":
		default:
			return bad(n, "labels: use rest, none, or names with their paths")
		}
		return nil
	}
	if len(n.Content) > 2*maxLabels {
		return bad(n, "more than %d labels", maxLabels)
	}
	return l.each(n, "labels", func(key string, _, v *yaml.Node) error {
		from, err := l.from(v)
		l.m.labels = append(l.m.labels, label{key, from})
		return err
	})
}
