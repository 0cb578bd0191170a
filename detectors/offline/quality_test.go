//go:build quality

package offline

import (
	"fmt"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
)

// TestQualityNAB prints the benchmark's three profiles for the whole of the
// files and for each half of them (the threshold is the best on the half), so
// that a setting which only fits some files is seen.
func TestQualityNAB(t *testing.T) {
	files := loadNAB(t)
	began := time.Now()
	ours, plain, rows := make([][]float64, len(files)), make([][]float64, len(files)), 0
	for i, f := range files {
		var s baseline.Series
		for k, v := range f.values {
			ours[i] = append(ours[i], s.Score(f.times[k].Unix(), v))
		}
		rows += len(f.values)
	}
	spent := time.Since(began)
	for i, f := range files {
		plain[i] = windowedGaussian(f)
	}
	half := func(s [][]float64, rest int) (fs []nabFile, out [][]float64) {
		for i := range files {
			if i%2 == rest {
				fs, out = append(fs, files[i]), append(out, s[i])
			}
		}
		return fs, out
	}
	fmt.Printf("\nNAB: %d series, %d rows, %.2f µs a row\n", len(files), rows, spent.Seconds()*1e6/float64(rows))
	fmt.Printf("  %-20s %10s %10s %10s %12s %12s\n", "", "standard", "low-FP", "low-FN", "even files", "odd files")
	for _, m := range []struct {
		name string
		s    [][]float64
	}{{"tenantwatch", ours}, {"windowed Gaussian", plain}} {
		var v [5]float64
		for i, p := range []profile{standard, lowFP, lowFN} {
			v[i], _ = nabScore(files, m.s, p)
		}
		for rest := range 2 {
			fs, s := half(m.s, rest)
			v[3+rest], _ = nabScore(fs, s, standard)
		}
		fmt.Printf("  %-20s %10.1f %10.1f %10.1f %12.1f %12.1f\n", m.name, v[0], v[1], v[2], v[3], v[4])
	}
	fmt.Printf("  %-20s %10.1f\n  %-20s %10.1f\n", "(Numenta HTM)", 73.6, "(Random Cut Forest)", 56.7)
	if s, _ := nabScore(files, ours, standard); s <= 56.7 {
		t.Errorf("standard profile %.1f, the first bar is 56.7", s)
	}
}
