// Package logstream sends a tenant's own events on as they are stored: to an
// HTTP endpoint, Splunk's HTTP Event Collector, S3-compatible storage or
// Kafka.
//
// Invariant: at least once, in the order in which the store took each part's
// rows. A stream's position moves after the receiver took a batch, never
// before; a batch that is sent again carries the same key. One sender serves a
// stream at a time, under a lease. Addresses are a tenant's choice, so every
// connection goes through core/egress. A stream that fails backs off by itself
// and holds back no other. The package must not read events of a tenant other
// than the stream's: Source is always asked for that one.
package logstream
