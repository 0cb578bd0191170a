package baseline

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// Hash is a 64-bit hash of s, the same everywhere and forever: eight bytes at
// a time, multiplied into 128 bits and folded. Not for adversaries who want
// collisions and can try 2^32 values.
func Hash(s string) uint64 {
	const k0, k1 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
	h := uint64(len(s))*k0 ^ k1
	for len(s) >= 8 {
		var b [8]byte
		copy(b[:], s)
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(b[:]), k0)
		h = hi ^ lo ^ k1
		s = s[8:]
	}
	var b [8]byte
	copy(b[:], s)
	hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(b[:]), k1)
	h = hi ^ lo
	h ^= h >> 29
	h *= k0
	return h ^ h>>32
}

// fanExact is how many values a Fan holds exactly.
const fanExact = 64

// Fan counts distinct values: exactly up to 64, beyond that by HyperLogLog
// with 256 registers (Flajolet et al. 2007; standard error 6.5 %, with linear
// counting while registers are empty).
type Fan struct {
	Exact []uint64 // sorted hashes, while Regs is nil
	Regs  []byte   // 256 registers
}

// Add adds the hash of a value; it reports whether the count grew for sure.
func (f *Fan) Add(h uint64) bool {
	if f.Regs == nil {
		i, found := slices.BinarySearch(f.Exact, h)
		if found {
			return false
		}
		if len(f.Exact) < fanExact {
			f.Exact = slices.Insert(f.Exact, i, h)
			return true
		}
		f.Regs = make([]byte, 256)
		for _, v := range f.Exact {
			f.register(v)
		}
		f.Exact = nil
	}
	return f.register(h)
}

func (f *Fan) register(h uint64) bool {
	rank := byte(bits.LeadingZeros64(h<<8|0xff) + 1)
	if r := &f.Regs[h>>56]; *r < rank {
		*r = rank
		return true
	}
	return false
}

// Count is the number of distinct values.
func (f *Fan) Count() float64 {
	if f.Regs == nil {
		return float64(len(f.Exact))
	}
	sum, empty := 0.0, 0
	for _, r := range f.Regs {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			empty++
		}
	}
	const m = 256.0
	est := 0.7183 * m * m / sum // α for m = 256
	if est <= 2.5*m && empty > 0 {
		est = m * Log(m/float64(empty))
	}
	return math.Round(est)
}

// Reset empties f and keeps its memory while that is small.
func (f *Fan) Reset() {
	f.Exact, f.Regs = f.Exact[:0], nil
}
