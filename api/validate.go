package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
)

const (
	maxBody  = 1 << 20 // bytes
	maxDepth = 16      // of JSON
)

// operation is what a request may look like.
type operation struct {
	query, headers, path map[string]*parameter
	body                 *schema
	bodyRequired         bool
	anyQuery             bool // others decide what is in the query
}

type parameter struct {
	name, in string
	required bool
	schema   *schema
}

// check holds the written form of a parameter against its schema.
func (p *parameter) check(v string, errs *[]rest.FieldError) {
	s := p.schema
	switch {
	case s.kind("array"):
		parts := strings.Split(v, ",")
		list := make([]any, len(parts))
		for i, part := range parts {
			list[i] = part
		}
		s.check(p.name, list, errs)
	case s.kind("integer") || s.kind("number"):
		if !json.Valid([]byte(v)) || strings.TrimSpace(v) != v || v == "" || strings.ContainsAny(v[:1], `"[{tfn`) {
			*errs = append(*errs, rest.FieldError{Field: p.name, Message: "has to be a number"})
			return
		}
		s.check(p.name, json.Number(v), errs)
	case s.kind("boolean"):
		if v != "true" && v != "false" {
			*errs = append(*errs, rest.FieldError{Field: p.name, Message: "has to be true or false"})
		}
	default:
		s.check(p.name, v, errs)
	}
}

// validate holds a request against the contract. It leaves the body readable
// and returns the tenant that the body names, nil when it names none.
func (op *operation) validate(c *gin.Context) (tenant *string, err error) {
	var errs []rest.FieldError
	query := c.Request.URL.Query()
	if strings.Contains(c.Request.URL.RawQuery, ";") {
		return nil, newProblem(kindBadRequest, "the query holds a \";\": parameters are joined by &, and a ; is written %%3B")
	}
	for name, values := range query {
		p, ok := op.query[name]
		switch {
		case !ok && name == "tenant_id":
			return nil, newProblem(kindTenantGiven, "tenant_id does not belong into the query here; a write names it in the body.")
		case !ok && op.anyQuery:
		case !ok:
			errs = append(errs, unknown(name, op.query))
		case len(values) > 1:
			errs = append(errs, rest.FieldError{Field: name, Message: "is given more than once"})
		default:
			p.check(values[0], &errs)
		}
	}
	for name, p := range op.query {
		if p.required && !query.Has(name) {
			errs = append(errs, rest.FieldError{Field: name, Message: "is missing"})
		}
	}
	for name, p := range op.headers {
		values := c.Request.Header.Values(name)
		switch {
		case len(values) > 1:
			errs = append(errs, rest.FieldError{Field: name, Message: "is given more than once"})
		case len(values) == 1:
			p.check(values[0], &errs)
		case p.required:
			errs = append(errs, rest.FieldError{Field: name, Message: "is missing"})
		}
	}
	for name, p := range op.path {
		p.check(c.Param(name), &errs)
	}
	tenant, err = op.validateBody(c, &errs)
	if err != nil {
		return nil, err
	}
	if len(errs) == 0 {
		return tenant, nil
	}
	slices.SortStableFunc(errs, func(a, b rest.FieldError) int { return strings.Compare(a.Field, b.Field) })
	p := newProblem(kindBadRequest, "%s %s", errs[0].Field, errs[0].Message)
	if len(errs) > 1 {
		p.detail += fmt.Sprintf(", and %d more", len(errs)-1)
	}
	p.errors = errs
	return nil, p
}

func (op *operation) validateBody(c *gin.Context, errs *[]rest.FieldError) (tenant *string, err error) {
	b, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, newProblem(kindTooLarge, "The body has more than %d bytes.", large.Limit)
		}
		return nil, newProblem(kindBadRequest, "the body could not be read")
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(b))
	c.Request.ContentLength = int64(len(b))
	switch {
	case op.body == nil && len(b) > 0:
		return nil, newProblem(kindBadRequest, "this takes no body")
	case op.body == nil, len(b) == 0 && !op.bodyRequired:
		return nil, nil
	case len(b) == 0:
		return nil, newProblem(kindBadRequest, "the body is missing")
	}
	if media, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || media != "application/json" {
		return nil, newProblem(kindMediaType, "Send the body as application/json.")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	v, err := decode(dec, 0)
	if err == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("there is something after the value")
		}
	}
	if err != nil {
		return nil, newProblem(kindBadRequest, "the body is no valid JSON: %s", err)
	}
	op.body.check("", v, errs)
	if m, ok := v.(map[string]any); ok {
		if t, ok := m["tenant_id"]; ok {
			s, _ := t.(string) // anything else was found wrong above
			return &s, nil
		}
	}
	return nil, nil
}

// decode reads one value and refuses members that are there twice, so that no
// two readers of one body can see two different tenants in it.
func decode(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("it is nested too deeply")
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	d, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if d == '[' {
		list := []any{}
		for dec.More() {
			v, err := decode(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		return list, err
	}
	object := map[string]any{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("%q is there twice", name)
		}
		if object[name], err = decode(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err = dec.Token()
	return object, err
}
