package core

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
)

var lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// randomText is n random bytes in lower-case base 32: no character needs
// quoting anywhere and a double click selects all of it.
func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return lower32.EncodeToString(b)
}

// hashToken is how tokens of 256 random bits are kept: they need no salt and
// no slow hash.
func hashToken(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}
