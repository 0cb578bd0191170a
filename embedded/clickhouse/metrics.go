package clickhouse

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// register adds the child's figures for as long as it lives, so that the next
// child can add its own to the same registry.
func (e *Engine) register(r prometheus.Registerer, took time.Duration) error {
	gauge := func(name, help string, fn func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "tenantwatch", Subsystem: "clickhouse_engine", Name: name, Help: help}, fn)
	}
	all := []prometheus.Collector{
		gauge("up", "1 while the embedded ClickHouse engine runs.", func() float64 { return 1 }),
		gauge("start_seconds", "How long the last start of the embedded ClickHouse engine took.", took.Seconds),
		gauge("resident_bytes", "Resident memory of the embedded ClickHouse engine's process.", func() float64 { return float64(residentBytes(e.PID())) }),
	}
	for i, c := range all {
		if err := r.Register(c); err != nil {
			for _, c := range all[:i] {
				r.Unregister(c)
			}
			return fmt.Errorf("clickhouse engine: register metrics: %w", err)
		}
	}
	unregister := func() {
		for _, c := range all {
			r.Unregister(c)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		unregister()
	} else {
		e.unregister = unregister
	}
	return nil
}

// residentBytes reads a process's memory from /proc; 0 where there is none.
func residentBytes(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
