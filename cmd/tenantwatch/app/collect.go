package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/api/ops"
	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/buffer"
	"github.com/tenantwatch/tenantwatch/collector/httppush"
	"github.com/tenantwatch/tenantwatch/collector/otlp"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
	"github.com/tenantwatch/tenantwatch/pipeline/eventstore"
)

// startCollector starts what takes events in: the push listener and the one
// for OTLP/gRPC.
func (a *App) startCollector(b backends, c *core.Core, store *eventstore.Store, ls listeners) error {
	producer, err := eventlog.NewProducer(a.logConfig(b, "collector"), eventlog.ProducerOptions{})
	if err != nil {
		return err
	}
	a.life.add("producer", func(context.Context) error { return producer.Close() })
	cc, log := a.opts.Config.Collector, a.log.With("part", "collector")
	sink, err := a.bufferedSink(logSink{producer})
	if err != nil {
		return err
	}
	secure, err := serverTLS(cc.TLSCert, cc.TLSKey, log)
	if err != nil {
		return err
	}
	described, err := a.describedFormats()
	if err != nil {
		return err
	}
	refused := newRefusalBook(store, log)
	a.life.run("refusals", refused.Run)
	enriched := a.enriched(c, sink)
	h, err := httppush.New(httppush.Options{
		Config: httppush.Config{MaxBody: cc.MaxBody, MaxInFlight: cc.MaxInFlight, EventsPerSecond: cc.EventsPerSecond},
		Keys:   ingestKeys{c.Keys, c.Usage}, Meter: meter{c.Usage},
		Sink: enriched, Logger: log, Metrics: a.reg,
		Mappings: described.For, Refused: refused.add,
	})
	if err != nil {
		return err
	}
	s, err := httppush.NewServer(httppush.ServerOptions{Listener: ls.collector, Handler: h, TLS: secure, Logger: log})
	if err != nil {
		return err
	}
	a.life.run("collector", s.Run)
	if err := errors.Join(a.startTrail(c, producer), a.startSources(newHoldSink(enriched, c.TakesIn), described.For)); err != nil || ls.otlp == nil {
		return err
	}
	g, err := otlp.NewGRPC(otlp.GRPCOptions{Listener: ls.otlp, Handler: h, TLS: secure, Logger: log})
	if err != nil {
		return err
	}
	a.life.run("otlp", g.Run)
	return nil
}

// ensureTopics makes the topics. A collector that buffers does not wait for
// it: it takes events in although Kafka is away.
func (a *App) ensureTopics(ctx context.Context, b backends) error {
	cfg := a.logConfig(b, "setup")
	if !slices.Equal(a.opts.Roles, []string{"collector"}) || a.opts.Config.Collector.BufferBytes == 0 {
		return eventlog.EnsureTopics(ctx, cfg)
	}
	a.life.run("topics", func(ctx context.Context) error {
		err := eventlog.EnsureTopics(ctx, cfg)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("topics: %w", err)
		}
		<-ctx.Done()
		return nil
	})
	return nil
}

// bufferedSink puts the buffer on disk before the log.
func (a *App) bufferedSink(log collector.Sink) (collector.Sink, error) {
	cc := a.opts.Config.Collector
	if cc.BufferBytes == 0 {
		return log, nil
	}
	b, err := buffer.Open(buffer.Options{Dir: BufferDir(a.opts.Config.DataDir), Sink: log, MaxBytes: cc.BufferBytes, MaxAge: cc.BufferAge,
		Logger: a.log.With("part", "buffer"), Metrics: a.reg})
	if err != nil {
		return nil, err
	}
	a.life.add("buffer files", func(context.Context) error { return b.Close() })
	a.life.run("buffer", b.Run)
	a.checks = append(a.checks, ops.Check{Name: "buffer", Probe: b.Ready, Detail: func() string {
		s := b.Status()
		if s.Entries == 0 {
			return "empty"
		}
		return fmt.Sprintf("%d deliveries, %d of %d bytes, since %s", s.Entries, s.Bytes, s.MaxBytes, s.Oldest.UTC().Format(time.RFC3339))
	}})
	return b, nil
}

// BufferDir is where the collector's buffer is.
func BufferDir(dataDir string) string { return filepath.Join(dataDir, "collector", "buffer") }

// startTrail relays the platform's own audit trail into the log.
func (a *App) startTrail(c *core.Core, producer *eventlog.Producer) error {
	var operator tenant.ID
	if own := a.opts.Config.Trail.OperatorTenant; own != "" {
		operator = tenant.MustParse(own) // checked by Validate
	}
	relay, err := newTrailRelay(c.Audit, producer.Produce, operator, a.log.With("part", "trail"), a.reg)
	if err != nil {
		return err
	}
	a.life.run("trail", relay.Run)
	return nil
}

// serverTLS is the configuration of a listener whose certificate may be
// renewed while it serves; nil without files.
func serverTLS(cert, key string, log *slog.Logger) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	k := &keyPair{cert: cert, key: key, log: log}
	if _, err := k.get(nil); err != nil {
		return nil, fmt.Errorf("collector.tls_cert: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: k.get}, nil
}

// keyPair reads its files again when they were replaced.
type keyPair struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	written [2]time.Time // of the files that were tried last
}

func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var at [2]time.Time
	for i, name := range []string{k.cert, k.key} {
		if st, err := os.Stat(name); err == nil {
			at[i] = st.ModTime()
		}
	}
	if k.current != nil && at == k.written {
		return k.current, nil
	}
	k.written = at
	c, err := tls.LoadX509KeyPair(k.cert, k.key)
	switch {
	case err == nil:
		k.current = &c
	case k.current == nil:
		return nil, err
	default: // half replaced: the next connection looks again
		k.log.Warn("the new certificate cannot be used, the old one stays", "err", err)
	}
	return k.current, nil
}
