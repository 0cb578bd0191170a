package seal

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestSealOpen(t *testing.T) {
	ctx := context.Background()
	k, err := NewKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := k.Seal(ctx, "p", []byte("secret"))
	b, _ := k.Seal(ctx, "p", []byte("secret"))
	if bytes.Equal(a, b) || bytes.Contains(a, []byte("secret")) {
		t.Fatal("sealing is not randomised, or not sealing")
	}
	if got, err := k.Open(ctx, "p", a); err != nil || string(got) != "secret" {
		t.Fatalf("opened %q, %v", got, err)
	}
	if _, err := k.Open(ctx, "q", a); !errors.Is(err, ErrOpen) {
		t.Errorf("another purpose: %v", err)
	}
	for i := range a {
		c := bytes.Clone(a)
		c[i] ^= 1
		if _, err := k.Open(ctx, "p", c); !errors.Is(err, ErrOpen) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := k.Open(ctx, "p", a[:i]); !errors.Is(err, ErrOpen) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	other, _ := NewKey(bytes.Repeat([]byte{8}, 32))
	if _, err := other.Open(ctx, "p", a); !errors.Is(err, ErrOpen) {
		t.Errorf("another key: %v", err)
	}
	if _, err := NewKey([]byte("short")); err == nil {
		t.Error("a short key is accepted")
	}
}

func TestKeyFile(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "key")
	keys := make([]*Key, 8)
	var wg sync.WaitGroup
	for i := range keys { // who starts at the same time gets the same key
		wg.Go(func() {
			var err error
			if keys[i], err = KeyFile(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sealed, _ := keys[0].Seal(ctx, "p", []byte("x"))
	for i, k := range keys {
		if _, err := k.Open(ctx, "p", sealed); err != nil {
			t.Errorf("key %d: %v", i, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := KeyFile(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a readable key file: %v", err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := KeyFile(path); err == nil || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("a short key file: %v", err)
	}
}
