// Package tenant holds the one identifier that decides what anybody may see.
//
// Invariant: an ID made by Parse is a valid slug, and the zero ID is no tenant
// at all: every store method takes an ID as an explicit argument and refuses
// the zero value. An ID comes from a credential, never from a payload. The
// package knows nobody; it must not import anything of this module.
package tenant

import (
	"errors"
	"fmt"
)

// MaxLen is the longest slug, in bytes: one DNS label, so that a tenant can
// name a topic, a database and a host.
const MaxLen = 63

// ErrZero is returned by every store that is handed the zero ID.
var ErrZero = errors.New("tenant: no tenant given")

// ID names one tenant by its immutable slug. It is comparable and may be a map
// key. The zero value is invalid.
type ID struct{ slug string }

// Parse accepts a slug, [a-z0-9][a-z0-9-]{0,62}.
func Parse(s string) (ID, error) {
	if s == "" {
		return ID{}, fmt.Errorf("tenant id is empty: want 1 to %d of a-z, 0-9 and '-'", MaxLen)
	}
	if len(s) > MaxLen {
		return ID{}, fmt.Errorf("tenant id has %d characters: want at most %d", len(s), MaxLen)
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' && i > 0 {
			continue
		}
		return ID{}, fmt.Errorf("tenant id %q: character %d is not allowed: want a-z, 0-9 and, after the first, '-'", s, i+1)
	}
	return ID{slug: s}, nil
}

// MustParse is Parse for constants; it panics on a bad slug.
func MustParse(s string) ID {
	id, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return id
}

// Verbatim takes any non-empty string unchanged. Only the offline commands,
// which own all the data they read, may use it: there the string is echoed
// and decides nothing.
func Verbatim(s string) ID { return ID{slug: s} }

// String is the slug; empty for the zero ID.
func (id ID) String() string { return id.slug }

// IsZero reports whether id names no tenant.
func (id ID) IsZero() bool { return id.slug == "" }

// MarshalText writes the slug.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.slug), nil }

// UnmarshalText reads a slug as Parse does.
func (id *ID) UnmarshalText(b []byte) error {
	v, err := Parse(string(b))
	if err != nil {
		return err
	}
	*id = v
	return nil
}
