package core

import (
	"context"
	"fmt"

	"github.com/alexedwards/argon2id"
)

// PasswordCost is the cost of hashing a password with argon2id.
type PasswordCost struct {
	MemoryKiB uint32 // default 65536
	Passes    uint32 // default 2
	Lanes     uint8  // default 1
}

func (p PasswordCost) orDefault() PasswordCost {
	if p == (PasswordCost{}) {
		return PasswordCost{MemoryKiB: 64 * 1024, Passes: 2, Lanes: 1}
	}
	return p
}

// hasher hashes passwords, a few at a time: each takes the memory of its cost.
type hasher struct {
	params *argon2id.Params
	slots  chan struct{}
	dummy  string // of no password: what an unknown address is compared with
}

func newHasher(cost PasswordCost) (*hasher, error) {
	h := &hasher{
		params: &argon2id.Params{Memory: cost.MemoryKiB, Iterations: cost.Passes, Parallelism: cost.Lanes, SaltLength: 16, KeyLength: 32},
		slots:  make(chan struct{}, 4),
	}
	var err error
	h.dummy, err = argon2id.CreateHash(randomText(20), h.params)
	if err != nil {
		return nil, fmt.Errorf("password hashing: %w", err)
	}
	return h, nil
}

func (h *hasher) hash(ctx context.Context, password Secret) (string, error) {
	if n := len(password); n < minPassword || n > maxPassword {
		return "", invalid("a password has %d to %d bytes", minPassword, maxPassword)
	}
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	return argon2id.CreateHash(password.Reveal(), h.params)
}

// matches compares in the time of one hash, whatever the hash says.
func (h *hasher) matches(ctx context.Context, password Secret, hash string) (bool, error) {
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	return argon2id.ComparePasswordAndHash(password.Reveal(), hash)
}

func (h *hasher) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hasher) leave() { <-h.slots }

const minPassword, maxPassword = 10, 256
