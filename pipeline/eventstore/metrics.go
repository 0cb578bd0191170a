package eventstore

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	inserts *prometheus.HistogramVec // by table
	rows    *prometheus.CounterVec   // by table
	reads   *prometheus.HistogramVec // by kind of read
}

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
		return c, fmt.Errorf("register metrics of the event store: %w", err)
	}
	return c, nil
}

func newMetrics(r prometheus.Registerer) (metrics, error) {
	buckets := prometheus.ExponentialBuckets(0.002, 2, 15)
	i, err1 := register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tenantwatch_eventstore_insert_seconds", Help: "Time of one insert of a block.", Buckets: buckets}, []string{"table"}))
	n, err2 := register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tenantwatch_eventstore_inserted_rows_total", Help: "Rows in acknowledged inserts."}, []string{"table"}))
	q, err3 := register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tenantwatch_eventstore_read_seconds", Help: "Time of one read.", Buckets: buckets}, []string{"read"}))
	return metrics{inserts: i, rows: n, reads: q}, errors.Join(err1, err2, err3)
}
