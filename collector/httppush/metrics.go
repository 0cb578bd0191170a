package httppush

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/collector"
)

// metrics are the source's own; no label holds a tenant, key or address.
type metrics struct {
	requests *prometheus.CounterVec // by class of the status code
	lines    *prometheus.CounterVec // by format and result
	bytes    *prometheus.CounterVec // by content encoding
	repeats  prometheus.Counter
	seconds  prometheus.Histogram
	inFlight prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantwatch_collector_requests_total", Help: "Push requests answered, by class of the status code.",
		}, []string{"code"}),
		lines: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantwatch_collector_lines_total", Help: "Durable lines, by format and result (accepted, quarantined).",
		}, []string{"format", "result"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantwatch_collector_received_bytes_total", Help: "Bytes of bodies after decompression, by content encoding.",
		}, []string{"encoding"}),
		repeats: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenantwatch_collector_repeats_total", Help: "Events whose id came before in the same request.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tenantwatch_collector_request_seconds", Help: "Time from request to answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 3, 10),
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenantwatch_collector_in_flight_requests", Help: "Push requests being worked on.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.lines, m.bytes, m.repeats, m.seconds, m.inFlight} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) answered(code int, took time.Duration) {
	class := [...]string{"other", "1xx", "2xx", "3xx", "4xx", "5xx"}
	i := code / 100
	if i < 1 || i > 5 {
		i = 0
	}
	m.requests.WithLabelValues(class[i]).Inc()
	m.seconds.Observe(took.Seconds())
}

// processed counts what became durable.
func (m *metrics) processed(res *collector.Result, encoding string) {
	m.bytes.WithLabelValues(encoding).Add(float64(res.Bytes))
	m.repeats.Add(float64(res.Repeats))
	name := res.Format
	if name == "" {
		name = "none"
	}
	m.lines.WithLabelValues(name, "accepted").Add(float64(res.Durable))
	m.lines.WithLabelValues(name, "quarantined").Add(float64(res.DurableQuarantined))
}
