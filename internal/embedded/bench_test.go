//go:build !lean

package embedded

import (
	"testing"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

// BenchmarkStart is what a user of an empty folder waits for: a start, the first workflow, and the end.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s := startServer(b, Config{Dir: b.TempDir(), UIListen: "127.0.0.1:0"})
		c, stop := startWorker(b, s, worker.Options{})
		result[string](b, run(b, c, client.StartWorkflowOptions{}, "echo", "hello"))
		stop()
		closeServer(b, s)
	}
}

// BenchmarkWorkflows runs workflows of one activity each, 32 for each processor at a time.
func BenchmarkWorkflows(b *testing.B) {
	s := startServer(b, Config{Dir: b.TempDir()})
	c, stop := startWorker(b, s, worker.Options{})
	defer stop()
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			result[string](b, run(b, c, client.StartWorkflowOptions{}, "echo", "hello"))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "workflows/s")
}
