// Package runner turns a stream of events into alerts: it keeps the state of
// every tenant and entity, drives the detectors over one pass, combines and
// recalibrates their evidence, holds the alert budget, folds findings into
// episodes and accounts for every finding.
//
// Invariants.
//   - Apply is a function of the events given so far: no I/O, no clock, no
//     randomness. The same events in the same order give the same alert ids,
//     revisions, scores and snapshots, however they are cut into batches.
//   - An event id counts once per tenant within the id window (8 days of event
//     time); what arrives more than 7 days behind its source is counted, and
//     not scored.
//   - findings = alerted + folded + suppressed + below budget.
//   - Snapshot and Restore are exact: a restored runner continues as if it had
//     not been disturbed.
//
// Clocks. Time is event time, per tenant and source. Sources whose clocks are
// within 7 days of one another share a lane: one set of baselines, one budget
// day. A source that begins further away (an import of an old file beside live
// traffic) gets a lane of its own and so runs on its own clock.
//
// The runner must not import a collector, the pipeline's parts with I/O, or
// the core; a detector is one line in Table.
package runner
