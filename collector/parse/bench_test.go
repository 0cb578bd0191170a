package parse

import (
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// BenchmarkStream reads NDJSON in the short form and lines of text from bytes
// to events with ids, the whole path but the sink.
func BenchmarkStream(b *testing.B) {
	f := func(name, line, format string) {
		b.Run(name, func(b *testing.B) {
			const n = 1000
			body := strings.Repeat(line+"\n", n)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				sum, err := Stream(strings.NewReader(body), Options{Tenant: acme, Now: now, Format: format}, Handler{
					Event: func(*event.Event) error { return nil },
				})
				if err != nil || sum.Accepted != n {
					b.Fatal(sum, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/line")
		})
	}
	short := `{"time":"2026-03-01T09:15:02.123Z","actor":"alice@acme.example","actor_type":"user",` +
		`"action":"file.download","outcome":"success","resource":"file/123","resource_type":"file","src_ip":"203.0.113.7","country":"DE","city":"Berlin",` +
		`"asn":3320,"user_agent":"Mozilla/5.0 (X11; Linux x86_64)","session":"s-91823","http_method":"GET","status":200,"bytes_in":512,"bytes":52344,"duration":12.5,"team":"red"`
	f("shortform, own ids", short+`,"id":"0192f3c4-7b1e-7c3a"}`, Auto)
	f("shortform, generated ids", short+"}", Auto)
	f("combined", formats[lookup("combined")].Example, Auto)
	f("authlog", formats[lookup("authlog")].Example, Auto)
	f("cloudtrail", formats[lookup("cloudtrail")].Example, Auto)
	f("ocsf", formats[lookup("ocsf")].Example, Auto)
}
