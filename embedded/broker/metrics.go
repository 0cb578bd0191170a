package broker

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	fsync       prometheus.Histogram
	fsyncErrors prometheus.Counter
	writeErrors prometheus.Counter
	trimmed     prometheus.Counter
	diskBytes   prometheus.Gauge
	retained    prometheus.Gauge
	connections prometheus.Gauge
	refused     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		fsync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tenantwatch_broker_fsync_seconds",
			Help:    "Time of one round of fsync over all segments written since the last.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
		}),
		fsyncErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenantwatch_broker_fsync_errors_total", Help: "Rounds of fsync that failed; the broker stops acknowledging after the first.",
		}),
		writeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenantwatch_broker_write_errors_total", Help: "Writes to the log that failed, for example on a full disk.",
		}),
		trimmed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenantwatch_broker_trimmed_records_total", Help: "Offsets given up because every group had committed them.",
		}),
		diskBytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenantwatch_broker_disk_bytes", Help: "Bytes in the data directory, as of the last pass of the trimmer.",
		}),
		retained: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenantwatch_broker_retained_records", Help: "Offsets between log start and log end over all partitions, as of the last pass of the trimmer.",
		}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tenantwatch_broker_connections", Help: "Open client connections.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenantwatch_broker_refused_total", Help: "Connections closed by the guard, by reason.",
		}, []string{"reason"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.fsync, m.fsyncErrors, m.writeErrors, m.trimmed, m.diskBytes, m.retained, m.connections, m.refused} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
