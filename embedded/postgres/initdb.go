package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/embedded/process"
)

// Layout of the data directory.
const (
	clusterDir   = "pgdata"             // the cluster, PostgreSQL's own
	initPrefix   = "pgdata.init-"       // a cluster being made; garbage after a crash
	passwordFile = "superuser.password" // 0600
	superuser    = "tenantwatch_admin"  // bootstrap role
)

// initialise makes the cluster when there is none. It is made beside its place
// and renamed when complete, so a crash half way is simply done again.
func (s *Server) initialise(ctx context.Context) error {
	pgdata := filepath.Join(s.opt.DataDir, clusterDir)
	if left, err := filepath.Glob(filepath.Join(s.opt.DataDir, initPrefix+"*")); err == nil {
		for _, dir := range left {
			if err := os.RemoveAll(dir); err != nil {
				return fmt.Errorf("remove unfinished %s: %w", dir, err)
			}
		}
	}
	if v, err := os.ReadFile(filepath.Join(pgdata, "PG_VERSION")); err == nil {
		return s.checkCluster(pgdata, strings.TrimSpace(string(v)))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the version of the cluster: %w", err)
	}
	if _, err := os.Stat(pgdata); err == nil {
		return fmt.Errorf("%s is there but holds no PostgreSQL cluster: move it away or choose another --data-dir", pgdata)
	}
	password, err := randomPassword()
	if err != nil {
		return err
	}
	tmp := filepath.Join(s.opt.DataDir, initPrefix+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", tmp, err)
	}
	done := false
	defer func() {
		if !done {
			_ = os.RemoveAll(tmp)
		}
	}()
	if err := s.account.own(tmp); err != nil {
		return err
	}
	// initdb, as the other user, has to read the password once.
	pw := tmp + ".pw"
	if err := writeFileSync(pw, password+"\n"); err != nil {
		return err
	}
	defer func() { _ = os.Remove(pw) }()
	if err := s.account.own(pw); err != nil {
		return err
	}
	s.log.Info("initialising the PostgreSQL cluster", "dir", pgdata, "version", s.install.Version.String())
	// C.UTF-8 sorts by code point on every machine, so an index never goes
	// wrong when the C library changes; where it is missing, C does the same.
	out, err := s.initdb(ctx, tmp, pw, "C.UTF-8")
	if err != nil && strings.Contains(out, "invalid locale name") {
		out, err = s.initdb(ctx, tmp, pw, "C")
	}
	if err != nil {
		return fmt.Errorf("initdb in %s: %w: %s", s.opt.DataDir, err, strings.TrimSpace(out))
	}
	// The password is on disk before the cluster is in place: there is never
	// a cluster without its password.
	if err := writeFileSync(filepath.Join(s.opt.DataDir, passwordFile), password+"\n"); err != nil {
		return err
	}
	if err := os.Rename(tmp, pgdata); err != nil {
		return fmt.Errorf("put the new cluster in place: %w", err)
	}
	done = true
	return syncDir(s.opt.DataDir)
}

// checkCluster refuses a cluster of another major version before PostgreSQL
// does, with words that help.
func (s *Server) checkCluster(pgdata, version string) error {
	if version != strconv.Itoa(s.install.Version.Major) {
		return fmt.Errorf("the cluster in %s was made by PostgreSQL %s, but %s holds %s: install PostgreSQL %s beside it (or use pg_upgrade), or choose another --data-dir",
			pgdata, version, s.install.BinDir, s.install.Version, version)
	}
	return nil
}

func (s *Server) initdb(ctx context.Context, dir, pwfile, locale string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.install.BinDir, "initdb"),
		"--pgdata", dir, "--username", superuser, "--pwfile", pwfile,
		"--encoding", "UTF8", "--locale", locale, "--data-checksums", "--auth", "scram-sha-256")
	cmd.Env, cmd.Dir = environment(s.install), "/"
	b, err := process.Output(cmd, s.account.credential())
	return string(b), err
}

func randomPassword() (string, error) {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("draw a password: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

func (s *Server) readPassword() error {
	path := filepath.Join(s.opt.DataDir, passwordFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the superuser's password: %w (without it the cluster cannot be used: restore the file)", err)
	}
	if s.password = strings.TrimSpace(string(b)); s.password == "" {
		return fmt.Errorf("%s is empty: restore the superuser's password", path)
	}
	return nil
}

func writeFileSync(path, content string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(content); err != nil {
		_ = f.Close()
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
