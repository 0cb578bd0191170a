package clickhouse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// errNative is returned for a Native block this reader does not understand:
// a type it does not know, or bytes that end too early.
var errNative = errors.New("native block not understood")

// nativeType is the layout of one column type in the Native format, enough to
// find where its values end. Layouts: ClickHouse's src/DataTypes/Serializations.
type nativeType struct {
	kind  nativeKind
	width int // bytes a value, for fixed
	elems []*nativeType
}

type nativeKind byte

const (
	kindFixed nativeKind = iota
	kindString
	kindNullable       // one byte a row, then the values
	kindArray          // 64-bit end offsets, then the values of all rows
	kindTuple          // one column after the other
	kindLowCardinality // a dictionary and indexes into it
)

// maxTypeDepth bounds the nesting of a type's text.
const maxTypeDepth = 16

var fixedWidths = map[string]int{
	"Int8": 1, "UInt8": 1, "Bool": 1, "Enum8": 1, "Nothing": 1,
	"Int16": 2, "UInt16": 2, "Enum16": 2, "Date": 2, "BFloat16": 2,
	"Int32": 4, "UInt32": 4, "Float32": 4, "Date32": 4, "DateTime": 4, "IPv4": 4, "Time": 4,
	"Int64": 8, "UInt64": 8, "Float64": 8, "DateTime64": 8, "Time64": 8,
	"UUID": 16, "IPv6": 16, "Int128": 16, "UInt128": 16, "Int256": 32, "UInt256": 32,
	"Decimal32": 4, "Decimal64": 8, "Decimal128": 16, "Decimal256": 32,
}

// parseNativeType reads a type as Native blocks name it, for instance
// Map(LowCardinality(String), Array(Nullable(DateTime64(9, 'UTC')))).
func parseNativeType(s string, depth int) (*nativeType, error) {
	if depth > maxTypeDepth {
		return nil, fmt.Errorf("%w: type nested deeper than %d", errNative, maxTypeDepth)
	}
	s = strings.TrimSpace(s)
	name, args := s, ""
	if i := strings.IndexByte(s, '('); i >= 0 {
		if s[len(s)-1] != ')' {
			return nil, fmt.Errorf("%w: type %.80q", errNative, s)
		}
		name, args = s[:i], s[i+1:len(s)-1]
	}
	inner := func(texts ...string) ([]*nativeType, error) {
		ts := make([]*nativeType, len(texts))
		for i, text := range texts {
			t, err := parseNativeType(text, depth+1)
			if err != nil {
				return nil, err
			}
			ts[i] = t
		}
		return ts, nil
	}
	switch name {
	case "String":
		return &nativeType{kind: kindString}, nil
	case "FixedString":
		n, err := strconv.Atoi(strings.TrimSpace(args))
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("%w: type %.80q", errNative, s)
		}
		return &nativeType{width: n}, nil
	case "Decimal":
		p, _, _ := strings.Cut(args, ",")
		n, err := strconv.Atoi(strings.TrimSpace(p))
		if err != nil {
			return nil, fmt.Errorf("%w: type %.80q", errNative, s)
		}
		switch {
		case n <= 9:
			return &nativeType{width: 4}, nil
		case n <= 18:
			return &nativeType{width: 8}, nil
		case n <= 38:
			return &nativeType{width: 16}, nil
		}
		return &nativeType{width: 32}, nil
	case "Nullable", "Array", "LowCardinality":
		ts, err := inner(args)
		if err != nil {
			return nil, err
		}
		kind := map[string]nativeKind{"Nullable": kindNullable, "Array": kindArray, "LowCardinality": kindLowCardinality}[name]
		return &nativeType{kind: kind, elems: ts}, nil
	case "Map":
		ts, err := inner(splitTypes(args)...)
		if err != nil || len(ts) != 2 {
			return nil, fmt.Errorf("%w: type %.80q", errNative, s)
		}
		return &nativeType{kind: kindArray, elems: []*nativeType{{kind: kindTuple, elems: ts}}}, nil
	case "Tuple", "Nested":
		parts := splitTypes(args)
		for i, p := range parts {
			parts[i] = dropElementName(p)
		}
		ts, err := inner(parts...)
		if err != nil || len(ts) == 0 {
			return nil, fmt.Errorf("%w: type %.80q", errNative, s)
		}
		t := &nativeType{kind: kindTuple, elems: ts}
		if name == "Nested" {
			t = &nativeType{kind: kindArray, elems: []*nativeType{t}}
		}
		return t, nil
	}
	if w, ok := fixedWidths[name]; ok {
		return &nativeType{width: w}, nil
	}
	if strings.HasPrefix(name, "Interval") {
		return &nativeType{width: 8}, nil
	}
	return nil, fmt.Errorf("%w: type %.80q", errNative, s)
}

// splitTypes cuts at the commas outside brackets and quotes.
func splitTypes(s string) []string {
	var parts []string
	depth, from := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\'', '`', '"':
			i = skipQuoted(s, i) - 1
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, s[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, s[from:])
}

// dropElementName turns the element "name Type" of a named tuple into its type.
func dropElementName(s string) string {
	s = strings.TrimSpace(s)
	i := 0
	if s != "" && (s[0] == '`' || s[0] == '"') {
		i = skipQuoted(s, 0)
	} else {
		for i < len(s) && isWordByte(s[i]) {
			i++
		}
	}
	if i < len(s) && s[i] == ' ' {
		return strings.TrimSpace(s[i:])
	}
	return s
}

// cursor walks over bytes and never beyond them; the first step too far sets bad.
type cursor struct {
	b   []byte
	off int
	bad bool
}

func (c *cursor) skip(n int) {
	if c.bad || n < 0 || n > len(c.b)-c.off {
		c.bad = true
		return
	}
	c.off += n
}

// skipN skips n values of w bytes.
func (c *cursor) skipN(n, w int) {
	if w > 0 && n > (len(c.b)-c.off)/w {
		c.bad = true
		return
	}
	c.skip(n * w)
}

func (c *cursor) uvarint() int {
	v, n := binary.Uvarint(c.b[c.off:])
	if c.bad || n <= 0 || v > 1<<40 {
		c.bad = true
		return 0
	}
	c.off += n
	return int(v)
}

func (c *cursor) uint64() uint64 {
	at := c.off
	c.skip(8)
	if c.bad {
		return 0
	}
	return binary.LittleEndian.Uint64(c.b[at:])
}

func (c *cursor) str() string {
	n := c.uvarint()
	at := c.off
	c.skip(n)
	if c.bad {
		return ""
	}
	return string(c.b[at:c.off])
}

// prefix skips the state in front of a column: a version number a dictionary.
func (t *nativeType) prefix(c *cursor) {
	if t.kind == kindLowCardinality {
		c.skip(8)
		return
	}
	for _, e := range t.elems {
		e.prefix(c)
	}
}

// values skips n values of the column.
func (t *nativeType) values(c *cursor, n int) {
	if c.bad {
		return
	}
	switch t.kind {
	case kindFixed:
		c.skipN(n, t.width)
	case kindString:
		for ; n > 0 && !c.bad; n-- {
			// Most strings are shorter than 128 bytes.
			if c.off < len(c.b) && c.b[c.off] < 0x80 {
				c.skip(1 + int(c.b[c.off]))
				continue
			}
			c.skip(c.uvarint())
		}
	case kindNullable:
		c.skip(n)
		t.elems[0].values(c, n)
	case kindArray:
		at := c.off
		c.skipN(n, 8)
		if c.bad || n == 0 {
			return
		}
		total := binary.LittleEndian.Uint64(c.b[at+8*(n-1):])
		if total > uint64(len(c.b)) {
			c.bad = true
			return
		}
		t.elems[0].values(c, int(total))
	case kindTuple:
		for _, e := range t.elems {
			e.values(c, n)
		}
	case kindLowCardinality:
		t.dictionary(c, n)
	}
}

// dictionary skips n values of a LowCardinality column, which come in one or
// several granules: flags, number of keys, keys, number of rows, indexes.
func (t *nativeType) dictionary(c *cursor, n int) {
	keys := t.elems[0]
	if keys.kind == kindNullable {
		keys = keys.elems[0] // NULL is the first key, not a byte map
	}
	const hasAdditionalKeys, needGlobalDictionary = 1 << 9, 1 << 8
	for n > 0 && !c.bad {
		flags := c.uint64()
		if flags&needGlobalDictionary != 0 || flags&hasAdditionalKeys == 0 || flags&0xff > 3 {
			c.bad = true
			return
		}
		count := c.uint64()
		if count > uint64(len(c.b)) {
			c.bad = true
			return
		}
		keys.values(c, int(count))
		rows := c.uint64()
		if c.bad || rows == 0 || rows > uint64(n) {
			c.bad = true
			return
		}
		c.skipN(int(rows), 1<<(flags&0xff))
		n -= int(rows)
	}
}
