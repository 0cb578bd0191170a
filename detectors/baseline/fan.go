package baseline

import (
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
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		hi, lo := bits.Mul64(h^w, k0)
		h = hi ^ lo ^ k1
		s = s[8:]
	}
	w := uint64(0) // the bytes left over, little-endian
	for i := len(s) - 1; i >= 0; i-- {
		w = w<<8 | uint64(s[i])
	}
	hi, lo := bits.Mul64(h^w, k1)
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
	count float64  // what Count made of them, 0: not known
}

// Add adds the hash of a value; it reports whether the count grew for sure.
func (f *Fan) Add(h uint64) bool {
	if f.Regs == nil {
		i, found := slices.BinarySearch(f.Exact, h)
		if found {
			return false
		}
		if f.Exact == nil {
			f.Exact = make([]uint64, 0, 16) // one value seldom stays alone
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
		*r, f.count = rank, 0
		return true
	}
	return false
}

// Count is the number of distinct values.
func (f *Fan) Count() float64 {
	if f.Regs == nil {
		return float64(len(f.Exact))
	}
	if f.count == 0 { // at least 64 when it is known
		f.count = estimate(f.Regs)
	}
	return f.count
}

func estimate(regs []byte) float64 {
	sum, empty := 0.0, 0
	for _, r := range regs {
		sum += math.Float64frombits(uint64(1023-int(r)) << 52) // 2^-r
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
	f.Exact, f.Regs, f.count = f.Exact[:0], nil, 0
}
