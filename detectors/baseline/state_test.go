package baseline

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenantwatch/tenantwatch/detectors/state"
)

type coder interface {
	Encode(*state.Writer)
	Decode(*state.Reader)
}

func roundTrip(t interface{ Fatalf(string, ...any) }, v, empty coder) {
	var w state.Writer
	v.Encode(&w)
	r := state.Reader{Buf: w.Buf}
	empty.Decode(&r)
	if r.Err() != nil || len(r.Buf) != 0 {
		t.Fatalf("%T: %v, %d bytes left", v, r.Err(), len(r.Buf))
	}
	var again state.Writer
	empty.Encode(&again)
	if !bytes.Equal(w.Buf, again.Buf) {
		t.Fatalf("%T is not what it was", v)
	}
	for cut := range len(w.Buf) { // never a panic
		r := state.Reader{Buf: w.Buf[:cut]}
		reflect.New(reflect.TypeOf(v).Elem()).Interface().(coder).Decode(&r)
		if r.Err() == nil {
			t.Fatalf("%T: %d of %d bytes are taken for the whole", v, cut, len(w.Buf))
		}
	}
}

func TestStatesSurviveEncoding(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var (
			cr  CountRate
			pop Population
			wk  Week
			day Day
			cal Calibrator
			bud Budget
			fan Fan
			pal Palette
			tab Table
		)
		for i, n := range rapid.SliceOfN(rapid.IntRange(0, 5000), 0, 40).Draw(rt, "counts") {
			v := float64(n)
			cr.Learn(v, 1.5, CountPrior{1, 0.5, 1, 5})
			cr.Decay(0.99)
			pop.Learn(v, 0.25)
			wk.Pass(n % WeekHours)
			wk.Learn(n%WeekHours, v)
			day.Pass(n % WeekHours)
			day.Learn(n%WeekHours, v)
			cal.Learn(1/(1+v), n%3 == 0)
			bud.Test()
			bud.EndDay(5, int64(n%3))
			fan.Add(Hash(string(rune(n))))
			pal.Learn(uint64(n%50), int32(i))
			tab.Learn(uint64(n % 50))
			tab.Decay(0.97)
		}
		roundTrip(rt, &cr, &CountRate{})
		roundTrip(rt, &pop, &Population{})
		roundTrip(rt, &wk, &Week{})
		roundTrip(rt, &day, &Day{})
		roundTrip(rt, &cal, &Calibrator{})
		roundTrip(rt, &bud, &Budget{})
		roundTrip(rt, &fan, &Fan{})
		roundTrip(rt, &pal, &Palette{})
		roundTrip(rt, &tab, &Table{})
	})
}

// Learning one by one under forgetting is the weighted sum at once.
func TestIncrementalIsBatch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ns := rapid.SliceOfN(rapid.Float64Range(0, 100), 1, 30).Draw(rt, "counts")
		const f = 0.9
		var r CountRate
		for _, n := range ns {
			r.Decay(f)
			r.Learn(n, 1, CountPrior{1, 0.5, 1, 5})
		}
		count, exposure := 0.0, 0.0
		for i, n := range ns {
			w := Pow(f, float64(len(ns)-1-i))
			count += w * n
			exposure += w
		}
		if d := r.Count - count; d > 1e-9*(1+count) || d < -1e-9*(1+count) {
			rt.Fatalf("count %v, at once %v", r.Count, count)
		}
		if d := r.Exposure - exposure; d > 1e-9 || d < -1e-9 {
			rt.Fatalf("exposure %v, at once %v", r.Exposure, exposure)
		}
	})
}

// A shape follows what happens, is 1 where nothing is known, and an hour that
// has not come by yet is an average one.
func TestSeasons(t *testing.T) {
	var w Week
	if w.Shape(50) != 1 {
		t.Fatal("an empty week is not flat")
	}
	for h := range 120 { // Monday to Friday, at work from 9 to 17
		w.Pass(h)
		if d := h % 24; d >= 9 && d < 17 {
			w.Learn(h, 10)
		}
	}
	if work, night := w.Shape(36), w.Shape(27); work < 1.5 || night > 0.7 {
		t.Fatalf("noon %v, night %v", work, night)
	}
	if s := w.Shape(140); s != 1 {
		t.Fatalf("Saturday has not come yet, its shape is %v", s)
	}
	var d Day
	if d.Shape(12, 2, 0.7) != 0.7 {
		t.Fatal("an empty day is not its week's")
	}
	for range 20 {
		for h := range 24 {
			d.Pass(h)
		}
		d.Learn(2, 500) // a batch night
	}
	if at, off := d.Shape(2, 2, 1), d.Shape(14, 2, 1); at < 5 || off > 0.2 {
		t.Fatalf("the batch's hour %v, noon %v", at, off)
	}
}
