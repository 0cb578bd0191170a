package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Waiting is what a tenant has in the log behind a group's committed offset:
// received, durable, and not yet written by the group.
type Waiting struct {
	Events, Lines uint64            // events, and quarantined lines
	Sources       map[string]uint64 // both, by source
	Oldest        time.Time         // when the first of it came in; zero: nothing waits
	// More says that there was more than could be counted in the bounds.
	More bool
}

// The bounds of one count.
const (
	waitingBytes = 64 << 20
	waitingTime  = 2 * time.Second
)

// InFlight counts what waits for a group in a tenant's partitions of both
// topics. It reads what it counts, within bounds; what the group has written
// and not yet committed counts as waiting.
func InFlight(ctx context.Context, cfg Config, group string, t tenant.ID) (Waiting, error) {
	w := Waiting{Sources: map[string]uint64{}}
	if t.IsZero() {
		return w, fmt.Errorf("count what waits in the log: %w", tenant.ErrZero)
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return w, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cl, stop := cfg.client()
	defer stop()
	for _, topic := range []string{cfg.EventsTopic, cfg.QuarantineTopic} {
		id, n, err := topicInfo(ctx, cl, topic)
		if err != nil {
			return w, fmt.Errorf("count what waits in %s: %w", topic, err)
		}
		part := PartitionFor(t, n)
		p := &Partition{c: &Consumer{cfg: cfg, cl: cl}, topic: topic, topicID: id, id: part}
		if err := w.count(ctx, p, group, t); err != nil {
			return w, fmt.Errorf("count what waits in %s partition %d: %w", topic, part, err)
		}
	}
	return w, nil
}

func (w *Waiting) count(ctx context.Context, p *Partition, group string, t tenant.ID) error {
	res, err := p.c.cl.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{p.topic: {p.id}}})
	if err == nil {
		err = res.Error
	}
	if err != nil && !errors.Is(err, kafka.GroupIdNotFound) { // a group that never committed has written nothing
		return err
	}
	from := int64(-1)
	var parts []kafka.OffsetFetchPartition
	if res != nil {
		parts = res.Topics[p.topic]
	}
	for _, part := range parts {
		if part.Partition == p.id {
			if part.Error != nil && !errors.Is(part.Error, kafka.GroupIdNotFound) {
				return part.Error
			}
			from = part.CommittedOffset
		}
	}
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // read only
	first, end, err := conn.ReadOffsets()
	if err != nil {
		return err
	}
	from = max(from, first)
	began, read := time.Now(), 0
	for from < end {
		if read > waitingBytes || time.Since(began) > waitingTime {
			w.More = true
			return nil
		}
		if _, err := conn.Seek(from, kafka.SeekAbsolute|kafka.SeekDontCheck); err != nil {
			return err
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		batch := conn.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: 8 << 20, MaxWait: 100 * time.Millisecond})
		before := from
		for from < end {
			m, err := batch.ReadMessage()
			if err != nil {
				if errors.Is(err, io.EOF) || errors.Is(err, io.ErrShortBuffer) {
					break
				}
				_ = batch.Close()
				return err
			}
			from = m.Offset + 1
			read += len(m.Value)
			if string(m.Key) == t.String() {
				w.add(p, m, t)
			}
		}
		if err := batch.Close(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if from == before { // a batch of nothing that is ours to read: compacted, or control records
			return nil
		}
	}
	return nil
}

func (w *Waiting) add(p *Partition, m kafka.Message, t tenant.ID) {
	var err error
	var tag tenant.ID
	if p.topic == p.c.cfg.QuarantineTopic {
		var lines []event.Quarantined
		if tag, lines, err = event.DecodeQuarantined(m.Value); err == nil && tag == t {
			w.Lines += uint64(len(lines))
			for i := range lines {
				w.Sources[lines[i].Source]++
			}
		}
	} else {
		var events []event.Event
		if tag, events, err = event.DecodeEvents(m.Value); err == nil && tag == t {
			w.Events += uint64(len(events))
			for i := range events {
				w.Sources[events[i].Source]++
			}
		}
	}
	if err == nil && tag == t && (w.Oldest.IsZero() || m.Time.Before(w.Oldest)) {
		w.Oldest = m.Time.UTC()
	}
}
