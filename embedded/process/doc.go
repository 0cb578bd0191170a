// Package process supervises the child processes of the embedded parts and
// holds the few operating-system helpers they share: a lock on a data
// directory, a listener whose error names the flag to change, and the status
// that /readyz shows.
//
// Invariant: no child outlives the parent. A child is killed by the kernel when
// the parent dies by whatever signal (parent-death signal, tied to a thread
// that lives as long as the child), and a child of ours also holds a lifeline,
// a pipe that closes with the parent. A crashed child is started again with a
// capped backoff, and every restart is logged, counted and visible.
//
// The package knows nothing of what it runs: no SQL, no HTTP, no tenant.
package process
