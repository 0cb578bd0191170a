package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/embedded/process"
)

// SyncMode says what an acknowledgement promises. In both modes nothing
// acknowledged is lost when the process is killed, and a consumer only ever
// sees records that are on disk.
type SyncMode string

const (
	// SyncAcks, the default: acknowledged means fsynced. Answers to produce
	// requests wait for the next round of fsync, which all of them share.
	SyncAcks SyncMode = "acks"
	// SyncInterval: acknowledged means written to the page cache; fsync follows
	// within Options.SyncEvery. A power failure or a crash of the system may
	// lose what was acknowledged in that time.
	SyncInterval SyncMode = "interval"
)

// Options configure a Broker. DataDir and Groups are required.
type Options struct {
	// DataDir is a directory for this broker alone; it is made when absent.
	DataDir string
	// Groups lists for each topic the consumer groups that must have committed
	// an offset before it is trimmed: a group that has not started yet keeps
	// everything. Groups not listed that have committed on the topic hold
	// trimming back as well. Topics not listed are never trimmed.
	Groups map[string][]string
	// Sync is SyncAcks when empty; SyncEvery, default 100 ms, is the interval of
	// SyncInterval.
	Sync      SyncMode
	SyncEvery time.Duration
	// TrimEvery is the pause between passes of the trimmer. Default 10 s.
	TrimEvery time.Duration
	// SegmentBytes is the size at which a segment file is closed: trimming frees
	// whole segments. Default 16 MiB.
	SegmentBytes int
	// MaxMessageBytes bounds one record batch, MaxFrameBytes one request.
	// Defaults 8 MiB and 32 MiB.
	MaxMessageBytes, MaxFrameBytes int
	// Listen is a loopback address (127.0.0.1:9092, or port 0 for any) on which
	// other processes of this machine may connect, without authentication.
	// Empty, the default, is none: only Dial reaches the broker.
	Listen string
	// OnState is told every change of state; it must not block.
	OnState func(process.Status)

	Logger  *slog.Logger          // default slog.Default()
	Metrics prometheus.Registerer // nil: none
}

func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.DataDir == "" {
		errs = append(errs, errors.New("option DataDir is required"))
	}
	if len(o.Groups) == 0 {
		errs = append(errs, errors.New("option Groups is required: without it the log is never trimmed"))
	}
	o.Groups = maps.Clone(o.Groups)
	for topic, groups := range o.Groups {
		if !validTopic(topic) {
			errs = append(errs, fmt.Errorf("option Groups: %q is no topic name", topic))
		}
		if len(groups) == 0 {
			errs = append(errs, fmt.Errorf("option Groups: topic %s has no group: leave it out to keep everything", topic))
		}
	}
	switch o.Sync {
	case "":
		o.Sync = SyncAcks
	case SyncAcks, SyncInterval:
	default:
		errs = append(errs, fmt.Errorf("option Sync is %q: want %q or %q", o.Sync, SyncAcks, SyncInterval))
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = 100 * time.Millisecond
	}
	if o.TrimEvery == 0 {
		o.TrimEvery = 10 * time.Second
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 16 << 20
	}
	if o.MaxMessageBytes == 0 {
		o.MaxMessageBytes = 8 << 20
	}
	if o.MaxFrameBytes == 0 {
		o.MaxFrameBytes = 32 << 20
	}
	if o.SyncEvery < time.Millisecond || o.TrimEvery < time.Millisecond {
		errs = append(errs, errors.New("options SyncEvery and TrimEvery: want at least 1 ms"))
	}
	if o.SegmentBytes < 4<<10 || o.SegmentBytes > 1<<30 {
		errs = append(errs, fmt.Errorf("option SegmentBytes is %d: want 4 KiB to 1 GiB", o.SegmentBytes))
	}
	if o.MaxFrameBytes > 100<<20 || o.MaxMessageBytes > o.MaxFrameBytes {
		errs = append(errs, fmt.Errorf("option MaxFrameBytes is %d, MaxMessageBytes %d: want at most 100 MiB, and a frame no smaller than a message", o.MaxFrameBytes, o.MaxMessageBytes))
	}
	if o.Listen != "" {
		if err := process.LoopbackOnly(o.Listen, "--broker-addr"); err != nil {
			errs = append(errs, err)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, errors.Join(errs...)
}
