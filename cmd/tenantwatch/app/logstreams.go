package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/logstream"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// streamSource is logstream.Source on the event store.
type streamSource struct{ s *eventstore.Store }

func readPosition(raw json.RawMessage) (eventstore.TailPosition, error) {
	p := eventstore.TailPosition{}
	if len(raw) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("a log stream's position: %w", err)
	}
	return p, nil
}

func (s streamSource) Next(ctx context.Context, id tenant.ID, position json.RawMessage, q *query.Query, limit int) (b logstream.Batch, err error) {
	p, err := readPosition(position)
	if err != nil {
		return b, err
	}
	heads, err := s.s.Heads(ctx, id, p)
	if err != nil {
		return b, err
	}
	b.Position = position
	for i, h := range heads {
		events, next, err := s.s.Tail(ctx, id, p, h, q, limit)
		if err != nil {
			return b, err
		}
		if b.Position, err = json.Marshal(next); err != nil {
			return b, err
		}
		p = next
		if len(events) > 0 {
			b.Events, b.More = events, len(events) == limit || i < len(heads)-1
			return b, nil
		}
	}
	return b, nil
}

func (s streamSource) Behind(ctx context.Context, id tenant.ID, position json.RawMessage) (n uint64, oldest time.Time, err error) {
	p, err := readPosition(position)
	if err != nil {
		return 0, oldest, err
	}
	heads, err := s.s.Heads(ctx, id, p)
	for _, h := range heads {
		n += h.Rows
		if oldest.IsZero() || h.Oldest.Before(oldest) {
			oldest = h.Oldest
		}
	}
	return n, oldest, err
}

// privateNetworks may be sent to when the operator allows it.
func privateNetworks(allow bool) (out []netip.Prefix) {
	if !allow {
		return nil
	}
	for _, p := range []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func (a *App) startStreams(c *core.Core, store *eventstore.Store) error {
	private := a.opts.Config.Webhooks.AllowPrivate
	w, err := logstream.New(logstream.Options{Core: c, Source: streamSource{store}, AllowNetworks: privateNetworks(private), AllowPlain: private,
		Logger: a.log.With("part", "logstream"), Metrics: a.reg, Kafka: func(t logstream.KafkaTarget) (logstream.KafkaWriter, error) {
			return eventlog.NewWriter(eventlog.Config{Brokers: t.Brokers, ClientID: "tenantwatch-stream", Dial: t.Dial, TLS: t.TLS,
				SASL: eventlog.SASL{Username: t.Username, Password: t.Password}}, t.Topic)
		}})
	if err != nil {
		return err
	}
	a.life.run("logstream", w.Run)
	return nil
}

// logStreamStore is api.LogStreams on the core and the event store.
type logStreamStore struct {
	s     *core.Streams
	store *eventstore.Store
	plain bool
}

func logStream(s core.LogStream) api.LogStream { return api.LogStream(s) }

func (l logStreamStore) List(ctx context.Context, scope []tenant.ID) ([]api.LogStream, error) {
	rows, err := l.s.List(ctx, scope)
	out := make([]api.LogStream, 0, len(rows))
	for _, r := range rows {
		out = append(out, logStream(r))
	}
	return out, err
}

func (l logStreamStore) Get(ctx context.Context, scope []tenant.ID, id string) (api.LogStream, error) {
	s, err := l.s.Get(ctx, scope, id)
	return logStream(s), err
}

func (l logStreamStore) Create(ctx context.Context, by access.Actor, id tenant.ID, s api.LogStream, secret string, beginning bool) (api.LogStream, error) {
	if _, err := logstream.Parse(s.Kind, s.Config, l.plain); err != nil {
		return s, fmt.Errorf("%w: %s", api.ErrInvalid, err)
	}
	position := eventstore.TailPosition{}
	if !beginning {
		heads, err := l.store.Heads(ctx, id, position)
		if err != nil {
			return s, err
		}
		for _, h := range heads {
			position = h.After(position)
		}
	}
	raw, err := json.Marshal(position)
	if err != nil {
		return s, err
	}
	made, err := l.s.Create(ctx, by, id, core.LogStream(s), core.Secret(secret), raw)
	return logStream(made), err
}

func (l logStreamStore) SetStatus(ctx context.Context, by access.Actor, id tenant.ID, streamID, status string) error {
	return l.s.SetStatus(ctx, by, id, streamID, status)
}

func (l logStreamStore) Delete(ctx context.Context, by access.Actor, id tenant.ID, streamID string) error {
	return l.s.Delete(ctx, by, id, streamID)
}
