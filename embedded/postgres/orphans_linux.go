package postgres

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holders lists the PostgreSQL processes whose working directory is the data
// directory: a postmaster and its backends all stay in it. It is how a
// postmaster.pid left by a crash is told from one in use, whatever process has
// got its number since.
func holders(pgdata string) ([]int, error) {
	want, err := filepath.EvalSymlinks(pgdata)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// Processes come and go, and others' are not ours to see: an error
		// means that this is not one of ours.
		cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil || cwd != want {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err != nil || !strings.HasPrefix(filepath.Base(exe), "postgres") {
			continue
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// canSeeHolders says whether holders tells the truth on this system.
const canSeeHolders = true
