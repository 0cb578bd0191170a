// Package state is the binary form of what detectors remember: little-endian,
// length-prefixed, and the same bytes for the same state, so that it can be
// hashed and compared.
//
// Invariant: what a Writer wrote, a Reader reads back to the same bits; a
// Reader given other bytes ends with an error and never panics or allocates
// more than the input is long. It knows nothing of the module.
package state

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrCorrupt is what a Reader ends with when the bytes are not a state.
var ErrCorrupt = errors.New("detector state is corrupt")

// Writer appends values to Buf.
type Writer struct{ Buf []byte }

// U64 writes an unsigned number.
func (w *Writer) U64(v uint64) { w.Buf = binary.AppendUvarint(w.Buf, v) }

// I64 writes a signed number.
func (w *Writer) I64(v int64) { w.Buf = binary.AppendVarint(w.Buf, v) }

// Fixed writes 64 bits as they are, for hashes.
func (w *Writer) Fixed(v uint64) { w.Buf = binary.LittleEndian.AppendUint64(w.Buf, v) }

// F64 writes the bits of a float; zero takes one byte.
func (w *Writer) F64(v float64) {
	b := math.Float64bits(v)
	if b == 0 {
		w.Buf = append(w.Buf, 0)
		return
	}
	w.Buf = append(w.Buf, 1)
	w.Buf = binary.LittleEndian.AppendUint64(w.Buf, b)
}

// F64s writes floats without their number.
func (w *Writer) F64s(vs ...float64) {
	for _, v := range vs {
		w.F64(v)
	}
}

// Str writes a string.
func (w *Writer) Str(s string) {
	w.U64(uint64(len(s)))
	w.Buf = append(w.Buf, s...)
}

// Bytes writes a byte slice.
func (w *Writer) Bytes(b []byte) {
	w.U64(uint64(len(b)))
	w.Buf = append(w.Buf, b...)
}

// Bool writes a truth value.
func (w *Writer) Bool(v bool) {
	if v {
		w.Buf = append(w.Buf, 1)
	} else {
		w.Buf = append(w.Buf, 0)
	}
}

// Reader reads what a Writer wrote. After the first error every read gives
// zero; Err tells.
type Reader struct {
	Buf []byte
	err error
}

// Err is ErrCorrupt after a read that did not fit.
func (r *Reader) Err() error { return r.err }

// Fail marks the state as corrupt.
func (r *Reader) Fail() { r.err, r.Buf = ErrCorrupt, nil }

// U64 reads an unsigned number.
func (r *Reader) U64() uint64 {
	v, n := binary.Uvarint(r.Buf)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.Buf = r.Buf[n:]
	return v
}

// I64 reads a signed number.
func (r *Reader) I64() int64 {
	v, n := binary.Varint(r.Buf)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.Buf = r.Buf[n:]
	return v
}

// Fixed reads 64 bits.
func (r *Reader) Fixed() uint64 {
	if len(r.Buf) < 8 {
		r.Fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.Buf)
	r.Buf = r.Buf[8:]
	return v
}

// F64 reads a float.
func (r *Reader) F64() float64 {
	if !r.Bool() {
		return 0
	}
	return math.Float64frombits(r.Fixed())
}

// F64s reads floats into the places given.
func (r *Reader) F64s(vs ...*float64) {
	for _, v := range vs {
		*v = r.F64()
	}
}

// Len reads a count of things of at least size bytes each.
func (r *Reader) Len(size int) int {
	n := r.U64()
	if n > uint64(len(r.Buf)/size) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Str reads a string.
func (r *Reader) Str() string { return string(r.Raw()) }

// Raw reads a byte slice that shares the input's memory.
func (r *Reader) Raw() []byte {
	n := r.Len(1)
	b := r.Buf[:n:n]
	r.Buf = r.Buf[n:]
	return b
}

// Bool reads a truth value.
func (r *Reader) Bool() bool {
	if len(r.Buf) == 0 || r.Buf[0] > 1 {
		r.Fail()
		return false
	}
	v := r.Buf[0] == 1
	r.Buf = r.Buf[1:]
	return v
}
