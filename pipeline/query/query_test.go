package query_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// TestParse shows each construct by its canonical form and its meaning.
func TestParse(t *testing.T) {
	f := func(in, canonical, words string) {
		t.Helper()
		q, err := query.Parse(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			return
		}
		if got := q.String(); got != canonical {
			t.Errorf("%s: written again as %s, want %s", in, got, canonical)
		}
		if got := q.Explain(); got != words {
			t.Errorf("%s: explained as %q, want %q", in, got, words)
		}
	}
	f("", "", "every event")
	f("  ", "", "every event")
	// the example of the design
	f(`actor:alice@* action:file.* -country:DE bytes>1MB "free text"`,
		`actor:alice@* action:file.* -country:DE bytes_out>1000000 "free text"`,
		`events where (actor matches "alice@*" and action matches "file.*" and country is not "DE" and bytes_out is greater than 1000000 bytes and some field contains "free text")`)
	// OR binds less tightly than AND, whether AND is written or not
	f("a b OR c AND d", "a b OR c d", `events where ((some field contains "a" and some field contains "b") or (some field contains "c" and some field contains "d"))`)
	f("a (b OR c)", "a (b OR c)", `events where (some field contains "a" and (some field contains "b" or some field contains "c"))`)
	f("NOT (a b)", "-(a b)", `events where not (some field contains "a" and some field contains "b")`)
	f("--a", "--a", `events where some field contains "a"`)
	f("android ORDER NOTE", "android ORDER NOTE", `events where (some field contains "android" and some field contains "ORDER" and some field contains "NOTE")`)
	// aliases, upper case, words for numbers
	f("user:Bob country:de method:post", "actor:Bob country:DE http_method:POST", `events where (actor is "Bob" and country is "DE" and http_method is "POST")`)
	f("severity>=high class:authentication", "severity>=4 class_uid:3002", "events where (severity is at least 4 and class_uid is 3002)")
	// units: decimal, binary, time
	f("bytes_in>=1.5KiB duration>2s", "bytes_in>=1536 duration>2000", "events where (bytes_in is at least 1536 bytes and duration is greater than 2000 ms)")
	f("duration<=250ms duration<1m", "duration<=250 duration<60000", "events where (duration is at most 250 ms and duration is less than 60000 ms)")
	f("status:400..499 status!=404", "status:400..499 -status:404", "events where (status is between 400 and 499 and status is not 404)")
	f("longitude:-10..10 latitude>-5.5", "longitude:-10..10 latitude>-5.5", "events where (longitude is between -10 and 10 and latitude is greater than -5.5)")
	f("bytes:>=5", "bytes_out>=5", "events where bytes_out is at least 5 bytes") // both spellings are in use elsewhere
	// addresses
	f("src_ip:10.0.0.0/8 ip:2001:DB8::1", "src_ip:10.0.0.0/8 src_ip:2001:db8::1", "events where (src_ip is in 10.0.0.0/8 and src_ip is 2001:db8::1)")
	f("src_ip:10.1.2.3/8", "src_ip:10.0.0.0/8", "events where src_ip is in 10.0.0.0/8")
	f("src_ip:10.1.*", "src_ip:10.1.*", `events where src_ip matches "10.1.*"`)
	f("src_ip:::ffff:1.2.3.4", "src_ip:1.2.3.4", "events where src_ip is 1.2.3.4")
	// labels
	f(`label.team:blue labels."a b":"c d" label.k:*`, `label.team:blue label."a b":"c d" label.k:*`,
		`events where (label.team is "blue" and label."a b" is "c d" and label.k is not empty)`)
	// presence
	f("session:* -country:*", "session:* -country:*", "events where (session is not empty and country is empty)")
	f(`actor:""`, `actor:""`, `events where actor is ""`)
	// stars: wild after ":", literal in quotes, after "=" and when escaped
	f(`actor:a**b actor:"a*" actor=a* actor:a\*`, `actor:a*b actor:"a*" actor:"a*" actor:"a*"`,
		`events where (actor matches "a*b" and actor is "a*" and actor is "a*" and actor is "a*")`)
	f(`actor:a\ b* resource:C:\\x`, `actor:a\ b* resource:"C:\\x"`, `events where (actor matches "a b*" and resource is "C:\x")`)
	f(`"say \"hi\" \\"`, `"say \"hi\" \\"`, `events where some field contains "say "hi" \"`)
	f(`\-x 10:30`, `"-x" "10:30"`, `events where (some field contains "-x" and some field contains "10:30")`)
	f(`action:iam:CreateUser`, `action:"iam:CreateUser"`, `events where action is "iam:CreateUser"`)
	// times: what is written stands for the span it names
	f("time:2026-03-01", `time:"2026-03-01"`, "events where time is from 2026-03-01T00:00:00Z until before 2026-03-02T00:00:00Z")
	f("time>2026-03-01", `time>"2026-03-01"`, "events where time is at or after 2026-03-02T00:00:00Z")
	f("-time<=2026-03-01T10:00", `-time<="2026-03-01T10:00"`, "events where time is at or after 2026-03-01T10:01:00Z")
	f("time>=2026-03-01T10:00:00+02:00", `time>="2026-03-01T08:00:00Z"`, "events where time is at or after 2026-03-01T08:00:00Z")
	f("time<2026-03-01T10:00:00.5Z", `time<"2026-03-01T10:00:00.500000000Z"`, "events where time is before 2026-03-01T10:00:00.5Z")
	f("time:2026-03-01..2026-03-02", `time:"2026-03-01T00:00:00.000000000Z..2026-03-02T23:59:59.999999999Z"`,
		"events where time is from 2026-03-01T00:00:00Z until before 2026-03-03T00:00:00Z")
	f("ÄÖÜ 日本", "ÄÖÜ 日本", `events where (some field contains "ÄÖÜ" and some field contains "日本")`)
}

// TestErrors shows that an error points at its place and says what to do.
func TestErrors(t *testing.T) {
	f := func(in string, column int, message, suggestion string) {
		t.Helper()
		q, err := query.Parse(in)
		var e *query.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v, %v; want an error", in, q, err)
			return
		}
		if e.Column != column || !strings.Contains(e.Message, message) || e.Suggestion != suggestion {
			t.Errorf("%s: got %d %q %q; want %d %q %q", in, e.Column, e.Message, e.Suggestion, column, message, suggestion)
		}
	}
	f("actr:alice", 1, `no field "actr"`, "actor")
	f("ä contry:DE", 3, `no field "contry"`, "country") // columns count characters, not bytes
	f("usr_agent:x", 1, `no field "usr_agent"`, "user_agent")
	f("tenant_id:acme", 1, `no field "tenant_id"`, `"tenant_id:acme"`) // a search is one tenant's by its credential
	f("https://x.example/a b", 1, `no field "https"`, `"https://x.example/a"`)
	f("actor: x", 7, "needs a value", "actor:alice@*")
	f("actor>5", 6, "no number", ":")
	f("country:(DE OR FR)", 9, "written out with OR", "country:a OR country:b")
	f("outcome:failed", 9, "success, failure or unknown", "failure")
	f("status:4xx", 8, "no number", "400..499")
	f("status:4*", 8, "no wildcard", "status:500..599")
	f("status>1MB", 8, "no unit", "status:500..599")
	f("bytes>1XB", 7, "takes B, KB", "bytes>1MB")
	f("status:5..4", 8, "ends before it begins", "4..5")
	f("status>1..4", 8, `a range needs ":"`, "status:1..4")
	f("severity:hihg", 10, "is no number and none of", "high")
	f("src_ip:300.1.1.1", 8, "no address and no prefix", "src_ip:10.0.0.0/8")
	f("time>yesterday", 6, "no clock here", "time>=2026-03-01")
	f("time>tomorrow", 6, "is no time", "time>=2026-03-01")
	f("time>1815-06-18", 6, "between 1900 and 2261", "")
	f("(a", 1, "never closed", "")
	f("a)", 2, "closes nothing", "")
	f("()", 1, "empty", "")
	f("( a OR )", 8, "a term is missing", "")
	f("a OR", 5, "a term is missing", "")
	f("OR a", 1, "needs a term on its left", `"OR"`)
	f("a AND", 3, "needs a term on its right", `"AND"`)
	f("AND a", 1, "needs a term on its left", `"AND"`)
	f("NOT", 1, "needs a term on its right", `"NOT"`)
	f("a - b", 3, "needs a term right after it", `"-"`)
	f(`"a`, 1, "never closed", "")
	f(`""`, 1, "empty", "")
	f(`"a"b`, 4, "a space is missing", "")
	f(`a"b`, 2, "quotes", "")
	f(`a\`, 2, "backslash", `\\`)
	f("label:x", 1, "key is missing", "label.<key>")
	f("label.:x", 1, "key is missing", "label.<key>")
	f("a\xff", 2, "UTF-8", "")
	f("a\x00", 2, "NUL", "")
	f("raw:"+strings.Repeat("*a", query.MaxWildcards+1), 5, "wildcards", "")
	f(strings.Repeat("a", query.MaxLen+1), 1, "4097 bytes", "")
	f(strings.Repeat("a ", query.MaxTerms)+"a", 2*query.MaxTerms+1, "more than 64 terms", "")
	f(strings.Repeat("(", query.MaxDepth+1)+"a", query.MaxDepth+1, "nested", "")
	f(strings.Repeat("-", query.MaxDepth+1)+"a", query.MaxDepth+1, "nested", "")
}

// TestFields holds the table to itself: names are unique, every example parses
// and names its own field.
func TestFields(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range query.Fields() {
		for _, n := range append([]string{f.Name}, f.Aliases...) {
			if seen[n] {
				t.Errorf("%s stands for two fields", n)
			}
			seen[n] = true
		}
		q, err := query.Parse(f.Example)
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		n := q.Root
		if not, ok := n.(query.Not); ok {
			n = not.Node
		}
		if term, ok := n.(query.Term); !ok || term.Field.Name != f.Name {
			t.Errorf("the example of %s is about something else: %s", f.Name, f.Example)
		}
		for _, v := range f.Values {
			if _, err := query.Parse(f.Name + ":" + v); err != nil {
				t.Errorf("%s does not take %s: %v", f.Name, v, err)
			}
		}
	}
	if seen["tenant_id"] || seen["tenant"] {
		t.Error("a query can name a tenant")
	}
}

func FuzzParse(f *testing.F) {
	for _, field := range query.Fields() {
		f.Add(field.Example)
	}
	for _, s := range []string{`a (b OR -c) NOT "d \" e"`, `label."a b"=x* bytes:1KB..1MiB`, `time:2026-03-01..2026-03-02T10:00:00.5Z`,
		`((`, `--\-x*y`, `src_ip:::/0`, `a\`, `country:ß*`} {
		f.Add(s)
	}
	equal := cmp.Options{cmpopts.IgnoreFields(query.Field{}, "Doc"), cmpopts.IgnoreUnexported(query.Field{}), cmpopts.EquateComparable(netip.Prefix{})}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := query.Parse(s)
		if err != nil {
			var e *query.Error
			if !errors.As(err, &e) || e.Column < 1 || e.Column > len(s)+1 || e.Message == "" {
				t.Fatalf("%q: bad error %#v", s, err)
			}
			return
		}
		if q.Explain() == "" {
			t.Fatalf("%q is not explained", s)
		}
		again := q.String()
		if len(again) > query.MaxLen {
			return
		}
		q2, err := query.Parse(again)
		if err != nil {
			t.Fatalf("%q was written as %q, which does not parse: %v", s, again, err)
		}
		if d := cmp.Diff(q, q2, equal); d != "" {
			t.Fatalf("%q was written as %q, which means something else: %s", s, again, d)
		}
	})
}
