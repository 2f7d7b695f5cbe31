package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/switchyard-ai/switchyard/realtime"
)

// trackMetrics shows the realtime track at the moment that it is asked.
type trackMetrics struct {
	executor *realtime.Executor
	breakers *realtime.Breakers
	inFlight *prometheus.Desc
	queued   *prometheus.Desc
	limit    *prometheus.Desc
	breaker  *prometheus.Desc
}

func loadMetrics(e *realtime.Executor, b *realtime.Breakers) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName("switchyard", "realtime", name), help, labels, nil)
	}
	return &trackMetrics{
		executor: e, breakers: b,
		inFlight: desc("in_flight", "Memories at work in this process."),
		queued:   desc("queued", "Memories that wait in this process."),
		limit:    desc("limit", "How many memories may be at work at once."),
		breaker:  desc("breaker_open", "1 where the circuit breaker of a dependency is not closed.", "dependency"),
	}
}

// Describe implements [prometheus.Collector].
func (m *trackMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.inFlight, m.queued, m.limit, m.breaker} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *trackMetrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	load := m.executor.Load()
	gauge(m.inFlight, load.InFlight)
	gauge(m.queued, load.Queued)
	gauge(m.limit, load.Limit)
	for name, state := range m.breakers.States() {
		open := 0
		if state != "closed" {
			open = 1
		}
		gauge(m.breaker, open, name)
	}
}
