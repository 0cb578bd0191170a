//go:build integration

package e2e

import (
	"fmt"
	"strings"
	"time"
)

// graphFields are GraphQL fields with a tenant, an id and a text as arguments.
var graphFields = []struct {
	text string
	id   func(*owner) string
}{
	{`alerts(tenant: "T") { edges { node { id title events { id raw } tenant { name } } } }`, alertOf},
	{`alert(tenant: "T", id: "I") { id title events { raw } }`, alertOf},
	{`alert(id: "I") { id title events { raw } }`, alertOf},
	{`events(tenant: "T", q: "actor:*") { edges { node { id raw } } }`, alertOf},
	{`event(tenant: "T", id: "I") { id raw }`, func(o *owner) string { return o.canary + "-1" }},
	{`event(id: "I") { id raw }`, func(o *owner) string { return o.canary + "-1" }},
	{`entities(tenant: "T", type: user) { edges { node { id } } }`, alertOf},
	{`entity(tenant: "T", type: user, id: "I") { id related { id } baseline { known { values { value } } } }`, func(o *owner) string { return o.canary + "-u3" }},
	{`entity(type: user, id: "I") { id alerts { title } }`, func(o *owner) string { return o.canary + "-u3" }},
	{`webhooks(tenant: "T") { edges { node { id url } } }`, alertOf},
	{`findings(tenant: "T") { tenantId }`, alertOf},
	{`detectors(tenant: "T") { name }`, alertOf},
	{`alerts(after: "C") { totalCount }`, func(o *owner) string { return o.cursors["listAlerts"] }},
}

// graph asks GraphQL for other tenants' things in every argument.
func (w *world) graph() {
	requests, control := 0, 0
	ask := func(c caller, text string) (string, []byte) {
		for {
			requests++
			status, h, body := w.send(request{method: "POST", path: "/graphql", body: map[string]any{"query": "{ " + text + " }"}, as: c})
			if !strings.Contains(string(body), "/problems/too-many-requests") { // a field's refusal, within a 200
				return same(status, h, body, ""), body
			}
			<-time.After(50 * time.Millisecond)
		}
	}
	for _, f := range graphFields {
		fill := func(tenant, id string) string {
			return strings.NewReplacer(`"T"`, fmt.Sprintf("%q", tenant), `"I"`, fmt.Sprintf("%q", id), `"C"`, fmt.Sprintf("%q", id)).Replace(f.text)
		}
		o := w.owners[2]
		for _, c := range w.callers {
			foreign, missing := fill(o.slug, f.id(o)), fill(w.missing, like(f.id(o)))
			if strings.Contains(f.text, `"C"`) {
				missing = fill(w.missing, forged(f.id(o)))
			}
			a, body := ask(c, foreign)
			b, _ := ask(c, missing)
			if found := w.leaks(c, nil, body, ""); len(found) > 0 {
				w.t.Errorf("LEAK graphql %s as %s shows %v: %.500s", foreign, c.name, found, body)
			}
			if a != b {
				w.t.Errorf("TOLD APART graphql %s as %s:\nforeign: %s\nmissing: %s", f.text, c.name, a, b)
			}
		}
		own := fill(o.slug, f.id(o))
		if _, body := ask(caller{bearer: w.token}, own); len(w.leaks(caller{}, nil, body, "")) > 0 {
			control++
		}
	}
	fmt.Printf("  graphql: %d fields, %d requests; control: the operator, who sees the tenant, is shown it by %d of them\n", len(graphFields), requests, control)
	if control < 8 { // the others name no tenant, or hold figures alone
		w.t.Error("graphql: a leak would not be seen")
	}
}
