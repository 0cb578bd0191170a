package failures

import (
	"math"

	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
)

// turn learns the day that is over.
func (e *entity) turn(s *detect.Scope) {
	day := s.Hour / 24
	if e.dayAt == 0 {
		e.dayAt = day
	}
	if day <= e.dayAt {
		return
	}
	if e.day.fail > 0 {
		for _, p := range s.Pools {
			p := p.(*pool)
			weight := 1.0
			if e.day.p == flaggedDay {
				weight = 0.25
			}
			p.daily.Learn(math.Min(e.day.fail, e.day.cap()), weight)
			p.dailyFan.Learn(e.day.others.Count(), weight)
		}
	}
	e.day = window{}
	e.dayAt = day
}

// flaggedDay marks a day one of whose hours raised an alert: it is learnt
// with less weight.
const flaggedDay = -1

func (w *window) cap() float64 {
	if w.p == flaggedDay {
		return 12
	}
	return math.Inf(1)
}

// empty reports whether there was no sign-in: then all else is zero too.
func (w *window) empty() bool { return w.fail == 0 && w.ok == 0 }

// Shift makes the newest window the one before.
func (Detector) Shift(st detect.State) {
	e := st.(*entity)
	if e.win[0].empty() && e.win[1].empty() {
		return
	}
	e.win[1], e.win[0] = e.win[0], window{}
}

// Close learns the window that is over.
func (Detector) Close(s *detect.Scope) {
	e := s.State.(*entity)
	if e.win[1].empty() {
		return
	}
	w := e.win[1]
	e.win[1] = window{}
	if w.p != 0 && w.p <= burst && s.Role != detect.Tenant {
		e.struck, e.struckP, e.struckAt = w.targets, w.p, s.Hour
	}
	own := tenantPool(s)
	pr := own.prior()
	if e.since == 0 {
		e.since = s.Hour
	}
	quiet := float64(max(0, s.Hour-e.since))
	if quiet > 0 {
		f := baseline.Exp(-quiet / memory)
		e.rate.Decay(f)
		e.fails *= f
		e.oks *= f
		e.rate.Exposure += math.Min(quiet, memory)
	}
	n, weight := w.fail, 1.0
	if s.Flagged {
		n = math.Min(n, math.Max(1, e.rate.Predict(pr, 1).Quantile(0.99)))
		weight = 0.25
		e.day.p = flaggedDay
	}
	for _, p := range s.Pools {
		p := p.(*pool)
		p.turn(s.Hour / 24)
		if n > 0 {
			p.failing += weight
			if w.mfa > w.fail/2 {
				p.second += weight
			}
			p.hour.Learn(n, weight)
			p.hourFan.Learn(math.Min(w.others.Count(), n), weight)
		}
		p.rate.Learn(n, 1, p.prior())
		p.rate.Exposure += math.Min(23, quiet)
		p.fails += n
		p.oks += w.ok
	}
	e.rate.Learn(n, 1, pr)
	e.fails += n
	e.oks += w.ok
	e.since = s.Hour + 1
	e.push(s.Hour, w.fail)
}

func (p *pool) turn(day int64) {
	if p.day != 0 && day > p.day {
		f := baseline.Exp(-float64(day-p.day) / poolDays)
		for _, q := range []*baseline.Population{&p.hour, &p.hourFan, &p.daily, &p.dailyFan} {
			q.Decay(f)
		}
		p.rate.Decay(f)
		p.fails *= f
		p.oks *= f
		p.failing *= f
		p.second *= f
		for _, m := range []map[uint64]int64{p.accounts, p.pairs} {
			for h, d := range m {
				if day-d > 90 {
					delete(m, h)
				}
			}
		}
	}
	p.day = max(p.day, day)
}

func (p *pool) knows(account string) bool {
	_, ok := p.accounts[baseline.Hash(account)]
	return ok
}

func pairKey(account, address string) uint64 {
	return baseline.Hash(address) ^ baseline.Hash(account)*0x9E3779B97F4A7C15
}

// paired reports whether the account has signed in from the address before.
func (p *pool) paired(account, address string) bool {
	_, ok := p.pairs[pairKey(account, address)]
	return ok
}

// remember notes that an account signed in from an address.
func (p *pool) remember(account, address string, day int64) {
	note := func(m map[uint64]int64, k uint64) {
		if d, ok := m[k]; ok || len(m) < maxKnown {
			m[k] = max(day, d)
		}
	}
	note(p.accounts, baseline.Hash(account))
	note(p.pairs, pairKey(account, address))
}

func at(hour int64) int { return int((hour%ring + ring) % ring) }

func (e *entity) push(hour int64, n float64) {
	if hour-e.ringEnd >= ring {
		e.ring = [ring]float64{}
		e.ringEnd = hour
	}
	for e.ringEnd < hour {
		e.ringEnd++
		e.ring[at(e.ringEnd)] = 0
	}
	if e.ringEnd-hour < ring {
		e.ring[at(hour)] = n
	}
}
