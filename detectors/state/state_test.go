package state

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		u := rapid.Uint64().Draw(rt, "u")
		i := rapid.Int64().Draw(rt, "i")
		f := rapid.Float64().Draw(rt, "f")
		s := rapid.String().Draw(rt, "s")
		b := rapid.SliceOf(rapid.Byte()).Draw(rt, "b")
		y := rapid.Bool().Draw(rt, "y")
		var w Writer
		w.U64(u)
		w.I64(i)
		w.Fixed(u)
		w.F64(f)
		w.F64s(f, 0)
		w.Str(s)
		w.Bytes(b)
		w.Bool(y)
		r := Reader{Buf: w.Buf}
		var g, h float64
		if r.U64() != u || r.I64() != i || r.Fixed() != u || math.Float64bits(r.F64()) != math.Float64bits(f) {
			rt.Fatal("numbers differ")
		}
		if r.F64s(&g, &h); math.Float64bits(g) != math.Float64bits(f) || h != 0 {
			rt.Fatal("floats differ")
		}
		if r.Str() != s || !bytes.Equal(r.Raw(), b) || r.Bool() != y || r.Err() != nil || len(r.Buf) != 0 {
			rt.Fatal("the rest differs")
		}
	})
}

// Whatever the bytes, a reader ends, with zero values after the first error.
func FuzzReader(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Add(bytes.Repeat([]byte{0xff}, 30))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Reader{Buf: b}
		for range 20 {
			_, _, _ = r.Str(), r.F64(), r.I64()
			for range r.Len(8) {
				r.Fixed()
			}
		}
		if r.Err() != nil && (r.U64() != 0 || r.Str() != "" || r.Bool()) {
			t.Fatal("a value after an error")
		}
	})
}
