package delivery

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/core"
)

type metrics struct {
	attempts *prometheus.CounterVec
	seconds  prometheus.Histogram
	pending  prometheus.Gauge
	oldest   prometheus.Gauge
}

var outcomeNames = map[core.Outcome]string{core.Delivered: "delivered", core.Retry: "retry", core.GiveUp: "dead", core.Gone: "gone"}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantwatch_delivery_attempts_total", Help: "Attempts to deliver to a webhook, by outcome.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tenantwatch_delivery_attempt_seconds", Help: "Time until a webhook's answer.",
			Buckets: prometheus.ExponentialBuckets(0.005, 3, 8),
		}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenantwatch_delivery_pending", Help: "Alert revisions owed to webhooks.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenantwatch_delivery_oldest_pending_seconds", Help: "Age of the oldest alert revision owed to a webhook.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.attempts), reg.Register(m.seconds), reg.Register(m.pending), reg.Register(m.oldest))
}

func (m *metrics) observe(t core.Tried) {
	m.attempts.WithLabelValues(outcomeNames[t.Outcome]).Inc()
	m.seconds.Observe(t.Latency.Seconds())
}
