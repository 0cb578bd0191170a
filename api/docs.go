package api

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

const policyDocs = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page writes a page of our own.
func (s *Server) page(c *gin.Context, t *template.Template, data any) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		s.fail(c, fmt.Errorf("page %s: %w", t.Name(), err))
		return
	}
	c.Header("Content-Security-Policy", policyDocs)
	c.Header("Cache-Control", "no-cache")
	c.Data(http.StatusOK, "text/html; charset=utf-8", b.Bytes())
}

func (s *Server) openapiHandler(c *gin.Context) {
	c.Set(keyRoute, "/openapi.json")
	c.Header("Cache-Control", "no-cache")
	c.Data(http.StatusOK, "application/json", s.spec.json)
}

func (s *Server) stylesHandler(c *gin.Context) {
	c.Set(keyRoute, "/docs.css")
	c.Header("Cache-Control", "no-cache")
	c.Data(http.StatusOK, "text/css; charset=utf-8", []byte(docsCSS))
}

type docField struct {
	Name, In, Type, Doc string
	Required            bool
}

type docOperation struct {
	Method, Path, ID, Summary, Doc, Permission, Tenancy string
	Fields                                              []docField
	Answers                                             []docField
}

// docsHandler makes a readable page of the contract.
func (s *Server) docsHandler(c *gin.Context) {
	c.Set(keyRoute, "/docs")
	info, _ := s.spec.doc["info"].(map[string]any)
	var ops []docOperation
	for _, r := range routes {
		ops = append(ops, s.spec.describe(r.Route))
	}
	s.page(c, docsPage, map[string]any{"Info": info, "Operations": ops, "Schemas": s.spec.schemas(), "Problems": problemSlugs()})
}

func problemSlugs() (out []string) {
	for _, k := range problemKinds {
		out = append(out, k.slug)
	}
	return out
}

func text(v any) string { s, _ := v.(string); return s }

func (sp *specification) describe(r Route) docOperation {
	paths, _ := sp.doc["paths"].(map[string]any)
	item, _ := paths[r.Path].(map[string]any)
	node, _ := item[strings.ToLower(r.Method)].(map[string]any)
	op := docOperation{Method: r.Method, Path: r.Path, ID: r.Operation, Summary: text(node["summary"]), Doc: text(node["description"]),
		Permission: string(r.Permission), Tenancy: string(r.Tenancy)}
	list, _ := node["parameters"].([]any)
	for _, entry := range list {
		p, _ := entry.(map[string]any)
		if p, err := sp.follow(p); err == nil {
			schema, _ := p["schema"].(map[string]any)
			required, _ := p["required"].(bool)
			op.Fields = append(op.Fields, docField{text(p["name"]), text(p["in"]), sp.typeOf(schema), text(p["description"]), required})
		}
	}
	if body, ok := node["requestBody"].(map[string]any); ok {
		required, _ := body["required"].(bool)
		op.Fields = append(op.Fields, docField{"body", "body", sp.contentType(body), "", required})
	}
	answers, _ := node["responses"].(map[string]any)
	for _, status := range sortedKeys(answers) {
		a, _ := answers[status].(map[string]any)
		if a, err := sp.follow(a); err == nil {
			op.Answers = append(op.Answers, docField{Name: status, Type: sp.contentType(a), Doc: text(a["description"])})
		}
	}
	return op
}

func (sp *specification) contentType(node map[string]any) string {
	content, _ := node["content"].(map[string]any)
	var parts []string
	for _, media := range sortedKeys(content) {
		m, _ := content[media].(map[string]any)
		schema, _ := m["schema"].(map[string]any)
		t := sp.typeOf(schema)
		if !strings.HasSuffix(media, "json") {
			t = media
		}
		parts = append(parts, t)
	}
	return strings.Join(parts, " or ")
}

// typeOf is a schema in a word: the name of a shared one, else its type.
func (sp *specification) typeOf(schema map[string]any) string {
	if ref, ok := schema["$ref"].(string); ok {
		return ref[strings.LastIndexByte(ref, '/')+1:]
	}
	switch t := schema["type"].(type) {
	case string:
		if t == "array" {
			items, _ := schema["items"].(map[string]any)
			return "list of " + sp.typeOf(items)
		}
		if enum, ok := schema["enum"].([]any); ok {
			return strings.ReplaceAll(strings.Trim(fmt.Sprint(enum), "[]"), " ", " | ")
		}
		if f := text(schema["format"]); f != "" {
			return t + " (" + f + ")"
		}
		return t
	case []any:
		return strings.ReplaceAll(strings.Trim(fmt.Sprint(t), "[]"), " ", " or ")
	}
	return ""
}

type docSchema struct {
	Name, Doc, Type string
	Fields          []docField
}

func (sp *specification) schemas() (out []docSchema) {
	components, _ := sp.doc["components"].(map[string]any)
	all, _ := components["schemas"].(map[string]any)
	for _, name := range sortedKeys(all) {
		node, _ := all[name].(map[string]any)
		d := docSchema{Name: name, Doc: text(node["description"]), Type: sp.typeOf(node)}
		required, _ := node["required"].([]any)
		properties, _ := node["properties"].(map[string]any)
		for _, p := range sortedKeys(properties) {
			v, _ := properties[p].(map[string]any)
			d.Fields = append(d.Fields, docField{Name: p, Type: sp.typeOf(v), Doc: text(v["description"]), Required: slices.Contains(required, any(p))})
		}
		out = append(out, d)
	}
	return out
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

var docsPage = template.Must(template.New("docs").Funcs(template.FuncMap{"lower": strings.ToLower}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Info.title}}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="/docs.css"></head>
<body><nav aria-label="Operations"><strong>{{.Info.title}} {{.Info.version}}</strong><p><a href="/openapi.json">openapi.json</a></p><ul>
{{range .Operations}}<li><a href="#{{.ID}}"><span class="m {{lower .Method}}">{{.Method}}</span> {{.Path}}</a></li>
{{end}}</ul></nav>
<main><h1>{{.Info.title}}</h1><p class="lead">{{.Info.summary}}</p><div class="doc">{{.Info.description}}</div>
{{range .Operations}}<section id="{{.ID}}"><h2><span class="m {{lower .Method}}">{{.Method}}</span> <code>{{.Path}}</code></h2>
<p class="lead">{{.Summary}}</p>{{with .Doc}}<div class="doc">{{.}}</div>{{end}}
{{with .Permission}}<p class="need">Needs <code>{{.}}</code></p>{{end}}
{{if .Fields}}<table><thead><tr><th>Takes</th><th>In</th><th>Type</th><th></th></tr></thead><tbody>
{{range .Fields}}<tr><td><code>{{.Name}}</code>{{if .Required}} <em>required</em>{{end}}</td><td>{{.In}}</td><td>{{.Type}}</td><td>{{.Doc}}</td></tr>
{{end}}</tbody></table>{{end}}
<table><thead><tr><th>Answers</th><th>With</th><th></th></tr></thead><tbody>
{{range .Answers}}<tr><td><code>{{.Name}}</code></td><td>{{.Type}}</td><td>{{.Doc}}</td></tr>
{{end}}</tbody></table></section>
{{end}}<h1>Shapes</h1>
{{range .Schemas}}<section id="shape-{{.Name}}"><h2>{{.Name}}</h2>{{with .Doc}}<div class="doc">{{.}}</div>{{end}}
{{if .Fields}}<table><tbody>{{range .Fields}}<tr><td><code>{{.Name}}</code>{{if .Required}} <em>always</em>{{end}}</td><td>{{.Type}}</td><td>{{.Doc}}</td></tr>
{{end}}</tbody></table>{{else}}<p>{{.Type}}</p>{{end}}</section>
{{end}}<h1>Problems</h1><ul>{{range .Problems}}<li><a href="/problems/{{.}}">{{.}}</a></li>{{end}}</ul>
</main></body></html>
`))

const docsCSS = `:root{color-scheme:light dark;--line:#d9dee5;--soft:#f5f7fa;--dim:#5b6675;--link:#1c5fb8}
@media (prefers-color-scheme:dark){:root{--line:#333a45;--soft:#1b2027;--dim:#9aa5b4;--link:#7db4ff}}
*{box-sizing:border-box}body{margin:0;font:15px/1.55 system-ui,sans-serif;display:flex}
nav{position:sticky;top:0;height:100vh;overflow:auto;flex:0 0 22rem;padding:1.25rem;background:var(--soft);border-right:1px solid var(--line);font-size:13px}
nav ul{list-style:none;padding:0}nav li{margin:.15rem 0;white-space:nowrap}
main{flex:1;min-width:0;max-width:62rem;padding:1.5rem 2.5rem}a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
h1{margin-top:2rem}h2{font-size:1.15rem;margin:2.2rem 0 .3rem}section{border-top:1px solid var(--line)}
.lead{margin:.2rem 0}.doc{white-space:pre-line;color:var(--dim)}.need,.crumb{font-size:13px;color:var(--dim)}
.m{display:inline-block;min-width:3.6em;font:600 11px/1.7 ui-monospace,monospace;text-align:center;border-radius:4px;border:1px solid var(--line)}
.post,.patch{color:#9a5b00}.delete{color:#b3261e}.get{color:#1a7f43}
@media (prefers-color-scheme:dark){.post,.patch{color:#f0b45c}.delete{color:#ff8a80}.get{color:#6fd39a}}
table{width:100%;border-collapse:collapse;margin:.6rem 0;font-size:13.5px}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line)}
th{color:var(--dim);font-weight:600}code{font:13px ui-monospace,monospace}em{color:var(--dim);font-size:12px}
@media (max-width:60rem){body{display:block}nav{position:static;height:auto}main{padding:1rem}}
`
