// Package scenario is a small language in which a detector's behaviour can be
// read: traffic is loaded, alerts are evaluated.
//
//	# lines that begin with # are comments
//	clock 2026-03-02T00:00:00Z
//	load every 20m from 8h to 17h30m on weekdays for 10d: actor=alice src_ip=198.51.100.7 action=file.view
//	load 117 over 10m at 10d15h: actor=root src_ip=203.0.113.9 class=auth outcome=failure
//	eval 1 alert: entity=address:203.0.113.9 technique=T1110.001 severity>=medium count=117
//	eval 0 alerts: entity=user:alice
//
// Times count from the clock, in days, hours, minutes and seconds. A value
// `u{1..20}` takes u1, u2 … in turn. Fields are those of the event record
// (actor, actor_type, cohort, src_ip, country, asn, user_agent, device, action,
// resource, source, bytes_out, count); class=auth is a sign-in, class=mfa its second factor. `eval N alerts: conditions` wants
// exactly N alerts that meet all conditions, `at least N` and `at most N` as
// many; conditions are entity, related, technique, detector, severity (=, >=),
// count (=, >=) and reason~text.
//
// Every load is merged in event time and scored by the runner with its default
// settings; `budget N` changes the budget.
package scenario

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Result is what came of a scenario.
type Result struct {
	Events   int
	Alerts   []alert.Alert // in their final state
	Failures []string      // one sentence for each eval that did not hold
}

type eval struct {
	line  int
	text  string
	want  int
	op    string // "", "at least", "at most"
	conds []cond
}

type cond struct{ key, op, value string }

type script struct {
	clock  time.Time
	budget float64
	events []event.Event
	evals  []eval
}

// Run reads a scenario, scores its traffic and evaluates it. An error means
// that the text is no scenario.
func Run(r io.Reader) (Result, error) {
	s := script{clock: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)} // a Monday
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := s.line(n, line); err != nil {
			return Result{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := in.Err(); err != nil {
		return Result{}, err
	}
	slices.SortStableFunc(s.events, func(a, b event.Event) int { return cmp.Compare(a.Time, b.Time) })
	run, err := runner.New(runner.Options{Budget: s.budget})
	if err != nil {
		return Result{}, err
	}
	res := Result{Events: len(s.events)}
	for _, x := range append(run.Apply(s.events), run.Flush()...) {
		if x.Final && x.Alert != nil {
			res.Alerts = append(res.Alerts, *x.Alert)
		}
	}
	for _, e := range s.evals {
		n := 0
		for i := range res.Alerts {
			if e.meets(&res.Alerts[i]) {
				n++
			}
		}
		if e.op == "" && n != e.want || e.op == "at least" && n < e.want || e.op == "at most" && n > e.want {
			res.Failures = append(res.Failures, fmt.Sprintf("line %d: %s: there are %d", e.line, e.text, n))
		}
	}
	return res, nil
}

var (
	loadMany  = regexp.MustCompile(`^load (\d+) over (\S+) at (\S+): (.+)$`)
	loadEvery = regexp.MustCompile(`^load every (\S+) from (\S+) to (\S+) on (weekdays|weekends|all days) (?:starting (\S+) )?for (\S+): (.+)$`)
	evalLine  = regexp.MustCompile(`^eval (?:(at least|at most) )?(\d+) alerts?(?:: (.+))?$`)
	condition = regexp.MustCompile(`^(\w+)(>=|=|~)(.+)$`)
	span      = regexp.MustCompile(`^(?:(\d+)d)?(.*)$`)
	cycle     = regexp.MustCompile(`\{(\d+)\.\.(\d+)\}`)
)

// ago reads a time from the clock: Go's durations, and days before them.
func ago(s string) (time.Duration, error) {
	m := span.FindStringSubmatch(s)
	days, _ := strconv.Atoi(m[1])
	d := time.Duration(days) * 24 * time.Hour
	if m[2] == "" && m[1] != "" {
		return d, nil
	}
	rest, err := time.ParseDuration(m[2])
	if err != nil {
		return 0, fmt.Errorf("%q is no time: want for example 2d15h, 90m or 30s", s)
	}
	return d + rest, nil
}

func (s *script) line(n int, line string) (err error) {
	var d [4]time.Duration
	times := func(list ...string) {
		for i, v := range list {
			if v != "" && err == nil {
				d[i], err = ago(v)
			}
		}
	}
	if m := loadMany.FindStringSubmatch(line); m != nil {
		count, _ := strconv.Atoi(m[1])
		if times(m[2], m[3]); err != nil {
			return err
		}
		for i := range count {
			at := d[1] + d[0]*time.Duration(i)/time.Duration(max(1, count))
			if err := s.add(n, i, at, m[4]); err != nil {
				return err
			}
		}
		return nil
	}
	if m := loadEvery.FindStringSubmatch(line); m != nil {
		var length time.Duration
		if times(m[1], m[2], m[3], m[5]); err == nil {
			length, err = ago(m[6])
		}
		if err != nil {
			return err
		}
		if d[0] <= 0 {
			return fmt.Errorf("every %s would never end", m[1])
		}
		i := 0
		for day := d[3].Truncate(24 * time.Hour); day < d[3]+length; day += 24 * time.Hour {
			w := s.clock.Add(day).Weekday()
			weekend := w == time.Saturday || w == time.Sunday
			if m[4] == "weekdays" && weekend || m[4] == "weekends" && !weekend {
				continue
			}
			for at := d[1]; at < d[2]; at += d[0] {
				if err := s.add(n, i, day+at, m[7]); err != nil {
					return err
				}
				i++
			}
		}
		return nil
	}
	if m := evalLine.FindStringSubmatch(line); m != nil {
		e := eval{line: n, text: line, op: m[1]}
		e.want, _ = strconv.Atoi(m[2])
		for _, f := range strings.Fields(m[3]) {
			c := condition.FindStringSubmatch(f)
			if c == nil {
				return fmt.Errorf("%q is no condition: want for example severity>=high", f)
			}
			e.conds = append(e.conds, cond{c[1], c[2], c[3]})
		}
		return e.check(s)
	}
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "clock":
		s.clock, err = time.Parse(time.RFC3339, rest)
		return err
	case "budget":
		s.budget, err = strconv.ParseFloat(rest, 64)
		return err
	}
	return fmt.Errorf("%q is not understood: want clock, budget, load or eval", line)
}

func (e eval) check(s *script) error {
	for _, c := range e.conds {
		switch c.key {
		case "entity", "related", "technique", "detector", "severity", "count", "reason":
		default:
			return fmt.Errorf("%q cannot be evaluated", c.key)
		}
	}
	s.evals = append(s.evals, e)
	return nil
}

// add makes the i-th event of a load.
func (s *script) add(line, i int, at time.Duration, fields string) error {
	e := event.Event{
		Tenant: tenant.MustParse("acme"), ID: fmt.Sprintf("line-%d-%d", line, i), Time: s.clock.Add(at).UnixNano(),
		Class: event.ClassAPIActivity, Action: "view", Outcome: event.OutcomeSuccess, Count: 1, Source: "app",
	}
	for _, f := range strings.Fields(fields) {
		k, v, ok := strings.Cut(f, "=")
		if !ok {
			return fmt.Errorf("%q is no field: want name=value", f)
		}
		v = cycle.ReplaceAllStringFunc(v, func(m string) string {
			b := cycle.FindStringSubmatch(m)
			from, _ := strconv.Atoi(b[1])
			to, _ := strconv.Atoi(b[2])
			return strconv.Itoa(from + i%max(1, to-from+1))
		})
		if err := set(&e, k, v); err != nil {
			return err
		}
	}
	s.events = append(s.events, e)
	return nil
}

func set(e *event.Event, k, v string) error {
	text := map[string]*string{
		"actor": &e.Actor, "actor_type": &e.ActorType, "cohort": &e.Cohort, "src_ip": &e.SrcIP, "country": &e.Country,
		"user_agent": &e.UserAgent, "device": &e.Device, "action": &e.Action, "resource": &e.Resource, "source": &e.Source,
	}
	if p := text[k]; p != nil {
		*p = v
		return nil
	}
	switch k {
	case "class":
		switch v {
		case "auth":
			e.Class, e.Activity, e.Action = event.ClassAuthentication, 1, "login"
		case "mfa":
			e.Class, e.Activity, e.Action = event.ClassAuthentication, 1, "mfa.challenge"
		default:
			return fmt.Errorf("class %q is not known: want auth or mfa", v)
		}
	case "outcome":
		o, ok := event.ParseOutcome(v)
		if !ok {
			return fmt.Errorf("outcome %q is not known", v)
		}
		e.Outcome = o
	case "bytes_out":
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return err
		}
		e.BytesOut = n
	case "asn", "count":
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			return err
		}
		if k == "asn" {
			e.ASN = uint32(n)
		} else {
			e.Count = uint32(n)
		}
	default:
		return fmt.Errorf("field %q is not known", k)
	}
	return nil
}

var grades = []alert.Severity{alert.Informational, alert.Low, alert.Medium, alert.High, alert.Critical}

func (e eval) meets(a *alert.Alert) bool {
	is := func(x alert.Entity, want string) bool { return string(x.Type)+":"+x.ID == want }
	for _, c := range e.conds {
		ok := false
		switch c.key {
		case "entity":
			ok = is(a.Entity, c.value)
		case "related":
			ok = slices.ContainsFunc(a.Related, func(x alert.Entity) bool { return is(x, c.value) })
		case "technique":
			ok = slices.Contains(a.Technique, c.value)
		case "detector":
			ok = slices.ContainsFunc(a.Detectors, func(x alert.Contribution) bool { return x.Name == c.value })
		case "severity":
			have, want := slices.Index(grades, a.Severity), slices.Index(grades, alert.Severity(c.value))
			ok = have == want || c.op == ">=" && have > want
		case "count":
			want, _ := strconv.ParseUint(c.value, 10, 64)
			ok = a.Count == want || c.op == ">=" && a.Count > want
		case "reason":
			ok = strings.Contains(a.Reason, c.value)
		}
		if !ok {
			return false
		}
	}
	return true
}
