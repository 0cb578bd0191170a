package tenant

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	ok := func(s string) {
		t.Helper()
		id, err := Parse(s)
		if err != nil || id.String() != s || id.IsZero() {
			t.Fatalf("Parse(%q) = %v, %v", s, id, err)
		}
	}
	bad := func(s string) {
		t.Helper()
		if id, err := Parse(s); err == nil || !id.IsZero() {
			t.Fatalf("Parse(%q) = %v, nil; want an error and the zero ID", s, id)
		}
	}
	ok("a")
	ok("0")
	ok("acme-2")
	ok(strings.Repeat("a", MaxLen))
	bad("")
	bad("-acme")                       // a flag, not a name
	bad("Acme")                        // slugs are lower case
	bad("acme corp")                   // no spaces
	bad("acme\x00")                    // no control characters
	bad("acmé")                        // ASCII only
	bad("../etc")                      // no path
	bad(strings.Repeat("a", MaxLen+1)) // one too long
}

func TestTextRoundTrip(t *testing.T) {
	b, _ := MustParse("acme").MarshalText()
	var id ID
	if err := id.UnmarshalText(b); err != nil || id != MustParse("acme") {
		t.Fatalf("round trip gave %v, %v", id, err)
	}
	if err := id.UnmarshalText([]byte("No")); err == nil {
		t.Fatal("a bad slug was accepted")
	}
}
