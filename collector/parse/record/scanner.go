package record

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON from s, strictly but for control characters in strings,
// which real loggers write.
type scanner struct {
	s string
	i int
}

func (s *scanner) fail(want string) error {
	if s.i >= len(s.s) {
		return fmt.Errorf("the JSON ends at byte %d where %s was expected: the line was cut short", s.i, want)
	}
	r, _ := utf8.DecodeRuneInString(s.s[s.i:])
	return fmt.Errorf("not valid JSON at byte %d: found %q where %s was expected", s.i, r, want)
}

func (s *scanner) space() {
	for s.i < len(s.s) {
		switch s.s[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) eat(c byte) bool {
	if s.i < len(s.s) && s.s[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) end() error {
	s.space()
	if s.i < len(s.s) {
		return ErrTrailing
	}
	return nil
}

// value reads any value; objects and arrays are checked and given as text.
func (s *scanner) value(depth int) (Value, error) {
	s.space()
	if s.i >= len(s.s) {
		return Value{}, s.fail("a value")
	}
	start := s.i
	switch c := s.s[s.i]; {
	case c == '"':
		text, err := s.string()
		return Value{String, text}, err
	case c == '{':
		err := s.skip(depth)
		return Value{Object, s.s[start:s.i]}, err
	case c == '[':
		err := s.skip(depth)
		return Value{Array, s.s[start:s.i]}, err
	case c == '-' || c >= '0' && c <= '9':
		err := s.number()
		return Value{Number, s.s[start:s.i]}, err
	case c == 't' && s.literal("true"), c == 'f' && s.literal("false"):
		return Value{Bool, s.s[start:s.i]}, nil
	case c == 'n' && s.literal("null"):
		return Value{Null, "null"}, nil
	}
	return Value{}, s.fail("a value")
}

func (s *scanner) literal(word string) bool {
	if strings.HasPrefix(s.s[s.i:], word) {
		s.i += len(word)
		return true
	}
	return false
}

func (s *scanner) number() error {
	s.eat('-')
	digits := func() bool {
		from := s.i
		for s.i < len(s.s) && s.s[s.i] >= '0' && s.s[s.i] <= '9' {
			s.i++
		}
		return s.i > from
	}
	if !digits() || s.eat('.') && !digits() {
		return s.fail("a digit")
	}
	if s.eat('e') || s.eat('E') {
		if !s.eat('+') {
			s.eat('-')
		}
		if !digits() {
			return s.fail("a digit")
		}
	}
	return nil
}

// skip checks an object or array and stands behind it afterwards.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("the JSON is nested deeper than %d: flatten the event", maxDepth)
	}
	object := s.s[s.i] == '{'
	s.i++
	closing := byte(']')
	if object {
		closing = '}'
	}
	s.space()
	if s.eat(closing) {
		return nil
	}
	for {
		s.space()
		if object {
			if s.i >= len(s.s) || s.s[s.i] != '"' {
				return s.fail("a member name in double quotes")
			}
			if _, err := s.stringEnd(); err != nil {
				return err
			}
			s.space()
			if !s.eat(':') {
				return s.fail(`":" after a member name`)
			}
			s.space()
		}
		if s.i >= len(s.s) {
			return s.fail("a value")
		}
		var err error
		switch s.s[s.i] {
		case '"':
			_, err = s.stringEnd()
		case '{', '[':
			err = s.skip(depth + 1)
		default:
			_, err = s.value(depth)
		}
		if err != nil {
			return err
		}
		s.space()
		if s.eat(',') {
			continue
		}
		if s.eat(closing) {
			return nil
		}
		return s.fail(`"," or the closing bracket`)
	}
}

// stringEnd moves behind the string that begins here and says whether it holds
// escapes.
func (s *scanner) stringEnd() (escaped bool, err error) {
	t := s.s
	for i := s.i + 1; i < len(t); i++ {
		switch t[i] {
		case '"':
			s.i = i + 1
			return escaped, nil
		case '\\':
			escaped = true
			i++
		}
	}
	s.i = len(t)
	return escaped, s.fail("the closing quote of a string")
}

func (s *scanner) string() (string, error) {
	start := s.i + 1
	escaped, err := s.stringEnd()
	if err != nil {
		return "", err
	}
	text := s.s[start : s.i-1]
	if !escaped {
		return text, nil
	}
	return unescape(text)
}

func unescape(t string) (string, error) {
	b := make([]byte, 0, len(t))
	for i := 0; i < len(t); {
		j := strings.IndexByte(t[i:], '\\')
		if j < 0 {
			b = append(b, t[i:]...)
			break
		}
		b = append(b, t[i:i+j]...)
		i += j + 1 // stringEnd guarantees a character behind the backslash
		c := t[i]
		i++
		switch c {
		case '"', '\\', '/':
			b = append(b, c)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r, ok := hex4(t, i)
			if !ok {
				return "", fmt.Errorf(`not valid JSON: \u must be followed by four hex digits`)
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if strings.HasPrefix(t[i:], `\u`) {
					low, _ = hex4(t, i+2)
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			b = utf8.AppendRune(b, r)
		default:
			return "", fmt.Errorf(`not valid JSON: \%c is no escape`, c)
		}
	}
	return string(b), nil
}

func hex4(t string, i int) (rune, bool) {
	if i+4 > len(t) {
		return -1, false
	}
	n, err := strconv.ParseUint(t[i:i+4], 16, 16)
	if err != nil || t[i] == '+' || t[i] == '_' {
		return -1, false
	}
	return rune(n), true
}
