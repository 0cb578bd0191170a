package query

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Want is what a completion is about.
type Want string

// The kinds of completions.
const (
	WantField    Want = "field"    // a field's name, or free text
	WantLabel    Want = "label"    // the key of a label
	WantOperator Want = "operator" // how the field compares
	WantValue    Want = "value"    // a value of the field
)

// Completion says what belongs at a place in a query that is being written.
type Completion struct {
	Want   Want
	Field  Field  // of WantOperator and WantValue
	Key    string // the label's, when Field.Type is Labels
	Prefix string // what stands there so far, without quotes and escapes
	// Start and End are the part of the text that a completion replaces, in
	// characters from 0, End excluded.
	Start, End int
	// Rest is the query without the term that is being written, to narrow the
	// values by; it may not parse.
	Rest string
}

// Complete looks at a query at the position at, in characters from 0; beyond
// its end means its end. Any text will do.
func Complete(s string, at int) Completion {
	runes := []rune(strings.ToValidUTF8(s, "\uFFFD"))
	at = max(0, min(at, len(runes)))
	start, quoted := tokenAt(runes, at)
	end := at
	for end < len(runes) && !quoted && !unicode.IsSpace(runes[end]) && runes[end] != ')' {
		end++
	}
	for quoted && end < len(runes) {
		end++
		if runes[end-1] == '"' {
			break
		}
	}
	c := Completion{Rest: strings.TrimSpace(string(runes[:start]) + " " + string(runes[end:]))}
	for start < at && (runes[start] == '-' || runes[start] == '(') {
		start++
	}
	token := string(runes[start:at])
	name, op, value, hasOp := split(token)
	root, key, dotted := strings.Cut(name, ".")
	isLabel := dotted && (strings.EqualFold(root, "label") || strings.EqualFold(root, "labels"))
	switch {
	case hasOp && isLabel && key != "":
		c.Field, _ = Lookup("label")
		c.Key = strings.Trim(key, `"`)
	case hasOp:
		f, ok := Lookup(name)
		if !ok {
			c.Want, c.Prefix, c.Start, c.End = WantField, token, start, end
			return c
		}
		c.Field = f
	case isLabel:
		c.Want, c.Prefix, c.Start, c.End = WantLabel, strings.Trim(key, `"`), start+utf8.RuneCountInString(root)+1, end
		return c
	default:
		if f, ok := Lookup(name); ok && end == at && f.Name != "label" {
			c.Want, c.Field, c.Prefix, c.Start, c.End = WantOperator, f, name, start, end
			return c
		}
		c.Want, c.Prefix, c.Start, c.End = WantField, token, start, end
		return c
	}
	c.Want = WantValue
	c.Start, c.End = start+utf8.RuneCountInString(name)+len(op), end
	c.Prefix = unquote(value)
	return c
}

// tokenAt finds where the term that holds the position begins, and whether the
// position lies within quotes.
func tokenAt(runes []rune, at int) (start int, quoted bool) {
	for i := 0; i < at; i++ {
		switch r := runes[i]; {
		case r == '\\':
			i++
		case r == '"':
			quoted = !quoted
		case !quoted && (unicode.IsSpace(r) || r == '(' || r == ')'):
			start = i + 1
		}
	}
	return min(start, at), quoted
}

// split cuts a term into name, operator and value.
func split(token string) (name, op, value string, ok bool) {
	inQuotes := false
	for i := 0; i < len(token); i++ {
		if token[i] == '"' {
			inQuotes = !inQuotes
		}
		if inQuotes {
			continue
		}
		if op := operator(token[i:]); op != "" {
			rest := token[i+len(op):]
			if op == ":" {
				if inner := operator(rest); inner != "" && inner != ":" {
					op, rest = op+inner, rest[len(inner):]
				}
			}
			return token[:i], op, rest, i > 0
		}
	}
	return token, "", "", false
}

// unquote is the text that a value means so far.
func unquote(s string) string {
	s = strings.TrimPrefix(s, `"`)
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		} else if s[i] == '"' {
			continue
		}
		b.WriteByte(s[i])
	}
	return strings.TrimRight(b.String(), "*")
}

// Operators are the comparisons a field takes, the most common first.
func (f Field) Operators() []string {
	if f.numeric() || f.Type == TypeTime {
		return []string{":", ">", ">=", "<", "<=", "!="}
	}
	return []string{":", "=", "!="}
}

// Write is a value as it has to be written after an operator, in quotes when
// it would be read as something else.
func Write(value string) string {
	var b strings.Builder
	writePattern(&b, Pattern{[]string{value}})
	return b.String()
}

// WriteLabel is "label.<key>", the key in quotes when it has to be.
func WriteLabel(key string) string { return Term{Field: Field{Type: TypeLabels}, Key: key}.name() }
