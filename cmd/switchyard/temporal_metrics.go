package main

import (
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
)

// sdkMetrics shows what Temporal's client measures that somebody would be woken for: how long work waits in a task queue,
// and how many calls of this process wait for it. They have the names that Temporal's own documents give them.
type sdkMetrics struct {
	client.MetricsHandler // of the rest: it goes nowhere

	waits   map[string]*prometheus.HistogramVec
	pollers *prometheus.GaugeVec
	tags    map[string]string
}

var _ client.MetricsHandler = sdkMetrics{}

func newSDKMetrics(r prometheus.Registerer) sdkMetrics {
	m := sdkMetrics{MetricsHandler: client.MetricsNopHandler, waits: map[string]*prometheus.HistogramVec{}}
	for name, help := range map[string]string{
		"temporal_activity_schedule_to_start_latency":      "How long activities waited for a worker.",
		"temporal_workflow_task_schedule_to_start_latency": "How long workflow tasks waited for a worker.",
	} {
		m.waits[name] = prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name + "_seconds", Help: help, Buckets: []float64{0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200},
		}, []string{"task_queue"})
		r.MustRegister(m.waits[name])
	}
	m.pollers = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "temporal_num_pollers", Help: "Calls of this process that wait for work.",
	}, []string{"task_queue", "poller_type"})
	r.MustRegister(m.pollers)
	return m
}

// WithTags implements [client.MetricsHandler].
func (m sdkMetrics) WithTags(tags map[string]string) client.MetricsHandler {
	all := map[string]string{}
	maps.Copy(all, m.tags)
	maps.Copy(all, tags)
	m.tags = all
	return m
}

// Timer implements [client.MetricsHandler].
func (m sdkMetrics) Timer(name string) client.MetricsTimer {
	h, ok := m.waits[name]
	if !ok {
		return m.MetricsHandler.Timer(name)
	}
	return timer{h.WithLabelValues(m.tags["task_queue"])}
}

type timer struct{ prometheus.Observer }

// Record implements [client.MetricsTimer].
func (t timer) Record(d time.Duration) { t.Observe(d.Seconds()) }

// Gauge implements [client.MetricsHandler].
func (m sdkMetrics) Gauge(name string) client.MetricsGauge {
	if name != "temporal_num_pollers" {
		return m.MetricsHandler.Gauge(name)
	}
	return gauge{m.pollers.WithLabelValues(m.tags["task_queue"], m.tags["poller_type"])}
}

type gauge struct{ prometheus.Gauge }

// Update implements [client.MetricsGauge].
func (g gauge) Update(v float64) { g.Set(v) }
