package query

import (
	"errors"
	"net/netip"
	"strings"
)

// Is is the query for events whose field has exactly this value: "label.<key>"
// names a label. An empty value or a field that does not compare as text is an
// error.
func Is(field, value string) (*Query, error) {
	name, key, _ := strings.Cut(field, ".")
	f, ok := Lookup(name)
	if !ok || value == "" || (f.Type == TypeLabels) != (key != "") {
		return nil, errors.New("query: there is no such field, or no value: " + field)
	}
	t := Term{Field: f, Key: key, Op: Equal}
	switch f.Type {
	case TypeText, TypeLabels, TypeOutcome:
		t.Value.Pattern = Pattern{[]string{value}}
	case TypeAddress:
		a, err := netip.ParseAddr(value)
		if err != nil { // an address the sender wrote in its own way
			t.Value.Pattern = Pattern{[]string{value}}
			break
		}
		t.Value.Prefix = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
	default:
		return nil, errors.New("query: " + field + " is not compared as text")
	}
	return &Query{t}, nil
}

// All is the query for events that every one of the queries matches; nil and
// empty ones ask for nothing.
func All(qs ...*Query) *Query {
	var nodes And
	for _, q := range qs {
		if q.IsEmpty() {
			continue
		}
		if and, ok := q.Root.(And); ok {
			nodes = append(nodes, and...)
		} else {
			nodes = append(nodes, q.Root)
		}
	}
	switch len(nodes) {
	case 0:
		return &Query{}
	case 1:
		return &Query{nodes[0]}
	}
	return &Query{nodes}
}
