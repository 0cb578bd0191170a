package mapping

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/collector/parse/record/recordtest"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

const inJSON = `name: billing
match: [{path: kind, equals: audit}]
fields:
  time: {from: ts, format: unix_ms}
  actor: [user.email, user.name]
  actor_type: {const: user}
  action: {template: "{object}.{verb}", lower: true}
  outcome: {from: ok, table: {"true": success, "false": failure}}
  src_ip: client.addrs[0]
  duration: {from: took_s, scale: 1000}
  resource: {from: ref, pattern: '^urn:(.*)$'}
labels: rest
`

const inText = `name: door
patterns:
  - '%{ISO8601:at} door=%{WORD:door} badge %{USER:who} from %{IP:ip} %{WORD:result}'
  - '%{ISO8601:at} door=%{WORD:door} forced'
fields:
  time: {from: at, zone: Europe/Berlin}
  actor: {from: who, default: nobody}
  action: {const: door.open}
  outcome: {from: result, table: {granted: success}, default: failure}
  src_ip: ip
  resource: door
`

func TestJSON(t *testing.T) {
	m, err := Parse([]byte(inJSON))
	if err != nil {
		t.Fatal(err)
	}
	r := m.Reader()
	raw := `{"kind":"audit","ts":1772356502123,"user":{"email":null,"name":"alice"},"object":"Invoice","verb":"Delete","ok":false,"client":{"addrs":["203.0.113.7:52100"]},"took_s":0.25,"ref":"urn:inv/7","extra":{"a":1}}`
	if !r.Matches(raw) || r.Matches(`{"kind":"other"}`) || r.Matches(`kind=audit`) {
		t.Fatal("the condition is not held")
	}
	want := `{"time":"2026-03-01T09:15:02.123Z","class_uid":6003,"activity":4,"action":"invoice.delete","outcome":"failure","actor":"alice","actor_type":"user","src_ip":"203.0.113.7","resource":"inv/7","duration":250,"labels":{"src_port":"52100","kind":"audit","extra.a":"1"}}`
	if got := recordtest.Show(t, r, recordtest.Env(), raw); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if got := recordtest.Show(t, r, recordtest.Env(), `{"kind":"audit","verb":"x"}`); !strings.HasPrefix(got, "error: mapping billing: no time") {
		t.Fatal(got)
	}
}

func TestText(t *testing.T) {
	m, err := Parse([]byte(inText))
	if err != nil {
		t.Fatal(err)
	}
	r := m.Reader()
	for in, want := range map[string]string{
		`2026-03-01 10:15:02 door=lab badge bob from 203.0.113.7 granted`: `{"time":"2026-03-01T09:15:02Z","class_uid":6003,"activity":2,"action":"door.open","outcome":"success","actor":"bob","src_ip":"203.0.113.7","resource":"lab"}`,
		`2026-03-01T09:15:02Z door=lab badge bob from ::1 refused`:        `{"time":"2026-03-01T09:15:02Z","class_uid":6003,"activity":2,"action":"door.open","outcome":"failure","actor":"bob","src_ip":"::1","resource":"lab"}`,
		`2026-03-01T09:15:02Z door=lab forced`:                            `{"time":"2026-03-01T09:15:02Z","class_uid":6003,"activity":2,"action":"door.open","outcome":"failure","actor":"nobody","resource":"lab"}`,
		`2026-03-01T09:15:02Z window=lab forced`:                          `error: mapping door: no pattern fits the line: correct the pattern, or send the line under another format`,
	} {
		if got := recordtest.Show(t, r, recordtest.Env(), in); got != want {
			t.Fatalf("%s\ngot  %s\nwant %s", in, got, want)
		}
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		m, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%q gave %v and %v, want an error with %q", text, m, err, want)
		}
	}
	f("", "empty")
	f("name: [", ":1:")
	f("name: A b\nfields: {}", `mapping:1: name "A b"`)
	f("name: a", "fields is missing")
	f("name: a\nfields:\n  time: t\n", "mapping:3: action is missing")
	f("name: a\nfields:\n  acton: x\n", `mapping:3: an event has no field "acton"`)
	f("name: a\nfields:\n  action: x\n  action: y\n", "4")
	f("name: a\nfields:\n  action: {form: x}\n", `mapping:3: unknown name "form"`)
	f("name: a\nfields:\n  action: {lower: true}\n", "mapping:3: action needs from, template or const")
	f("name: a\npattern: '%{NOPE:x}'\nfields:\n  action: x\n", `mapping:2: pattern: no pattern is named "NOPE"`)
	f("name: a\npattern: '(?P<x>'\nfields:\n  action: x\n", "mapping:2: pattern: error parsing regexp")
	f("name: a\npattern: '%{WORD:x}'\nfields:\n  action: y\n", `mapping:4: no pattern names a part "y"`)
	f("name: a\npattern: '%{WORD:x}'\nfields:\n  action: {template: '{y}'}\n", `mapping:4: no pattern names a part "y"`)
	f("name: a\nfields:\n  action: x\n  time: {from: t, format: '%Y'}\n", "mapping:4: format:")
	f("name: a\nfields:\n  action: x\n  time: {from: t, zone: Mars/X}\n", "mapping:4: zone:")
	f("name: a\nfields:\n  action: {from: x, pattern: 'abc'}\n", "mapping:3: pattern: put what is to be taken in ( )")
	f("name: a\nmatch: [{path: x}]\nfields:\n  action: x\n", "mapping:2: a condition needs")
	f("name: a\nfields: &f\n  action: x\nlabels: *f\n", "mapping:4: aliases are not allowed")
	f("name: a\nnmae: b\nfields:\n  action: x\n", `mapping:2: unknown name "nmae"`)
	f(strings.Repeat("#", MaxFile+1), "longer than")
	p := filepath.Join(t.TempDir(), "m.yaml")
	if err := os.WriteFile(p, []byte("name: a\nfields: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(p); err == nil || !strings.HasPrefix(err.Error(), p+":2: ") {
		t.Fatal(err)
	}
}

// FuzzMapping loads any text and runs it over any line: no panic, and events
// that are valid.
func FuzzMapping(f *testing.F) {
	for _, m := range []string{inJSON, inText, "name: a\nrest: generic\nfields: {}\n", "name: a\nfields:\n  action: {const: x}\n  time: {from: t, format: ['Jan _2 15:04:05', unix_us]}\n"} {
		for _, line := range []string{`{"kind":"audit","ts":"x","t":"Feb 29 00:00:00"}`, `{"t":1e300}`, "2026-03-01 10:15:02 door=lab forced", ""} {
			f.Add(m, line)
		}
	}
	f.Fuzz(func(t *testing.T, text, line string) {
		m, err := Parse([]byte(text))
		if err != nil || line == "" {
			return
		}
		r := m.Reader()
		r.Matches(strings.ToValidUTF8(line, "?"))
		_ = r.Parse(strings.ToValidUTF8(line, "?"), recordtest.Env(), func(e *event.Event) {
			e.ID = "x"
			if err := e.Validate(); err != nil {
				t.Fatalf("%q by %q gave an invalid event: %v", line, text, err)
			}
		})
	})
}
