package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/edges"
	"github.com/tenantwatch/tenantwatch/detectors/failures"
	"github.com/tenantwatch/tenantwatch/detectors/novelty"
	"github.com/tenantwatch/tenantwatch/detectors/peers"
	"github.com/tenantwatch/tenantwatch/detectors/privilege"
	"github.com/tenantwatch/tenantwatch/detectors/rate"
	"github.com/tenantwatch/tenantwatch/detectors/silence"
	"github.com/tenantwatch/tenantwatch/detectors/spread"
	"github.com/tenantwatch/tenantwatch/detectors/travel"
	"github.com/tenantwatch/tenantwatch/detectors/volume"
)

// Table lists the detectors; never reorder, the order is in checkpoints.
func Table() []detect.Detector {
	return []detect.Detector{
		rate.Detector{},
		novelty.Detector{},
		failures.Detector{},
		volume.Detector{},
		silence.Detector{},
		privilege.Detector{},
		travel.Detector{},
		peers.Detector{},
		edges.Detector{},
		spread.Detector{},
	}
}

// Options are a runner's settings.
type Options struct {
	// Budget is how many alerts a tenant may expect on a UTC day without an
	// attack: a ceiling, never a quota. 0 means 5.
	Budget float64
	// QueueBudget is the same for all tenants of this runner together, the
	// queue of an analyst: when they ask for more, each gets its part. 0 is no
	// ceiling.
	QueueBudget float64
	// MaxEntities bounds the entities remembered over all tenants; the one
	// unseen for longest is forgotten, its cohort keeps what it taught.
	// 0 means 1,000,000.
	MaxEntities int
	// OneClock puts all sources of a tenant on one clock, for input that is
	// merged in event time.
	OneClock bool
	// KeepDuplicates switches the id window off. For a negative control only.
	KeepDuplicates bool
	// Quiet is how many hours without evidence close an episode. 0 means 6.
	Quiet int64
	// Detectors replaces Table, for tests.
	Detectors []detect.Detector
}

func (o Options) withDefaults() (Options, error) {
	if o.Budget < 0 || o.Budget != o.Budget {
		return o, fmt.Errorf("alert budget is %v: want a number above 0", o.Budget)
	}
	if o.QueueBudget < 0 || o.QueueBudget != o.QueueBudget {
		return o, fmt.Errorf("budget of the queue is %v: want a number above 0", o.QueueBudget)
	}
	if o.MaxEntities < 0 {
		return o, fmt.Errorf("entity limit is %d: want a number above 0", o.MaxEntities)
	}
	if o.Quiet < 0 || o.Quiet > 24*7 {
		return o, fmt.Errorf("quiet time is %d hours: want 1 to 168", o.Quiet)
	}
	if o.Budget == 0 {
		o.Budget = 5
	}
	if o.MaxEntities == 0 {
		o.MaxEntities = 1_000_000
	}
	if o.Quiet == 0 {
		o.Quiet = 6
	}
	if o.Detectors == nil {
		o.Detectors = Table()
	}
	return o, nil
}

// frame is what a snapshot must share with who restores it; the detectors may
// differ, see layout.
func (o Options) frame() string { return fmt.Sprintf("quiet=%d one-clock=%t", o.Quiet, o.OneClock) }

// configHash names what decides which alerts there are, apart from the
// budget, which may change while the runner lives.
func (o Options) configHash() string {
	h := sha256.New()
	fmt.Fprintln(h, o.frame())
	for _, d := range o.Detectors {
		fmt.Fprintf(h, "%s %s\n", d.Name(), d.Version())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
