package clickhouse

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/ClickHouse/ch-go/proto"
	chgo "github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// Revisions of the native protocol that changed the form of a block
// (src/Core/ProtocolDefines.h).
const (
	revisionBlockInfo           = 1     // any but zero: a block begins with its info
	revisionCustomSerialization = 54454 // a byte after each column's type
)

// blockInfo is what stands before a block: field 1 is_overflows = 0, field 2
// bucket_num = -1, end.
var blockInfo = []byte{1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0}

// transcoder rewrites Native blocks of revision 0, which is all that the
// library writes, into the revision the client asked for. The values stay the
// same bytes, so it only looks for the borders of columns and copies what lies
// between; a type it has no layout of takes the slow way, see measure.
type transcoder struct {
	revision int
	types    map[string]*nativeType
	cuts     []int // offsets after each column's type, in the block at hand
}

// write writes the blocks in data, which must be complete ones.
func (t *transcoder) write(w io.Writer, data []byte) error {
	if t.revision < revisionBlockInfo {
		_, err := w.Write(data)
		return err
	}
	for len(data) > 0 {
		n, err := t.scan(data)
		if err != nil {
			return err
		}
		if err := t.emit(w, data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// scan finds the end of the first block and the places after its types.
func (t *transcoder) scan(data []byte) (int, error) {
	c := &cursor{b: data}
	t.cuts = t.cuts[:0]
	cols, rows := c.uvarint(), c.uvarint()
	for i := 0; i < cols && !c.bad; i++ {
		c.skip(c.uvarint())
		name := c.str()
		if c.bad {
			break
		}
		typ, ok := t.types[name]
		if !ok {
			// Nil, for want of a layout, is remembered too.
			typ, _ = parseNativeType(name, 0)
			if t.types == nil {
				t.types = make(map[string]*nativeType)
			}
			t.types[name] = typ
		}
		t.cuts = append(t.cuts, c.off)
		switch {
		case rows == 0:
		case typ != nil:
			typ.prefix(c)
			typ.values(c, rows)
		default:
			n, err := measure(name, rows, data[c.off:])
			if err != nil {
				return 0, err
			}
			c.skip(n)
		}
	}
	if c.bad {
		return 0, fmt.Errorf("%w: it ends too early", errNative)
	}
	return c.off, nil
}

func (t *transcoder) emit(w io.Writer, block []byte) error {
	if _, err := w.Write(blockInfo); err != nil {
		return err
	}
	from := 0
	if t.revision >= revisionCustomSerialization {
		for _, cut := range t.cuts {
			if _, err := w.Write(block[from:cut]); err != nil {
				return err
			}
			if _, err := w.Write([]byte{0}); err != nil {
				return err
			}
			from = cut
		}
	}
	_, err := w.Write(block[from:])
	return err
}

// measure finds the length of a column without a layout by having the driver
// decode it, as the only column of a block. Its bytes are copied as they are:
// the driver's encoder does not give back what its decoder took in for all
// types (LowCardinality and Nothing among them).
func measure(typ string, rows int, data []byte) (n int, err error) {
	defer func() {
		// Its parser of types panics on some, such as an Enum of odd names.
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: the driver's decoder panicked on type %.80q: %v", errNative, typ, r)
		}
	}()
	if rows > len(data) {
		return 0, fmt.Errorf("%w: %d rows in %d bytes", errNative, rows, len(data))
	}
	var head proto.Buffer
	head.PutUVarInt(1)
	head.PutUVarInt(uint64(rows))
	head.PutString("")
	head.PutString(typ)
	src := bytes.NewReader(data)
	// Large enough that the decoder takes it as its own buffer, so that what is
	// left can be counted.
	buffered := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(head.Buf), src), 1<<20)
	if err := chgo.NewBlock().Decode(proto.NewReader(buffered), 0); err != nil {
		return 0, fmt.Errorf("%w: %w", errNative, err)
	}
	return len(data) - src.Len() - buffered.Buffered(), nil
}
