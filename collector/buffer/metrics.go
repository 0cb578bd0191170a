package buffer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	buffered, drained, refused, setAside, damaged prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, status func() Status) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "tenantwatch_buffer_" + name, Help: help})
	}
	gauge := func(name, help string, f func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tenantwatch_buffer_" + name, Help: help}, func() float64 { return f(status()) })
	}
	m := &metrics{
		buffered: counter("events_total", "Events and quarantined lines acknowledged by the buffer on disk."),
		drained:  counter("drained_events_total", "Events and quarantined lines handed on from the buffer."),
		refused:  counter("refused_total", "Deliveries the buffer could not take: it was full, or the disk."),
		setAside: counter("set_aside_events_total", "Events the event log refused for good, kept in the folder refused."),
		damaged:  counter("damaged_entries_total", "Entries on disk that cannot be read any more."),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.buffered, m.drained, m.refused, m.setAside, m.damaged,
		gauge("bytes", "Bytes that wait in the buffer.", func(s Status) float64 { return float64(s.Bytes) }),
		gauge("max_bytes", "Most bytes that may wait in the buffer.", func(s Status) float64 { return float64(s.MaxBytes) }),
		gauge("entries", "Deliveries that wait in the buffer.", func(s Status) float64 { return float64(s.Entries) }),
		gauge("oldest_age_seconds", "How long the oldest delivery in the buffer has waited.", func(s Status) float64 {
			if s.Oldest.IsZero() {
				return 0
			}
			return time.Since(s.Oldest).Seconds()
		}),
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
