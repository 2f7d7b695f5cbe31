//go:build e2e

package neo4jstore

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
)

// BenchmarkMerge merges pages of 64 memories, of five nodes each of a thousand.
func BenchmarkMerge(b *testing.B) {
	for _, workspaces := range []int{1, 4} {
		b.Run(fmt.Sprint("workspaces=", workspaces), func(b *testing.B) {
			g := openShared(b).Graph()
			var names []string
			for range workspaces {
				names = append(names, id.New(id.Workspace))
			}
			var n atomic.Int64
			b.SetParallelism(2) // four at a time on two cores
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					ws := names[i%int64(workspaces)]
					var ms []store.Mention
					for m := range 64 {
						var people []string
						for range 5 {
							people = append(people, fmt.Sprint("person ", rand.IntN(1000)))
						}
						ms = append(ms, mention(ws, fmt.Sprintf("m%d.%d", i, m), people...))
					}
					if err := g.Merge(b.Context(), ms); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(64*float64(b.N)/b.Elapsed().Seconds(), "memories/s")
		})
	}
}
