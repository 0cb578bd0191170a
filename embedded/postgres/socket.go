package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// socketPort only names the socket file; nothing listens on TCP with it.
	socketPort = 5432
	// maxSocketPath is what fits into sockaddr_un with its closing zero byte.
	maxSocketPath = 107
	socketDirFile = "socketdir" // remembers a socket directory outside the data directory
	tempPattern   = "tw-pg-"
)

// socketPath is the longest path that the socket in dir can have; its name holds
// the port, also that of the TCP listener.
func socketPath(dir string) string { return filepath.Join(dir, ".s.PGSQL.65535") }

// makeSocketDir makes the private directory of the socket: in the data
// directory, or, when that path is too long for a socket, under the system's
// temporary directory with a random name that is remembered, so that the next
// start can remove what a kill left.
func (s *Server) makeSocketDir() error {
	note := filepath.Join(s.opt.DataDir, socketDirFile)
	if b, err := os.ReadFile(note); err == nil {
		old := strings.TrimSpace(string(b))
		// Only ever a directory that we named.
		if strings.HasPrefix(filepath.Base(old), tempPattern) && filepath.IsAbs(old) {
			_ = os.RemoveAll(old) // #nosec G703 -- checked above to be a directory that we named
		}
		_ = os.Remove(note)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", note, err)
	}
	dir := filepath.Join(s.opt.DataDir, "run")
	if len(socketPath(dir)) > maxSocketPath {
		tmp, err := os.MkdirTemp("", tempPattern)
		if err != nil {
			return fmt.Errorf("make a directory for the socket: %w", err)
		}
		if len(socketPath(tmp)) > maxSocketPath {
			_ = os.Remove(tmp)
			return fmt.Errorf("the path of the data directory %s is too long for a socket (%d bytes at most), and so is that of the temporary directory %s: set TMPDIR to a short path", s.opt.DataDir, maxSocketPath, os.TempDir())
		}
		if err := s.account.reach(tmp); err != nil {
			_ = os.Remove(tmp)
			return err
		}
		if err := writeFileSync(note, tmp+"\n"); err != nil {
			_ = os.Remove(tmp)
			return err
		}
		dir = tmp
	} else if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	if err := os.Chmod(dir, 0o700); err != nil { // #nosec G302 -- a directory must be entered by its owner
		return err
	}
	s.socketDir = dir
	return s.account.own(dir)
}

// dropSocketDir removes a socket directory outside the data directory.
func (s *Server) dropSocketDir() {
	if s.socketDir != "" && filepath.Dir(s.socketDir) != s.opt.DataDir {
		_ = os.RemoveAll(s.socketDir)
		_ = os.Remove(filepath.Join(s.opt.DataDir, socketDirFile))
	}
}
