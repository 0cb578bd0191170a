package eventlog

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// register adds c, or takes the one registered before under the same name, so
// that two consumers in one process share their metrics.
func register[C prometheus.Collector](r prometheus.Registerer, c C) (C, error) {
	if r == nil {
		return c, nil
	}
	if err := r.Register(c); err != nil {
		var are prometheus.AlreadyRegisteredError
		if errors.As(err, &are) {
			if old, ok := are.ExistingCollector.(C); ok {
				return old, nil
			}
		}
		return c, fmt.Errorf("register metrics of the event log: %w", err)
	}
	return c, nil
}

func newProducerMetrics(r prometheus.Registerer) (m producerMetrics, err error) {
	counter := func(name, help string) prometheus.Counter {
		c, e := register(r, prometheus.NewCounter(prometheus.CounterOpts{Name: "tenantwatch_eventlog_produced_" + name, Help: help}))
		err = errors.Join(err, e)
		return c
	}
	m.records = counter("records_total", "Records acknowledged by all replicas in sync.")
	m.events = counter("events_total", "Events in acknowledged calls.")
	m.bytes = counter("bytes_total", "Bytes of acknowledged records before compression.")
	m.retries = counter("retries_total", "Requests that failed and were tried again.")
	m.failures = counter("failures_total", "Calls that were not acknowledged.")
	h, e := register(r, prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tenantwatch_eventlog_produce_seconds", Help: "Time from sending a batch to its acknowledgement or failure.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
	}))
	m.latency = h
	return m, errors.Join(err, e)
}

// consumerMetrics are labelled by group, topic and partition: all three are
// set by configuration, none by data.
type consumerMetrics struct {
	lag, age               *prometheus.GaugeVec
	records, poison        *prometheus.CounterVec
	skipped, handlerErrors *prometheus.CounterVec
	stopped, rebalances    *prometheus.GaugeVec
}

func newConsumerMetrics(r prometheus.Registerer) (m consumerMetrics, err error) {
	labels := []string{"group", "topic", "partition"}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g, e := register(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tenantwatch_eventlog_" + name, Help: help}, labels))
		err = errors.Join(err, e)
		return g
	}
	counter := func(name, help string) *prometheus.CounterVec {
		c, e := register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenantwatch_eventlog_" + name, Help: help}, labels))
		err = errors.Join(err, e)
		return c
	}
	m.lag = gauge("lag_records", "Records in the partition that are not committed yet.", labels...)
	m.age = gauge("read_age_seconds", "Age of the newest record handed to the handler when it was handed on.", labels...)
	m.stopped = gauge("stopped", "1 while the handler has stopped the partition and waits for an operator.", labels...)
	m.rebalances = gauge("generation", "Generation of the consumer group this member is in.", "group")
	m.records = counter("consumed_records_total", "Records handed to the handler.")
	m.poison = counter("poison_records_total", "Records that could not be decoded or whose key and tag differ.")
	m.skipped = counter("skipped_records_total", "Offsets that were gone from the log before they were read: lost records.")
	m.handlerErrors = counter("handler_errors_total", "Handlers that failed and were started again.")
	return m, err
}
