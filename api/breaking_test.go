package api

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestContractDoesNotBreak compares the contract with the first one that was
// published under its major version: what a client relied on is still there.
// A change that breaks one needs a new major version, and a baseline of it.
func TestContractDoesNotBreak(t *testing.T) {
	now, err := published()
	if err != nil {
		t.Fatal(err)
	}
	major, _, _ := strings.Cut(now.Info.Version, ".")
	files, err := filepath.Glob(filepath.Join("testdata", "contract-"+major+".*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no baseline for version %s: copy openapi.yaml to testdata/contract-%s.yaml", now.Info.Version, now.Info.Version)
	}
	for _, f := range files {
		was := contractFile(t, f)
		for _, b := range breaks(was, now) {
			t.Errorf("%s: %s\n(if that is meant, the version has to become the next major one)", filepath.Base(f), b)
		}
	}
}

func contractFile(t *testing.T, path string) *openapi3.T {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// breaks lists what a client of was could not do, or would not find, in now.
func breaks(was, now *openapi3.T) (out []string) {
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for path, item := range was.Paths.Map() {
		next := now.Paths.Value(path)
		for method, op := range item.Operations() {
			where := method + " " + path
			if next == nil || next.GetOperation(method) == nil {
				bad("%s is gone", where)
				continue
			}
			b := comparison{bad: bad, seen: map[string]bool{}}
			b.operation(where, op, next.GetOperation(method))
		}
	}
	slices.Sort(out)
	return out
}

type comparison struct {
	bad  func(string, ...any)
	seen map[string]bool
}

func (c comparison) operation(where string, was, now *openapi3.Operation) {
	if was.OperationID != now.OperationID {
		c.bad("%s: operationId %s became %s", where, was.OperationID, now.OperationID)
	}
	for _, p := range was.Parameters {
		q := now.Parameters.GetByInAndName(p.Value.In, p.Value.Name)
		if q == nil {
			c.bad("%s: the parameter %s is gone", where, p.Value.Name)
			continue
		}
		if q.Required && !p.Value.Required {
			c.bad("%s: the parameter %s is required now", where, p.Value.Name)
		}
		c.request(where+" "+p.Value.Name, p.Value.Schema, q.Schema)
	}
	for _, q := range now.Parameters {
		if q.Value.Required && was.Parameters.GetByInAndName(q.Value.In, q.Value.Name) == nil {
			c.bad("%s: the parameter %s is new and required", where, q.Value.Name)
		}
	}
	if now.RequestBody != nil && was.RequestBody == nil && now.RequestBody.Value.Required {
		c.bad("%s: a body is required now", where)
	}
	if was.RequestBody != nil && now.RequestBody != nil {
		for media, m := range was.RequestBody.Value.Content {
			if n := now.RequestBody.Value.Content.Get(media); n != nil {
				c.request(where+" body", m.Schema, n.Schema)
			}
		}
	}
	for status, r := range was.Responses.Map() {
		n := now.Responses.Value(status)
		if status >= "300" {
			continue // problems have one form
		}
		if n == nil {
			c.bad("%s: the answer %s is gone", where, status)
			continue
		}
		for media, m := range r.Value.Content {
			o := n.Value.Content[media]
			if o == nil {
				c.bad("%s: the answer %s has no %s any more", where, status, media)
				continue
			}
			c.answer(where+" "+status, m.Schema, o.Schema)
		}
	}
}

func types(s *openapi3.SchemaRef) []string {
	if s == nil || s.Value == nil || s.Value.Type == nil {
		return nil
	}
	return s.Value.Type.Slice()
}

// request: whatever was taken is still taken.
func (c comparison) request(where string, was, now *openapi3.SchemaRef) {
	if was == nil || now == nil || c.seen[where] {
		return
	}
	c.seen[where] = true
	for _, t := range types(was) {
		if len(types(now)) > 0 && !slices.Contains(types(now), t) {
			c.bad("%s: %s is not taken any more", where, t)
		}
	}
	for _, e := range was.Value.Enum {
		if len(now.Value.Enum) > 0 && !slices.Contains(now.Value.Enum, e) {
			c.bad("%s: the value %v is not taken any more", where, e)
		}
	}
	for _, r := range now.Value.Required {
		if !slices.Contains(was.Value.Required, r) {
			c.bad("%s: %s is required now", where, r)
		}
	}
	for name, p := range was.Value.Properties {
		n := now.Value.Properties[name]
		if n == nil {
			c.bad("%s: the member %s is not taken any more", where, name)
			continue
		}
		c.request(where+"."+name, p, n)
	}
	c.request(where+"[]", was.Value.Items, now.Value.Items)
}

// answer: whatever was promised is still promised.
func (c comparison) answer(where string, was, now *openapi3.SchemaRef) {
	if was == nil || now == nil || c.seen[where] || strings.Count(where, ".") > 12 {
		return
	}
	c.seen[where] = true
	for _, t := range types(now) {
		if len(types(was)) > 0 && !slices.Contains(types(was), t) {
			c.bad("%s: may be %s now", where, t)
		}
	}
	for _, r := range was.Value.Required {
		if !slices.Contains(now.Value.Required, r) {
			c.bad("%s: %s is not always there any more", where, r)
		}
	}
	for name, p := range was.Value.Properties {
		n := now.Value.Properties[name]
		if n == nil {
			c.bad("%s: the member %s is gone", where, name)
			continue
		}
		c.answer(where+"."+name, p, n)
	}
	c.answer(where+"[]", was.Value.Items, now.Value.Items)
}

// TestBreaksAreSeen is the negative control: each way to break a client, done
// to a copy of the contract, is found.
func TestBreaksAreSeen(t *testing.T) {
	base := filepath.Join("testdata", "contract-1.0.0.yaml")
	if b := breaks(contractFile(t, base), contractFile(t, base)); len(b) > 0 {
		t.Fatalf("the same contract breaks: %v", b)
	}
	for want, change := range map[string]func(*openapi3.T){
		"/api/v1/keys is gone": func(d *openapi3.T) { d.Paths.Delete("/api/v1/keys") },
		"is new and required": func(d *openapi3.T) {
			p := d.Paths.Value("/api/v1/alerts").Get
			p.Parameters = append(p.Parameters, &openapi3.ParameterRef{Value: openapi3.NewQueryParameter("x").WithRequired(true)})
		},
		"the parameter q is gone": func(d *openapi3.T) {
			p := d.Paths.Value("/api/v1/audit/events").Get
			p.Parameters = slices.DeleteFunc(p.Parameters, func(q *openapi3.ParameterRef) bool { return q.Value.Name == "q" })
		},
		"the member title is gone": func(d *openapi3.T) { delete(d.Components.Schemas["Alert"].Value.Properties, "title") },
		"seq is not always there": func(d *openapi3.T) {
			s := d.Components.Schemas["Alert"].Value
			s.Required = slices.DeleteFunc(s.Required, func(r string) bool { return r == "seq" })
		},
		"may be string now": func(d *openapi3.T) {
			d.Components.Schemas["Alert"].Value.Properties["score"].Value.Type = &openapi3.Types{"string"}
		},
		"name is not taken any more": func(d *openapi3.T) { delete(d.Components.Schemas["WebhookCreate"].Value.Properties, "name") },
		"role is required now": func(d *openapi3.T) {
			s := d.Components.Schemas["KeyCreate"].Value
			s.Required = append(s.Required, "role")
		},
		"the value api is not taken": func(d *openapi3.T) { d.Components.Schemas["KeyKind"].Value.Enum = []any{"ingest"} },
		"has no text/csv any more": func(d *openapi3.T) {
			delete(d.Paths.Value("/api/v1/audit/export").Get.Responses.Value("200").Value.Content, "text/csv")
		},
		"operationId listKeys became": func(d *openapi3.T) { d.Paths.Value("/api/v1/keys").Get.OperationID = "other" },
	} {
		changed := contractFile(t, base)
		change(changed)
		if b := strings.Join(breaks(contractFile(t, base), changed), "\n"); !strings.Contains(b, want) {
			t.Errorf("%q is not seen: %s", want, b)
		}
	}
}
