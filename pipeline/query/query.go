// Package query is the audit query language: one parser for the API, the user
// interface and the command line.
//
//	actor:alice@* action:file.* -country:DE bytes>1MB outcome:failure "free text" label.team:blue src_ip:10.0.0.0/8
//
// Terms side by side must all match (AND); OR and parentheses group; "-" or
// NOT turns a term round. A value after ":" may hold "*" for any characters;
// in quotes, and after "=", a star is a star. "field:*" means the field is not
// empty. Numbers compare with = != > >= < <= and lo..hi, sizes take units
// (KB, MiB, …), durations ms, s, m, h (bare numbers are milliseconds), times
// RFC 3339, a date, or relative to now (time:-24h, time>=now-7d, time:today,
// with s, m, h, d and w). Fields compare exactly, free text ignores case.
// A backslash takes the character after it literally.
//
// Invariant: what Parse accepts is bounded (MaxLen, MaxDepth, MaxTerms,
// MaxWildcards) and Parse(q.String()) is q again. The package is pure. It must
// not know how a store executes a query, and a query must never be able to
// name a tenant: there is no such field.
package query

import (
	"fmt"
	"net/netip"
	"time"
)

// The limits of one query.
const (
	MaxLen       = 4096 // bytes
	MaxDepth     = 32   // nested parentheses and negations
	MaxTerms     = 64   // terms and free texts
	MaxWildcards = 8    // stars in one value
)

// Query is one parsed query. Root is nil for the empty one, which matches
// everything. It is immutable.
type Query struct{ Root Node }

// IsEmpty reports whether q matches everything because it says nothing. A nil
// query is empty.
func (q *Query) IsEmpty() bool { return q == nil || q.Root == nil }

// Node is And, Or, Not, Term or Text.
type Node interface{ node() }

// And matches when every node does; it has at least two.
type And []Node

// Or matches when one node does; it has at least two.
type Or []Node

// Not matches when its node does not: a negated field also matches records in
// which the field is empty.
type Not struct{ Node Node }

// Text is free text, looked for in several fields whatever its case.
type Text struct{ Pattern Pattern }

// Term compares one field.
type Term struct {
	Field Field
	Key   string // the label's key when Field.Type is Labels
	Op    Op
	Value Value
}

func (And) node()  {}
func (Or) node()   {}
func (Not) node()  {}
func (Text) node() {}
func (Term) node() {}

// Op is how a Term compares.
type Op uint8

// The operations. Which part of Value they use depends on the field's type:
// text, labels and outcome Value.Pattern; numbers, sizes and durations
// Value.Low (and High for Range); times [Value.From, Value.To), the span that
// the written time stands for; addresses Value.Prefix, or Pattern when it has
// wildcards.
const (
	Equal     Op = iota // the value, or the pattern
	Exists              // the field is not empty
	Less                // for times: before From
	LessEqual           // for times: before To
	Greater             // for times: at or after To
	GreaterEqual
	Range // Low to High, both included; for times From (included) to To (excluded)
)

// Value is the right side of a Term; see Op for which part counts.
type Value struct {
	Pattern   Pattern
	Low, High float64
	From, To  time.Time
	Prefix    netip.Prefix // invalid when Pattern is used
}

// Pattern is text with any characters allowed between its parts: one part is
// that very text, {"a", ""} is everything that begins with a.
type Pattern struct{ Parts []string }

// Literal reports whether the pattern has no wildcard, and the text.
func (p Pattern) Literal() (string, bool) {
	if len(p.Parts) == 1 {
		return p.Parts[0], true
	}
	return "", false
}

// Any reports whether the pattern is a lone star.
func (p Pattern) Any() bool { return len(p.Parts) == 2 && p.Parts[0] == "" && p.Parts[1] == "" }

// Error says where a query is wrong and what may have been meant.
type Error struct {
	Column     int    // in characters, from 1
	Message    string // one sentence without its full stop
	Suggestion string // a replacement for what stands at Column, or ""
}

// Error is the column, the message and the suggestion in one line.
func (e *Error) Error() string {
	if e.Suggestion != "" {
		return fmt.Sprintf("column %d: %s; did you mean %s?", e.Column, e.Message, e.Suggestion)
	}
	return fmt.Sprintf("column %d: %s", e.Column, e.Message)
}
