package offline

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"testing"
	"time"
)

// nabFile is one series of the Numenta Anomaly Benchmark.
type nabFile struct {
	name    string
	raw     []byte
	times   []time.Time
	values  []float64
	windows [][2]int // first and last row
}

const nabDir = "../../../shared/data/nab"

func loadNAB(t testing.TB) []nabFile {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(nabDir, "labels/windows.json"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("no development data here: %v", err)
	}
	var labels map[string][][2]string
	if err := json.Unmarshal(b, &labels); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range labels {
		names = append(names, name)
	}
	sort.Strings(names)
	var out []nabFile
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(nabDir, "data", name))
		if err != nil {
			t.Fatal(err)
		}
		f := nabFile{name: name, raw: raw}
		rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		at := map[time.Time]int{}
		for i, row := range rows[1:] {
			ts, err := time.Parse("2006-01-02 15:04:05", row[0])
			if err != nil {
				t.Fatal(err)
			}
			v, err := strconv.ParseFloat(row[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			f.times, f.values = append(f.times, ts), append(f.values, v)
			if _, ok := at[ts]; !ok { // a window maps to the first row with its time
				at[ts] = i
			}
		}
		for _, w := range labels[name] {
			var lr [2]int
			for k := range w {
				ts, err := time.Parse("2006-01-02 15:04:05.000000", w[k])
				if err != nil {
					t.Fatal(err)
				}
				i, ok := at[ts]
				if !ok {
					t.Fatalf("%s: window %v is on no row", name, w)
				}
				lr[k] = i
			}
			f.windows = append(f.windows, lr)
		}
		out = append(out, f)
	}
	return out
}

type profile struct{ tp, fp, fn float64 }

var standard, lowFP, lowFN = profile{1, 0.11, 1}, profile{1, 0.22, 1}, profile{1, 0.11, 2}

func sigma(x float64) float64 {
	if x > 3 {
		return -1
	}
	return 2/(1+math.Exp(5*x)) - 1
}

// nabScore is the benchmark's score of one score a row and file, at the best
// threshold of all, computed by walking the rows from the highest score down.
func nabScore(files []nabFile, scores [][]float64, p profile) (best, threshold float64) {
	type row struct {
		s    float64
		f, i int
	}
	var rows []row
	windows := 0
	worth := make([][]float64, len(files)) // what a detection in the row is worth
	inside := make([][]int, len(files))    // window index or -1
	got := make([][]float64, len(files))   // best by window so far
	for fi, f := range files {
		windows += len(f.windows)
		n := len(f.values)
		probation := min(int(0.15*float64(n)), 750)
		worth[fi], inside[fi] = make([]float64, n), make([]int, n)
		got[fi] = make([]float64, len(f.windows))
		for k := range got[fi] {
			got[fi][k] = -p.fn
		}
		for i := range n {
			inside[fi][i] = -1
			last := -1
			for k, w := range f.windows {
				if i >= w[0] && i <= w[1] {
					inside[fi][i] = k
				}
				if w[1] < i {
					last = k
				}
			}
			switch k := inside[fi][i]; {
			case k >= 0:
				w := f.windows[k]
				worth[fi][i] = sigma(-float64(w[1]-i+1)/float64(w[1]-w[0]+1)) * p.tp / sigma(-1)
			case last >= 0:
				w := f.windows[last]
				worth[fi][i] = sigma(float64(i-w[1])/float64(w[1]-w[0])) * p.fp
			default:
				worth[fi][i] = -p.fp
			}
			if i >= probation {
				rows = append(rows, row{scores[fi][i], fi, i})
			}
		}
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].s > rows[j].s })
	null, perfect := -p.fn*float64(windows), p.tp*float64(windows)
	raw := null
	best, threshold = 0, math.Inf(1) // nothing detected
	for i, r := range rows {
		if k := inside[r.f][r.i]; k >= 0 {
			if v := worth[r.f][r.i]; v > got[r.f][k] {
				raw += v - got[r.f][k]
				got[r.f][k] = v
			}
		} else {
			raw += worth[r.f][r.i]
		}
		if i+1 < len(rows) && rows[i+1].s == r.s {
			continue
		}
		if s := 100 * (raw - null) / (perfect - null); s > best {
			best, threshold = s, r.s
		}
	}
	return best, threshold
}

// windowedGaussian is the trivial detector to beat: the tail probability of a
// value under the mean and deviation of the last 6,400 rows.
func windowedGaussian(f nabFile) []float64 {
	out := make([]float64, len(f.values))
	var sum, sq float64
	var n int
	for i, v := range f.values {
		if n > 1 {
			m := sum / float64(n)
			sd := math.Sqrt(math.Max(1e-12, sq/float64(n)-m*m))
			out[i] = 1 - math.Erfc(math.Abs(v-m)/sd/math.Sqrt2)
		}
		sum, sq, n = sum+v, sq+v*v, n+1
	}
	return out
}
