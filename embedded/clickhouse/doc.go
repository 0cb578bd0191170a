// Package clickhouse runs the real ClickHouse engine for a machine that has
// none installed: the library libchdb in a child process, behind ClickHouse's
// own HTTP protocol, so that the same driver and the same SQL work against it
// and against a cluster.
//
// Purpose: Start spawns the child (this very binary, re-executed with a hidden
// command that calls RunChild), waits until it answers, and reports its
// address, its secret and its death. Restarting is the supervisor's business.
//
// Invariants:
//   - The engine lives in a process of its own: a crash in it never takes the
//     parent down, and the parent's death, whatever its cause, takes it down.
//   - Every request runs on a session opened for it and closed after it, so
//     that no setting, filter or temporary table of one request can reach
//     another one.
//   - An insert is acknowledged only after the engine has committed it.
//   - Nobody gets an answer other than to /ping without the secret that the
//     parent handed to the child over a pipe.
//   - Results and inserts are streamed: their size does not decide the memory.
//
// It must not be imported by anything but the command, knows nothing of
// tenants, tables or events, and must not listen beyond the machine.
//
// The C interface is the one of chdb.h in version 26.7; the HTTP interface is
// described at https://clickhouse.com/docs/interfaces/http and by what
// clickhouse-go/v2 sends and expects with Protocol: HTTP.
package clickhouse
