package query

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Parse reads a query. Every error is an *Error. A time that is relative to
// now is one of them, since there is no clock here: see ParseAt.
func Parse(s string) (*Query, error) { return ParseAt(s, time.Time{}) }

// ParseAt is Parse for somebody who asks at the time now: "time:-24h",
// "time>=now-7d", "time:today" and "time:yesterday" are taken from there, in
// UTC, and become absolute in the query.
func ParseAt(s string, now time.Time) (*Query, error) {
	if len(s) > MaxLen {
		return nil, &Error{Column: 1, Message: fmt.Sprintf("the query has %d bytes: at most %d are allowed", len(s), MaxLen)}
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return nil, &Error{Column: utf8.RuneCountInString(s[:i]) + 1, Message: "the query is not valid UTF-8"}
			}
		}
		if r == 0 {
			return nil, &Error{Column: utf8.RuneCountInString(s[:i]) + 1, Message: "the query holds a NUL character"}
		}
	}
	p := &parser{src: s, now: now.UTC()}
	p.space()
	if p.end() {
		return &Query{}, nil
	}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.end() { // or stops early only at a ")"
		return nil, p.errorAt(p.pos, "this \")\" closes nothing")
	}
	return &Query{Root: n}, nil
}

type parser struct {
	src   string
	now   time.Time // zero: relative times are errors
	pos   int
	depth int
	terms int
}

func (p *parser) end() bool { return p.pos >= len(p.src) }

func (p *parser) peek() rune {
	r, _ := utf8.DecodeRuneInString(p.src[p.pos:])
	return r
}

func (p *parser) space() {
	for !p.end() && unicode.IsSpace(p.peek()) {
		_, n := utf8.DecodeRuneInString(p.src[p.pos:])
		p.pos += n
	}
}

func (p *parser) errorAt(pos int, format string, args ...any) *Error {
	return &Error{Column: utf8.RuneCountInString(p.src[:pos]) + 1, Message: fmt.Sprintf(format, args...)}
}

func (p *parser) suggest(pos int, suggestion, format string, args ...any) *Error {
	e := p.errorAt(pos, format, args...)
	e.Suggestion = suggestion
	return e
}

// keyword reports whether the bare word w stands here.
func (p *parser) keyword(w string) bool {
	rest, ok := strings.CutPrefix(p.src[p.pos:], w)
	if !ok {
		return false
	}
	if rest == "" {
		return true
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return unicode.IsSpace(r) || r == '(' || r == ')' || r == '"'
}

func (p *parser) enter(pos int) *Error {
	if p.depth++; p.depth > MaxDepth {
		return p.errorAt(pos, "the query is nested more than %d deep", MaxDepth)
	}
	return nil
}

func (p *parser) or() (Node, error) {
	var nodes Or
	for {
		n, err := p.and()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		if p.end() || !p.keyword("OR") {
			break
		}
		p.pos += len("OR")
		p.space()
	}
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	return nodes, nil
}

func (p *parser) and() (Node, error) {
	var nodes And
	joined := -1 // where an AND waits for its right side
	for {
		p.space()
		switch {
		case p.end() || p.peek() == ')' || p.keyword("OR"):
			if joined >= 0 {
				return nil, p.suggest(joined, `"AND"`, "AND needs a term on its right")
			}
			if len(nodes) == 0 {
				if !p.end() && p.keyword("OR") {
					return nil, p.suggest(p.pos, `"OR"`, "OR needs a term on its left")
				}
				return nil, p.errorAt(p.pos, "a term is missing here")
			}
			if len(nodes) == 1 {
				return nodes[0], nil
			}
			return nodes, nil
		case p.keyword("AND"):
			if joined >= 0 || len(nodes) == 0 {
				return nil, p.suggest(p.pos, `"AND"`, "AND needs a term on its left")
			}
			joined = p.pos
			p.pos += len("AND")
		default:
			n, err := p.unary()
			if err != nil {
				return nil, err
			}
			nodes, joined = append(nodes, n), -1
		}
	}
}

func (p *parser) unary() (Node, error) {
	start := p.pos
	not := p.peek() == '-'
	switch {
	case not:
		p.pos++
		if p.end() || unicode.IsSpace(p.peek()) || p.peek() == ')' {
			return nil, p.suggest(start, `"-"`, "\"-\" needs a term right after it")
		}
	case p.keyword("NOT"):
		not = true
		p.pos += len("NOT")
		p.space()
		if p.end() || p.peek() == ')' || p.keyword("AND") || p.keyword("OR") {
			return nil, p.suggest(start, `"NOT"`, "NOT needs a term on its right")
		}
	}
	if !not {
		return p.primary()
	}
	if err := p.enter(start); err != nil {
		return nil, err
	}
	n, err := p.unary()
	p.depth--
	if err != nil {
		return nil, err
	}
	return Not{n}, nil
}

func (p *parser) primary() (Node, error) {
	start := p.pos
	if p.peek() == '(' {
		if err := p.enter(start); err != nil {
			return nil, err
		}
		p.pos++
		p.space()
		if !p.end() && p.peek() == ')' {
			return nil, p.errorAt(start, "these parentheses are empty")
		}
		n, err := p.or()
		if err != nil {
			return nil, err
		}
		if p.end() {
			return nil, p.errorAt(start, "this \"(\" is never closed")
		}
		p.pos++
		p.depth--
		return n, nil
	}
	if p.terms++; p.terms > MaxTerms {
		return nil, p.errorAt(start, "the query has more than %d terms", MaxTerms)
	}
	name, key, op, ok, err := p.field()
	if err != nil {
		return nil, err
	}
	if ok {
		return p.term(start, name, key, op)
	}
	pat, _, err := p.word("free text", true)
	if err != nil {
		return nil, err
	}
	if t, literal := pat.Literal(); literal && t == "" {
		return nil, p.errorAt(start, "the text to look for is empty")
	}
	return Text{pat}, nil
}

// field reads "name op" if it stands here, and leaves the position alone if
// not. Labels are label.key or label."any key".
func (p *parser) field() (name, key, op string, ok bool, err error) {
	start := p.pos
	i := start
	for i < len(p.src) && isNameByte(p.src[i], i == start) {
		i++
	}
	if i == start {
		return "", "", "", false, nil
	}
	name = p.src[start:i]
	if root, rest, dotted := strings.Cut(name, "."); dotted && (strings.EqualFold(root, "label") || strings.EqualFold(root, "labels")) {
		name, key = root, rest
		if key == "" && i < len(p.src) && p.src[i] == '"' {
			p.pos = i
			if key, err = p.quoted(); err != nil {
				return "", "", "", false, err
			}
			i, p.pos = p.pos, start
		}
		if op = operator(p.src[i:]); op != "" && key == "" {
			return "", "", "", false, p.suggest(start, "label.<key>", "the label's key is missing")
		}
	}
	if op = operator(p.src[i:]); op == "" {
		return "", "", "", false, nil
	}
	p.pos = i + len(op)
	return name, key, op, true, nil
}

func isNameByte(c byte, first bool) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
		return true
	case c >= '0' && c <= '9', c == '.', c == '-', c == '@', c == '/':
		return !first
	}
	return false
}

// operator is the comparison at the begin of s, or "".
func operator(s string) string {
	for _, op := range [...]string{">=", "<=", "!=", ":", "=", ">", "<"} {
		if strings.HasPrefix(s, op) {
			return op
		}
	}
	return ""
}

// word reads a quoted text or a bare word up to a space or parenthesis. Stars
// are wildcards in a bare word when wild is true.
func (p *parser) word(what string, wild bool) (pat Pattern, quoted bool, err error) {
	start := p.pos
	var b strings.Builder
	if p.peek() == '"' {
		text, err := p.quoted()
		if err != nil {
			return Pattern{}, true, err
		}
		if !p.end() && !unicode.IsSpace(p.peek()) && p.peek() != ')' {
			return Pattern{}, true, p.errorAt(p.pos, "a space is missing after the closing quote")
		}
		return Pattern{[]string{text}}, true, nil
	}
	for !p.end() {
		r, n := utf8.DecodeRuneInString(p.src[p.pos:])
		if unicode.IsSpace(r) || r == ')' {
			break
		}
		switch {
		case r == '(' || r == '"':
			return Pattern{}, false, p.errorAt(p.pos, "put the %s in quotes, or a backslash before this %c", what, r)
		case r == '\\':
			p.pos += n
			if p.end() {
				return Pattern{}, false, p.suggest(p.pos-1, `\\`, "a backslash needs a character after it")
			}
			r, n = utf8.DecodeRuneInString(p.src[p.pos:])
		case r == '*' && wild:
			p.pos += n
			if b.Len() > 0 || len(pat.Parts) == 0 { // several stars in a row are one
				pat.Parts = append(pat.Parts, b.String())
				b.Reset()
			}
			if len(pat.Parts) > MaxWildcards {
				return Pattern{}, false, p.errorAt(start, "the %s has more than %d wildcards", what, MaxWildcards)
			}
			continue
		}
		b.WriteRune(r)
		p.pos += n
	}
	pat.Parts = append(pat.Parts, b.String())
	return pat, false, nil
}

// quoted reads a text in quotes; a backslash takes the next character as it is.
func (p *parser) quoted() (string, error) {
	start := p.pos
	p.pos++
	var b strings.Builder
	for !p.end() {
		r, n := utf8.DecodeRuneInString(p.src[p.pos:])
		p.pos += n
		if r == '"' {
			return b.String(), nil
		}
		if r == '\\' {
			if p.end() {
				break
			}
			r, n = utf8.DecodeRuneInString(p.src[p.pos:])
			p.pos += n
		}
		b.WriteRune(r)
	}
	return "", p.errorAt(start, "this quote is never closed")
}
