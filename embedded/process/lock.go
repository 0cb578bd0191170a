package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrLocked is wrapped by the error of Lock when another process holds the
// directory.
var ErrLocked = errors.New("data directory is in use")

const lockFile = "lock"

// DirLock is an exclusive claim on a directory. The kernel drops it when the
// process dies, however it dies.
type DirLock struct{ f *os.File }

// Lock takes the exclusive lock of dir, which must exist. When it is held, the
// error wraps ErrLocked and names the directory, the process that holds it and
// what to do. The lock file stays behind on release: removing it would let two
// processes lock two different files of the same name.
func Lock(dir string) (*DirLock, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	if err := flock(f); err != nil {
		holder := "another process"
		if b, rerr := os.ReadFile(path); rerr == nil {
			if pid, perr := strconv.Atoi(strings.TrimSpace(string(b))); perr == nil {
				holder = "process " + strconv.Itoa(pid)
			}
		}
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s is held by %s: stop it, or choose another directory with --data-dir", ErrLocked, dir, holder)
		}
		return nil, fmt.Errorf("lock data directory %s: %w (the file system may not support flock: choose a local directory with --data-dir)", dir, err)
	}
	// The pid is only there to be shown; the lock is the flock.
	if err := errors.Join(f.Truncate(0), writeAt0(f, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write lock file %s: %w", path, err)
	}
	return &DirLock{f: f}, nil
}

func writeAt0(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			return err
		}
	}
}

// Release gives the directory back. It is safe to call twice.
func (l *DirLock) Release() error {
	if l == nil || l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	_ = f.Truncate(0)
	return f.Close()
}
