package core

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	seconds  *prometheus.HistogramVec
	failures *prometheus.CounterVec
	stored   prometheus.Counter
	repeated prometheus.Counter
	signIns  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tenantwatch_core_transaction_seconds", Help: "Time of a database transaction, by way in.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
		}, []string{"way"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantwatch_core_transaction_failures_total", Help: "Transactions rolled back for an error, by way in.",
		}, []string{"way"}),
		stored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenantwatch_core_alert_revisions_stored_total", Help: "Alert revisions appended to a feed.",
		}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenantwatch_core_alert_revisions_repeated_total", Help: "Alert revisions that were stored already.",
		}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantwatch_core_sign_ins_total", Help: "Sign-ins with a password, by outcome.",
		}, []string{"outcome"}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.seconds), reg.Register(m.failures), reg.Register(m.stored),
		reg.Register(m.repeated), reg.Register(m.signIns))
}

func (m *metrics) observe(way string, d time.Duration, err error) {
	m.seconds.WithLabelValues(way).Observe(d.Seconds())
	if err != nil {
		m.failures.WithLabelValues(way).Inc()
	}
}
