package app

import (
	"context"
	"encoding/json"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/enrich"
	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
)

// enrichSink enriches events on their way to the next sink.
type enrichSink struct {
	next collector.Sink
	e    *enrich.Enricher
}

func (s enrichSink) Deliver(ctx context.Context, d collector.Delivery) error {
	for i := range d.Events {
		s.e.Event(&d.Events[i])
	}
	return s.next.Deliver(ctx, d)
}

// DeliverPlaced enriches too, and hands on where the events became durable.
func (s enrichSink) DeliverPlaced(ctx context.Context, d collector.Delivery) (collector.Place, error) {
	for i := range d.Events {
		s.e.Event(&d.Events[i])
	}
	return collector.DeliverTo(ctx, s.next, d)
}

// enriched puts enrichment in front of a sink: places and networks by the
// configured databases, the tenants' own networks by their settings.
func (a *App) enriched(c *core.Core, next collector.Sink) collector.Sink {
	if a.enricher != nil {
		return enrichSink{next, a.enricher}
	}
	log, cfg := a.log.With("part", "enrich"), a.opts.Config.Enrich
	book := &policyBook{log: log, parts: []policyPart{tenantPolicies(c.Tenants)}}
	a.life.run("networks", book.Run)
	e := enrich.New(enrich.Options{CityDB: cfg.CityDB, ASNDB: cfg.ASNDB, Networks: (&networkBook{book: book}).of, Logger: log})
	for _, s := range e.Status() {
		if !s.Loaded {
			log.Info("events get no "+s.Database+" by their address", "why", s.Problem)
		}
	}
	a.reg.MustRegister(databaseGauge{e})
	a.life.run("enrich", e.Run)
	a.enricher = e
	return enrichSink{next, e}
}

// networkBook gives the networks tenants have named, from the newest policies.
type networkBook struct {
	book *policyBook
	now  atomic.Pointer[networkView]
}

type networkView struct {
	of *policyView
	by map[tenant.ID][]policy.Network
}

func (b *networkBook) of(id tenant.ID) []policy.Network {
	v := b.book.now.Load()
	if v == nil {
		return nil // not read yet: an event more or less without a network's name
	}
	n := b.now.Load()
	if n == nil || n.of != v {
		n = &networkView{of: v, by: map[tenant.ID][]policy.Network{}}
		for id, text := range v.by {
			var p policy.Policy
			if text != "" && json.Unmarshal([]byte(text), &p) == nil && len(p.Networks) > 0 {
				n.by[id] = p.Networks
			}
		}
		b.now.Store(n)
	}
	return n.by[id]
}

// databaseGauge says whether the databases are there, and how old.
type databaseGauge struct{ e *enrich.Enricher }

var (
	databaseLoaded = prometheus.NewDesc("tenantwatch_enrich_database_loaded", "1 when the database is in use", []string{"database"}, nil)
	databaseBuilt  = prometheus.NewDesc("tenantwatch_enrich_database_built_timestamp_seconds", "when the database in use was built", []string{"database"}, nil)
)

// Describe implements prometheus.Collector.
func (g databaseGauge) Describe(ch chan<- *prometheus.Desc) {
	ch <- databaseLoaded
	ch <- databaseBuilt
}

// Collect implements prometheus.Collector.
func (g databaseGauge) Collect(ch chan<- prometheus.Metric) {
	for _, s := range g.e.Status() {
		loaded := 0.0
		if s.Loaded {
			loaded = 1
			ch <- prometheus.MustNewConstMetric(databaseBuilt, prometheus.GaugeValue, float64(s.Built.Unix()), s.Database)
		}
		ch <- prometheus.MustNewConstMetric(databaseLoaded, prometheus.GaugeValue, loaded, s.Database)
	}
}
