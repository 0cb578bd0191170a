// Package collector takes logs in and hands them on. Its sub-packages are the
// sources (httppush with otlp, and those of the table in sources), the buffer,
// the parsers (parse/…) and the suite every source
// is held to (collectortest).
//
// # The delivery contract
//
// A source receives, hands on, and acknowledges only what is durable:
//
//  1. Receive. Bytes come with a credential, and the credential alone names
//     the tenant. Every record in them becomes events, or one quarantined line
//     with its bytes, its place and a reason that says what to do. Nothing is
//     dropped and a bad line never stops the lines around it.
//  2. Hand on. Events and quarantined lines go to a Sink in bounded batches,
//     in their order. The source keeps no copy: memory does not grow with the
//     length of a stream, and a slow sink slows the sender down.
//  3. Acknowledge. Deliver returns nil when the batch is durable (acknowledged
//     by Kafka with acks=all, or fsynced in the buffer on disk, which drains to
//     Kafka before anything newer). A sender is told "accepted" only after the last
//     batch of its request was. If delivery fails in the middle, the answer is
//     an error that says how much was durable, never a half success.
//
// A sender that got no acknowledgement sends the same bytes again. Ids make
// that harmless: a record's own id, or a hash of the line and its ordinal, is
// the same the second time, so store and detectors drop what they have.
//
// Errors are permanent or retryable. What a sender can mend (bad credential,
// bad body) is permanent and says how; ErrUnavailable and all other errors of
// a Sink are retryable and come with a delay. A line that no parser takes is
// no error: it is quarantined and acknowledged like the others.
//
// Shutdown: a source stops accepting, finishes the requests it has within its
// deadline, and leaves the rest unacknowledged.
//
// The package must not know Kafka, nor read a tenant from a payload.
package collector
