package source

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/collector"
)

// Metrics are those of all configured sources, by the names and kinds the
// configuration gives them.
type Metrics struct {
	events, quarantined, bytes, errors, lost *prometheus.CounterVec
	last                                     *prometheus.GaugeVec
}

// NewMetrics registers them; reg may be nil.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	labels := []string{"source", "type"}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenantwatch_source_" + name, Help: help}, labels)
	}
	m := &Metrics{
		events:      counter("events_total", "Events of a configured source that are durable."),
		quarantined: counter("quarantined_total", "Lines of a configured source that were set aside."),
		bytes:       counter("bytes_total", "Bytes a configured source has read, after decompression."),
		errors:      counter("errors_total", "Attempts of a configured source that failed and are repeated."),
		lost:        counter("lost_total", "Messages a configured source has seen lost: datagrams there was no room for, files that went away unread."),
		last:        prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tenantwatch_source_last_event_timestamp_seconds", Help: "When a configured source last brought an event."}, labels),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.events, m.quarantined, m.bytes, m.errors, m.lost, m.last} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Of is the part of one source.
func (m *Metrics) Of(name, kind string) *Meter {
	return &Meter{
		Errors: m.errors.WithLabelValues(name, kind), Lost: m.lost.WithLabelValues(name, kind), Events: m.events.WithLabelValues(name, kind),
		quarantined: m.quarantined.WithLabelValues(name, kind), bytes: m.bytes.WithLabelValues(name, kind), last: m.last.WithLabelValues(name, kind),
	}
}

// Meter counts for one source.
type Meter struct {
	Errors, Lost, Events prometheus.Counter
	quarantined, bytes   prometheus.Counter
	last                 prometheus.Gauge
}

func (m *Meter) took(r *collector.Result, err error, now time.Time) {
	if m == nil {
		return
	}
	m.Events.Add(float64(r.Durable))
	m.quarantined.Add(float64(r.DurableQuarantined))
	m.bytes.Add(float64(r.Bytes))
	if r.Durable > 0 {
		m.last.Set(float64(now.Unix()))
	}
	if err != nil {
		m.Errors.Inc()
	}
}
