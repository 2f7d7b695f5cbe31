package sqlitestore

import (
	"fmt"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// mentions makes a page of memories that all speak of the same person, of something that many speak of, and of something
// that few do.
func (l *library) mentions(workspace string) []store.Mention {
	node := func(kind, name string) memory.Node {
		return memory.Node{ID: store.NodeID(workspace, kind, name), Type: kind, Name: name, Properties: map[string]string{"said": name}}
	}
	page := make([]store.Mention, store.PageSize)
	for i := range page {
		l.n++
		nodes := []memory.Node{node("person", "hub"), node("thing", l.words(1)), node("place", fmt.Sprint("place ", l.n/3))}
		page[i] = store.Mention{
			Ref: memory.Ref{Workspace: workspace, ID: fmt.Sprintf("mem_%08d", l.n), Version: 1},
			Graph: memory.Graph{Nodes: nodes, Relationships: []memory.Relationship{
				{From: nodes[0].ID, Type: "LIKES", To: nodes[1].ID}, {From: nodes[1].ID, Type: "AT", To: nodes[2].ID}}},
		}
	}
	return page
}

// BenchmarkGraph writes and reads a graph of 50,000 memories with a hub in its middle.
func BenchmarkGraph(b *testing.B) {
	g, l := openNew(b).Graph(), newLibrary()
	for range 50_000 / store.PageSize {
		if err := g.Merge(b.Context(), l.mentions("w")); err != nil {
			b.Fatal(err)
		}
	}
	hub := store.NodeID("w", "person", "hub")
	b.Run("merge64", func(b *testing.B) {
		for b.Loop() {
			if err := g.Merge(b.Context(), l.mentions("w")); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(store.PageSize*b.N)/b.Elapsed().Seconds(), "memories/s")
	})
	b.Run("nodes50", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := g.Nodes(b.Context(), store.NodeQuery{Workspace: "w", Limit: 50}); err != nil {
				b.Fatal(err)
			}
		}
	})
	for depth := 1; depth <= 3; depth++ {
		b.Run(fmt.Sprintf("neighbours/depth%d", depth), func(b *testing.B) {
			for b.Loop() {
				if _, err := g.Neighbours(b.Context(), "w", []string{hub, store.NodeID("w", "place", "place 77")}, depth, 100); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
