// Package generic reads JSON records of products nobody described: it finds
// time, actor, action, outcome, address and the other fields by what the keys
// mean and what the values look like.
//
// How: every key is split into words ("sourceIPAddress": source, ip, address),
// and the words of the key and of the objects around it say how likely the
// value there is to be the time, the actor and so on (roles.go); the shape of
// the value (an address, a mail address, a date) raises or lowers that. The
// most likely value is taken if it is likely enough. Words such as target, new
// or recipient say that a name is not of who acted.
//
// Invariant: no product is named here. A record without an action, or without
// anybody who could have acted, is refused with a reason. A record without a
// time is dated like the record before it, else as it arrives, and flagged.
// The same record always gives the same event but for that.
package generic

import (
	"errors"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Name is the format's name.
const Name = "generic"

// restLabels is how many values without a field become labels.
const restLabels = 64

// Parser reads records of unknown products.
type Parser struct {
	// Strict is set for records that seem to be meant as the short form: they
	// must state their time and who acted, if under other names.
	Strict bool

	d       doc.Doc
	b       record.Builder
	classes record.Classifier
}

// New returns a parser for one stream.
func New() record.Parser { return &Parser{} }

var (
	errNoAction = errors.New(`no action found in the record: no key says what was done; write a mapping for it, or send the short form with time, actor and action`)
	errNoActor  = errors.New(`no actor found in the record: no key says who acted, not even an address; write a mapping for it, or send the short form with time, actor and action`)
)

// Parse reads one JSON object.
func (p *Parser) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	p.d.Trace = env.Trace
	if err := p.d.Read(raw); err != nil {
		return err
	}
	return p.ParseDoc(&p.d, env, emit)
}

// ParseDoc is Parse for a record that has been read.
func (p *Parser) ParseDoc(d *doc.Doc, env *record.Env, emit func(*event.Event)) error {
	b := &p.b
	b.Begin(env, Name, d.Raw)
	for _, key := range [...]string{"tenant", "tenant_id"} {
		if s := d.Peek(key); s != "" && env.TenantKey {
			b.Owner(env, key, d.Text(key))
		}
	}
	found := Fill(d, b, env)
	if b.Action == "" {
		return errNoAction
	}
	if b.Actor == "" || found < 2 {
		return errNoActor
	}
	if p.Strict && (b.Time == 0 || b.Actor == b.SrcIP || b.ActorType == "service") {
		return errNoActor
	}
	Complete(d, b, &p.classes, env)
	e, err := b.Finish(env)
	if err != nil {
		return err
	}
	emit(e)
	return nil
}

// Complete adds what every record of JSON gets once its fields are found: a
// time if it has none, the class, and labels for the rest.
func Complete(d *doc.Doc, b *record.Builder, classes *record.Classifier, env *record.Env) {
	if b.Time == 0 {
		b.AssumeTime(env)
	} else {
		env.LastTime = b.Time
	}
	if b.Class == event.ClassUnknown && b.Activity == 0 {
		b.Class, b.Activity = classes.Of(b.Action)
	}
	d.Rest(b, restLabels)
}

// Sniff says how much a JSON object looks like a record at all. The generic
// mapper stands behind every parser that knows its product.
func Sniff(string) float64 { return 0.1 }

// threshold is what the most likely value must weigh to be taken.
var threshold = [roles]int{
	roleTime: 14, roleActor: 13, roleAction: 14, roleOutcome: 16, roleError: 10, roleAddress: 26, roleAgent: 16, roleCountry: 16, roleCity: 20,
	roleLat: 20, roleLon: 20, roleASN: 20, roleSession: 14, roleDevice: 12, roleResource: 24, roleResourceType: 16, roleMethod: 8, roleStatus: 14,
	rolePath: 12, roleBytesIn: 12, roleBytesOut: 12, roleDuration: 12, roleSeverity: 24, roleCohort: 10, roleService: 4,
}

// picked is the most likely value of each role.
type picked struct {
	v      [roles]*doc.Value
	weight [roles]int
}

func (p *picked) offer(r role, v *doc.Value, w int) {
	if w >= threshold[r] && (p.v[r] == nil || w > p.weight[r]) {
		p.v[r], p.weight[r] = v, w
	}
}

// Fill finds every field that b does not have yet. It returns how many of
// actor (or address), action, time, outcome and address it or b has.
func Fill(d *doc.Doc, b *record.Builder, env *record.Env) (found int) {
	var p picked
	for i := range d.Values {
		v := &d.Values[i]
		if v.Kind == record.Object || v.Kind == record.Array || v.Kind == record.Null || v.Text == "" {
			continue
		}
		k := known(v.Place)
		for r := role(0); r < roles; r++ {
			if w := int(k.weight[r]); w > 0 {
				if w = fit(r, k, v, w, env); w > 0 {
					p.offer(r, v, w)
				}
			}
		}
	}
	p.fill(d, b, env)
	for _, has := range [...]bool{b.Actor != "" || b.SrcIP != "", b.Action != "", b.Time != 0, b.Outcome != 0, b.SrcIP != "" && b.Actor != b.SrcIP} {
		if has {
			found++
		}
	}
	return found
}

// fit corrects the weight of a place by the shape of the value there; 0 or
// less is no candidate.
func fit(r role, k *place, v *doc.Value, w int, env *record.Env) int {
	s := v.Text
	if doc.Absent(s) && r != roleError {
		return 0
	}
	text := v.Kind == record.String
	switch r {
	case roleTime:
		if v.Kind == record.Bool || w < threshold[roleTime] {
			return 0
		}
		ns, err := record.ParseAnyTime(s, env.Location())
		if err != nil || ns < 946684800e9 && s != "" { // before 2000: a counter, or nothing
			return 0
		}
		if !text && len(s) < 9 {
			return 0
		}
		if text && looksLikeTime(s) {
			w += 4
			if len(s) == 10 {
				w -= 12 // a day only
			}
		}
	case roleActor:
		if v.Kind == record.Bool || len(s) > 256 || isIP(s) || isURL(s) || looksLikeTime(s) || isBool(s) || strings.IndexByte(s, '\n') >= 0 {
			return 0
		}
		switch {
		case isEmail(s):
			w += 14
		case isUUID(s), digits(s):
			w -= 6
		case strings.HasPrefix(s, "arn:"):
			w += 8
		case strings.Count(s, " ") > 4:
			return 0
		}
	case roleAction:
		return fitAction(k, v, w)
	case roleOutcome:
		return fitOutcome(k, v, w)
	case roleError:
		if v.Kind == record.Bool {
			return 0
		}
	case roleAddress:
		if v.Kind != record.String {
			return 0
		}
		ip, _, ok := doc.Address(s)
		if !ok {
			if w < 38 || len(s) > 45 || strings.Count(s, ".") != 3 || !digits(strings.ReplaceAll(s, ".", "")) {
				return 0
			}
			return w - 20 // meant as an address, but none
		}
		if strings.HasPrefix(ip, "10.") || strings.HasPrefix(ip, "192.168.") || strings.HasPrefix(ip, "127.") {
			w -= 2
		}
		w += 6
	case roleAgent:
		if !text || isBool(s) {
			return 0
		}
		if strings.HasPrefix(s, "Mozilla/") || strings.IndexByte(s, '/') > 0 {
			w += 8
		}
	case roleCountry:
		if !text || digits(s) || len(s) > 2 && record.CountryCode(s) == "" {
			return 0
		}
	case roleCity:
		if !text {
			return 0
		}
	case roleLat, roleLon, roleASN:
		if _, ok := record.Float(strings.TrimPrefix(s, "AS")); !ok {
			return 0
		}
	case roleResource:
		if v.Kind == record.Bool || isIP(s) || len(s) > 1024 || strings.Contains(s, "audit_log") {
			return 0
		}
	case roleResourceType, roleService, roleDevice, roleSession:
		if v.Kind == record.Bool || len(s) > 256 {
			return 0
		}
	case roleMethod:
		if _, ok := methods[strings.ToUpper(s)]; !ok {
			return 0
		}
	case roleStatus:
		if n, ok := record.Uint(s, 599); !ok || n < 100 {
			return 0
		}
	case rolePath:
		if !text || s[0] != '/' && !isURL(s) {
			return 0
		}
	case roleBytesIn, roleBytesOut, roleDuration:
		if _, ok := record.Float(s); !ok {
			return 0
		}
	}
	return w
}

// fitAction judges a value as the name of an action.
func fitAction(k *place, v *doc.Value, w int) int {
	s := v.Text
	if v.Kind == record.Bool || len(s) > 160 || len(s) < 2 && v.Kind == record.String || isIP(s) || isURL(s) || isEmail(s) || isUUID(s) || looksLikeTime(s) || isBool(s) {
		return 0
	}
	if v.Kind == record.Number || digits(s) {
		w -= 30
	}
	if s[0] == '{' || s[0] == '[' || s[0] == '<' || s[0] == '/' {
		return 0
	}
	switch spaces := strings.Count(s, " "); {
	case spaces > 12 || strings.IndexByte(s, '\n') >= 0:
		return 0
	case spaces > 4:
		w -= 12
	}
	if _, ok := methods[strings.ToUpper(s)]; ok && k.last == "method" {
		w -= 24
	}
	if verdict(s) != event.OutcomeUnknown && !strings.ContainsAny(s, " ._-:") && len(s) < 14 {
		w -= 50 // BLOCK, Allowed: how it went, not what was done
	}
	if strings.EqualFold(s, "event") || strings.EqualFold(s, "audit") || strings.EqualFold(s, "log") {
		w -= 30
	}
	// Several words, as in user.login or UserLoggedIn, are typical.
	if strings.IndexAny(s, "._:-/") > 0 {
		w += 3
	}
	return w
}

// fitOutcome judges a value as the outcome.
func fitOutcome(k *place, v *doc.Value, w int) int {
	s := v.Text
	yes := v.Kind == record.Bool || isBool(s)
	switch k.last {
	case "success", "succeeded", "successful", "authorized", "ok", "granted", "allowed", "passed", "failed", "failure", "denied", "blocked":
		if yes || s == "0" || s == "1" {
			return w
		}
	}
	if yes {
		return 0
	}
	if verdict(s) == event.OutcomeUnknown {
		return 0
	}
	return w
}
