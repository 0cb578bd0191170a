package parse

import (
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// check reads input in one format and holds what comes out to the contract:
// no panic, valid events or a reason, every byte accounted for, and memory
// within a small multiple of the input.
func check(t *testing.T, format, input string) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	events := uint64(0)
	sum, err := Stream(strings.NewReader(input), Options{Tenant: acme, Now: now, Format: format}, Handler{
		Event: func(e *event.Event) error {
			events++
			if err := e.Validate(); err != nil {
				t.Fatalf("%q gave an invalid event: %v", input, err)
			}
			if e.Tenant != acme || e.Format == "" || e.Actor == "" || e.Time <= 0 {
				t.Fatalf("%q gave %+v", input, e)
			}
			for _, s := range []string{e.ID, e.Action, e.Actor, e.Resource, e.UserAgent, e.Raw, e.Source, e.Device, e.Session, e.Country} {
				if !utf8.ValidString(s) {
					t.Fatalf("%q gave the text %q", input, s)
				}
			}
			size := 0
			for _, l := range e.Labels {
				if !utf8.ValidString(l.Key) || !utf8.ValidString(l.Value) {
					t.Fatalf("%q gave the label %q=%q", input, l.Key, l.Value)
				}
				size += len(l.Key) + len(l.Value)
			}
			if len(e.Raw) > record.MaxRaw || size > 2*record.MaxLabelBytes || len(e.Labels) > record.MaxLabels+1 {
				t.Fatalf("an event of %d raw bytes and %d bytes of labels", len(e.Raw), size)
			}
			return nil
		},
		Quarantined: func(q *event.Quarantined) error {
			if q.Reason == "" || q.ID == "" || int(q.Offset) >= len(input) || len(q.Raw) == 0 {
				t.Fatalf("%q set aside %+v", input, q)
			}
			if !strings.HasPrefix(input[q.Offset:], string(q.Raw)) {
				t.Fatalf("%q: the raw bytes %q do not stand at %d", input, q.Raw, q.Offset)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatalf("%q: %v", input, err)
	}
	if sum.Bytes != uint64(len(input)) || sum.Accepted != events {
		t.Fatalf("%q: %d of %d bytes, %d of %d events", input, sum.Bytes, len(input), sum.Accepted, events)
	}
	runtime.ReadMemStats(&after)
	// 1 MiB is the stream itself (buffer, tables); garbage counts as well.
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20+200*uint64(len(input)) {
		t.Fatalf("%d bytes of input allocated %d", len(input), used)
	}
}

func fuzz(f *testing.F, format string, seeds ...string) {
	for i := range formats {
		f.Add(formats[i].Example)
		f.Add(formats[i].Example + "\n" + formats[i].Example + "\r\n[" + formats[i].Example + "]")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) { check(t, format, in) })
}

func FuzzAuto(f *testing.F) {
	fuzz(f, Auto, "[{},{}", `{"Records":[`, "{\"a\":\n{", "{\"a\":\"\\", "\xef\xbb\xbf{", "[\n,]}")
}

func FuzzShortform(f *testing.F) {
	fuzz(f, "shortform", `{"time":1e9,"actor":1,"action":"x","labels":{"a":[1,{"b":null}]},"latitude":1}`, `{"time":"2026-01-01","count":-1}`)
}

func FuzzOCSF(f *testing.F) {
	fuzz(f, "ocsf", `{"class_uid":4002,"type_uid":1,"time":1,"src_endpoint":{"ip":"::1","location":{"coordinates":[1,2]}},"http_request":{"http_method":"GET"}}`)
}

func FuzzCloudTrail(f *testing.F) {
	fuzz(f, "cloudtrail", `{"detail":{"detail":{"Records":[{}]}}}`, `{"eventTime":"1","eventName":"x","eventSource":"y","userIdentity":{"type":"AssumedRole","arn":"@"},"resources":[{}]}`)
}

func FuzzCombined(f *testing.F) {
	fuzz(f, "combined", `a b c d [01/Mar/2026:09:15:02 +0100] "\x4" 1 -  "\`, `- - - [01/Mar/2026:09:15:02 +0100] "GET  HTTP/1.1" 200 -`)
}

func FuzzAuthlog(f *testing.F) {
	fuzz(f, "authlog",
		"Mar  1 09:15:02 h sshd: Failed password for  from  port ",
		"Mar  1 09:15:02 h sshd: Disconnecting x port : y",
		"Feb 29 09:15:02 h sudo:  : TTY= ; COMMAND=",
		"Mar  1 09:15:02 h su: Successful su for  by ",
		"Mar  1 09:15:02 h x: pam_a(b: user \"",
		"2024-02-03T04:05:06Z h CRON[]: () CMD ()",
		"Mar  1 09:15:02 h useradd: message repeated 4294967295 times: [ new user: name=]")
}

func FuzzOTLP(f *testing.F) {
	fuzz(f, "otlp", `{"timeUnixNano":"1","body":"{\"time\":1e9,\"actor\":1,\"action\":\"x\"}","attributes":{"user.roles":["a",1],"client.address":"::1","geo.location.lat":91}}`,
		`{"observedTimeUnixNano":1772356502000000000,"body":{"time":1772356502,"actor":"a","action":"b"},"resource":{"service.name":"s","x":{"y":[1]}}}`)
}

// FuzzTable reads everything with every parser of the table.
func FuzzTable(f *testing.F) {
	for i := range formats {
		f.Add(uint8(i), formats[i].Example)
		f.Add(uint8(i), formats[i].Example[:len(formats[i].Example)/2]+"}\n"+formats[i].Example)
		f.Add(uint8(i), strings.NewReplacer(":", "::", `"`, `\"`, "[", "").Replace(formats[i].Example))
	}
	for _, s := range []string{
		`{"items":[{"kind":"Event","verb":"x","user":{"username":"y"}},3,{}]}`, `{"properties":{"log":"{\"verb\":{\"a\":1}}"},"operationName":"Microsoft.x"}`,
		`{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}}}}}}}}}}}}`,
		`{"time":1,"time":2,"user":"a","event":"b","ip":"::1%x"}`, `{"parameters":[{"name":"a","value":"b"},{"name":"a","value":{"c":1}}]}`,
		"<999>1 - - - - - -", "<34>1 - h a - - [x y=\"\\\"\"] {", "2026-03-01 09:15:02.123 UTC:::::LOG:  AUDIT: \"", "a:1 [01/Mar/2026:09:15:02.123] a b/c 1/2/3 \" ",
		"[2026-03-01T09:15:02.123Z] \"\" 200 - a b c d", "2026-03-01 09:15:02.123 UTC,\"a\",,1,,,1,,,,,,,",
	} {
		for i := range formats {
			f.Add(uint8(i), s)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, in string) {
		check(t, formats[int(which)%len(formats)].Name, in)
		check(t, Auto, in)
	})
}
