package runner

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

// input is how one detector's p-value came about: the model's own, and the
// calibration that was applied to it (n is negative where none was).
type input struct {
	det            uint8
	model          float64
	mass, n, scale float64
	sens           float64
}

// p is the p-value that enters the combination.
func (in input) p() float64 {
	if in.n < 0 {
		return in.model
	}
	p := baseline.Calibration{Mass: in.mass, N: in.n, Scale: in.scale}.P(in.model)
	if in.sens != 1 {
		p = baseline.ClampP(p / in.sens)
	}
	return p
}

// keep replaces the input of a detector.
func (w *win) keep(in input) {
	i := 0
	for i < len(w.inputs) && w.inputs[i].det < in.det {
		i++
	}
	if i == len(w.inputs) || w.inputs[i].det != in.det {
		w.inputs = append(w.inputs, input{})
		copy(w.inputs[i+1:], w.inputs[i:])
	}
	w.inputs[i] = in
}

func (w *win) input(det int) input {
	for _, in := range w.inputs {
		if int(in.det) == det {
			return in
		}
	}
	return input{det: uint8(det), model: w.det[det], n: -1, sens: 1}
}

func encodeInputs(w *state.Writer, list []input) {
	w.U64(uint64(len(list)))
	for _, in := range list {
		w.U64(uint64(in.det))
		w.F64s(in.model, in.mass, in.n, in.scale, in.sens)
	}
}

func decodeInputs(d *state.Reader, dets int) []input {
	var out []input
	for range d.Len(6) {
		det := d.U64()
		if det >= uint64(dets) {
			d.Fail()
			return nil
		}
		in := input{det: uint8(det)}
		d.F64s(&in.model, &in.mass, &in.n, &in.scale, &in.sens)
		out = append(out, in)
	}
	return out
}

func inputBytes(list []input) []byte {
	var w state.Writer
	encodeInputs(&w, list)
	return w.Buf
}

// MarshalJSON is the binary form, which keeps every bit.
func (in input) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%q", hex.EncodeToString(inputBytes([]input{in}))), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (in *input) UnmarshalJSON(b []byte) error {
	if len(b) < 2 {
		return state.ErrCorrupt
	}
	raw, err := hex.DecodeString(string(b[1 : len(b)-1]))
	if err != nil {
		return err
	}
	r := state.Reader{Buf: raw}
	list := decodeInputs(&r, 256)
	if r.Err() != nil || len(list) != 1 {
		return state.ErrCorrupt
	}
	*in = list[0]
	return nil
}

func (in input) kept(name string) alert.KeptInput {
	k := alert.KeptInput{Detector: name, Model: in.model, Mass: in.mass, N: in.n, Scale: in.scale, Sensitivity: in.sens}
	if in.sens == 1 {
		k.Sensitivity = 0
	}
	return k
}

func given(k alert.KeptInput) input {
	in := input{model: k.Model, mass: k.Mass, n: k.N, scale: k.Scale, sens: k.Sensitivity}
	if in.sens == 0 {
		in.sens = 1
	}
	return in
}

func (ep *episode) kept(r *Runner) *alert.Kept {
	k := &alert.Kept{Config: r.config, Critical: ep.critical, Grade: ep.grade}
	for _, in := range ep.inputs {
		k.Window = append(k.Window, in.kept(r.dets[in.det].Name()))
	}
	return k
}

func keptPart(d detect.Detector, p *part, cal [2]float64) alert.KeptPart {
	return alert.KeptPart{KeptInput: p.In.kept(d.Name()), Version: d.Version(), Basis: p.X.Basis, Cal: cal}
}

// baselineHash is the hash of the baselines an alert's number came from.
func baselineHash(k *alert.Kept, p float64) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", k.Config)
	var num [8]byte
	for _, x := range k.Parts {
		fmt.Fprintf(h, "%s %s ", x.Detector, x.Version)
		binary.LittleEndian.PutUint64(num[:], uint64(len(x.Basis)))
		h.Write(num[:])
		h.Write(x.Basis)
	}
	nums := []float64{p}
	for _, x := range k.Parts {
		nums = append(nums, x.Cal[0], x.Cal[1], given(x.KeptInput).p())
	}
	for _, v := range nums {
		binary.LittleEndian.PutUint64(num[:], math.Float64bits(v))
		h.Write(num[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// weigh turns the parts' weights of evidence into those of the contributions:
// what was confirmed outweighs what is odd.
func weigh(weights []float64, names []string, critical bool) {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	for i := range weights {
		if critical && names[i] == "failures" {
			weights[i] += float64(3 * sum)
		}
	}
}

// Replayed is what came out of computing an alert's number again.
type Replayed struct {
	Same         bool   // every number is the same to the last bit
	Note         string // why not
	Score        alert.Points
	Severity     alert.Severity
	PValue       float64
	BaselineHash string
	Detectors    []ReplayedPart // in the alert's order
}

// ReplayedPart is one detector's part of it.
type ReplayedPart struct {
	Name, Version string
	Model         float64 // the model's own p-value
	FromModel     bool    // it was computed again from its baseline, not taken as kept
	PValue        float64
	Contribution  int64
	Same          bool
}

// Replay computes an alert's p-values, score and contributions again from what
// was kept with it, and compares them with what it says. The table may be nil:
// then the models' own p-values are taken as kept.
func Replay(a *alert.Alert, table []detect.Detector) Replayed {
	k := a.Kept
	if k == nil {
		return Replayed{Note: "nothing was kept with this alert: it was raised by an earlier version"}
	}
	out := Replayed{Same: true}
	differs := func(format string, args ...any) {
		if out.Same {
			out.Note = fmt.Sprintf(format, args...)
		}
		out.Same = false
	}
	ps := make([]float64, 0, len(k.Window))
	for _, w := range k.Window {
		ps = append(ps, given(w).p())
	}
	out.PValue = math.Min(1, combined(ps))
	out.Score = scoreOf(out.PValue, k.Critical)
	out.Severity = severityOf(out.PValue, k.Grade, k.Critical)
	weights, names := make([]float64, len(k.Parts)), make([]string, len(k.Parts))
	for i, x := range k.Parts {
		p := ReplayedPart{Name: x.Detector, Version: x.Version, Model: x.Model}
		for _, d := range table {
			if m, ok := d.(detect.Replayer); ok && d.Name() == x.Detector && d.Version() == x.Version {
				if again, ok := m.Replay(x.Basis); ok {
					p.Model, p.FromModel = again, true
				}
			}
		}
		in := given(x.KeptInput)
		in.model = p.Model
		p.PValue = in.p()
		weights[i], names[i] = -baseline.Log(baseline.ClampP(p.PValue)), x.Detector
		out.Detectors = append(out.Detectors, p)
	}
	weigh(weights, names, k.Critical)
	for i, points := range baseline.Points(int64(out.Score), weights) {
		out.Detectors[i].Contribution = points
	}
	out.BaselineHash = baselineHash(k, out.PValue)
	if len(a.Detectors) != len(out.Detectors) {
		differs("the alert names %d detectors, %d were kept", len(a.Detectors), len(out.Detectors))
	}
	for i := range min(len(a.Detectors), len(out.Detectors)) {
		d, p := a.Detectors[i], &out.Detectors[i]
		p.Same = d.Name == p.Name && d.Version == p.Version && d.PValue == p.PValue && d.Contribution == p.Contribution
		if !p.Same {
			differs("%s: p-value %v and contribution %d, the alert says %v and %d", p.Name, p.PValue, p.Contribution, d.PValue, d.Contribution)
		}
	}
	switch {
	case out.PValue != a.PValue:
		differs("the p-value is %v, the alert says %v", out.PValue, a.PValue)
	case out.Score != a.Score:
		differs("the score is %d thousandths, the alert says %d", out.Score, a.Score)
	case out.Severity != a.Severity:
		differs("the severity is %s, the alert says %s", out.Severity, a.Severity)
	case out.BaselineHash != a.BaselineHash:
		differs("the hash of the baselines is %s, the alert says %s", out.BaselineHash, a.BaselineHash)
	}
	return out
}
