package runner

import (
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

// A snapshot names its detectors with their versions, and each state says how
// long it is: who restores it takes those it knows, and only a detector that is
// new or has changed starts afresh.

func encodeLayout(w *state.Writer, dets []detect.Detector) {
	w.U64(uint64(len(dets)))
	for _, d := range dets {
		w.Str(d.Name())
		w.Str(d.Version())
	}
}

// decodeLayout gives for each detector of the snapshot its place now, -1 when
// it is gone or of another version.
func decodeLayout(d *state.Reader, dets []detect.Detector) []int {
	var out []int
	for range d.Len(2) {
		name, version, at := d.Str(), d.Str(), -1
		for i, x := range dets {
			if x.Name() == name && x.Version() == version {
				at = i
			}
		}
		out = append(out, at)
	}
	if len(out) > 32 { // a bit each
		d.Fail()
		return nil
	}
	return out
}

// encodeState writes a state after its length, which is filled in when it is
// known: 4 bytes as a number of always the same width.
func encodeState(w *state.Writer, s detect.State) {
	at := len(w.Buf)
	w.Buf = append(w.Buf, 0x80, 0x80, 0x80, 0) // 28 bits, 7 to a byte
	s.Encode(w)
	n := len(w.Buf) - at - 4
	for i := range 3 {
		w.Buf[at+i] = byte(n>>(7*i))&0x7f | 0x80
	}
	w.Buf[at+3] = byte(n >> 21)
}

// decodeState reads a state that has to fill raw.
func decodeState(d *state.Reader, raw []byte, s detect.State) {
	r := state.Reader{Buf: raw}
	if s.Decode(&r); r.Err() != nil {
		d.Fail()
	}
}

// bits moves a bit for each of the snapshot's detectors to where it is now.
func (r *Runner) bits(b uint32) (out uint32) {
	for i, j := range r.from {
		if j >= 0 && b&(1<<i) != 0 {
			out |= 1 << j
		}
	}
	return out
}

func (r *Runner) inputs(list []input) (out []input) {
	for _, in := range list {
		if j := r.from[in.det]; j >= 0 {
			in.det = uint8(j)
			out = append(out, in)
		}
	}
	return out
}

func (r *Runner) parts(list []part) []part {
	out := make([]part, len(r.dets))
	for i, j := range r.from {
		if j >= 0 {
			out[j] = list[i]
		}
	}
	return out
}
