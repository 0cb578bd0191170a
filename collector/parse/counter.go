package parse

// counter counts how often each 64-bit key came. It is exact for the first
// maxKeys distinct keys; those beyond share a fixed number of counters, so
// that memory is bounded. Shared or not, the numbers one key gets always grow,
// and depend on nothing but the keys that came before.
type counter struct {
	keys   []uint64 // 0 is free
	counts []uint32
	n      int
	shift  uint
	spill  []uint32
}

// maxKeys keeps one stream's table below 25 MiB.
const maxKeys = 1 << 20

const spillSize = 1 << 16

// next returns how often key came before. exact is false when the count may be
// that of several keys.
func (c *counter) next(key uint64) (before uint64, exact bool) {
	if key == 0 {
		key = 1
	}
	if c.keys == nil {
		c.resize(10)
	}
	mask := uint64(len(c.keys) - 1)
	i := c.slot(key)
	for c.keys[i] != 0 {
		if c.keys[i] == key {
			before = uint64(c.counts[i])
			c.counts[i]++
			return before, true
		}
		i = (i + 1) & mask
	}
	if c.n >= maxKeys {
		if c.spill == nil {
			c.spill = make([]uint32, spillSize)
		}
		s := &c.spill[key%spillSize]
		before = uint64(*s)
		*s++
		return before, false
	}
	c.keys[i], c.counts[i] = key, 1
	c.n++
	if c.n*2 > len(c.keys) && c.n < maxKeys {
		c.resize(64 - c.shift + 1)
	}
	return 0, true
}

func (c *counter) slot(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> c.shift }

func (c *counter) resize(bits uint) {
	keys, counts := c.keys, c.counts
	c.keys, c.counts, c.shift = make([]uint64, 1<<bits), make([]uint32, 1<<bits), 64-bits
	mask := uint64(len(c.keys) - 1)
	for j, k := range keys {
		if k == 0 {
			continue
		}
		i := c.slot(k)
		for c.keys[i] != 0 {
			i = (i + 1) & mask
		}
		c.keys[i], c.counts[i] = k, counts[j]
	}
}
