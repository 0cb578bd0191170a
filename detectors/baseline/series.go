package baseline

import "math"

// Series scores a numeric time series, one value at a time, from the past
// only: one pass, constant memory, no training and no knowledge of the range.
//
// Each value is looked at in seven ways: the error of the forecaster that has
// been best so far (last value, two moving averages, level, time of day, time
// of day shifted by today's level), three moving averages against the level
// (the level moved), and the restlessness of three horizons against the usual
// one (the variance changed, up or down; a flat line is one). Each statistic
// is turned into a tail probability by its rank among its own past, continued
// beyond it as a power law; half the mean of their -ln p, which rewards
// agreement, and half the Cauchy combination, which rewards the one strong
// witness, make the evidence. Three members with other horizons vote, since no
// single horizon is right for all series.
//
// What is reported is the rise of the evidence over its own running mean and
// over what was reported shortly before: one oddity is reported once, and
// again only when it grows.
//
// The zero value is ready.
type Series struct {
	members [3]member
	made    bool
	n       int
	mean    float64 // running mean of the evidence
	peak    float64 // the last report
	peakAt  int
}

const (
	seriesWarm   = 30     // values before the first score
	seriesHold   = 200    // values over which a report is forgotten
	seriesMean   = 0.01   // weight of the newest evidence in its mean
	seriesSoft   = 5      // evidence that scores 0.5
	seriesTail   = 4      // exponent of the power law beyond what was seen
	seriesPseudo = 0.1    // windows of belief that anything may happen
	seriesFloor  = 0.02   // differences below this part of the level are noise
	seriesTiny   = 1e-9   // the same at a level of 0
	seriesLimit  = 1e100  // larger values are cut
	seriesSlot   = 300    // seconds: a time of day
	seriesDay    = 86_400 // seconds
)

// Score is the score in [0,1) of value v at t (Unix seconds; only the time of
// day is used, so irregular, repeated and unsorted times are fine). A value
// that is no number scores 0 and is not learnt.
func (s *Series) Score(t int64, v float64) float64 {
	if v != v {
		return 0
	}
	if !s.made {
		s.made = true
		s.members[0] = member{weight: 0.005, calm: 2}
		s.members[1] = member{weight: 0.005, calm: 4}
		s.members[2] = member{weight: 0.003, calm: 2}
	}
	v = math.Max(-seriesLimit, math.Min(seriesLimit, v))
	slot := int(((t%seriesDay)+seriesDay)%seriesDay) / seriesSlot
	x := 0.0
	for i := range s.members {
		e, self := s.members[i].take(slot, v)
		x += e
		if i == 0 {
			x += self
		}
	}
	x /= float64(len(s.members) + 1)
	s.n++
	rise := math.Max(0, x-s.mean)
	s.mean += float64(seriesMean * (x - s.mean))
	held := float64(s.peak * math.Max(0, 1-float64(s.n-s.peakAt)/seriesHold))
	if rise <= held {
		return 0
	}
	out := rise - held
	s.peak, s.peakAt = rise, s.n
	return out / (out + seriesSoft)
}

// horizons are the weights of the newest value in the moving averages.
var horizons = [3]float64{0.3, 0.1, 0.03}

// member is one opinion.
type member struct {
	weight float64 // of the newest value in level and scale
	calm   float64 // how much longer the restlessness looks back than the averages

	n     int
	last  float64
	fast  [3]float64
	level float64
	slots [seriesDay / seriesSlot]float64
	seen  [seriesDay / seriesSlot]float64
	shift float64 // how far today is from the usual day
	errs  [6]float64
	scale float64
	rest  [3]float64 // mean absolute step by horizon
	usual float64    // the same over the long run
	past  [7]ranks
	self  ranks
}

// take learns a value and returns its evidence, and the evidence's own rank as
// evidence, so that a series that is odd all the time counts for less.
func (m *member) take(slot int, v float64) (evidence, self float64) {
	if m.n == 0 {
		m.n, m.last, m.level = 1, v, v
		m.fast = [3]float64{v, v, v}
		m.slots[slot], m.seen[slot] = v, 1
		return 0, 0
	}
	daily := m.level
	if m.seen[slot] > 0 {
		daily = m.slots[slot]
	}
	forecasts := [6]float64{m.last, m.fast[0], m.fast[1], m.level, daily, daily + m.shift}
	best := 0
	for i := range forecasts {
		if m.errs[i] < m.errs[best] {
			best = i
		}
	}
	miss := math.Abs(v - forecasts[best])
	floor := seriesTiny + float64(seriesFloor*math.Abs(m.level))
	var z [7]float64
	z[0] = miss / (m.scale + floor)
	for i := range m.fast {
		z[1+i] = math.Abs(m.fast[i]-m.level) / (m.scale + floor)
		q := (m.rest[i] + floor) / (m.usual + floor)
		z[4+i] = math.Max(q, 1/q)
	}
	if m.n > seriesWarm {
		var ps [7]float64
		sum := 0.0
		for i := range z {
			ps[i] = m.past[i].tail(z[i])
			sum -= Log(ps[i])
		}
		evidence = float64(0.5*sum)/float64(len(z)) - float64(0.5*Log(Cauchy(ps[:])))
		self = -Log(m.self.tail(evidence))
		m.self.learn(evidence)
	}
	for i := range z {
		m.past[i].learn(z[i])
	}
	m.learn(slot, v, daily, miss, &forecasts)
	return evidence, self
}

func (m *member) learn(slot int, v, daily, miss float64, forecasts *[6]float64) {
	start := 1 / float64(m.n) // the first values count evenly
	w := math.Max(m.weight, start)
	for i, f := range forecasts {
		m.errs[i] += float64(w * (math.Abs(v-f) - m.errs[i]))
	}
	m.scale += float64(w * (miss - m.scale))
	step := math.Abs(v - m.last)
	for i, h := range horizons {
		m.rest[i] += float64(math.Max(h/m.calm, start) * (step - m.rest[i]))
		m.fast[i] += float64(math.Max(h, start) * (v - m.fast[i]))
	}
	m.usual += float64(w * (step - m.usual))
	m.shift += float64(math.Max(0.1, start) * (v - daily - m.shift))
	m.level += float64(w * (v - m.level))
	m.seen[slot]++
	m.slots[slot] += float64(math.Max(0.3, 1/m.seen[slot]) * (v - m.slots[slot]))
	m.last = v
	m.n++
}

// ranks is the past of a statistic in quarter-octave bins from 2^-8 to 2^24.
type ranks struct {
	n    float64
	bins [128]float64
	top  int // the highest bin in use
}

// stepTail is how far the power law falls over one bin.
var stepTail = Exp(-seriesTail / 4.0 * math.Ln2)

func place(z float64) (int, float64) {
	if !(z >= 1.0/256) {
		return 0, 0
	}
	x := 4 * (Log(z)/math.Ln2 + 8)
	if x >= 127 {
		return 127, 0
	}
	b := math.Floor(x)
	return int(b), x - b
}

// tail is the share of the past at or above z, or what the power law through
// any lower level leaves at z, whichever is larger.
func (r *ranks) tail(z float64) float64 {
	b, frac := place(z)
	above := 0.0
	for i := r.top; i >= b; i-- {
		above += r.bins[i]
	}
	most := above
	if r.top > b || most < 1 || frac > 0 {
		fall := Exp(-seriesTail / 4.0 * math.Ln2 * frac)
		for i := b - 1; i >= 0 && fall*(r.n+1) > most; i-- {
			above += r.bins[i]
			fall *= stepTail
			if v := above * fall; r.bins[i] > 0 && v > most {
				most = v
			}
		}
	}
	return math.Min(1, (most+seriesPseudo)/(r.n+1))
}

func (r *ranks) learn(z float64) {
	b, _ := place(z)
	r.bins[b]++
	r.n++
	r.top = max(r.top, b)
}
