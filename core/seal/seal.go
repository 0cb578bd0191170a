// Package seal keeps small secrets unreadable at rest.
//
// Invariant: what was sealed for one purpose opens for that purpose alone (the
// purpose is authenticated with it), and a changed byte opens to an error. The
// package knows nobody; a KMS-backed Sealer can take the key file's place.
package seal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Sealer seals and opens small secrets.
type Sealer interface {
	// Seal encrypts plain for one purpose, e.g. "webhook secret <tenant> <id>".
	Seal(ctx context.Context, purpose string, plain []byte) ([]byte, error)
	// Open gives back what Seal was given; a different purpose is ErrOpen.
	Open(ctx context.Context, purpose string, sealed []byte) ([]byte, error)
}

// ErrOpen is returned for bytes that were not sealed with this key for this
// purpose.
var ErrOpen = errors.New("seal: cannot open: wrong key, wrong purpose or damaged bytes")

const (
	keyLen  = 32
	version = 1
	idLen   = 8
)

// Key is an AES-256-GCM Sealer with one key. Sealed bytes are: version 1, the
// first 8 bytes of the key's SHA-256 (so that a later rotation can tell keys
// apart), a 12-byte random nonce, the ciphertext with its tag.
type Key struct {
	aead cipher.AEAD
	id   [idLen]byte
}

// NewKey makes a Sealer of 32 key bytes.
func NewKey(key []byte) (*Key, error) {
	if len(key) != keyLen {
		return nil, fmt.Errorf("seal: the key has %d bytes: want %d", len(key), keyLen)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	sum := sha256.Sum256(key)
	return &Key{aead: aead, id: [idLen]byte(sum[:idLen])}, nil
}

// KeyFile opens the key in path, 32 random bytes with mode 0600, and creates
// it when there is none. A file that others can read is refused.
func KeyFile(path string) (*Key, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if key, err = createKey(path); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, fmt.Errorf("seal: read the key file: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("seal: key file %s has mode %04o: run chmod 600 on it", path, info.Mode().Perm())
	}
	k, err := NewKey(key)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return k, nil
}

// createKey writes a new key beside path and links it into place, so that a
// crash leaves no half key and two starters agree on one.
func createKey(path string) ([]byte, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // made with mode 0600
	if err != nil {
		return nil, fmt.Errorf("seal: create the key file: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	key := make([]byte, keyLen)
	_, _ = rand.Read(key) // never fails
	_, err = f.Write(key)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		if err = os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
			return os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("seal: create the key file: %w", err)
	}
	return key, nil
}

// Seal implements Sealer.
func (k *Key) Seal(_ context.Context, purpose string, plain []byte) ([]byte, error) {
	out := make([]byte, 1+idLen+k.aead.NonceSize(), 1+idLen+k.aead.NonceSize()+len(plain)+k.aead.Overhead())
	out[0] = version
	copy(out[1:], k.id[:])
	nonce := out[1+idLen:]
	_, _ = rand.Read(nonce)                                     // never fails
	return k.aead.Seal(out, nonce, plain, []byte(purpose)), nil // #nosec G407 -- the nonce is random, read two lines above
}

// Open implements Sealer.
func (k *Key) Open(_ context.Context, purpose string, sealed []byte) ([]byte, error) {
	head := 1 + idLen + k.aead.NonceSize()
	if len(sealed) < head || sealed[0] != version || [idLen]byte(sealed[1:1+idLen]) != k.id {
		return nil, ErrOpen
	}
	plain, err := k.aead.Open(nil, sealed[1+idLen:head], sealed[head:], []byte(purpose))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}
