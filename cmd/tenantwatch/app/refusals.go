package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// maxRefusals bounds the hours and sources counted at a time; those beyond
// are counted under the source "(others)".
const maxRefusals = 10_000

// refusalBook counts what collectors refuse and notes it in the store. What a
// process counted since its last note is lost with it.
type refusalBook struct {
	store   *eventstore.Store
	log     *slog.Logger
	now     func() time.Time
	process string

	mu      sync.Mutex
	counts  map[refusalKey]*eventstore.Refusals
	changed map[refusalKey]bool
	version uint64
}

type refusalKey struct {
	t      tenant.ID
	source string
	hour   int64
}

func newRefusalBook(store *eventstore.Store, log *slog.Logger) *refusalBook {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return &refusalBook{store: store, log: log, now: time.Now, process: hex.EncodeToString(b[:]), counts: map[refusalKey]*eventstore.Refusals{}, changed: map[refusalKey]bool{}}
}

// add counts one refused request and the lines of it that were read.
func (b *refusalBook) add(t tenant.ID, source string, lines uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	hour := b.now().UTC().Truncate(time.Hour)
	k := refusalKey{t, source, hour.Unix()}
	if b.counts[k] == nil && len(b.counts) >= maxRefusals {
		k.source = "(others)"
	}
	if b.counts[k] == nil {
		b.counts[k] = &eventstore.Refusals{Tenant: k.t, Source: k.source, Hour: hour}
	}
	b.counts[k].Requests++
	b.counts[k].Lines += lines
	b.changed[k] = true
}

// flush notes what changed, and forgets hours that are over and noted.
func (b *refusalBook) flush(ctx context.Context) error {
	b.mu.Lock()
	var out []eventstore.Refusals
	for k := range b.changed {
		out = append(out, *b.counts[k])
	}
	noted := b.changed
	b.changed = map[refusalKey]bool{}
	b.version++
	version, hour := b.version, b.now().UTC().Truncate(time.Hour).Unix()
	b.mu.Unlock()
	err := b.store.RecordRefusals(ctx, b.process, version, out)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		for k := range noted {
			b.changed[k] = true
		}
		return err
	}
	for k := range b.counts {
		if k.hour < hour-3600 && !b.changed[k] {
			delete(b.counts, k)
		}
	}
	return nil
}

// Run notes the counts until ctx is done, and once more then.
func (b *refusalBook) Run(ctx context.Context) error {
	for sleep(ctx, 5*time.Second) {
		if err := b.flush(ctx); err != nil && ctx.Err() == nil {
			b.log.Warn("refused lines could not be noted, trying again", "err", err)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := b.flush(last); err != nil {
		b.log.Warn("refused lines could not be noted", "err", err)
	}
	return nil
}

// sealer notes the counts of past hours, so that what expires later can be
// told from what never came.
type sealer struct {
	store *eventstore.Store
	log   *slog.Logger
}

// Run notes everything once, then the last days again and again until ctx is
// done.
func (s sealer) Run(ctx context.Context) error {
	from := time.Time{}
	for {
		now := time.Now()
		if err := s.store.Seal(ctx, from, now); err == nil {
			from = now.AddDate(0, 0, -2)
		} else if ctx.Err() == nil {
			s.log.Warn("the hours' counts could not be noted, trying again", "err", err)
		}
		if !sleep(ctx, 15*time.Minute) {
			return nil
		}
	}
}
