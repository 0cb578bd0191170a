package runner

import (
	"maps"
	"slices"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
)

// ids are the event ids seen, as 64-bit hashes by the day of the event. Two
// different ids collide with a chance of n²/2^65: one in 4 million for 3
// million ids in the window.
type ids struct {
	days map[int64]*idSet
	last *idSet // of day, where most ids belong: derived
	day  int64
}

// idSet is an open-addressing set of hashes; 0 is an empty place.
type idSet struct {
	slots []uint64
	n     int
}

// add reports whether the id was not there.
func (s *ids) add(id string, day int64) bool {
	d := s.last
	if d == nil || s.day != day {
		d = s.of(day)
		s.last, s.day = d, day
	}
	h := baseline.Hash(id)
	if h == 0 {
		h = 1
	}
	return d.add(h)
}

func (s *ids) of(day int64) *idSet {
	if s.days == nil {
		s.days = make(map[int64]*idSet)
	}
	d := s.days[day]
	if d == nil {
		d = &idSet{slots: make([]uint64, 64)}
		s.days[day] = d
	}
	return d
}

func (s *ids) drop(gone func(day int64) bool) {
	for day := range s.days {
		if gone(day) {
			delete(s.days, day)
			s.last = nil
		}
	}
}

func (s *idSet) add(h uint64) bool {
	if 4*s.n >= 3*len(s.slots) {
		old := s.slots
		s.slots = make([]uint64, 2*len(old))
		for _, v := range old {
			if v != 0 {
				s.place(v)
			}
		}
	}
	if !s.place(h) {
		return false
	}
	s.n++
	return true
}

func (s *idSet) place(h uint64) bool {
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case 0:
			s.slots[i] = h
			return true
		case h:
			return false
		}
	}
}

func (s *idSet) sorted() []uint64 {
	out := make([]uint64, 0, s.n)
	for _, v := range s.slots {
		if v != 0 {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

func (s *ids) sortedDays() []int64 { return slices.Sorted(maps.Keys(s.days)) }
