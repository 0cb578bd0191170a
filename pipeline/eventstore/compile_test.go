package eventstore

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// TestCompile shows the statement and the parameters of each kind of term.
func TestCompile(t *testing.T) {
	f := func(in, cond string, args ...string) {
		t.Helper()
		q, err := query.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		got, bound, err := compile(q)
		if err != nil {
			t.Fatal(err)
		}
		if got != cond {
			t.Errorf("%s:\n got %s\nwant %s", in, got, cond)
		}
		if len(bound) != len(args) {
			t.Fatalf("%s: %d parameters, want %d", in, len(bound), len(args))
		}
		for i, want := range args {
			p := bound[i].(driver.NamedValue)
			if p.Name != fmt.Sprintf("q%d", i) || p.Value != want {
				t.Errorf("%s: parameter %d is %s = %v, want %s", in, i, p.Name, p.Value, want)
			}
		}
	}
	f("", "1")
	f("*", "1")
	f("actor:alice", "actor = {q0:String}", "alice")
	f(`actor:a_%\\*b`, "actor LIKE {q0:String}", `a\_\%\\%b`)
	f("-country:de", "NOT (country = {q0:String})", "DE")
	f("a* OR session:* outcome:failure", "((raw ILIKE {q0:String} OR actor ILIKE {q0:String} OR action ILIKE {q0:String} OR resource ILIKE {q0:String}) OR (session != '' AND outcome = {q1:String}))", "%a%%", "failure")
	f("alice", "(positionCaseInsensitive(raw, {q0:String}) > 0 OR positionCaseInsensitive(actor, {q0:String}) > 0 OR positionCaseInsensitive(action, {q0:String}) > 0 OR positionCaseInsensitive(resource, {q0:String}) > 0)", "alice")
	f("bytes>1MB status:400..499", "(bytes_out > {q0:Int64} AND (status >= {q1:Int64} AND status <= {q2:Int64}))", "1000000", "400", "499")
	f("duration<=1.5 asn:*", "(duration <= {q0:Float64} AND asn != 0)", "1.5")
	f("latitude<10 longitude:*", "((has_position AND latitude < {q0:Int64}) AND has_position)", "10")
	f("label.k:v", "labels[{q0:String}] = {q1:String}", "k", "v")
	f("label.k:*", "mapContains(labels, {q0:String})", "k")
	f("src_ip:10.0.0.0/8", "(src_ip != '' AND position(src_ip, ':') = 0 AND toIPv6OrDefault(src_ip) >= {q0:IPv6} AND toIPv6OrDefault(src_ip) <= {q1:IPv6})", "::ffff:10.0.0.0", "::ffff:10.255.255.255")
	f("src_ip:2001:db8::/33", "(src_ip != '' AND position(src_ip, ':') > 0 AND toIPv6OrDefault(src_ip) >= {q0:IPv6} AND toIPv6OrDefault(src_ip) <= {q1:IPv6})", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff")
	f("src_ip:10.0.0.1", "src_ip = {q0:String}", "10.0.0.1")
	f("time>1970-01-01", "time >= fromUnixTimestamp64Nano({q0:Int64})", "86400000000000")
	f("ingested_at:1969-12-31", "(ingested_at >= fromUnixTimestamp64Nano({q0:Int64}) AND ingested_at < fromUnixTimestamp64Nano({q1:Int64}))", "-86400000000000", "0")
}

// FuzzCompile holds the promise that nothing a user writes reaches the
// statement: what remains of it without the parameters and the names of
// columns is our own few words.
func FuzzCompile(f *testing.F) {
	for _, field := range query.Fields() {
		f.Add(field.Example)
	}
	f.Add(`actor:"'; DROP TABLE events --" OR label."')]":"{q0:String}" -"x') OR 1=1"`)
	words := regexp.MustCompile(`^(?:\{q[0-9]+:(?:String|Int64|Float64|IPv6)\}|AND|OR|NOT|LIKE|ILIKE|positionCaseInsensitive(?:UTF8)?|position|toIPv6OrDefault|fromUnixTimestamp64Nano|mapContains|has_position|labels|''|':'|[01]|[ (),=<>!\[\]]|` +
		strings.Join(columns(), "|") + `)*$`)
	f.Fuzz(func(t *testing.T, s string) {
		q, err := query.Parse(s)
		if err != nil {
			return
		}
		cond, args, err := compile(q)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if !words.MatchString(cond) {
			t.Fatalf("%q: foreign text in %s", s, cond)
		}
		for i := range args {
			if !strings.Contains(cond, fmt.Sprintf("{q%d:", i)) {
				t.Fatalf("%q: parameter %d is bound and not used", s, i)
			}
		}
	})
}

func columns() []string {
	var names []string
	for _, f := range query.Fields() {
		names = append(names, f.Name)
	}
	return names
}
