package parse

import (
	"bytes"
	"fmt"
	"io"
)

// MaxRecord is the longest record, in bytes. A longer one is quarantined with
// its beginning and the stream goes on behind it.
const MaxRecord = 1 << 20

// keepOfHuge is how much of a record that is too long is kept.
const keepOfHuge = 64 << 10

// chunk is one record as it stands in the stream.
type chunk struct {
	data    []byte // valid until the next call
	line    uint64 // 1-based
	offset  uint64
	problem string // not "": set this aside, it is no record
}

// framer finds the records of a stream. JSON values end where their brackets
// close; everything else ends with its line. It looks at brackets and strings
// only: whether a record is right is for its parser to say.
type framer struct {
	r        io.Reader
	buf      []byte
	pos, end int
	err      error // what the reader said last
	line     uint64
	offset   uint64 // of buf[pos]
	json     bool   // look for JSON values
	inArray  bool   // within [ … ]: elements, not lines
	wrapper  bool   // that array is the value of "Records"
	started  bool
	decide   bool // find out json from the first byte
	single   bool // a record on one line was seen, so this is NDJSON
}

func newFramer(r io.Reader, json, decide bool) *framer {
	return &framer{r: r, buf: make([]byte, 64<<10), line: 1, json: json, decide: decide}
}

// fill reads more; false means that no more will come.
func (f *framer) fill() bool {
	if f.err != nil {
		return false
	}
	if f.pos > 0 && f.end == len(f.buf) {
		copy(f.buf, f.buf[f.pos:f.end])
		f.end -= f.pos
		f.pos = 0
	}
	if f.end == len(f.buf) {
		f.buf = append(f.buf, make([]byte, len(f.buf))...)
	}
	for range 100 {
		n, err := f.r.Read(f.buf[f.end:])
		f.end += n
		f.err = err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	f.err = io.ErrNoProgress
	return false
}

// take consumes n bytes.
func (f *framer) take(n int) []byte {
	b := f.buf[f.pos : f.pos+n]
	f.line += uint64(bytes.Count(b, nl))
	f.offset += uint64(n)
	f.pos += n
	return b
}

var nl = []byte{'\n'}

// peek makes the n-th byte from here available and returns it.
func (f *framer) peek(n int) (byte, bool) {
	for f.pos+n >= f.end {
		if !f.fill() {
			return 0, false
		}
	}
	return f.buf[f.pos+n], true
}

// next returns the next record. The error is io.EOF at the end; any other
// error is the reader's, and what was read of an unfinished record is dropped:
// it was not received.
func (f *framer) next() (chunk, error) {
	if !f.started {
		f.started = true
		if c, ok := f.peek(2); ok && c == 0xbf && f.buf[f.pos] == 0xef && f.buf[f.pos+1] == 0xbb {
			f.pos, f.offset = f.pos+3, f.offset+3
		}
	}
	for {
		c, ok := f.peek(0)
		if !ok {
			return chunk{}, f.err
		}
		if n := f.blank(); n > 0 {
			f.take(n)
			continue
		}
		if f.decide {
			f.decide = false
			f.json = c == '{' || c == '[' && f.opensArray()
		}
		switch {
		case !f.json:
			return f.text()
		case c == '{':
			if !f.inArray && f.opensWrapper() {
				f.inArray, f.wrapper = true, true
				continue
			}
			return f.object()
		case c == '[' && !f.inArray && f.opensArray():
			f.take(1)
			f.inArray = true
			continue
		case c == ']' && f.inArray:
			f.take(1)
			f.inArray = false
			if f.wrapper {
				f.wrapper = false
				f.closeWrapper()
			}
			continue
		case f.inArray:
			return f.stray()
		}
		return f.text()
	}
}

// blank is how many bytes at hand are space, or commas between JSON values.
func (f *framer) blank() int {
	for i, c := range f.buf[f.pos:f.end] {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' && (c != ',' || !f.json) {
			return i
		}
	}
	return f.end - f.pos
}

// opensArray says that '[' is followed by an object or ']': a JSON array, and
// not a line of text that begins with a bracket.
func (f *framer) opensArray() bool {
	for n := 1; n < 4096; n++ {
		c, ok := f.peek(n)
		if !ok {
			return false
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == '{' || c == ']'
		}
	}
	return false
}

// opensWrapper consumes `{"Records":[` if it stands here.
func (f *framer) opensWrapper() bool {
	n := 1
	space := func() {
		for n < 4096 {
			if c, ok := f.peek(n); !ok || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				return
			}
			n++
		}
	}
	for _, word := range [...]string{`"Records"`, ":", "["} {
		space()
		for i := range len(word) {
			if c, ok := f.peek(n); !ok || c != word[i] && (c != 'r' || word[i] != 'R') {
				return false
			}
			n++
		}
	}
	f.take(n)
	return true
}

// closeWrapper consumes the rest of the object behind its records, up to 64
// KiB of it; what is more is read as records of its own.
func (f *framer) closeWrapper() {
	depth, inString := 1, false
	for n := 0; n < keepOfHuge; n++ {
		c, ok := f.peek(n)
		if !ok {
			return
		}
		switch {
		case inString && c == '\\':
			n++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				f.take(n + 1)
				return
			}
		}
	}
}

// text returns the line that begins here.
func (f *framer) text() (chunk, error) {
	c := chunk{line: f.line, offset: f.offset}
	n := 0
	for {
		if i := bytes.IndexByte(f.buf[f.pos+n:f.end], '\n'); i >= 0 {
			c.data = trim(f.take(n + i + 1))
			if len(c.data) > MaxRecord {
				return tooLong(c, uint64(len(c.data))), nil
			}
			return c, nil
		}
		n = f.end - f.pos
		if n > MaxRecord {
			kept := bytes.Clone(f.buf[f.pos : f.pos+keepOfHuge])
			size, err := f.discardLine()
			if err != nil {
				return chunk{}, err
			}
			c.data = kept
			return tooLong(c, size), nil
		}
		if !f.fill() {
			if f.err != io.EOF {
				return chunk{}, f.err
			}
			c.data = trim(f.take(n))
			return c, nil
		}
	}
}

func tooLong(c chunk, size uint64) chunk {
	c.data = c.data[:min(len(c.data), keepOfHuge)]
	c.problem = fmt.Sprintf("record of %d bytes is longer than %d: split it; its first %d bytes are kept", size, MaxRecord, len(c.data))
	return c
}

// discardLine skips to the end of the line and says how many bytes that were.
func (f *framer) discardLine() (size uint64, err error) {
	from := f.offset
	for {
		if i := bytes.IndexByte(f.buf[f.pos:f.end], '\n'); i >= 0 {
			f.take(i + 1)
			return f.offset - from - 1, nil
		}
		f.take(f.end - f.pos)
		if !f.fill() {
			if f.err != io.EOF {
				return 0, f.err
			}
			return f.offset - from, nil
		}
	}
}

func trim(b []byte) []byte { return bytes.TrimRight(b, " \t\r\n") }

// stray returns what stands between the elements of an array and is none.
func (f *framer) stray() (chunk, error) {
	c := chunk{line: f.line, offset: f.offset, problem: "array element is no JSON object: send an array of events, or one event a line"}
	inString := false
	for n := 0; ; n++ {
		b, ok := f.peek(n)
		if !ok && f.err != io.EOF {
			return chunk{}, f.err
		}
		if ok && b == '"' {
			inString = !inString
		}
		if !ok || n >= keepOfHuge || b == '\n' || !inString && n > 0 && (b == ',' || b == ']' || b == '{') {
			c.data = trim(f.take(n))
			return c, nil
		}
	}
}
