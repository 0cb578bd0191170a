package api

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
)

// schema is the part of JSON Schema that requests need. Compiling refuses a
// keyword it does not know: the contract promises nothing that is not checked.
type schema struct {
	types              []string
	enum               []any
	minimum, maximum   *float64
	minLength, maxSize *int // of a text in characters; maxSize also of a list
	pattern            *regexp.Regexp
	format             string
	items              *schema
	properties         map[string]*schema
	required           []string
}

func (s *schema) kind(t string) bool { return slices.Contains(s.types, t) }

func (sp *specification) compile(node map[string]any) (*schema, error) {
	node, err := sp.follow(node)
	if err != nil {
		return nil, err
	}
	s := &schema{}
	for key, v := range node {
		switch key {
		case "description", "example", "default", "title":
		case "type":
			switch v := v.(type) {
			case string:
				s.types = []string{v}
			case []any:
				for _, t := range v {
					s.types = append(s.types, fmt.Sprint(t))
				}
			}
		case "enum":
			s.enum, _ = v.([]any)
		case "minimum":
			s.minimum = number(v)
		case "maximum":
			s.maximum = number(v)
		case "minLength":
			s.minLength = whole(v)
		case "maxLength", "maxItems":
			s.maxSize = whole(v)
		case "pattern":
			if s.pattern, err = regexp.Compile(fmt.Sprint(v)); err != nil {
				return nil, err
			}
		case "format":
			if s.format, _ = v.(string); !slices.Contains([]string{"date-time", "int32", "int64", "password"}, s.format) {
				return nil, fmt.Errorf("format %q is not supported in requests", s.format)
			}
		case "items":
			n, _ := v.(map[string]any)
			if s.items, err = sp.compile(n); err != nil {
				return nil, err
			}
		case "required":
			list, _ := v.([]any)
			for _, r := range list {
				s.required = append(s.required, fmt.Sprint(r))
			}
		case "properties":
			s.properties = map[string]*schema{}
			list, _ := v.(map[string]any)
			for name, p := range list {
				n, _ := p.(map[string]any)
				if s.properties[name], err = sp.compile(n); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
			}
		case "additionalProperties":
			if v != false {
				return nil, fmt.Errorf("additionalProperties has to be false in requests")
			}
		default:
			return nil, fmt.Errorf("keyword %q is not supported in requests", key)
		}
	}
	if len(s.types) == 0 {
		return nil, fmt.Errorf("the type is missing")
	}
	if s.kind("object") && node["additionalProperties"] != false {
		return nil, fmt.Errorf("objects in requests need additionalProperties: false")
	}
	return s, nil
}

func number(v any) *float64 {
	f, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	if err != nil {
		return nil
	}
	return &f
}

func whole(v any) *int {
	n, ok := v.(int)
	if !ok {
		return nil
	}
	return &n
}

// check holds a JSON value (as decoded with UseNumber) against the schema and
// adds what is wrong under the given name.
func (s *schema) check(name string, v any, errs *[]rest.FieldError) {
	bad := func(format string, args ...any) {
		*errs = append(*errs, rest.FieldError{Field: name, Message: fmt.Sprintf(format, args...)})
	}
	if len(s.enum) > 0 {
		for _, e := range s.enum {
			if e == v {
				return
			}
		}
		var words []string
		for _, e := range s.enum {
			if e == nil {
				e = "null"
			}
			words = append(words, fmt.Sprint(e))
		}
		bad("is none of %s", strings.Join(words, ", "))
		return
	}
	switch v := v.(type) {
	case nil:
		if !s.kind("null") {
			bad("must not be null")
		}
	case bool:
		if !s.kind("boolean") {
			bad("has to be %s", strings.Join(s.types, " or "))
		}
	case string:
		s.checkText(v, bad)
	case json.Number:
		s.checkNumber(v, bad)
	case []any:
		switch {
		case !s.kind("array"):
			bad("has to be %s", strings.Join(s.types, " or "))
		case s.maxSize != nil && len(v) > *s.maxSize:
			bad("has more than %d values", *s.maxSize)
		default:
			for _, item := range v {
				s.items.check(name, item, errs)
			}
		}
	case map[string]any:
		if !s.kind("object") {
			bad("has to be %s", strings.Join(s.types, " or "))
			return
		}
		s.checkObject(name, v, errs)
	}
}

func (s *schema) checkText(v string, bad func(string, ...any)) {
	n := utf8.RuneCountInString(v)
	switch {
	case !s.kind("string"):
		bad("has to be %s", strings.Join(s.types, " or "))
	case !utf8.ValidString(v) || strings.ContainsRune(v, 0):
		bad("is no valid text")
	case s.minLength != nil && n < *s.minLength && n == 0:
		bad("must not be empty")
	case s.minLength != nil && n < *s.minLength:
		bad("has %d characters: want at least %d", n, *s.minLength)
	case s.maxSize != nil && n > *s.maxSize:
		bad("has %d characters: want at most %d", n, *s.maxSize)
	case s.pattern != nil && !s.pattern.MatchString(v):
		bad("does not match %s", s.pattern)
	case s.format == "date-time":
		if t, err := time.Parse(time.RFC3339, v); err != nil || t.Year() < 1900 || t.Year() > 2261 {
			bad("is no time: want RFC 3339 such as 2026-03-01T09:15:00Z, from 1900 to 2261")
		}
	}
}

func (s *schema) checkNumber(v json.Number, bad func(string, ...any)) {
	f, err := v.Float64()
	switch {
	case !s.kind("number") && !s.kind("integer"):
		bad("has to be %s", strings.Join(s.types, " or "))
	case err != nil || math.IsInf(f, 0):
		bad("is too large")
	case s.kind("integer") && !isInteger(v.String()):
		bad("has to be a whole number")
	case s.minimum != nil && f < *s.minimum:
		bad("is %s: want at least %v", v, *s.minimum)
	case s.maximum != nil && f > *s.maximum:
		bad("is %s: want at most %v", v, *s.maximum)
	}
}

func isInteger(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

func (s *schema) checkObject(name string, v map[string]any, errs *[]rest.FieldError) {
	member := func(k string) string {
		if name == "" {
			return k
		}
		return name + "." + k
	}
	for _, r := range s.required {
		if _, ok := v[r]; !ok {
			*errs = append(*errs, rest.FieldError{Field: member(r), Message: "is missing"})
		}
	}
	names := make([]string, 0, len(v))
	for k := range v {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		p, ok := s.properties[k]
		if !ok {
			*errs = append(*errs, unknown(member(k), s.properties))
			continue
		}
		p.check(member(k), v[k], errs)
	}
}

// unknown is the error for a name that is not in known, with the one that may
// have been meant.
func unknown[V any](name string, known map[string]V) rest.FieldError {
	e := rest.FieldError{Field: name, Message: "is not known here"}
	bare := strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
	for k := range known {
		if strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(k)) == bare {
			e.Suggestion = &k
		}
	}
	return e
}
