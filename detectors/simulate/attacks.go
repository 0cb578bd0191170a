package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// attack is one attack while it is being written.
type attack struct {
	s  *sim
	c  *company
	at time.Time
	r  *rand.Rand
	id string
	// session is what the log shows; it must not give the attack away.
	session string
	truth   Truth
}

type attackKind struct {
	technique []string
	run       func(*attack)
}

// attacks is the table of kinds. Each varies in pace, spread and stealth.
var attacks = map[string]attackKind{
	"brute_force":         {[]string{"T1110.001"}, (*attack).bruteForce},
	"password_spray":      {[]string{"T1110.003"}, (*attack).passwordSpray},
	"credential_stuffing": {[]string{"T1110.004"}, (*attack).credentialStuffing},
	"account_takeover":    {[]string{"T1078"}, (*attack).accountTakeover},
	"mass_download":       {[]string{"T1530"}, (*attack).massDownload},
	"slow_exfiltration":   {[]string{"T1530"}, (*attack).slowExfiltration},
	"enumeration":         {[]string{"T1087"}, (*attack).enumeration},
	"privilege_abuse":     {[]string{"T1098", "T1556"}, (*attack).privilegeAbuse},
	"mfa_fatigue":         {[]string{"T1621"}, (*attack).mfaFatigue},
	"service_key_theft":   {[]string{"T1078.004"}, (*attack).serviceKeyTheft},
	"dormant_account":     {[]string{"T1078"}, (*attack).dormantAccount},
	"silence":             {[]string{"T1562"}, (*attack).silence},
}

// Kinds lists the attack kinds, sorted.
func Kinds() []string {
	out := make([]string, 0, len(attacks))
	for k := range attacks {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// add queues one event of the attack.
func (a *attack) add(t time.Time, e event.Event) {
	if t.Before(a.s.start) || !t.Before(a.s.end) {
		return
	}
	id := a.s.add(a.c, t, e)
	if id == "" {
		return
	}
	if a.truth.Events == 0 || t.Before(a.truth.Start) {
		a.truth.Start = t.UTC()
	}
	if t.After(a.truth.End) {
		a.truth.End = t.UTC()
	}
	a.truth.Events++
	if len(a.truth.EventIDs) < 1000 {
		a.truth.EventIDs = append(a.truth.EventIDs, id)
	}
}

func (a *attack) names(typ, id string) {
	e := Entity{typ, id}
	if !slices.Contains(a.truth.Entities, e) && len(a.truth.Entities) < 200 {
		a.truth.Entities = append(a.truth.Entities, e)
	}
}

// finish reports the truth; an attack that left no trace never happened.
func (a *attack) finish() error {
	if a.truth.Events == 0 && a.truth.Kind != "silence" || a.truth.Start.IsZero() {
		return nil
	}
	return a.s.truth(a.truth)
}

// victim is somebody who works there at the time of the attack.
func (a *attack) victim() *person {
	d := int(a.at.Sub(a.s.start).Hours()/24) + 1
	for range 50 {
		if p := pick(a.r, a.c.people); (p.firstDay == 0 || p.firstDay+2 < d) && p.lastDay > d {
			return p
		}
	}
	return a.c.people[0]
}

// foreign is a rented machine.
func (a *attack) foreign() origin {
	h := pick(a.r, hosting)
	return origin{ip: address(a.r, h.isp), device: pick(a.r, attackAgents), source: "webapp", at: h, asn: h.isp}
}

// pace draws seconds between steps: hasty, steady or patient.
func (a *attack) pace(hasty, patient float64) time.Duration {
	x := a.r.Float64()
	mean := hasty + (patient-hasty)*x*x
	return time.Duration((0.3 + a.r.ExpFloat64()) * mean / 1.3 * float64(time.Second))
}

func (a *attack) bruteForce() {
	p, o := a.victim(), a.foreign()
	a.names("user", p.name)
	a.names("address", o.ip)
	n, slow, t := 40+a.r.IntN(360), a.r.Float64(), a.at
	for range n {
		a.add(t, login(base(p, o), false))
		t = t.Add(a.pace(0.5, 1+40*slow*slow))
	}
	if a.r.Float64() < 0.35 {
		a.truth.Succeeded = true
		a.add(t, login(base(p, o), true))
		a.loot(p, o, t, 10)
	}
}

func (a *attack) passwordSpray() {
	t, slow := a.at, a.r.Float64()
	os := make([]origin, 1+a.r.IntN(3))
	for i := range os {
		os[i] = a.foreign()
		a.names("address", os[i].ip)
	}
	for range 1 + a.r.IntN(2) {
		for _, i := range a.r.Perm(len(a.c.people)) {
			p, o := a.c.people[i], pick(a.r, os)
			hit := a.r.Float64() < 0.01
			if hit {
				a.truth.Succeeded = true
				a.names("user", p.name)
			}
			a.add(t, login(base(p, o), hit))
			t = t.Add(a.pace(1, 2+120*slow*slow))
		}
	}
}

func (a *attack) credentialStuffing() {
	t, slow := a.at, a.r.Float64()
	os := make([]origin, 20+a.r.IntN(100))
	for i := range os {
		os[i] = a.foreign()
	}
	a.names("tenant", a.c.id)
	for i := range 200 + a.r.IntN(600) {
		p := &person{name: fmt.Sprintf("%s.%d@mail.example", pick(a.r, firstNames), a.r.IntN(100000))}
		hit := false
		if i%11 == 0 {
			p = a.victim()
			hit = a.r.Float64() < 0.03
		}
		o := pick(a.r, os)
		if hit {
			a.truth.Succeeded = true
			a.names("user", p.name)
		}
		e := login(base(p, o), hit)
		if e.Cohort == "" {
			e.ActorType = ""
		}
		a.add(t, e)
		t = t.Add(a.pace(0.2, 1+10*slow*slow))
	}
}

func (a *attack) accountTakeover() {
	p, o := a.victim(), a.foreign()
	a.truth.Succeeded = true
	a.names("user", p.name)
	a.names("address", o.ip)
	a.add(a.at, login(base(p, o), true))
	a.loot(p, o, a.at, 15+a.r.IntN(60))
}

// loot is what an intruder looks at first.
func (a *attack) loot(p *person, o origin, t time.Time, n int) {
	for range n {
		t = t.Add(a.pace(2, 60))
		v := pick(a.r, []verb{{"file.download", "file", 1, 8e5}, {"report.export", "report", 1, 3e6}, {"user.view", "account", 1, 4e3}, {"contact.view", "contact", 1, 6e3}})
		e := a.s.action(a.c, a.r, p, o, v, a.session)
		e.Resource = fmt.Sprintf("%s/%d", v.kind, a.r.IntN(a.c.resMax[v.kind]))
		a.add(t, e)
	}
}

func (a *attack) massDownload() {
	p := a.victim()
	a.names("user", p.name)
	d := int(a.at.Sub(a.s.start).Hours() / 24)
	o, t, slow := a.c.origin(a.r, p, d), a.at, a.r.Float64()
	a.truth.Succeeded = true
	for i := range 150 + a.r.IntN(1200) {
		e := a.s.action(a.c, a.r, p, o, verb{"file.download", "file", 1, 6e5}, a.session)
		e.Resource, e.Status, e.Outcome = fmt.Sprintf("file/%d", (i*7+11)%2000), 200, event.OutcomeSuccess
		a.add(t, e)
		t = t.Add(a.pace(0.3, 1+15*slow))
	}
}

func (a *attack) slowExfiltration() {
	p := a.victim()
	a.names("user", p.name)
	a.truth.Succeeded = true
	days := 3 + a.r.IntN(4)
	for d := range days {
		day := int(a.at.Sub(a.s.start).Hours()/24) + d
		o, t := a.c.origin(a.r, p, day), a.at.Add(time.Duration(d)*24*time.Hour)
		for range 25 + a.r.IntN(50) {
			e := a.s.action(a.c, a.r, p, o, verb{"file.download", "file", 1, 2e7}, a.session)
			e.Resource = fmt.Sprintf("file/%d", a.r.IntN(2000))
			a.add(t, e)
			t = t.Add(a.pace(60, 500))
		}
	}
}

func (a *attack) enumeration() {
	p, o := a.victim(), a.foreign()
	a.names("address", o.ip)
	a.names("user", p.name)
	t, slow := a.at, a.r.Float64()
	from := a.r.IntN(4000)
	for i := range 200 + a.r.IntN(1500) {
		e := base(p, o)
		e.Class, e.Action, e.ResourceType, e.HTTPMethod = event.ClassAPIActivity, "contact.view", "contact", "GET"
		e.Resource, e.Status = fmt.Sprintf("contact/%d", from+i), 200
		if a.r.Float64() < 0.7 {
			e.Status, e.Outcome = 404, event.OutcomeFailure
		}
		a.add(t, e)
		t = t.Add(a.pace(0.1, 0.5+6*slow))
	}
}

func (a *attack) privilegeAbuse() {
	p := a.victim()
	for range 20 {
		if p.role != "admin" {
			break
		}
		p = a.victim()
	}
	a.names("user", p.name)
	a.truth.Succeeded = true
	o, t := a.foreign(), a.at
	if a.r.Float64() < 0.5 { // from the inside
		o = a.c.origin(a.r, p, 0)
	}
	for _, v := range []verb{{"role.grant", "role", 1, 0}, {"apikey.create", "key", 1, 0}, {"mfa.disable", "account", 1, 0}, {"user.create", "account", 1, 0}, {"auditlog.disable", "settings", 1, 0}} {
		e := base(p, o)
		e.Class, e.Action, e.ResourceType, e.HTTPMethod, e.Status = event.ClassAccountChange, v.action, v.kind, "POST", 200
		e.Resource = v.kind + "/" + p.name
		a.add(t, e)
		t = t.Add(a.pace(10, 300))
	}
}

func (a *attack) mfaFatigue() {
	p, o := a.victim(), a.foreign()
	a.names("user", p.name)
	a.names("address", o.ip)
	t := a.at
	for range 15 + a.r.IntN(45) {
		e := login(base(p, o), false)
		e.Action = "mfa.challenge"
		a.add(t, e)
		t = t.Add(a.pace(15, 120))
	}
	if a.r.Float64() < 0.5 {
		a.truth.Succeeded = true
		e := login(base(p, o), true)
		e.Action = "mfa.challenge"
		a.add(t, e)
		a.loot(p, o, t, 12)
	}
}

func (a *attack) serviceKeyTheft() {
	sv, o := pick(a.r, a.c.services), a.foreign()
	a.names("service", sv.name)
	a.names("address", o.ip)
	a.truth.Succeeded = true
	t := a.at
	for range 20 + a.r.IntN(200) {
		e := sv.event()
		e.SrcIP, e.Country, e.City, e.ASN, e.UserAgent = o.ip, o.at.country, o.at.city, o.asn, o.device
		e.Latitude, e.Longitude = o.at.lat, o.at.lon
		e.Action = pick(a.r, []string{"file.list", "file.download", "user.list", "secret.read"})
		e.Resource, e.ResourceType = fmt.Sprintf("file/%d", a.r.IntN(2000)), "file"
		e.BytesOut = uint64(logNormal(a.r, 4e5, 1))
		a.add(t, e)
		t = t.Add(a.pace(1, 40))
	}
}

func (a *attack) dormantAccount() {
	p := a.victim()
	p.lastDay = max(0, int(a.at.Sub(a.s.start).Hours()/24)-3) // quiet from then on
	o := a.foreign()
	a.names("user", p.name)
	a.names("address", o.ip)
	a.truth.Succeeded = true
	a.add(a.at, login(base(p, o), true))
	a.loot(p, o, a.at, 10+a.r.IntN(40))
}

// silence stops one log source for hours: nothing arrives, that is the sign.
func (a *attack) silence() {
	src := pick(a.r, []string{"api", "webapp"})
	to := a.at.Add(time.Duration(6+a.r.IntN(30)) * time.Hour)
	if to.After(a.s.end) {
		to = a.s.end
	}
	a.c.outages = append(a.c.outages, window{a.at, to, src})
	a.names("source", src)
	a.truth.Start, a.truth.End = a.at.UTC(), to.UTC()
}
