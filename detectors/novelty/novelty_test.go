package novelty

import (
	"testing"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// An update is no new client, another browser, system or program is one.
func TestClient(t *testing.T) {
	f := func(ua, want string) {
		t.Helper()
		if got := Client(&event.Event{UserAgent: ua}); got != want {
			t.Errorf("%q is %q, want %q", ua, got, want)
		}
	}
	f("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "Chrome on Windows")
	f("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.6167.85 Safari/537.36", "Chrome on Windows")
	f("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0", "Edge on Windows")
	f("Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1", "Safari on iPhone")
	f("Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0", "Firefox on Linux")
	f("aws-cli/2.15.0 Python/3.11.6 Linux/6.1", "aws-cli")
	f("curl/8.4.0", "curl")
	f("console.amazonaws.com", "console.amazonaws.com")
	f("", "")
	if got := Client(&event.Event{UserAgent: "curl/8", Device: "till 4"}); got != "till 4" {
		t.Errorf("a named device is %q", got)
	}
}

func TestPlace(t *testing.T) {
	f := func(ip, want string) {
		t.Helper()
		if got := Place(ip); got != want {
			t.Errorf("%q is in %q, want %q", ip, got, want)
		}
	}
	f("203.0.113.77", "203.0.113.0/24")
	f("::ffff:203.0.113.77", "203.0.113.0/24")
	f("2001:db8:1:2::9", "2001:db8:1::/48")
	f("fe80::1%eth0", "fe80::/48")
	f("ec2.amazonaws.com", "") // CloudTrail has names where addresses belong
	f("", "")
}
