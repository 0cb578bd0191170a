package event

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Digest identifies one line of one format: SHA-256 over the format's name, a
// zero byte and the line. It is cryptographic on purpose: whoever can write
// into a log (a user agent, a user name) must not be able to craft two lines
// of one id and so have one of them dropped as a repeat.
type Digest [sha256.Size]byte

// LineDigest is the Digest of raw read as format. The bytes are those that
// arrived, before any repair.
func LineDigest(format, raw string) Digest {
	var stack [1024]byte
	b := append(stack[:0], format...)
	b = append(b, 0)
	b = append(b, raw...)
	return sha256.Sum256(b)
}

// ID is the event id of the ordinal-th (from 0) identical line: 32 hex digits.
// The first one is the digest itself; later ones hash digest and ordinal.
func (d Digest) ID(ordinal uint64) string {
	if ordinal > 0 {
		var b [sha256.Size + 8]byte
		copy(b[:], d[:])
		binary.BigEndian.PutUint64(b[sha256.Size:], ordinal)
		d = sha256.Sum256(b[:])
	}
	var out [32]byte
	hex.Encode(out[:], d[:16])
	return string(out[:])
}

// GenerateID makes the id of a line that brings none: a hash of the format,
// the raw line and the ordinal (from 0) of this identical line within its file
// or request. The same file read again gives the same ids, while identical
// lines within one file stay distinct events. It is 32 hex digits.
func GenerateID(format, raw string, ordinal uint64) string {
	return LineDigest(format, raw).ID(ordinal)
}

// OrdinalOf is the ordinal below most for which d gives id; ok is false when
// none does.
func OrdinalOf(d Digest, id string, most uint64) (ordinal uint64, ok bool) {
	for n := range most {
		if d.ID(n) == id {
			return n, true
		}
	}
	return 0, false
}
