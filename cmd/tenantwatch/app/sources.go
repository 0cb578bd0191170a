package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/collector/source"
	"github.com/tenantwatch/tenantwatch/collector/sources"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
)

// startSources starts the configured sources, each with a directory of its own
// for what it has to remember.
func (a *App) startSources(sink collector.Sink, mappings func(tenant.ID, string) []*mapping.Mapping) error {
	if len(a.opts.Config.Sources) == 0 {
		return nil
	}
	m, err := source.NewMetrics(a.reg)
	if err != nil {
		return err
	}
	for _, c := range a.opts.Config.Sources {
		s, err := sources.New(c, source.Env{
			Mappings: mappings, Sink: sink, Topics: a.readTopic, Now: time.Now, StateDir: filepath.Join(a.opts.Config.DataDir, "collector", "sources", c.Name),
			Logger: a.log.With("part", "source", "source", c.Name),
		}, m)
		if err != nil {
			return err
		}
		a.life.run("source "+c.Name, s.Run)
		a.log.Info("source started", "source", c.Name, "type", c.Type)
	}
	return nil
}

// readTopic reads somebody else's topic for a source.
func (a *App) readTopic(ctx context.Context, t source.Topic, handle func(context.Context, string, []source.Message) error) error {
	cfg := eventlog.Config{Brokers: t.Brokers, ClientID: "tenantwatch-source", SASL: eventlog.SASL{Mechanism: t.Mechanism, Username: t.Username, Password: t.Password},
		Logger: a.log.With("part", "source", "topic", t.Topic), Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"client": "source-" + t.Group}, a.reg)}
	if t.TLS {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	con, err := eventlog.NewConsumer(cfg, eventlog.ConsumerOptions{Group: t.Group, Topics: []string{t.Topic}, Raw: true, Handler: func(ctx context.Context, p *eventlog.Partition) error {
		at, _ := p.Committed()
		p.Start(at)
		place := fmt.Sprintf("%s/%d", p.TopicID(), p.ID())
		for {
			records, err := p.Read(ctx)
			if err != nil {
				return err
			}
			messages := make([]source.Message, len(records))
			for i, r := range records {
				messages[i] = source.Message{Offset: r.Offset, Value: r.Value}
			}
			if err := handle(ctx, place, messages); err != nil {
				return err // read again from the committed offset, after a pause
			}
			if err := p.Commit(ctx, records[len(records)-1].Offset+1, ""); err != nil {
				return err
			}
		}
	}})
	if err != nil {
		return err
	}
	return con.Run(ctx)
}
