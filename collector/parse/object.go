package parse

import (
	"bytes"
	"io"
)

// The reasons for setting aside what begins like JSON.
const (
	cutShort   = "the JSON ends before it is complete: the line or the body was cut short"
	openString = "the JSON is broken: a string is not closed on its line"
	mismatch   = "the JSON is broken: a bracket is closed by the wrong one"
	tooDeep    = "the JSON is nested deeper than 64: flatten the event"
)

// object returns the JSON object that begins here, over as many lines as it
// takes. Broken JSON ends where a record can begin again: at the end of the
// line, or before a line that begins with "{" when objects stand on one line
// each.
func (f *framer) object() (chunk, error) {
	c := chunk{line: f.line, offset: f.offset}
	if !f.inArray {
		if n, ok := f.wholeLine(); ok {
			c.data = trim(f.take(n))
			f.single = true
			return c, nil
		}
	}
	var (
		stack    uint64 // one bit a level: 1 is an object
		depth    int
		inString bool
		lines    int
		dropped  []byte // the beginning of a record that is too long
		size     uint64
	)
	ndjson := f.single
	done := func(n int, problem string) (chunk, error) {
		b := trim(f.take(n))
		if dropped != nil {
			c.data = dropped
			return tooLong(c, size+uint64(n)), nil
		}
		c.data, c.problem = b, problem
		if problem == "" && lines == 0 && !f.inArray {
			f.single = true
		}
		return c, nil
	}
	for n := 0; ; n++ {
		if n >= MaxRecord {
			if dropped == nil {
				dropped = bytes.Clone(f.buf[f.pos : f.pos+keepOfHuge])
			}
			size += uint64(n)
			f.take(n)
			n = 0
		}
		if f.pos+n >= f.end && !f.fill() {
			if f.err != io.EOF {
				return chunk{}, f.err
			}
			return done(n, cutShort)
		}
		switch b := f.buf[f.pos+n]; {
		case b == '\n':
			if inString {
				return done(n, openString)
			}
			if dropped != nil && lines == 0 {
				return done(n, "")
			}
			if lines == 0 && !ndjson {
				// An opening line with more than its bracket is an event that
				// should have ended here.
				ndjson = len(trim(f.buf[f.pos:f.pos+n])) > 1
			}
			lines++
			if ndjson && !f.inArray && dropped == nil {
				if b, ok := f.peek(n + 1); ok && b == '{' {
					return done(n, cutShort)
				}
			}
		case inString:
			if b == '"' {
				inString = false
			} else if b == '\\' {
				n++
				if f.pos+n >= f.end && !f.fill() {
					if f.err != io.EOF {
						return chunk{}, f.err
					}
					return done(f.end-f.pos, cutShort)
				}
			}
		case b == '"':
			inString = true
		case b == '{' || b == '[':
			if depth == 64 {
				m := f.restOfLine(n)
				return done(m, tooDeep)
			}
			stack <<= 1
			if b == '{' {
				stack |= 1
			}
			depth++
		case b == '}' || b == ']':
			if (b == '}') != (stack&1 == 1) {
				m := f.restOfLine(n)
				return done(m, mismatch)
			}
			stack >>= 1
			if depth--; depth == 0 {
				return done(n+1, "")
			}
		}
	}
}

// restOfLine is the distance to the end of the line, as far as it is at hand.
func (f *framer) restOfLine(n int) int {
	for {
		if i := bytes.IndexByte(f.buf[f.pos+n:f.end], '\n'); i >= 0 {
			return n + i
		}
		n = f.end - f.pos
		if n >= MaxRecord || !f.fill() {
			return n
		}
	}
}

// wholeLine recognises without a look at every byte what nearly all lines of
// NDJSON are: one object that begins and ends on its line. JSON cannot go on
// from "}" at the end of a line to "{" at the beginning of the next one, so
// there a record ends.
func (f *framer) wholeLine() (n int, ok bool) {
	i := bytes.IndexByte(f.buf[f.pos:f.end], '\n')
	if i < 0 || i > MaxRecord || f.pos+i+1 >= f.end || f.buf[f.pos+i+1] != '{' {
		return 0, false
	}
	line := trim(f.buf[f.pos : f.pos+i])
	if line[len(line)-1] != '}' || bytes.Contains(line, []byte("}{")) || bytes.Contains(line, []byte("} {")) {
		return 0, false
	}
	return i + 1, true
}
