package parse

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

var (
	acme = tenant.MustParse("acme")
	now  = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
)

// read collects a stream: actions of events, "!" and the raw of bad lines.
func read(t testing.TB, r io.Reader, o Options) (shown string, sum Summary, events []event.Event, bad []event.Quarantined) {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = now
	}
	o.Tenant = acme
	var b strings.Builder
	sum, err := Stream(r, o, Handler{
		Event: func(e *event.Event) error {
			b.WriteString(e.Action + "@" + fmt.Sprint(e.Count) + " ")
			events = append(events, *e)
			return nil
		},
		Quarantined: func(q *event.Quarantined) error {
			if q.Tenant != acme || q.Reason == "" || q.ID == "" || q.ReceivedAt != o.Now.UnixNano() {
				t.Fatalf("incomplete quarantined line: %+v", q)
			}
			b.WriteString("!" + fmt.Sprint(q.Line) + " ")
			bad = append(bad, *q)
			return nil
		},
	})
	if err != nil {
		t.Fatalf("stream: %v", err)
	}
	if sum.Accepted != uint64(len(events)) || sum.Quarantined != uint64(len(bad)) {
		t.Fatalf("summary counts %d and %d, handed out %d and %d", sum.Accepted, sum.Quarantined, len(events), len(bad))
	}
	return strings.TrimSpace(b.String()), sum, events, bad
}

// ev is a short-form line whose action is name.
func ev(name string) string { return `{"time":1772356502,"actor":"a","action":"` + name + `"}` }

func TestFraming(t *testing.T) {
	f := func(name, in, want string) {
		t.Helper()
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
			got, sum, _, _ := read(t, r, Options{})
			if strings.ReplaceAll(got, "@1", "") != want {
				t.Fatalf("%s: %q\n got %s\nwant %s\nerrors %v", name, in, got, want, sum.Errors)
			}
			if sum.Bytes != uint64(len(in)) {
				t.Fatalf("%s: %d of %d bytes were accounted for", name, sum.Bytes, len(in))
			}
		}
	}
	a, b, c := ev("a"), ev("b"), ev("c")
	pretty := "{\n  \"time\": 1772356502,\n  \"actor\": \"x\",\n  \"nested\": {\n    \"k\": [1, {\"z\": 2}]\n  },\n  \"action\": \"p\"\n}"
	f("nothing", "", "")
	f("blank lines", " \n\r\n\n", "")
	f("ndjson", a+"\n"+b+"\n"+c+"\n", "a b c")
	f("ndjson without a last newline", a+"\n"+b, "a b")
	f("crlf, empty lines, byte order mark", "\xef\xbb\xbf"+a+"\r\n\r\n"+b+"\r\n", "a b")
	f("array", "["+a+","+b+"]", "a b")
	f("array over lines", "[\n"+a+",\n"+b+"\n]\n", "a b")
	f("empty array", "[]", "")
	f("arrays, one a line", "["+a+","+b+"]\n["+c+"]\n", "a b c")
	f("concatenated", a+b+" "+c, "a b c")
	f("concatenated, then lines", a+b+"\n"+c+"\n"+a, "a b c a")
	f("pretty-printed", pretty+"\n"+pretty, "p p")
	f("pretty-printed array", "[\n"+pretty+",\n"+pretty+"\n]", "p p")
	f("records", `{"Records":[`+a+","+b+`],"more":{"x":"]}"}}`+"\n"+c, "a b c")
	f("records, pretty-printed", "{\n  \"Records\" : [\n"+a+",\n"+b+"]\n}\n", "a b")
	// Bad lines, and the good ones around them.
	f("garbage between", a+"\nnonsense\n"+b+"\n", "a !2 b")
	f("a truncated line", a+"\n"+b[:20]+"\n"+c+"\n", "a !2 c")
	f("a truncated first line", b[:20]+"\n"+c+"\n"+a, "!1 c a")
	f("a line cut behind a comma", a+"\n"+`{"time":1,`+"\n"+c+"\n", "a !2 c")
	f("a line cut behind a colon", a+"\n"+`{"time":`+"\n"+c+"\n"+b, "a !2 c b")
	f("a string that is not closed", a+"\n"+`{"time":"x`+"\n"+b, "a !2 b")
	f("an unclosed object within", a+"\n"+`{"x":{"y":1}`+"\n"+b+"\n"+c, "a !2 b c")
	f("the wrong bracket", a+"\n"+`{"x":[1}}`+"\n"+b, "a !2 b")
	f("too deep", a+"\n"+strings.Repeat(`{"a":`, 70)+"1"+strings.Repeat("}", 70)+"\n"+b, "a !2 b")
	f("cut short", a+"\n"+b[:30], "a !2")
	f("text behind an object", a+" tail\n"+b, "a !1 b")
	f("missing fields", `{"actor":"a"}`+"\n"+a, "!1 a")
	f("array with things that are none", "["+a+",7,\"x,]\","+b+",null]", "a !1 !1 b !1")
	f("a bad element of an array", "[\n"+a+",\n{\"time\":tru},\n"+b+"\n]", "a !3 b")
	f("an escaped quote and brackets in a string", `{"time":1772356502,"actor":"}\"{","action":"q"}`+"\n"+a, "q a")
	// Text.
	const line = "Mar  1 09:15:02 h sshd[1]: Failed password for root from 203.0.113.7 port 1 ssh2"
	f("lines", line+"\n"+line+"\r\n\n"+line, "ssh.login ssh.login ssh.login")
	f("lines and garbage", line+"\n[x] {y}\n"+line, "ssh.login !2 ssh.login")
	f("text that begins with a bracket", "[notice] hello\n"+line, "!1 ssh.login")
	f("two kinds of lines", line+"\n"+`203.0.113.7 - - [01/Mar/2026:09:15:02 +0100] "GET / HTTP/1.1" 200 1`+"\n"+line, "ssh.login http.get ssh.login")
	f("json among lines", line+"\n"+a+"\n"+line, "ssh.login a ssh.login")
	f("lines among json", a+"\n"+line+"\n"+a, "a ssh.login a")
}

func TestOffsetsAndRaw(t *testing.T) {
	in := ev("a") + "\n\n" + `{"bad":1}` + "\r\n[" + ev("b") + ",\n {\"x\":2}]"
	_, sum, events, bad := read(t, strings.NewReader(in), Options{})
	if len(bad) != 2 || len(events) != 2 {
		t.Fatalf("%d events, %d bad", len(events), len(bad))
	}
	for i, want := range []string{`{"bad":1}`, `{"x":2}`} {
		q := bad[i]
		if string(q.Raw) != want || !strings.HasPrefix(in[q.Offset:], want) || q.Line != uint64(strings.Count(in[:q.Offset], "\n")+1) {
			t.Fatalf("bad line %d: %q at line %d, offset %d", i, q.Raw, q.Line, q.Offset)
		}
		if sum.Errors[i].Line != q.Line || sum.Errors[i].Offset != q.Offset || sum.Errors[i].Reason != q.Reason {
			t.Fatalf("error %d is %+v, the line %+v", i, sum.Errors[i], q)
		}
	}
	if events[1].Raw != ev("b") {
		t.Fatalf("raw of an element is %q", events[1].Raw)
	}
}

// repeat reads a pattern n times without holding it.
func repeat(s string, n int) io.Reader {
	rs := make([]io.Reader, n)
	for i := range rs {
		rs[i] = strings.NewReader(s)
	}
	return io.MultiReader(rs...)
}

func TestHugeRecords(t *testing.T) {
	huge := strings.Repeat("x", 1<<16)
	f := func(name, before, after, want string) {
		t.Helper()
		r := io.MultiReader(strings.NewReader(ev("a")+"\n"+before), repeat(huge, 48), strings.NewReader(after))
		got, sum, _, bad := read(t, r, Options{})
		if got = strings.ReplaceAll(got, "@1", ""); got != want {
			t.Fatalf("%s: got %s, want %s (%v)", name, got, want, sum.Errors)
		}
		if len(bad[0].Raw) != keepOfHuge || !strings.Contains(bad[0].Reason, "longer than 1048576") {
			t.Fatalf("%s: kept %d bytes, reason %s", name, len(bad[0].Raw), bad[0].Reason)
		}
	}
	f("a line of text", "", "\n"+ev("b"), "a !2 b")
	f("one object", `{"k":"`, `"}`+"\n"+ev("b")+"\n", "a !2 b")
	f("one object that never ends", `{"k":`, "\n"+ev("b")+"\n", "a !2 b")
	f("a pretty-printed object", "{\n \"k\":\"", "\"\n}\n"+ev("b"), "a !2 b")
	f("an element of an array", `[{"k":"`, `"},`+ev("b")+"]", "a !2 b")
	// One byte below the limit is a record like any other.
	line := ev("a")
	line = line[:len(line)-1] + `,"k":"` + strings.Repeat("x", MaxRecord-len(line)-7) + `"}`
	if got, _, events, _ := read(t, strings.NewReader(line+"\n"), Options{}); got != "a@1" || events[0].Flags&event.FlagTruncated == 0 {
		t.Fatalf("a record of %d bytes: %s", len(line), got)
	}
}

func TestReaderErrorDropsTheUnfinished(t *testing.T) {
	broken := errors.New("connection reset")
	for _, tail := range []string{ev("c")[:10], `{"a":`, "text", "[" + ev("b")[:20]} {
		r := io.MultiReader(strings.NewReader(ev("a")+"\n"+ev("b")+"\n"+tail), iotest.ErrReader(broken))
		n := 0
		sum, err := Stream(r, Options{Tenant: acme, Now: now}, Handler{Event: func(*event.Event) error { n++; return nil }})
		if !errors.Is(err, broken) || n != 2 || sum.Accepted != 2 || sum.Quarantined != 0 {
			t.Fatalf("tail %q: %d events, summary %+v, error %v", tail, n, sum, err)
		}
	}
}

func TestHandlerErrorStops(t *testing.T) {
	stop := errors.New("stop")
	_, err := Stream(strings.NewReader(ev("a")+"\n"+ev("b")), Options{Tenant: acme, Now: now}, Handler{Event: func(*event.Event) error { return stop }})
	if !errors.Is(err, stop) {
		t.Fatalf("error %v", err)
	}
	_, err = Stream(strings.NewReader("x\ny"), Options{Tenant: acme, Now: now}, Handler{Quarantined: func(*event.Quarantined) error { return stop }})
	if !errors.Is(err, stop) {
		t.Fatalf("error %v", err)
	}
	if _, err = Stream(strings.NewReader(""), Options{Format: "xml", Now: now}, Handler{}); err == nil || !strings.Contains(err.Error(), "auto, shortform") {
		t.Fatalf("unknown format: %v", err)
	}
	if _, err = Stream(strings.NewReader(""), Options{}, Handler{}); err == nil {
		t.Fatal("no clock was handed in and nothing was said")
	}
}

func TestIDs(t *testing.T) {
	id := func(in string) []string {
		t.Helper()
		_, _, events, _ := read(t, strings.NewReader(in), Options{})
		var out []string
		for _, e := range events {
			out = append(out, e.ID)
		}
		return out
	}
	a, b := ev("a"), ev("b")
	ids := id(a + "\n" + b + "\n" + a + "\n" + a)
	if ids[0] != event.GenerateID("shortform", a, 0) || ids[2] != event.GenerateID("shortform", a, 1) || ids[3] != event.GenerateID("shortform", a, 2) {
		t.Fatalf("ids %v do not follow the ordinals", ids)
	}
	// Other lines, framing and detection around them change nothing.
	if got := id("[" + a + "," + a + "]"); got[0] != ids[0] || got[1] != ids[2] {
		t.Fatalf("an array gives other ids: %v", got)
	}
	// A sender's own id is echoed, repeats are counted and still handed on.
	own := `{"time":1772356502,"actor":"a","action":"x","id":"Ünchanged id 1"}`
	got, sum, events, _ := read(t, strings.NewReader(own+"\n"+own+"\n"+a), Options{})
	if got != "x@1 x@1 a@1" || sum.Repeats != 1 || events[1].ID != "Ünchanged id 1" || events[1].Flags&event.FlagGeneratedID != 0 {
		t.Fatalf("%s, %d repeats, id %q", got, sum.Repeats, events[1].ID)
	}
	// Bad lines have ids too, by the same rule.
	_, _, _, bad := read(t, strings.NewReader("x\nx\ny"), Options{})
	_, _, _, again := read(t, strings.NewReader("x\nx\ny"), Options{})
	if bad[0].ID == bad[1].ID || bad[0].ID != again[0].ID || bad[1].ID != again[1].ID {
		t.Fatal("ids of quarantined lines are not stable and distinct")
	}
}

func TestInvalidUTF8(t *testing.T) {
	line := "203.0.113.7 - - [01/Mar/2026:09:15:02 +0100] \"GET /\xff\xfe HTTP/1.1\" 200 1"
	_, _, events, _ := read(t, strings.NewReader(line+"\nbad \xff line\n"), Options{})
	e := events[0]
	if e.Resource != "/\ufffd" || e.Flags&event.FlagInvalidField == 0 || !strings.Contains(e.Label("invalid.raw"), `/\xff\xfe HTTP`) {
		t.Fatalf("resource %q, flags %v, labels %v", e.Resource, e.Flags.Names(), e.Labels)
	}
	if e.ID != event.GenerateID("combined", line, 0) {
		t.Fatal("the id is not that of the bytes that arrived")
	}
	_, _, _, bad := read(t, strings.NewReader("bad \xff line\n"), Options{})
	if string(bad[0].Raw) != "bad \xff line" {
		t.Fatalf("quarantine changed the bytes: %q", bad[0].Raw)
	}
}

func TestSummary(t *testing.T) {
	const fail = "Mar  1 09:15:02 h sshd[1]: message repeated 5 times: [ Failed password for root from 203.0.113.7 port 1 ssh2]\n"
	got, sum, _, _ := read(t, strings.NewReader(fail+fail+"nonsense\n"+ev("a")), Options{})
	if got != "ssh.login@5 ssh.login@5 !3 a@1" || sum.Folded != 2 || sum.Occurrences != 11 || sum.Format != "authlog" ||
		sum.Confidence != 0.5 || sum.Formats["shortform"] != 1 || sum.FirstYear != 2026 || sum.LastYear != 2026 {
		t.Fatalf("%s: %+v", got, sum)
	}
	_, sum, _, _ = read(t, repeat("nonsense\n", 1000), Options{})
	if sum.Quarantined != 1000 || len(sum.Errors) != MaxErrors {
		t.Fatalf("%d quarantined, %d described", sum.Quarantined, len(sum.Errors))
	}
	// A stated format takes nothing else.
	got, _, _, bad := read(t, strings.NewReader(fail+ev("a")), Options{Format: "authlog"})
	if got != "ssh.login@5 !2" || bad[0].Format != "authlog" {
		t.Fatal(got)
	}
	got, sum, _, _ = read(t, strings.NewReader(fail), Options{Year: 2017, Zone: time.FixedZone("", 7200)})
	if sum.FirstYear != 2017 || got != "ssh.login@5" {
		t.Fatalf("%s %+v", got, sum)
	}
}

// TestExamples holds the documented examples to what they claim.
func TestExamples(t *testing.T) {
	for _, f := range Formats() {
		_, sum, _, _ := read(t, strings.NewReader(f.Example), Options{})
		if sum.Accepted != 1 || sum.Format != f.Name || sum.Confidence != 1 {
			t.Fatalf("the example of %s is read as %+v", f.Name, sum)
		}
		for _, g := range Formats() {
			own := f.Sniff(f.Example)
			if f.Name == "generic" {
				own = 0.5 // stands behind all others
			}
			if score := g.Sniff(f.Example); f.Name != g.Name && score >= own || own < 0.5 {
				t.Fatalf("%s looks like %s by %v, like itself by %v", f.Name, g.Name, score, own)
			}
		}
	}
}

func TestCounter(t *testing.T) {
	var c counter
	exact := map[uint64]uint64{}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		k := rng.Uint64N(50_000)
		if got, ok := c.next(k); k > 1 && (!ok || got != exact[k]) { // 0 and 1 share a place
			t.Fatalf("key %d came %d times, counted %d", k, exact[k], got)
		}
		exact[k]++
	}
	// Beyond its limit the counter stays bounded, and the numbers of one key grow.
	c = counter{}
	for i := range uint64(maxKeys) {
		c.next(i + 10)
	}
	size := len(c.keys)
	last := map[uint64]uint64{}
	for round := range 3 {
		for i := range uint64(100_000) {
			k := i + 1<<40
			n, ok := c.next(k)
			if ok || round > 0 && n <= last[k] {
				t.Fatalf("round %d: key %d got %d after %d, exact %v", round, k, n, last[k], ok)
			}
			last[k] = n
		}
	}
	if n, ok := c.next(10); !ok || n != 1 {
		t.Fatalf("a key from before the limit is counted %d, exact %v", n, ok)
	}
	if len(c.keys) != size {
		t.Fatal("the table grew beyond its limit")
	}
}
