// Package broker is the Kafka broker of `tenantwatch up`: franz-go's kfake in
// this process, made fit to hold data.
//
// What kfake lacks, this package adds:
//   - A lock on the data directory, and checks before kfake opens it: a torn
//     tail of a state log is cut off (kfake would append behind it and lose all
//     that follows at the next crash), partitions without a topic are put aside.
//   - A guard between every client and kfake. Clients come over in-process
//     pipes (Dial), or over a loopback listener when asked; a frame that is too
//     long, unknown or does not parse closes its connection and never reaches
//     kfake, which would panic.
//   - Durability. kfake writes to the page cache before it answers, which
//     survives kill -9; power loss needs fsync. The guard holds the answer to a
//     produce request until a round of fsync has covered it (one round serves
//     all who wait), and never lets a consumer see a record that is not on disk.
//   - Trimming. kfake's own retention is off: it would delete what nobody has
//     read, and a partition that it empties loses its high watermark at the
//     next start. The trimmer deletes what every group has committed, and
//     always keeps the last batch.
//
// Invariants: a record that was acknowledged is found again after kill -9 (and,
// with SyncAcks, after power loss); offsets seen by a consumer are never given
// to another record; nothing is trimmed before every group committed it.
//
// It is one broker on one machine: no replicas. The package must not know what
// the records mean, and does not import kafka-go.
package broker
