package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// trimmer runs passes until ctx is done.
func (b *Broker) trimmer(ctx context.Context) {
	t := time.NewTicker(b.opt.TrimEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := b.Trim(ctx); err != nil && ctx.Err() == nil {
			b.log.Error("trimming the log failed", "error", err)
		}
	}
}

// Trim makes one pass: each partition of a topic in Options.Groups gives up what
// every group has committed, save the last batch. It runs by itself every
// TrimEvery.
func (b *Broker) Trim(ctx context.Context) error {
	b.open.RLock()
	defer b.open.RUnlock()
	if b.closed {
		return errListenerClosed
	}
	groups, err := b.groupCommits(ctx)
	if err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	// The commits on which records are given up must not be taken back by a
	// power failure.
	b.sync.touchState()
	if err := b.sync.await(ctx.Done()); err != nil {
		return fmt.Errorf("trim: sync group offsets: %w", err)
	}
	var errs []error
	var retained, trimmed int64
	for topic := range b.opt.Groups {
		for _, p := range b.cluster.PartitionInfos(topic) {
			to, ok := b.trimPoint(topic, p, groups)
			if ok && to > p.LogStartOffset {
				if err := b.cluster.DeleteRecords(topic, p.Partition, to); err != nil {
					if !errors.Is(err, kerr.UnknownTopicOrPartition) { // deleted meanwhile
						errs = append(errs, fmt.Errorf("trim %s/%d to %d: %w", topic, p.Partition, to, err))
					}
					continue
				}
				trimmed += to - p.LogStartOffset
				p.LogStartOffset = to
			}
			retained += p.HighWatermark - p.LogStartOffset
		}
	}
	b.metrics.trimmed.Add(float64(trimmed))
	b.metrics.retained.Set(float64(retained))
	b.metrics.diskBytes.Set(float64(diskBytes(b.opt.DataDir)))
	return errors.Join(errs...)
}

// trimPoint is the first offset of a partition that must stay.
func (b *Broker) trimPoint(topic string, p *kfake.PartitionInfo, groups map[string]*kfake.GroupInfo) (int64, bool) {
	if p.HighWatermark == 0 {
		return 0, false
	}
	// The record before the log end stays, and with it its batch: kfake knows
	// the log end of a partition only from its last batch.
	to := p.HighWatermark - 1
	for _, name := range b.opt.Groups[topic] {
		if g := groups[name]; g == nil {
			return 0, false
		} else if _, ok := g.Commits[topic][p.Partition]; !ok {
			return 0, false
		}
	}
	for name, g := range groups {
		c, ok := g.Commits[topic][p.Partition]
		if !ok || c.Offset < 0 {
			continue
		}
		if c.Offset > p.HighWatermark {
			b.warnOnce("commit beyond "+name+topic, "a consumer group has committed beyond the end of the log: acknowledged records were lost, probably in a power failure",
				"group", name, "topic", topic, "partition", p.Partition, "committed", c.Offset, "log_end", p.HighWatermark)
		}
		if c.Offset < to && !slices.Contains(b.opt.Groups[topic], name) {
			b.warnOnce("held by "+name+topic, "a consumer group outside the configured ones keeps the log from being trimmed: delete the group if it is not needed",
				"group", name, "topic", topic)
		}
		to = min(to, c.Offset)
	}
	return to, true
}

// warnOnce says a thing once a run.
func (b *Broker) warnOnce(key, msg string, args ...any) {
	if _, said := b.said.LoadOrStore(key, true); !said {
		b.log.Warn(msg, args...)
	}
}

// groupCommits reads the committed offsets of all groups.
func (b *Broker) groupCommits(ctx context.Context) (map[string]*kfake.GroupInfo, error) {
	req := kmsg.NewPtrListGroupsRequest()
	resp := kmsg.NewPtrListGroupsResponse()
	if err := b.request(ctx, req, resp); err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	groups := make(map[string]*kfake.GroupInfo, len(resp.Groups))
	for _, g := range resp.Groups {
		if info := b.cluster.GroupInfo(g.Group); info != nil {
			groups[g.Group] = info
		}
	}
	return groups, nil
}

// request asks kfake directly, at version 0, whose headers are the plain ones.
func (b *Broker) request(ctx context.Context, req kmsg.Request, resp kmsg.Response) error {
	conn, err := b.backend.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	req.SetVersion(0)
	resp.SetVersion(0)
	frame := binary.BigEndian.AppendUint16(make([]byte, 4), uint16(req.Key()))
	frame = append(frame, 0, 0, 0, 0, 0, 1, 0xff, 0xff) // version 0, correlation 1, no client id
	frame = req.AppendTo(frame)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	if _, err := conn.Write(frame); err != nil {
		return fmt.Errorf("ask the broker: %w", err)
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return fmt.Errorf("ask the broker: %w", err)
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		return fmt.Errorf("ask the broker: %w", err)
	}
	if len(body) < 4 {
		return fmt.Errorf("ask the broker: %w", errProtocol)
	}
	return resp.ReadFrom(body[4:])
}
