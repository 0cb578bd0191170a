// Package simulate writes labelled multi-tenant access logs: companies with
// working hours in their own time zone, weekends, holidays, trips, new
// starters, leavers, service accounts and release-day bursts, and attacks
// among them with a truth record each.
//
// It is deliberately unkind: people differ by log-normal rates, downloads are
// heavy-tailed, phones change networks, passwords are mistyped. The generator
// shares no code and no model with the detectors that are judged on it.
// Invariant: the same Options give the same events in the same order, and
// event times never decrease. The package does no I/O and reads no clock.
package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Options says what to simulate. The zero value of a field means its default.
type Options struct {
	Seed     uint64        // any; the same seed gives the same traffic
	Tenants  int           // companies; default 4
	Names    []string      // their ids; default acme, globex, … then tenant-05 …
	Users    int           // median users a company; default 40
	Start    time.Time     // first event time; required
	Duration time.Duration // how long in event time; default 7 days
	Attacks  []string      // kinds, see Kinds; nil means all of them
	// AttacksPerWeek is the mean number of attacks a tenant suffers a week;
	// default 3, negative means none at all.
	AttacksPerWeek float64
	// Scheduled attacks happen at exactly these times besides the random ones.
	Scheduled []Scheduled
}

// Scheduled is one attack at a chosen time.
type Scheduled struct {
	Kind   string
	Tenant int // index, 0-based
	At     time.Time
}

// Truth says what an attack was, so that a detector can be judged.
type Truth struct {
	ID        string    `json:"id"`
	Tenant    string    `json:"tenant"`
	Kind      string    `json:"kind"`
	Technique []string  `json:"technique"`
	Start     time.Time `json:"start"`
	End       time.Time `json:"end"`
	Entities  []Entity  `json:"entities"`
	Events    int       `json:"events"`
	EventIDs  []string  `json:"event_ids"` // at most the first 1,000
	Succeeded bool      `json:"succeeded"`
}

// Entity names a thing involved in an attack.
type Entity struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

var defaultNames = []string{"acme", "globex", "initech", "umbrella-health", "stark-pay", "wayne-retail"}

func (o *Options) tenantID(i int) string {
	if i < len(o.Names) {
		return o.Names[i]
	}
	if len(o.Names) == 0 && i < len(defaultNames) {
		return defaultNames[i]
	}
	return fmt.Sprintf("tenant-%02d", i+1)
}

func (o *Options) validate() error {
	if o.Start.IsZero() {
		return fmt.Errorf("simulate: no start time given")
	}
	if o.Tenants == 0 {
		o.Tenants = 4
	}
	if o.Users == 0 {
		o.Users = 40
	}
	if o.Duration == 0 {
		o.Duration = 7 * 24 * time.Hour
	}
	if o.AttacksPerWeek == 0 {
		o.AttacksPerWeek = 3
	}
	if o.Tenants < 0 || o.Users < 0 || o.Duration < 0 {
		return fmt.Errorf("simulate: tenants, users and duration must be positive")
	}
	if o.Attacks == nil {
		o.Attacks = Kinds()
	}
	for _, k := range o.Attacks {
		if attacks[k].run == nil {
			return fmt.Errorf("simulate: no attack is called %q: known are %v", k, Kinds())
		}
	}
	for _, s := range o.Scheduled {
		if attacks[s.Kind].run == nil || s.Tenant < 0 || s.Tenant >= o.Tenants {
			return fmt.Errorf("simulate: scheduled attack %q on tenant %d does not exist", s.Kind, s.Tenant)
		}
	}
	for i := range o.Tenants {
		if _, err := tenant.Parse(o.tenantID(i)); err != nil {
			return fmt.Errorf("simulate: %w", err)
		}
	}
	return nil
}

// Run calls emit for each event in the order of time, and truth for each
// attack before its first event is emitted. An error of either stops it.
func Run(opts Options, emit func(*event.Event) error, truth func(Truth) error) error {
	if err := opts.validate(); err != nil {
		return err
	}
	end := opts.Start.Add(opts.Duration)
	s := &sim{opts: &opts, start: opts.Start, end: end, truth: truth}
	for i := range opts.Tenants {
		s.companies = append(s.companies, newCompany(&opts, i))
	}
	if err := s.plan(); err != nil {
		return err
	}
	// A local day reaches into the UTC day before (UTC+14) and after
	// (UTC-12): what lies in the part still to come is carried over.
	first := opts.Start.UTC().Truncate(24 * time.Hour).Add(-24 * time.Hour)
	for d := 0; ; d++ {
		day := first.Add(time.Duration(d) * 24 * time.Hour)
		for _, c := range s.companies {
			s.day(c, d, day)
		}
		if err := s.flush(day.Add(10*time.Hour), emit); err != nil {
			return err
		}
		if day.Add(-14 * time.Hour).After(end) {
			return nil
		}
	}
}

type sim struct {
	opts       *Options
	start, end time.Time
	companies  []*company
	pending    []event.Event
	planned    []planned
	truth      func(Truth) error
}

type planned struct {
	kind string
	c    *company
	at   time.Time
	n    int
}

// plan draws when which attack hits whom.
func (s *sim) plan() error {
	r := rand.New(rand.NewPCG(s.opts.Seed, 0xa77ac4))
	if s.opts.AttacksPerWeek > 0 {
		for _, c := range s.companies {
			n := poisson(r, s.opts.AttacksPerWeek*s.opts.Duration.Hours()/(7*24))
			for range n {
				at := s.start.Add(time.Duration(r.Float64() * float64(s.opts.Duration)))
				s.planned = append(s.planned, planned{kind: pick(r, s.opts.Attacks), c: c, at: at})
			}
		}
	}
	for _, x := range s.opts.Scheduled {
		s.planned = append(s.planned, planned{kind: x.Kind, c: s.companies[x.Tenant], at: x.At})
	}
	sort.SliceStable(s.planned, func(i, j int) bool { return s.planned[i].at.Before(s.planned[j].at) })
	for i := range s.planned {
		p := &s.planned[i]
		p.n = i
		a := &attack{s: s, c: p.c, at: p.at, r: rand.New(rand.NewPCG(s.opts.Seed^0x5eed, uint64(i)+77)), id: fmt.Sprintf("atk-%s-%d-%d", p.kind, s.opts.Seed, i)}
		a.session = fmt.Sprintf("s-%d", 1000+a.r.IntN(9000))
		a.truth = Truth{ID: a.id, Tenant: p.c.id, Kind: p.kind, Technique: attacks[p.kind].technique}
		attacks[p.kind].run(a)
		if err := a.finish(); err != nil {
			return err
		}
	}
	return nil
}

// flush emits what lies before limit, in order.
func (s *sim) flush(limit time.Time, emit func(*event.Event) error) error {
	slices.SortStableFunc(s.pending, func(a, b event.Event) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	n, lim := 0, limit.UnixNano()
	for n < len(s.pending) && s.pending[n].Time < lim {
		e := &s.pending[n]
		if e.Time >= s.start.UnixNano() && e.Time < s.end.UnixNano() {
			if err := emit(e); err != nil {
				return err
			}
		}
		n++
	}
	s.pending = append(s.pending[:0], s.pending[n:]...)
	return nil
}

// add queues one event of c at t, unless its source is out then.
func (s *sim) add(c *company, t time.Time, e event.Event) string {
	for _, w := range c.outages {
		if (w.source == "" || w.source == e.Source) && !t.Before(w.from) && t.Before(w.to) {
			return ""
		}
	}
	c.nextID++
	e.ID = fmt.Sprintf("%s-%x-%x", c.id, c.seed, c.nextID)
	e.Tenant = tenant.MustParse(c.id)
	e.Time = t.UTC().Truncate(time.Millisecond).UnixNano()
	e.IngestedAt = e.Time
	e.Count, e.Format = 1, "json"
	s.pending = append(s.pending, e)
	return e.ID
}
