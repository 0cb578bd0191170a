package query

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// String writes q so that Parse reads the same query again, provided the text
// fits MaxLen: what was short for it may need quotes and escapes.
func (q *Query) String() string {
	if q.IsEmpty() {
		return ""
	}
	var b strings.Builder
	write(&b, q.Root)
	return b.String()
}

func write(b *strings.Builder, n Node) {
	switch n := n.(type) {
	case Or:
		for i, c := range n {
			if i > 0 {
				b.WriteString(" OR ")
			}
			_, nested := c.(Or)
			writeGroup(b, c, nested)
		}
	case And:
		for i, c := range n {
			if i > 0 {
				b.WriteByte(' ')
			}
			writeGroup(b, c, isGroup(c))
		}
	case Not:
		b.WriteByte('-')
		writeGroup(b, n.Node, isGroup(n.Node))
	case Text:
		writePattern(b, n.Pattern)
	case Term:
		b.WriteString(n.name())
		writeValue(b, n)
	}
}

func isGroup(n Node) bool {
	switch n.(type) {
	case And, Or:
		return true
	}
	return false
}

func writeGroup(b *strings.Builder, n Node, parentheses bool) {
	if parentheses {
		b.WriteByte('(')
	}
	write(b, n)
	if parentheses {
		b.WriteByte(')')
	}
}

// name is the field as it is written.
func (t Term) name() string {
	if t.Field.Type != TypeLabels {
		return t.Field.Name
	}
	for i := 0; i < len(t.Key); i++ {
		if !isNameByte(t.Key[i], false) {
			return "label." + quote(t.Key)
		}
	}
	return "label." + t.Key
}

var opText = map[Op]string{Equal: ":", Range: ":", Exists: ":*", Less: "<", LessEqual: "<=", Greater: ">", GreaterEqual: ">="}

func writeValue(b *strings.Builder, t Term) {
	b.WriteString(opText[t.Op])
	switch {
	case t.Op == Exists:
	case t.Field.numeric():
		b.WriteString(number(t.Value.Low))
		if t.Op == Range {
			b.WriteString(".." + number(t.Value.High))
		}
	case t.Field.Type == TypeTime && t.Op == Range:
		b.WriteString(quote(instant(t.Value.From, time.Nanosecond) + ".." + instant(t.Value.To.Add(-time.Nanosecond), time.Nanosecond)))
	case t.Field.Type == TypeTime:
		b.WriteString(quote(instant(t.Value.From, t.Value.To.Sub(t.Value.From))))
	case t.Value.Prefix.IsValid():
		b.WriteString(address(t))
	default:
		writePattern(b, t.Value.Pattern)
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func address(t Term) string {
	if t.Value.Prefix.IsSingleIP() {
		return t.Value.Prefix.Addr().String()
	}
	return t.Value.Prefix.String()
}

// instant writes a time with the precision of the span it stands for.
func instant(at time.Time, span time.Duration) string {
	switch {
	case span >= 24*time.Hour:
		return at.Format("2006-01-02")
	case span >= time.Minute:
		return at.Format("2006-01-02T15:04")
	case span >= time.Second:
		return at.Format("2006-01-02T15:04:05Z")
	}
	return at.Format("2006-01-02T15:04:05.000000000Z")
}

// quote puts s in quotes.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// plain reports whether r means itself anywhere in a bare word.
func plain(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

func writePattern(b *strings.Builder, p Pattern) {
	if s, literal := p.Literal(); literal {
		bare := s != "" && s != "AND" && s != "OR" && s != "NOT"
		for i, r := range s {
			if !plain(r) && (i == 0 || !strings.ContainsRune("-./@", r)) {
				bare = false
			}
		}
		if bare {
			b.WriteString(s)
		} else {
			b.WriteString(quote(s))
		}
		return
	}
	for i, part := range p.Parts {
		if i > 0 {
			b.WriteByte('*')
		}
		for j, r := range part {
			if !plain(r) && (i+j == 0 || !strings.ContainsRune("-./@", r)) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
	}
}

// Explain says in words what q matches.
func (q *Query) Explain() string {
	if q.IsEmpty() {
		return "every event"
	}
	return "events where " + explain(q.Root, false)
}

func explain(n Node, not bool) string {
	switch n := n.(type) {
	case And:
		return explainAll(n, "and", not)
	case Or:
		return explainAll(n, "or", not)
	case Not:
		return explain(n.Node, !not)
	case Text:
		return word(not, "no field", "some field") + " contains " + show(n.Pattern)
	case Term:
		return explainTerm(n, not)
	}
	return ""
}

func explainAll(nodes []Node, join string, not bool) string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		parts[i] = explain(n, false)
	}
	s := "(" + strings.Join(parts, " "+join+" ") + ")"
	if not {
		return "not " + s
	}
	return s
}

func word(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}

func show(p Pattern) string { return `"` + strings.Join(p.Parts, "*") + `"` }

func explainTerm(t Term, not bool) string {
	name := t.name()
	low, high := number(t.Value.Low), number(t.Value.High)
	switch t.Field.Type {
	case TypeBytes:
		low, high = low+" bytes", high+" bytes"
	case TypeDuration:
		low, high = low+" ms", high+" ms"
	case TypeTime:
		low, high = t.Value.From.Format(time.RFC3339Nano), t.Value.To.Format(time.RFC3339Nano)
		switch t.Op {
		case Equal, Range:
			return fmt.Sprintf("%s is %sfrom %s until before %s", name, word(not, "not ", ""), low, high)
		case Greater, LessEqual: // both look at the end of the span that was written
			return fmt.Sprintf("%s is %s %s", name, word((t.Op == Greater) != not, "at or after", "before"), high)
		case Less, GreaterEqual:
			return fmt.Sprintf("%s is %s %s", name, word((t.Op == GreaterEqual) != not, "at or after", "before"), low)
		}
	}
	is := word(not, "is not ", "is ")
	switch t.Op {
	case Exists:
		return name + word(not, " is empty", " is not empty")
	case Less:
		return name + " " + is + "less than " + low
	case LessEqual:
		return name + " " + is + "at most " + low
	case Greater:
		return name + " " + is + "greater than " + low
	case GreaterEqual:
		return name + " " + is + "at least " + low
	case Range:
		return fmt.Sprintf("%s %sbetween %s and %s", name, is, low, high)
	}
	switch {
	case t.Field.numeric():
		return name + " " + is + low
	case t.Value.Prefix.IsValid() && !t.Value.Prefix.IsSingleIP():
		return name + " " + is + "in " + address(t)
	case t.Value.Prefix.IsValid():
		return name + " " + is + address(t)
	}
	if _, literal := t.Value.Pattern.Literal(); literal {
		return name + " " + is + show(t.Value.Pattern)
	}
	return name + word(not, " does not match ", " matches ") + show(t.Value.Pattern)
}
