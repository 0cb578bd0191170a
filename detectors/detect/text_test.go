package detect_test

import (
	"testing"

	"github.com/tenantwatch/tenantwatch/detectors/detect"
)

func TestNumbersReadAsPeopleWriteThem(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 479713: "479,713", 1234567: "1,234,567", -1500: "-1,500", 12.34: "12.3", 1500.4: "1,500", 0.054: "0.054", 0.001: "less than 0.01"} {
		if got := detect.Num(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
	for p, want := range map[float64]string{0.0775: "7.8 %", 1.0 / 479713: "1 in 479,713", 0.5: "50 %", 1: "100 %", 0.999: "100 %", 1e-300: "less than 1 in 1,000,000,000,000,000"} {
		if got := detect.Chance(p); got != want {
			t.Errorf("%v is %q, want %q", p, got, want)
		}
	}
}
