package eventstore

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// freeText are the columns in which free text is looked for.
var freeText = [...]string{"raw", "actor", "action", "resource"}

// compile turns a query into a condition over the events table and its bound
// parameters, named q0, q1, … and written {q0:Type}: the engine binds them, so
// that whatever a user writes is a value and never a part of the statement.
// The statement around it has to use the same form of parameters. The empty
// query is "1".
func compile(q *query.Query) (cond string, args []any, err error) {
	if q.IsEmpty() {
		return "1", nil, nil
	}
	var c compiler
	cond, err = c.node(q.Root)
	if err != nil {
		return "", nil, fmt.Errorf("compile query: %w", err)
	}
	return cond, c.args, nil
}

type compiler struct{ args []any }

// bind adds a parameter and returns its place in the statement. Values go as
// text, which the engine reads as the type that stands in the statement.
func (c *compiler) bind(kind, value string) string {
	name := "q" + strconv.Itoa(len(c.args))
	c.args = append(c.args, clickhouse.Named(name, value))
	return "{" + name + ":" + kind + "}"
}

func (c *compiler) node(n query.Node) (string, error) {
	switch n := n.(type) {
	case query.And:
		return c.all(n, " AND ")
	case query.Or:
		return c.all(n, " OR ")
	case query.Not:
		s, err := c.node(n.Node)
		return "NOT (" + s + ")", err
	case query.Text:
		return c.text(n.Pattern), nil
	case query.Term:
		return c.term(n)
	}
	return "", fmt.Errorf("unknown node %T", n)
}

func (c *compiler) all(nodes []query.Node, join string) (string, error) {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		s, err := c.node(n)
		if err != nil {
			return "", err
		}
		parts[i] = s
	}
	return "(" + strings.Join(parts, join) + ")", nil
}

func (c *compiler) text(p query.Pattern) string {
	if p.Any() {
		return "1"
	}
	parts := make([]string, len(freeText))
	if needle, literal := p.Literal(); literal {
		position := "positionCaseInsensitive" // several times as fast, and the same for ASCII
		if strings.ContainsFunc(needle, func(r rune) bool { return r >= 0x80 }) {
			position = "positionCaseInsensitiveUTF8"
		}
		bound := c.bind("String", needle)
		for i, column := range freeText {
			parts[i] = position + "(" + column + ", " + bound + ") > 0"
		}
	} else {
		bound := c.bind("String", "%"+like(p)+"%")
		for i, column := range freeText {
			parts[i] = column + " ILIKE " + bound
		}
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// like writes a pattern for LIKE.
func like(p query.Pattern) string {
	escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
	parts := make([]string, len(p.Parts))
	for i, s := range p.Parts {
		parts[i] = escape.Replace(s)
	}
	return strings.Join(parts, "%")
}

func (c *compiler) term(t query.Term) (string, error) {
	column := t.Field.Name // from the table of fields, never from the user
	switch t.Field.Type {
	case query.TypeText, query.TypeOutcome:
		if t.Op == query.Exists {
			return column + " != ''", nil
		}
		return c.match(column, t.Value.Pattern), nil
	case query.TypeLabels:
		key := c.bind("String", t.Key)
		if t.Op == query.Exists {
			return "mapContains(labels, " + key + ")", nil
		}
		return c.match("labels["+key+"]", t.Value.Pattern), nil
	case query.TypeAddress:
		return c.address(t), nil
	case query.TypeTime:
		return c.time(t)
	case query.TypeNumber, query.TypeBytes, query.TypeDuration:
		return c.number(t)
	}
	return "", fmt.Errorf("field %s has the unknown type %q", t.Field.Name, t.Field.Type)
}

func (c *compiler) match(column string, p query.Pattern) string {
	if s, literal := p.Literal(); literal {
		return column + " = " + c.bind("String", s)
	}
	return column + " LIKE " + c.bind("String", like(p))
}

// address compares src_ip, a canonical text that may be empty. A prefix is a
// range in the order of IPv6, where IPv4 lies at ::ffff:0:0/96.
func (c *compiler) address(t query.Term) string {
	p := t.Value.Prefix
	switch {
	case t.Op == query.Exists:
		return "src_ip != ''"
	case !p.IsValid():
		return c.match("src_ip", t.Value.Pattern)
	case p.IsSingleIP():
		return "src_ip = " + c.bind("String", p.Addr().String())
	}
	family := "position(src_ip, ':') = 0"
	if p.Addr().Is6() { // ::/0 is every IPv6 address and no IPv4 one
		family = "position(src_ip, ':') > 0"
	}
	return fmt.Sprintf("(src_ip != '' AND %s AND toIPv6OrDefault(src_ip) >= %s AND toIPv6OrDefault(src_ip) <= %s)", family,
		c.bind("IPv6", mapped(p.Addr())), c.bind("IPv6", mapped(last(p))))
}

func mapped(a netip.Addr) string { return netip.AddrFrom16(a.As16()).String() }

// last is the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// instant binds nanoseconds since 1970 rather than a written time: those the
// engine reads the same in every zone, before 1970 too.
func (c *compiler) instant(at time.Time) string {
	return "fromUnixTimestamp64Nano(" + c.bind("Int64", strconv.FormatInt(at.UnixNano(), 10)) + ")"
}

func (c *compiler) time(t query.Term) (string, error) {
	column := t.Field.Name
	switch t.Op {
	case query.Exists:
		return "1", nil // every record has its times
	case query.Equal, query.Range:
		return "(" + column + " >= " + c.instant(t.Value.From) + " AND " + column + " < " + c.instant(t.Value.To) + ")", nil
	case query.Less:
		return column + " < " + c.instant(t.Value.From), nil
	case query.LessEqual:
		return column + " < " + c.instant(t.Value.To), nil
	case query.Greater:
		return column + " >= " + c.instant(t.Value.To), nil
	case query.GreaterEqual:
		return column + " >= " + c.instant(t.Value.From), nil
	}
	return "", fmt.Errorf("field %s: unknown operation %d", column, t.Op)
}

var comparison = map[query.Op]string{query.Equal: " = ", query.Less: " < ", query.LessEqual: " <= ", query.Greater: " > ", query.GreaterEqual: " >= "}

func (c *compiler) number(t query.Term) (string, error) {
	column := t.Field.Name
	position := column == "latitude" || column == "longitude" // 0 is a place there, and also what an unknown one is stored as
	var cond string
	switch op, ok := comparison[t.Op]; {
	case t.Op == query.Exists && position:
		return "has_position", nil
	case t.Op == query.Exists:
		return column + " != 0", nil
	case t.Op == query.Range:
		cond = "(" + column + " >= " + c.float(t.Value.Low) + " AND " + column + " <= " + c.float(t.Value.High) + ")"
	case ok:
		cond = column + op + c.float(t.Value.Low)
	default:
		return "", fmt.Errorf("field %s: unknown operation %d", column, t.Op)
	}
	if position {
		cond = "(has_position AND " + cond + ")"
	}
	return cond, nil
}

// float binds a whole number as one, so that comparing it with a column of
// whole numbers can use an index.
func (c *compiler) float(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
		return c.bind("Int64", strconv.FormatInt(int64(v), 10))
	}
	return c.bind("Float64", strconv.FormatFloat(v, 'f', -1, 64))
}
