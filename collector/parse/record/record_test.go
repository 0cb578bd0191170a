package record

import (
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func TestParseTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	f := func(in string, want string) {
		t.Helper()
		got, err := ParseTime(in, berlin)
		if want == "" {
			if err == nil {
				t.Fatalf("ParseTime(%q) = %s, want an error", in, time.Unix(0, got).UTC())
			}
			return
		}
		if err != nil || time.Unix(0, got).UTC().Format(time.RFC3339Nano) != want {
			t.Fatalf("ParseTime(%q) = %s, %v; want %s", in, time.Unix(0, got).UTC().Format(time.RFC3339Nano), err, want)
		}
	}
	f("2026-03-01T09:15:02.123Z", "2026-03-01T09:15:02.123Z")
	f("2026-03-01T09:15:02.123456789+02:00", "2026-03-01T07:15:02.123456789Z")
	f("2026-03-01t09:15:02z", "2026-03-01T09:15:02Z")          // RFC 3339 allows small letters
	f("2026-03-01 09:15:02Z", "2026-03-01T09:15:02Z")          // and a space
	f("2026-03-01T09:15:02+0100", "2026-03-01T08:15:02Z")      // ISO 8601 basic offset
	f("2024-01-01 00:00:00.000", "2023-12-31T23:00:00Z")       // no offset: the zone given
	f("1772356502", "2026-03-01T09:15:02Z")                    // seconds
	f("1772356502.25", "2026-03-01T09:15:02.25Z")              // with a fraction
	f("1772356502123", "2026-03-01T09:15:02.123Z")             // milliseconds
	f("1772356502123.5", "2026-03-01T09:15:02.1235Z")          // with a fraction
	f("1772356502123456", "2026-03-01T09:15:02.123456Z")       // microseconds
	f("1772356502123456789", "2026-03-01T09:15:02.123456789Z") // nanoseconds
	f("1.772356502e9", "2026-03-01T09:15:02Z")                 // as some encoders write
	f("", "")
	f("yesterday", "")
	f("0", "")                    // 1970 to the dot is "not set"
	f("-5", "")                   // before 1970
	f("1969-12-31T23:59:59Z", "") // before 1970
	f("2300-01-01T00:00:00Z", "") // beyond Unix nanoseconds
	f("99999999999", "")          // seconds far beyond 2262
	f("1e300", "")
	f("2026-02-30T00:00:00Z", "") // no such day
	f("12.5.3", "")
}

func TestYearClock(t *testing.T) {
	now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	type line struct {
		month time.Month
		day   int
		want  int // year, 0 for an error
	}
	f := func(name string, env Env, lines ...line) {
		t.Helper()
		var c YearClock
		for i, l := range lines {
			got, err := c.Date(&env, l.month, l.day, 10, 0, 0)
			if l.want == 0 {
				if err == nil {
					t.Fatalf("%s: line %d got %s, want an error", name, i, got)
				}
				continue
			}
			if err != nil || got.Year() != l.want {
				t.Fatalf("%s: line %d got %s, %v; want %d", name, i, got, err, l.want)
			}
		}
	}
	f("the latest year not in the future, across New Year", Env{Now: now},
		line{12, 30, 2025}, line{12, 31, 2025}, line{1, 1, 2026}, line{1, 5, 2026}, line{1, 7, 2025})
	f("an unknown zone may be 14 hours ahead", Env{Now: now.Add(-12 * time.Hour)}, line{1, 5, 2026})
	f("a known zone may not", Env{Now: now.Add(-12 * time.Hour), Zone: time.UTC}, line{1, 5, 2025})
	f("29 February goes to the last leap year", Env{Now: now}, line{2, 29, 2024}, line{2, 30, 0})
	f("a stated year advances at New Year", Env{Now: now, Year: 2016},
		line{3, 27, 2016}, line{11, 30, 2016}, line{1, 2, 2017}, line{2, 2, 2017}, line{1, 31, 2017})
	f("a straggler from before New Year stays there", Env{Now: now, Year: 2016},
		line{12, 31, 2016}, line{1, 1, 2017}, line{12, 31, 2016}, line{1, 1, 2017})
	f("files put together out of order do not run into the future", Env{Now: now, Year: 2025},
		line{12, 20, 2025}, line{6, 1, 2025})
	f("a day the stated year lacks", Env{Now: now, Year: 2025}, line{2, 29, 0})

	env := Env{Now: now}
	var c YearClock
	for _, m := range []time.Month{12, 1} {
		if _, err := c.Date(&env, m, 1, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if env.FirstYear != 2025 || env.LastYear != 2026 {
		t.Fatalf("reported years %d to %d, want 2025 to 2026", env.FirstYear, env.LastYear)
	}
}

func TestAddr(t *testing.T) {
	f := func(in, ip, port string) {
		t.Helper()
		gotIP, gotPort, ok := Addr(in)
		if gotIP != ip || gotPort != port || ok != (ip != "") {
			t.Fatalf("Addr(%q) = %q, %q, %v; want %q, %q", in, gotIP, gotPort, ok, ip, port)
		}
	}
	f("203.0.113.7", "203.0.113.7", "")
	f("203.0.113.7:443", "203.0.113.7", "443")
	f("2001:DB8:0::1", "2001:db8::1", "")
	f("[2001:db8::1]", "2001:db8::1", "")
	f("[2001:db8::1]:22", "2001:db8::1", "22")
	f("::ffff:203.0.113.7", "203.0.113.7", "") // IPv4 in IPv6's clothes
	f("225.01.00.16", "", "")                  // leading zeros: octal to some, so nobody's
	f("256.1.1.1", "", "")
	f("localhost", "", "")
	f("<Attacker source IP>", "", "")
	f("", "", "")
	f("[]", "", "")
}

func TestEach(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		var b strings.Builder
		err := Each(in, func(k string, v Value) error {
			b.WriteString(k + "=" + v.Text + ";")
			return nil
		})
		got := b.String()
		if err != nil {
			got = "error: " + err.Error()
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Fatalf("Each(%s)\n got %s\nwant %s", in, got, want)
		}
	}
	f(`{}`, "")
	f(` { } `, "")
	f(`{"a":1,"b":"x","c":null,"d":[1,{"e":2}],"f":{"g":"}"},"h":true}`, `a=1;b=x;c=null;d=[1,{"e":2}];f={"g":"}"};h=true;`)
	f(`{"a\"b":"\u00e9\n\ud83d\ude00"}`, "a\"b=é\n😀;")
	f(`{"a":"\ud83d"}`, "a=\ufffd;")           // half a surrogate pair
	f(`{"a":-1.5e+3}`, "a=-1.5e+3;")           // number as it stood
	f("{\"a\":\"tab\there\"}", "a=tab\there;") // loggers write them raw
	f(`{"a":1,"a":2}`, "a=1;a=2;")             // both are visited
	f(`{"a":1`, "error: the JSON ends at byte 6")
	f(`{"a":1}}`, "error: there is more text")
	f(`{"a":1} {"b":2}`, "error: there is more text")
	f(`{"a" 1}`, "error: not valid JSON at byte 5")
	f(`{a:1}`, "error: not valid JSON at byte 1")
	f(`{"a":01x}`, "error: not valid JSON")
	f(`{"a":"\q"}`, "error: not valid JSON")
	f(`{"a":"\u00g0"}`, "error: not valid JSON")
	f(`{"a":"b`, "error: the JSON ends")
	f(`{"a":tru}`, "error: not valid JSON at byte 5")
	f(`{"a":1,}`, "error: not valid JSON at byte 7")
	f(`{"a":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`, "error: the JSON is nested deeper than 64")
	f(`[1]`, "error: not valid JSON at byte 0")
	f(``, "error: the JSON ends at byte 0")
}

func TestClassify(t *testing.T) {
	f := func(action string, class event.Class, activity uint8) {
		t.Helper()
		if c, a := Classify(action); c != class || a != activity {
			t.Fatalf("Classify(%q) = %d/%d, want %d/%d", action, c, a, class, activity)
		}
	}
	f("login", event.ClassAuthentication, 1)
	f("user.login", event.ClassAuthentication, 1)
	f("ConsoleLogin", event.ClassAuthentication, 1)
	f("sign-in", event.ClassAuthentication, 1)
	f("Sign In", event.ClassAuthentication, 1)
	f("user.logout", event.ClassAuthentication, 2)
	f("mfa.challenge", event.ClassAuthentication, 99)
	f("mfa.disable", event.ClassAccountChange, 11)
	f("password_reset", event.ClassAccountChange, 4)
	f("password.change", event.ClassAccountChange, 3)
	f("role.grant", event.ClassAccountChange, 7)
	f("permission.revoke", event.ClassAccountChange, 8)
	f("user.create", event.ClassAccountChange, 1)
	f("createUser", event.ClassAccountChange, 1)
	f("http.get", event.ClassHTTPActivity, 3)
	f("file.download", event.ClassAPIActivity, 2)
	f("document.delete", event.ClassAPIActivity, 4)
	f("logind.start", event.ClassUnknown, 0) // whole words only
	f("frobnicate", event.ClassUnknown, 0)
	f("", event.ClassUnknown, 0)
	f(strings.Repeat("a.", 500), event.ClassUnknown, 0)
	for _, w := range ActionWords() {
		if len(w.Words) == 0 || w.Class == event.ClassUnknown || w.Activity == 0 {
			t.Fatalf("row %+v says nothing", w)
		}
		if c, a := Classify(strings.Join(w.Words, ".")); c != w.Class || a != w.Activity {
			t.Fatalf("row %v is never reached: %d/%d wins over %d/%d", w.Words, c, a, w.Class, w.Activity)
		}
	}
	var c Classifier
	for range 2 {
		if class, _ := c.Of("login"); class != event.ClassAuthentication {
			t.Fatal("the classifier forgot")
		}
	}
	for i := range 5000 {
		c.Of(strings.Repeat("x", i%100) + string(rune('a'+i%26)))
	}
	if len(c.known) > 1024 {
		t.Fatalf("the classifier holds %d actions", len(c.known))
	}
}

func TestBuilderLimits(t *testing.T) {
	env := Env{Tenant: tenant.MustParse("acme"), Now: time.Unix(1e9, 0)}
	var b Builder
	b.Begin(&env, "x", strings.Repeat("é", MaxRaw))
	b.Time, b.Actor, b.Action = 1, "a", strings.Repeat("b", MaxField+1)
	for range MaxLabels + 10 {
		b.AddLabel("k", "v")
	}
	e, err := b.Finish(&env)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Raw) > MaxRaw || len(e.Action) != MaxField || len(e.Labels) != MaxLabels || e.Flags&event.FlagTruncated == 0 {
		t.Fatalf("raw %d, action %d, labels %d, flags %v", len(e.Raw), len(e.Action), len(e.Labels), e.Flags.Names())
	}
	if !strings.HasSuffix(e.Raw, "é") {
		t.Fatal("raw was cut within a character")
	}
	b.Begin(&env, "x", "")
	b.Time, b.Actor, b.Action = 1, "a", "b"
	b.AddLabel("k", strings.Repeat("v", MaxLabelBytes))
	if e, _ = b.Finish(&env); len(e.Labels) != 0 || e.Flags&event.FlagTruncated == 0 {
		t.Fatal("labels outgrew their limit")
	}
	b.Begin(&env, "x", "")
	b.Time, b.Actor, b.Action = env.Now.Add(time.Hour).UnixNano(), "a", "b"
	if e, _ = b.Finish(&env); e.Flags&event.FlagFuture == 0 {
		t.Fatal("a time in the future was not flagged")
	}
	b.Begin(&Env{Now: env.Now}, "x", "")
	b.Time, b.Actor, b.Action = 1, "a", "b"
	if _, err = b.Finish(&env); err == nil {
		t.Fatal("an event without a tenant passed")
	}
}
