package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
)

// Cursors are opaque to their holders: a MAC over what they belong to and the
// position, then the position. The same key has to be used by every process
// that answers.
type cursors struct{ key []byte }

const macLen = 16

// bind names what a cursor belongs to: operation, credential, tenant and
// filters. Page size and the cursor itself may change from page to page.
func bind(operation, principal, tenant string, filters url.Values) []byte {
	f := url.Values{}
	for k, v := range filters {
		if k != "after" && k != "limit" {
			f[k] = v
		}
	}
	b, _ := json.Marshal([]string{operation, principal, tenant, f.Encode()}) // text marshals
	return b
}

func (k cursors) mac(bound, position []byte) []byte {
	m := hmac.New(sha256.New, k.key)
	sum := sha256.Sum256(bound)
	m.Write(sum[:])
	m.Write(position)
	return m.Sum(nil)[:macLen]
}

// seal makes a cursor of a position.
func (k cursors) seal(bound []byte, position any) string {
	p, _ := json.Marshal(position) // positions are plain structs
	return base64.RawURLEncoding.EncodeToString(append(k.mac(bound, p), p...))
}

// open reads a cursor into position; false when it was not made by seal with
// the same binding.
func (k cursors) open(bound []byte, cursor string, position any) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) <= macLen || !hmac.Equal(b[:macLen], k.mac(bound, b[macLen:])) {
		return false
	}
	return json.Unmarshal(b[macLen:], position) == nil
}
