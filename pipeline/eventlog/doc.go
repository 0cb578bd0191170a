// Package eventlog is the log between collector and everything that reads:
// Kafka, and the only importer of its client.
//
// Invariant: Produce returns nil only after every replica in sync has
// acknowledged every record (acks=all); what a caller was told is durable is
// durable. A consumer runs one handler per assigned partition, and a commit is
// refused once the generation that assigned the partition is over: at most one
// handler at a time can move a partition's offset or its metadata.
//
// The producer may write a record twice (a retry after a lost answer), never
// reorders a partition, and never drops. Every event carries an id, so that
// readers see a repetition. A record is a batch of one tenant's events in the
// encoding of package event; its key is the tenant. A record whose key and tag
// differ, or that does not decode, is handed on with Err set: the reader
// decides where to put it, the partition goes on.
//
// The package must not know what is done with the events, and must not use
// kafka-go's Reader (it commits before a record is processed) nor start at the
// log's end (that loses what came before the first start).
package eventlog
