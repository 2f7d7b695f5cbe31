package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// figures show at /metrics what alerts go by: what is open in the stores, what became of memories here, and which servers
// answer. See configs/prometheus.
type figures struct {
	open     *prometheus.GaugeVec
	orphaned prometheus.Gauge
	finished *prometheus.CounterVec
	up       *prometheus.GaugeVec
}

func newFigures(r prometheus.Registerer) *figures {
	f := &figures{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "switchyard_memories_open", Help: "Memories that are not finished, in all processes and workspaces, by track; of processes that run the durable track.",
		}, []string{"track"}),
		orphaned: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "switchyard_memories_orphaned", Help: "Open memories that nobody has answered for in the last minute, up to 1,000; of processes that run the durable track.",
		}),
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "switchyard_memories_finished_total", Help: "Memories that this process finished, by what became of them and by track.",
		}, []string{"status", "track"}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "switchyard_dependency_up", Help: "1 where a server that this process needs answers and is made ready for it.",
		}, []string{"dependency"}),
	}
	r.MustRegister(f.open, f.orphaned, f.finished, f.up)
	for _, track := range []memory.Track{memory.TrackRealtime, memory.TrackDurable} { // a ratio needs what has not happened yet
		for _, s := range []memory.Status{memory.StatusCompleted, memory.StatusDegraded, memory.StatusFailed} {
			f.finished.WithLabelValues(string(s), string(track))
		}
	}
	return f
}

// progress counts a memory that is finished; nil figures, of a command beside the processes, count nothing.
func (f *figures) progress(m memory.Memory) {
	if f != nil && m.Status.Final() {
		f.finished.WithLabelValues(string(m.Status), string(m.Track)).Inc()
	}
}

const (
	figuresEvery = 15 * time.Second
	figuresTime  = 5 * time.Second
	orphanAge    = time.Minute // recovery takes them up within seconds
	orphanLimit  = 1_000
)

// watchFigures looks at once, and then every so often, until ctx is done.
func watchFigures(look func(context.Context)) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(figuresEvery)
		defer tick.Stop()
		for {
			bounded, cancel := context.WithTimeout(ctx, figuresTime)
			look(bounded)
			cancel()
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}
}

// seeServers notes which servers answer.
func (s *server) seeServers(ctx context.Context) {
	var wg sync.WaitGroup
	for _, d := range s.stores.Servers {
		wg.Go(func() {
			up := 0.0
			if d.ready(ctx) == nil {
				up = 1
			}
			s.figures.up.WithLabelValues(d.name).Set(up)
		})
	}
	wg.Wait()
}

// seeOpen notes what is open. What the stores do not tell is not shown: an old number would look like a new one.
func (s *server) seeOpen(ctx context.Context) {
	s.figures.open.Reset()
	open, err := s.stores.Leases.Load(ctx)
	if err != nil {
		return
	}
	for _, track := range []memory.Track{memory.TrackRealtime, memory.TrackDurable} {
		s.figures.open.WithLabelValues(string(track)).Set(float64(open[track]))
	}
	if orphans, err := s.stores.Leases.Orphans(ctx, time.Now().Add(-orphanAge), orphanLimit); err == nil {
		s.figures.orphaned.Set(float64(len(orphans)))
	}
}
