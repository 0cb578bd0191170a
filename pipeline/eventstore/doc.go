// Package eventstore keeps events, quarantined lines, accounts and checkpoints
// in ClickHouse, and is the only importer of its driver.
//
// Invariant: every read of a tenant's data is guarded twice and independently:
// the statement binds the tenant, and the engine is told to filter the tables
// by it (additional_table_filters). Each guard alone keeps foreign rows back;
// both come from an argument of the method, never from a context or a query.
// The zero tenant is refused.
//
// A block is inserted whole or not at all, into one ClickHouse partition, and
// is on disk when Insert returns nil. Inserting the same block under the same
// token twice stores it once, as long as the token is within the table's
// window. What to do when it is not known whether a block arrived is the
// business of package ingest, which this one gives the means: Find and Known.
//
// The package must not decide which events are stored, and must not build a
// statement from a user's text: a query comes as a tree and leaves as a
// condition with bound parameters.
package eventstore
