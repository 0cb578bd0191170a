package peers

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

type names struct{}

func (names) Name(uint64) string      { return "?" }
func (names) Remember(uint64, string) {}

// person draws from a habit of its own.
type person struct {
	st   detect.State
	home int
	rng  *rand.Rand
}

func (p *person) day(hour int64, as *person, pool detect.State) float64 {
	least := 1.0
	for i := range 20 {
		e := event.Event{Actor: "x", Action: fmt.Sprint("act", as.home%3, as.rng.IntN(3)), Resource: fmt.Sprint("file/", as.home*7+as.rng.IntN(9)),
			SrcIP: fmt.Sprintf("10.%d.0.1", as.home), ASN: uint32(100 + as.home), UserAgent: fmt.Sprint("client", as.home), Count: 1}
		s := detect.Scope{Event: &e, Entity: alert.Entity{Type: alert.User, ID: "x"}, Hour: hour + int64(i/4), State: p.st, Pools: []detect.State{pool}, Common: pool, Names: names{}}
		least = min(least, Detector{}.Observe(&s).P)
	}
	p.st.(*entity).win = [2]float64{} // the hours are closed
	return least
}

// Over days on which everybody is himself at most a share u of the days has a
// p of u; on days on which people exchange their lives nearly all do (the
// control: the bound is not kept by never speaking).
func TestDominatedByUniform(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pool := Detector{}.NewPool(detect.Actor)
	var ps []*person
	for i := range 20 {
		ps = append(ps, &person{st: Detector{}.NewState(detect.Actor), home: i, rng: rng})
	}
	n, low := 0.0, 0.0
	for d := range int64(60) {
		for _, p := range ps {
			v := p.day((20000+d)*24+8, p, pool)
			if d >= 10 {
				n++
				if v <= 0.01 {
					low++
				}
			}
		}
	}
	// 1,000 days at 1 in 100: more than 25 has a chance below 1 in 10,000.
	if low > 25*n/1000 {
		t.Errorf("%.0f of %.0f ordinary days have p <= 0.01", low, n)
	}
	swapped := 0
	for i, p := range ps {
		if p.day(20060*24+8, ps[(i+1)%len(ps)], pool) <= 0.01 {
			swapped++
		}
	}
	if swapped < 18 {
		t.Errorf("only %d of 20 people who lived another's day were noticed", swapped)
	}
	// What is encoded decodes to the same bytes.
	for _, st := range []detect.State{ps[3].st, pool} {
		var a, b state.Writer
		st.Encode(&a)
		c := Detector{}.NewState(detect.Actor)
		if st == pool {
			c = Detector{}.NewPool(detect.Actor)
		}
		r := &state.Reader{Buf: a.Buf}
		c.Decode(r)
		c.Encode(&b)
		if r.Err() != nil || string(a.Buf) != string(b.Buf) {
			t.Errorf("%T does not survive: %v", st, r.Err())
		}
	}
}
