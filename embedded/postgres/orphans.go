package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// clearStale makes sure that no PostgreSQL process is left in pgdata and then
// removes a postmaster.pid left behind. The caller holds our lock on the data
// directory, so whatever still runs there is an orphan of a process of ours
// that was killed: its postmaster got the parent-death signal and is about to
// end. First it is waited for, then told again, then killed.
//
// The file must not be removed while any backend lives, because it is what
// keeps a second postmaster from the same shared memory.
//
// The lock file of the socket goes with it: it holds a process number that may
// be somebody else's by now, or that of a zombie nobody has waited for yet,
// and PostgreSQL would refuse to start beside it.
func clearStale(ctx context.Context, log *slog.Logger, pgdata, socketDir string) error {
	pidFile := filepath.Join(pgdata, "postmaster.pid")
	if !canSeeHolders {
		return nil
	}
	const patience = 5 * time.Second
	begin := time.Now()
	said := 0
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		pids, err := holders(pgdata)
		if err != nil {
			return fmt.Errorf("look for postgres processes in %s: %w", pgdata, err)
		}
		if len(pids) == 0 {
			break
		}
		waited := time.Since(begin)
		switch {
		case waited > 3*patience:
			return fmt.Errorf("postgres processes %v of an earlier run will not end, and two must never share %s: end them by hand", pids, pgdata)
		case waited > 2*patience && said < 2:
			said = 2
			log.Warn("killing postgres processes of an earlier run", "pids", pids)
			for _, p := range pids {
				_ = syscall.Kill(p, syscall.SIGKILL)
			}
		case said < 1:
			// SIGQUIT is PostgreSQL's immediate shutdown, for the postmaster as
			// for an orphaned backend; the log is replayed at the next start.
			said = 1
			log.Warn("waiting for postgres processes of an earlier run to end", "pids", pids)
			for _, p := range pids {
				_ = syscall.Kill(p, syscall.SIGQUIT)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for postgres processes %v of an earlier run: %w", pids, ctx.Err())
		case <-tick.C:
		}
	}
	switch err := os.Remove(pidFile); {
	case err == nil:
		log.Info("removed the postmaster.pid of an earlier run that did not end in order")
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("remove stale %s: %w", pidFile, err)
	}
	stale, err := filepath.Glob(filepath.Join(socketDir, ".s.PGSQL.*"))
	if err != nil {
		return fmt.Errorf("look for stale sockets in %s: %w", socketDir, err)
	}
	for _, f := range stale {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove stale %s: %w", f, err)
		}
	}
	return nil
}
