//go:build unix && !linux

package postgres

// holders cannot be known here: PostgreSQL's own check of postmaster.pid, which
// errs on the side of not starting, has to do.
func holders(string) ([]int, error) { return nil, nil }

const canSeeHolders = false
