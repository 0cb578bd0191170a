package combined

import (
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/collector/parse/record/recordtest"
)

func TestParse(t *testing.T) {
	p := New()
	f := func(in, want string) {
		t.Helper()
		if got := recordtest.Show(t, p, recordtest.Env(), in); got != want {
			t.Fatalf("%s\n got %s\nwant %s", in, got, want)
		}
	}
	const head = `{"time":"2026-03-01T08:15:02Z","class_uid":4002,`
	// Combined: the address is the actor of an anonymous request.
	f(`203.0.113.7 - - [01/Mar/2026:09:15:02 +0100] "GET /a/b?x=1&y=2 HTTP/1.1" 200 2326 "https://example.com/" "Mozilla/5.0 (X11)"`,
		head+`"activity":3,"action":"http.get","outcome":"success","actor":"203.0.113.7","src_ip":"203.0.113.7","user_agent":"Mozilla/5.0 (X11)",`+
			`"resource":"/a/b","resource_type":"path","http_method":"GET","status":200,"bytes_out":2326,"labels":{"query":"x=1&y=2","referrer":"https://example.com/"}}`)
	// Common, with a user, a failure and no bytes.
	f(`203.0.113.7 - alice [01/Mar/2026:09:15:02 +0100] "POST /login HTTP/1.0" 401 -`,
		head+`"activity":6,"action":"http.post","outcome":"failure","actor":"alice","actor_type":"user","src_ip":"203.0.113.7",`+
			`"resource":"/login","resource_type":"path","http_method":"POST","status":401,"labels":{"protocol":"HTTP/1.0"}}`)
	// A user name with a space, and an escaped quote in the user agent.
	f(`2001:db8::1 - alice smith [01/Mar/2026:09:15:02 +0100] "GET / HTTP/1.1" 304 0 "-" "a \"quoted\" agent\x41"`,
		head+`"activity":3,"action":"http.get","outcome":"success","actor":"alice smith","actor_type":"user","src_ip":"2001:db8::1",`+
			`"user_agent":"a \"quoted\" agentA","resource":"/","resource_type":"path","http_method":"GET","status":304}`)
	// The virtual host in front.
	f(`shop.example:443 203.0.113.7 - - [01/Mar/2026:09:15:02 +0100] "HEAD / HTTP/2.0" 200 0 "-" "-"`,
		head+`"activity":4,"action":"http.head","outcome":"success","actor":"203.0.113.7","src_ip":"203.0.113.7",`+
			`"resource":"/","resource_type":"path","http_method":"HEAD","status":200,"labels":{"vhost":"shop.example:443","protocol":"HTTP/2.0"}}`)
	// A name instead of an address; a path with a space; more behind the end.
	f(`client.example - - [01/Mar/2026:09:15:02 +0100] "GET /a b HTTP/1.1" 200 1 "-" "ua" "203.0.113.9" 0.005`,
		head+`"activity":3,"action":"http.get","outcome":"success","actor":"client.example","user_agent":"ua","resource":"/a b","resource_type":"path",`+
			`"http_method":"GET","status":200,"bytes_out":1,"labels":{"invalid.src_ip":"client.example","extra":"\"203.0.113.9\" 0.005"},"flags":["invalid_field"]}`)
	// A port scan: TLS on a plain port, and nothing at all.
	f(`203.0.113.7 - - [01/Mar/2026:09:15:02 +0100] "\x16\x03\x01" 400 226 "-" "-"`,
		head+`"activity":99,"action":"http.invalid","outcome":"failure","actor":"203.0.113.7","src_ip":"203.0.113.7","status":400,"bytes_out":226,`+
			`"labels":{"invalid.request":"\u0016\u0003\u0001"},"flags":["invalid_field"]}`)
	f(`203.0.113.7 - - [01/Mar/2026:09:15:02 +0100] "-" 408 - "-" "-"`,
		head+`"activity":99,"action":"http.invalid","outcome":"failure","actor":"203.0.113.7","src_ip":"203.0.113.7","status":408}`)
	// A line that was cut off within the user agent is kept and flagged.
	f(`203.0.113.7 - - [01/Mar/2026:09:15:02 +0100] "GET / HTTP/1.1" 200 235 "-" "Mozilla/5.0 (comp`,
		head+`"activity":3,"action":"http.get","outcome":"success","actor":"203.0.113.7","src_ip":"203.0.113.7","user_agent":"Mozilla/5.0 (comp",`+
			`"resource":"/","resource_type":"path","http_method":"GET","status":200,"bytes_out":235,"flags":["truncated"]}`)
	f(`203.0.113.7 - - [01/Mar/2026:09:15:02 +0100] "PURGE /x HTTP/1.1" 999 5`,
		head+`"activity":99,"action":"http.purge","outcome":"unknown","actor":"203.0.113.7","src_ip":"203.0.113.7",`+
			`"resource":"/x","resource_type":"path","http_method":"PURGE","bytes_out":5,"labels":{"invalid.status":"999"},"flags":["invalid_field"]}`)
}

func TestRefused(t *testing.T) {
	f := func(in string) {
		t.Helper()
		if got := recordtest.Show(t, New(), recordtest.Env(), in); !strings.HasPrefix(got, "error: ") {
			t.Fatalf("%s was read as %s", in, got)
		}
	}
	f(`hello`)
	f(`203.0.113.7 - - [yesterday] "GET / HTTP/1.1" 200 1`)
	f(`203.0.113.7 - - [01/Mar/2026:09:15:02 +0100] "GET / HTTP/1.1`)
	f(`203.0.113.7 - - [01/Mar/2026:09:15:02 +0100] "GET / HTTP/1.1" 200`)
	f(`[01/Mar/2026:09:15:02 +0100] "GET / HTTP/1.1" 200 1`)
	f(`203.0.113.7 - - 01/Mar/2026:09:15:02 "GET / HTTP/1.1" 200 1`)
}
