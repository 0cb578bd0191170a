package api

import "github.com/prometheus/client_golang/prometheus"

// metrics have bounded labels: route patterns, methods, classes of status and
// types of problem; never a tenant, a user or an address.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	problems *prometheus.CounterVec
	inFlight prometheus.Gauge
	streams  prometheus.Gauge
	exported prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenantwatch_api_requests_total", Help: "Requests answered."}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tenantwatch_api_request_seconds", Help: "Time to answer, streams and exports left out.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"route"}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenantwatch_api_problems_total", Help: "Problems answered, by type."}, []string{"type"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tenantwatch_api_requests_in_flight", Help: "Requests being answered."}),
		streams:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "tenantwatch_api_streams", Help: "Live streams open."}),
		exported: prometheus.NewCounter(prometheus.CounterOpts{Name: "tenantwatch_api_exported_rows_total", Help: "Rows exported."}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.problems, m.inFlight, m.streams, m.exported} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
