package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openapiYAML []byte

// specification is openapi.yaml, read once: what is served, and what requests
// are held against.
type specification struct {
	doc  map[string]any
	json []byte
	// compiled keeps what a route's requests may look like: it is the same for
	// every server of the process.
	compiled sync.Map // operationId to *operation
}

// loadSpecification reads the embedded file, which cannot change, once.
var loadSpecification = sync.OnceValues(readSpecification)

func readSpecification() (*specification, error) {
	s := &specification{}
	if err := yaml.Unmarshal(openapiYAML, &s.doc); err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	var err error
	if s.json, err = json.Marshal(s.doc); err != nil {
		return nil, fmt.Errorf("api: openapi.yaml: %w", err)
	}
	return s, nil
}

// follow resolves a "$ref" into the document.
func (s *specification) follow(node map[string]any) (map[string]any, error) {
	ref, ok := node["$ref"].(string)
	if !ok {
		return node, nil
	}
	at := s.doc
	for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		next, ok := at[part].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s leads nowhere", ref)
		}
		at = next
	}
	return s.follow(at)
}

// operation is what a request of r may look like.
func (s *specification) operation(r Route) (*operation, error) {
	key := r.Method + " " + r.Path + " " + r.Operation
	if op, ok := s.compiled.Load(key); ok {
		return op.(*operation), nil
	}
	op, err := s.read(r)
	if err == nil {
		s.compiled.Store(key, op)
	}
	return op, err
}

func (s *specification) read(r Route) (*operation, error) {
	fail := func(err error) (*operation, error) {
		return nil, fmt.Errorf("api: openapi.yaml: %s %s: %w", r.Method, r.Path, err)
	}
	paths, _ := s.doc["paths"].(map[string]any)
	item, _ := paths[r.Path].(map[string]any)
	node, ok := item[strings.ToLower(r.Method)].(map[string]any)
	if !ok {
		return fail(fmt.Errorf("the operation is not in the contract"))
	}
	if node["operationId"] != r.Operation {
		return fail(fmt.Errorf("operationId is %v, the table says %s", node["operationId"], r.Operation))
	}
	op := &operation{query: map[string]*parameter{}, headers: map[string]*parameter{}, path: map[string]*parameter{}, anyQuery: r.Operation == "finishOidc"}
	list, _ := node["parameters"].([]any)
	for _, entry := range list {
		p, err := s.parameter(entry)
		if err != nil {
			return fail(err)
		}
		switch p.in {
		case "query":
			op.query[p.name] = p
		case "header":
			op.headers[p.name] = p
		case "path":
			op.path[p.name] = p
		default:
			return fail(fmt.Errorf("parameter %s is in %q, which is not supported", p.name, p.in))
		}
	}
	body, ok := node["requestBody"].(map[string]any)
	if !ok {
		return op, nil
	}
	op.bodyRequired, _ = body["required"].(bool)
	content, _ := body["content"].(map[string]any)
	media, ok := content["application/json"].(map[string]any)
	if !ok || len(content) != 1 {
		return fail(fmt.Errorf("only JSON bodies are supported"))
	}
	schemaNode, _ := media["schema"].(map[string]any)
	var err error
	if op.body, err = s.compile(schemaNode); err != nil {
		return fail(err)
	}
	return op, nil
}

func (s *specification) parameter(entry any) (*parameter, error) {
	node, ok := entry.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a parameter is no object")
	}
	node, err := s.follow(node)
	if err != nil {
		return nil, err
	}
	p := &parameter{}
	p.name, _ = node["name"].(string)
	p.in, _ = node["in"].(string)
	p.required, _ = node["required"].(bool)
	schemaNode, _ := node["schema"].(map[string]any)
	p.schema, err = s.compile(schemaNode)
	if err != nil {
		return nil, fmt.Errorf("parameter %s: %w", p.name, err)
	}
	if p.schema.kind("array") && node["explode"] != false {
		return nil, fmt.Errorf("parameter %s: lists are separated by commas: want explode: false", p.name)
	}
	return p, nil
}
