package postgres

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that the postmaster runs as when this process is root,
// because PostgreSQL refuses to run as root.
type account struct {
	name     string
	uid, gid int
}

// chooseAccount is nil when this process is not root: then PostgreSQL runs as
// the same user. want overrides the search, which prefers "postgres".
func chooseAccount(want string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	names := []string{"postgres", "nobody"}
	if want != "" {
		names = []string{want}
	}
	for _, n := range names {
		u, err := user.Lookup(n)
		if err != nil {
			continue
		}
		uid, uerr := strconv.Atoi(u.Uid)
		gid, gerr := strconv.Atoi(u.Gid)
		if uerr != nil || gerr != nil || uid == 0 {
			continue
		}
		return &account{u.Username, uid, gid}, nil
	}
	return nil, fmt.Errorf("postgresql refuses to run as root, and there is no unprivileged user among %v: create one with `useradd --system postgres`, or run as an ordinary user", names)
}

func (a *account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid), Groups: []uint32{uint32(a.gid)}}
}

// own makes path belong to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	if err := os.Chown(path, a.uid, a.gid); err != nil {
		return fmt.Errorf("give %s to user %s: %w", path, a.name, err)
	}
	return nil
}

// errUnreachable is wrapped when the account cannot walk to a directory.
var errUnreachable = errors.New("directory cannot be reached")

// reach checks that the account may search every directory on the way to path,
// path itself excluded. An ordinary user runs PostgreSQL as itself and needs no
// check.
func (a *account) reach(path string) error {
	if a == nil {
		return nil
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		fi, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("check the way to %s: %w", path, err)
		}
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && !a.mayEnter(fi.Mode().Perm(), int(st.Uid), int(st.Gid)) {
			return fmt.Errorf("%w: %s has mode %04o, so user %s, which has to run PostgreSQL because root may not, cannot get to %s: "+
				"put the data elsewhere with --data-dir (for example /var/lib/tenantwatch), or allow the passage with `chmod o+x %s`",
				errUnreachable, dir, fi.Mode().Perm(), a.name, path, dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func (a *account) mayEnter(mode os.FileMode, uid, gid int) bool {
	switch {
	case uid == a.uid:
		return mode&0o100 != 0
	case gid == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}
