package travel

import (
	"math"
	"testing"
)

// Distances between cities, against published great-circle ones.
func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b place
		km   float64
	}{
		{place{lat: 52.52, lon: 13.40}, place{lat: 40.71, lon: -74.01}, 6385},
		{place{lat: -33.87, lon: 151.21}, place{lat: 51.51, lon: -0.13}, 16994},
		{place{lat: 0, lon: 179}, place{lat: 0, lon: -179}, 222.4},
		{place{lat: 90, lon: 0}, place{lat: -90, lon: 50}, math.Pi * earth},
		{place{lat: 10, lon: 20}, place{lat: 10, lon: 20}, 0},
	} {
		if got := distance(c.a, c.b); math.Abs(got-c.km) > 0.002*c.km+0.01 {
			t.Errorf("%v to %v is %.1f km, want %.1f", c.a, c.b, got, c.km)
		}
	}
}
