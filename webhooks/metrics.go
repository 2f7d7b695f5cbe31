package webhooks

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// Metrics count what becomes of deliveries. They are a collector, for whoever serves /metrics to register.
type Metrics struct {
	attempts   *prometheus.CounterVec
	latency    prometheus.Histogram
	deliveries *prometheus.GaugeVec
	oldest     prometheus.Gauge
	active     prometheus.Gauge
	queued     prometheus.Gauge
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics makes Metrics.
func NewMetrics() *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "switchyard", Subsystem: "webhook", Name: name, Help: help})
	}
	return &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "switchyard", Subsystem: "webhook", Name: "attempts_total",
			Help: "Attempts at deliveries, by what they led to: delivered, pending (to be tried again), failed (given up), held (endpoint disabled).",
		}, []string{"result"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "switchyard", Subsystem: "webhook", Name: "attempt_seconds", Help: "How long attempts took until the answer was read.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15},
		}),
		deliveries: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "switchyard", Subsystem: "webhook", Name: "deliveries", Help: "Deliveries in the store, by status.",
		}, []string{"status"}),
		oldest: gauge("oldest_undelivered_seconds", "Age of the oldest delivery that is still to be made; 0: there is none."),
		active: gauge("attempts_in_flight", "Attempts that this process is making."),
		queued: gauge("first_attempts_queued", "First attempts that wait in this process."),
	}
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.each(func(c prometheus.Collector) { c.Describe(ch) })
}

// Collect implements [prometheus.Collector].
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.each(func(c prometheus.Collector) { c.Collect(ch) })
}

func (m *Metrics) each(f func(prometheus.Collector)) {
	for _, c := range []prometheus.Collector{m.attempts, m.latency, m.deliveries, m.oldest, m.active, m.queued} {
		f(c)
	}
}

func (m *Metrics) attempted(o outcome) {
	m.attempts.WithLabelValues(string(o.status)).Inc()
	if o.attempt.LatencyMS > 0 || o.attempt.StatusCode > 0 {
		m.latency.Observe(float64(o.attempt.LatencyMS) / 1000)
	}
}

// stored shows what the store says of deliveries.
func (m *Metrics) stored(counts map[store.DeliveryStatus]int, oldest, now time.Time) {
	for _, s := range []store.DeliveryStatus{store.DeliveryPending, store.DeliveryDelivered, store.DeliveryFailed, store.DeliveryHeld} {
		m.deliveries.WithLabelValues(string(s)).Set(float64(counts[s]))
	}
	age := 0.0
	if !oldest.IsZero() {
		age = max(now.Sub(oldest).Seconds(), 0)
	}
	m.oldest.Set(age)
}

func (m *Metrics) load(active, queued int) {
	m.active.Set(float64(active))
	m.queued.Set(float64(queued))
}
