// Package products reads the audit logs of products whose records are JSON,
// one file a product: what its documents say about id, actor, action, outcome
// and address comes first, and the generic mapper fills what is left.
//
// Invariant: a record is read as a product's only when its shape is the
// product's (Detect), so no record can be taken by two. An actor that no
// record names falls back to the address, else to the product itself; an
// action is always the product's own word. The package is pure.
package products

import (
	"fmt"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/generic"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Product is one product's log.
type Product struct {
	Name, Title string
	Example     string // one record
	// Detect says how surely a record is the product's, 0 to 0.95.
	Detect func(d *doc.Doc) float64
	// Fill sets the fields of the n-th event of a record.
	Fill func(d *doc.Doc, b *record.Builder, env *record.Env, n int)
	// Count, when set, says how many events a record holds (at least 1).
	Count func(d *doc.Doc) int
}

// Sure is what Detect must reach.
const Sure = 0.5

// The products.
func Okta() Product         { return okta }
func GitHub() Product       { return github }
func Workspace() Product    { return workspace }
func Microsoft365() Product { return microsoft365 }
func Slack() Product        { return slack }
func Auth0() Product        { return auth0 }
func GCP() Product          { return gcp }
func Azure() Product        { return azure }
func OnePassword() Product  { return onePassword }
func Atlassian() Product    { return atlassian }
func Zendesk() Product      { return zendesk }
func Box() Product          { return box }
func Kubernetes() Product   { return kubernetes }
func Caddy() Product        { return caddy }
func Traefik() Product      { return traefik }
func Envoy() Product        { return envoyJSON }
func AccessJSON() Product   { return accessJSON }
func Postgres() Product     { return postgresJSON }

// Parser reads one product's records.
type Parser struct {
	p       Product
	d       doc.Doc
	b       record.Builder
	classes record.Classifier
	all     []event.Event
}

// New returns a maker of parsers of p.
func New(p Product) func() record.Parser {
	return func() record.Parser { return &Parser{p: p} }
}

// Parse reads one JSON object.
func (p *Parser) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	p.d.Trace = env.Trace
	if err := p.d.Read(raw); err != nil {
		return err
	}
	if p.p.Detect(&p.d) < Sure {
		return fmt.Errorf("not a record of %s: send it as the product writes it, or use --format auto", p.p.Title)
	}
	return p.ParseDoc(&p.d, env, emit)
}

// ParseDoc is Parse for a record that has been read and detected.
func (p *Parser) ParseDoc(d *doc.Doc, env *record.Env, emit func(*event.Event)) error {
	n := 1
	if p.p.Count != nil {
		n = max(p.p.Count(d), 1)
	}
	p.all = p.all[:0]
	for i := range n {
		b := &p.b
		b.Begin(env, p.p.Name, d.Raw)
		for j := range d.Values {
			d.Values[j].Used = false
		}
		for _, key := range [...]string{"tenant", "tenant_id"} {
			if s := d.Peek(key); s != "" && env.TenantKey {
				b.Owner(env, key, d.Text(key))
			}
		}
		p.p.Fill(d, b, env, i)
		generic.Fill(d, b, env)
		if b.Action == "" {
			return fmt.Errorf("%s record that does not say what was done: send it as the product writes it", p.p.Title)
		}
		if b.Actor == "" {
			if b.Actor = b.SrcIP; b.Actor == "" {
				b.Actor, b.ActorType = p.p.Name, "service"
			}
		}
		generic.Complete(d, b, &p.classes, env)
		e, err := b.Finish(env)
		if err != nil {
			return err
		}
		if n == 1 {
			emit(e)
			return nil
		}
		p.all = append(p.all, *e)
	}
	for i := range p.all {
		emit(&p.all[i])
	}
	clear(p.all)
	return nil
}

// Sniff is Detect for a text.
func Sniff(p Product) func(string) float64 {
	return func(raw string) float64 {
		var d doc.Doc
		if d.Read(raw) != nil {
			return 0
		}
		return p.Detect(&d)
	}
}

// outcome maps a product's word to an outcome.
func outcome(b *record.Builder, s string, good, bad string) {
	switch {
	case s == "":
	case generic.InList(good, s):
		b.Outcome = event.OutcomeSuccess
	case generic.InList(bad, s):
		b.Outcome = event.OutcomeFailure
	}
}

func status(b *record.Builder) {
	switch {
	case b.Outcome != event.OutcomeUnknown || b.Status < 100:
	case b.Status >= 400:
		b.Outcome = event.OutcomeFailure
	default:
		b.Outcome = event.OutcomeSuccess
	}
}

func act(b *record.Builder, c event.Class, activity uint8) { b.Class, b.Activity = c, activity }
