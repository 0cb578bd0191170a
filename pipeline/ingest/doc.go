// Package ingest moves events from the log into the store: every acknowledged
// event becomes one row, no event two.
//
// The recipe, per partition of the log:
//
//  1. One writer, fenced by the consumer group's generation.
//  2. Records are gathered into a range of offsets, repeated ids are dropped,
//     and the rest is cut into blocks, one per month of arrival (a ClickHouse
//     partition). Before a block is inserted, the intent to do so is persisted:
//     in the metadata of the group's commit, at the range's first offset. The
//     broker refuses it from a writer that has lost the partition, so an intent
//     and the right to act on it come together, and the offset cannot move
//     without it. It holds the topic id, the offsets, the block's number, month,
//     number of rows and the exclusive or of its ids' hashes, and the attempt.
//  3. The block is inserted whole under a token made of the intent.
//  4. After any doubt (an error, a crash) the rows of the range are counted:
//     all there is done; none there is another insert under the same token and,
//     if the engine takes that for a repetition and still has no rows, under a
//     new one, persisted first; anything else stops the partition and says so.
//  5. The offset is committed after the last block of the range.
//
// Producers repeat records when an answer is lost, and senders repeat requests:
// those are new records with old ids. A filter in memory, rebuilt from the
// store when a tenant is first seen, says for sure that an id is new; when it
// does not, the store is asked, over its whole retention. That check also
// covers a log or a commit that fell back in time.
//
// The package must not lose a record it cannot read (it becomes a quarantined
// row without a tenant) and must not go on when the rows do not add up.
package ingest
