package record

import (
	"errors"
	"strconv"
)

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	Bool
	Number
	String
	Object
	Array
)

// Value is one JSON value. Text is the unescaped string of a String, and the
// text as it stood of everything else. It shares the memory of the record
// unless the string held escapes.
type Value struct {
	Kind Kind
	Text string
}

// Scalar is the text of a string, number or boolean, "" for null; ok is false
// for objects and arrays.
func (v Value) Scalar() (text string, ok bool) {
	switch v.Kind {
	case Null:
		return "", true
	case Object, Array:
		return "", false
	}
	return v.Text, true
}

// String is Scalar without the verdict.
func (v Value) String() string {
	s, _ := v.Scalar()
	return s
}

// maxDepth bounds nesting, and so recursion.
const maxDepth = 64

// Each walks the members of a JSON object in their order, checking its syntax
// on the way. An error of fn ends the walk. Duplicate keys are all visited.
func Each(object string, fn func(key string, v Value) error) error {
	s := scanner{s: object}
	s.space()
	if !s.eat('{') {
		return s.fail("a JSON object, beginning with {")
	}
	s.space()
	if !s.eat('}') {
		for {
			s.space()
			if s.i >= len(s.s) || s.s[s.i] != '"' {
				return s.fail(`a member name in double quotes`)
			}
			key, err := s.string()
			if err != nil {
				return err
			}
			s.space()
			if !s.eat(':') {
				return s.fail(`":" after a member name`)
			}
			v, err := s.value(1)
			if err != nil {
				return err
			}
			if err := fn(key, v); err != nil {
				return err
			}
			s.space()
			if s.eat(',') {
				continue
			}
			if s.eat('}') {
				break
			}
			return s.fail(`"," or "}" after a value`)
		}
	}
	return s.end()
}

// EachElement walks the elements of a JSON array.
func EachElement(array string, fn func(v Value) error) error {
	s := scanner{s: array}
	s.space()
	if !s.eat('[') {
		return s.fail("a JSON array, beginning with [")
	}
	s.space()
	if !s.eat(']') {
		for {
			v, err := s.value(1)
			if err != nil {
				return err
			}
			if err := fn(v); err != nil {
				return err
			}
			s.space()
			if s.eat(',') {
				continue
			}
			if s.eat(']') {
				break
			}
			return s.fail(`"," or "]" after an element`)
		}
	}
	return s.end()
}

// errFound ends a walk early.
var errFound = errors.New("found")

// Member is the value of the first member named key, at a path of keys
// through objects; ok is false when there is none.
func Member(object string, path ...string) (v Value, ok bool) {
	v = Value{Object, object}
	for _, key := range path {
		if v.Kind != Object {
			return Value{}, false
		}
		var found Value
		err := Each(v.Text, func(k string, m Value) error {
			if k == key {
				found = m
				return errFound
			}
			return nil
		})
		if err != errFound {
			return Value{}, false
		}
		v = found
	}
	return v, true
}

// Flatten adds the members of a value as labels: nested keys are joined with
// dots, elements counted from 0; null is nothing. It stops when the event has
// its fill of labels.
func (b *Builder) Flatten(prefix string, v Value) {
	switch v.Kind {
	case Null:
	case Object:
		_ = Each(v.Text, func(k string, m Value) error {
			b.Flatten(join(prefix, k), m)
			return b.full()
		})
	case Array:
		i := 0
		_ = EachElement(v.Text, func(m Value) error {
			b.Flatten(join(prefix, strconv.Itoa(i)), m)
			i++
			return b.full()
		})
	default:
		b.AddLabel(prefix, v.Text)
	}
}

func (b *Builder) full() error {
	if b.Full() {
		return errFound
	}
	return nil
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}
