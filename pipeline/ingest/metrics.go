package ingest

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	rows, duplicates      *prometheus.CounterVec // by table
	poison, blocks        prometheus.Counter
	doubts, retries       prometheus.Counter
	lookups, stopped      prometheus.Counter
	batchRows, batchSecs  prometheus.Histogram
	freshness             prometheus.Histogram
	filterBytes, uncached prometheus.Gauge
}

func register[C prometheus.Collector](r prometheus.Registerer, errs *error, c C) C {
	if r == nil {
		return c
	}
	if err := r.Register(c); err != nil {
		var are prometheus.AlreadyRegisteredError
		if errors.As(err, &are) {
			if old, ok := are.ExistingCollector.(C); ok {
				return old
			}
		}
		*errs = errors.Join(*errs, fmt.Errorf("register metrics of ingest: %w", err))
	}
	return c
}

func newMetrics(r prometheus.Registerer) (m metrics, err error) {
	const p = "tenantwatch_ingest_"
	counter := func(name, help string) prometheus.Counter {
		return register(r, &err, prometheus.NewCounter(prometheus.CounterOpts{Name: p + name, Help: help}))
	}
	vec := func(name, help string) *prometheus.CounterVec {
		return register(r, &err, prometheus.NewCounterVec(prometheus.CounterOpts{Name: p + name, Help: help}, []string{"table"}))
	}
	gauge := func(name, help string) prometheus.Gauge {
		return register(r, &err, prometheus.NewGauge(prometheus.GaugeOpts{Name: p + name, Help: help}))
	}
	hist := func(name, help string, buckets []float64) prometheus.Histogram {
		return register(r, &err, prometheus.NewHistogram(prometheus.HistogramOpts{Name: p + name, Help: help, Buckets: buckets}))
	}
	seconds := prometheus.ExponentialBuckets(0.005, 2, 14)
	m.rows = vec("rows_total", "Rows stored.")
	m.duplicates = vec("duplicates_total", "Rows dropped because their id was stored before.")
	m.poison = counter("poison_records_total", "Records of the log that could not be read and were set aside.")
	m.blocks = counter("blocks_total", "Blocks stored.")
	m.doubts = counter("doubts_total", "Blocks whose rows were counted because it was not known whether they arrived.")
	m.retries = counter("retries_total", "Statements to the store that failed and were tried again.")
	m.lookups = counter("lookups_total", "Ids looked for in the store because the filter did not know them to be new.")
	m.stopped = counter("stopped_total", "Partitions stopped because the rows did not add up: an operator has to look.")
	m.batchRows = hist("batch_rows", "Rows per batch.", prometheus.ExponentialBuckets(1, 4, 10))
	m.batchSecs = hist("batch_seconds", "Time to store one batch.", seconds)
	m.freshness = hist("freshness_seconds", "Age of a batch's oldest record when its rows were readable.", seconds)
	m.filterBytes = gauge("filter_bytes", "Memory of the filters of known ids.")
	m.uncached = gauge("uncached_tenants", "Tenants too large for the filters: each of their batches costs a lookup.")
	return m, err
}
