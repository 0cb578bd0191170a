// Package postgres runs the machine's own PostgreSQL as a child process with a
// data directory of its own.
//
// It finds the binaries, initialises the cluster on the first start (UTF-8,
// C.UTF-8, checksums, SCRAM), serves on a Unix socket in a private directory
// (or on a loopback address when asked), and runs as an unprivileged user when
// this process is root.
//
// Invariants: there are never two postmasters on one data directory; the
// postmaster does not outlive this process; what was committed survives kill -9
// of either. The package must not know any schema: roles and databases are made
// on request, tables are core's.
package postgres
