package query_test

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

func TestComplete(t *testing.T) {
	// "|" is where the writer is
	f := func(in string, want query.Want, field, prefix, replaced, rest string) {
		t.Helper()
		at := 0
		for i, r := range in {
			if r == '|' {
				at = utf8.RuneCountInString(in[:i])
				in = in[:i] + in[i+1:]
				break
			}
		}
		c := query.Complete(in, at)
		got := string([]rune(in)[c.Start:c.End])
		name := c.Field.Name
		if c.Key != "" {
			name += "." + c.Key
		}
		if c.Want != want || name != field || c.Prefix != prefix || got != replaced || c.Rest != rest {
			t.Errorf("%q at %d: %s %q prefix %q replaces %q rest %q; want %s %q %q %q %q", in, at, c.Want, name, c.Prefix, got, c.Rest, want, field, prefix, replaced, rest)
		}
	}
	f("|", query.WantField, "", "", "", "")
	f("act|", query.WantField, "", "act", "act", "")
	f("actor|", query.WantOperator, "actor", "actor", "actor", "")
	f("actor:|", query.WantValue, "actor", "", "", "")
	f("actor:al|", query.WantValue, "actor", "al", "al", "")
	f("actor:al|ice", query.WantValue, "actor", "al", "alice", "")
	f("-country:d| action:login", query.WantValue, "country", "d", "d", "action:login")
	f("(user:a|) x", query.WantValue, "actor", "a", "a", "( ) x")
	f(`action:"file d|`, query.WantValue, "action", "file d", `"file d`, "")
	f("label.te|", query.WantLabel, "", "te", "te", "")
	f("label.team:b|", query.WantValue, "label.team", "b", "b", "")
	f("ä bytes>=1|", query.WantValue, "bytes_out", "1", "1", "ä")
	f("bytes:>1|", query.WantValue, "bytes_out", "1", "1", "")
	f("nofield:x|", query.WantField, "", "nofield:x", "nofield:x", "")
	f("a OR b| c", query.WantField, "", "b", "b", "a OR   c")
}

func TestRelativeTimes(t *testing.T) {
	now := time.Date(2026, 3, 4, 15, 30, 0, 0, time.UTC)
	f := func(in, want string) {
		t.Helper()
		q, err := query.ParseAt(in, now)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			return
		}
		if got := q.String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
		again, err := query.Parse(q.String())
		if err != nil || again.String() != q.String() {
			t.Errorf("%s is not the same when it is read again: %v, %v", in, again, err)
		}
	}
	f("time:today", `time:"2026-03-04"`)
	f("time:yesterday", `time:"2026-03-03"`)
	f("time>=now-7d", `time>="2026-02-25T15:30:00.000000000Z"`)
	f("time<-90m", `time<"2026-03-04T14:00:00.000000000Z"`)
	f("time:-24h", `time:"2026-03-03T15:30:00.000000000Z..2026-03-04T15:30:00.000000000Z"`)
	f("time:now-2w..now-1w", `time:"2026-02-18T15:30:00.000000000Z..2026-02-25T15:30:00.000000000Z"`)
	for _, in := range []string{"time>-24x", "time>-h", "time>now-", "time>now-99999999999h", "time>--1h"} {
		if q, err := query.ParseAt(in, now); err == nil {
			t.Errorf("%s was read as %s", in, q)
		}
	}
}

func TestBuild(t *testing.T) {
	for field, value := range map[string]string{"actor": `a "b" c*`, "src_ip": "203.0.113.7", "label.team": "blue", "resource": "file/1 2"} {
		q, err := query.Is(field, value)
		if err != nil {
			t.Fatal(err)
		}
		again, err := query.Parse(q.String())
		if err != nil || again.String() != q.String() {
			t.Errorf("%s: %s is read as %v, %v", field, q, again, err)
		}
	}
	for field, value := range map[string]string{"actor": "", "nothing": "x", "label": "x", "bytes_out": "1", "tenant_id": "acme"} {
		if q, err := query.Is(field, value); err == nil {
			t.Errorf("%s is %s", field, q)
		}
	}
	a, _ := query.Parse("actor:a action:b")
	b, _ := query.Parse("x OR y")
	if got := query.All(a, nil, &query.Query{}, b).String(); got != "actor:a action:b (x OR y)" {
		t.Error(got)
	}
}

func FuzzComplete(f *testing.F) {
	for _, s := range []string{"", "actor:al", `label."a b":"x`, `-(a OR b\`, "ä:ü", "\xff:"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, s string, at int) {
		c := query.Complete(s, at)
		if n := utf8.RuneCountInString(s); c.Start < 0 || c.Start > c.End || c.End > n || c.Want == "" {
			t.Fatalf("%q at %d: %+v", s, at, c)
		}
	})
}
