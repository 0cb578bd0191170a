package offline

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func scored(t testing.TB, in string) ([]string, []float64) {
	t.Helper()
	var b bytes.Buffer
	if _, err := ScoreSeries(strings.NewReader(in), &b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if lines[0] != "timestamp,value,score" {
		t.Fatalf("header %q", lines[0])
	}
	var scores []float64
	for _, l := range lines[1:] {
		f, err := strconv.ParseFloat(l[strings.LastIndex(l, ",")+1:], 64)
		if err != nil || f < 0 || f > 1 {
			t.Fatalf("line %q: score %v, %v", l, f, err)
		}
		scores = append(scores, f)
	}
	return lines[1:], scores
}

// TestNAB holds the one fixed configuration to the benchmark, read and written
// as the command does.
func TestNAB(t *testing.T) {
	files := loadNAB(t)
	var ours, trivial [][]float64
	for _, f := range files {
		_, s := scored(t, string(f.raw))
		ours, trivial = append(ours, s), append(trivial, windowedGaussian(f))
	}
	show := func(name string, p profile) (float64, float64) {
		o, _ := nabScore(files, ours, p)
		w, _ := nabScore(files, trivial, p)
		t.Logf("NAB %-8s ours %.1f, windowed Gaussian %.1f", name, o, w)
		return o, w
	}
	o, w := show("standard", standard)
	show("low-FP", lowFP)
	show("low-FN", lowFN)
	if o <= 56.7 || o <= w {
		t.Errorf("standard profile %.1f: want more than 56.7 (Random Cut Forest) and than %.1f", o, w)
	}
}

// The scorer itself: nothing detected is 0, the first row of every window
// alone is 100 or a little more than the published maximum allows, and a false
// alarm costs.
func TestNABScorer(t *testing.T) {
	f := nabFile{values: make([]float64, 1000), windows: [][2]int{{400, 499}}}
	at := func(rows ...int) float64 {
		s := make([]float64, 1000)
		for _, r := range rows {
			s[r] = 1
		}
		v, _ := nabScore([]nabFile{f}, [][]float64{s}, standard)
		return v
	}
	if v := at(400); math.Abs(v-100) > 0.1 {
		t.Errorf("the first row scores %v", v)
	}
	if v := at(); v != 0 {
		t.Errorf("nothing scores %v", v)
	}
	if v := at(10, 400); math.Abs(v-100) > 0.1 {
		t.Errorf("a row on probation must not count: %v", v)
	}
	// Before any window a false alarm costs 0.11 of the span 2.
	if v := at(300, 400); math.Abs(v-(100-100*0.11/2)) > 0.1 {
		t.Errorf("with a false alarm %v", v)
	}
	if late, early := at(499), at(420); late >= early {
		t.Errorf("late %v, early %v", late, early)
	}
}

func TestSeriesRows(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		got, _ := scored(t, in)
		for i := range got {
			got[i] = got[i][:strings.LastIndex(got[i], ",")]
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	f("timestamp,value\n2014-04-01 00:00:00,20.0\n", "2014-04-01 00:00:00,20.0") // echoed, not reformatted
	f("1,2\n1,3\n0,4", "1,2", "1,3", "0,4")                                      // no header, repeated and unsorted times, no newline
	f("a,1e400\nb,\nc,NaN\n", "a,1e400", "b,", "c,NaN")                          // not finite
	f("\ufefft,v\r\n1,5\r\n\r\n2,6,extra\r\n", "1,5", "2,6")                     // spreadsheet habits
	f("")
	bad := func(in, want string) {
		t.Helper()
		var b bytes.Buffer
		if _, err := ScoreSeries(strings.NewReader(in), &b); err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%q: %v, want %q", in, err, want)
		}
	}
	bad("t,v\n1,2\n2,x\n", "line 3")
	bad("t,v\n1,2\nnothing\n", "line 3")
}

// No look-ahead: the scores of a prefix are the prefix of the scores.
func TestSeriesHasNoLookAhead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for i := range 600 {
		v := 10 + 3*math.Sin(float64(i)/20) + r.NormFloat64()
		if i >= 400 && i < 410 {
			v += 40
		}
		b.WriteString(strconv.Itoa(i*300) + "," + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
	}
	all, scores := scored(t, b.String())
	lines := strings.SplitAfter(b.String(), "\n")
	part, _ := scored(t, strings.Join(lines[:450], ""))
	for i := range part {
		if part[i] != all[i] {
			t.Fatalf("row %d: %s, with a future %s", i, part[i], all[i])
		}
	}
	top := 0
	for i, s := range scores {
		if i >= 100 && s > scores[top] {
			top = i
		}
	}
	if top < 400 || top > 402 {
		t.Errorf("the jump at 400 is not the highest score, row %d is", top)
	}
}

func BenchmarkSeries(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var in bytes.Buffer
	for i := range b.N {
		in.WriteString(strconv.Itoa(i*300) + "," + strconv.FormatFloat(10+r.NormFloat64(), 'g', 6, 64) + "\n")
	}
	b.ResetTimer()
	if _, err := ScoreSeries(&in, &bytes.Buffer{}); err != nil {
		b.Fatal(err)
	}
}
