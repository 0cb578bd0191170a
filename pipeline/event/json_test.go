package event

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func full() Event {
	return Event{
		Tenant: tenant.MustParse("acme"), ID: "e-1", Time: 1772356502123000000, IngestedAt: 1772356502123456789,
		Class: ClassAPIActivity, Activity: 2, Action: "file.download", Outcome: OutcomeSuccess, Severity: 1,
		Actor: "alice@acme.example", ActorType: "user", Cohort: "admin", Session: "s1",
		SrcIP: "203.0.113.7", Country: "DE", City: "Köln", Latitude: 50.9, Longitude: 6.95, HasPosition: true, ASN: 3320,
		UserAgent: `Mozilla "5.0"`, Device: "laptop", Resource: "file/123", ResourceType: "file",
		HTTPMethod: "GET", Status: 200, BytesIn: 10, BytesOut: 52344, Duration: 12.5, Count: 3,
		Source: "web", Format: "shortform", Labels: []Label{{"a", "1"}, {"b.c", "x\ny"}}, Raw: `{"a":1}`,
		Flags: FlagInvalidField | FlagFuture,
	}
}

func TestAppendJSON(t *testing.T) {
	e := full()
	want := `{"tenant_id":"acme","id":"e-1","time":"2026-03-01T09:15:02.123Z","ingested_at":"2026-03-01T09:15:02.123456789Z",` +
		`"class_uid":6003,"activity":2,"action":"file.download","outcome":"success","severity":1,"actor":"alice@acme.example",` +
		`"actor_type":"user","cohort":"admin","session":"s1","src_ip":"203.0.113.7","country":"DE","city":"Köln","latitude":50.9,` +
		`"longitude":6.95,"asn":3320,"user_agent":"Mozilla \"5.0\"","device":"laptop","resource":"file/123","resource_type":"file",` +
		`"http_method":"GET","status":200,"bytes_in":10,"bytes_out":52344,"duration":12.5,"count":3,"source":"web","format":"shortform",` +
		`"labels":{"a":"1","b.c":"x\ny"},"raw":"{\"a\":1}","flags":["invalid_field","future"]}`
	if got := string(AppendJSON(nil, &e)); got != want {
		t.Fatalf("AppendJSON:\n got %s\nwant %s", got, want)
	}
	// Empty fields are left out; class, outcome and count always stand.
	small := Event{Action: "login", Count: 1}
	if got, want := string(AppendJSON(nil, &small)), `{"class_uid":0,"action":"login","outcome":"unknown","count":1}`; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	// A position of 0,0 is one; NaN is not JSON.
	zero := Event{HasPosition: true, Count: 1}
	if got := string(AppendJSON(nil, &zero)); !strings.Contains(got, `"latitude":0,"longitude":0`) {
		t.Fatalf("null island was dropped: %s", got)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	e := full()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back Event
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, back, cmp.AllowUnexported(tenant.ID{})); d != "" {
		t.Fatalf("round trip changed the event (-want +got):\n%s", d)
	}
	bad := func(s string) {
		t.Helper()
		var e Event
		if err := json.Unmarshal([]byte(s), &e); err == nil {
			t.Fatalf("%s was read as %+v", s, e)
		}
	}
	bad(`{"outcome":"yes"}`)
	bad(`{"flags":["nonsense"]}`)
	bad(`{"time":"yesterday"}`)
}

func TestJSONLabelsOfOneName(t *testing.T) {
	f := func(n int) {
		t.Helper()
		e := Event{Count: 1, Action: "x"}
		for range n {
			e.AddLabel("k", "v")
		}
		var m struct {
			Labels map[string]string `json:"labels"`
		}
		if err := json.Unmarshal(AppendJSON(nil, &e), &m); err != nil {
			t.Fatal(err)
		}
		if len(m.Labels) != n {
			t.Fatalf("%d labels of one name came out as %d", n, len(m.Labels))
		}
	}
	f(1)
	f(3)
	f(40) // beyond the point where a map is used
}

// FuzzAppendString holds our writer to what encoding/json reads back.
func FuzzAppendString(f *testing.F) {
	f.Add("plain")
	f.Add("\x00\x1f\x7f\"\\\u2028\xff\xc0\xaf\ud7ff")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		b := appendString(nil, s)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q gives %q: %v", s, b, err)
		}
		var want string
		std, _ := json.Marshal(s)
		_ = json.Unmarshal(std, &want)
		if got != want {
			t.Fatalf("%q came back as %q, want %q", s, got, want)
		}
	})
}

func TestGenerateID(t *testing.T) {
	a := GenerateID("authlog", "line", 0)
	if len(a) != 32 {
		t.Fatalf("id %q has %d characters, want 32", a, len(a))
	}
	if a != GenerateID("authlog", "line", 0) {
		t.Fatal("the same line gave two ids")
	}
	seen := map[string]string{}
	for _, c := range []struct {
		name string
		id   string
	}{
		{"the line", a},
		{"its second appearance", GenerateID("authlog", "line", 1)},
		{"its third appearance", GenerateID("authlog", "line", 2)},
		{"another format", GenerateID("combined", "line", 0)},
		{"a shifted boundary", GenerateID("authlogl", "ine", 0)},
		{"a longer line than the stack buffer", GenerateID("authlog", strings.Repeat("x", 5000), 0)},
	} {
		if other, ok := seen[c.id]; ok {
			t.Fatalf("%s and %s share an id", c.name, other)
		}
		seen[c.id] = c.name
	}
	// Fixed for ever, because stored rows carry it: the first 16 bytes of
	// SHA-256("authlog\x00line"), from sha256sum(1).
	if want := "9ff6b77eae7ee6d322097af4646ca31b"; a != want {
		t.Fatalf("id is %s, want %s", a, want)
	}
}
