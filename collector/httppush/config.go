// Package httppush is the source that takes events by HTTP:
//
//	POST /v1/events
//	POST /v1/logs    OTLP/HTTP, protobuf or JSON, answered as OTLP specifies
//	Authorization: Bearer <ingest key>
//
// The first takes NDJSON, a JSON array, pretty-printed JSON or lines of text,
// plain, gzip or zstd. The parameters format (or the header X-Log-Format),
// source, year and tz say how to read it; stream=true announces a body of any
// length. The second is held whole, at most 16 MiB.
//
// Invariant: 202 is answered only when everything in the body is durable, and
// then every line of it is an event or a quarantined line. Bodies are read
// as streams: memory does not grow with it. The tenant is the key's and
// nothing in a request can change it. Answers that are errors are RFC 9457
// problems; they say how much was durable, since what was read before an error
// has been handed on.
package httppush

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Config holds the user's settings. Zero values mean the defaults.
type Config struct {
	// MaxBody bounds a request's body in bytes after decompression; a larger
	// one is answered 413. Default 64 MiB.
	MaxBody int64
	// MaxStream bounds a body announced with ?stream=true, which is handed on
	// while it arrives. Default 0: no bound; memory does not depend on it.
	MaxStream int64
	// MaxInFlight bounds the requests worked on at once; above it the answer
	// is 503. MaxInFlightPerKey bounds those of one key, answered 429.
	// Defaults 64 and half of MaxInFlight.
	MaxInFlight       int
	MaxInFlightPerKey int
	// MaxInFlightBytes bounds the memory of the requests worked on at once,
	// counted at RequestMemory each at most. Default 512 MiB.
	MaxInFlightBytes int64
	// BytesPerSecond and EventsPerSecond are the quota of one key; Burst is
	// how many seconds of it may come at once. Above it the answer is 429
	// with Retry-After; a stream is slowed down instead. Defaults 0: no
	// quota; Burst 10.
	BytesPerSecond  float64
	EventsPerSecond float64
	Burst           float64
	// ReadTimeout is how long a sender may be silent within a body before the
	// request is given up with 408. Default 30 s.
	ReadTimeout time.Duration
	// MaxDuration bounds the time to read a body that is no stream. Default 5
	// minutes.
	MaxDuration time.Duration
	// BatchEvents and BatchBytes bound one delivery to the sink; defaults
	// 1,000 and 1 MiB.
	BatchEvents int
	BatchBytes  int
}

// RequestMemory is the most memory one request takes: two batches, the
// decoder's window and the read buffer.
const RequestMemory = 8 << 20

// Options is what the program hands in.
type Options struct {
	Config  Config
	Keys    collector.Keys        // required
	Sink    collector.Sink        // required
	Logger  *slog.Logger          // nil: nothing is logged
	Metrics prometheus.Registerer // nil: nothing is counted
	Meter   collector.Meter       // nil: usage is not metered
	Now     func() time.Time      // nil: time.Now
	// DurableIn is what an acknowledgement means, for the answer's
	// "durable_in": "kafka" (the default) or "buffer".
	DurableIn string
	// Refused, when set, is told of each request of a known key that was
	// refused, with how many of its lines were read and not made durable.
	Refused func(t tenant.ID, source string, lines uint64)
	// Mappings, when set, gives the described formats of a tenant's log source.
	Mappings func(t tenant.ID, source string) []*mapping.Mapping
}

// withDefaults fills in and checks the settings; all problems are reported.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	neg := func(name string, bad bool) {
		if bad {
			errs = append(errs, fmt.Errorf("httppush: %s must not be negative", name))
		}
	}
	neg("max_body", c.MaxBody < 0)
	neg("max_stream", c.MaxStream < 0)
	neg("max_in_flight", c.MaxInFlight < 0)
	neg("max_in_flight_per_key", c.MaxInFlightPerKey < 0)
	neg("max_in_flight_bytes", c.MaxInFlightBytes < 0)
	neg("bytes_per_second", c.BytesPerSecond < 0)
	neg("events_per_second", c.EventsPerSecond < 0)
	neg("burst", c.Burst < 0)
	neg("read_timeout", c.ReadTimeout < 0)
	neg("max_duration", c.MaxDuration < 0)
	set(&c.MaxBody, 64<<20)
	set(&c.MaxInFlight, 64)
	set(&c.MaxInFlightPerKey, max(1, c.MaxInFlight/2))
	set(&c.MaxInFlightBytes, 512<<20)
	set(&c.Burst, 10)
	set(&c.ReadTimeout, 30*time.Second)
	set(&c.MaxDuration, 5*time.Minute)
	if c.MaxInFlightBytes > 0 && c.MaxInFlightBytes < RequestMemory {
		errs = append(errs, fmt.Errorf("httppush: max_in_flight_bytes is %d: want at least %d, one request's memory", c.MaxInFlightBytes, RequestMemory))
	}
	return c, errors.Join(errs...)
}

func set[T int | int64 | float64 | time.Duration](p *T, def T) {
	if *p == 0 {
		*p = def
	}
}
