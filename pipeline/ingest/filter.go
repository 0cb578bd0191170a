package ingest

import "sync/atomic"

// filter is a set of 64-bit hashes kept as 32-bit fingerprints: it may say
// "perhaps" of a hash that was never added (about one in 10^9) and never "no"
// of one that was. It grows by layers, each twice the one before, taking its
// memory (6 to 12 bytes a hash) from a shared budget.
type filter struct {
	layers []layer
	budget *atomic.Int64
	bytes  int64
}

// layer is an open-addressed table: a hash's high half says where to begin,
// its low half is what is stored. 0 is an empty slot.
type layer struct {
	slots []uint32
	free  int // hashes until it is full
}

const firstLayer = 1 << 10 // slots

// newFilter makes room for n hashes; nil when the budget does not allow it.
func newFilter(n int, budget *atomic.Int64) *filter {
	f := &filter{budget: budget}
	if !f.grow(max(n+n/2, firstLayer)) {
		return nil
	}
	return f
}

func (f *filter) grow(slots int) bool {
	size := int64(slots) * 4
	if f.budget.Add(-size) < 0 {
		f.budget.Add(size)
		return false
	}
	f.bytes += size
	f.layers = append(f.layers, layer{slots: make([]uint32, slots), free: slots / 4 * 3})
	return true
}

// release gives the memory back to the budget.
func (f *filter) release() {
	f.budget.Add(f.bytes)
	f.layers, f.bytes = nil, 0
}

// has reports whether the hash was (almost surely) added.
func (f *filter) has(h uint64) bool {
	for i := len(f.layers) - 1; i >= 0; i-- {
		if _, found := f.layers[i].find(h); found {
			return true
		}
	}
	return false
}

// add puts the hash in; false when there is no memory for it.
func (f *filter) add(h uint64) bool {
	top := &f.layers[len(f.layers)-1]
	if top.free == 0 {
		if !f.grow(2 * len(top.slots)) {
			return false
		}
		top = &f.layers[len(f.layers)-1]
	}
	at, found := top.find(h)
	if !found {
		top.slots[at] = fingerprint(h)
		top.free--
	}
	return true
}

func fingerprint(h uint64) uint32 { return max(uint32(h), 1) }

// find gives the slot of the hash, or the empty one where it belongs. A layer
// is never full, so there is one.
func (l *layer) find(h uint64) (at int, found bool) {
	fp := fingerprint(h)
	for at = int((h >> 32) * uint64(len(l.slots)) >> 32); ; {
		switch l.slots[at] {
		case fp:
			return at, true
		case 0:
			return at, false
		}
		if at++; at == len(l.slots) {
			at = 0
		}
	}
}
