package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/httppush"
	"github.com/tenantwatch/tenantwatch/collector/otlp"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
)

// startCollector starts what takes events in: the push listener and the one
// for OTLP/gRPC.
func (a *App) startCollector(b backends, c *core.Core, ls listeners) error {
	producer, err := eventlog.NewProducer(a.logConfig(b, "collector"), eventlog.ProducerOptions{})
	if err != nil {
		return err
	}
	a.life.add("producer", func(context.Context) error { return producer.Close() })
	cc, log := a.opts.Config.Collector, a.log.With("part", "collector")
	secure, err := serverTLS(cc.TLSCert, cc.TLSKey, log)
	if err != nil {
		return err
	}
	var described *mapping.Dir
	if cc.Mappings != "" {
		if described, err = mapping.OpenDir(cc.Mappings, log); err != nil {
			return fmt.Errorf("collector.mappings: %w", err)
		}
	}
	h, err := httppush.New(httppush.Options{
		Config: httppush.Config{MaxBody: cc.MaxBody, MaxInFlight: cc.MaxInFlight, EventsPerSecond: cc.EventsPerSecond},
		Keys:   ingestKeys{c.Keys}, Sink: logSink{producer}, Logger: log, Metrics: a.reg,
		Mappings: described.For,
	})
	if err != nil {
		return err
	}
	s, err := httppush.NewServer(httppush.ServerOptions{Listener: ls.collector, Handler: h, TLS: secure, Logger: log})
	if err != nil {
		return err
	}
	a.life.run("collector", s.Run)
	if err := a.startTrail(c, producer); err != nil || ls.otlp == nil {
		return err
	}
	g, err := otlp.NewGRPC(otlp.GRPCOptions{Listener: ls.otlp, Handler: h, TLS: secure, Logger: log})
	if err != nil {
		return err
	}
	a.life.run("otlp", g.Run)
	return nil
}

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
